/**
 * The physical memory map a guest is told about: which addresses are RAM and
 * which ones the machine keeps for itself. The same list of ranges becomes
 * the E820 table of a Linux guest, the memory map of a PVH guest and that of
 * a multiboot guest, and the loaders place the kernel and its initrd by it.
 *
 * Relies on nothing; the machine builds one, adds the ranges of its tables,
 * and hands it to the loaders.
 *
 * @journey P:404 The map of physical memory
 */

import { UsageError } from "../errors.ts";

/** Range types of the ACPI specification, "System Address Map Interfaces". */
export const E820_RAM = 1;
export const E820_RESERVED = 2;
/** Tables the guest may reuse as RAM once it has read them. */
export const E820_ACPI = 3;
export const E820_NVS = 4;
export const E820_UNUSABLE = 5;

/** One stretch of physical addresses; ranges of a map are sorted and disjoint. */
export interface MemoryRange {
	readonly address: number;
	readonly lengthBytes: number;
	/** One of the `E820_` constants. */
	readonly type: number;
}

/** Where the extended BIOS data area starts: 1 KiB below the end of low memory. */
export const EBDA_ADDRESS = 0x9fc00;
const LOW_MEMORY_END = 0xa0000;
const ROM_AREA_ADDRESS = 0xf0000;
/** Where memory resumes above the hole for adapters and ROM. */
export const HIGH_MEMORY_ADDRESS = 0x100000;
/**
 * RAM never reaches past here: the addresses up to 4 GiB belong to devices
 * (PCI windows, IOAPIC at 0xFEC00000, local APIC at 0xFEE00000).
 */
export const DEVICE_HOLE_ADDRESS = 0xe0000000;

/** Below this no known kernel survives even its first steps. */
const MINIMUM_RAM_BYTES = 2 * 1024 * 1024;

/** What a machine may add to or move in the map. */
export interface MemoryMapOptions {
	/** Ranges the machine keeps (ACPI tables, firmware stand-ins); they win over RAM. */
	readonly reserved?: readonly MemoryRange[];
	/** Start of the hole below 4 GiB. */
	readonly deviceHoleAddress?: number;
}

/** The map of a PC with `ramBytes` of RAM starting at 0, the way a BIOS reports it. */
export function buildMemoryMap(
	ramBytes: number,
	options: MemoryMapOptions = {},
): MemoryRange[] {
	const hole = options.deviceHoleAddress ?? DEVICE_HOLE_ADDRESS;
	checkRamSize(ramBytes, hole);
	const ranges: MemoryRange[] = [
		{ address: 0, lengthBytes: EBDA_ADDRESS, type: E820_RAM },
		reservedBetween(EBDA_ADDRESS, LOW_MEMORY_END),
		reservedBetween(ROM_AREA_ADDRESS, HIGH_MEMORY_ADDRESS),
		{
			address: HIGH_MEMORY_ADDRESS,
			lengthBytes: ramBytes - HIGH_MEMORY_ADDRESS,
			type: E820_RAM,
		},
	];
	return (options.reserved ?? []).reduce(overlayRange, ranges);
}

function checkRamSize(ramBytes: number, hole: number): void {
	if (ramBytes < MINIMUM_RAM_BYTES) {
		throw new UsageError(
			`${formatSize(ramBytes)} of guest memory is too little: a PC needs 1 MiB for itself before a kernel fits.`,
			{ hint: "Give the guest more, for example --memory 64M." },
		);
	}
	if (ramBytes > hole) {
		throw new UsageError(
			`${formatSize(ramBytes)} of guest memory is too much: at most ${formatSize(hole)} fit below the device addresses.`,
			{ hint: `Use --memory ${Math.floor(hole / 0x100000)}M or less.` },
		);
	}
}

function reservedBetween(start: number, end: number): MemoryRange {
	return { address: start, lengthBytes: end - start, type: E820_RESERVED };
}

/** A new map in which `top` replaces whatever lay in its range. */
export function overlayRange(
	map: readonly MemoryRange[],
	top: MemoryRange,
): MemoryRange[] {
	const topEnd = rangeEnd(top);
	const result: MemoryRange[] = top.lengthBytes > 0 ? [top] : [];
	for (const range of map) {
		keepPart(
			result,
			range,
			range.address,
			Math.min(rangeEnd(range), top.address),
		);
		keepPart(result, range, Math.max(range.address, topEnd), rangeEnd(range));
	}
	return result.sort((a, b) => a.address - b.address);
}

function keepPart(
	result: MemoryRange[],
	range: MemoryRange,
	start: number,
	end: number,
): void {
	if (end > start) {
		result.push({ ...range, address: start, lengthBytes: end - start });
	}
}

/** First address behind the range. */
export function rangeEnd(range: MemoryRange): number {
	return range.address + range.lengthBytes;
}

/** Whether all of [address, address+lengthBytes) is RAM. Adjacent RAM ranges count as one. */
export function isRam(
	map: readonly MemoryRange[],
	address: number,
	lengthBytes: number,
): boolean {
	let reached = address;
	for (const range of map) {
		if (range.type !== E820_RAM || range.address > reached) continue;
		reached = Math.max(reached, rangeEnd(range));
	}
	return reached >= address + lengthBytes;
}

/** What `findFreeRam` looks for. */
export interface PlacementRequest {
	readonly lengthBytes: number;
	readonly alignBytes: number;
	/** The block must start at or above this. */
	readonly minAddress: number;
	/** The block must end at or below this. */
	readonly endAddress: number;
	readonly occupied?: readonly Omit<MemoryRange, "type">[];
	readonly prefer: "highest" | "lowest";
}

/** An aligned block of free RAM, or undefined if none is large enough. */
export function findFreeRam(
	map: readonly MemoryRange[],
	request: PlacementRequest,
): number | undefined {
	const free = (request.occupied ?? []).reduce<MemoryRange[]>(
		(rest, used) => overlayRange(rest, { ...used, type: E820_RESERVED }),
		[...map],
	);
	const candidates = free
		.filter((range) => range.type === E820_RAM)
		.map((range) => placeInRange(range, request))
		.filter((address) => address !== undefined);
	return request.prefer === "lowest" ? candidates[0] : candidates.at(-1);
}

function placeInRange(
	range: MemoryRange,
	request: PlacementRequest,
): number | undefined {
	const start = alignUp(
		Math.max(range.address, request.minAddress),
		request.alignBytes,
	);
	const end = Math.min(rangeEnd(range), request.endAddress);
	if (start + request.lengthBytes > end) return undefined;
	if (request.prefer === "lowest") return start;
	const last = end - request.lengthBytes;
	return last - (last % request.alignBytes);
}

/** `value` rounded up to a multiple of `alignBytes` (any positive number, not only powers of two). */
export function alignUp(value: number, alignBytes: number): number {
	return Math.ceil(value / alignBytes) * alignBytes;
}

/** End of the highest RAM range: what users call "the memory size". */
export function ramTop(map: readonly MemoryRange[]): number {
	return map.reduce(
		(top, range) =>
			range.type === E820_RAM ? Math.max(top, rangeEnd(range)) : top,
		0,
	);
}

/** A size for messages: whole MiB where exact or large, else KiB, rounded up. */
export function formatSize(lengthBytes: number): string {
	if (lengthBytes < 0x100000) return `${Math.ceil(lengthBytes / 1024)} KiB`;
	return `${Math.ceil(lengthBytes / 0x100000)} MiB`;
}
