/**
 * Whole files over `fetch`, and whole streams: all of it, or an error that says
 * what was missing.
 *
 * Relies on the web platform; the surroundings rely on it.
 *
 * @journey L:281 To the last byte
 */

import { type FileRole, type OnProgress, UsageError } from "../index.ts";

/** For `GuestSurroundings`. */
export async function download(
	url: string,
	role: FileRole,
	onProgress: OnProgress,
): Promise<Uint8Array> {
	const response = await fetch(url).catch((cause: unknown) => {
		throw cannotFetch(role, url, "the network does not answer", cause);
	});
	if (!response.ok) {
		throw cannotFetch(role, url, `the server says ${response.status}`);
	}
	const { body, headers } = response;
	// What was packed for the way has another length than its header says.
	const isPacked = headers.has("content-encoding");
	const total = isPacked ? 0 : Number(headers.get("content-length") ?? 0);
	const bytes = await readAll(body, (done) =>
		onProgress(`reading the ${role}`, done, total),
	).catch((cause: unknown) => {
		throw cannotFetch(role, url, "the connection was lost", cause);
	});
	// A kernel that is cut short would crash later.
	if (total !== 0 && bytes.length !== total) {
		throw cannotFetch(role, url, `${bytes.length} of ${total} bytes came`);
	}
	return bytes;
}

function cannotFetch(
	role: FileRole,
	url: string,
	reason: string,
	cause?: unknown,
): UsageError {
	return new UsageError(`The ${role} ${url} cannot be fetched: ${reason}.`, {
		hint: "Try again, or give another address.",
		cause,
	});
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
