/**
 * Keeps the JavaScript heap small beside the guest's memory. Decoding makes
 * much short-lived garbage, and V8 answers by letting its young generation
 * grow to some 60 MiB, which a process that promises "guest memory and little
 * more" cannot give.
 *
 * Relies on V8 alone; the command line calls it before anything else.
 *
 * @journey P:476 A small heap
 */

import { setFlagsFromString } from "node:v8";

/** The young generation stays as large as it starts; collections are short. */
export function keepYoungGenerationSmall(): void {
	setFlagsFromString("--semi-space-growth-factor=1");
}
