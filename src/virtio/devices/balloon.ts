/**
 * The balloon device (virtio 1.3 §5.5): the guest lists pages that it can do
 * without in one queue, and those that it wants back in another; a third is for
 * figures about its memory. By page reporting it also tells, through another,
 * what happens to be free, which it may use again without a word; by page
 * hinting it does so when asked (`free-page-hints.ts`).
 *
 * Relies on a `MemoryBalloon`; the machine makes it.
 *
 * @journey D:252 The balloon
 */

import { featureSet, VIRTIO_ID_BALLOON } from "../constants.ts";
import type { DescriptorChain } from "../descriptor-chain.ts";
import type { DeviceModel, DevicePort } from "../device-model.ts";
import {
	BALLOON_PAGE_BYTES,
	type BalloonStatistics,
	type MemoryBalloon,
} from "../memory-balloon.ts";
import { FreePageHints } from "./free-page-hints.ts";

// Feature bits (§5.5.3).
export const VIRTIO_BALLOON_F_MUST_TELL_HOST = 0;
export const VIRTIO_BALLOON_F_STATS_VQ = 1;
export const VIRTIO_BALLOON_F_DEFLATE_ON_OOM = 2;
export const VIRTIO_BALLOON_F_FREE_PAGE_HINT = 3;
export const VIRTIO_BALLOON_F_PAGE_POISON = 4;
export const VIRTIO_BALLOON_F_PAGE_REPORTING = 5;

const INFLATE = 0;
const DEFLATE = 1;
const STATISTICS = 2;
/** What the queues from the third on are for (§5.5.2). */
const FURTHER_QUEUES = [
	...[VIRTIO_BALLOON_F_STATS_VQ, VIRTIO_BALLOON_F_FREE_PAGE_HINT],
	VIRTIO_BALLOON_F_PAGE_REPORTING,
];
const QUEUE_SIZE = 128;
const QUEUES = STATISTICS + FURTHER_QUEUES.length;

// The configuration space (§5.5.4).
const CONFIG_BYTES = 16;
const NUM_PAGES = 0;
const ACTUAL = 4;
const FREE_PAGE_HINT_CMD_ID = 8;
const POISON_VAL = 12;

/** A page number in a list. */
const NUMBER_BYTES = 4;
/** Linux lists 256 pages at a time. */
const MOST_NUMBERS = 65_536;

/** tag (2), val (8). */
const STATISTIC_BYTES = 10;
const MOST_STATISTICS = 64;

/** The tags of §5.5.6.4, in their order. */
const STATISTIC_NAMES: readonly (keyof BalloonStatistics)[] = [
	...(["swappedInBytes", "swappedOutBytes", "majorFaults"] as const),
	...(["minorFaults", "freeBytes", "totalBytes", "availableBytes"] as const),
	...(["cacheBytes", "hugePageAllocations", "hugePageFailures"] as const),
];

/** Whoever waits for figures. */
interface Asker {
	resolve(statistics: BalloonStatistics): void;
	reject(reason: Error): void;
}

type Memory = Parameters<MemoryBalloon["attach"]>[1];

/** A balloon. */
export class Balloon implements DeviceModel {
	readonly deviceId = VIRTIO_ID_BALLOON;
	readonly features: bigint;
	readonly queueSizes = Array.from({ length: QUEUES }, () => QUEUE_SIZE);
	/** num_pages (4), actual (4), free_page_hint_cmd_id (4), poison_val (4). */
	readonly config = new Uint8Array(CONFIG_BYTES);
	readonly #balloon: MemoryBalloon;
	readonly #hints: FreePageHints;
	readonly #mostPages: number;
	#port!: DevicePort;
	/** The driver's buffer, which comes back when figures are wanted. */
	#statisticsBuffer: DescriptorChain | undefined;
	readonly #askers: Asker[] = [];
	/** Whether the buffer is with the driver to be filled for the askers. */
	#asked = false;
	#started = false;

	constructor(balloon: MemoryBalloon, memory: Memory) {
		this.#balloon = balloon;
		this.features = featureSet(
			VIRTIO_BALLOON_F_MUST_TELL_HOST,
			VIRTIO_BALLOON_F_STATS_VQ,
			...(balloon.deflatesOnOom ? [VIRTIO_BALLOON_F_DEFLATE_ON_OOM] : []),
			VIRTIO_BALLOON_F_FREE_PAGE_HINT,
			VIRTIO_BALLOON_F_PAGE_POISON,
			VIRTIO_BALLOON_F_PAGE_REPORTING,
		);
		this.#hints = new FreePageHints(balloon, {
			mostBytes: memory.sizeBytes,
			command: (id) => this.#putCommand(id),
			fail: (reason) => this.#port.fail(reason),
		});
		this.#mostPages = Math.floor(memory.sizeBytes / BALLOON_PAGE_BYTES);
		balloon.attach(
			{
				targetChanged: () => this.#putTarget(),
				statistics: () => this.#ask(),
				hints: () => this.#askForHints(),
			},
			memory,
		);
	}

	connect(port: DevicePort): void {
		this.#port = port;
		this.#putTarget();
	}

	start(): void {
		this.#started = true;
		const { negotiated } = this.#port;
		this.#balloon.setTellsFirst(negotiated(VIRTIO_BALLOON_F_MUST_TELL_HOST));
	}

	kicked(queueIndex: number): void {
		if (queueIndex === INFLATE || queueIndex === DEFLATE) {
			this.#takeLists(queueIndex);
			return;
		}
		const role = this.#roleOf(queueIndex);
		if (role === VIRTIO_BALLOON_F_STATS_VQ) {
			this.#takeStatistics();
		} else if (role === VIRTIO_BALLOON_F_FREE_PAGE_HINT) {
			this.#hints.take(this.#port.queue(queueIndex));
		} else {
			this.#takeReports(queueIndex);
		}
	}

	/**
	 * Linux counts queues without those that it has no use for; a driver that
	 * goes by the specification leaves a gap where they would be. What comes in
	 * a queue that is for nothing goes back as it is.
	 */
	#roleOf(queueIndex: number): number | undefined {
		const { negotiated, queue } = this.#port;
		const inUse = FURTHER_QUEUES.filter(negotiated);
		const leavesGaps =
			inUse[0] !== VIRTIO_BALLOON_F_STATS_VQ && queue(STATISTICS) === undefined;
		const index = queueIndex - STATISTICS;
		const role =
			(leavesGaps ? undefined : inUse[index]) ?? FURTHER_QUEUES[index];
		return role !== undefined && negotiated(role) ? role : undefined;
	}

	reset(): void {
		this.#started = false;
		this.#asked = false;
		this.#statisticsBuffer = undefined;
		this.#view().setUint32(ACTUAL, 0, true);
		this.#view().setUint32(POISON_VAL, 0, true);
		this.#balloon.empty();
		this.#hints.reset();
		const error = new Error("the guest's balloon driver has started over");
		for (const { reject } of this.#askers.splice(0)) reject(error);
	}

	/** `actual` and `poison_val` are the driver's to write (§5.5.4). */
	writeConfig(offset: number, bytes: Uint8Array): void {
		const end = offset + bytes.length;
		const isActual = offset >= ACTUAL && end <= ACTUAL + NUMBER_BYTES;
		const isPoison = offset >= POISON_VAL && end <= CONFIG_BYTES;
		if (!isActual && !isPoison) return;
		this.config.set(bytes, offset);
		// Legacy drivers write it a byte at a time, the highest last (§5.5.6.3).
		if (isActual && end === ACTUAL + NUMBER_BYTES) {
			const pages = this.#view().getUint32(ACTUAL, true);
			this.#balloon.setActual(pages * BALLOON_PAGE_BYTES);
		}
	}

	#view(): DataView {
		return new DataView(this.config.buffer);
	}

	#putTarget(): void {
		const pages = Math.floor(this.#balloon.targetBytes / BALLOON_PAGE_BYTES);
		const target = Math.min(pages, this.#mostPages);
		this.#view().setUint32(NUM_PAGES, target, true);
		this.#port?.configChanged();
	}

	#putCommand(id: number): void {
		this.#view().setUint32(FREE_PAGE_HINT_CMD_ID, id, true);
		this.#port.configChanged();
	}

	#askForHints(): Promise<void> {
		const hints =
			this.#started && this.#port.negotiated(VIRTIO_BALLOON_F_FREE_PAGE_HINT);
		return hints
			? this.#hints.request()
			: Promise.reject(new Error("the guest's driver gives no hints"));
	}

	/** Pages for the balloon, or from it. */
	#takeLists(queueIndex: number): void {
		const queue = this.#port.queue(queueIndex);
		for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) {
			const { readable, writable } = chain;
			const { lengthBytes } = readable;
			const isList =
				writable.lengthBytes === 0 &&
				lengthBytes % NUMBER_BYTES === 0 &&
				lengthBytes <= MOST_NUMBERS * NUMBER_BYTES;
			if (!isList) {
				this.#port.fail("a balloon buffer that is no list of pages");
				return;
			}
			const view = new DataView(readable.read(0, lengthBytes).buffer);
			for (let at = 0; at < lengthBytes; at += NUMBER_BYTES) {
				const page = view.getUint32(at, true);
				if (queueIndex === INFLATE) this.#balloon.take(page);
				else this.#balloon.giveBack(page);
			}
			queue?.push(chain, 0);
		}
		this.#balloon.onChange();
	}

	/** The buffer that waits for a question, or has the answer to one. */
	#takeStatistics(): void {
		const queue = this.#port.queue(STATISTICS);
		const chain = queue?.pop();
		if (chain === undefined) return;
		// Looking again also tells the driver to kick for the next one.
		if (this.#statisticsBuffer !== undefined || queue?.pop() !== undefined) {
			this.#port.fail("a second buffer for balloon statistics");
			return;
		}
		this.#statisticsBuffer = chain;
		// The first is filled before anybody has asked; some drivers leave it empty.
		if (this.#asked) {
			this.#asked = false;
			const statistics = parseStatistics(chain);
			for (const { resolve } of this.#askers.splice(0)) resolve(statistics);
		}
		this.#askDriver();
	}

	#ask(): Promise<BalloonStatistics> {
		const tells =
			this.#started && this.#port.negotiated(VIRTIO_BALLOON_F_STATS_VQ);
		if (!tells) {
			return Promise.reject(
				new Error("the guest's driver tells nothing of its memory"),
			);
		}
		return new Promise((resolve, reject) => {
			this.#askers.push({ resolve, reject });
			this.#askDriver();
		});
	}

	#askDriver(): void {
		const chain = this.#statisticsBuffer;
		if (chain === undefined || this.#askers.length === 0) return;
		this.#asked = true;
		this.#statisticsBuffer = undefined;
		this.#port.queue(STATISTICS)?.push(chain, 0);
	}

	/** The buffers are the pages themselves. */
	#takeReports(queueIndex: number): void {
		const { negotiated } = this.#port;
		const queue = this.#port.queue(queueIndex);
		const mayWipe =
			negotiated(VIRTIO_BALLOON_F_PAGE_REPORTING) &&
			this.#view().getUint32(POISON_VAL, true) === 0;
		let roomBytes = this.#mostPages * BALLOON_PAGE_BYTES;
		for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) {
			roomBytes -= chain.writable.lengthBytes;
			if (chain.readable.lengthBytes > 0 || roomBytes < 0) {
				this.#port.fail("a report of more free memory than there is");
				return;
			}
			// A guest that fills its free pages with something else keeps them so.
			if (mayWipe) {
				chain.writable.clear();
				this.#balloon.report(chain.writable.lengthBytes);
			}
			queue?.push(chain, 0);
		}
	}
}

/** Entries in any order; those with other tags are for newer devices. */
function parseStatistics({ readable }: DescriptorChain): BalloonStatistics {
	const bytes = readable.read(0, STATISTIC_BYTES * MOST_STATISTICS);
	const view = new DataView(bytes.buffer);
	const statistics: Partial<Record<keyof BalloonStatistics, number>> = {};
	for (
		let at = 0;
		at + STATISTIC_BYTES <= bytes.length;
		at += STATISTIC_BYTES
	) {
		const name = STATISTIC_NAMES[view.getUint16(at, true)];
		if (name !== undefined) {
			statistics[name] = Number(view.getBigUint64(at + 2, true));
		}
	}
	return statistics;
}
