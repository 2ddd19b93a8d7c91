/**
 * What V8 is told of how it compiles. It compiles WebAssembly in haste first, and
 * well once a function has run for a while. What the hot engine gives it has been seen to be hot already, so it
 * need not wait as long to be sure. While a guest starts hardly anything is, and
 * the compiler's memory would stay: the time comes a moment later.
 *
 * Relies on V8, and on `heap.ts` for the moment; the command line calls it before
 * anything else, and a guest's thread in programs that are not ours what is for it.
 *
 * @journey P:477 Hot already
 */

import { setFlagsFromString } from "node:v8";
import { isV8Since, START_MS } from "./heap.ts";

/** About as many bytes of code executed; V8's own is four times that. */
const TIERING_BUDGET = 3_000_000;

/** V8's version that is known to heed hints about branches unasked. */
const HEEDS_HINTS_SINCE = [14, 6] as const;

/** Regions say which branches are rarely taken, which pays only where they are heeded. */
export function heedBranchHints(): void {
	if (isV8Since(...HEEDS_HINTS_SINCE)) return;
	setFlagsFromString("--experimental-wasm-branch-hinting");
}

/** From soon on; holds for modules that are compiled from then on. */
export function optimiseEarly(): void {
	const lower = () =>
		setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`);
	setTimeout(lower, START_MS).unref();
}
