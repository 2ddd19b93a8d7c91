/**
 * `boot_params`, the "zero page": one 4 KiB structure in guest memory through
 * which a Linux kernel learns everything a PC's firmware would have told its
 * real-mode setup code. We fill it in directly and never run that code.
 *
 * Layout as in Linux, Documentation/arch/x86/zero-page.rst, and boot.rst for
 * the setup header in its middle. What is not written here stays zero, and
 * zero is meaningful: `screen_info` says there is no VGA (no lines, no
 * columns), so the console driver for it gives up instead of scribbling on
 * addresses nobody answers; `sentinel` at 0x1EF says the page was cleared.
 *
 * Relies on guest memory; `linux-loader.ts` relies on it.
 *
 * @journey P:412 The zero page
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import { SETUP_HEADER_OFFSET } from "./bzimage.ts";
import {
	E820_RAM,
	HIGH_MEMORY_ADDRESS,
	type MemoryRange,
	rangeEnd,
} from "./memory-map.ts";

/** Size of the structure; the kernel copies exactly this much. */
export const BOOT_PARAMS_LENGTH_BYTES = 4096;

/** Offsets inside the page, under their names in the kernel's headers. */
export const BOOT_PARAMS = {
	/** screen_info.ext_mem_k: KiB above 1 MiB, 16 bits; all that kernels before E820 read. */
	ext_mem_k: 0x002,
	/** Magic and offset of the command line before protocol 2.02. */
	old_cmd_line_magic: 0x020,
	old_cmd_line_offset: 0x022,
	acpi_rsdp_addr: 0x070,
	ext_ramdisk_image: 0x0c0,
	ext_ramdisk_size: 0x0c4,
	ext_cmd_line_ptr: 0x0c8,
	/** KiB above 1 MiB, 32 bits. */
	alt_mem_k: 0x1e0,
	e820_entries: 0x1e8,
	vid_mode: 0x1fa,
	version: 0x206,
	type_of_loader: 0x210,
	loadflags: 0x211,
	code32_start: 0x214,
	ramdisk_image: 0x218,
	ramdisk_size: 0x21c,
	cmd_line_ptr: 0x228,
	kernel_alignment: 0x230,
	hardware_subarch: 0x23c,
	setup_data: 0x250,
	e820_table: 0x2d0,
} as const;

/** `E820_MAX_ENTRIES_ZEROPAGE`. */
export const E820_MAX_ENTRIES = 128;
const E820_ENTRY_BYTES = 20;
/** "No number assigned": boot.rst asks unregistered loaders to say so. */
const LOADER_TYPE_UNDEFINED = 0xff;
const VID_MODE_NORMAL = 0xffff;
const OLD_CMD_LINE_MAGIC = 0xa33f;
/** First protocol with `cmd_line_ptr`. */
export const PROTOCOL_CMD_LINE_PTR = 0x202;

/** What the page says; addresses are guest physical. */
export interface BootParamsContent {
	/** The kernel file's own header, or empty for a kernel without one (vmlinux). */
	readonly setupHeader: Uint8Array;
	/** Protocol the kernel speaks; decides how it looks for the command line. */
	readonly protocol: number;
	readonly loadflags: number;
	readonly code32Start: number;
	readonly memoryMap: readonly MemoryRange[];
	readonly commandLineAddress: number;
	readonly initrd?: { readonly address: number; readonly lengthBytes: number };
	readonly acpiRsdp?: number;
	/** 0 for a PC, 1 for lguest (`X86_SUBARCH_LGUEST`). */
	readonly hardwareSubarch?: number;
}

/** Fills the page at `address`, every byte of it. */
export function writeBootParams(
	memory: GuestMemory,
	address: number,
	content: BootParamsContent,
): void {
	memory.fill(address, 0, BOOT_PARAMS_LENGTH_BYTES);
	memory.write(address + SETUP_HEADER_OFFSET, content.setupHeader);
	writeLoaderFields(memory, address, content);
	writeCommandLinePointer(memory, address, content);
	writeInitrd(memory, address, content);
	writeMemoryMap(memory, address, content.memoryMap);
	memory.writeU64(
		address + BOOT_PARAMS.acpi_rsdp_addr,
		BigInt(content.acpiRsdp ?? 0),
	);
}

function writeLoaderFields(
	memory: GuestMemory,
	page: number,
	content: BootParamsContent,
): void {
	memory.writeU16(page + BOOT_PARAMS.vid_mode, VID_MODE_NORMAL);
	memory.writeU16(page + BOOT_PARAMS.version, content.protocol);
	memory.writeU8(page + BOOT_PARAMS.type_of_loader, LOADER_TYPE_UNDEFINED);
	memory.writeU8(page + BOOT_PARAMS.loadflags, content.loadflags);
	memory.writeU32(page + BOOT_PARAMS.code32_start, content.code32Start);
	memory.writeU32(
		page + BOOT_PARAMS.hardware_subarch,
		content.hardwareSubarch ?? 0,
	);
}

/**
 * Before 2.02 the kernel looked at the fixed address 0x90020 for a magic and
 * an offset from 0x90000. The loader puts this page at 0x90000, so both
 * forms are fields of it.
 */
function writeCommandLinePointer(
	memory: GuestMemory,
	page: number,
	content: BootParamsContent,
): void {
	if (content.protocol >= PROTOCOL_CMD_LINE_PTR) {
		memory.writeU32(
			page + BOOT_PARAMS.cmd_line_ptr,
			content.commandLineAddress,
		);
		return;
	}
	memory.writeU16(page + BOOT_PARAMS.old_cmd_line_magic, OLD_CMD_LINE_MAGIC);
	memory.writeU16(
		page + BOOT_PARAMS.old_cmd_line_offset,
		content.commandLineAddress - page,
	);
}

function writeInitrd(
	memory: GuestMemory,
	page: number,
	{ initrd }: BootParamsContent,
): void {
	memory.writeU32(page + BOOT_PARAMS.ramdisk_image, initrd?.address ?? 0);
	memory.writeU32(page + BOOT_PARAMS.ramdisk_size, initrd?.lengthBytes ?? 0);
}

/** The E820 table, and the two older fields for kernels that predate it (2.2 and before). */
function writeMemoryMap(
	memory: GuestMemory,
	page: number,
	map: readonly MemoryRange[],
): void {
	const entries = map.slice(0, E820_MAX_ENTRIES);
	memory.writeU8(page + BOOT_PARAMS.e820_entries, entries.length);
	entries.forEach((range, index) => {
		const entry = page + BOOT_PARAMS.e820_table + index * E820_ENTRY_BYTES;
		memory.writeU64(entry, BigInt(range.address));
		memory.writeU64(entry + 8, BigInt(range.lengthBytes));
		memory.writeU32(entry + 16, range.type);
	});
	const highKib = highMemoryKib(map);
	memory.writeU16(page + BOOT_PARAMS.ext_mem_k, Math.min(highKib, 0xffff));
	memory.writeU32(page + BOOT_PARAMS.alt_mem_k, highKib);
}

/** KiB of RAM in the range that starts at 1 MiB: old interfaces know no holes. */
export function highMemoryKib(map: readonly MemoryRange[]): number {
	const range = map.find(
		({ type, address }) => type === E820_RAM && address === HIGH_MEMORY_ADDRESS,
	);
	return range === undefined
		? 0
		: Math.floor((rangeEnd(range) - HIGH_MEMORY_ADDRESS) / 1024);
}
