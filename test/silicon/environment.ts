/**
 * The world a silicon case runs in: addresses, selectors, descriptors and
 * control-register bits. The native runner maps the areas at these addresses
 * (guests/silicon/runner.c has the same numbers), the kernel provides the
 * descriptors and control bits, and a subject must set up the same so that
 * every fault comes out equal.
 *
 * Relies on nothing; everything else in test/silicon relies on it.
 *
 * @journey M:602 The world of a silicon case
 */

/** Where code runs: two pages, readable and executable, filled with INT3. */
export const CODE_BASE = 0x10000000;
/** The same size again, writable too: for code that modifies itself. */
export const CODE_WRITABLE_BASE = 0x10100000;
export const CODE_BYTES = 0x2000;
/** Two writable pages, then a read-only one; never executable. */
export const DATA_BASE = 0x20000000;
export const DATA_WRITABLE_BYTES = 0x2000;
export const DATA_BYTES = 0x3000;

/** FS and GS of 64-bit cases have these bases (32-bit cases: LDT descriptors). */
export const FS_BASE_64 = DATA_BASE;
export const GS_BASE_64 = DATA_BASE + 0x1000;

/** Selectors of 64-bit Linux: code for each mode, and flat data. */
export const CS_32 = 0x23;
export const CS_64 = 0x33;
export const SS_FLAT = 0x2b;

/**
 * The kernel's GDT as far as a case may name it (arch/x86 of Linux 6.1,
 * "gdt_page"): [selector without RPL, descriptor]. The TLS slots 0x60..0x70
 * are empty (all zero); 0x40..0x50 (TSS, LDT) belong to privilege level 0 and
 * are as good as absent; 0x78 has the CPU's number as its limit, here 0.
 */
export const GDT: readonly (readonly [number, bigint])[] = [
	[0x00, 0n],
	[0x08, 0x00cf9b000000ffffn],
	[0x10, 0x00af9b000000ffffn],
	[0x18, 0x00cf93000000ffffn],
	[0x20, 0x00cffb000000ffffn],
	[0x28, 0x00cff3000000ffffn],
	[0x30, 0x00affb000000ffffn],
	[0x38, 0n],
	[0x60, 0n],
	[0x68, 0n],
	[0x70, 0n],
	[0x78, 0x0040f50000000000n],
];

/** What a descriptor of the LDT is made of (struct user_desc of Linux). */
export interface LdtDescriptor {
	readonly entry: number;
	readonly base: number;
	/** 20 bits, in bytes or pages. */
	readonly limit: number;
	readonly limitInPages: boolean;
	/** D/B bit. */
	readonly is32: boolean;
	/** 0 data, 1 expand-down data, 2 code, 3 conforming code. */
	readonly contents: 0 | 1 | 2 | 3;
	/** Not writable (data) or not readable (code). */
	readonly restricted: boolean;
	readonly present: boolean;
}

function ldt(
	entry: number,
	base: number,
	limit: number,
	more: Partial<LdtDescriptor> = {},
): LdtDescriptor {
	return {
		entry,
		base,
		limit,
		limitInPages: false,
		is32: true,
		contents: 0,
		restricted: false,
		present: true,
		...more,
	};
}

/**
 * The LDT both sides install. Bases lie in the data area so that even 16-bit
 * addresses (which reach no mapped page of a flat segment) find memory, and
 * limits are short so that limit checks are met often.
 */
export const LDT: readonly LdtDescriptor[] = [
	ldt(0, DATA_BASE, 0x2fff),
	ldt(1, DATA_BASE + 0x1000, 0xffff, { is32: false }),
	ldt(2, DATA_BASE, 0x0fff, { contents: 1 }),
	ldt(3, DATA_BASE + 0x800, 0x7ff, { restricted: true }),
	ldt(4, DATA_BASE, 0x2fff, { present: false }),
	ldt(5, 0, 0xfffff, { limitInPages: true, contents: 2 }),
	ldt(6, 0, 0xfffff, { limitInPages: true, contents: 2, restricted: true }),
	ldt(7, DATA_BASE, 0x0fff, { contents: 1, is32: false }),
	// Linux accepts conforming code only if it is not present.
	ldt(8, 0, 0xfffff, { limitInPages: true, contents: 3, present: false }),
	ldt(9, DATA_BASE, 0x1f, {}),
];

/** Selector of an LDT entry at privilege level 3. */
export function ldtSelector(entry: number): number {
	return entry * 8 + 7;
}

/**
 * The eight descriptor bytes that Linux makes of an LDT entry: always a code
 * or data segment of privilege level 3, its accessed bit set
 * (Intel SDM vol. 3, "Segment Descriptors").
 */
export function descriptorBits(d: LdtDescriptor): bigint {
	const type =
		(d.restricted ? 0 : 2) | (d.contents === 0 ? 0 : d.contents << 2) | 1;
	const access = 0x70 | type | (d.present ? 0x80 : 0);
	const high =
		(d.base & 0xff000000) |
		(d.limitInPages ? 0x800000 : 0) |
		(d.is32 ? 0x400000 : 0) |
		(d.limit & 0xf0000) |
		(access << 8) |
		((d.base >>> 16) & 0xff);
	const low = ((d.base & 0xffff) << 16) | (d.limit & 0xffff);
	return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** EFLAGS bits by name. */
export const Flag = {
	CF: 0x1,
	PF: 0x4,
	AF: 0x10,
	ZF: 0x40,
	SF: 0x80,
	TF: 0x100,
	IF: 0x200,
	DF: 0x400,
	OF: 0x800,
	NT: 0x4000,
	RF: 0x10000,
	AC: 0x40000,
	ID: 0x200000,
} as const;

/** The six arithmetic flags. */
export const ARITHMETIC_FLAGS = 0x8d5;

/**
 * Linux runs user code with CR0 = PE MP ET NE WP AM PG, CR4 with OSFXSR,
 * OSXMMEXCPT and PAE and without TSD, EFER with NXE and SCE, and an IDT whose
 * gates can be called from user mode only for vectors 3 and 4 (0x80 is never
 * generated).
 */
export const SubjectControl = {
	cr0: 0x80050033,
	cr4: 0x620,
	userVectors: [3, 4],
} as const;
