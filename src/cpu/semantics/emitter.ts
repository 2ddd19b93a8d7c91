/**
 * The vocabulary that instruction semantics are written in.
 *
 * A semantics function runs when code is *generated*, once for each form. What
 * it may branch on with a plain `if` is the form (sizes, register or memory).
 * What only the running guest knows is an opaque `Value`. Values are pure
 * expressions over immutable temporaries: building one emits nothing, and it
 * may be used any number of times, but each use computes it again, so name a
 * costly one with `let`. Operand and state reads are taken at the moment they
 * are written and are already named.
 *
 * Both engines implement this interface (`engine/`), so each instruction is
 * written once.
 *
 * @journey E:300 The language of semantics
 */

import type {
	Instruction,
	OpcodeRow,
	SizeAttribute,
} from "../decode/instruction.ts";
import type { Field } from "../state.ts";
import type { MadeShift } from "./shift-flags.ts";

/** The machine types a value can have; narrow integers live in i32. */
export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** Something the running guest computes. The brand keeps numbers out. */
export interface Value<T extends ValueType = ValueType> {
	readonly type: T;
}
export type I32 = Value<"i32">;
export type I64 = Value<"i64">;
/** An integer of some width: i64 when 64 bits wide, else i32. */
export type Integer = Value<"i32"> | Value<"i64">;
export type Vector = Value<"v128">;

/** A mutable temporary, for loops and joins. */
export interface Variable<T extends ValueType = ValueType> {
	get(): Value<T>;
	set(value: Value<T>): void;
}

/** The arithmetic flags by name, and conditions by their encoding (0 = O, 1 = NO, ... 15 = NLE). */
export type Flag = "CF" | "PF" | "AF" | "ZF" | "SF" | "OF";

/**
 * One operand of the instruction. Integers up to 64 bits read zero-extended;
 * writes take the low `width` bits and ignore the rest. A 32-bit register
 * write zero-extends into the 64-bit register.
 */
export interface Operand {
	/** Bits: 8..64 integer, 80, 128; 0 for an operand with an address only. */
	readonly width: number;
	readonly isMemory: boolean;
	/** Its value now, named (safe to use after later writes). XMM and MMX registers give their low bits. */
	read(): Integer;
	/** As `read`, for widths of 32 and 64: the number that the bits are. */
	readFloat(): Value;
	writeFloat(value: Value): void;
	/** As `read`, sign-extended from `width` to i32 (or i64). */
	readSigned(): Integer;
	/** Writes the low `width` bits; of an XMM register the others stay. */
	write(value: Integer): void;
	/**
	 * Read, compute, write: memory is checked for writing before `compute`
	 * runs, so that a fault comes first (Intel SDM vol. 3, "Page-Fault Exception").
	 */
	modify(compute: (old: Integer) => Integer): void;
	/**
	 * Checks that a write will succeed and returns a writer: for instructions
	 * whose write comes after other state changes.
	 */
	prepareWrite(): (value: Integer) => void;
	/** 128 bits. Memory operands of fewer bits read zero-extended. */
	readVector(): Vector;
	writeVector(value: Vector): void;
	/** Faults with #GP(0) unless the memory operand is 16-byte aligned (SSE's aligned forms). */
	requireAlignment(bytes: number): void;
	/** Faults if the memory operand lies beyond its segment's end; its page is not looked at. */
	checkLimit(intent: "read" | "write"): void;
	/** Effective address (memory), i32 or i64 by address size. */
	address(): Integer;
	/** A memory operand `offsetBytes` further on, `width` bits wide (second word of a far pointer, pieces of FXSAVE's image). */
	at(offsetBytes: number, width: number): Operand;
	/** A memory operand of the same width, a signed number of bytes further on that only the guest knows (bit strings). */
	displaced(distanceBytes: Integer): Operand;
	/** Register number of an x87 stack operand (i of ST(i)), a control, debug or segment register operand; a direct far pointer's selector (its offset is `read`); immediates: use `read`. */
	index(): I32;
}

/** The form at hand: what semantics may decide on with a plain `if`. */
export interface Form {
	readonly row: OpcodeRow;
	readonly operandSize: SizeAttribute;
	readonly addressSize: SizeAttribute;
	/** Size of the stack pointer: SS.B, or 64 in 64-bit mode. */
	readonly stackSize: SizeAttribute;
	/** 64-bit mode. */
	readonly long: boolean;
	readonly rep: Instruction["rep"];
	readonly isRegister: boolean;
	readonly operands: readonly Operand[];
}

/** Kernels of exact floating-point arithmetic and other out-of-line pure code, by name. */
export type KernelName = string;
/** Operations of the system architecture, written in TypeScript over CPU state (see `system/`). */
export type SystemName = string;

export interface Emitter {
	// Constants and names
	i32(value: number): I32;
	i64(value: bigint | number): I64;
	/** A constant of `width` bits: i64 when 64. */
	constant(width: number, value: number): Integer;
	f32(value: number): Value<"f32">;
	f64(value: number): Value<"f64">;
	v128(bytes: readonly number[]): Vector;
	/** Computes `value` here, once; the result may be used many times. */
	let<T extends ValueType>(value: Value<T>): Value<T>;
	variable<T extends ValueType>(initial: Value<T>): Variable<T>;

	// Integer arithmetic; operands share a type, which is the result's
	add<T extends Integer>(a: T, b: T): T;
	sub<T extends Integer>(a: T, b: T): T;
	mul<T extends Integer>(a: T, b: T): T;
	/** Quotients and remainders trap on zero and overflow: check before. */
	divS<T extends Integer>(a: T, b: T): T;
	divU<T extends Integer>(a: T, b: T): T;
	remS<T extends Integer>(a: T, b: T): T;
	remU<T extends Integer>(a: T, b: T): T;
	and<T extends Integer>(a: T, b: T): T;
	or<T extends Integer>(a: T, b: T): T;
	xor<T extends Integer>(a: T, b: T): T;
	not<T extends Integer>(a: T): T;
	neg<T extends Integer>(a: T): T;
	/** Shift counts have the value's type and are taken modulo 32 or 64. */
	shl<T extends Integer>(a: T, count: T): T;
	shrU<T extends Integer>(a: T, count: T): T;
	shrS<T extends Integer>(a: T, count: T): T;
	rotl<T extends Integer>(a: T, count: T): T;
	rotr<T extends Integer>(a: T, count: T): T;
	clz<T extends Integer>(a: T): T;
	ctz<T extends Integer>(a: T): T;
	popcnt<T extends Integer>(a: T): T;

	// Comparisons give i32 0 or 1
	eqz(a: Integer): I32;
	eq<T extends Integer>(a: T, b: T): I32;
	ne<T extends Integer>(a: T, b: T): I32;
	ltS<T extends Integer>(a: T, b: T): I32;
	ltU<T extends Integer>(a: T, b: T): I32;
	leS<T extends Integer>(a: T, b: T): I32;
	leU<T extends Integer>(a: T, b: T): I32;
	gtS<T extends Integer>(a: T, b: T): I32;
	gtU<T extends Integer>(a: T, b: T): I32;
	geS<T extends Integer>(a: T, b: T): I32;
	geU<T extends Integer>(a: T, b: T): I32;
	select<T extends ValueType>(
		condition: I32,
		ifTrue: Value<T>,
		ifFalse: Value<T>,
	): Value<T>;

	// Conversions
	/** i32 to i64. */
	extendU(a: I32): I64;
	extendS(a: I32): I64;
	/** i64 to i32: the low half. */
	wrap(a: Integer): I32;
	/** The low `width` bits zero-extended within the value's own type. */
	zeroExtend<T extends Integer>(width: number, a: T): T;
	signExtend<T extends Integer>(width: number, a: T): T;
	/** To the integer type of `width` (i32 up to 32, i64 for 64), zero-extending or truncating the type. */
	toWidth(width: number, a: Integer): Integer;
	/**
	 * Any other pure machine operation by its WebAssembly name, floats and
	 * vectors: `op("f64.add", a, b)`, `op("i16x8.add_sat_s", a, b)`. Operand
	 * types are checked when code is generated.
	 */
	op<T extends ValueType = "v128">(
		name: string,
		...args: readonly Value[]
	): Value<T>;
	/** Operations with a lane immediate: `lane("i32x4.extract_lane", 2, v)`. */
	lane<T extends ValueType>(
		name: string,
		laneIndex: number,
		...args: readonly Value[]
	): Value<T>;
	/** Bytes picked from a (0..15) and b (16..31). */
	shuffle(a: Vector, b: Vector, lanes: readonly number[]): Vector;

	// Control flow inside one instruction
	if(
		condition: I32,
		then: () => void,
		otherwise?: () => void,
		holds?: "usual" | "rare",
	): void;
	/** If one of the conditions, which rarely are, is not zero. */
	ifAny(
		conditions: readonly I32[],
		then: () => void,
		otherwise?: () => void,
	): void;
	/** Runs `body` until it does not call its `again`. */
	loop(body: (again: (condition?: I32) => void) => void): void;

	// Registers and state
	/** General register by encoding number, its low `width` bits (never AH..BH), named. */
	readGpr(index: number, width: number): Integer;
	/** AH CH DH BH for 0..3. */
	readHighByte(index: number): I32;
	writeHighByte(index: number, value: I32): void;
	writeGpr(index: number, width: number, value: Integer): void;
	/** CPU state outside the general registers: sizes 1, 2, 4 give i32 zero-extended, 8 gives i64, 16 v128. */
	readState(
		field: Field,
		index?: number,
		byteOffset?: number,
		size?: number,
	): Value;
	writeState(
		field: Field,
		value: Value,
		index?: number,
		byteOffset?: number,
		size?: number,
	): void;
	/** As above with an element number known only at run time (x87 registers). */
	readStateAt(
		field: Field,
		index: I32,
		byteOffset: number,
		size: number,
	): Value;
	writeStateAt(
		field: Field,
		index: I32,
		byteOffset: number,
		size: number,
		value: Value,
	): void;

	// Flags. Setters define all six flags unless they say otherwise.
	/** Flags of a + b = result (with `carry` = the carry-in already in result). */
	setAddFlags(width: number, a: Integer, b: Integer, result: Integer): void;
	setSubFlags(width: number, a: Integer, b: Integer, result: Integer): void;
	/** CF = OF = AF = 0; ZF SF PF by result. */
	setLogicFlags(width: number, result: Integer): void;
	/** INC and DEC: all but CF. */
	setIncFlags(width: number, result: Integer): void;
	setDecFlags(width: number, result: Integer): void;
	/** ZF SF PF by result, CF and OF by `shift-flags.ts`, AF = 0. */
	setShiftFlags(shift: MadeShift): void;
	/** ZF SF PF by result, CF OF AF as given (i32 0 or 1). */
	setFlagsFrom(
		width: number,
		result: Integer,
		flags: { CF: I32; OF: I32; AF: I32 },
	): void;
	/** Overwrites the named flags (i32 0 or 1), keeps the others. */
	setFlags(flags: Partial<Record<Flag, I32>>): void;
	getFlag(flag: Flag): I32;
	/** Condition by encoding: 0 O, 1 NO, 2 B, 3 NB, 4 Z, 5 NZ, 6 BE, 7 NBE, 8 S, 9 NS, 10 P, 11 NP, 12 L, 13 NL, 14 LE, 15 NLE. */
	condition(code: number): I32;
	/** EFLAGS as PUSHF sees it, RF and VM included. */
	readEflags(): I32;
	/** Writes the arithmetic flags from an EFLAGS image, and the other bits under `mask`. */
	writeEflags(image: I32, mask: I32): void;

	// Memory beyond operands
	/** Reads `width` bits at segment:offset (segment by encoding number, or the instruction's own for "data"). */
	loadSegment(
		segment: number | "data",
		offset: Integer,
		width: number,
	): Integer;
	storeSegment(
		segment: number | "data",
		offset: Integer,
		width: number,
		value: Integer,
	): void;
	/** Checks a write at segment:offset, then returns the writer. */
	prepareStore(
		segment: number | "data",
		offset: Integer,
		width: number,
	): (value: Integer) => void;
	/**
	 * For string instructions: address of the byte in linear memory when the
	 * access of `width` bits at segment:offset is plain RAM on the fast path,
	 * else 0. The same holds for what follows, up to the page's end, which is
	 * where the address is a multiple of 4096, and for what precedes it in the
	 * page, where the offset does not go below zero. Raises nothing.
	 */
	fastAddress(
		segment: number | "data",
		offset: Integer,
		width: number,
		intent: "read" | "write",
	): I32;
	/** Raw access by such an address. */
	loadFast(address: I32, width: number): Integer;
	storeFast(address: I32, width: number, value: Integer): void;
	copyFast(to: I32, from: I32, lengthBytes: I32): void;
	fillFast(to: I32, byte: I32, lengthBytes: I32): void;

	/** Segment base + offset without any check, cut to 32 bits outside 64-bit mode (INVLPG). */
	linearAddress(segment: number | "data", offset: Integer): Integer;
	/** Selector in the instruction's data segment register. */
	dataSelector(): I32;
	/** The opcode's low three bits and the ModR/M byte (Intel SDM vol. 1, "Last Instruction Opcode"). */
	x87Opcode(): I32;

	// Control transfer
	/** RIP of this instruction, and of the next one; i32, or i64 in 64-bit mode. */
	currentRip(): Integer;
	nextRip(): Integer;
	/** #GP(0) unless execution can go on at RIP = target: canonical, or within CS's limit. For transfers that write something before they jump. */
	checkTarget(target: Integer): void;
	/** Continue at RIP = target (CS stays); limit and canonical checks included. Ends the instruction. */
	jump(target: Integer): void;
	/** Continue at the relative branch's target (operand J). Ends the instruction. */
	jumpRelative(): void;
	/** The instruction stays where it is and is run again (next step of a REP); counts as retired. */
	repeat(): void;

	// Faults and system operations
	/** Raises an exception before anything was written. Ends the instruction. */
	fault(vector: number, errorCode?: I32): void;
	faultIf(condition: I32, vector: number, errorCode?: I32): void;
	/**
	 * Emits a check that faults by what system operations alone can change,
	 * unless code that always runs before has made it, under the same name.
	 */
	ensure(what: string, check: () => void): void;
	/**
	 * A system operation in TypeScript; up to three i32 arguments, wider ones in
	 * SYSTEM_ARGUMENT, a result in SYSTEM_RESULT. Faults and changes of control
	 * end the instruction here; otherwise it goes on behind the call.
	 */
	system(name: SystemName, ...args: readonly I32[]): void;
	/** Pure out-of-line code by name (x87 and SSE kernels). `result` types the value. */
	kernel<T extends ValueType>(
		name: KernelName,
		result: T,
		...args: readonly Value[]
	): Value<T>;
	/** A kernel without result. */
	runKernel(name: KernelName, ...args: readonly Value[]): void;
	/** Leave to the run loop after this instruction (HLT, a possible interrupt). */
	stop(): void;
}

/** What one mnemonic means. */
export type Semantics = (e: Emitter, form: Form) => void;
/** Mnemonic → meaning; each file of this folder exports one. */
export type SemanticsTable = Readonly<Record<string, Semantics>>;
