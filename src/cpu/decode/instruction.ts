/**
 * What the decoder knows about one instruction: the opcode-table row it
 * matched and its operands, with everything that the bytes alone decide.
 *
 * A row plus the few facts in `formKey` choose a *form*; semantics are
 * generated once per form. All the rest (which register, which displacement,
 * which immediate) is data of the single instruction: the cold engine reads
 * it from a record at run time, the hot engine burns it in.
 *
 * Relies on nothing; the decoder fills it in, semantics and engines read it.
 *
 * @journey E:110 What a decoded instruction is
 */

/** Bits of an integer operand or of an address. */
export type Width = 8 | 16 | 32 | 64;
/** The operand-size, address-size and code-size attributes (Intel SDM vol. 1, "Operand-Size and Address-Size Attributes"). */
export type SizeAttribute = 16 | 32 | 64;

/** Opcode maps: one-byte, 0F, 0F 38, 0F 3A. */
export type OpcodeMap = "1" | "0f" | "0f38" | "0f3a";

/**
 * How an operand is encoded, in the notation of Intel SDM vol. 2, appendix A
 * ("Key to Abbreviations"): a letter for the addressing method, then the type.
 *
 * | letter | method |
 * | --- | --- |
 * | E, G | general register or memory by ModR/M r/m; general register by reg |
 * | Z | general register by the opcode's low three bits |
 * | I, J, O, A | immediate; relative offset; absolute offset; far pointer |
 * | M | memory only by ModR/M |
 * | S, C, D | segment, control, debug register by reg |
 * | R | general register only, by r/m |
 * | P, Q, N | MMX register by reg; MMX register or memory by r/m; MMX register only, by r/m |
 * | V, W, U | XMM register by reg; XMM register or memory by r/m; XMM register only, by r/m |
 * | X, Y | memory at seg:rSI; memory at ES:rDI |
 *
 * types: b 8, w 16, d 32, q 64, dq 128 bits, v 16/32/64 by operand size, z 16/32
 * (32 at operand size 64), y 32/64, bs byte sign-extended to the operand
 * size, p far pointer, t 80-bit, others a size in bytes such as `M28`.
 * Fixed registers are spelled out: AL, CL, DX, rAX, ES, ST0, STi; "1" is the constant.
 */
export type OperandSpec = string;

/** One line of the opcode table: one instruction form as the manual lists it. */
export interface OpcodeRow {
	/** Dense index, in table order; stable within one build. */
	readonly id: number;
	readonly map: OpcodeMap;
	readonly opcode: number;
	/** Mandatory prefix that selects the row: none given = any, "np" = none of 66/F3/F2. */
	readonly prefix?: "np" | "66" | "f3" | "f2";
	/** ModR/M reg field that selects the row (opcode extension "/digit"). */
	readonly extension?: number;
	/** ModR/M r/m field that selects the row (only with mod = 3), e.g. 0F 01 F8. */
	readonly rm?: number;
	/** Row only for a register (mod = 3) or only for a memory operand. */
	readonly mod?: "register" | "memory";
	/** REX.W (clear also means "no REX") that selects the row: CMPXCHG8B or CMPXCHG16B. */
	readonly rexW?: boolean;
	/** REX.B (clear also means "no REX") that selects the row: 90 is NOP only without it. */
	readonly rexB?: boolean;
	readonly hasModrm: boolean;
	/** Upper-case manual mnemonic; conditional families carry their condition (JNZ, SETB, CMOVLE). */
	readonly mnemonic: string;
	readonly operands: readonly OperandSpec[];
	/** LOCK is legal when the destination is memory. */
	readonly lockable: boolean;
	/** Not encodable (#UD) in 64-bit mode / only encodable there. */
	readonly invalidIn64: boolean;
	readonly only64: boolean;
	/** In 64-bit mode: operand size is 64 by default ("d64"), or always ("f64"). */
	readonly size64?: "default" | "force";
	/** Ends a basic block: control transfer, or changes what later decoding depends on. */
	readonly endsBlock: boolean;
	/** CPUID feature the row belongs to: "base", "x87", "mmx", "sse", "sse2", "sse3", "ssse3", "sse41", "sse42", ... */
	readonly feature: string;
	/** Kept by the silicon harness: "user" runs at CPL 3 anywhere, "system" does not. */
	readonly level: "user" | "system";
}

/** Segment registers in their encoding order (ES CS SS DS FS GS). */
export const SegmentRegister = {
	ES: 0,
	CS: 1,
	SS: 2,
	DS: 3,
	FS: 4,
	GS: 5,
} as const;
export type SegmentRegister =
	(typeof SegmentRegister)[keyof typeof SegmentRegister];

/** seg:[base + index << scale + displacement]; registers -1 when absent. */
export interface MemoryReference {
	/** Effective segment: the override if any, else the default of the base. */
	readonly segment: SegmentRegister;
	readonly base: number;
	readonly index: number;
	/** log2 of the scale factor. */
	readonly scale: number;
	/** Sign-extended 32-bit; for RIP-relative, relative to the end of the instruction. */
	readonly displacement: number;
	readonly ripRelative: boolean;
}

export interface Instruction {
	readonly row: OpcodeRow;
	readonly lengthBytes: number;
	readonly codeSize: SizeAttribute;
	readonly operandSize: SizeAttribute;
	readonly addressSize: SizeAttribute;
	readonly lock: boolean;
	/** F2/F3 when it acts as a repeat prefix (string rows) or as REP/PAUSE-like hint; mandatory prefixes are consumed by the row. */
	readonly rep: "none" | "repz" | "repnz";
	/** Any REX prefix in force: registers 4..7 of byte operands are SPL..DIL instead of AH..BH. */
	readonly rex: boolean;
	/** The segment of X operands (default DS) and of moffs. */
	readonly segment: SegmentRegister;
	/** True when ModR/M names a register (mod = 3); false with memory or without ModR/M. */
	readonly isRegister: boolean;
	/** The ModR/M byte; -1 without. What the x87 keeps of its last instruction. */
	readonly modrm: number;
	/** ModR/M reg field with REX.R; -1 without ModR/M. */
	readonly reg: number;
	/** ModR/M r/m field with REX.B when mod = 3; low opcode bits with REX.B for Z operands; else -1. */
	readonly rm: number;
	readonly memory: MemoryReference | undefined;
	/** Immediate or relative offset: low and high 32 bits, sign-extended to 64 as its type says (Ib zero-extended, Ibs/Iz/Jb/Jz sign-extended); moffs address; far pointer offset. */
	readonly immediate: number;
	readonly immediateHigh: number;
	/** Second immediate: ENTER's level, a far pointer's selector. */
	readonly immediate2: number;
}

/** Why bytes are not an instruction. */
export type DecodeFailure =
	/** No such instruction here: #UD. */
	| "undefined"
	/** More than 15 bytes: #GP(0). */
	| "too-long"
	/** Ran past the bytes given: fetch more, or fault on the next page. */
	| "truncated";
