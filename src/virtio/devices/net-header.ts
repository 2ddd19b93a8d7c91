/**
 * The layouts of the network device: feature bits, configuration space and the
 * header before each frame (virtio 1.3 §5.1).
 *
 * | Offset | Width | Header field                                        |
 * | ------ | ----- | --------------------------------------------------- |
 * | 0      | 1     | flags: 1 = NEEDS_CSUM                               |
 * | 1      | 1     | gso_type: what it is to be cut into                 |
 * | 2      | 2     | hdr_len: a hint, not to be trusted                  |
 * | 4      | 2     | gso_size: payload of each segment                   |
 * | 6      | 2     | csum_start                                          |
 * | 8      | 2     | csum_offset                                         |
 * | 10     | 2     | num_buffers: absent in the legacy header without merging |
 *
 * Relies on frame offloads; `net.ts` relies on it.
 *
 * @journey D:166 Before each frame
 */

import type { FrameOffload, FrameSegments } from "../frame-offload.ts";

// Feature bits (§5.1.3).
export const VIRTIO_NET_F_CSUM = 0;
export const VIRTIO_NET_F_GUEST_CSUM = 1;
export const VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2;
export const VIRTIO_NET_F_MTU = 3;
export const VIRTIO_NET_F_MAC = 5;
export const VIRTIO_NET_F_GUEST_TSO4 = 7;
export const VIRTIO_NET_F_GUEST_TSO6 = 8;
export const VIRTIO_NET_F_GUEST_ECN = 9;
export const VIRTIO_NET_F_HOST_TSO4 = 11;
export const VIRTIO_NET_F_HOST_TSO6 = 12;
export const VIRTIO_NET_F_HOST_ECN = 13;
export const VIRTIO_NET_F_MRG_RXBUF = 15;
export const VIRTIO_NET_F_STATUS = 16;
export const VIRTIO_NET_F_CTRL_VQ = 17;
export const VIRTIO_NET_F_CTRL_RX = 18;
export const VIRTIO_NET_F_CTRL_VLAN = 19;
export const VIRTIO_NET_F_CTRL_RX_EXTRA = 20;
export const VIRTIO_NET_F_GUEST_ANNOUNCE = 21;
export const VIRTIO_NET_F_CTRL_MAC_ADDR = 23;
export const VIRTIO_NET_F_GUEST_USO4 = 54;
export const VIRTIO_NET_F_GUEST_USO6 = 55;
export const VIRTIO_NET_F_HOST_USO = 56;

/** Bits of the status field. */
export const VIRTIO_NET_S_LINK_UP = 1;
export const VIRTIO_NET_S_ANNOUNCE = 2;
/** mac (6), status (2), max_virtqueue_pairs (2), mtu (2). */
export const STATUS_OFFSET = 6;
export const MTU_OFFSET = 10;
export const NET_CONFIG_BYTES = 12;

const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
const VIRTIO_NET_HDR_GSO_NONE = 0;
const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
const VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
const VIRTIO_NET_HDR_GSO_ECN = 0x80;

const KINDS: Readonly<Record<number, FrameSegments["kind"]>> = {
	[VIRTIO_NET_HDR_GSO_TCPV4]: "tcp4",
	[VIRTIO_NET_HDR_GSO_TCPV6]: "tcp6",
	[VIRTIO_NET_HDR_GSO_UDP_L4]: "udp",
};
const GSO_TYPES = {
	tcp4: VIRTIO_NET_HDR_GSO_TCPV4,
	tcp6: VIRTIO_NET_HDR_GSO_TCPV6,
	udp: VIRTIO_NET_HDR_GSO_UDP_L4,
} as const;

/** Flags to csum_offset; what tap devices and old legacy drivers have. */
export const SHORT_HEADER_BYTES = 10;
export const HEADER_BYTES = 12;
export const NUM_BUFFERS_OFFSET = 10;

/** What a header says is left to do; undefined for nothing, `"bad"` for nonsense. */
export function readNetHeader(
	header: Uint8Array,
): FrameOffload | undefined | "bad" {
	const view = new DataView(header.buffer, header.byteOffset);
	const gso = view.getUint8(1);
	const type = gso & ~VIRTIO_NET_HDR_GSO_ECN;
	const needsSum = (view.getUint8(0) & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
	if (!needsSum) return type === VIRTIO_NET_HDR_GSO_NONE ? undefined : "bad";
	const sum = {
		checksumStart: view.getUint16(6, true),
		checksumOffset: view.getUint16(8, true),
	};
	if (type === VIRTIO_NET_HDR_GSO_NONE) return sum;
	const kind = KINDS[type];
	const payloadBytes = view.getUint16(4, true);
	if (kind === undefined || payloadBytes === 0) return "bad";
	const ecn = (gso & VIRTIO_NET_HDR_GSO_ECN) !== 0;
	return { ...sum, segments: { kind, payloadBytes, ecn } };
}

/** The header of a frame with this left to do; `frame` for the hint of its headers' length. */
export function writeNetHeader(
	lengthBytes: number,
	offload: FrameOffload | undefined,
	frame: Uint8Array,
): Uint8Array {
	const header = new Uint8Array(lengthBytes);
	if (offload === undefined) return header;
	const view = new DataView(header.buffer);
	const { checksumStart, checksumOffset, segments } = offload;
	view.setUint8(0, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	view.setUint16(6, checksumStart, true);
	view.setUint16(8, checksumOffset, true);
	if (segments === undefined) return header;
	const ecn = segments.ecn ? VIRTIO_NET_HDR_GSO_ECN : 0;
	const transportBytes =
		segments.kind === "udp" ? 8 : ((frame[checksumStart + 12] ?? 0) >>> 4) * 4;
	view.setUint8(1, GSO_TYPES[segments.kind] | ecn);
	view.setUint16(2, checksumStart + transportBytes, true);
	view.setUint16(4, segments.payloadBytes, true);
	return header;
}
