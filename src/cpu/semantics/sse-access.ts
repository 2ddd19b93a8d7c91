/**
 * What all SSE instructions do around their work: ask whether SSE is switched
 * on, read aligned operands, and stop for exceptions that are not masked.
 *
 * Relies on the emitter; all `sse-*.ts` files rely on it.
 *
 * @journey E:680 Before and after every SSE instruction
 */

import { SCRATCH_RAISED } from "../mxcsr.ts";
import { CR0, CR4, FLOAT_SCRATCH } from "../state.ts";
import type {
	Emitter,
	Form,
	I32,
	I64,
	Operand,
	Semantics,
	Vector,
} from "./emitter.ts";
import { pair, state32, VECTOR_UD } from "./integer-values.ts";

const VECTOR_NM = 7;
const VECTOR_XM = 19;
const CR0_EM = 1 << 2;
const CR0_TS = 1 << 3;
const CR4_OSFXSR = 1 << 9;
const CR4_OSXMMEXCPT = 1 << 10;

/** #UD or #NM unless SSE is switched on (Intel SDM vol. 2, "Exceptions Type" tables: CR0.EM, CR4.OSFXSR, CR0.TS). */
export function requireSse(e: Emitter): void {
	e.ensure("SSE", () => checkSse(e));
}

function checkSse(e: Emitter): void {
	const cr4 = e.xor(state32(e, CR4), e.i32(CR4_OSFXSR));
	const absent = e.and(cr4, e.i32(CR4_OSFXSR));
	const blocking = e.and(state32(e, CR0), e.i32(CR0_EM | CR0_TS));
	const obstacle = e.let(e.or(absent, blocking));
	e.if(obstacle, () => {
		e.faultIf(e.and(obstacle, e.i32(CR0_EM | CR4_OSFXSR)), VECTOR_UD);
		e.fault(VECTOR_NM);
	});
}

/** Semantics of an instruction that needs SSE. */
export const sse =
	(body: Semantics): Semantics =>
	(e, form) => {
		requireSse(e);
		body(e, form);
	};

/** A 128-bit memory operand must be aligned unless the instruction says otherwise. */
export function aligned(operand: Operand): Operand {
	if (operand.isMemory && operand.width === 128) operand.requireAlignment(16);
	return operand;
}

/** Semantics of two registers or memory, giving a whole register. */
export type VectorUnary = (e: Emitter, source: Vector) => Vector;
export type VectorBinary = (
	e: Emitter,
	destination: Vector,
	source: Vector,
) => Vector;

/** destination := operation(source). */
export const fromSource = (operation: VectorUnary): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = aligned(source).readVector();
		destination.writeVector(operation(e, value));
	});

/** destination := operation(destination, source). */
export const fromBoth = (operation: VectorBinary): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = aligned(source).readVector();
		destination.writeVector(operation(e, destination.readVector(), value));
	});

/** As `fromBoth`, with an immediate byte. */
export const fromBothBy = (
	operation: (e: Emitter, a: Vector, b: Vector, immediate: I32) => Vector,
): Semantics =>
	sse((e, form) => {
		const [destination, source] = pair(form);
		const value = aligned(source).readVector();
		const by = immediate(e, form);
		destination.writeVector(operation(e, destination.readVector(), value, by));
	});

/** The immediate byte of a form that has three operands, or of a shift by a constant. */
export function immediate(e: Emitter, form: Form): I32 {
	const last = form.operands[form.operands.length - 1] as Operand;
	return e.let(e.wrap(last.read()));
}

/** One wasm operation of both vectors. */
export const direct =
	(name: string): VectorBinary =>
	(e, a, b) =>
		e.op(name, a, b);

/**
 * Ends an instruction whose kernels may have raised flags: puts them into
 * MXCSR, and faults when one is not masked. Everything written must come
 * behind.
 */
export function settle(e: Emitter): void {
	e.if(e.readState(FLOAT_SCRATCH, SCRATCH_RAISED, 0, 4) as I32, () =>
		e.if(e.kernel("sse_raise", "i32"), () => {
			const enabled = e.and(state32(e, CR4), e.i32(CR4_OSXMMEXCPT));
			e.faultIf(e.eqz(enabled), VECTOR_UD);
			e.fault(VECTOR_XM);
		}),
	);
}

// Vectors

/** Four constant 32-bit lanes. */
export function lanes32(e: Emitter, values: readonly number[]): Vector {
	return e.v128([...new Uint8Array(Int32Array.from(values).buffer)]);
}

/** Eight constant 16-bit lanes. */
export function lanes16(e: Emitter, values: readonly number[]): Vector {
	return e.v128([...new Uint8Array(Int16Array.from(values).buffer)]);
}

/** The same 64 bits twice. */
export function twice64(e: Emitter, value: bigint): Vector {
	const both = BigUint64Array.of(value, value);
	return e.v128([...new Uint8Array(both.buffer)]);
}

/** 0, 1, 2, ... 15: the identity of a shuffle. */
export function iota(e: Emitter): Vector {
	return e.v128(Array.from({ length: 16 }, (_, i) => i));
}

/** All zeros. */
export function zero(e: Emitter): Vector {
	return e.v128(new Array<number>(16).fill(0));
}

export function ones(e: Emitter): Vector {
	return e.v128(new Array<number>(16).fill(0xff));
}

/** Low or high 64 bits. */
export function half(e: Emitter, vector: Vector, which: 0 | 1): I64 {
	return e.lane<"i64">("i64x2.extract_lane", which, vector);
}

/** `vector` with 64 bits replaced. */
export function withHalf(
	e: Emitter,
	vector: Vector,
	which: 0 | 1,
	bits: I64,
): Vector {
	return e.lane("i64x2.replace_lane", which, vector, bits);
}

/** 64 bits below zeros. */
export function lowOnly(e: Emitter, bits: I64): Vector {
	return withHalf(e, zero(e), 0, bits);
}
