/**
 * The block device (virtio 1.3 §5.2): a disk, on whatever the embedder calls
 * one. Many requests are under way at a time and end in any order; what the
 * backend does at once is answered at once, and what takes time stalls nobody.
 *
 * What the backend has at hand goes from it to the guest's memory and back.
 * Other data go through buffers of ours, a piece at a time: a request may be larger
 * than we care to hold, and after a reset its memory is not ours any more.
 *
 * Relies on a `BlockBackend`; the machine makes it.
 *
 * @journey D:160 The disk
 */

import type { BlockBackend, Completion } from "../backends.ts";
import { featureSet, VIRTIO_ID_BLOCK } from "../constants.ts";
import type { DescriptorChain, Move } from "../descriptor-chain.ts";
import type { DeviceModel, DevicePort } from "../device-model.ts";
import type { Virtqueue } from "../virtqueue.ts";
import {
	type BlockRequest,
	type BlockStatus,
	blockConfig,
	MOST_DATA_BYTES,
	MOST_SEGMENT_SECTORS,
	outgoingData,
	outgoingPieces,
	parseRequest,
	parseSegments,
	QUEUE_SIZE,
	SECTOR_BYTES,
	type Segment,
	VIRTIO_BLK_F_BLK_SIZE,
	VIRTIO_BLK_F_CONFIG_WCE,
	VIRTIO_BLK_F_DISCARD,
	VIRTIO_BLK_F_FLUSH,
	VIRTIO_BLK_F_RO,
	VIRTIO_BLK_F_SEG_MAX,
	VIRTIO_BLK_F_SIZE_MAX,
	VIRTIO_BLK_F_TOPOLOGY,
	VIRTIO_BLK_F_WRITE_ZEROES,
	VIRTIO_BLK_ID_BYTES,
	VIRTIO_BLK_S_IOERR,
	VIRTIO_BLK_S_OK,
	VIRTIO_BLK_S_UNSUPP,
	VIRTIO_BLK_T_DISCARD,
	VIRTIO_BLK_T_FLUSH,
	VIRTIO_BLK_T_GET_ID,
	VIRTIO_BLK_T_IN,
	VIRTIO_BLK_T_OUT,
	VIRTIO_BLK_T_WRITE_ZEROES,
	WRITEBACK_OFFSET,
} from "./block-request.ts";

/** Requests at the backend; each holds a piece of its data. */
const MOST_IN_FLIGHT = 16;
/** One trip to the backend. */
const PIECE_BYTES = 512 * 1024;
/** Buffers kept for later; new ones are made of zeroes, which takes as long as reading. */
const MOST_SPARE_BUFFERS = 8;
/** Smaller pieces get a buffer of their own. */
const LEAST_SPARE_USE_BYTES = 32 * 1024;

const FEATURES = featureSet(
	VIRTIO_BLK_F_SIZE_MAX,
	VIRTIO_BLK_F_SEG_MAX,
	VIRTIO_BLK_F_BLK_SIZE,
	VIRTIO_BLK_F_FLUSH,
	VIRTIO_BLK_F_TOPOLOGY,
	VIRTIO_BLK_F_CONFIG_WCE,
);

/** One request under way. */
interface Job {
	readonly chain: DescriptorChain;
	readonly request: BlockRequest;
	/** Of the writable part, from its start, as far as it has no gap. */
	writtenBytes: number;
}

/** A disk. */
export class Block implements DeviceModel {
	readonly deviceId = VIRTIO_ID_BLOCK;
	readonly features: bigint;
	readonly queueSizes = [QUEUE_SIZE];
	readonly config: Uint8Array;
	readonly #backend: BlockBackend;
	readonly #serial: Uint8Array;
	#port!: DevicePort;
	#inFlight = 0;
	readonly #spareBuffers: Uint8Array[] = [];
	/** Requests from before a reset must land before those from after it. */
	#draining = false;
	#onIdle: (() => void)[] = [];

	/** `serial` identifies the disk to the guest: up to 20 ASCII characters. */
	constructor(backend: BlockBackend, serial: string) {
		this.#backend = backend;
		this.#serial = new Uint8Array(VIRTIO_BLK_ID_BYTES);
		const name = new TextEncoder().encode(serial);
		this.#serial.set(name.subarray(0, VIRTIO_BLK_ID_BYTES));
		this.config = blockConfig(backend);
		this.features = FEATURES | writeFeatures(backend);
	}

	connect(port: DevicePort): void {
		this.#port = port;
	}

	/** §5.2.5.2: a driver that cannot flush must not have to. */
	start(): void {
		const { negotiated } = this.#port;
		const cached =
			negotiated(VIRTIO_BLK_F_FLUSH) || !negotiated(VIRTIO_BLK_F_CONFIG_WCE);
		this.config[WRITEBACK_OFFSET] = cached ? 1 : 0;
	}

	get busy(): boolean {
		return this.#inFlight > 0;
	}

	kicked(): void {
		if (this.#draining) return;
		const queue = this.#port.queue(0);
		while (queue !== undefined && this.#inFlight < MOST_IN_FLIGHT) {
			const chain = queue.pop();
			if (chain === undefined) return;
			const request = parseRequest(chain);
			if (request === undefined) {
				// There is nowhere to put a status.
				this.#port.fail("a block request without header or status");
				return;
			}
			this.#serve(queue, { chain, request, writtenBytes: 0 });
		}
	}

	reset(): void {
		this.#draining = this.#inFlight > 0;
		this.config[WRITEBACK_OFFSET] = 1;
	}

	settle(): Completion {
		if (this.#inFlight === 0) return undefined;
		return new Promise((resolve) => {
			this.#onIdle.push(resolve);
		});
	}

	/** The cache mode is the one thing a driver may change (§5.2.5). */
	writeConfig(offset: number, bytes: Uint8Array): void {
		const [mode] = bytes;
		if (offset !== WRITEBACK_OFFSET || bytes.length !== 1) return;
		if (!this.#port.negotiated(VIRTIO_BLK_F_CONFIG_WCE)) return;
		this.config[WRITEBACK_OFFSET] = mode === 0 ? 0 : 1;
	}

	#serve(queue: Virtqueue, job: Job): void {
		let outcome: BlockStatus | Promise<BlockStatus>;
		try {
			outcome = this.#perform(job);
		} catch {
			outcome = VIRTIO_BLK_S_IOERR;
		}
		if (typeof outcome === "number") {
			finish(queue, job, outcome);
			return;
		}
		this.#inFlight++;
		const done = (status: BlockStatus) => {
			finish(queue, job, status);
			this.#release();
		};
		outcome.then(done, () => done(VIRTIO_BLK_S_IOERR));
	}

	#release(): void {
		this.#inFlight--;
		if (this.#inFlight === 0) {
			this.#draining = false;
			for (const resolve of this.#onIdle.splice(0)) resolve();
		}
		this.kicked();
	}

	#perform(job: Job): BlockStatus | Promise<BlockStatus> {
		switch (job.request.type) {
			case VIRTIO_BLK_T_IN:
				return this.#transfer(job, false);
			case VIRTIO_BLK_T_OUT:
				return this.#transfer(job, true);
			case VIRTIO_BLK_T_FLUSH:
				return succeeded(this.#backend.flush());
			case VIRTIO_BLK_T_GET_ID:
				job.writtenBytes = this.#writeSerial(job);
				return VIRTIO_BLK_S_OK;
			case VIRTIO_BLK_T_DISCARD:
				return this.#clear(job, VIRTIO_BLK_F_DISCARD);
			case VIRTIO_BLK_T_WRITE_ZEROES:
				return this.#clear(job, VIRTIO_BLK_F_WRITE_ZEROES);
			default:
				return VIRTIO_BLK_S_UNSUPP;
		}
	}

	#transfer(job: Job, isWrite: boolean): BlockStatus | Promise<BlockStatus> {
		const { offset, dataBytes } = job.request;
		if (isWrite && this.#backend.readOnly) return VIRTIO_BLK_S_IOERR;
		if (dataBytes > MOST_DATA_BYTES || !this.#contains(offset, dataBytes)) {
			return VIRTIO_BLK_S_IOERR;
		}
		const moveNow = (at: number, bytes: number) =>
			isWrite ? this.#writeNow(job, at, bytes) : this.#readNow(job, at, bytes);
		const move = (at: number, bytes: number): Completion => {
			// One that is the whole request has been tried.
			if (bytes < dataBytes && moveNow(at, bytes)) return undefined;
			return isWrite
				? this.#writeLater(job, at, bytes)
				: this.#readLater(job, at, bytes);
		};
		const isMoved = dataBytes > 0 && moveNow(0, dataBytes);
		const moved = isMoved ? undefined : inPieces(job.chain, dataBytes, move);
		return isWrite ? this.#written(moved) : succeeded(moved);
	}

	/** What is at hand goes to the guest's memory without a buffer between. */
	#readNow(job: Job, at: number, lengthBytes: number): boolean {
		const backend = this.#backend;
		if (backend.readNow === undefined) return false;
		const place = job.request.offset + at;
		const fill: Move = (targets) => backend.readNow?.(place, targets) === true;
		const isDone = job.chain.writable.writeBy(at, lengthBytes, fill);
		if (isDone) job.writtenBytes += lengthBytes;
		return isDone;
	}

	#readLater(job: Job, at: number, lengthBytes: number): Completion {
		const buffer = this.#takeBuffer(lengthBytes);
		const bytes = buffer.subarray(0, lengthBytes);
		const read = this.#backend.read(job.request.offset + at, bytes);
		const deliver = () => {
			job.writtenBytes += job.chain.writable.write(at, bytes);
			this.#keepBuffer(buffer);
		};
		if (read !== undefined) return read.then(deliver);
		deliver();
		return undefined;
	}

	#takeBuffer(lengthBytes: number): Uint8Array {
		if (lengthBytes < LEAST_SPARE_USE_BYTES) return new Uint8Array(lengthBytes);
		return this.#spareBuffers.pop() ?? new Uint8Array(PIECE_BYTES);
	}

	/** After a read that failed nobody calls this: who knows whether it has ended. */
	#keepBuffer(buffer: Uint8Array): void {
		const isSpare = buffer.length === PIECE_BYTES;
		if (isSpare && this.#spareBuffers.length < MOST_SPARE_BUFFERS) {
			this.#spareBuffers.push(buffer);
		}
	}

	#writeNow({ chain, request }: Job, at: number, lengthBytes: number): boolean {
		const backend = this.#backend;
		if (backend.writeNow === undefined) return false;
		const place = request.offset + at;
		const take: Move = (sources) => backend.writeNow?.(place, sources) === true;
		return outgoingPieces(chain, at, lengthBytes, take);
	}

	#writeLater({ chain, request }: Job, at: number, bytes: number): Completion {
		// Of its own: whatever the backend does with it, it may keep it.
		const buffer = new Uint8Array(bytes);
		outgoingData(chain, at, buffer);
		return this.#backend.write(request.offset + at, buffer);
	}

	/** With a writethrough cache the write is on disk before it is done (§5.2.6.2). */
	#written(done: Completion): BlockStatus | Promise<BlockStatus> {
		if (!this.#isWritethrough()) return succeeded(done);
		return succeeded(
			done === undefined
				? this.#backend.flush()
				: done.then(() => this.#backend.flush()),
		);
	}

	#isWritethrough(): boolean {
		const { negotiated } = this.#port;
		return negotiated(VIRTIO_BLK_F_CONFIG_WCE)
			? this.config[WRITEBACK_OFFSET] === 0
			: !negotiated(VIRTIO_BLK_F_FLUSH);
	}

	#writeSerial({ chain, request }: Job): number {
		const room = Math.min(request.dataBytes, this.#serial.length);
		return chain.writable.write(0, this.#serial.subarray(0, room));
	}

	#clear(job: Job, feature: number): BlockStatus | Promise<BlockStatus> {
		if (!this.#port.negotiated(feature)) return VIRTIO_BLK_S_UNSUPP;
		const segments = parseSegments(job.chain);
		if (segments === undefined) return VIRTIO_BLK_S_IOERR;
		const isDiscard = feature === VIRTIO_BLK_F_DISCARD;
		const strange = segments.some(
			({ hasUnknownFlags, mayUnmap }) =>
				hasUnknownFlags || (isDiscard && mayUnmap),
		);
		if (strange) return VIRTIO_BLK_S_UNSUPP;
		if (!segments.every((segment) => this.#isClearable(segment))) {
			return VIRTIO_BLK_S_IOERR;
		}
		return this.#written(
			inTurn(segments, ({ offset, lengthBytes, mayUnmap }) =>
				isDiscard
					? this.#backend.discard?.(offset, lengthBytes)
					: this.#backend.writeZeroes(offset, lengthBytes, mayUnmap),
			),
		);
	}

	#isClearable({ offset, lengthBytes }: Segment): boolean {
		return (
			lengthBytes <= MOST_SEGMENT_SECTORS * SECTOR_BYTES &&
			this.#contains(offset, lengthBytes)
		);
	}

	/** Whole sectors within the disk; a sum beyond 2^53 is still far outside. */
	#contains(offset: number, lengthBytes: number): boolean {
		return (
			lengthBytes % SECTOR_BYTES === 0 &&
			offset + lengthBytes <= this.#backend.sizeBytes
		);
	}
}

function writeFeatures(backend: BlockBackend): bigint {
	if (backend.readOnly) return featureSet(VIRTIO_BLK_F_RO);
	const zeroes = featureSet(VIRTIO_BLK_F_WRITE_ZEROES);
	return backend.discard === undefined
		? zeroes
		: zeroes | featureSet(VIRTIO_BLK_F_DISCARD);
}

/** The status is the last byte; data a failed read did not reach stay out of the length. */
function finish(queue: Virtqueue, job: Job, status: BlockStatus): void {
	const { writable } = job.chain;
	const last = writable.lengthBytes - 1;
	writable.write(last, Uint8Array.of(status));
	const whole = job.writtenBytes === last;
	queue.push(job.chain, whole ? last + 1 : job.writtenBytes);
}

function succeeded(done: Completion): BlockStatus | Promise<BlockStatus> {
	return done === undefined
		? VIRTIO_BLK_S_OK
		: done.then(() => VIRTIO_BLK_S_OK);
}

/** Piece after piece, stopping early when a reset took the chain away. */
function inPieces(
	chain: DescriptorChain,
	totalBytes: number,
	move: (at: number, lengthBytes: number) => Completion,
	start = 0,
): Completion {
	for (let at = start; at < totalBytes && chain.alive; at += PIECE_BYTES) {
		const done = move(at, Math.min(PIECE_BYTES, totalBytes - at));
		if (done !== undefined) {
			return done.then(() =>
				inPieces(chain, totalBytes, move, at + PIECE_BYTES),
			);
		}
	}
	return undefined;
}

/** One after the other; stops at the first that fails. */
function inTurn<Item>(
	items: readonly Item[],
	act: (item: Item) => Completion,
): Completion {
	const [first, ...rest] = items;
	if (first === undefined) return undefined;
	const done = act(first);
	return done === undefined
		? inTurn(rest, act)
		: done.then(() => inTurn(rest, act));
}
