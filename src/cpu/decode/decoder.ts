/**
 * Bytes → `Instruction`: prefixes, opcode, row, ModR/M, immediates, in the
 * order in which they stand in memory, and then the two rules that need all
 * of them: the 15-byte limit and the legality of LOCK.
 *
 * The decoder runs once for every new piece of guest code and again whenever
 * a code page is rewritten, so it does not allocate anything but its result;
 * what it knows about the instruction at hand lives in one `Decoding` object
 * that is used again and again.
 *
 * Bytes are read first and counted afterwards: a read past `available` yields
 * rubbish (or zero past the array), and the length check drops the result.
 *
 * Relies on `dispatch.ts` and `modrm.ts`; the engines rely on it.
 *
 * @journey E:136 Decoding
 */

import {
	type DecodePlan,
	ImmediateKind,
	RegCheck,
	Size64,
} from "./decode-plan.ts";
import {
	Dispatch,
	MapIndex,
	type OpcodeSlot,
	PrefixClass,
} from "./dispatch.ts";
import {
	type DecodeFailure,
	type Instruction,
	type MemoryReference,
	SegmentRegister,
	type SizeAttribute,
} from "./instruction.ts";
import {
	addressingLengthBytes,
	readInt16,
	readInt32,
	readMemoryReference,
} from "./modrm.ts";
import { ALL_FEATURES } from "./opcode-table.ts";

/** What the bytes mean depends on this and nothing else. */
export interface DecodeMode {
	/** CS.D and CS.L: the default operand and address size. */
	readonly codeSize: SizeAttribute;
	/**
	 * Features (see `ALL_FEATURES`, the default) whose rows exist. A missing
	 * row is #UD unless another one matches: F3 0F BC is TZCNT with "bmi1" and
	 * BSF without. The decoder caches by identity: keep one set per machine.
	 */
	readonly features?: ReadonlySet<string> | undefined;
}

/** No instruction is longer (Intel SDM vol. 2, "Instruction Format"). */
export const MAX_INSTRUCTION_BYTES = 15;

/** What a prefix byte does; 0 for bytes that are no prefix. */
const Prefix = {
	SEGMENT: 1,
	OPERAND_SIZE: 2,
	ADDRESS_SIZE: 3,
	LOCK: 4,
	REPNZ: 5,
	REPZ: 6,
	REX: 7,
} as const;

const LEGACY_PREFIXES = prefixKinds(false);
const LONG_PREFIXES = prefixKinds(true);

function prefixKinds(is64: boolean): Uint8Array {
	const kinds = new Uint8Array(256);
	for (const byte of [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]) {
		kinds[byte] = Prefix.SEGMENT;
	}
	kinds[0x66] = Prefix.OPERAND_SIZE;
	kinds[0x67] = Prefix.ADDRESS_SIZE;
	kinds[0xf0] = Prefix.LOCK;
	kinds[0xf2] = Prefix.REPNZ;
	kinds[0xf3] = Prefix.REPZ;
	if (is64) kinds.fill(Prefix.REX, 0x40, 0x50);
	return kinds;
}

/** All that is known of the instruction at hand before it becomes a result. */
class Decoding {
	offset = 0;
	/** First byte the instruction may not have: by `available` or by the 15-byte limit. */
	end = 0;
	is64 = false;
	operandPrefix = false;
	addressPrefix = false;
	lock = false;
	/** 0, F2 or F3; the last one counts. */
	repeat = 0;
	rex = 0;
	/** Override or -1; the last one counts. */
	segment = -1;
	map: number = MapIndex.ONE_BYTE;
	opcode = 0;
	modrm = -1;
	immediate = 0;
	immediateHigh = 0;
	immediate2 = 0;
}

const decoding = new Decoding();

/**
 * Decodes the instruction at `bytes[offset]`, looking at no more than
 * `available` bytes. "truncated" asks for more; with 15 bytes available it
 * never comes.
 */
export function decode(
	bytes: Uint8Array,
	offset: number,
	available: number,
	mode: DecodeMode,
): Instruction | DecodeFailure {
	const d = decoding;
	const visible = Math.min(available, MAX_INSTRUCTION_BYTES);
	d.offset = offset;
	d.end = offset + visible;
	d.is64 = mode.codeSize === 64;
	readPrefixes(bytes, d);
	readOpcode(bytes, d);
	if (d.offset > d.end) return cutOff(available);
	const slot = dispatchFor(d.is64, mode.features).slot(d.map, d.opcode);
	if (slot.isEmpty) return "undefined";
	if (slot.hasModrm) {
		d.modrm = bytes[d.offset++];
		if (d.offset > d.end) return cutOff(available);
	} else d.modrm = -1;
	const plan = select(slot, d);
	if (plan === undefined) return "undefined";
	return finish(bytes, offset, available, mode.codeSize, plan, d);
}

function cutOff(available: number): DecodeFailure {
	return available >= MAX_INSTRUCTION_BYTES ? "too-long" : "truncated";
}

function readPrefixes(bytes: Uint8Array, d: Decoding): void {
	const kinds = d.is64 ? LONG_PREFIXES : LEGACY_PREFIXES;
	d.operandPrefix = false;
	d.addressPrefix = false;
	d.lock = false;
	d.repeat = 0;
	d.rex = 0;
	d.segment = -1;
	while (d.offset < d.end) {
		const byte = bytes[d.offset];
		const kind = kinds[byte];
		if (kind === 0) return;
		d.offset++;
		notePrefix(d, kind, byte);
	}
}

/** REX counts only directly before the opcode, so any later prefix cancels it. */
function notePrefix(d: Decoding, kind: number, byte: number): void {
	d.rex = 0;
	switch (kind) {
		case Prefix.REX:
			d.rex = byte;
			return;
		case Prefix.SEGMENT:
			noteSegment(d, byte);
			return;
		case Prefix.OPERAND_SIZE:
			d.operandPrefix = true;
			return;
		case Prefix.ADDRESS_SIZE:
			d.addressPrefix = true;
			return;
		case Prefix.LOCK:
			d.lock = true;
			return;
		default:
			d.repeat = byte;
	}
}

/** 26 2E 36 3E are ES CS SS DS, which 64-bit mode ignores as if they were not there; 64 and 65 are FS and GS. */
function noteSegment(d: Decoding, byte: number): void {
	if (byte >= 0x64) d.segment = byte - 0x64 + SegmentRegister.FS;
	else if (!d.is64) d.segment = (byte >> 3) & 3;
}

/** Leaves `offset` beyond `end` when the opcode is cut off. */
function readOpcode(bytes: Uint8Array, d: Decoding): void {
	let opcode = bytes[d.offset++];
	d.map = MapIndex.ONE_BYTE;
	if (opcode === 0x0f && d.offset < d.end) {
		opcode = bytes[d.offset++];
		d.map = MapIndex.M0F;
		if (opcode === 0x38 || opcode === 0x3a) {
			d.map = opcode === 0x38 ? MapIndex.M0F38 : MapIndex.M0F3A;
			opcode = bytes[d.offset++];
		}
	} else if (opcode === 0x0f) d.offset++;
	d.opcode = opcode;
}

/** The two dispatches of one set of features; a machine rarely needs both. */
class Dispatches {
	readonly features: ReadonlySet<string>;
	#legacy: Dispatch | undefined;
	#long: Dispatch | undefined;

	constructor(features: ReadonlySet<string>) {
		this.features = features;
	}

	get(is64: boolean): Dispatch {
		if (is64) {
			this.#long ??= new Dispatch(true, this.features);
			return this.#long;
		}
		this.#legacy ??= new Dispatch(false, this.features);
		return this.#legacy;
	}
}

const dispatchesByFeatures = new WeakMap<ReadonlySet<string>, Dispatches>();
/** Those of the last call: sets of features hardly ever change. */
let dispatches = new Dispatches(ALL_FEATURES);

function dispatchFor(
	is64: boolean,
	features: ReadonlySet<string> = ALL_FEATURES,
): Dispatch {
	if (features !== dispatches.features) switchDispatches(features);
	return dispatches.get(is64);
}

function switchDispatches(features: ReadonlySet<string>): void {
	dispatchesByFeatures.set(dispatches.features, dispatches);
	dispatches = dispatchesByFeatures.get(features) ?? new Dispatches(features);
}

/** The first candidate whose remaining conditions hold. */
function select(slot: OpcodeSlot, d: Decoding): DecodePlan | undefined {
	const modrm = Math.max(d.modrm, 0);
	const key =
		(prefixClass(d) << 4) | (modrm >= 0xc0 ? 8 : 0) | ((modrm >> 3) & 7);
	const candidates = slot.candidates(key);
	for (let i = 0; i < candidates.length; i++) {
		const plan = candidates[i];
		if (!plan.conditional || conditionsHold(plan, modrm, d.rex)) return plan;
	}
	return undefined;
}

function prefixClass(d: Decoding): number {
	if (d.repeat === 0xf3) return PrefixClass.PF3;
	if (d.repeat === 0xf2) return PrefixClass.PF2;
	return d.operandPrefix ? PrefixClass.P66 : PrefixClass.NONE;
}

function conditionsHold(plan: DecodePlan, modrm: number, rex: number): boolean {
	return (
		(plan.rm < 0 || plan.rm === (modrm & 7)) &&
		(plan.rexW < 0 || plan.rexW === ((rex >> 3) & 1)) &&
		(plan.rexB < 0 || plan.rexB === (rex & 1))
	);
}

/** Control registers that exist, as a bit set: 0, 2, 3, 4, 8. */
const CONTROL_REGISTERS = 0b1_0001_1101;

function regExists(plan: DecodePlan, d: Decoding): boolean {
	if (plan.regCheck === RegCheck.NONE) return true;
	const reg = ((d.modrm >> 3) & 7) | ((d.rex & 4) << 1);
	switch (plan.regCheck) {
		case RegCheck.SEGMENT:
			return (reg & 7) < 6;
		case RegCheck.SEGMENT_LOAD:
			return (reg & 7) < 6 && (reg & 7) !== SegmentRegister.CS;
		case RegCheck.CONTROL:
			return ((CONTROL_REGISTERS >> reg) & 1) !== 0;
		default:
			return reg < 8;
	}
}

function finish(
	bytes: Uint8Array,
	start: number,
	available: number,
	codeSize: SizeAttribute,
	plan: DecodePlan,
	d: Decoding,
): Instruction | DecodeFailure {
	const operandSize = operandSizeOf(plan, d, codeSize);
	const addressSize = addressSizeOf(codeSize, d.addressPrefix);
	const isRegister = d.modrm >= 0xc0 || (plan.modIgnored && d.modrm >= 0);
	const memory =
		d.modrm >= 0 && !isRegister ? readMemory(bytes, d, addressSize) : undefined;
	readImmediates(bytes, plan.immediateKind, operandSize, addressSize, d);
	// All of it is fetched before any of it is judged.
	if (d.offset > d.end) return cutOff(available);
	if (d.lock && !(plan.lockable && memory !== undefined)) return "undefined";
	if (!regExists(plan, d)) return "undefined";
	return {
		row: plan.row,
		lengthBytes: d.offset - start,
		codeSize,
		operandSize,
		addressSize,
		lock: d.lock,
		rep: repOf(plan, d.repeat),
		rex: d.rex !== 0,
		segment: (d.segment < 0
			? SegmentRegister.DS
			: d.segment) as SegmentRegister,
		isRegister,
		modrm: d.modrm,
		reg: regOf(plan, d),
		rm: rmOf(plan, d, isRegister),
		memory,
		immediate: d.immediate,
		immediateHigh: d.immediateHigh,
		immediate2: d.immediate2,
	};
}

/** Intel SDM vol. 1, "Operand-Size and Address-Size Attributes". */
function operandSizeOf(
	plan: DecodePlan,
	d: Decoding,
	codeSize: SizeAttribute,
): SizeAttribute {
	const rexW = (d.rex & 8) !== 0;
	if (codeSize === 64) {
		if (rexW || plan.size64 === Size64.FORCE) return 64;
		if (d.operandPrefix && !plan.ignores66) return 16;
		return plan.size64 === Size64.DEFAULT ? 64 : 32;
	}
	if (plan.ignores66) return 32;
	return (codeSize === 16) === d.operandPrefix ? 32 : 16;
}

function addressSizeOf(
	codeSize: SizeAttribute,
	hasPrefix: boolean,
): SizeAttribute {
	if (!hasPrefix) return codeSize;
	return codeSize === 32 ? 16 : 32;
}

function readMemory(
	bytes: Uint8Array,
	d: Decoding,
	addressSize: SizeAttribute,
): MemoryReference {
	const memory = readMemoryReference(
		bytes,
		d.offset,
		d.modrm,
		addressSize,
		d.is64,
		d.segment,
		(d.rex & 2) << 2,
		(d.rex & 1) << 3,
	);
	d.offset += addressingLengthBytes;
	return memory;
}

function repOf(plan: DecodePlan, repeat: number): "none" | "repz" | "repnz" {
	if (repeat === 0 || !plan.isString) return "none";
	return repeat === 0xf3 ? "repz" : "repnz";
}

function regOf(plan: DecodePlan, d: Decoding): number {
	if (d.modrm < 0) return -1;
	return (((d.modrm >> 3) & 7) | ((d.rex & 4) << 1)) & plan.regMask;
}

function rmOf(plan: DecodePlan, d: Decoding, isRegister: boolean): number {
	if (isRegister) return ((d.modrm & 7) | ((d.rex & 1) << 3)) & plan.rmMask;
	return plan.hasZ ? (d.opcode & 7) | ((d.rex & 1) << 3) : -1;
}

function readImmediates(
	bytes: Uint8Array,
	kind: number,
	operandSize: SizeAttribute,
	addressSize: SizeAttribute,
	d: Decoding,
): void {
	d.immediate2 = 0;
	d.immediateHigh = 0;
	switch (kind) {
		case ImmediateKind.NONE:
			d.immediate = 0;
			return;
		case ImmediateKind.IB:
			d.immediate = bytes[d.offset++] | 0;
			return;
		case ImmediateKind.IBS:
			d.immediate = (bytes[d.offset++] << 24) >> 24;
			d.immediateHigh = d.immediate >> 31;
			return;
		case ImmediateKind.IZ:
			readSized(bytes, operandSize === 16 ? 16 : 32, d);
			d.immediateHigh = d.immediate >> 31;
			return;
		case ImmediateKind.IV:
			readSized(bytes, operandSize, d);
			if (operandSize !== 64) d.immediateHigh = d.immediate >> 31;
			return;
		default:
			readRareImmediates(bytes, kind, operandSize, addressSize, d);
	}
}

/** Offsets and words that are addresses or counts, not signed numbers. */
function readRareImmediates(
	bytes: Uint8Array,
	kind: number,
	operandSize: SizeAttribute,
	addressSize: SizeAttribute,
	d: Decoding,
): void {
	if (kind === ImmediateKind.OFFSET) {
		readSized(bytes, addressSize, d);
		if (addressSize === 16) d.immediate &= 0xffff;
		return;
	}
	const isFar = kind === ImmediateKind.FAR;
	readSized(bytes, isFar ? operandSize : 16, d);
	if (!isFar || operandSize === 16) d.immediate &= 0xffff;
	if (isFar) {
		d.immediate2 = readInt16(bytes, d.offset) & 0xffff;
		d.offset += 2;
	} else if (kind === ImmediateKind.IW_IB) {
		d.immediate2 = bytes[d.offset++] | 0;
	}
}

/** Reads 16 bits sign-extended, 32, or 64 bits in two halves. */
function readSized(bytes: Uint8Array, size: SizeAttribute, d: Decoding): void {
	if (size === 16) {
		d.immediate = readInt16(bytes, d.offset);
		d.offset += 2;
		return;
	}
	d.immediate = readInt32(bytes, d.offset);
	d.offset += 4;
	if (size === 64) {
		d.immediateHigh = readInt32(bytes, d.offset);
		d.offset += 4;
	}
}
