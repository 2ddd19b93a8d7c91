/**
 * Keeps the JavaScript heap small beside the guest's memory. Decoding makes
 * much short-lived garbage, and V8 answers with more memory the more the
 * machine has: a young generation of 60 MiB, an old one that is not collected
 * before it has grown by 50, and a pool of pages once used. A process that
 * promises "guest memory and little more" cannot give any of that.
 *
 * Relies on V8 alone; the command line calls it before anything else.
 *
 * @journey P:476 A small heap
 */

import { setFlagsFromString } from "node:v8";

/** V8's major and minor version from which it pools pages; older ones would complain about the flag. */
const POOLING_SINCE = [14, 6] as const;

/**
 * The young generation stays as large as it starts; collections are short.
 * Marking starts when the old generation has made 5 % of the way to V8's limit
 * (a limit in proportion to the machine), and pages go back at once. (That V8
 * compiles with one helper thread only, whose scratch memory adds up, has to be
 * said when the process starts: see the first line of `cli.ts`.)
 */
export function keepHeapSmall(): void {
	setFlagsFromString("--semi-space-growth-factor=1");
	setFlagsFromString("--incremental-marking-hard-trigger=5");
	if (poolsPages()) setFlagsFromString("--no-memory-pool");
}

function poolsPages(): boolean {
	const [major = 0, minor = 0] = process.versions.v8.split(".").map(Number);
	const [since, sinceMinor] = POOLING_SINCE;
	return major > since || (major === since && minor >= sinceMinor);
}
