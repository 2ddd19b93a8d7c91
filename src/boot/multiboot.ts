/**
 * Multiboot, version 1: the protocol of teaching kernels and of public CPU
 * conformance images. The kernel carries a small header; the loader puts its
 * segments where they want to be, adds modules behind it, describes all of it
 * in a "multiboot information" structure, and enters in flat protected mode
 * with a magic number in EAX.
 *
 * Follows the Multiboot Specification, version 0.6.96, whose field names are
 * kept. Relies on `elf.ts` and `placement.ts`; `kernel-image.ts` relies on
 * it.
 *
 * @journey P:424 Multiboot kernels
 */

import { UsageError } from "../errors.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { highMemoryKib } from "./boot-params.ts";
import {
	type ElfImage,
	isElf,
	parseElf,
	physicalEntry,
	physicalExtent,
	placeSegments,
} from "./elf.ts";
import { ImageReader } from "./image-reader.ts";
import {
	BOOT_GDT_LENGTH_BYTES,
	protectedModeState,
} from "./initial-cpu-state.ts";
import type { BootModule, BootOptions, LoadedKernel } from "./loaded-kernel.ts";
import { EBDA_ADDRESS, findFreeRam, type MemoryRange } from "./memory-map.ts";
import {
	memoryTooSmallError,
	type PlacedRegion,
	requireRam,
	writeBiosDataArea,
} from "./placement.ts";

/** Marks the header in the file. */
export const MULTIBOOT_HEADER_MAGIC = 0x1badb002;
/** In EAX at the kernel's entry. */
export const MULTIBOOT_BOOTLOADER_MAGIC = 0x2badb002;
/** The header lies wholly within this much of the file, on a multiple of 4. */
const SEARCH_BYTES = 8192;

/** Header flag: the address fields are valid, and win over an ELF header (the "a.out kludge"). */
const AOUT_KLUDGE = 0x00010000;
/**
 * Requirements we meet: page-aligned modules, memory information, and the
 * video field. Deviation: we have no video mode to offer, and say so by
 * leaving its bit in the information clear instead of refusing; kernels ask
 * for one without depending on it.
 */
const KNOWN_REQUIREMENTS = 0x00000007;
const REQUIREMENTS_MASK = 0x0000ffff;

/** Bits of the information structure's `flags`: which fields are valid. */
const MULTIBOOT_INFO = {
	MEMORY: 0x001,
	CMDLINE: 0x004,
	MODS: 0x008,
	MEM_MAP: 0x040,
	BOOT_LOADER_NAME: 0x200,
} as const;

/** Offsets in the information structure. */
const INFO = {
	flags: 0,
	mem_lower: 4,
	mem_upper: 8,
	cmdline: 16,
	mods_count: 20,
	mods_addr: 24,
	mmap_length: 44,
	mmap_addr: 48,
	boot_loader_name: 64,
	lengthBytes: 120,
} as const;

const MODULE_ENTRY_BYTES = 16;
/** An entry's `size` field counts what follows it. */
const MMAP_ENTRY_BYTES = 24;
const MMAP_ENTRY_SIZE_FIELD = 20;
const BOOT_LOADER_NAME = "lguest";
const PAGE_BYTES = 4096;
/** Text and tables go above the real-mode vectors and BIOS data. */
const LOWEST_INFO_ADDRESS = 0x1000;

/** A header as found. */
export interface MultibootHeader {
	/** Where in the file. */
	readonly offset: number;
	readonly flags: number;
}

/** The first valid header in the file's first 8 KiB, if any. */
export function findMultibootHeader(
	bytes: Uint8Array,
): MultibootHeader | undefined {
	const reader = new ImageReader(bytes);
	const end = Math.min(bytes.length, SEARCH_BYTES) - 12;
	for (let offset = 0; offset <= end; offset += 4) {
		const word = (index: number): number =>
			reader.u32(offset + index * 4, "multiboot header");
		if (word(0) !== MULTIBOOT_HEADER_MAGIC) continue;
		if ((word(0) + word(1) + word(2)) % 2 ** 32 === 0) {
			return { offset, flags: word(1) };
		}
	}
	return undefined;
}

/** Loads a file that `findMultibootHeader` has an answer for. */
export function loadMultiboot(
	memory: GuestMemory,
	kernelBytes: Uint8Array,
	options: BootOptions,
): LoadedKernel {
	const image = multibootImage(kernelBytes);
	const { start, end } = physicalExtent(image);
	const kernel = { name: "kernel", address: start, lengthBytes: end - start };
	requireRam(options.memoryMap, kernel);
	placeSegments(memory, image);
	const room = new RoomFinder(options.memoryMap, kernel);
	const modules = placeModules(memory, room, Math.max(end, 0x100000), options);
	const info = placeInformation(memory, room, modules, options);
	const gdt = room.take("GDT", BOOT_GDT_LENGTH_BYTES, 8);
	writeBiosDataArea(memory);
	return {
		bootProtocol: "multiboot",
		entry: image.entry,
		unpacked: true,
		cpuState: protectedModeState(memory, gdt.address, image.entry, {
			eax: MULTIBOOT_BOOTLOADER_MAGIC,
			ebx: info.address,
		}),
		regions: [kernel, ...modules.map(({ region }) => region), info, gdt],
	};
}

type LoadableImage = Pick<ElfImage, "segments" | "entry">;

/** What to place where, from the ELF headers or from the header's own addresses. */
function multibootImage(bytes: Uint8Array): LoadableImage {
	const header = findMultibootHeader(bytes);
	if (header === undefined) {
		throw new UsageError("The file has no multiboot header.");
	}
	const unmet = header.flags & REQUIREMENTS_MASK & ~KNOWN_REQUIREMENTS;
	if (unmet !== 0) {
		throw new UsageError(
			`The multiboot kernel requires features 0x${unmet.toString(16)}, which version 1 of the specification does not define.`,
		);
	}
	if ((header.flags & AOUT_KLUDGE) !== 0) return kludgeImage(bytes, header);
	return elfImage(bytes);
}

function elfImage(bytes: Uint8Array): ElfImage {
	if (!isElf(bytes)) {
		throw new UsageError(
			"The multiboot kernel is not an ELF file and its header gives no load addresses.",
			{ hint: "Link it as ELF, or fill the header's address fields." },
		);
	}
	const image = parseElf(bytes);
	if (image.is64Bit) {
		throw new UsageError(
			"The multiboot kernel is a 64-bit ELF file; multiboot version 1 enters 32-bit code only.",
			{
				hint: "Convert it with objcopy -O elf32-i386, or fill the header's address fields.",
			},
		);
	}
	return { ...image, entry: physicalEntry(image) };
}

/** One stretch of the file, whose place follows from where the header is and wants to be. */
function kludgeImage(
	bytes: Uint8Array,
	header: MultibootHeader,
): LoadableImage {
	const reader = new ImageReader(bytes);
	const word = (index: number): number =>
		reader.u32(header.offset + index * 4, "multiboot address fields");
	const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [
		word(3),
		word(4),
		word(5),
		word(6),
		word(7),
	];
	const fileOffset = header.offset - (headerAddress - loadAddress);
	const lengthBytes =
		loadEnd === 0 ? bytes.length - fileOffset : loadEnd - loadAddress;
	const memoryBytes = Math.max(lengthBytes, bssEnd - loadAddress);
	if (fileOffset < 0 || lengthBytes <= 0) {
		throw new UsageError(
			"The multiboot header's load addresses contradict each other.",
		);
	}
	const data = reader.slice(fileOffset, lengthBytes, "multiboot load range");
	const segment = {
		physicalAddress: loadAddress,
		virtualAddress: loadAddress,
		memoryBytes,
		data,
	};
	return { entry, segments: [segment] };
}

/** Hands out RAM that neither the kernel nor anything placed before occupies. */
class RoomFinder {
	readonly #map: readonly MemoryRange[];
	readonly #occupied: PlacedRegion[];

	constructor(map: readonly MemoryRange[], kernel: PlacedRegion) {
		this.#map = map;
		this.#occupied = [kernel];
	}

	take(
		name: string,
		lengthBytes: number,
		alignBytes: number,
		minAddress = LOWEST_INFO_ADDRESS,
	): PlacedRegion {
		const search = {
			lengthBytes,
			alignBytes,
			minAddress,
			occupied: this.#occupied,
		};
		const address =
			findFreeRam(this.#map, {
				...search,
				endAddress: EBDA_ADDRESS,
				prefer: "highest",
			}) ??
			findFreeRam(this.#map, {
				...search,
				endAddress: 2 ** 32,
				prefer: "lowest",
			});
		if (address === undefined) {
			throw memoryTooSmallError(name, lengthBytes, this.#map);
		}
		const region = { name, address, lengthBytes };
		this.#occupied.push(region);
		return region;
	}
}

interface PlacedModule {
	readonly region: PlacedRegion;
	readonly commandLine: string;
}

/** Behind the kernel, page-aligned, where GRUB puts them too; never in low memory. */
function placeModules(
	memory: GuestMemory,
	room: RoomFinder,
	minAddress: number,
	options: BootOptions,
): PlacedModule[] {
	const initrd: BootModule[] = options.initrd
		? [{ bytes: options.initrd }]
		: [];
	return [...initrd, ...(options.modules ?? [])].map((module, index) => {
		const name = `module ${index + 1}`;
		const region = room.take(name, module.bytes.length, PAGE_BYTES, minAddress);
		memory.write(region.address, module.bytes);
		return { region, commandLine: module.commandLine ?? "" };
	});
}

/**
 * The information structure and everything it points at, in one block:
 * structure, module list, memory map, then strings.
 */
function placeInformation(
	memory: GuestMemory,
	room: RoomFinder,
	modules: readonly PlacedModule[],
	options: BootOptions,
): PlacedRegion {
	const commandLine = [options.kernelName ?? "kernel", options.commandLine]
		.filter(Boolean)
		.join(" ");
	const strings = [
		commandLine,
		BOOT_LOADER_NAME,
		...modules.map((m) => m.commandLine),
	].map((text) => new TextEncoder().encode(`${text}\0`));
	const modsOffset = INFO.lengthBytes;
	const mmapOffset = modsOffset + modules.length * MODULE_ENTRY_BYTES;
	const stringsOffset =
		mmapOffset + options.memoryMap.length * MMAP_ENTRY_BYTES;
	const lengthBytes = strings.reduce((sum, s) => sum + s.length, stringsOffset);
	const region = room.take("multiboot information", lengthBytes, 16);
	memory.fill(region.address, 0, lengthBytes);
	const stringAddresses = writeStrings(
		memory,
		region.address + stringsOffset,
		strings,
	);
	writeModuleList(
		memory,
		region.address + modsOffset,
		modules,
		stringAddresses.slice(2),
	);
	writeMemoryMap(memory, region.address + mmapOffset, options.memoryMap);
	writeFields(memory, region.address, {
		[INFO.flags]: Object.values(MULTIBOOT_INFO).reduce((a, b) => a | b, 0),
		[INFO.mem_lower]: EBDA_ADDRESS / 1024,
		[INFO.mem_upper]: highMemoryKib(options.memoryMap),
		[INFO.cmdline]: stringAddresses[0] ?? 0,
		[INFO.mods_count]: modules.length,
		[INFO.mods_addr]: region.address + modsOffset,
		[INFO.mmap_length]: stringsOffset - mmapOffset,
		[INFO.mmap_addr]: region.address + mmapOffset,
		[INFO.boot_loader_name]: stringAddresses[1] ?? 0,
	});
	return region;
}

/** Words by their offset from `address`. */
function writeFields(
	memory: GuestMemory,
	address: number,
	fields: Readonly<Record<number, number>>,
): void {
	for (const [offset, value] of Object.entries(fields)) {
		memory.writeU32(address + Number(offset), value);
	}
}

/** One after the other; returns where each begins. */
function writeStrings(
	memory: GuestMemory,
	address: number,
	strings: readonly Uint8Array[],
): number[] {
	let at = address;
	return strings.map((text) => {
		const start = at;
		memory.write(start, text);
		at += text.length;
		return start;
	});
}

function writeModuleList(
	memory: GuestMemory,
	address: number,
	modules: readonly PlacedModule[],
	stringAddresses: readonly number[],
): void {
	modules.forEach(({ region }, index) => {
		writeFields(memory, address + index * MODULE_ENTRY_BYTES, {
			0: region.address,
			4: region.address + region.lengthBytes,
			8: stringAddresses[index] ?? 0,
		});
	});
}

function writeMemoryMap(
	memory: GuestMemory,
	address: number,
	map: readonly MemoryRange[],
): void {
	map.forEach((range, index) => {
		const entry = address + index * MMAP_ENTRY_BYTES;
		memory.writeU32(entry, MMAP_ENTRY_SIZE_FIELD);
		memory.writeU64(entry + 4, BigInt(range.address));
		memory.writeU64(entry + 12, BigInt(range.lengthBytes));
		memory.writeU32(entry + 20, range.type);
	});
}
