/**
 * What is said to a kernel, and of it: its command line with a console in it,
 * and complaints about the file with its name in front.
 *
 * Relies on the boot loaders; the command line and the guest's thread rely on
 * it.
 *
 * @journey L:238 A word with the kernel
 */

import type { Decompressors } from "../boot/compression.ts";
import { identify, inspect } from "../boot/kernel-image.ts";
import { UsageError } from "../errors.ts";

/** Linux is silent unless told where to speak; other kernels get what was given, no more. */
export function kernelCommandLine(
	kernel: Uint8Array,
	words: readonly string[],
	console: string,
): string {
	const named = words.some((word) => word.startsWith("console="));
	return (
		named || !isLinux(kernel) ? words : [`console=${console}`, ...words]
	).join(" ");
}

function isLinux(kernel: Uint8Array): boolean {
	try {
		const { kind } = identify(kernel);
		return kind === "bzImage" || kind === "vmlinux";
	} catch {
		// Packed as a whole, or no kernel at all, which loading will say.
		return true;
	}
}

/** A complaint about the kernel file itself should name it; one about memory should not. */
export async function namingKernel(
	error: unknown,
	name: string,
	kernel: Uint8Array,
	decompressors: Decompressors,
): Promise<unknown> {
	if (!(error instanceof UsageError)) return error;
	try {
		await inspect(kernel, decompressors);
		return error;
	} catch {
		const hint = error.hint === undefined ? {} : { hint: error.hint };
		return new UsageError(`${name}: ${error.message}`, {
			...hint,
			cause: error,
		});
	}
}
