/**
 * Disks in memory: a plain one, and an overlay that keeps what is written away
 * from the disk below until somebody commits it. Both answer at once where they
 * can, both hold only blocks that were written.
 *
 * Relies on the backend contract; embedders and tests make them.
 *
 * @journey D:145 Disks that are not there
 */

import type { BlockBackend, Completion } from "./backends.ts";

/** Large enough that a map of them stays small, small enough to copy for one sector. */
const BLOCK_BYTES = 65_536;

/** A disk that starts as zeroes, or as the bytes it is given. */
export class MemoryDisk implements BlockBackend {
	readonly sizeBytes: number;
	readonly readOnly: boolean;
	readonly unmaps = true;
	/** Block number → contents; what is not here is zero. */
	readonly #blocks = new Map<number, Uint8Array>();

	constructor(sizeBytes: number, options: { readOnly?: boolean } = {}) {
		this.sizeBytes = sizeBytes;
		this.readOnly = options.readOnly ?? false;
	}

	/** A disk with these contents, padded to whole sectors. */
	static from(
		contents: Uint8Array,
		options: { readOnly?: boolean } = {},
	): MemoryDisk {
		const disk = new MemoryDisk(
			Math.ceil(contents.length / 512) * 512,
			options,
		);
		disk.write(0, contents);
		return disk;
	}

	read(offset: number, target: Uint8Array): Completion {
		eachBlock(offset, target.length, (block, within, at, length) => {
			const part = target.subarray(at, at + length);
			const contents = this.#blocks.get(block);
			if (contents === undefined) part.fill(0);
			else part.set(contents.subarray(within, within + length));
		});
		return undefined;
	}

	write(offset: number, source: Uint8Array): Completion {
		eachBlock(offset, source.length, (block, within, at, length) => {
			this.#block(block).set(source.subarray(at, at + length), within);
		});
		return undefined;
	}

	readNow(offset: number, targets: readonly Uint8Array[]): boolean {
		eachPart(offset, targets, (at, target) => this.read(at, target));
		return true;
	}

	writeNow(offset: number, sources: readonly Uint8Array[]): boolean {
		eachPart(offset, sources, (at, source) => this.write(at, source));
		return true;
	}

	flush(): Completion {
		return undefined;
	}

	writeZeroes(offset: number, lengthBytes: number): Completion {
		eachBlock(offset, lengthBytes, (block, within, _at, length) => {
			if (length === BLOCK_BYTES) this.#blocks.delete(block);
			else this.#blocks.get(block)?.fill(0, within, within + length);
		});
		return undefined;
	}

	discard(offset: number, lengthBytes: number): Completion {
		return this.writeZeroes(offset, lengthBytes);
	}

	/** How much memory the contents take. */
	get allocatedBytes(): number {
		return this.#blocks.size * BLOCK_BYTES;
	}

	#block(block: number): Uint8Array {
		let contents = this.#blocks.get(block);
		if (contents === undefined) {
			contents = new Uint8Array(BLOCK_BYTES);
			this.#blocks.set(block, contents);
		}
		return contents;
	}
}

/**
 * Writes stay here, in memory; reads fall through to the disk below, which is
 * not touched. Whole blocks are kept, so that a block is either here or below.
 */
export class OverlayDisk implements BlockBackend {
	readonly readOnly = false;
	readonly #below: BlockBackend;
	readonly #blocks = new Map<number, Uint8Array>();
	/** Writes of a part of a block wait for the rest of it, in order. */
	#tail: Completion;

	constructor(below: BlockBackend) {
		this.#below = below;
	}

	get sizeBytes(): number {
		return this.#below.sizeBytes;
	}

	read(offset: number, target: Uint8Array): Completion {
		const waits: Promise<void>[] = [];
		eachBlock(offset, target.length, (block, within, at, length) => {
			const part = target.subarray(at, at + length);
			const contents = this.#blocks.get(block);
			if (contents !== undefined) {
				part.set(contents.subarray(within, within + length));
				return;
			}
			const done = this.#below.read(block * BLOCK_BYTES + within, part);
			if (done !== undefined) waits.push(done);
		});
		return all(waits);
	}

	write(offset: number, source: Uint8Array): Completion {
		return this.#change(offset, source.length, (part, at) => {
			part.set(source.subarray(at, at + part.length));
		});
	}

	/** What lies all here or all below; elsewhere it is not worth the trouble. */
	readNow(offset: number, targets: readonly Uint8Array[]): boolean {
		const here = this.#blocksHere(offset, bytesOf(targets));
		if (here === "none") return this.#below.readNow?.(offset, targets) ?? false;
		if (here === "some") return false;
		eachPart(offset, targets, (at, target) => this.read(at, target));
		return true;
	}

	/** Into blocks that are here. */
	writeNow(offset: number, sources: readonly Uint8Array[]): boolean {
		if (this.#tail !== undefined) return false;
		if (this.#blocksHere(offset, bytesOf(sources)) !== "all") return false;
		eachPart(offset, sources, (start, source) => {
			eachBlock(start, source.length, (block, within, at, length) => {
				const part = source.subarray(at, at + length);
				this.#blocks.get(block)?.set(part, within);
			});
		});
		return true;
	}

	/** There is no stable storage here: an overlay is gone with its process. */
	flush(): Completion {
		return this.#tail;
	}

	writeZeroes(offset: number, lengthBytes: number): Completion {
		return this.#change(offset, lengthBytes, (part) => {
			part.fill(0);
		});
	}

	close(): Completion {
		return this.#below.close?.();
	}

	/** Writes everything down, flushes, and starts afresh. */
	async commit(): Promise<void> {
		await this.#tail;
		for (const [block, contents] of this.#blocks) {
			const start = block * BLOCK_BYTES;
			const length = Math.min(BLOCK_BYTES, this.sizeBytes - start);
			await this.#below.write(start, contents.subarray(0, length));
		}
		await this.#below.flush();
		this.#blocks.clear();
	}

	/** Forgets everything written. */
	discardChanges(): void {
		this.#blocks.clear();
	}

	#blocksHere(offset: number, lengthBytes: number): "all" | "some" | "none" {
		let blocks = 0;
		let here = 0;
		eachBlock(offset, lengthBytes, (block) => {
			blocks++;
			if (this.#blocks.has(block)) here++;
		});
		if (here === blocks) return "all";
		return here === 0 ? "none" : "some";
	}

	#change(
		offset: number,
		lengthBytes: number,
		change: (part: Uint8Array, at: number) => void,
	): Completion {
		const fetched = new Map<number, Uint8Array>();
		const fetch = () => this.#fetch(offset, lengthBytes, fetched);
		// Nothing is kept before everything is there: a read that fails must not
		// leave half a block behind.
		const apply = () => {
			for (const [block, contents] of fetched) {
				this.#blocks.set(block, contents);
			}
			eachBlock(offset, lengthBytes, (block, within, at, length) => {
				const contents = this.#blocks.get(block);
				if (contents === undefined) return;
				change(contents.subarray(within, within + length), at);
			});
		};
		const before = this.#tail;
		const ready = before === undefined ? fetch() : before.then(fetch);
		if (ready === undefined) {
			apply();
			return undefined;
		}
		const done = ready.then(apply);
		this.#queueUp(done);
		return done;
	}

	/** The next change waits for this one, whether it succeeds or not. */
	#queueUp(done: Promise<void>): void {
		const settled = done
			.catch(() => {})
			.then(() => {
				if (this.#tail === settled) this.#tail = undefined;
			});
		this.#tail = settled;
	}

	/** The blocks of the range that are not here; those it covers start empty. */
	#fetch(
		offset: number,
		lengthBytes: number,
		into: Map<number, Uint8Array>,
	): Completion {
		const waits: Promise<void>[] = [];
		eachBlock(offset, lengthBytes, (block, _within, _at, length) => {
			if (this.#blocks.has(block)) return;
			const contents = new Uint8Array(BLOCK_BYTES);
			into.set(block, contents);
			const start = block * BLOCK_BYTES;
			const present = Math.min(BLOCK_BYTES, this.sizeBytes - start);
			if (length === present) return;
			const done = this.#below.read(start, contents.subarray(0, present));
			if (done !== undefined) waits.push(done);
		});
		return all(waits);
	}
}

function all(waits: readonly Promise<void>[]): Completion {
	if (waits.length === 0) return undefined;
	return Promise.all(waits).then(() => {});
}

/** One part after the other, each with where it begins. */
function eachPart(
	offset: number,
	parts: readonly Uint8Array[],
	visit: (start: number, part: Uint8Array) => void,
): void {
	let start = offset;
	for (const part of parts) {
		visit(start, part);
		start += part.length;
	}
}

function bytesOf(parts: readonly Uint8Array[]): number {
	return parts.reduce((sum, { length }) => sum + length, 0);
}

/** Cuts a range at block borders; `at` counts from the range's start. */
function eachBlock(
	offset: number,
	lengthBytes: number,
	visit: (block: number, within: number, at: number, length: number) => void,
): void {
	for (let at = 0; at < lengthBytes; ) {
		const block = Math.floor((offset + at) / BLOCK_BYTES);
		const within = offset + at - block * BLOCK_BYTES;
		const length = Math.min(BLOCK_BYTES - within, lengthBytes - at);
		visit(block, within, at, length);
		at += length;
	}
}
