/**
 * Whole files over `fetch`, which are on their way as soon as somebody says that
 * they will be wanted: all of them, or an error that says what was missing.
 *
 * Relies on the web platform; the surroundings and the worker's program rely on
 * it, so it imports little.
 *
 * @journey L:281 To the last byte
 */

import { UsageError } from "../errors.ts";
import type { FileRole, GuestDescription, OnProgress } from "../index.ts";

class Downloads {
	/** By address; what nobody has asked for yet. */
	readonly #expected = new Map<string, Download>();

	/** Begins with what the guest of this message will need. */
	expect(message: unknown): void {
		const { description } = message as { description?: GuestDescription };
		for (const role of ["kernel", "initrd"] as const) {
			const source = description?.[role];
			if (typeof source !== "string") continue;
			this.#expected.set(source, new Download(source, role));
		}
	}

	/** For `GuestSurroundings`. */
	read(
		url: string,
		role: FileRole,
		onProgress: OnProgress,
	): Promise<Uint8Array> {
		const one = this.#expected.get(url) ?? new Download(url, role);
		this.#expected.delete(url);
		one.follow(onProgress);
		return one.bytes;
	}
}

/** Those of this thread. */
export const downloads = new Downloads();

class Download {
	readonly bytes: Promise<Uint8Array>;
	readonly #url: string;
	readonly #role: FileRole;
	#onProgress: OnProgress = () => {};
	#doneBytes = 0;
	#totalBytes = 0;

	constructor(url: string, role: FileRole) {
		this.#url = url;
		this.#role = role;
		this.bytes = this.#read();
		// Whoever wants the file learns of it.
		this.bytes.catch(() => {});
	}

	follow(onProgress: OnProgress): void {
		this.#onProgress = onProgress;
		this.#tell();
	}

	#tell(): void {
		const activity = `reading the ${this.#role}`;
		this.#onProgress(activity, this.#doneBytes, this.#totalBytes);
	}

	async #read(): Promise<Uint8Array> {
		const response = await fetch(this.#url).catch((cause: unknown) => {
			throw this.#failure("the network does not answer", cause);
		});
		if (!response.ok) {
			throw this.#failure(`the server says ${response.status}`);
		}
		const { body, headers } = response;
		// What was packed for the way has another length than its header says.
		const isPacked = headers.has("content-encoding");
		const total = isPacked ? 0 : Number(headers.get("content-length") ?? 0);
		this.#totalBytes = total;
		const bytes = await readAll(body, (done) => {
			this.#doneBytes = done;
			this.#tell();
		}).catch((cause: unknown) => {
			throw this.#failure("the connection was lost", cause);
		});
		// A kernel that is cut short would crash later.
		if (total !== 0 && bytes.length !== total) {
			throw this.#failure(`${bytes.length} of ${total} bytes came`);
		}
		return bytes;
	}

	#failure(reason: string, cause?: unknown): UsageError {
		return new UsageError(
			`The ${this.#role} ${this.#url} cannot be fetched: ${reason}.`,
			{ hint: "Try again, or give another address.", cause },
		);
	}
}

/** Rejects with the stream's own error. */
export async function readAll(
	stream: ReadableStream<Uint8Array> | null,
	onProgress: (doneBytes: number) => void = () => {},
): Promise<Uint8Array> {
	const pieces: Uint8Array[] = [];
	let length = 0;
	const reader = stream?.getReader();
	for (;;) {
		const { done = true, value } = (await reader?.read()) ?? {};
		if (done || value === undefined) break;
		pieces.push(value);
		length += value.length;
		onProgress(length);
	}
	const whole = new Uint8Array(length);
	let at = 0;
	for (const piece of pieces) {
		whole.set(piece, at);
		at += piece.length;
	}
	return whole;
}
