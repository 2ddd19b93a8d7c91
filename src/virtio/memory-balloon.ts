/**
 * A guest's memory balloon, as the embedder sees it: how much memory the guest
 * is asked to do without, how much it has handed over, and what it says about
 * the rest. It outlives machine resets, after which the guest starts with all
 * its memory and is asked again.
 *
 * What a guest hands over cannot be given back to the system: WebAssembly has no
 * way to say so of a part of its memory. The pages are made zero, and counted;
 * what is written later (a snapshot) need not hold them. Pages that were never
 * touched cost nothing in the first place, and stay untouched.
 *
 * What a guest hints is another matter. It may have taken a hinted page back and
 * written to it before the hint arrives, and only a log of who has written where
 * since the question could tell. There is none, so hints are counted, and no
 * byte of a hinted page is changed or left out anywhere.
 *
 * Relies on guest memory; the embedder makes one, and the balloon device uses
 * it.
 *
 * @journey D:250 Memory that comes back
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import { PageSet } from "./page-set.ts";

/** The device's pages, whatever pages the guest's processor has (virtio 1.3 §5.5.6). */
export const BALLOON_PAGE_BYTES = 4096;

/** What a guest tells of its memory; drivers leave out what they do not know. */
export interface BalloonStatistics {
	readonly swappedInBytes?: number;
	readonly swappedOutBytes?: number;
	readonly majorFaults?: number;
	readonly minorFaults?: number;
	readonly freeBytes?: number;
	readonly totalBytes?: number;
	/** For new programs, without swapping. */
	readonly availableBytes?: number;
	readonly cacheBytes?: number;
	readonly hugePageAllocations?: number;
	readonly hugePageFailures?: number;
}

/** A balloon, as it stands. */
export interface BalloonState {
	readonly targetBytes: number;
	readonly returnedBytes: number;
	readonly actualBytes: number;
	readonly reportedBytes: number;
	readonly hintedBytes: number;
	/** Undefined where the guest has no driver that tells. */
	readonly guest: BalloonStatistics | undefined;
}

/** The device, as the balloon sees it; a new one after each machine reset. */
export interface BalloonPort {
	targetChanged(): void;
	statistics(): Promise<BalloonStatistics>;
	/** Resolves when the driver has no more hints. */
	hints(): Promise<void>;
}

/** How a balloon begins. */
export interface MemoryBalloonOptions {
	/** What the guest is asked for at first; default 0. */
	readonly targetBytes?: number;
	/**
	 * Whether the guest may take memory back rather than kill a program for want
	 * of it; default: no. Linux then counts what is in the balloon as its own.
	 */
	readonly deflatesOnOom?: boolean;
}

/** Make one and give it to a machine. */
export class MemoryBalloon {
	/** Told when the guest has handed over memory, or taken some back. */
	onChange: () => void = () => {};
	readonly deflatesOnOom: boolean;
	#targetBytes: number;
	#port: BalloonPort | undefined;
	#memory: GuestMemory | undefined;
	/** In the balloon. */
	#pages = new PageSet(0);
	/** Hinted since the last question. */
	#hinted = new PageSet(0);
	#tellsFirst = false;
	#actualBytes = 0;
	#reportedBytes = 0;

	constructor(options: MemoryBalloonOptions = {}) {
		this.#targetBytes = options.targetBytes ?? 0;
		this.deflatesOnOom = options.deflatesOnOom ?? false;
	}

	/** What the guest is asked to hand over, in all. */
	get targetBytes(): number {
		return this.#targetBytes;
	}

	/** The guest sees to it in its own time. */
	set targetBytes(bytes: number) {
		if (!Number.isSafeInteger(bytes) || bytes < 0) {
			throw new RangeError(`a balloon of ${bytes} bytes`);
		}
		this.#targetBytes = bytes;
		this.#port?.targetChanged();
	}

	/** In the balloon now: each page counted once. */
	get returnedBytes(): number {
		return this.#pages.size * BALLOON_PAGE_BYTES;
	}

	/** In the balloon as the driver says; it may speak later than it acts. */
	get actualBytes(): number {
		return this.#actualBytes;
	}

	/** Handed over for the moment, by page reporting, ever since the guest began. */
	get reportedBytes(): number {
		return this.#reportedBytes;
	}

	/**
	 * Said to be free in answer to the last `requestHints`, each page once. The
	 * guest may long be using it again.
	 */
	get hintedBytes(): number {
		return this.#hinted.size * BALLOON_PAGE_BYTES;
	}

	/**
	 * Has the guest hint what it has free, and gives how much that is. Linux
	 * hints whole blocks of its largest order, 4 MiB on 32-bit x86, and does
	 * without them until it has hinted the last. Rejects as `statistics` does.
	 */
	async requestHints(): Promise<number> {
		if (this.#port === undefined) throw new Error("the balloon has no guest");
		await this.#port.hints();
		return this.hintedBytes;
	}

	/** Rejects when the guest has no driver that tells, or starts over. */
	async statistics(): Promise<BalloonStatistics> {
		if (this.#port === undefined) throw new Error("the balloon has no guest");
		return this.#port.statistics();
	}

	/** Everything there is to know, with the guest's figures if it has some. */
	async state(): Promise<BalloonState> {
		const guest = await this.statistics().catch(() => undefined);
		const { targetBytes, returnedBytes, actualBytes } = this;
		const { reportedBytes, hintedBytes } = this;
		return {
			...{ targetBytes, returnedBytes, actualBytes },
			...{ reportedBytes, hintedBytes, guest },
		};
	}

	/**
	 * Whether a page's contents do not matter: it is in the balloon, and the
	 * driver has promised to tell before it uses it again. One that breaks its
	 * word costs only its own guest.
	 */
	isReturned(address: number): boolean {
		const page = Math.floor(address / BALLOON_PAGE_BYTES);
		return this.#tellsFirst && this.#pages.has(page);
	}

	/** The device calls it when it is made: a new life, with an empty balloon. */
	attach(port: BalloonPort, memory: GuestMemory): void {
		this.#port = port;
		this.#memory = memory;
		this.empty();
	}

	/** The device calls it: the driver has started over and owns everything. */
	empty(): void {
		this.#pages = this.#noPages();
		this.beginHints();
		this.#reportedBytes = 0;
		this.setActual(0);
	}

	/** The device calls it: whether the driver tells before it uses a page again. */
	setTellsFirst(tellsFirst: boolean): void {
		this.#tellsFirst = tellsFirst;
	}

	/** The device calls it: page number `page` is the balloon's. */
	take(page: number): void {
		const memory = this.#memory;
		const address = page * BALLOON_PAGE_BYTES;
		if (!memory?.contains(address, BALLOON_PAGE_BYTES)) return;
		memory.clear(address, BALLOON_PAGE_BYTES);
		this.#pages.add(page);
	}

	/** The device calls it: the page is the guest's again. */
	giveBack(page: number): void {
		this.#pages.delete(page);
	}

	/** The device calls it: that much was free a moment ago, and is zero now. */
	report(bytes: number): void {
		this.#reportedBytes += bytes;
	}

	/** The device calls it: what follows answers a new question. */
	beginHints(): void {
		this.#hinted = this.#noPages();
	}

	/** The device calls it: the whole pages of that range may be free. */
	hint(address: number, lengthBytes: number): void {
		const end = Math.floor((address + lengthBytes) / BALLOON_PAGE_BYTES);
		let page = Math.ceil(address / BALLOON_PAGE_BYTES);
		for (; page < end; page++) this.#hinted.add(page);
	}

	/** The device calls it with what the driver says. */
	setActual(bytes: number): void {
		this.#actualBytes = bytes;
		this.onChange();
	}

	#noPages(): PageSet {
		const sizeBytes = this.#memory?.sizeBytes ?? 0;
		return new PageSet(Math.ceil(sizeBytes / BALLOON_PAGE_BYTES));
	}
}
