/**
 * Instructions of the system architecture: thin wrappers that fetch operands,
 * call the operation (`system-operations.ts`) and deliver its results.
 *
 * General registers are read and written here rather than inside operations,
 * so that the engines know which ones an instruction touches.
 *
 * @journey E:342 Talking to the processor itself
 */

import {
	CPL,
	CR0,
	EFLAGS,
	type Field,
	GDTR_BASE,
	GDTR_LIMIT,
	IDTR_BASE,
	IDTR_LIMIT,
	LDTR,
	SYSTEM_ARGUMENT,
	SYSTEM_RESULT,
	TR,
	TSC_AUX,
} from "../state.ts";
import type {
	Emitter,
	I32,
	I64,
	Semantics,
	SemanticsTable,
} from "./emitter.ts";
import {
	bit,
	first,
	isNotZero,
	pair,
	RAX,
	RBX,
	RCX,
	RDX,
	readSelector,
	setState64,
	signedAs,
	state32,
	state64,
	VECTOR_BR,
	VECTOR_GP,
	VECTOR_UD,
} from "./integer-values.ts";
import type { SystemOperationName } from "./system-operations.ts";

/** An operation without operands or results. */
const plain =
	(operation: SystemOperationName): Semantics =>
	(e) =>
		e.system(operation);

/** An operation that needs to know the operand size. */
const sized =
	(operation: "SYSEXIT" | "SYSRET"): Semantics =>
	(e, form) =>
		e.system(operation, e.i32(form.operandSize));

const ecx = (e: Emitter): I32 => e.wrap(e.readGpr(RCX, 32));
const eax = (e: Emitter): I32 => e.wrap(e.readGpr(RAX, 32));

/** Descriptors mean nothing in real and virtual-8086 mode: #UD (Intel SDM vol. 3, "Instructions Not Recognized in Real-Address Mode"). */
function requireProtectedMode(e: Emitter): void {
	const real = e.eqz(bit(e, state32(e, CR0), 0));
	e.faultIf(e.or(real, bit(e, state32(e, EFLAGS), 17)), VECTOR_UD);
}

/** Privilege is checked before a memory operand is touched. */
function requireLevel0(e: Emitter): void {
	e.faultIf(state32(e, CPL), VECTOR_GP, e.i32(0));
}

/** LLDT and LTR. */
const loadSelector =
	(operation: "LLDT" | "LTR"): Semantics =>
	(e, form) => {
		requireProtectedMode(e);
		requireLevel0(e);
		e.system(operation, e.wrap(first(form).read()));
	};

/** SLDT and STR: no privilege needed, for UMIP is not offered. */
const storeSelector =
	(segment: number): Semantics =>
	(e, form) => {
		requireProtectedMode(e);
		const destination = first(form);
		const selector = readSelector(e, e.i32(segment));
		destination.write(e.toWidth(destination.width, selector));
	};

/** LAR and LSL: the destination changes only when the descriptor is visible. */
const inspect =
	(operation: "LAR" | "LSL"): Semantics =>
	(e, form) => {
		requireProtectedMode(e);
		const [destination, source] = pair(form);
		const { width } = destination;
		e.system(operation, e.wrap(source.read()), e.i32(width));
		const visible = e.let(isNotZero(e, state64(e, SYSTEM_ARGUMENT, 1)));
		const value = state64(e, SYSTEM_RESULT);
		e.if(visible, () => destination.write(e.toWidth(width, value)));
		e.setFlags({ ZF: visible });
	};

/** VERR and VERW. */
const verify =
	(operation: "VERR" | "VERW"): Semantics =>
	(e, form) => {
		requireProtectedMode(e);
		e.system(operation, e.wrap(first(form).read()));
		e.setFlags({ ZF: isNotZero(e, state64(e, SYSTEM_RESULT)) });
	};

/** Raises the destination's RPL to the source's when it is lower; else there is no write, and no fault of one. */
const arpl: Semantics = (e, form) => {
	requireProtectedMode(e);
	const [destination, source] = pair(form);
	const wanted = e.and(source.read(), e.constant(16, 3));
	const old = destination.read();
	const raised = e.let(e.ltU(e.and(old, e.constant(16, 3)), wanted));
	e.if(raised, () => {
		const cleared = e.and(old, e.constant(16, ~3));
		destination.write(e.or(cleared, wanted));
	});
	e.setFlags({ ZF: raised });
};

/** SGDT and SIDT store the whole base, whatever the operand size; it is checked first, as it ends last. */
const storeTable =
	(limit: Field, base: Field): Semantics =>
	(e, form) => {
		const baseBits = form.long ? 64 : 32;
		const table = first(form);
		table.at(2, baseBits).prepareWrite();
		table.at(0, 16).write(state32(e, limit));
		table.at(2, baseBits).write(e.toWidth(baseBits, state64(e, base)));
	};

/** LGDT and LIDT take 24 bits of base at 16-bit operand size, as the 286 did. */
const loadTable =
	(operation: "LGDT" | "LIDT"): Semantics =>
	(e, form) => {
		requireLevel0(e);
		const table = first(form);
		const limit = e.wrap(table.at(0, 16).read());
		const base = table.at(2, form.long ? 64 : 32).read();
		const kept = form.operandSize === 16 ? e.zeroExtend(24, base) : base;
		setState64(e, SYSTEM_ARGUMENT, kept);
		e.system(operation, limit);
	};

const smsw: Semantics = (e, form) => {
	const destination = first(form);
	destination.write(e.toWidth(destination.width, state64(e, CR0)));
};

const lmsw: Semantics = (e, form) => {
	requireLevel0(e);
	e.system("LMSW", e.wrap(first(form).read()));
};

const invlpg: Semantics = (e, form) => {
	const address = e.linearAddress("data", first(form).address());
	setState64(e, SYSTEM_ARGUMENT, address);
	e.system("INVLPG");
};

/** Checked like a read of the line; there is no cache behind it. */
const clflush: Semantics = (_, form) => {
	first(form).read();
};

const cpuid: Semantics = (e) => {
	e.system("CPUID", eax(e), ecx(e));
	for (const [slot, register] of [RAX, RBX, RCX, RDX].entries()) {
		e.writeGpr(register, 32, state32(e, SYSTEM_ARGUMENT, slot));
	}
};

/** SYSTEM_RESULT into EDX:EAX, both zero-extended. */
function deliverPair(e: Emitter): void {
	const value = state64(e, SYSTEM_RESULT);
	e.writeGpr(RAX, 32, e.wrap(value));
	e.writeGpr(RDX, 32, e.wrap(e.shrU(value, e.i64(32))));
}

/** RDMSR and RDPMC: the register's number is in ECX. */
const readNumbered =
	(operation: "RDMSR" | "RDPMC"): Semantics =>
	(e) => {
		e.system(operation, ecx(e));
		deliverPair(e);
	};

const wrmsr: Semantics = (e) => {
	const low = e.extendU(eax(e));
	const high = e.extendU(e.wrap(e.readGpr(RDX, 32)));
	const value: I64 = e.or(e.shl(high, e.i64(32)), low);
	setState64(e, SYSTEM_ARGUMENT, value);
	e.system("WRMSR", ecx(e));
};

const rdtsc: Semantics = (e) => {
	e.system("RDTSC");
	deliverPair(e);
};

const rdtscp: Semantics = (e, form) => {
	rdtsc(e, form);
	e.writeGpr(RCX, 32, state32(e, TSC_AUX));
};

/** CF = 1 says that the value is good; the other flags are cleared. */
const rdrand: Semantics = (e, form) => {
	const destination = first(form);
	const { width } = destination;
	e.system("RDRAND", e.i32(width));
	destination.write(e.toWidth(width, state64(e, SYSTEM_RESULT)));
	const zero = e.i32(0);
	e.setFlags({
		CF: e.i32(1),
		PF: zero,
		AF: zero,
		ZF: zero,
		SF: zero,
		OF: zero,
	});
};

const setAc =
	(value: 0 | 1): Semantics =>
	(e) =>
		e.system("SET_AC", e.i32(value));

const monitor: Semantics = (e) => e.system("MONITOR", ecx(e));
const mwait: Semantics = (e) => e.system("MWAIT", eax(e), ecx(e));

/** BOUND: #BR unless lower <= index <= upper, all signed. */
const bound: Semantics = (e, form) => {
	const [index, limits] = pair(form);
	const { width } = index;
	const value = index.readSigned();
	const lower = signedAs(e, limits.at(0, width), width);
	const upper = signedAs(e, limits.at(width / 8, width), width);
	e.faultIf(e.or(e.ltS(value, lower), e.gtS(value, upper)), VECTOR_BR);
};

export const SYSTEM: SemanticsTable = {
	LLDT: loadSelector("LLDT"),
	LTR: loadSelector("LTR"),
	SLDT: storeSelector(LDTR),
	STR: storeSelector(TR),
	LAR: inspect("LAR"),
	LSL: inspect("LSL"),
	VERR: verify("VERR"),
	VERW: verify("VERW"),
	ARPL: arpl,
	BOUND: bound,
	SGDT: storeTable(GDTR_LIMIT, GDTR_BASE),
	SIDT: storeTable(IDTR_LIMIT, IDTR_BASE),
	LGDT: loadTable("LGDT"),
	LIDT: loadTable("LIDT"),
	SMSW: smsw,
	LMSW: lmsw,
	CLTS: plain("CLTS"),
	CLAC: setAc(0),
	STAC: setAc(1),
	INVLPG: invlpg,
	INVD: plain("CACHE_CONTROL"),
	WBINVD: plain("CACHE_CONTROL"),
	CLFLUSH: clflush,
	CPUID: cpuid,
	RDMSR: readNumbered("RDMSR"),
	RDPMC: readNumbered("RDPMC"),
	WRMSR: wrmsr,
	RDTSC: rdtsc,
	RDTSCP: rdtscp,
	RDRAND: rdrand,
	SYSENTER: plain("SYSENTER"),
	SYSEXIT: sized("SYSEXIT"),
	SYSCALL: plain("SYSCALL"),
	SYSRET: sized("SYSRET"),
	SWAPGS: plain("SWAPGS"),
	VMCALL: plain("HYPERCALL"),
	VMMCALL: plain("HYPERCALL"),
	HLT: plain("HLT"),
	MONITOR: monitor,
	MWAIT: mwait,
};
