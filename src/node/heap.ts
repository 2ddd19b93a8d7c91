/**
 * Keeps the JavaScript heap small beside the guest's memory. V8 uses more memory
 * the more the machine has: an old generation that is not collected before it has
 * grown by 50 MiB, and a pool of pages once used. A process that promises "guest
 * memory and little more" cannot give any of that. The young generation may grow
 * at first: decoding makes much short-lived garbage, and collecting it a MiB at a
 * time takes a twentieth of all that a guest at work has.
 *
 * Relies on V8 alone; the command line calls it before anything else.
 *
 * @journey P:476 A small heap
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** V8's major and minor version from which it pools pages; older ones would complain about the flag. */
const POOLING_SINCE = [14, 6] as const;

/**
 * By then a guest has started. Until then what its code is decoded to is kept,
 * and marking would find little else.
 */
export const START_MS = 1_000;

/**
 * Once the guest has started the young generation stays as large as it is, and
 * marking starts when the old one has made a tenth of the way to V8's limit (a
 * limit in proportion to the machine); pages go back at once. (That V8 compiles
 * with one helper thread only, whose scratch memory adds up, has to be said when
 * the process starts: see the first line of `cli.ts`.)
 */
export function keepHeapSmall(): void {
	if (isV8Since(...POOLING_SINCE)) setFlagsFromString("--no-memory-pool");
	const settle = () => {
		setFlagsFromString("--semi-space-growth-factor=1");
		setFlagsFromString("--incremental-marking-hard-trigger=10");
	};
	setTimeout(settle, START_MS).unref();
}

/** Whether this V8 is of that version or a later one. */
export function isV8Since(since: number, sinceMinor: number): boolean {
	const [major = 0, minor = 0] = process.versions.v8.split(".").map(Number);
	return major > since || (major === since && minor >= sinceMinor);
}

const LOOK_EVERY_MS = 1000;
/** What a waiting guest's timers and network take in that time, and more. */
const IDLE_INSTRUCTIONS = 5_000_000;
/** Less leaves nothing behind that would be worth a collection. */
const BUSY_INSTRUCTIONS = 20_000_000;

/**
 * Collects garbage when the guest comes to rest after it has been busy: V8 would
 * wait for more of it, but a guest that waits for somebody makes none. The time
 * it takes is one that nobody has a use for.
 * `retired` is the guest's count of instructions.
 */
export function tidyWhenIdle(
	retired: () => number,
	collect = collectGarbage,
): void {
	let before = 0;
	let tidied = 0;
	const look = () => {
		const now = retired();
		const isIdle = now - before < IDLE_INSTRUCTIONS;
		before = now;
		if (!isIdle || now - tidied < BUSY_INSTRUCTIONS) return;
		tidied = now;
		collect();
	};
	setInterval(look, LOOK_EVERY_MS).unref();
}

/** At once. V8 has no other door to it; the flag works in contexts made after it. */
export function collectGarbage(): void {
	setFlagsFromString("--expose-gc");
	runInNewContext(
		'gc({ type: "major", execution: "sync", flavor: "last-resort" })',
	);
}
