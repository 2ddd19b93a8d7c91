/**
 * A store that remembers every write and every barrier, so that a test can look
 * at the image as it would be had the process been killed, or the power gone,
 * at any moment in between.
 */

import { type ByteStore, MemoryStore } from "../../src/index.ts";
import type { Random } from "../support/random.ts";

type Event =
	| { readonly offset: number; readonly bytes: Uint8Array }
	| "barrier";

const SECTOR_BYTES = 512;

/** A memory store with a memory of its own. */
export class CrashStore implements ByteStore {
	readonly readOnly = false;
	readonly #start: Uint8Array;
	readonly #store: MemoryStore;
	readonly #events: Event[] = [];

	constructor(start: Uint8Array) {
		this.#start = start.slice();
		this.#store = new MemoryStore(start);
	}

	get sizeBytes(): number {
		return this.#store.sizeBytes;
	}

	/** How much has happened. */
	get moment(): number {
		return this.#events.length;
	}

	async read(offset: number, target: Uint8Array): Promise<void> {
		await later();
		await this.#store.read(offset, target);
	}

	async write(offset: number, source: Uint8Array): Promise<void> {
		const bytes = source.slice();
		await later();
		this.#events.push({ offset, bytes });
		await this.#store.write(offset, bytes);
	}

	/** Covers what was complete when it was called. */
	async flush(): Promise<void> {
		this.#events.push("barrier");
		await later();
	}

	async close(): Promise<void> {}

	/** The process is killed: everything the system was told is there. */
	killedAt(moment: number): Uint8Array {
		return this.#imageOf(this.#events.slice(0, moment), () => true);
	}

	/**
	 * The power goes: what was written since the last barrier is there or not,
	 * sector by sector, as chance will have it.
	 */
	powerLostAt(moment: number, random: Random): Uint8Array {
		const events = this.#events.slice(0, moment);
		const certain = events.lastIndexOf("barrier");
		return this.#imageOf(events, (index) => index < certain || random(2) === 1);
	}

	#imageOf(
		events: readonly Event[],
		survives: (index: number) => boolean,
	): Uint8Array {
		const image = new MemoryStore(this.#start);
		events.forEach((event, index) => {
			if (event === "barrier") return;
			const { offset, bytes } = event;
			for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
				if (!survives(index)) continue;
				void image.write(offset + at, bytes.subarray(at, at + SECTOR_BYTES));
			}
		});
		return image.contents;
	}
}

/** In the next turn of the event loop: others come in between. */
function later(): Promise<void> {
	return new Promise((resolve) => {
		setImmediate(resolve);
	});
}
