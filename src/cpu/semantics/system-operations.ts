/**
 * The contract between instruction semantics and the system architecture:
 * every operation that generated code leaves to TypeScript, by name.
 *
 * Semantics call these through `e.system(name, ...)`; `src/cpu/system/`
 * implements them over CPU state. Up to three i32 arguments travel as
 * arguments; wider ones lie in SYSTEM_ARGUMENT[0..3] as zero-extended 64-bit
 * slots; a result lies in SYSTEM_RESULT. An operation may raise an exception
 * (all checks come before its first change, RIP still being the instruction's)
 * or change control; both end the instruction. Privilege checks are part of
 * the operation unless it says otherwise.
 *
 * @journey E:310 What generated code asks of TypeScript
 */

/** How one operation is called and what it leaves behind. */
export interface SystemOperation {
	/** The i32 arguments, in order. */
	readonly arguments: readonly string[];
	/** SYSTEM_ARGUMENT slots the caller fills, by slot number. */
	readonly wideArguments?: readonly string[];
	/** What SYSTEM_RESULT holds afterwards. */
	readonly result?: string;
	/** SYSTEM_ARGUMENT slots the operation fills, by slot number. */
	readonly wideResults?: readonly string[];
	/** Effect, faults and the mode it may be called in. */
	readonly effect: string;
}

/** All operations by name; segments by encoding number (ES 0 ... GS 5), sizes as their names say. */
export const SYSTEM_OPERATIONS = {
	// I/O (Intel SDM vol. 1, "I/O Privilege Level" and "I/O Permission Bit Map")
	IO_CHECK: {
		arguments: ["port", "sizeBytes"],
		effect:
			"#GP(0) unless CPL <= IOPL (and not VM86) or the TSS bitmap allows every byte of the port range. Reads the TSS, touches no device.",
	},
	IN: {
		arguments: ["port", "sizeBytes"],
		result: "value read, zero-extended",
		effect:
			"IO_CHECK, then reads the port. Sets LEAVE when an interrupt is due.",
	},
	OUT: {
		arguments: ["port", "sizeBytes", "value"],
		effect:
			"IO_CHECK, then writes the low sizeBytes of value (higher bits are garbage). Sets LEAVE when an interrupt is due.",
	},

	// Segment registers and far transfers
	LOAD_SEGMENT: {
		arguments: ["segment", "selector"],
		effect:
			"MOV/POP/Lxx to a data or stack segment register with all descriptor checks; segment is never CS. Real and VM86 mode: base = selector << 4. The caller opens the interrupt shadow for SS, and leaves at the end of its instruction if LEAVE says that the mode key changed.",
	},
	JMP_FAR: {
		arguments: ["selector", "sizeBits"],
		wideArguments: ["offset, zero-extended from sizeBits"],
		effect:
			"Far jump: code segment, call gate, task gate or TSS; sets RIP. sizeBits = operand size.",
	},
	CALL_FAR: {
		arguments: ["selector", "sizeBits"],
		wideArguments: ["offset, zero-extended from sizeBits"],
		effect:
			"Far call: pushes CS and NEXT_RIP in sizeBits (a gate's own size through a gate), stack switch and parameter copy included.",
	},
	RET_FAR: {
		arguments: ["sizeBits", "popBytes"],
		effect:
			"Far return, to an outer level too; releases popBytes behind CS:RIP (on both stacks when the level changes).",
	},
	INT: {
		arguments: ["vector", "kind"],
		effect:
			"Software interrupt; kind 0 = INT n, 1 = INT3, 2 = INTO (OF already tested), 3 = INT1. Pushes NEXT_RIP. Gate DPL checked except for kind 3; INT n in VM86 with IOPL < 3 is #GP(0).",
	},
	IRET: {
		arguments: ["sizeBits"],
		effect:
			"Interrupt return in every mode: outer level, VM86, task (NT). Leaves to the run loop when IF becomes set with an interrupt pending or TF becomes set.",
	},

	// Control, debug and descriptor-table registers
	MOV_TO_CR: {
		arguments: ["register"],
		wideArguments: ["value, zero-extended"],
		effect: "MOV CRn, r. #UD for a register that does not exist.",
	},
	MOV_FROM_CR: {
		arguments: ["register"],
		result: "value, 64 bits",
		effect: "MOV r, CRn. #UD for a register that does not exist.",
	},
	MOV_TO_DR: {
		arguments: ["register"],
		wideArguments: ["value, zero-extended"],
		effect: "MOV DRn, r. DR4/DR5 alias DR6/DR7 unless CR4.DE.",
	},
	MOV_FROM_DR: {
		arguments: ["register"],
		result: "value, 64 bits",
		effect: "MOV r, DRn. DR4/DR5 alias DR6/DR7 unless CR4.DE.",
	},
	LMSW: {
		arguments: ["value"],
		effect:
			"Loads CR0.PE MP EM TS from the low four bits (the rest is garbage); cannot clear PE.",
	},
	CLTS: { arguments: [], effect: "CR0.TS = 0." },
	LGDT: {
		arguments: ["limit"],
		wideArguments: ["base, cut to 24, 32 or 64 bits by the caller"],
		effect: "GDTR = base, limit.",
	},
	LIDT: {
		arguments: ["limit"],
		wideArguments: ["base, cut to 24, 32 or 64 bits by the caller"],
		effect: "IDTR = base, limit.",
	},
	LLDT: {
		arguments: ["selector"],
		effect: "Loads LDTR. #UD in real and VM86 mode is the caller's.",
	},
	LTR: {
		arguments: ["selector"],
		effect:
			"Loads TR and marks the TSS busy. #UD in real and VM86 mode is the caller's.",
	},

	// Looking at descriptors; the caller has raised #UD in real and VM86 mode
	LAR: {
		arguments: ["selector", "sizeBits"],
		result: "access rights as the destination receives them",
		wideResults: ["-", "1 when the descriptor is visible (ZF), else 0"],
		effect: "Never faults but for the descriptor read (#PF).",
	},
	LSL: {
		arguments: ["selector", "sizeBits"],
		result: "limit in bytes, scaled by G",
		wideResults: ["-", "1 when the descriptor is visible (ZF), else 0"],
		effect: "Never faults but for the descriptor read (#PF).",
	},
	VERR: {
		arguments: ["selector"],
		result: "1 when readable at CPL and RPL, else 0",
		effect: "Never faults but for the descriptor read (#PF).",
	},
	VERW: {
		arguments: ["selector"],
		result: "1 when writable at CPL and RPL, else 0",
		effect: "Never faults but for the descriptor read (#PF).",
	},

	// Supervisor-mode access prevention, hypervisor
	SET_AC: {
		arguments: ["value"],
		effect: "STAC (1) and CLAC (0): #UD unless CPL 0; sets EFLAGS.AC.",
	},
	HYPERCALL: {
		arguments: [],
		effect:
			"VMCALL and VMMCALL: the machine's paravirtual call, or #UD where it has none. Reads and writes general registers itself.",
	},

	// Caches and TLB
	INVLPG: {
		arguments: [],
		wideArguments: ["linear address"],
		effect: "CPL 0 only; drops the page's TLB entry, global or not.",
	},
	CACHE_CONTROL: {
		arguments: [],
		effect: "INVD and WBINVD: CPL 0 only; there is no cache to flush.",
	},

	// Identification, model-specific registers, counters
	CPUID: {
		arguments: ["leaf", "subleaf"],
		wideResults: ["EAX", "EBX", "ECX", "EDX"],
		effect: "Never faults. Registers are written by the caller.",
	},
	RDMSR: {
		arguments: ["msr"],
		result: "value, 64 bits",
		effect: "CPL 0 only; #GP(0) for an unknown register.",
	},
	WRMSR: {
		arguments: ["msr"],
		wideArguments: ["value"],
		effect: "CPL 0 only; #GP(0) for an unknown register or value.",
	},
	RDTSC: {
		arguments: [],
		result: "time-stamp counter, 64 bits",
		effect: "#GP(0) when CR4.TSD and CPL > 0. RDTSCP too.",
	},
	RDPMC: {
		arguments: ["counter"],
		result: "value, 64 bits",
		effect: "#GP(0) when CPL > 0 without CR4.PCE, or for any counter.",
	},
	RDRAND: {
		arguments: ["sizeBits"],
		result: "random value, zero-extended",
		effect: "From the machine's seeded source; always succeeds (RDSEED too).",
	},

	// Fast system calls
	SYSENTER: {
		arguments: [],
		effect: "#GP(0) in real mode or when IA32_SYSENTER_CS is null.",
	},
	SYSEXIT: {
		arguments: ["sizeBits"],
		effect:
			"CPL 0 only; RIP = rDX, RSP = rCX; to 64-bit mode when sizeBits = 64.",
	},
	SYSCALL: {
		arguments: [],
		effect: "#UD unless EFER.SCE; saves NEXT_RIP in rCX and RFLAGS in R11.",
	},
	SYSRET: {
		arguments: ["sizeBits"],
		effect: "#UD unless EFER.SCE, CPL 0 only; to 64-bit mode when 64.",
	},
	SWAPGS: {
		arguments: [],
		effect: "CPL 0 only; exchanges GS.base and KERNEL_GS_BASE.",
	},

	// Waiting
	HLT: {
		arguments: [],
		effect: "CPL 0 only; the run loop sleeps until an interrupt.",
	},
	MONITOR: {
		arguments: ["extensions"],
		effect: "CPL 0 only, #GP(0) unless ECX = 0; arms nothing.",
	},
	MWAIT: {
		arguments: ["hints", "extensions"],
		effect: "CPL 0 only; waits for an interrupt like HLT, or not at all.",
	},
} as const satisfies Record<string, SystemOperation>;

/** The names that `e.system` may be called with. */
export type SystemOperationName = keyof typeof SYSTEM_OPERATIONS;
