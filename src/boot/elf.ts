/**
 * ELF files as far as a boot loader needs them: header, loadable segments and
 * notes, for both classes, with every offset checked against the file. The
 * kernel's virtual addresses do not interest us: a kernel is placed by the
 * *physical* addresses of its program headers (System V gABI, "Program
 * Header").
 *
 * Relies on `image-reader.ts`; `linux-loader.ts`, `pvh.ts` and
 * `multiboot.ts` rely on it.
 *
 * @journey P:408 Reading ELF
 */

import { UsageError } from "../errors.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { ImageReader } from "./image-reader.ts";

export const EM_386 = 3;
export const EM_X86_64 = 62;
export const ET_EXEC = 2;
export const ET_DYN = 3;
const PT_LOAD = 1;
const PT_INTERP = 3;
const PT_NOTE = 4;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
/** "\x7fELF", little-endian. */
const ELF_MAGIC = 0x464c457f;
/** The gABI's escape for 65,535 or more headers; no kernel has a hundred. */
const PN_XNUM = 0xffff;

/** Xen's note with the PVH entry point, under owner "Xen". */
export const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** One PT_LOAD program header. */
export interface ElfSegment {
	readonly physicalAddress: number;
	readonly virtualAddress: number;
	readonly memoryBytes: number;
	/** The bytes from the file; the rest of `memoryBytes` is zero. */
	readonly data: Uint8Array;
}

/** A note: who defined it, its number there, and its payload. */
export interface ElfNote {
	readonly owner: string;
	readonly type: number;
	readonly payload: Uint8Array;
}

/** A parsed file. */
export interface ElfImage {
	readonly is64Bit: boolean;
	/** `e_machine`: `EM_386`, `EM_X86_64` or something we cannot run. */
	readonly machine: number;
	/** `e_type`. */
	readonly type: number;
	readonly entry: number;
	readonly segments: readonly ElfSegment[];
	readonly notes: readonly ElfNote[];
	/** Whether it asks for a program interpreter: then it is a program for an operating system. */
	readonly hasInterpreter: boolean;
}

/** Whether the file starts with the ELF magic. */
export function isElf(bytes: Uint8Array): boolean {
	const reader = new ImageReader(bytes);
	return reader.has(0, 4) && reader.u32(0, "ELF header") === ELF_MAGIC;
}

/** Where the two classes keep the same things. */
interface ElfLayout {
	readonly headerBytes: number;
	readonly wordBytes: 4 | 8;
	readonly entry: number;
	readonly phoff: number;
	readonly phentsize: number;
	readonly phnum: number;
	/** Fields of a program header. */
	readonly ph: {
		readonly lengthBytes: number;
		readonly offset: number;
		readonly vaddr: number;
		readonly paddr: number;
		readonly filesz: number;
		readonly memsz: number;
		readonly align: number;
	};
}

const ELF32: ElfLayout = {
	headerBytes: 52,
	wordBytes: 4,
	entry: 24,
	phoff: 28,
	phentsize: 42,
	phnum: 44,
	ph: {
		lengthBytes: 32,
		offset: 4,
		vaddr: 8,
		paddr: 12,
		filesz: 16,
		memsz: 20,
		align: 28,
	},
};

const ELF64: ElfLayout = {
	headerBytes: 64,
	wordBytes: 8,
	entry: 24,
	phoff: 32,
	phentsize: 54,
	phnum: 56,
	ph: {
		lengthBytes: 56,
		offset: 8,
		vaddr: 16,
		paddr: 24,
		filesz: 32,
		memsz: 40,
		align: 48,
	},
};

/** Parses a file that `isElf` accepts; throws `UsageError` if anything points outside it. */
export function parseElf(bytes: Uint8Array): ElfImage {
	const reader = new ImageReader(bytes);
	const is64Bit = reader.u8(4, "ELF header") === ELFCLASS64;
	const layout = is64Bit ? ELF64 : ELF32;
	reader.require(0, layout.headerBytes, "ELF header");
	if (reader.u8(5, "ELF header") !== ELFDATA2LSB) {
		throw new UsageError(
			"The kernel is a big-endian ELF file, so it is for another kind of CPU.",
			{ hint: "Use a kernel built for x86." },
		);
	}
	const headers = programHeaders(reader, layout);
	return {
		is64Bit,
		machine: reader.u16(18, "ELF header"),
		type: reader.u16(16, "ELF header"),
		entry: readWord(reader, layout, layout.entry),
		segments: headers
			.filter(isLoadable)
			.map((header) => segmentOf(reader, header)),
		notes: headers
			.filter(({ type }) => type === PT_NOTE)
			.flatMap((header) => notesOf(reader, header)),
		hasInterpreter: headers.some(({ type }) => type === PT_INTERP),
	};
}

interface ProgramHeader {
	readonly type: number;
	readonly offset: number;
	readonly vaddr: number;
	readonly paddr: number;
	readonly filesz: number;
	readonly memsz: number;
	readonly align: number;
}

function isLoadable(header: ProgramHeader): boolean {
	return header.type === PT_LOAD && header.memsz > 0;
}

function readWord(
	reader: ImageReader,
	layout: ElfLayout,
	offset: number,
): number {
	return layout.wordBytes === 8
		? reader.u64(offset, "ELF header")
		: reader.u32(offset, "ELF header");
}

function programHeaders(
	reader: ImageReader,
	layout: ElfLayout,
): ProgramHeader[] {
	const start = readWord(reader, layout, layout.phoff);
	const stride = reader.u16(layout.phentsize, "ELF header");
	const count = reader.u16(layout.phnum, "ELF header");
	if (count === PN_XNUM || (count > 0 && stride < layout.ph.lengthBytes)) {
		throw new UsageError(
			`The kernel's ELF header is damaged: ${count} program headers of ${stride} bytes each.`,
		);
	}
	reader.require(start, count * stride, "ELF program header table");
	return Array.from({ length: count }, (_, index) =>
		programHeaderAt(reader, layout, start + index * stride),
	);
}

function programHeaderAt(
	reader: ImageReader,
	layout: ElfLayout,
	at: number,
): ProgramHeader {
	const word = (offset: number): number =>
		readWord(reader, layout, at + offset);
	return {
		type: reader.u32(at, "ELF program header"),
		offset: word(layout.ph.offset),
		vaddr: word(layout.ph.vaddr),
		paddr: word(layout.ph.paddr),
		filesz: word(layout.ph.filesz),
		memsz: word(layout.ph.memsz),
		align: word(layout.ph.align),
	};
}

function segmentOf(reader: ImageReader, header: ProgramHeader): ElfSegment {
	const fileBytes = Math.min(header.filesz, header.memsz);
	return {
		physicalAddress: header.paddr,
		virtualAddress: header.vaddr,
		memoryBytes: header.memsz,
		data: reader.slice(header.offset, fileBytes, "ELF segment"),
	};
}

const NOTE_HEADER_BYTES = 12;

/**
 * Notes are padded to four bytes, or to eight in segments that say so. A
 * malformed tail ends the list instead of the boot: notes are hints here.
 */
function notesOf(reader: ImageReader, header: ProgramHeader): ElfNote[] {
	const padding = header.align === 8 ? 8 : 4;
	const pad = (size: number): number => Math.ceil(size / padding) * padding;
	const end = header.offset + header.filesz;
	reader.require(header.offset, header.filesz, "ELF note segment");
	const notes: ElfNote[] = [];
	let at = header.offset;
	while (at + NOTE_HEADER_BYTES <= end) {
		const nameBytes = reader.u32(at, "ELF note");
		const payloadBytes = reader.u32(at + 4, "ELF note");
		const nameAt = at + NOTE_HEADER_BYTES;
		const payloadAt = at + pad(NOTE_HEADER_BYTES + nameBytes);
		if (payloadAt + payloadBytes > end) break;
		notes.push({
			owner: reader.text(nameAt, nameBytes),
			type: reader.u32(at + 8, "ELF note"),
			payload: reader.slice(payloadAt, payloadBytes, "ELF note"),
		});
		at = payloadAt + pad(payloadBytes);
	}
	return notes;
}

/** The PVH entry point's physical address, if the kernel offers one. */
export function pvhEntry(image: ElfImage): number | undefined {
	const note = image.notes.find(
		({ owner, type }) => owner === "Xen" && type === XEN_ELFNOTE_PHYS32_ENTRY,
	);
	if (note === undefined || note.payload.length < 4) return undefined;
	return new ImageReader(note.payload).u32(0, "PVH note");
}

/**
 * The entry as a physical address. Some kernels are linked high and give a
 * virtual one; the segment around it says what that is physically.
 */
export function physicalEntry(
	image: Pick<ElfImage, "segments" | "entry">,
): number {
	const { entry, segments } = image;
	const within = (start: number, size: number): boolean =>
		entry >= start && entry < start + size;
	if (segments.some((s) => within(s.physicalAddress, s.memoryBytes))) {
		return entry;
	}
	const home = segments.find((s) => within(s.virtualAddress, s.memoryBytes));
	if (home === undefined) {
		throw new UsageError(
			`The kernel's ELF header is damaged: its entry 0x${entry.toString(16)} lies in no segment.`,
		);
	}
	return entry - home.virtualAddress + home.physicalAddress;
}

/** First and last-plus-one physical address any segment occupies; empty images give [0, 0). */
export function physicalExtent(image: Pick<ElfImage, "segments">): {
	start: number;
	end: number;
} {
	if (image.segments.length === 0) return { start: 0, end: 0 };
	return {
		start: Math.min(...image.segments.map((s) => s.physicalAddress)),
		end: Math.max(
			...image.segments.map((s) => s.physicalAddress + s.memoryBytes),
		),
	};
}

/**
 * Copies every segment to its physical address and clears the remainder. The
 * caller has checked that they lie in RAM.
 */
export function placeSegments(
	memory: GuestMemory,
	image: Pick<ElfImage, "segments">,
): void {
	for (const { physicalAddress, data, memoryBytes } of image.segments) {
		memory.write(physicalAddress, data);
		memory.fill(physicalAddress + data.length, 0, memoryBytes - data.length);
	}
}
