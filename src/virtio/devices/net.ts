/**
 * The network device (virtio 1.3 §5.1): Ethernet frames out of one queue and
 * into another, each behind a small header, and orders on a third. What a
 * driver leaves to us, a checksum or the cutting of a large frame into small
 * ones, is passed on to whoever can take it and done by us for everybody else;
 * the same on the way in.
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
import {
	ETHERNET_HEADER_BYTES,
	type FrameOffload,
	finishFrame,
	LONGEST_LARGE_FRAME,
	VLAN_TAG_BYTES,
} from "../frame-offload.ts";
import type { Virtqueue } from "../virtqueue.ts";
import { isOrder, type NetControls, obey } from "./net-control.ts";
import { NetFilter } from "./net-filter.ts";
import {
	HEADER_BYTES,
	MTU_OFFSET,
	NET_CONFIG_BYTES,
	NUM_BUFFERS_OFFSET,
	readNetHeader,
	SHORT_HEADER_BYTES,
	STATUS_OFFSET,
	VIRTIO_NET_F_CSUM,
	VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
	VIRTIO_NET_F_CTRL_MAC_ADDR,
	VIRTIO_NET_F_CTRL_RX,
	VIRTIO_NET_F_CTRL_RX_EXTRA,
	VIRTIO_NET_F_CTRL_VLAN,
	VIRTIO_NET_F_CTRL_VQ,
	VIRTIO_NET_F_GUEST_ANNOUNCE,
	VIRTIO_NET_F_GUEST_CSUM,
	VIRTIO_NET_F_GUEST_ECN,
	VIRTIO_NET_F_GUEST_TSO4,
	VIRTIO_NET_F_GUEST_TSO6,
	VIRTIO_NET_F_GUEST_USO4,
	VIRTIO_NET_F_GUEST_USO6,
	VIRTIO_NET_F_HOST_ECN,
	VIRTIO_NET_F_HOST_TSO4,
	VIRTIO_NET_F_HOST_TSO6,
	VIRTIO_NET_F_HOST_USO,
	VIRTIO_NET_F_MAC,
	VIRTIO_NET_F_MRG_RXBUF,
	VIRTIO_NET_F_MTU,
	VIRTIO_NET_F_STATUS,
	VIRTIO_NET_S_ANNOUNCE,
	VIRTIO_NET_S_LINK_UP,
	writeNetHeader,
} from "./net-header.ts";

const RECEIVE = 0;
const TRANSMIT = 1;
const CONTROL = 2;
const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;

const SHORTEST_FRAME = ETHERNET_HEADER_BYTES;
const USUAL_MTU_BYTES = 1500;
/** Drivers must offer more (§5.1.6.3.1); a smaller one could not hold a header. */
const SMALLEST_BUFFER = 12;
/** Frames that wait for the driver, and what they hold. */
const MOST_WAITING = 256;
const MOST_WAITING_BYTES = 4 << 20;

/** What `CTRL_GUEST_OFFLOADS` may switch. */
const GUEST_OFFLOADS = featureSet(
	...[VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_ECN],
	...[VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6],
	...[VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6],
);
const PLAIN_FEATURES = featureSet(
	...[VIRTIO_NET_F_MAC, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_STATUS],
);
/** Of the control queue, and of what is ordered or answered by it. */
const CONTROL_FEATURES = featureSet(
	...[VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_RX_EXTRA],
	...[VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_MAC_ADDR],
	VIRTIO_NET_F_GUEST_ANNOUNCE,
);
const OFFLOADS =
	GUEST_OFFLOADS |
	featureSet(
		...[VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6],
		...[VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_USO],
	);

/** What a card may do without. */
export interface NetOptions {
	/** False: the driver does everything itself. */
	readonly offloads?: boolean;
	/** False: two queues and no more, for guests in which interrupts are few. */
	readonly control?: boolean;
}

function featuresOf({ offloads = true, control = true }: NetOptions): bigint {
	return (
		PLAIN_FEATURES |
		(offloads ? OFFLOADS : 0n) |
		(control ? CONTROL_FEATURES : 0n) |
		(offloads && control ? featureSet(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) : 0n)
	);
}

/** A frame on its way to the driver. */
interface Arrival {
	readonly frame: Uint8Array;
	readonly offload: FrameOffload | undefined;
}

/** A network card. */
export class Net implements DeviceModel {
	readonly deviceId = VIRTIO_ID_NET;
	readonly features: bigint;
	readonly queueSizes: readonly number[];
	readonly config = new Uint8Array(NET_CONFIG_BYTES);
	/** Frames that were lost for want of buffers, or for being impossible. */
	dropped = 0;
	readonly #backend: NetBackend;
	readonly #mac: Uint8Array;
	readonly #longestFrame: number;
	readonly #waiting: Arrival[] = [];
	#waitingBytes = 0;
	/** Buffers taken for a frame that needs more. */
	readonly #gathered: DescriptorChain[] = [];
	#filter = new NetFilter();
	/** Of the offloads negotiated, those that the driver has not switched off. */
	#guestOffloads = GUEST_OFFLOADS;
	#port!: DevicePort;
	#started = false;

	/** `mac`: six bytes. */
	constructor(backend: NetBackend, mac: Uint8Array, options: NetOptions = {}) {
		this.#backend = backend;
		this.#mac = mac.slice(0, 6);
		const { mtuBytes } = backend;
		this.features =
			featuresOf(options) |
			(mtuBytes === undefined ? 0n : featureSet(VIRTIO_NET_F_MTU));
		const queueSizes = [QUEUE_SIZE, QUEUE_SIZE, CONTROL_QUEUE_SIZE];
		this.queueSizes =
			options.control === false ? queueSizes.slice(0, CONTROL) : queueSizes;
		const mtu = mtuBytes ?? USUAL_MTU_BYTES;
		this.#longestFrame = ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES + mtu;
		new DataView(this.config.buffer).setUint16(MTU_OFFSET, mtu, true);
		this.#resetConfig();
	}

	connect(port: DevicePort): void {
		this.#port = port;
		this.#backend.onFrame = (frame, offload) => this.#arrived(frame, offload);
		this.#backend.onLinkChange = () => this.#linkChanged();
	}

	start(): void {
		this.#started = true;
	}

	kicked(queueIndex: number): void {
		if (queueIndex === RECEIVE) this.#deliver();
		else if (queueIndex === TRANSMIT) this.#transmit();
		else if (queueIndex === CONTROL) this.#control();
	}

	reset(): void {
		this.#started = false;
		this.#waiting.length = 0;
		this.#waitingBytes = 0;
		this.#gathered.length = 0;
		this.#filter = new NetFilter();
		this.#guestOffloads = GUEST_OFFLOADS;
		this.#resetConfig();
	}

	/** Old drivers write their address here; newer ones send an order (§5.1.4). */
	writeConfig(offset: number, bytes: Uint8Array): void {
		const isAddress = offset + bytes.length <= this.#mac.length;
		if (!isAddress || this.#port.negotiated(VIRTIO_F_VERSION_1)) return;
		this.config.set(bytes, offset);
	}

	get #headerBytes(): number {
		const { negotiated } = this.#port;
		return negotiated(VIRTIO_F_VERSION_1) || negotiated(VIRTIO_NET_F_MRG_RXBUF)
			? HEADER_BYTES
			: SHORT_HEADER_BYTES;
	}

	#resetConfig(): void {
		this.config.set(this.#mac);
		this.config[STATUS_OFFSET] = this.#carrier;
	}

	get #carrier(): number {
		return this.#backend.linkUp === false ? 0 : VIRTIO_NET_S_LINK_UP;
	}

	/** A cable that is plugged in again may lead elsewhere: the driver should say who it is. */
	#linkChanged(): void {
		const announces =
			this.#carrier !== 0 && this.#port.negotiated(VIRTIO_NET_F_GUEST_ANNOUNCE);
		const announce = announces ? VIRTIO_NET_S_ANNOUNCE : 0;
		this.config[STATUS_OFFSET] = this.#carrier | announce;
		this.#port.configChanged();
	}

	#control(): void {
		const { negotiated } = this.#port;
		const controls: NetControls = {
			filter: this.#filter,
			negotiated: (feature) => negotiated(feature),
			setAddress: (address) => this.config.set(address),
			announced: () => {
				this.config[STATUS_OFFSET] = this.#carrier;
			},
			setGuestOffloads: (features) => this.#setGuestOffloads(features),
		};
		const queue = this.#port.queue(CONTROL);
		for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) {
			if (!isOrder(chain)) {
				this.#port.fail("an order without a command, or room for an answer");
				return;
			}
			queue?.push(chain, obey(chain, controls));
		}
	}

	#setGuestOffloads(features: bigint): boolean {
		for (let feature = 0; feature < 64; feature++) {
			if (((features >> BigInt(feature)) & 1n) === 0n) continue;
			const isOffload = (GUEST_OFFLOADS & featureSet(feature)) !== 0n;
			if (!isOffload || !this.#port.negotiated(feature)) return false;
		}
		this.#guestOffloads = features;
		return true;
	}

	#transmit(): void {
		const queue = this.#port.queue(TRANSMIT);
		const headerBytes = this.#headerBytes;
		for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) {
			const { readable, writable } = chain;
			if (readable.lengthBytes < headerBytes || writable.lengthBytes > 0) {
				this.#port.fail("a transmit buffer that holds no frame");
				return;
			}
			const header = readable.read(0, headerBytes);
			const length = readable.lengthBytes - headerBytes;
			const offload = readNetHeader(header);
			const longest = this.#longestOutgoing(offload);
			const fits = length >= SHORTEST_FRAME && length <= longest;
			const frame = fits ? readable.read(headerBytes, length) : undefined;
			// Given back first: whoever gets the frame may answer at once.
			queue?.push(chain, 0);
			if (frame === undefined || offload === "bad") this.dropped++;
			else this.#send(frame, offload);
		}
	}

	/** Zero for what the driver has not negotiated (§5.1.6.2.1). */
	#longestOutgoing(offload: FrameOffload | undefined | "bad"): number {
		if (offload === "bad") return 0;
		const segments = offload?.segments;
		if (segments === undefined) return this.#longestFrame;
		const feature = {
			tcp4: VIRTIO_NET_F_HOST_TSO4,
			tcp6: VIRTIO_NET_F_HOST_TSO6,
			udp: VIRTIO_NET_F_HOST_USO,
		}[segments.kind];
		return this.#port.negotiated(feature) ? LONGEST_LARGE_FRAME : 0;
	}

	#send(frame: Uint8Array, offload: FrameOffload | undefined): void {
		if (this.#backend.takesOffloads) {
			this.#backend.send(frame, offload);
			return;
		}
		const frames = finishFrame(frame, offload);
		if (frames === undefined) this.dropped++;
		for (const one of frames ?? []) this.#backend.send(one);
	}

	#arrived(frame: Uint8Array, offload?: FrameOffload): void {
		if (!this.#started) return;
		const filtersVlans = this.#port.negotiated(VIRTIO_NET_F_CTRL_VLAN);
		if (!this.#filter.wants(frame, this.config, filtersVlans)) return;
		if (this.#takes(offload)) this.#enqueue(frame, offload);
		else {
			const frames = finishFrame(frame, offload);
			if (frames === undefined) this.dropped++;
			for (const one of frames ?? []) this.#enqueue(one, undefined);
		}
		this.#deliver();
	}

	/** Whether the driver does itself what is left to do. */
	#takes(offload: FrameOffload | undefined): boolean {
		if (offload === undefined) return true;
		const has = (feature: number) =>
			this.#port.negotiated(feature) &&
			(this.#guestOffloads & featureSet(feature)) !== 0n;
		if (!has(VIRTIO_NET_F_GUEST_CSUM)) return false;
		const { segments } = offload;
		if (segments === undefined) return true;
		if (segments.ecn && !has(VIRTIO_NET_F_GUEST_ECN)) return false;
		switch (segments.kind) {
			case "tcp4":
				return has(VIRTIO_NET_F_GUEST_TSO4);
			case "tcp6":
				return has(VIRTIO_NET_F_GUEST_TSO6);
			default:
				return has(VIRTIO_NET_F_GUEST_USO4) && has(VIRTIO_NET_F_GUEST_USO6);
		}
	}

	#enqueue(frame: Uint8Array, offload: FrameOffload | undefined): void {
		const longest =
			offload?.segments === undefined
				? this.#longestFrame
				: LONGEST_LARGE_FRAME;
		const isFull =
			this.#waiting.length >= MOST_WAITING ||
			this.#waitingBytes + frame.length > MOST_WAITING_BYTES;
		if (isFull || frame.length > longest) {
			this.dropped++;
			return;
		}
		this.#waiting.push({ frame, offload });
		this.#waitingBytes += frame.length;
	}

	#deliver(): void {
		const queue = this.#port.queue(RECEIVE);
		while (queue !== undefined) {
			const [arrival] = this.#waiting;
			if (arrival === undefined || !this.#receive(queue, arrival)) return;
			this.#waiting.shift();
			this.#waitingBytes -= arrival.frame.length;
		}
	}

	/** False when the driver has no buffer; the frame then waits. */
	#receive(queue: Virtqueue, { frame, offload }: Arrival): boolean {
		const headerBytes = this.#headerBytes;
		const length = headerBytes + frame.length;
		const mayMerge = this.#port.negotiated(VIRTIO_NET_F_MRG_RXBUF);
		const room = this.#gather(queue, mayMerge ? length : 1);
		if (room === undefined) return false;
		if (room < length) {
			// It does not fit and may not be cut, or no queue is long enough for
			// it; the buffers serve the next frame.
			this.dropped++;
			return true;
		}
		const chains = this.#gathered.splice(0);
		const header = writeNetHeader(headerBytes, offload, frame);
		if (headerBytes === HEADER_BYTES) {
			header[NUM_BUFFERS_OFFSET] = chains.length;
			header[NUM_BUFFERS_OFFSET + 1] = chains.length >>> 8;
		}
		this.#fill(queue, chains, header, frame);
		return true;
	}

	/** Header and frame, over as many buffers as there are; the header fits the first. */
	#fill(
		queue: Virtqueue,
		chains: readonly DescriptorChain[],
		header: Uint8Array,
		frame: Uint8Array,
	): void {
		let at = 0;
		let start = 0;
		for (const [index, chain] of chains.entries()) {
			if (index === 0) start = chain.writable.write(0, header);
			const length = chain.writable.write(start, frame.subarray(at));
			at += length;
			queue.push(chain, start + length);
			start = 0;
		}
	}

	/**
	 * Takes buffers until they have room for `lengthBytes`, or are all there can
	 * be; their room. Undefined if there are too few for now.
	 */
	#gather(queue: Virtqueue, lengthBytes: number): number | undefined {
		const chains = this.#gathered;
		let room = chains.reduce((sum, c) => sum + c.writable.lengthBytes, 0);
		while (room < lengthBytes && chains.length < queue.size) {
			const chain = queue.pop();
			if (chain === undefined) return undefined;
			const { readable, writable } = chain;
			if (readable.lengthBytes > 0 || writable.lengthBytes < SMALLEST_BUFFER) {
				this.#port.fail("a receive buffer that cannot hold a part of a frame");
				return undefined;
			}
			chains.push(chain);
			room += writable.lengthBytes;
		}
		return room;
	}
}
