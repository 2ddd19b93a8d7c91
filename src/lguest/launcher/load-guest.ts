/**
 * Puts a kernel, its initrd and what it must know into a Guest's memory, the way
 * the original Launcher did. There is no real mode in lguest, so the file's
 * setup code and header stay where they are; the kernel finds a `boot_params`
 * page with a handful of fields at address 0.
 *
 * | Address           | What                                    |
 * | ----------------- | --------------------------------------- |
 * | 0                 | `boot_params`                           |
 * | 0x1000            | command line                            |
 * | 0x100000          | bzImage, or where a vmlinux wants to be |
 * | top of RAM, below | initrd                                  |
 *
 * Relies on the parsers of `boot/`; the machine relies on it.
 *
 * @journey L:410 A kernel that knows where it is
 */

import { BOOT_PARAMS } from "../../boot/boot-params.ts";
import { isBzImage, parseBzImage } from "../../boot/bzimage.ts";
import {
	type Decompressors,
	detectCompression,
	unpackFile,
	unpackPayload,
} from "../../boot/compression.ts";
import {
	type ElfImage,
	EM_386,
	isElf,
	parseElf,
	physicalEntry,
	physicalExtent,
	placeSegments,
} from "../../boot/elf.ts";
import { encodeLatin1, findBytes } from "../../boot/image-reader.ts";
import { identify } from "../../boot/kernel-image.ts";
import { formatSize } from "../../boot/memory-map.ts";
import { UsageError } from "../../errors.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { LGUEST_PAGE_BYTES } from "../abi.ts";

const COMMAND_LINE_ADDRESS = 0x1000;
/** Linux copies no more (COMMAND_LINE_SIZE of 2.6.25). */
const LONGEST_COMMAND_LINE = 2047;
const BZIMAGE_ADDRESS = 0x10_0000;

const LOADER_TYPE_UNDEFINED = 0xff;
/** Segment registers are to be left alone: loading them would be a fault. */
const KEEP_SEGMENTS = 0x40;
/** The first boot protocol with a subarchitecture, and lguest's number in it. */
const PROTOCOL = 0x207;
const SUBARCH_LGUEST = 1;
const DEFAULT_ALIGNMENT = 0x100_0000;
const E820_RAM = 1;

/** What is to be loaded. */
export interface GuestFiles {
	/** bzImage or vmlinux. */
	readonly kernel: Uint8Array;
	readonly initrd?: Uint8Array;
	readonly commandLine?: string;
	/** If given, a bzImage is unpacked on this side, which is faster than in the Guest. */
	readonly unpack?: Decompressors;
}

/** A Guest's memory, filled. */
export interface LoadedGuest {
	/** Physical address of the first instruction. */
	readonly start: number;
	/** Of RAM at its top, whole pages. */
	readonly initrdBytes: number;
}

interface PlacedKernel {
	readonly start: number;
	/** First address behind it. */
	readonly end: number;
	readonly alignment: number;
}

/**
 * Refuses, with `UsageError`, whatever can be refused by a look at the files:
 * before there is a processor, and before anything is unpacked.
 */
export function checkGuestFiles(
	ramBytes: number,
	{ kernel, initrd, unpack = {} }: GuestFiles,
): void {
	const initrdBytes = wholePages(initrd);
	requireRoom(ramBytes, BZIMAGE_ADDRESS + initrdBytes);
	const packing = detectCompression(kernel);
	if (packing !== undefined && unpack[packing] !== undefined) return;
	checkKernel(kernel);
	if (isBzImage(kernel)) return;
	const { end } = physicalExtent(parseElf(kernel));
	requireRoom(ramBytes, end + initrdBytes);
}

function checkKernel(bytes: Uint8Array): void {
	requireKnownVersion(identify(bytes).version);
	if (!isBzImage(bytes)) requireGuest(parseElf(bytes), bytes);
	else if (parseBzImage(bytes).is64Bit) throw notForLguest("is for amd64");
}

/**
 * Throws `UsageError` if a kernel that had to be unpacked cannot be a Guest, or
 * if something does not fit; `checkGuestFiles` has seen the files.
 */
export async function loadGuest(
	memory: GuestMemory,
	ramBytes: number,
	files: GuestFiles,
): Promise<LoadedGuest> {
	const { initrd, commandLine = "", unpack = {} } = files;
	const bytes = (await unpackFile(files.kernel, unpack)) ?? files.kernel;
	if (bytes !== files.kernel) checkKernel(bytes);
	const kernel = isBzImage(bytes)
		? await placeBzImage(memory, ramBytes, bytes, unpack)
		: placeVmlinux(memory, ramBytes, parseElf(bytes));
	const initrdBytes = placeInitrd(memory, ramBytes, initrd, kernel.end);
	const line = encodeLatin1(commandLine).subarray(0, LONGEST_COMMAND_LINE);
	memory.write(COMMAND_LINE_ADDRESS, line);
	writeBootParams(memory, ramBytes, initrdBytes, kernel.alignment);
	return { start: kernel.start, initrdBytes };
}

/** The kernel proper if it can be had; otherwise its own decompressor runs in the Guest. */
async function placeBzImage(
	memory: GuestMemory,
	ramBytes: number,
	bytes: Uint8Array,
	unpack: Decompressors,
): Promise<PlacedKernel> {
	const image = parseBzImage(bytes);
	const payload = await unpackPayload(image.payload, unpack);
	const alignment = image.kernelAlignment;
	if (payload !== undefined && isElf(payload)) {
		const elf = parseElf(payload);
		requireGuest(elf, payload);
		return { ...placeVmlinux(memory, ramBytes, elf), alignment };
	}
	const code = image.protectedModeCode;
	requireRoom(ramBytes, BZIMAGE_ADDRESS + code.length);
	memory.write(BZIMAGE_ADDRESS, code);
	return {
		start: image.code32Start,
		end: BZIMAGE_ADDRESS + code.length,
		alignment,
	};
}

function placeVmlinux(
	memory: GuestMemory,
	ramBytes: number,
	elf: ElfImage,
): PlacedKernel {
	const { end } = physicalExtent(elf);
	requireRoom(ramBytes, end);
	placeSegments(memory, elf);
	return { start: physicalEntry(elf), end, alignment: DEFAULT_ALIGNMENT };
}

function requireGuest(elf: ElfImage, bytes: Uint8Array): void {
	if (elf.is64Bit || elf.machine !== EM_386 || elf.segments.length === 0) {
		throw notForLguest("is not for i386");
	}
	if (findBytes(bytes, LGUEST_NAME) === -1) {
		throw notForLguest("was built without CONFIG_LGUEST_GUEST");
	}
}

/** What the guest's code in Linux calls itself. */
const LGUEST_NAME = encodeLatin1("lguest\0");

/** 2.6.24 had another kind of descriptor page, and 4.0 none: its devices are on PCI. */
function requireKnownVersion(version: string): void {
	if (/^(2\.6\.2[0-4]|[4-9]\.\d+)\b/.test(version)) {
		throw notForLguest(`is Linux ${version.split(" ")[0]}`);
	}
}

function notForLguest(why: string): UsageError {
	return new UsageError(`The kernel ${why}: it cannot be an lguest Guest.`, {
		hint: "lguest MEMORY KERNEL takes Linux 2.6.25 to 3.19 for i386, built with CONFIG_LGUEST_GUEST. For any other kernel: lguest run KERNEL.",
	});
}

function requireRoom(ramBytes: number, end: number): void {
	if (end <= ramBytes) return;
	throw new UsageError(
		`The kernel needs more memory than ${formatSize(ramBytes)}.`,
		{ hint: `Give at least ${Math.ceil(end / 2 ** 20)} MiB.` },
	);
}

/** At the very top; its size is told in whole pages. */
function placeInitrd(
	memory: GuestMemory,
	ramBytes: number,
	initrd: Uint8Array | undefined,
	kernelEnd: number,
): number {
	if (initrd === undefined) return 0;
	const lengthBytes = wholePages(initrd);
	requireRoom(ramBytes, kernelEnd + lengthBytes);
	memory.write(ramBytes - lengthBytes, initrd);
	return lengthBytes;
}

function wholePages(initrd: Uint8Array | undefined): number {
	const pages = Math.ceil((initrd?.length ?? 0) / LGUEST_PAGE_BYTES);
	return pages * LGUEST_PAGE_BYTES;
}

function writeBootParams(
	memory: GuestMemory,
	ramBytes: number,
	initrdBytes: number,
	alignment: number,
): void {
	const at = BOOT_PARAMS;
	memory.writeU8(at.e820_entries, 1);
	memory.writeU64(at.e820_table + 8, BigInt(ramBytes));
	memory.writeU32(at.e820_table + 16, E820_RAM);
	memory.writeU16(at.version, PROTOCOL);
	memory.writeU8(at.loadflags, KEEP_SEGMENTS);
	memory.writeU32(at.cmd_line_ptr, COMMAND_LINE_ADDRESS);
	memory.writeU32(
		at.kernel_alignment,
		alignment > 1 ? alignment : DEFAULT_ALIGNMENT,
	);
	memory.writeU32(at.hardware_subarch, SUBARCH_LGUEST);
	if (initrdBytes === 0) return;
	memory.writeU8(at.type_of_loader, LOADER_TYPE_UNDEFINED);
	memory.writeU32(at.ramdisk_image, ramBytes - initrdBytes);
	memory.writeU32(at.ramdisk_size, initrdBytes);
}
