/**
 * What a guest may leave undone in a frame, and how it is done after all. A
 * driver saves work by sending one large frame for many small ones, without
 * checksums; between two guests that both do so it never needs to be cut. Who
 * cannot take such a frame gets what `finishFrame` makes of it: plain frames,
 * as they would be on a cable.
 *
 * Relies on nothing; the network device, the switch and backends rely on it.
 * Sources: virtio 1.3 §5.1.6; RFC 791, 8200, 9293, 768 for the headers, RFC
 * 1071 for the sum.
 *
 * @journey D:149 Work left to others
 */

/** One large frame in place of many. */
export interface FrameSegments {
	readonly kind: "tcp4" | "tcp6" | "udp";
	/** The payload of each but the last. */
	readonly payloadBytes: number;
	/** TCP: congestion was seen (CWR), which only the first of them says. */
	readonly ecn: boolean;
}

/** What is left to do to a frame. Offsets are from the frame's first byte. */
export interface FrameOffload {
	/** The sum from here to the end is wanted; TCP's or UDP's header is here. */
	readonly checksumStart: number;
	/** Where it goes, counted from `checksumStart`. */
	readonly checksumOffset: number;
	/** Absent = it is one frame. */
	readonly segments?: FrameSegments;
}

/** Ethernet's header, and the longest frame anybody may send: IP's limit behind it. */
export const ETHERNET_HEADER_BYTES = 14;
export const VLAN_TAG_BYTES = 4;
export const LONGEST_LARGE_FRAME =
	ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES + 65_535;
/** More would be more than one frame can be cut into with any sense. */
const MOST_SEGMENTS = 2048;

const ETHERTYPE_AT = 12;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const IPV6_HEADER_BYTES = 40;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
const UDP_HEADER_BYTES = 8;
const TCP_FIN_PSH = 0x01 | 0x08;
const TCP_CWR = 0x80;

/**
 * The plain frames that stand for this one; `frame` may be changed and be one
 * of them. Undefined when it contradicts itself, and is to be dropped.
 */
export function finishFrame(
	frame: Uint8Array,
	offload: FrameOffload | undefined,
): readonly Uint8Array[] | undefined {
	if (offload === undefined) return [frame];
	if (offload.segments !== undefined) {
		return segment(frame, offload, offload.segments);
	}
	return putChecksum(frame, offload) ? [frame] : undefined;
}

/**
 * Puts in the ones' complement sum from `checksumStart` to the end, over the
 * pseudo header's that is there already (virtio 1.3 §5.1.6.2). False when the
 * place is outside the frame.
 */
function putChecksum(frame: Uint8Array, offload: FrameOffload): boolean {
	const { checksumStart, checksumOffset } = offload;
	const at = checksumStart + checksumOffset;
	if (checksumStart >= frame.length || at + 2 > frame.length) return false;
	// UDP knows no checksum 0: there it means "none", and 0xFFFF is as good.
	putU16(frame, at, ~sumOf(frame, checksumStart) & 0xffff || 0xffff);
	return true;
}

/** What all segments of a frame have in common. */
interface Headers {
	readonly network: number;
	readonly isVersion6: boolean;
	readonly transport: number;
	readonly payload: number;
	readonly protocol: number;
}

function segment(
	frame: Uint8Array,
	{ checksumStart }: FrameOffload,
	segments: FrameSegments,
): readonly Uint8Array[] | undefined {
	const headers = findHeaders(frame, checksumStart, segments.kind);
	if (headers === undefined) return undefined;
	const { payload } = headers;
	const total = frame.length - payload;
	const size = segments.payloadBytes;
	if (size < 1 || total > size * MOST_SEGMENTS) return undefined;
	const made: Uint8Array[] = [];
	for (let at = 0; at < total || made.length === 0; at += size) {
		const part = frame.subarray(payload + at, payload + at + size);
		const one = new Uint8Array(payload + part.length);
		one.set(frame.subarray(0, payload));
		one.set(part, payload);
		adjust(one, headers, {
			index: made.length,
			at,
			isLast: at + size >= total,
		});
		made.push(one);
	}
	return made;
}

/** Undefined unless the frame is what it says it is. */
function findHeaders(
	frame: Uint8Array,
	transport: number,
	kind: FrameSegments["kind"],
): Headers | undefined {
	if (frame.length > LONGEST_LARGE_FRAME) return undefined;
	const tag = getU16(frame, ETHERTYPE_AT) === ETHERTYPE_VLAN;
	const typeAt = ETHERTYPE_AT + (tag ? VLAN_TAG_BYTES : 0);
	const network = typeAt + 2;
	const type = getU16(frame, typeAt);
	const isVersion6 = type === ETHERTYPE_IPV6;
	if (!isVersion6 && type !== ETHERTYPE_IPV4) return undefined;
	if (kind === "tcp4" && isVersion6) return undefined;
	if (kind === "tcp6" && !isVersion6) return undefined;
	const least = isVersion6 ? IPV6_HEADER_BYTES : ipv4Length(frame, network);
	const isUdp = kind === "udp";
	const headerBytes = isUdp ? UDP_HEADER_BYTES : tcpLength(frame, transport);
	const payload = transport + headerBytes;
	if (least < 20 || headerBytes < (isUdp ? 8 : 20)) return undefined;
	if (transport < network + least || payload > frame.length) return undefined;
	const protocol = isUdp ? PROTOCOL_UDP : PROTOCOL_TCP;
	return { network, isVersion6, transport, payload, protocol };
}

function ipv4Length(frame: Uint8Array, network: number): number {
	return ((frame[network] ?? 0) & 15) * 4;
}

function tcpLength(frame: Uint8Array, transport: number): number {
	return ((frame[transport + 12] ?? 0) >>> 4) * 4;
}

/** Lengths, numbers, flags and sums of one segment. */
function adjust(
	frame: Uint8Array,
	headers: Headers,
	place: { index: number; at: number; isLast: boolean },
): void {
	const { network, transport } = headers;
	if (headers.isVersion6) {
		putU16(frame, network + 4, frame.length - network - IPV6_HEADER_BYTES);
	} else {
		putU16(frame, network + 2, frame.length - network);
		putU16(frame, network + 4, getU16(frame, network + 4) + place.index);
		putU16(frame, network + 10, 0);
		const header = frame.subarray(0, network + ipv4Length(frame, network));
		putU16(frame, network + 10, ~sumOf(header, network) & 0xffff);
	}
	const isTcp = headers.protocol === PROTOCOL_TCP;
	if (isTcp) {
		putU32(frame, transport + 4, getU32(frame, transport + 4) + place.at);
		const flags = frame[transport + 13] ?? 0;
		const early = place.isLast ? 0 : TCP_FIN_PSH;
		const late = place.index === 0 ? 0 : TCP_CWR;
		frame[transport + 13] = flags & ~early & ~late;
	} else {
		putU16(frame, transport + 4, frame.length - transport);
	}
	const at = transport + (isTcp ? 16 : 6);
	putU16(frame, at, 0);
	const sum = sumOf(frame, transport, pseudoHeaderSum(frame, headers));
	putU16(frame, at, ~sum & 0xffff || (isTcp ? 0 : 0xffff));
}

/** Addresses, protocol and length, which TCP and UDP sum as well. */
function pseudoHeaderSum(frame: Uint8Array, headers: Headers): number {
	const { network, transport, protocol, isVersion6 } = headers;
	const from = network + (isVersion6 ? 8 : 12);
	const addresses = frame.subarray(0, from + (isVersion6 ? 32 : 8));
	return sumOf(addresses, from, protocol + frame.length - transport);
}

/** The ones' complement sum of 16-bit words from `start` to the end, folded. */
function sumOf(bytes: Uint8Array, start: number, initial = 0): number {
	let sum = initial;
	const even = start + ((bytes.length - start) & ~1);
	for (let i = start; i < even; i += 2) {
		sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
	}
	if (even < bytes.length) sum += (bytes[even] ?? 0) << 8;
	// At most 2^15 words and a small start: below 2^32, and folded after two.
	sum = (sum & 0xffff) + (sum >>> 16);
	return (sum & 0xffff) + (sum >>> 16);
}

function getU16(bytes: Uint8Array, at: number): number {
	return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function putU16(bytes: Uint8Array, at: number, value: number): void {
	bytes[at] = value >>> 8;
	bytes[at + 1] = value;
}

function getU32(bytes: Uint8Array, at: number): number {
	return getU16(bytes, at) * 0x1_0000 + getU16(bytes, at + 2);
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
	putU16(bytes, at, (value >>> 16) & 0xffff);
	putU16(bytes, at + 2, value & 0xffff);
}
