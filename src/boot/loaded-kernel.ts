/**
 * What every loader is asked and what it answers, whatever boot protocol it
 * speaks. The machine needs to know no more than this.
 *
 * Relies on the other leaf files of this folder for types; the three loaders
 * and `kernel-image.ts` rely on it.
 *
 * @journey P:418 Asking for a kernel to be loaded
 */

import { UsageError } from "../errors.ts";
import type { Decompressors } from "./compression.ts";
import type { InitialCpuState } from "./initial-cpu-state.ts";
import type { MemoryRange } from "./memory-map.ts";
import type { PlacedRegion } from "./placement.ts";

/** A boot module: a file for the kernel with a line of text that belongs to it. */
export interface BootModule {
	readonly bytes: Uint8Array;
	readonly commandLine?: string;
}

/** Everything but the kernel itself. */
export interface BootOptions {
	/** From `buildMemoryMap`. */
	readonly memoryMap: readonly MemoryRange[];
	readonly commandLine?: string;
	/** Linux's initrd; the first module of other kernels. */
	readonly initrd?: Uint8Array;
	/** Further modules, for multiboot and PVH kernels. */
	readonly modules?: readonly BootModule[];
	/** Physical address of the ACPI root pointer, for guests that take it from the loader. */
	readonly acpiRsdp?: number;
	/** If given, a bzImage's payload is unpacked here instead of by the guest. */
	readonly unpack?: Decompressors;
	/** Whether the CPU has long mode, so that 64-bit kernels are acceptable. */
	readonly longMode?: boolean;
	/** First word of a multiboot kernel's command line, by convention its file name. */
	readonly kernelName?: string;
}

/** The protocols a kernel can be entered by. */
export type BootProtocol = "linux" | "pvh" | "multiboot";

/** A kernel in memory, ready for its first instruction. */
export interface LoadedKernel {
	readonly bootProtocol: BootProtocol;
	/** Physical address of the first instruction; equals `cpuState.eip`. */
	readonly entry: number;
	readonly cpuState: InitialCpuState;
	/** Whether the kernel proper was put in place already, so that no decompressor runs in the guest. */
	readonly unpacked: boolean;
	/** What was put where, in the order it was done. */
	readonly regions: readonly PlacedRegion[];
}

/** The refusal of a kernel that the CPU cannot run. */
export function needs64BitError(): UsageError {
	return new UsageError(
		"The kernel is 64-bit only (amd64), and this CPU has no long mode.",
		{
			hint: "Use a 32-bit x86 kernel, for example the one from Debian's linux-image-686 package for i386.",
		},
	);
}
