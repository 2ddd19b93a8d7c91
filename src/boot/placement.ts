/**
 * Where the loaders put things. Low memory has a fixed plan, the same for
 * every protocol; the kernel goes where it wants; the initrd goes as high as
 * the kernel can reach. All "does not fit" errors come from here, and each
 * says how much memory would do.
 *
 * ```text
 * 0x00400  BIOS data area
 * 0x90000  boot_params (here because kernels before protocol 2.02 look for
 *          their command line at 0x90020, and the oldest for all of it)
 * 0x91000  GDT and TSS of the first instructions; above the zero page because
 *          kernels up to 2.4 unpack themselves through all the memory below
 *          it and still use the loader's GDT afterwards
 * 0x92000  PVH start info, module list and memory map
 * 0x93000  command line
 * 0x9F000  top of a small stack
 * ```
 *
 * Relies on `memory-map.ts`; the loaders rely on it.
 *
 * @journey P:414 Finding room
 */

import { UsageError } from "../errors.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import {
	alignUp,
	EBDA_ADDRESS,
	findFreeRam,
	formatSize,
	isRam,
	type MemoryRange,
	ramTop,
} from "./memory-map.ts";

export const BOOT_PARAMS_ADDRESS = 0x90000;
export const GDT_ADDRESS = 0x91000;
export const PVH_INFO_ADDRESS = 0x92000;
export const COMMAND_LINE_ADDRESS = 0x93000;
export const STACK_TOP_ADDRESS = 0x9f000;
/** Room between the command line and the stack. */
const COMMAND_LINE_ROOM_BYTES = 0x8000;
const PAGE_BYTES = 4096;

/** A named piece of guest memory the loader filled. */
export interface PlacedRegion {
	readonly name: string;
	readonly address: number;
	readonly lengthBytes: number;
}

/** Throws unless the kernel's range is RAM. */
export function requireRam(
	map: readonly MemoryRange[],
	region: PlacedRegion,
): void {
	if (isRam(map, region.address, region.lengthBytes)) return;
	const end = region.address + region.lengthBytes;
	if (end > ramTop(map)) {
		throw tooLittleMemory(`The ${region.name}`, region.address, end, map);
	}
	throw new UsageError(
		`The ${region.name} wants the addresses 0x${region.address.toString(16)} to 0x${end.toString(16)}, and not all of them are RAM on this machine.`,
		{ hint: "Use a kernel linked to run at 1 MiB or above." },
	);
}

function tooLittleMemory(
	what: string,
	address: number,
	neededEnd: number,
	map: readonly MemoryRange[],
): UsageError {
	return new UsageError(
		`${what} does not fit: it needs memory from ${formatSize(address)} to ${formatSize(neededEnd)}, and the guest has ${formatSize(ramTop(map))}.`,
		{ hint: suggestMemory(neededEnd) },
	);
}

/** The error for a piece without a fixed place for which no RAM is left. */
export function memoryTooSmallError(
	name: string,
	lengthBytes: number,
	map: readonly MemoryRange[],
): UsageError {
	return new UsageError(
		`The ${name} of ${formatSize(lengthBytes)} does not fit behind the kernel in ${formatSize(ramTop(map))} of guest memory.`,
		{ hint: suggestMemory(ramTop(map) + lengthBytes) },
	);
}

/** Rounds up to a size people would choose, with room for the kernel to live in. */
function suggestMemory(neededBytes: number): string {
	const MIB = 0x100000;
	const roomy = alignUp(neededBytes + 16 * MIB, 16 * MIB);
	return `Give the guest at least --memory ${roomy / MIB}M.`;
}

/** What `placeInitrd` needs to know about the kernel. */
export interface InitrdConstraints {
	/** First address the kernel does not need while it starts. */
	readonly minAddress: number;
	/** Highest address the initrd's last byte may have. */
	readonly maxLastAddress: number;
}

/** Copies the initrd as high as allowed, page-aligned, and says where it is. */
export function placeInitrd(
	memory: GuestMemory,
	map: readonly MemoryRange[],
	initrd: Uint8Array,
	constraints: InitrdConstraints,
): PlacedRegion {
	const address = findInitrdRoom(map, initrd.length, constraints);
	memory.write(address, initrd);
	return { name: "initrd", address, lengthBytes: initrd.length };
}

/** The address for an initrd of that size; throws `UsageError` if there is none. */
export function findInitrdRoom(
	map: readonly MemoryRange[],
	lengthBytes: number,
	constraints: InitrdConstraints,
): number {
	const address = findFreeRam(map, {
		lengthBytes,
		alignBytes: PAGE_BYTES,
		minAddress: constraints.minAddress,
		endAddress: constraints.maxLastAddress + 1,
		prefer: "highest",
	});
	if (address === undefined) {
		throw initrdDoesNotFit(map, lengthBytes, constraints);
	}
	return address;
}

function initrdDoesNotFit(
	map: readonly MemoryRange[],
	lengthBytes: number,
	{ minAddress, maxLastAddress }: InitrdConstraints,
): UsageError {
	const needed =
		alignUp(minAddress, PAGE_BYTES) + alignUp(lengthBytes, PAGE_BYTES);
	if (needed > maxLastAddress + 1) {
		return new UsageError(
			`The initrd of ${formatSize(lengthBytes)} is too large for this kernel, which needs it between ${formatSize(minAddress)} and ${formatSize(maxLastAddress + 1)}.`,
			{ hint: "Use a smaller initrd." },
		);
	}
	return new UsageError(
		`The initrd of ${formatSize(lengthBytes)} does not fit: the kernel needs the memory up to ${formatSize(minAddress)}, and the guest has ${formatSize(ramTop(map))}.`,
		{ hint: suggestMemory(needed) },
	);
}

/** Writes the NUL-terminated command line to its place, `maxBytes` being the kernel's limit without the NUL. */
export function placeCommandLine(
	memory: GuestMemory,
	commandLine: string,
	maxBytes: number,
): PlacedRegion {
	const limit = Math.min(maxBytes, COMMAND_LINE_ROOM_BYTES - 1);
	const text = encodeUtf8(commandLine);
	if (text.length > limit) {
		throw new UsageError(
			`The kernel command line has ${text.length} bytes, and this kernel takes at most ${limit}.`,
			{ hint: "Shorten the kernel arguments." },
		);
	}
	memory.write(COMMAND_LINE_ADDRESS, text);
	memory.writeU8(COMMAND_LINE_ADDRESS + text.length, 0);
	return {
		name: "command line",
		address: COMMAND_LINE_ADDRESS,
		lengthBytes: text.length + 1,
	};
}

function encodeUtf8(text: string): Uint8Array {
	return new TextEncoder().encode(text);
}

/**
 * The few words of the BIOS data area that kernels look at without asking:
 * where the EBDA is, how much low memory lies below it, and COM1's port.
 */
export function writeBiosDataArea(memory: GuestMemory): void {
	const BDA = { com1Port: 0x400, ebdaSegment: 0x40e, lowMemoryKib: 0x413 };
	memory.writeU16(BDA.com1Port, 0x3f8);
	memory.writeU16(BDA.ebdaSegment, EBDA_ADDRESS >>> 4);
	memory.writeU16(BDA.lowMemoryKib, EBDA_ADDRESS / 1024);
	memory.fill(EBDA_ADDRESS, 0, 1024);
	memory.writeU8(EBDA_ADDRESS, 1); // its own size in KiB
}
