/**
 * The PVH entry: how Xen, and since then every small hypervisor, starts a
 * `vmlinux` directly. The kernel names a 32-bit entry point in an ELF note;
 * the loader points EBX at an `hvm_start_info` that lists modules (the first
 * is Linux's initrd), command line, ACPI root pointer and memory map.
 *
 * Structure as in Xen, docs/misc/pvh.pandoc and
 * xen/include/public/arch-x86/hvm/start_info.h, version 1.
 *
 * Relies on `elf.ts` and `placement.ts`; `kernel-image.ts` relies on it.
 *
 * @journey P:422 The PVH entry
 */

import { UsageError } from "../errors.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import {
	type ElfImage,
	parseElf,
	physicalEntry,
	physicalExtent,
	placeSegments,
	pvhEntry,
} from "./elf.ts";
import { protectedModeState } from "./initial-cpu-state.ts";
import {
	type BootModule,
	type BootOptions,
	type LoadedKernel,
	needs64BitError,
} from "./loaded-kernel.ts";
import type { MemoryRange } from "./memory-map.ts";
import {
	GDT_ADDRESS,
	type PlacedRegion,
	PVH_INFO_ADDRESS,
	placeCommandLine,
	placeInitrd,
	requireRam,
	STACK_TOP_ADDRESS,
	writeBiosDataArea,
} from "./placement.ts";

/** "xEn3" with the high bit of the "E" set. */
export const XEN_HVM_START_MAGIC_VALUE = 0x336ec578;
const START_INFO_VERSION = 1;

/** Offsets in `hvm_start_info`. */
const START_INFO = {
	magic: 0,
	version: 4,
	flags: 8,
	nr_modules: 12,
	modlist_paddr: 16,
	cmdline_paddr: 24,
	rsdp_paddr: 32,
	memmap_paddr: 40,
	memmap_entries: 48,
} as const;
const MODULE_ENTRY_BYTES = 32;
const MEMMAP_ENTRY_BYTES = 24;
/** Behind the structure's 56 bytes. */
const MODULE_LIST_ADDRESS = PVH_INFO_ADDRESS + 0x40;
const MAX_MODULES = 8;
const MEMMAP_ADDRESS = MODULE_LIST_ADDRESS + MAX_MODULES * MODULE_ENTRY_BYTES;
/** What is left of the start info's page. */
const MAX_MEMMAP_ENTRIES = Math.floor(
	(PVH_INFO_ADDRESS + 0x1000 - MEMMAP_ADDRESS) / MEMMAP_ENTRY_BYTES,
);
/** No kernel documents a limit here; this is Linux's own. */
const COMMAND_LINE_LIMIT_BYTES = 2047;
/** Modules must be reachable without paging. */
export const MODULE_ADDRESS_MAX = 0xffffffff;

/** Loads an ELF kernel that `pvhEntry` has an answer for. */
export function loadPvh(
	memory: GuestMemory,
	kernelBytes: Uint8Array,
	options: BootOptions,
): LoadedKernel {
	const image = parseElf(kernelBytes);
	const noted = pvhEntry(image);
	if (noted === undefined) {
		throw new UsageError("The ELF kernel has no PVH entry note.", {
			hint: "Use a kernel built with CONFIG_PVH, or a bzImage.",
		});
	}
	if (image.is64Bit && !options.longMode) throw needs64BitError();
	const entry = physicalEntry({ ...image, entry: noted });
	const kernel = placeKernel(memory, image, options.memoryMap);
	writeBiosDataArea(memory);
	const commandLine = placeCommandLine(
		memory,
		options.commandLine ?? "",
		COMMAND_LINE_LIMIT_BYTES,
	);
	const modules = placeModules(memory, kernel, options);
	writeStartInfo(memory, commandLine.address, modules, options);
	return {
		bootProtocol: "pvh",
		entry,
		unpacked: true,
		cpuState: protectedModeState(memory, GDT_ADDRESS, entry, {
			ebx: PVH_INFO_ADDRESS,
			esp: STACK_TOP_ADDRESS,
		}),
		regions: [kernel, commandLine, ...modules],
	};
}

function placeKernel(
	memory: GuestMemory,
	image: ElfImage,
	map: readonly MemoryRange[],
): PlacedRegion {
	const { start, end } = physicalExtent(image);
	const region = { name: "kernel", address: start, lengthBytes: end - start };
	requireRam(map, region);
	placeSegments(memory, image);
	return region;
}

/** Top down, each below the one before, so that none can meet the kernel. */
function placeModules(
	memory: GuestMemory,
	kernel: PlacedRegion,
	options: BootOptions,
): PlacedRegion[] {
	let maxLastAddress = MODULE_ADDRESS_MAX;
	return requestedModules(options).map(({ bytes }) => {
		const region = placeInitrd(memory, options.memoryMap, bytes, {
			minAddress: kernel.address + kernel.lengthBytes,
			maxLastAddress,
		});
		maxLastAddress = region.address - 1;
		return region;
	});
}

function requestedModules(options: BootOptions): readonly BootModule[] {
	const initrd = options.initrd ? [{ bytes: options.initrd }] : [];
	const modules = [...initrd, ...(options.modules ?? [])];
	if (modules.length > MAX_MODULES) {
		throw new UsageError(
			`${modules.length} modules are too many: a PVH kernel gets at most ${MAX_MODULES} here.`,
		);
	}
	return modules;
}

function writeStartInfo(
	memory: GuestMemory,
	commandLineAddress: number,
	modules: readonly PlacedRegion[],
	options: BootOptions,
): void {
	const info = PVH_INFO_ADDRESS;
	const map = options.memoryMap.slice(0, MAX_MEMMAP_ENTRIES);
	memory.fill(info, 0, 0x1000);
	memory.writeU32(info + START_INFO.magic, XEN_HVM_START_MAGIC_VALUE);
	memory.writeU32(info + START_INFO.version, START_INFO_VERSION);
	memory.writeU32(info + START_INFO.nr_modules, modules.length);
	const address = (offset: number, value: number): void =>
		memory.writeU64(info + offset, BigInt(value));
	address(START_INFO.modlist_paddr, modules.length && MODULE_LIST_ADDRESS);
	address(START_INFO.cmdline_paddr, commandLineAddress);
	address(START_INFO.rsdp_paddr, options.acpiRsdp ?? 0);
	address(START_INFO.memmap_paddr, MEMMAP_ADDRESS);
	memory.writeU32(info + START_INFO.memmap_entries, map.length);
	modules.forEach((module, index) => {
		const at = MODULE_LIST_ADDRESS + index * MODULE_ENTRY_BYTES;
		memory.writeU64(at, BigInt(module.address));
		memory.writeU64(at + 8, BigInt(module.lengthBytes));
	});
	map.forEach((range, index) => {
		const at = MEMMAP_ADDRESS + index * MEMMAP_ENTRY_BYTES;
		memory.writeU64(at, BigInt(range.address));
		memory.writeU64(at + 8, BigInt(range.lengthBytes));
		memory.writeU32(at + 16, range.type);
	});
}
