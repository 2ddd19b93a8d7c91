/**
 * The header of a Linux bzImage: parsing it in every version of the boot
 * protocol from 2.00 to 2.15, and telling what the kernel behind it needs.
 * Field names and offsets are those of Linux,
 * Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
 *
 * A bzImage is three things in one file: a boot sector and real-mode setup
 * code, which a direct boot never runs; the protected-mode code, which is
 * loaded and entered; and inside the latter the compressed kernel proper.
 *
 * Relies on `image-reader.ts`; `linux-loader.ts` and `kernel-image.ts` rely
 * on it.
 *
 * @journey P:410 What a bzImage says about itself
 */

import { findBytes, ImageReader, truncatedImageError } from "./image-reader.ts";

/** Where the setup header starts, in the file and in `boot_params` alike. */
export const SETUP_HEADER_OFFSET = 0x1f1;
/** Behind the longest header `boot_params` has room for. */
const SETUP_HEADER_MAX_END = 0x290;
/** "HdrS" at 0x202 marks protocol 2.00 and later. */
const HEADER_MAGIC_OFFSET = 0x202;
const HEADER_MAGIC = 0x53726448;
const SECTOR_BYTES = 512;
/** Historical meaning of zero in `setup_sects`. */
const DEFAULT_SETUP_SECTS = 4;
/** `syssize` counts in these. */
const PARAGRAPH_BYTES = 16;

/** `loadflags`: the code belongs at 1 MiB; without it at 4 KiB (a zImage). */
export const LOADED_HIGH = 0x01;
/** `loadflags`: suppress early messages. */
export const QUIET_FLAG = 0x20;
/** `loadflags`: leave segment registers alone (2.07). */
export const KEEP_SEGMENTS = 0x40;
/** `xloadflags`: the kernel has the 64-bit entry point, so it needs a 64-bit CPU. */
export const XLF_KERNEL_64 = 0x0001;

/** One header field: where, how wide, which protocol brought it, and boot.rst's value without it. */
interface HeaderField {
	readonly offset: number;
	readonly widthBytes: 1 | 2 | 4 | 8;
	readonly since: number;
	readonly absent: number;
}

function field(
	offset: number,
	widthBytes: 1 | 2 | 4 | 8,
	since: number,
	absent = 0,
): HeaderField {
	return { offset, widthBytes, since, absent };
}

const HEADER = {
	setup_sects: field(0x1f1, 1, 0x200),
	syssize: field(0x1f4, 4, 0x204),
	kernel_version: field(0x20e, 2, 0x200),
	loadflags: field(0x211, 1, 0x200),
	code32_start: field(0x214, 4, 0x200),
	initrd_addr_max: field(0x22c, 4, 0x203, 0x37ffffff),
	kernel_alignment: field(0x230, 4, 0x205, 1),
	relocatable_kernel: field(0x234, 1, 0x205),
	min_alignment: field(0x235, 1, 0x20a),
	xloadflags: field(0x236, 2, 0x20c),
	cmdline_size: field(0x238, 4, 0x206, 255),
	payload_offset: field(0x248, 4, 0x208),
	payload_length: field(0x24c, 4, 0x208),
	pref_address: field(0x258, 8, 0x20a),
	init_size: field(0x260, 4, 0x20a),
	handover_offset: field(0x264, 4, 0x20b),
} as const;

/** A parsed header; fields a protocol version lacks have boot.rst's default for it. */
export interface BzImage {
	/** Major version in the high byte, as in the header: 0x020F is 2.15. */
	readonly protocol: number;
	/** "6.1.0-50-686 (…) #1 SMP …"; empty if the header has none. */
	readonly kernelVersion: string;
	readonly loadflags: number;
	readonly xloadflags: number;
	/** Where the kernel is entered unless it is relocated. */
	readonly code32Start: number;
	/** Highest address the initrd's last byte may have. */
	readonly initrdAddrMax: number;
	readonly kernelAlignment: number;
	/** Log2 of the alignment a relocated kernel can live with; 0 if unknown. */
	readonly minAlignment: number;
	readonly relocatable: boolean;
	/** Longest command line, without the NUL. */
	readonly cmdlineSize: number;
	/** Physical address the kernel prefers to run at; 0 before 2.10. */
	readonly prefAddress: number;
	/** Linear memory needed from the run address on until the kernel reads its map; 0 before 2.10. */
	readonly initSize: number;
	readonly handoverOffset: number;
	/** The setup header's own bytes, for `boot_params`. */
	readonly setupHeader: Uint8Array;
	/** What has to be placed in memory. */
	readonly protectedModeCode: Uint8Array;
	/** The compressed kernel inside `protectedModeCode`; empty before 2.08. */
	readonly payload: Uint8Array;
	/** Whether only a 64-bit CPU can run it, as far as the file tells without unpacking. */
	readonly is64Bit: boolean;
}

/** Whether the file carries the header of protocol 2.00 or later. */
export function isBzImage(bytes: Uint8Array): boolean {
	const reader = new ImageReader(bytes);
	return (
		reader.has(HEADER_MAGIC_OFFSET, 4) &&
		reader.u32(HEADER_MAGIC_OFFSET, "setup header") === HEADER_MAGIC
	);
}

/** Parses a file that `isBzImage` accepts; throws `UsageError` if it is cut short. */
export function parseBzImage(bytes: Uint8Array): BzImage {
	const reader = new ImageReader(bytes);
	const protocol = reader.u16(0x206, "setup header");
	const get = (wanted: HeaderField): number =>
		readField(reader, protocol, wanted);
	const setupBytes =
		((get(HEADER.setup_sects) || DEFAULT_SETUP_SECTS) + 1) * SECTOR_BYTES;
	requireWholeFile(reader, setupBytes, get(HEADER.syssize));
	const protectedModeCode = bytes.subarray(setupBytes);
	const xloadflags = get(HEADER.xloadflags);
	return {
		protocol,
		kernelVersion: versionText(reader, get(HEADER.kernel_version), setupBytes),
		loadflags: get(HEADER.loadflags),
		xloadflags,
		code32Start: get(HEADER.code32_start),
		initrdAddrMax: get(HEADER.initrd_addr_max),
		kernelAlignment: Math.max(1, get(HEADER.kernel_alignment)),
		minAlignment: get(HEADER.min_alignment),
		relocatable: get(HEADER.relocatable_kernel) !== 0,
		cmdlineSize: get(HEADER.cmdline_size),
		prefAddress: get(HEADER.pref_address),
		initSize: get(HEADER.init_size),
		handoverOffset: get(HEADER.handover_offset),
		setupHeader: setupHeaderBytes(reader),
		protectedModeCode,
		payload: payloadBytes(
			reader,
			setupBytes,
			get(HEADER.payload_offset),
			get(HEADER.payload_length),
		),
		is64Bit:
			(xloadflags & XLF_KERNEL_64) !== 0 || entersLongMode(protectedModeCode),
	};
}

function readField(
	reader: ImageReader,
	protocol: number,
	{ offset, widthBytes, since, absent }: HeaderField,
): number {
	if (protocol < since) return absent;
	if (widthBytes === 1) return reader.u8(offset, "setup header");
	if (widthBytes === 2) return reader.u16(offset, "setup header");
	if (widthBytes === 4) return reader.u32(offset, "setup header");
	return reader.u64(offset, "setup header");
}

/**
 * `syssize` is trusted from 2.04 on (before, its upper half did not exist).
 * It rounds up to whole paragraphs, so a file may be up to 15 bytes shorter;
 * a signature behind the kernel may make it longer.
 */
function requireWholeFile(
	reader: ImageReader,
	setupBytes: number,
	syssize: number,
): void {
	reader.require(0, setupBytes + 1, "real-mode setup code");
	const neededBytes = setupBytes + syssize * PARAGRAPH_BYTES;
	if (reader.lengthBytes <= neededBytes - PARAGRAPH_BYTES) {
		throw truncatedImageError(
			"protected-mode kernel",
			neededBytes,
			reader.lengthBytes,
		);
	}
}

/** The version string lies inside the setup code; a pointer elsewhere means there is none. */
function versionText(
	reader: ImageReader,
	pointer: number,
	setupBytes: number,
): string {
	const offset = pointer + SECTOR_BYTES;
	if (pointer === 0 || offset >= setupBytes) return "";
	return reader.text(offset, setupBytes - offset).trim();
}

/** boot.rst: the header ends at 0x202 plus the byte at 0x201, the offset of the jump over it. */
function setupHeaderBytes(reader: ImageReader): Uint8Array {
	const end = 0x202 + reader.u8(0x201, "setup header");
	return reader.slice(
		SETUP_HEADER_OFFSET,
		Math.min(end, SETUP_HEADER_MAX_END) - SETUP_HEADER_OFFSET,
		"setup header",
	);
}

function payloadBytes(
	reader: ImageReader,
	setupBytes: number,
	offset: number,
	lengthBytes: number,
): Uint8Array {
	if (lengthBytes === 0) return new Uint8Array(0);
	return reader.slice(setupBytes + offset, lengthBytes, "compressed payload");
}

/**
 * `xloadflags` came with 3.8 (protocol 2.12). Older amd64 kernels give
 * themselves away at their entry: a decompressor that goes to long mode sets
 * EFER.LME there, with RDMSR, BTS EAX, 8 and WRMSR on MSR 0xC0000080. An
 * i386 kernel's decompressor has no business with EFER.
 */
function entersLongMode(protectedModeCode: Uint8Array): boolean {
	const ENTRY_CODE_BYTES = 4096;
	return findBytes(protectedModeCode, ENABLE_LME, 0, ENTRY_CODE_BYTES) !== -1;
}

const ENABLE_LME = Uint8Array.of(
	...[0xb9, 0x80, 0x00, 0x00, 0xc0], // MOV ECX, 0xC0000080
	...[0x0f, 0x32], // RDMSR
	...[0x0f, 0xba, 0xe8, 0x08], // BTS EAX, 8
	...[0x0f, 0x30], // WRMSR
);

/** "2.15" for 0x020F. */
export function formatProtocol(protocol: number): string {
	const minor = (protocol & 0xff).toString().padStart(2, "0");
	return `${protocol >>> 8}.${minor}`;
}
