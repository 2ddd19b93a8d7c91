/**
 * Kernel files made up byte by byte, so that loader tests can vary one field
 * and state what it must change. Nothing in them executes.
 */

import { GuestMemory } from "../../src/memory/guest-memory.ts";

export const MIB = 0x100000;

/** RAM that is dirty from the start, so that a forgotten zero shows. */
export function dirtyMemory(mib: number): GuestMemory {
	const memory = new GuestMemory(new ArrayBuffer(mib * MIB), 0, mib * MIB);
	memory.bytes.fill(0xa5);
	return memory;
}

export function ascii(text: string): Uint8Array {
	return new TextEncoder().encode(text);
}

export interface FakeBzImage {
	protocol?: number;
	setupSects?: number;
	loadflags?: number;
	xloadflags?: number;
	kernelAlignment?: number;
	relocatable?: boolean;
	cmdlineSize?: number;
	prefAddress?: number;
	initSize?: number;
	initrdAddrMax?: number;
	version?: string;
	code?: Uint8Array;
	payload?: Uint8Array;
}

/** A bzImage whose protected-mode code is `code` (0x90s unless given) followed by `payload`. */
export function fakeBzImage(options: FakeBzImage = {}): Uint8Array {
	const setupSects = options.setupSects ?? 2;
	const setupBytes = ((setupSects || 4) + 1) * 512;
	const code = options.code ?? new Uint8Array(64).fill(0x90);
	const payload = options.payload ?? new Uint8Array(0);
	const body = Math.ceil((code.length + payload.length) / 16) * 16;
	const bytes = new Uint8Array(setupBytes + body);
	const view = new DataView(bytes.buffer);
	bytes[0x1f1] = setupSects;
	view.setUint32(0x1f4, body / 16, true);
	view.setUint16(0x1fe, 0xaa55, true);
	bytes[0x200] = 0xeb;
	bytes[0x201] = 0x6a; // the header ends at 0x26c
	bytes.set(ascii("HdrS"), 0x202);
	view.setUint16(0x206, options.protocol ?? 0x20f, true);
	view.setUint16(0x20e, 0x300 - 0x200, true);
	bytes.set(ascii(`${options.version ?? "9.9.9 fake"}\0`), 0x300);
	bytes[0x211] = options.loadflags ?? 1;
	view.setUint32(0x214, 0x100000, true);
	view.setUint32(0x22c, options.initrdAddrMax ?? 0x7fffffff, true);
	view.setUint32(0x230, options.kernelAlignment ?? 0x200000, true);
	bytes[0x234] = options.relocatable === false ? 0 : 1;
	view.setUint16(0x236, options.xloadflags ?? 0, true);
	view.setUint32(0x238, options.cmdlineSize ?? 2047, true);
	view.setUint32(0x248, code.length, true);
	view.setUint32(0x24c, payload.length, true);
	view.setBigUint64(0x258, BigInt(options.prefAddress ?? 0x400000), true);
	view.setUint32(0x260, options.initSize ?? 0x300000, true);
	bytes.set(code, setupBytes);
	bytes.set(payload, setupBytes + code.length);
	return bytes;
}

export interface FakeSegment {
	physicalAddress: number;
	virtualAddress?: number;
	data: Uint8Array;
	memoryBytes?: number;
}

export interface FakeElf {
	is64Bit?: boolean;
	machine?: number;
	type?: number;
	entry?: number;
	segments?: FakeSegment[];
	notes?: { owner: string; type: number; payload: Uint8Array }[];
	interpreter?: boolean;
}

/** An ELF file with the given program headers, data after them. */
export function fakeElf(options: FakeElf = {}): Uint8Array {
	const wide = options.is64Bit ?? false;
	const segments = options.segments ?? [];
	const notes = noteBytes(options.notes ?? []);
	const headers: { type: number; segment: FakeSegment }[] = segments.map(
		(segment) => ({ type: 1, segment }),
	);
	if (notes.length > 0) {
		headers.push({ type: 4, segment: { physicalAddress: 0, data: notes } });
	}
	if (options.interpreter) {
		const data = ascii("/lib/ld.so\0");
		headers.push({ type: 3, segment: { physicalAddress: 0, data } });
	}
	const headerBytes = wide ? 64 : 52;
	const phBytes = wide ? 56 : 32;
	let at = headerBytes + phBytes * headers.length;
	const total = headers.reduce((sum, h) => sum + h.segment.data.length, at);
	const bytes = new Uint8Array(total);
	const view = new DataView(bytes.buffer);
	const word = (offset: number, value: number): void => {
		if (wide) view.setBigUint64(offset, BigInt(value), true);
		else view.setUint32(offset, value, true);
	};
	bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
	view.setUint16(16, options.type ?? 2, true);
	view.setUint16(18, options.machine ?? (wide ? 62 : 3), true);
	word(24, options.entry ?? 0);
	word(wide ? 32 : 28, headerBytes);
	view.setUint16(wide ? 54 : 42, phBytes, true);
	view.setUint16(wide ? 56 : 44, headers.length, true);
	headers.forEach(({ type, segment }, index) => {
		const ph = headerBytes + index * phBytes;
		const fields = wide ? [8, 16, 24, 32, 40, 48] : [4, 8, 12, 16, 20, 28];
		const [offset = 0, vaddr = 0, paddr = 0, filesz = 0, memsz = 0, align = 0] =
			fields;
		view.setUint32(ph, type, true);
		word(ph + offset, at);
		word(ph + vaddr, segment.virtualAddress ?? segment.physicalAddress);
		word(ph + paddr, segment.physicalAddress);
		word(ph + filesz, segment.data.length);
		word(ph + memsz, segment.memoryBytes ?? segment.data.length);
		word(ph + align, 4);
		bytes.set(segment.data, at);
		at += segment.data.length;
	});
	return bytes;
}

function noteBytes(notes: NonNullable<FakeElf["notes"]>): Uint8Array {
	const out: number[] = [];
	const u32 = (value: number): void => {
		out.push(
			value & 255,
			(value >> 8) & 255,
			(value >> 16) & 255,
			value >>> 24,
		);
	};
	const padded = (data: Uint8Array): void => {
		out.push(...data);
		while (out.length % 4 !== 0) out.push(0);
	};
	for (const { owner, type, payload } of notes) {
		u32(owner.length + 1);
		u32(payload.length);
		u32(type);
		padded(ascii(`${owner}\0`));
		padded(payload);
	}
	return Uint8Array.from(out);
}

/** The PVH entry note. */
export function pvhNote(entry: number): {
	owner: string;
	type: number;
	payload: Uint8Array;
} {
	const payload = new Uint8Array(4);
	new DataView(payload.buffer).setUint32(0, entry, true);
	return { owner: "Xen", type: 18, payload };
}

/** Twelve bytes of multiboot header, or 32 with address fields. */
export function multibootHeader(
	flags: number,
	addresses: readonly number[] = [],
): Uint8Array {
	const bytes = new Uint8Array(12 + addresses.length * 4);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, 0x1badb002, true);
	view.setUint32(4, flags, true);
	view.setUint32(8, -(0x1badb002 + flags), true);
	addresses.forEach((address, index) => {
		view.setUint32(12 + index * 4, address, true);
	});
	return bytes;
}

/** Text up to NUL in guest memory. */
export function guestText(memory: GuestMemory, address: number): string {
	let end = address;
	while (memory.bytes[end] !== 0) end++;
	return new TextDecoder().decode(memory.bytes.slice(address, end));
}

/** Several arrays as one. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
	return Uint8Array.from(parts.flatMap((part) => [...part]));
}
