/**
 * A block backend whose every answer the test gives itself: late, out of order
 * or as a failure. It remembers what it was asked.
 */

import type { BlockBackend, Completion } from "../../src/virtio/backends.ts";
import { MemoryDisk } from "../../src/virtio/memory-disk.ts";

/** One call that has not been answered. */
export interface PendingCall {
	readonly what: string;
	succeed(): Promise<void>;
	fail(): Promise<void>;
}

/** Answers when told to. */
export class FakeDisk implements BlockBackend {
	readonly sizeBytes: number;
	readonly readOnly: boolean;
	readonly contents: MemoryDisk;
	readonly pending: PendingCall[] = [];
	/** Everything asked, answered or not. */
	readonly log: string[] = [];

	constructor(sizeBytes: number, readOnly = false) {
		this.sizeBytes = sizeBytes;
		this.readOnly = readOnly;
		this.contents = new MemoryDisk(sizeBytes);
	}

	read(offset: number, target: Uint8Array): Completion {
		return this.#ask(`read ${offset}+${target.length}`, () => {
			this.contents.read(offset, target);
		});
	}

	write(offset: number, source: Uint8Array): Completion {
		return this.#ask(`write ${offset}+${source.length}`, () => {
			this.contents.write(offset, source);
		});
	}

	flush(): Completion {
		return this.#ask("flush", () => {});
	}

	writeZeroes(
		offset: number,
		lengthBytes: number,
		mayUnmap: boolean,
	): Completion {
		const how = mayUnmap ? "unmap" : "keep";
		return this.#ask(`zero ${offset}+${lengthBytes} ${how}`, () => {
			this.contents.writeZeroes(offset, lengthBytes);
		});
	}

	discard(offset: number, lengthBytes: number): Completion {
		return this.#ask(`discard ${offset}+${lengthBytes}`, () => {});
	}

	/** Answers everything, and what that leads to. */
	async succeedAll(): Promise<void> {
		while (this.pending.length > 0) await this.pending[0]?.succeed();
	}

	#ask(what: string, act: () => void): Completion {
		this.log.push(what);
		return new Promise((resolve, reject) => {
			const answer = async (settle: () => void) => {
				this.pending.splice(this.pending.indexOf(call), 1);
				settle();
				// Whatever hangs on the promise has then run.
				await new Promise((done) => setImmediate(done));
			};
			const call = {
				what,
				succeed: () =>
					answer(() => {
						act();
						resolve();
					}),
				fail: () => answer(() => reject(new Error("the disk is on fire"))),
			};
			this.pending.push(call);
		});
	}
}
