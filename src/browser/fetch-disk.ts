/**
 * A disk image on a web server, read with HTTP Range requests (RFC 9110 §14) as
 * the guest asks for it. What was read is kept, up to a limit, and a reader who
 * goes on from where it was gets more at a time.
 *
 * Relies on `fetch`; the surroundings rely on it.
 *
 * @journey L:286 A disk far away
 */

import { type BlockBackend, UsageError } from "../index.ts";

const SECTOR_BYTES = 512;
/** What is asked for at least, and kept as one. */
const BLOCK_BYTES = 1 << 17;
/** Blocks asked for at once when reading goes on in order. */
const AHEAD_BLOCKS = 8;
const MOST_BLOCKS = 512;
const TRIES = 3;

/** Read-only; put an overlay on top. */
export class FetchDisk implements BlockBackend {
	readonly sizeBytes: number;
	readonly readOnly = true;
	readonly #url: string;
	readonly #fileBytes: number;
	/** Block number → contents, or the wait for them; the oldest first. */
	readonly #blocks = new Map<number, Promise<Uint8Array>>();
	#expectedBlock = -1;

	/** Rejects with `UsageError` where the server knows no ranges. */
	static async open(url: string): Promise<FetchDisk> {
		const response = await fetch(url, {
			headers: { range: "bytes=0-0" },
		}).catch((cause: unknown) => {
			throw new UsageError(`The disk ${url} cannot be reached.`, { cause });
		});
		await response.body?.cancel();
		const size = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
		if (response.status !== 206 || size === null) {
			throw new UsageError(`The disk ${url} cannot be read in pieces.`, {
				hint: "Its server has to answer Range requests with status 206 and a Content-Range, which other origins must expose.",
			});
		}
		return new FetchDisk(url, Number(size[1]));
	}

	private constructor(url: string, fileBytes: number) {
		this.#url = url;
		this.#fileBytes = fileBytes;
		this.sizeBytes = Math.ceil(fileBytes / SECTOR_BYTES) * SECTOR_BYTES;
	}

	async read(offset: number, target: Uint8Array): Promise<void> {
		for (let at = 0; at < target.length; ) {
			const block = Math.floor((offset + at) / BLOCK_BYTES);
			const within = (offset + at) % BLOCK_BYTES;
			const bytes = await this.#block(block);
			const length = Math.min(BLOCK_BYTES - within, target.length - at);
			const part = bytes.subarray(within, within + length);
			target.set(part, at);
			target.fill(0, at + part.length, at + length);
			at += length;
		}
	}

	write(): never {
		throw new Error("a web server's file cannot be written to");
	}

	flush(): undefined {}

	writeZeroes(): never {
		throw new Error("a web server's file cannot be written to");
	}

	#block(block: number): Promise<Uint8Array> {
		const known = this.#blocks.get(block);
		if (known !== undefined) return known;
		const count = block === this.#expectedBlock ? AHEAD_BLOCKS : 1;
		this.#expectedBlock = block + count;
		const all = this.#fetch(block * BLOCK_BYTES, count * BLOCK_BYTES);
		for (let i = 0; i < count; i++) {
			const part = all.then((bytes) =>
				bytes.slice(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES),
			);
			this.#keep(block + i, part);
		}
		return this.#blocks.get(block) ?? all;
	}

	/** A block that could not be had is forgotten, so that it can be tried again. */
	#keep(block: number, contents: Promise<Uint8Array>): void {
		if (this.#blocks.has(block)) return;
		this.#blocks.set(block, contents);
		contents.catch(() => this.#blocks.delete(block));
		if (this.#blocks.size <= MOST_BLOCKS) return;
		const [oldest] = this.#blocks.keys();
		if (oldest !== undefined) this.#blocks.delete(oldest);
	}

	async #fetch(offset: number, lengthBytes: number): Promise<Uint8Array> {
		const end = Math.min(offset + lengthBytes, this.#fileBytes);
		if (offset >= end) return new Uint8Array(0);
		const range = `bytes=${offset}-${end - 1}`;
		for (let attempt = 1; ; attempt++) {
			try {
				const response = await fetch(this.#url, { headers: { range } });
				if (response.status !== 206) throw new Error(`${response.status}`);
				const bytes = new Uint8Array(await response.arrayBuffer());
				if (bytes.length !== end - offset) throw new Error("cut short");
				return bytes;
			} catch (error) {
				if (attempt === TRIES) throw error;
			}
		}
	}
}
