/**
 * Free page hinting (virtio 1.3 §5.5.6.5), one part of the balloon: the device
 * asks by a number in its configuration space, its *command*, and the driver
 * answers in a queue of its own: first the command, then free pages, as the
 * writable parts of buffers, and at last STOP. Then the device says DONE, and
 * the driver may let go of the pages, which it has kept away from everybody
 * until then if it could. It need not: it may have released a page, and somebody
 * may have filled it, before we see the hint, which is why pages are counted
 * here and never written.
 *
 * Relies on a `MemoryBalloon`; the balloon device uses it.
 *
 * @journey D:251 A hint is only a hint
 */

import type { MemoryBalloon } from "../memory-balloon.ts";
import type { Virtqueue } from "../virtqueue.ts";

// Commands with a meaning of their own; the others are rounds of hinting.
export const VIRTIO_BALLOON_CMD_ID_STOP = 0;
export const VIRTIO_BALLOON_CMD_ID_DONE = 1;
const FIRST_ROUND = 2;
const LAST_ROUND = 0xffff_ffff;

/** A command in the queue (§5.5.6.5.1). */
const COMMAND_BYTES = 4;

/** The device around it. */
export interface HintingDevice {
	/** More than this at one kick is no honest hint. */
	readonly mostBytes: number;
	/** Puts a command where the driver finds it, and tells the driver. */
	command(id: number): void;
	fail(reason: string): void;
}

/** Whoever waits for the end of a round. */
interface Asker {
	resolve(): void;
	reject(reason: Error): void;
}

/** Asks for hints and takes them, one round at a time. */
export class FreePageHints {
	readonly #balloon: MemoryBalloon;
	readonly #device: HintingDevice;
	#askers: Asker[] = [];
	#lastRound = FIRST_ROUND - 1;
	/** The driver has named this round: what it offers belongs to it. */
	#begun = false;

	constructor(balloon: MemoryBalloon, device: HintingDevice) {
		this.#balloon = balloon;
		this.#device = device;
	}

	/**
	 * Resolves at the end of a round, a new one unless one is under way. Only the
	 * driver's STOP ends one, so no number is used again before that (§5.5.6.5.2).
	 */
	request(): Promise<void> {
		const isFirst = this.#askers.length === 0;
		return new Promise((resolve, reject) => {
			this.#askers.push({ resolve, reject });
			if (isFirst) this.#beginRound();
		});
	}

	/** Commands and pages, in the order in which the driver has offered them. */
	take(queue: Virtqueue | undefined): void {
		let roomBytes = this.#device.mostBytes;
		for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) {
			const { readable, writable } = chain;
			roomBytes -= writable.lengthBytes;
			if (readable.lengthBytes > 0) {
				if (
					readable.lengthBytes !== COMMAND_BYTES ||
					writable.lengthBytes > 0
				) {
					this.#device.fail("a balloon hint that is no command and no page");
					return;
				}
				const bytes = readable.read(0, COMMAND_BYTES);
				this.#hear(new DataView(bytes.buffer).getUint32(0, true));
			} else if (roomBytes < 0) {
				this.#device.fail("hints of more free memory than there is");
				return;
			} else if (this.#begun) {
				writable.forEachPiece((...range) => this.#balloon.hint(...range));
			}
			queue?.push(chain, 0);
		}
	}

	/** The driver has started over: nothing is hinted, nothing is asked. */
	reset(): void {
		this.#begun = false;
		this.#device.command(VIRTIO_BALLOON_CMD_ID_STOP);
		const error = new Error("the guest's balloon driver has started over");
		for (const { reject } of this.#askers.splice(0)) reject(error);
	}

	#beginRound(): void {
		this.#lastRound =
			this.#lastRound === LAST_ROUND ? FIRST_ROUND : this.#lastRound + 1;
		this.#balloon.beginHints();
		this.#device.command(this.#lastRound);
	}

	/** What follows counts only if it belongs to the round that was asked for. */
	#hear(command: number): void {
		const isEnd = this.#begun && command === VIRTIO_BALLOON_CMD_ID_STOP;
		this.#begun = this.#askers.length > 0 && command === this.#lastRound;
		if (!isEnd) return;
		this.#device.command(VIRTIO_BALLOON_CMD_ID_DONE);
		for (const { resolve } of this.#askers.splice(0)) resolve();
	}
}
