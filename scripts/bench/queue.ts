/**
 * `npm run bench -- --queue`: what a virtqueue costs the device for each
 * buffer: finding it, checking its descriptors, giving it back and asking
 * whether the driver wants to know. The driver's work and the data are not in
 * it. Relies on the kit for authors of devices; `scripts/bench.ts` relies on it.
 */

import type { DeviceModel, DevicePort } from "../../src/index.ts";
import {
	MockDriver,
	type Piece,
	room,
	TestMemory,
	VirtioDevice,
} from "../../src/testing/index.ts";
import {
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED,
} from "../../src/virtio/constants.ts";
import { median } from "./statistics.ts";

const QUEUE_SIZE = 256;
const KICKS = 400;
const MEMORY_BYTES = 128 << 20;

/** Takes buffers and gives them back, and knows how long that took. */
class Returner implements DeviceModel {
	readonly deviceId = 63;
	readonly features = 0n;
	readonly queueSizes = [QUEUE_SIZE];
	readonly config = new Uint8Array(0);
	buffers = 0;
	milliseconds = 0;
	#port!: DevicePort;

	connect(port: DevicePort): void {
		this.#port = port;
	}

	kicked(): void {
		const queue = this.#port.queue(0);
		const started = performance.now();
		for (let chain = queue?.pop(); chain; chain = queue?.pop()) {
			queue?.push(chain, 1);
			this.buffers++;
		}
		this.milliseconds += performance.now() - started;
	}

	reset(): void {}

	writeConfig(): void {}
}

const ONE_PIECE: readonly Piece[] = [room(64)];
/** A block request: header, data, status. */
const THREE_PIECES: readonly Piece[] = [new Uint8Array(16), room(512), room(1)];

const CASES = [
	{ name: "split, one descriptor", accept: [], pieces: ONE_PIECE },
	{ name: "split, chain of three", accept: [], pieces: THREE_PIECES },
	{
		name: "split, indirect table of three",
		accept: [VIRTIO_F_INDIRECT_DESC],
		pieces: THREE_PIECES,
	},
	{
		name: "packed, one descriptor",
		accept: [VIRTIO_F_RING_PACKED],
		pieces: ONE_PIECE,
	},
	{
		name: "packed, indirect table of three",
		accept: [VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC],
		pieces: THREE_PIECES,
	},
] as const;

/** Nanoseconds for each buffer, with a full queue at each kick. */
function measure({ accept, pieces }: (typeof CASES)[number]): number {
	const returner = new Returner();
	const memory = new TestMemory(MEMORY_BYTES);
	const device = new VirtioDevice(returner, memory);
	const driver = MockDriver.started(device, memory, {
		accept: [...accept, VIRTIO_F_EVENT_IDX],
		queueSize: QUEUE_SIZE,
	});
	const queue = driver.queue();
	const isIndirect = accept.some((bit) => bit === VIRTIO_F_INDIRECT_DESC);
	const atOnce = Math.floor(QUEUE_SIZE / (isIndirect ? 1 : pieces.length));
	for (let kick = 0; kick < KICKS; kick++) {
		for (let i = 0; i < atOnce; i++) queue.offer(...pieces);
		queue.kick();
		if (queue.takeUsed().length !== atOnce) throw new Error("buffers are lost");
	}
	return (returner.milliseconds / returner.buffers) * 1e6;
}

/** A table for a terminal: the first round of each case warms up. */
export function benchQueues(rounds: number): string {
	const lines = CASES.map((one) => {
		const figures = Array.from({ length: rounds + 1 }, () => measure(one));
		const nanoseconds = median(figures.slice(1));
		return `${one.name.padEnd(34)}${nanoseconds.toFixed(0).padStart(6)} ns a buffer`;
	});
	return lines.join("\n");
}
