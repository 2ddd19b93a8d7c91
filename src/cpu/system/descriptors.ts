/**
 * Segment descriptors as bits: where type, base, limit and rights lie (Intel
 * SDM vol. 3, "Segment Descriptors").
 *
 * A descriptor travels as its two 32-bit halves, so that reading one makes no
 * object. "Attributes" are bits 40..55 as `state.ts` keeps them.
 *
 * @journey E:521 Eight bytes that say what may be touched
 */

/** Segment register numbers. */
export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;

/** Type bits of code and data segments. */
export const TYPE_ACCESSED = 1 << 0;
/** Data: writable. Code: readable. */
export const TYPE_WRITABLE = 1 << 1;
export const TYPE_READABLE = 1 << 1;
/** Data: grows down. Code: conforming. */
export const TYPE_EXPAND_DOWN = 1 << 2;
export const TYPE_CONFORMING = 1 << 2;
export const TYPE_CODE = 1 << 3;
const TYPE_MASK = 15;

/** Types of system segments and gates. */
export const TSS_16 = 1;
export const LDT = 2;
export const TSS_16_BUSY = 3;
export const CALL_GATE_16 = 4;
export const TASK_GATE = 5;
export const INTERRUPT_GATE_16 = 6;
export const TRAP_GATE_16 = 7;
export const TSS_32 = 9;
export const TSS_32_BUSY = 11;
export const CALL_GATE_32 = 12;
export const INTERRUPT_GATE_32 = 14;
export const TRAP_GATE_32 = 15;
/** What turns an available TSS into a busy one. */
export const TSS_BUSY = 2;
/** What distinguishes the 32-bit form of a gate or TSS. */
export const SYSTEM_32 = 8;

/** Clear for system segments and gates. */
export const ATTRIBUTE_CODE_OR_DATA = 1 << 4;
const ATTRIBUTE_DPL_SHIFT = 5;
export const ATTRIBUTE_PRESENT = 1 << 7;
/** L: 64-bit code, in long mode. */
export const ATTRIBUTE_LONG = 1 << 13;
/** D/B: 32-bit code or stack; an expand-down segment reaches to 4 GiB. */
export const ATTRIBUTE_BIG = 1 << 14;
export const ATTRIBUTE_GRANULAR = 1 << 15;
/** Bits 40..55 without bits 16..19 of the limit. */
const ATTRIBUTES_MASK = 0xf0ff;

/** The same bits in a descriptor's high half. */
export const HIGH_CODE_OR_DATA = ATTRIBUTE_CODE_OR_DATA << 8;
export const HIGH_PRESENT = ATTRIBUTE_PRESENT << 8;

export function attributesOf(high: number): number {
	return (high >>> 8) & ATTRIBUTES_MASK;
}

export function baseOf(low: number, high: number): number {
	return ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;
}

/** In bytes, G applied: the last offset of an expand-up segment. */
export function limitOf(low: number, high: number): number {
	const raw = (low & 0xffff) | (high & 0xf_0000);
	if ((attributesOf(high) & ATTRIBUTE_GRANULAR) === 0) return raw;
	return ((raw << 12) | 0xfff) >>> 0;
}

/** The four type bits. */
export function typeOf(high: number): number {
	return (high >>> 8) & TYPE_MASK;
}

export function dplOf(high: number): number {
	return (high >>> (8 + ATTRIBUTE_DPL_SHIFT)) & 3;
}

export function dplOfAttributes(attributes: number): number {
	return (attributes >>> ATTRIBUTE_DPL_SHIFT) & 3;
}

/** DPL as attribute bits. */
export function dplBits(level: number): number {
	return level << ATTRIBUTE_DPL_SHIFT;
}

export function isPresent(high: number): boolean {
	return (high & HIGH_PRESENT) !== 0;
}

export function isCode(high: number): boolean {
	return (high & (HIGH_CODE_OR_DATA | 0x800)) === (HIGH_CODE_OR_DATA | 0x800);
}

export function isConformingCode(high: number): boolean {
	return isCode(high) && (typeOf(high) & TYPE_CONFORMING) !== 0;
}

export function isWritableData(high: number): boolean {
	return (
		(high & HIGH_CODE_OR_DATA) !== 0 &&
		(typeOf(high) & (TYPE_CODE | TYPE_WRITABLE)) === TYPE_WRITABLE
	);
}

/** Data, or code that may be read. */
export function isReadable(high: number): boolean {
	if ((high & HIGH_CODE_OR_DATA) === 0) return false;
	const type = typeOf(high);
	return (type & TYPE_CODE) === 0 || (type & TYPE_READABLE) !== 0;
}

/** The type of a system descriptor, or 0 (reserved) when it is code or data. */
export function systemTypeOf(high: number): number {
	return (high & HIGH_CODE_OR_DATA) === 0 ? typeOf(high) : 0;
}

/** Offset a gate leads to. */
export function gateOffsetOf(low: number, high: number): number {
	const offset = low & 0xffff;
	return typeOf(high) & SYSTEM_32
		? (offset | (high & 0xffff_0000)) >>> 0
		: offset;
}

/** Selector a gate leads to. */
export function gateSelectorOf(low: number): number {
	return low >>> 16;
}
