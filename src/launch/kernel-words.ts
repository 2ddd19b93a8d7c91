/**
 * What is said to a kernel: its command line, with a console in it.
 *
 * Relies on the boot loaders; the command line and the guest's thread rely on
 * it.
 *
 * @journey L:238 A word with the kernel
 */

import type { RecognisedKernel } from "../boot/kernel-image.ts";

/** Linux is silent unless told where to speak; other kernels get what was given, no more. */
export function kernelCommandLine(
	kernel: RecognisedKernel | undefined,
	words: readonly string[],
	console: string,
): string {
	const named = words.some((word) => word.startsWith("console="));
	return (
		named || !isLinux(kernel) ? words : [`console=${console}`, ...words]
	).join(" ");
}

/** What is packed as a whole is taken for one: others are rarely packed. */
function isLinux(kernel: RecognisedKernel | undefined): boolean {
	const kind = kernel?.facts.kind ?? "vmlinux";
	return kind === "bzImage" || kind === "vmlinux";
}
