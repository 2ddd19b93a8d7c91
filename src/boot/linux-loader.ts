/**
 * Puts a Linux kernel into guest memory and says how to enter it, following
 * Linux, Documentation/arch/x86/boot.rst, "32-bit Boot Protocol": flat
 * protected mode, ESI pointing at `boot_params`, no BIOS and no real-mode
 * code. Three kinds of file end up here:
 *
 * - a bzImage that unpacks itself in the guest,
 * - a bzImage whose payload we unpack, entering the kernel proper the way
 *   its decompressor would have,
 * - a bare `vmlinux`, entered the same way.
 *
 * Relies on the parsers, `placement.ts` and `boot-params.ts`;
 * `kernel-image.ts` relies on it.
 *
 * @journey P:420 Loading Linux
 */

import { UsageError } from "../errors.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { writeBootParams } from "./boot-params.ts";
import {
	type BzImage,
	isBzImage,
	LOADED_HIGH,
	parseBzImage,
	QUIET_FLAG,
} from "./bzimage.ts";
import { unpackPayload } from "./compression.ts";
import {
	type ElfImage,
	EM_386,
	isElf,
	parseElf,
	physicalEntry,
	physicalExtent,
	placeSegments,
} from "./elf.ts";
import { protectedModeState } from "./initial-cpu-state.ts";
import {
	type BootOptions,
	type LoadedKernel,
	needs64BitError,
} from "./loaded-kernel.ts";
import { alignUp, HIGH_MEMORY_ADDRESS } from "./memory-map.ts";
import {
	BOOT_PARAMS_ADDRESS,
	GDT_ADDRESS,
	type PlacedRegion,
	placeCommandLine,
	placeInitrd,
	requireRam,
	STACK_TOP_ADDRESS,
	writeBiosDataArea,
} from "./placement.ts";

/** A zImage belongs here; its setup code would have moved it down to it. */
const ZIMAGE_ADDRESS = 0x1000;
/** Protocol claimed for a `vmlinux`, which has no header: the newest whose fields we fill. */
const VMLINUX_PROTOCOL = 0x020f;
const VMLINUX_CMDLINE_SIZE = 2047;
/** It may be anywhere in a positive number. */
export const VMLINUX_INITRD_ADDR_MAX = 0x7fffffff;

/** The kernel in memory, and what remains to be arranged around it. */
interface PlacedKernel {
	readonly entry: number;
	readonly unpacked: boolean;
	readonly region: PlacedRegion;
	/** First address the kernel does not use before it knows its memory map. */
	readonly busyEnd: number;
}

/** What `boot_params` needs to know of a kernel file. */
interface HeaderFacts {
	readonly protocol: number;
	readonly loadflags: number;
	readonly cmdlineSize: number;
	readonly initrdAddrMax: number;
	readonly setupHeader: Uint8Array;
}

/** A file read and, if it can be, unpacked: all that needs no memory to put it into. */
export type LinuxFile =
	| { readonly bzImage: BzImage; readonly vmlinux?: ElfImage }
	| { readonly bzImage?: undefined; readonly vmlinux: ElfImage };

/** Reads a bzImage or a 32-bit `vmlinux`; throws `UsageError` if it cannot run here. */
export async function openLinux(
	bytes: Uint8Array,
	options: Pick<BootOptions, "unpack" | "longMode">,
): Promise<LinuxFile> {
	if (!isBzImage(bytes)) return { vmlinux: parseElf(bytes) };
	const bzImage = parseBzImage(bytes);
	if (bzImage.is64Bit && !options.longMode) throw needs64BitError();
	const vmlinux = await unpackVmlinux(bzImage, options);
	return { bzImage, ...(vmlinux && { vmlinux }) };
}

/** Puts an opened kernel into memory; throws `UsageError` if it does not fit. */
export function placeLinux(
	memory: GuestMemory,
	{ bzImage, vmlinux }: LinuxFile,
	options: BootOptions,
): LoadedKernel {
	if (bzImage === undefined) {
		const kernel = placeVmlinux(memory, vmlinux, options);
		return finishLoading(memory, kernel, VMLINUX_HEADER, options);
	}
	const kernel =
		vmlinux === undefined
			? placeSelfUnpacking(memory, bzImage, options)
			: placeUnpacked(memory, bzImage, vmlinux, options);
	return finishLoading(memory, kernel, bzImage, options);
}

const VMLINUX_HEADER: HeaderFacts = {
	protocol: VMLINUX_PROTOCOL,
	loadflags: LOADED_HIGH,
	cmdlineSize: VMLINUX_CMDLINE_SIZE,
	initrdAddrMax: VMLINUX_INITRD_ADDR_MAX,
	setupHeader: new Uint8Array(0),
};

/**
 * The kernel proper, if we are to unpack it and can. Behind the ELF file may
 * stand relocations; they matter only to a kernel that runs elsewhere than
 * where it was linked, and we put it exactly there.
 */
async function unpackVmlinux(
	image: BzImage,
	options: Pick<BootOptions, "unpack" | "longMode">,
): Promise<ElfImage | undefined> {
	if (options.unpack === undefined || image.payload.length === 0) {
		return undefined;
	}
	const bytes = await unpackPayload(image.payload, options.unpack);
	if (bytes === undefined || !isElf(bytes)) return undefined;
	const vmlinux = parseElf(bytes);
	if (vmlinux.is64Bit && !options.longMode) throw needs64BitError();
	// A 64-bit kernel expects page tables, which its own decompressor builds.
	return vmlinux.is64Bit ? undefined : vmlinux;
}

/** Copies the protected-mode code; the guest's decompressor does the rest. */
function placeSelfUnpacking(
	memory: GuestMemory,
	image: BzImage,
	{ memoryMap }: BootOptions,
): PlacedKernel {
	const address =
		(image.loadflags & LOADED_HIGH) !== 0
			? HIGH_MEMORY_ADDRESS
			: ZIMAGE_ADDRESS;
	const region = {
		name: "compressed kernel",
		address,
		lengthBytes: image.protectedModeCode.length,
	};
	const busyEnd = unpackingEnd(image, region);
	requireRam(memoryMap, region);
	requireRam(memoryMap, runtimeRegion(image, address, busyEnd));
	memory.write(address, image.protectedModeCode);
	return { entry: address, unpacked: false, region, busyEnd };
}

/**
 * Where the decompressor's work ends. boot.rst, `init_size`, gives the rule;
 * kernels before 2.10 leave us guessing, and four times the compressed size
 * covers what gzip and bzip2 achieved on them.
 */
function unpackingEnd(image: BzImage, region: PlacedRegion): number {
	const imageEnd = region.address + region.lengthBytes;
	if (image.initSize === 0) {
		return (
			Math.max(HIGH_MEMORY_ADDRESS, region.address) + 4 * region.lengthBytes
		);
	}
	return Math.max(
		imageEnd,
		runtimeStart(image, region.address) + image.initSize,
	);
}

/** boot.rst, `init_size`: "the kernel runtime start address". */
function runtimeStart(image: BzImage, loadAddress: number): number {
	if (!image.relocatable) return image.prefAddress;
	return alignUp(
		Math.max(loadAddress, image.prefAddress),
		image.kernelAlignment,
	);
}

function runtimeRegion(
	image: BzImage,
	loadAddress: number,
	busyEnd: number,
): PlacedRegion {
	const start =
		image.initSize === 0
			? HIGH_MEMORY_ADDRESS
			: runtimeStart(image, loadAddress);
	return {
		name: "unpacked kernel",
		address: start,
		lengthBytes: Math.max(0, busyEnd - start),
	};
}

/**
 * Enters the kernel as its decompressor would: at the ELF entry, which for
 * 32-bit kernels is physical, with the same ESI. It runs where it was linked
 * to run, as with `nokaslr`.
 */
function placeUnpacked(
	memory: GuestMemory,
	image: BzImage,
	vmlinux: ElfImage,
	options: BootOptions,
): PlacedKernel {
	const kernel = placeVmlinux(memory, vmlinux, options);
	const start = kernel.region.address;
	return {
		...kernel,
		busyEnd: Math.max(kernel.busyEnd, start + image.initSize),
	};
}

function placeVmlinux(
	memory: GuestMemory,
	vmlinux: ElfImage,
	{ memoryMap }: BootOptions,
): PlacedKernel {
	if (vmlinux.is64Bit) throw needs64BitError();
	if (vmlinux.machine !== EM_386 || vmlinux.segments.length === 0) {
		throw new UsageError(
			"The ELF file is not an x86 kernel: it has nothing to load or is for another CPU.",
			{ hint: "Give a bzImage (vmlinuz) or a vmlinux built for 32-bit x86." },
		);
	}
	const { start, end } = physicalExtent(vmlinux);
	const region = { name: "kernel", address: start, lengthBytes: end - start };
	requireRam(memoryMap, region);
	const entry = physicalEntry(vmlinux);
	placeSegments(memory, vmlinux);
	return { entry, unpacked: true, region, busyEnd: end };
}

/** Command line, initrd, zero page and CPU state around a kernel in place. */
function finishLoading(
	memory: GuestMemory,
	kernel: PlacedKernel,
	header: HeaderFacts,
	options: BootOptions,
): LoadedKernel {
	writeBiosDataArea(memory);
	const commandLine = placeCommandLine(
		memory,
		options.commandLine ?? "",
		header.cmdlineSize,
	);
	const initrd =
		options.initrd &&
		placeInitrd(memory, options.memoryMap, options.initrd, {
			minAddress: kernel.busyEnd,
			maxLastAddress: header.initrdAddrMax,
		});
	writeBootParams(memory, BOOT_PARAMS_ADDRESS, {
		setupHeader: header.setupHeader,
		protocol: header.protocol,
		loadflags: header.loadflags & (LOADED_HIGH | QUIET_FLAG),
		code32Start: kernel.entry,
		memoryMap: options.memoryMap,
		commandLineAddress: commandLine.address,
		...(initrd && { initrd }),
		...(options.acpiRsdp !== undefined && { acpiRsdp: options.acpiRsdp }),
	});
	return {
		bootProtocol: "linux",
		entry: kernel.entry,
		unpacked: kernel.unpacked,
		cpuState: protectedModeState(memory, GDT_ADDRESS, kernel.entry, {
			esi: BOOT_PARAMS_ADDRESS,
			esp: STACK_TOP_ADDRESS,
		}),
		regions: initrd
			? [kernel.region, commandLine, initrd]
			: [kernel.region, commandLine],
	};
}
