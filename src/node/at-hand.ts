/**
 * When a disk's bytes are asked for in place. What the system has at hand, in
 * its page cache, comes in a few microseconds; by way of Node's thread pool it
 * comes thirty later, and the guest has meanwhile gone to sleep and must be
 * woken, which takes it as long again. But a call in place that waits for a
 * drive holds up everybody: the guest, its other devices, the terminal. Hence
 *
 * - only files of file systems in this computer: a server may never answer;
 * - only while answers come at once: after one that did not, some calls go to
 *   the pool, and more of them each time it happens again;
 * - only so much at a time, until the event loop has had a turn.
 *
 * Relies on Node's file system; `file-store.ts` relies on it.
 *
 * @journey L:143 Bytes at hand
 */

import { readvSync, writevSync } from "node:fs";
import { type FileHandle, statfs } from "node:fs/promises";
import { platform } from "node:process";

/** As `readvSync` and `writevSync` of one file: how many bytes were moved, at least one before the end. */
export interface InPlaceCalls {
	read(into: readonly Uint8Array[], offset: number): number;
	write(from: readonly Uint8Array[], offset: number): number;
}

/** As many places one call takes (`IOV_MAX`). */
const MOST_PARTS = 1024;

/**
 * Moves all of `parts` from `offset` on, by as many calls as it takes; gives
 * what a call that moved nothing left, the file being at its end.
 */
export function moveAll(
	parts: readonly Uint8Array[],
	offset: number,
	move: (parts: readonly Uint8Array[], offset: number) => number,
): readonly Uint8Array[] {
	let rest = behind(parts, 0);
	let at = offset;
	while (rest.length > 0) {
		const now = rest.length > MOST_PARTS ? rest.slice(0, MOST_PARTS) : rest;
		const moved = move(now, at);
		if (moved === 0) break;
		at += moved;
		rest = behind(rest, moved);
	}
	return rest;
}

/** What lies behind the first so many bytes, and behind empty parts. */
function behind(
	parts: readonly Uint8Array[],
	bytes: number,
): readonly Uint8Array[] {
	let left = bytes;
	let whole = 0;
	for (; whole < parts.length; whole++) {
		const { length } = parts[whole] as Uint8Array;
		if (length > left) break;
		left -= length;
	}
	if (whole === 0 && left === 0) return parts;
	const [first, ...others] = parts.slice(whole);
	return first === undefined ? [] : [first.subarray(left), ...others];
}

/** `f_type` of `statfs(2)`, by Linux' `magic.h`. */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
	0xef53, // ext2, ext3, ext4
	0x58465342, // XFS
	0x9123683e, // Btrfs
	0xf2f52010, // F2FS
	0x2fc12fc1, // ZFS
	0xca451a4e, // bcachefs
	0x794c7630, // overlayfs
	0x01021994, // tmpfs
]);

/** Undefined where a call in place might wait for who knows what. */
export async function inPlaceCalls(
	{ fd }: FileHandle,
	path: string,
): Promise<InPlaceCalls | undefined> {
	// Elsewhere the numbers mean something else.
	if (platform !== "linux") return undefined;
	const { type } = await statfs(path);
	if (!LOCAL_FILE_SYSTEMS.has(type)) return undefined;
	return {
		read: (into, offset) => readvSync(fd, into, offset),
		write: (from, offset) => writevSync(fd, from, offset),
	};
}

/** Moved in place between two turns of the event loop: some milliseconds, as the guest itself takes. */
const MOST_BYTES_PER_TURN = 32 << 20;
/** No drive answers as fast, and memory is slower than a byte in a nanosecond nowhere. */
const SLOW_MS = 0.06;
const SLOW_MS_PER_BYTE = 1e-6;
/** Calls that go to the pool after a slow one, and after many. */
const LEAST_REST = 4;
const MOST_REST = 1024;
/** As many fast ones in a row, and the slow ones are forgotten. */
const FORGIVEN_AFTER = 16;

/** Decides, call by call, whether the next one may be made in place. */
export class AtHand {
	#bytesLeft = MOST_BYTES_PER_TURN;
	#isTurnAwaited = false;
	#rest = 0;
	#nextRest = LEAST_REST;
	#fastInRow = 0;
	readonly #onTurn: (act: () => void) => void;

	/** `onTurn` has something done in the event loop's next turn. */
	constructor(onTurn: (act: () => void) => void = setImmediate) {
		this.#onTurn = onTurn;
	}

	permits(lengthBytes: number): boolean {
		return this.#rest === 0 && lengthBytes <= this.#bytesLeft;
	}

	/** A call in place has moved so much and taken so long. */
	moved(lengthBytes: number, tookMs: number): void {
		this.#bytesLeft -= lengthBytes;
		this.#awaitTurn();
		if (tookMs <= SLOW_MS + SLOW_MS_PER_BYTE * lengthBytes) {
			if (++this.#fastInRow >= FORGIVEN_AFTER) this.#nextRest = LEAST_REST;
			return;
		}
		this.#fastInRow = 0;
		this.#rest = this.#nextRest;
		this.#nextRest = Math.min(2 * this.#nextRest, MOST_REST);
	}

	/** A call has come back from the pool. */
	rested(): void {
		if (this.#rest > 0) this.#rest--;
	}

	#awaitTurn(): void {
		if (this.#isTurnAwaited) return;
		this.#isTurnAwaited = true;
		this.#onTurn(() => {
			this.#isTurnAwaited = false;
			this.#bytesLeft = MOST_BYTES_PER_TURN;
		});
	}
}
