/**
 * What a guest's progress and end are called in a page.
 *
 * Relies on the core's vocabulary; the custom element relies on it.
 *
 * @journey L:306 In other words
 */

import { type GuestEnd, LguestError, type ProgressEvent } from "../../index.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** "reading the initrd: 1.2 of 3.8 MiB". */
export function describeProgress(event: ProgressEvent): string {
	const { activity, doneBytes, totalBytes } = event;
	if (doneBytes === 0) return activity;
	const done = (doneBytes / MIB).toFixed(1);
	if (totalBytes === 0) return `${activity}: ${done} MiB`;
	return `${activity}: ${done} of ${(totalBytes / MIB).toFixed(1)} MiB`;
}

/** What happened, and what to do. */
export function describeError(error: unknown): string {
	if (!(error instanceof Error)) return String(error);
	const hint = error instanceof LguestError ? error.hint : undefined;
	return hint === undefined ? error.message : `${error.message} ${hint}`;
}

/** A sentence for how a guest ended. */
export function describeEnd(end: GuestEnd): string {
	switch (end.kind) {
		case "poweroff":
			return "The guest has powered off.";
		case "stopped":
			return "The guest was stopped.";
		case "debug-exit":
			return `The guest ended with ${end.value}.`;
		case "halted-forever":
			return "The guest has halted, and nothing can wake it.";
		case "triple-fault":
			return `The guest has crashed: a triple fault at 0x${end.report.rip.toString(16)}, in ${end.report.mode}.`;
		case "failed":
			return describeError(end.error);
	}
}
