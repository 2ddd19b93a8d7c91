/**
 * The one place that knows where CPU state lives in linear memory.
 *
 * Generated code, TypeScript slow paths, snapshots and debuggers all derive
 * their offsets from the fields declared here; nothing else writes a literal
 * offset. Offsets are relative to the state base of one vCPU, so that several
 * can live in one memory. Everything fits in 64 KiB, so a record can name any
 * field by a 16-bit offset.
 *
 * General registers, RIP and linear addresses have 8-byte slots. 32-bit code
 * uses the low halves; a 32-bit write zero-extends into the whole slot, which
 * is what long mode demands and legacy modes cannot see.
 *
 * @journey E:200 The CPU's state, once
 */

/** One named piece of CPU state: `count` elements of `size` bytes, `stride` apart. */
export interface Field {
	readonly name: string;
	readonly offset: number;
	/** Bytes of one element. */
	readonly size: number;
	readonly count: number;
	readonly stride: number;
}

const declared: Field[] = [];
let nextOffset = 0;

function field(
	name: string,
	size: 1 | 2 | 4 | 8 | 16 | 64 | 512,
	count = 1,
	stride: number = size,
): Field {
	const alignment = Math.min(size, 16);
	nextOffset = Math.ceil(nextOffset / alignment) * alignment;
	const made = { name, offset: nextOffset, size, count, stride };
	nextOffset += count * stride;
	declared.push(made);
	return made;
}

/** RAX RCX RDX RBX RSP RBP RSI RDI R8..R15, in encoding order. */
export const GPR = field("gpr", 8, 16);
/** Never written: an absent base or index register reads here. */
export const ZERO = field("zero", 8);
/** Instruction pointer; current only where generated code has stored it. */
export const RIP = field("rip", 8);
/** RIP of the instruction after the one in a system operation. */
export const NEXT_RIP = field("nextRip", 8);

/**
 * Arithmetic flags in lazy form (see `flags.ts`): the last result,
 * sign-extended from its width, and the auxiliary bits.
 */
export const FLAG_RESULT = field("flagResult", 4);
export const FLAG_AUX = field("flagAux", 4);
/** EFLAGS without CF PF AF ZF SF OF (those are lazy); bit 1 is set. */
export const EFLAGS = field("eflags", 4);

/*
 * Segment registers ES CS SS DS FS GS, then LDTR (6) and TR (7):
 *
 * | offset | width | meaning |
 * | --- | --- | --- |
 * | 0 | 4 | selector |
 * | 4 | 4 | attributes: descriptor bits 40..55 (type, S, DPL, P, limit 16-19 as 0, AVL, L, D/B, G), bit 16 = unusable (null) |
 * | 8 | 8 | base |
 * | 16 | 4 | limit in bytes, scaled by G |
 * | 20 | 4 | read-safe: a read of up to 16 bytes below this offset needs no limit or type check |
 * | 24 | 4 | write-safe: the same for writes; 0 when every access must be checked |
 */
export const SEGMENT_STRIDE = 32;
export const SEGMENT = field("segment", 16, 8, SEGMENT_STRIDE);
export const SEGMENT_SELECTOR = 0;
export const SEGMENT_ATTRIBUTES = 4;
export const SEGMENT_BASE = 8;
export const SEGMENT_LIMIT = 16;
export const SEGMENT_READ_SAFE = 20;
export const SEGMENT_WRITE_SAFE = 24;
/** Indices behind the six encodable segment registers. */
export const LDTR = 6;
export const TR = 7;
/** In SEGMENT_ATTRIBUTES: loaded with a null selector. */
export const SEGMENT_UNUSABLE = 0x1_0000;

export const GDTR_BASE = field("gdtrBase", 8);
export const GDTR_LIMIT = field("gdtrLimit", 4);
export const IDTR_BASE = field("idtrBase", 8);
export const IDTR_LIMIT = field("idtrLimit", 4);

export const CR0 = field("cr0", 8);
export const CR2 = field("cr2", 8);
export const CR3 = field("cr3", 8);
export const CR4 = field("cr4", 8);
export const CR8 = field("cr8", 8);
export const EFER = field("efer", 8);
export const DR = field("dr", 8, 8);
/** Current privilege level 0..3 (3 in virtual-8086 mode). */
export const CPL = field("cpl", 4);
/** The mode key (see `mode.ts`) that the engines run under. */
export const MODE = field("mode", 4);

/** IA32_SYSENTER_CS, _ESP, _EIP. */
export const SYSENTER_CS = field("sysenterCs", 8);
export const SYSENTER_ESP = field("sysenterEsp", 8);
export const SYSENTER_EIP = field("sysenterEip", 8);
export const STAR = field("star", 8);
export const LSTAR = field("lstar", 8);
export const CSTAR = field("cstar", 8);
export const SFMASK = field("sfmask", 8);
export const KERNEL_GS_BASE = field("kernelGsBase", 8);
export const TSC_AUX = field("tscAux", 8);
/** Added to the clock's count by RDTSC; moved by writes to IA32_TIME_STAMP_COUNTER. */
export const TSC_OFFSET = field("tscOffset", 8);
export const PAT = field("pat", 8);

/**
 * TLB entry bits that make an access leave the fast path, for the current
 * privilege level (see `mmu/tlb.ts`).
 */
export const TLB_READ_MASK = field("tlbReadMask", 4);
export const TLB_WRITE_MASK = field("tlbWriteMask", 4);
export const TLB_EXECUTE_MASK = field("tlbExecuteMask", 4);

/** The pages that accesses by each general register found last (see `mmu/page-memos.ts`). */
export const MEMO = field("memo", 16, 32);
export const MEMO_PAGE = 0;
export const MEMO_REACH = 8;
export const MEMO_HOST = 12;

/** Which page tables generated code may walk by itself: 0 = none, else TABLES_* bits. */
export const TABLES = field("tables", 4);
export const TABLES_TWO_LEVEL = 1;
export const TABLES_PAE = 2;
/** With PAE: NX is enabled. */
export const TABLES_NX = 4;
/** The same for the four levels that 64-bit code has: 0 = not by itself, else WIDE_TABLES_ON and perhaps TABLES_NX. */
export const WIDE_TABLES = field("wideTables", 4);
export const WIDE_TABLES_ON = 1;
/** PAE's four top entries as they were loaded. */
export const PDPTE = field("pdpte", 8, 4);
/** Non-zero while generated code may carry out system operations by itself: flat 32-bit code outside long mode, nobody watching. */
export const DIRECT = field("direct", 4);
/** Non-zero where what RDTSC gives depends on nothing that the processor does, and nobody compares it. */
export const TIME_IS_REAL = field("timeIsReal", 4);
/** For statistics: TLB misses that generated code has filled. */
export const TLB_FILLS = field("tlbFills", 8);

/** Instructions left in this run when generated code left the loop or called out. */
export const BUDGET = field("budget", 4);
/** `BUDGET` right after the instruction that opened an interrupt shadow (STI, MOV SS); -1 = none. */
export const SHADOW = field("shadow", 4);
/**
 * Non-zero when an interrupt waits (bit 0, for IF) or an NMI does (bit 1):
 * instructions that set IF then leave the loop.
 */
export const INTERRUPT_PENDING = field("interruptPending", 4);
export const PENDING_INTERRUPT = 1;
export const PENDING_NMI = 2;
/** Non-zero from the delivery of an NMI to the next IRET: no other NMI comes between. */
export const NMI_BLOCKED = field("nmiBlocked", 4);
/**
 * Non-zero when an operation in the middle of an instruction changed what the
 * engine's code depends on (a data segment that is no longer flat, a device
 * that wants the run loop): the instruction leaves the loop when it is done.
 * `updateMode` clears it.
 */
export const LEAVE = field("leave", 4);
/** What the run loop does next: 0 = execute, 1 = wait for an interrupt (HLT), 2 = nothing but a reset (shutdown). */
export const HALTED = field("halted", 4);
/** Most iterations one step of a REP string instruction may do; 1 under single-step. */
export const REP_LIMIT = field("repLimit", 4);

/** Instructions that regions have retired; how often regions were entered, and left before an instruction that the cold engine must run. */
export const HOT_RETIRED = field("hotRetired", 8);
export const REGION_ENTRIES = field("regionEntries", 8);
export const REGION_COLD_EXITS = field("regionColdExits", 8);
/** Record at which a region was left to the cold engine, or name of the exit it was left by. */
export const REGION_EXIT = field("regionExit", 4);
/** The exception a fault status reports: vector, error code, and whether there is one. */
export const FAULT_VECTOR = field("faultVector", 4);
export const FAULT_ERROR_CODE = field("faultErrorCode", 4);
export const FAULT_HAS_ERROR_CODE = field("faultHasErrorCode", 4);
/** `BUDGET` when generated code last delivered a fault by itself. */
export const DELIVERED_AT = field("deliveredAt", 4);
/** Result of a system operation, and its wide arguments. */
export const SYSTEM_RESULT = field("systemResult", 8);
export const SYSTEM_ARGUMENT = field("systemArgument", 8, 4);

/**
 * x87 data registers by physical number, 16 bytes each: 64-bit significand at
 * 0, sign and exponent (16 bits, zero-extended) at 8. MM0..7 are the significands.
 */
export const FPR = field("fpr", 16, 8);
export const FPR_EXPONENT = 8;
export const FPU_CONTROL = field("fpuControl", 4);
/** Status word without TOP. */
export const FPU_STATUS = field("fpuStatus", 4);
/** TOP of stack 0..7. */
export const FPU_TOP = field("fpuTop", 4);
/** One bit for each physical register: 1 = not empty (FXSAVE's abridged tag). */
export const FPU_TAG = field("fpuTag", 4);
export const FPU_OPCODE = field("fpuOpcode", 4);
export const FPU_IP_SELECTOR = field("fpuIpSelector", 4);
export const FPU_DATA_SELECTOR = field("fpuDataSelector", 4);
export const FPU_IP = field("fpuIp", 8);
export const FPU_DATA = field("fpuData", 8);

export const XMM = field("xmm", 16, 16);
export const MXCSR = field("mxcsr", 4);

/** Where an access that straddles pages or hits a device is staged; host addresses below SCRATCH's end need a commit. */
export const SCRATCH = field("scratch", 64, 4);
/** Scratch of the floating-point kernels: wide operands and results. */
export const FLOAT_SCRATCH = field("floatScratch", 16, 16);

/** Bytes of state of one vCPU. */
export const STATE_BYTES = Math.ceil(nextOffset / 4096) * 4096;

/** Every field, in layout order: snapshots and debuggers iterate it. */
export const FIELDS: readonly Field[] = declared;

/** Offset of general register `index`'s part of `width` bits; `high` selects AH CH DH BH for 4..7. */
export function gprOffset(index: number, width: number, rex: boolean): number {
	if (width === 8 && !rex && index >= 4 && index < 8) {
		return GPR.offset + (index - 4) * 8 + 1;
	}
	return GPR.offset + index * 8;
}

/** Offset of segment register `index`'s record (0..7). */
export function segmentOffset(index: number): number {
	return SEGMENT.offset + index * SEGMENT_STRIDE;
}
