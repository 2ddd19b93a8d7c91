/**
 * The network device (virtio 1.3 §5.1): Ethernet frames out of one queue and
 * into another, each behind a small header. A checksum that the driver leaves
 * to us is put in before the frame leaves, so nobody beyond needs to know.
 *
 * Networks lose frames: what the driver has no buffers for waits for a while,
 * within bounds, and is then dropped, as any network card does.
 *
 * Relies on a `NetBackend`; the machine makes it.
 *
 * @journey D:167 The network card
 */

import type { NetBackend } from "../backends.ts";
import { featureSet, VIRTIO_F_VERSION_1, VIRTIO_ID_NET } from "../constants.ts";
import type { DescriptorChain } from "../descriptor-chain.ts";
import type { DeviceModel, DevicePort } from "../device-model.ts";
import type { Virtqueue } from "../virtqueue.ts";

// Feature bits (§5.1.3).
export const VIRTIO_NET_F_CSUM = 0;
export const VIRTIO_NET_F_MAC = 5;
export const VIRTIO_NET_F_MRG_RXBUF = 15;
export const VIRTIO_NET_F_STATUS = 16;

/** The driver left the checksum to us (§5.1.6). */
const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
/** In the status field: there is a carrier. */
const VIRTIO_NET_S_LINK_UP = 1;

const RECEIVE = 0;
const TRANSMIT = 1;
const QUEUE_SIZE = 256;

/** Flags to csum_offset; legacy drivers without merged buffers have no more. */
const SHORT_HEADER_BYTES = 10;
const HEADER_BYTES = 12;
const NUM_BUFFERS_OFFSET = 10;

const SHORTEST_FRAME = 14;
/** An Ethernet frame with a VLAN tag; there are no larger ones without offloads. */
const LONGEST_FRAME = 1518;
/** Drivers must offer more (§5.1.6.3.1); at this size a frame's count fits a byte. */
const SMALLEST_BUFFER = 12;
/** Frames that wait for the driver. */
const MOST_WAITING = 256;

/** A network card. */
export class Net implements DeviceModel {
	readonly deviceId = VIRTIO_ID_NET;
	readonly features = featureSet(
		VIRTIO_NET_F_CSUM,
		VIRTIO_NET_F_MAC,
		VIRTIO_NET_F_MRG_RXBUF,
		VIRTIO_NET_F_STATUS,
	);
	readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE];
	/** mac (6), status (2). */
	readonly config = new Uint8Array(8);
	/** Frames that were lost for want of buffers, or for being impossible. */
	dropped = 0;
	readonly #backend: NetBackend;
	readonly #waiting: Uint8Array[] = [];
	/** Buffers taken for a frame that needs more. */
	readonly #gathered: DescriptorChain[] = [];
	#port!: DevicePort;
	#started = false;

	/** `mac`: six bytes. */
	constructor(backend: NetBackend, mac: Uint8Array) {
		this.#backend = backend;
		this.config.set(mac.subarray(0, 6));
		this.config[6] = VIRTIO_NET_S_LINK_UP;
	}

	connect(port: DevicePort): void {
		this.#port = port;
		this.#backend.onFrame = (frame) => this.#arrived(frame);
	}

	start(): void {
		this.#started = true;
	}

	kicked(queueIndex: number): void {
		if (queueIndex === RECEIVE) this.#deliver();
		else this.#transmit();
	}

	reset(): void {
		this.#started = false;
		this.#waiting.length = 0;
		this.#gathered.length = 0;
	}

	get #headerBytes(): number {
		const { negotiated } = this.#port;
		return negotiated(VIRTIO_F_VERSION_1) || negotiated(VIRTIO_NET_F_MRG_RXBUF)
			? HEADER_BYTES
			: SHORT_HEADER_BYTES;
	}

	#transmit(): void {
		const queue = this.#port.queue(TRANSMIT);
		for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) {
			const { readable, writable } = chain;
			const headerBytes = this.#headerBytes;
			if (readable.lengthBytes < headerBytes || writable.lengthBytes > 0) {
				this.#port.fail("a transmit buffer that holds no frame");
				return;
			}
			const header = readable.read(0, headerBytes);
			const length = readable.lengthBytes - headerBytes;
			const frame = readable.read(headerBytes, LONGEST_FRAME);
			// Given back first: whoever gets the frame may answer at once.
			queue?.push(chain, 0);
			const good = length >= SHORTEST_FRAME && length <= LONGEST_FRAME;
			if (good && completeChecksum(header, frame)) this.#backend.send(frame);
			else this.dropped++;
		}
	}

	#arrived(frame: Uint8Array): void {
		if (!this.#started) return;
		if (this.#waiting.length === MOST_WAITING || frame.length > LONGEST_FRAME) {
			this.dropped++;
			return;
		}
		this.#waiting.push(frame);
		this.#deliver();
	}

	#deliver(): void {
		const queue = this.#port.queue(RECEIVE);
		while (queue !== undefined) {
			const [frame] = this.#waiting;
			if (frame === undefined) return;
			if (!this.#receive(queue, frame)) return;
			this.#waiting.shift();
		}
	}

	/** False when the driver has no buffer; the frame then waits. */
	#receive(queue: Virtqueue, frame: Uint8Array): boolean {
		const headerBytes = this.#headerBytes;
		const packet = new Uint8Array(headerBytes + frame.length);
		packet.set(frame, headerBytes);
		const mayMerge = this.#port.negotiated(VIRTIO_NET_F_MRG_RXBUF);
		if (!this.#gather(queue, mayMerge ? packet.length : 1)) return false;
		const chains = this.#gathered.splice(0);
		if (!mayMerge && (chains[0]?.writable.lengthBytes ?? 0) < packet.length) {
			// It does not fit and may not be cut; the buffer serves the next frame.
			this.#gathered.push(...chains);
			this.dropped++;
			return true;
		}
		if (headerBytes === HEADER_BYTES)
			packet[NUM_BUFFERS_OFFSET] = chains.length;
		let at = 0;
		for (const chain of chains) {
			const length = chain.writable.write(0, packet.subarray(at));
			at += length;
			queue.push(chain, length);
		}
		return true;
	}

	/** Takes buffers until they have room for `lengthBytes`; false if there are too few. */
	#gather(queue: Virtqueue, lengthBytes: number): boolean {
		const chains = this.#gathered;
		let room = chains.reduce((sum, c) => sum + c.writable.lengthBytes, 0);
		while (room < lengthBytes) {
			const chain = queue.pop();
			if (chain === undefined) return false;
			const { readable, writable } = chain;
			if (readable.lengthBytes > 0 || writable.lengthBytes < SMALLEST_BUFFER) {
				this.#port.fail("a receive buffer that cannot hold a part of a frame");
				return false;
			}
			chains.push(chain);
			room += writable.lengthBytes;
		}
		return true;
	}
}

/**
 * Puts in the checksum that the header asks for: the ones' complement sum from
 * `csum_start` to the end (§5.1.6.2). False when the place is outside the frame.
 */
function completeChecksum(header: Uint8Array, frame: Uint8Array): boolean {
	if (((header[0] ?? 0) & VIRTIO_NET_HDR_F_NEEDS_CSUM) === 0) return true;
	const fields = new DataView(header.buffer, header.byteOffset);
	const start = fields.getUint16(6, true);
	const at = start + fields.getUint16(8, true);
	if (start >= frame.length || at + 2 > frame.length) return false;
	let sum = 0;
	for (let i = start; i < frame.length; i += 2) {
		sum += ((frame[i] ?? 0) << 8) | (frame[i + 1] ?? 0);
	}
	// Two carries suffice: a frame has fewer than 2^16 words.
	sum = (sum & 0xffff) + (sum >>> 16);
	sum = (sum & 0xffff) + (sum >>> 16);
	// UDP knows no checksum 0: there it means "none", and 0xFFFF is as good.
	const checksum = ~sum & 0xffff || 0xffff;
	frame[at] = checksum >>> 8;
	frame[at + 1] = checksum & 0xff;
	return true;
}
