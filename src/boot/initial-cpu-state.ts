/**
 * What a boot protocol demands of the CPU at the kernel's first instruction,
 * in terms that know no particular CPU implementation: the machine copies
 * these values into its vCPU. All the protocols we speak (Linux 32-bit, PVH,
 * multiboot) start in flat 32-bit protected mode without paging and with
 * interrupts off, and differ in selectors and two or three registers only.
 *
 * Relies on guest memory, to place a descriptor table; the three loaders
 * rely on it.
 *
 * @journey P:406 Where the guest's CPU begins
 */

import type { GuestMemory } from "../memory/guest-memory.ts";

/** A segment register with its hidden part, as a far load would have left it. */
export interface InitialSegment {
	readonly selector: number;
	readonly base: number;
	/** Highest valid offset, in bytes: granularity is already applied. */
	readonly limit: number;
	/**
	 * Access rights in the descriptor's own bit order (bits 8-23 of its second
	 * word, shifted right by 8, limit bits cleared): 0xC09B is flat 32-bit code.
	 */
	readonly attributes: number;
}

/** General registers the protocols care about; those not named start as 0. */
export interface InitialRegisters {
	readonly eax?: number;
	readonly ebx?: number;
	readonly ecx?: number;
	readonly edx?: number;
	readonly esi?: number;
	readonly edi?: number;
	readonly ebp?: number;
	readonly esp?: number;
}

/** The complete state; anything not listed here is as after a processor reset. */
export interface InitialCpuState {
	/** Protected mode, 32-bit flat segments, no paging, CPL 0. */
	readonly mode: "protected32";
	readonly eip: number;
	readonly registers: Required<InitialRegisters>;
	readonly eflags: number;
	readonly cr0: number;
	readonly cr3: number;
	readonly cr4: number;
	readonly cs: InitialSegment;
	/** DS, ES, FS, GS and SS alike. */
	readonly data: InitialSegment;
	readonly tr: InitialSegment;
	/** The table lies in guest memory, so that segment loads before the guest's own `LGDT` work. */
	readonly gdtr: { readonly address: number; readonly limit: number };
	/** Limit 0: an exception before the guest has its own table is a triple fault, as on hardware. */
	readonly idtr: { readonly address: number; readonly limit: number };
}

/** Selectors the Linux boot protocol fixes (`__BOOT_CS`, `__BOOT_DS`); any will do for the others. */
export const BOOT_CS = 0x10;
export const BOOT_DS = 0x18;
const BOOT_TSS = 0x20;

/** Bytes `placeGdt` writes: five descriptors, then the TSS the last one names. */
export const BOOT_GDT_LENGTH_BYTES = 0x100;
const GDT_ENTRIES_BYTES = 5 * 8;
const TSS_OFFSET = 0x80;
const TSS_LIMIT = 0x67;

const FLAT_LIMIT = 0xffffffff;
/** Present, code, readable, accessed; 4 KiB granularity, 32-bit. */
const CODE_ATTRIBUTES = 0xc09b;
/** Present, data, writable, accessed; 4 KiB granularity, 32-bit. */
const DATA_ATTRIBUTES = 0xc093;
/** Present, busy 32-bit TSS. */
const TSS_ATTRIBUTES = 0x008b;

/** CR0.PE and CR0.ET, the latter being hard-wired on anything newer than a 486. */
const CR0_PROTECTED = 0x00000011;
/** Bit 1 of EFLAGS always reads as one; IF and DF are clear. */
const EFLAGS_RESERVED = 0x00000002;

/** Builds the state and writes the descriptor table it refers to at `gdtAddress`. */
export function protectedModeState(
	memory: GuestMemory,
	gdtAddress: number,
	eip: number,
	registers: InitialRegisters,
): InitialCpuState {
	placeGdt(memory, gdtAddress);
	return {
		mode: "protected32",
		eip,
		registers: { ...ZERO_REGISTERS, ...registers },
		eflags: EFLAGS_RESERVED,
		cr0: CR0_PROTECTED,
		cr3: 0,
		cr4: 0,
		cs: flatSegment(BOOT_CS, CODE_ATTRIBUTES),
		data: flatSegment(BOOT_DS, DATA_ATTRIBUTES),
		tr: {
			selector: BOOT_TSS,
			base: gdtAddress + TSS_OFFSET,
			limit: TSS_LIMIT,
			attributes: TSS_ATTRIBUTES,
		},
		gdtr: { address: gdtAddress, limit: GDT_ENTRIES_BYTES - 1 },
		idtr: { address: 0, limit: 0 },
	};
}

const ZERO_REGISTERS: Required<InitialRegisters> = {
	eax: 0,
	ebx: 0,
	ecx: 0,
	edx: 0,
	esi: 0,
	edi: 0,
	ebp: 0,
	esp: 0,
};

function flatSegment(selector: number, attributes: number): InitialSegment {
	return { selector, base: 0, limit: FLAT_LIMIT, attributes };
}

/** Writes null, unused, code, data and TSS descriptors (Intel SDM vol. 3, "Segment Descriptors"). */
function placeGdt(memory: GuestMemory, address: number): void {
	memory.fill(address, 0, BOOT_GDT_LENGTH_BYTES);
	placeDescriptor(memory, address + BOOT_CS, 0, 0xfffff, CODE_ATTRIBUTES);
	placeDescriptor(memory, address + BOOT_DS, 0, 0xfffff, DATA_ATTRIBUTES);
	const tss = address + TSS_OFFSET;
	placeDescriptor(memory, address + BOOT_TSS, tss, TSS_LIMIT, TSS_ATTRIBUTES);
}

function placeDescriptor(
	memory: GuestMemory,
	address: number,
	base: number,
	rawLimit: number,
	attributes: number,
): void {
	memory.writeU32(address, ((base & 0xffff) << 16) | (rawLimit & 0xffff));
	memory.writeU32(
		address + 4,
		(base & 0xff000000) |
			(attributes << 8) |
			(rawLimit & 0xf0000) |
			((base >>> 16) & 0xff),
	);
}
