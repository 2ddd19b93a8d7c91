/**
 * FXSAVE and FXRSTOR: x87, MMX and SSE state in 512 bytes (Intel SDM vol. 1,
 * "Legacy Region of an XSAVE Area").
 *
 * As on AMD processors, the exception pointers (FOP, FIP, FDP) are saved as
 * zeros unless an exception is pending: code of one task must not leak to the
 * next, and nobody else asks for them.
 *
 * @journey E:652 Everything in 512 bytes
 */

import { MXCSR_WRITABLE } from "../mxcsr.ts";
import {
	CR0,
	type Field,
	FPU_CONTROL,
	FPU_DATA,
	FPU_DATA_SELECTOR,
	FPU_IP,
	FPU_IP_SELECTOR,
	FPU_OPCODE,
	FPU_STATUS,
	FPU_TAG,
	MXCSR,
	XMM,
} from "../state.ts";
import { FPU_ES } from "../x87-bits.ts";
import type {
	Emitter,
	Form,
	I32,
	I64,
	Semantics,
	SemanticsTable,
	Vector,
} from "./emitter.ts";
import { first, setState64, state32, state64 } from "./integer-values.ts";
import {
	setControlWord,
	setStatusWord,
	statusWord,
} from "./x87-environment.ts";
import {
	checkReadable,
	checkWritable,
	setRegister,
	signExponent,
	significand,
	stack,
} from "./x87-stack.ts";

const VECTOR_NM = 7;
const VECTOR_GP = 13;
const CR0_EM_TS = 0b1100;
const IMAGE_BYTES = 512;
const REGISTERS_AT = 32;
const XMM_AT = 160;

function require(e: Emitter, form: Form): void {
	e.faultIf(e.and(state32(e, CR0), e.i32(CR0_EM_TS)), VECTOR_NM);
	first(form).requireAlignment(16);
}

function xmmCount(form: Form): number {
	return form.long ? 16 : 8;
}

/** Writers of 2, 4 and 8 bytes of the image. */
function writer(form: Form) {
	const image = first(form);
	return {
		word: (at: number, value: I32) => image.at(at, 16).write(value),
		dword: (at: number, value: I32) => image.at(at, 32).write(value),
		qword: (at: number, value: I64) => image.at(at, 64).write(value),
		image,
	};
}

const save: Semantics = (e, form) => {
	require(e, form);
	const { word, dword, qword, image } = writer(form);
	// In silicon, that the segment ends comes before all that pages have to say.
	image.at(IMAGE_BYTES - 1, 8).checkLimit("write");
	checkWritable(image, IMAGE_BYTES, 16);
	const pending = e.let(e.and(state32(e, FPU_STATUS), e.i32(FPU_ES)));
	const ifPending = (value: I32) => e.select(pending, value, e.i32(0));
	word(0, state32(e, FPU_CONTROL));
	word(2, statusWord(e));
	word(4, state32(e, FPU_TAG));
	word(6, ifPending(state32(e, FPU_OPCODE)));
	const pointer = (at: number, offset: Field, selector: Field) => {
		const value = e.select(pending, state64(e, offset), e.i64(0));
		if (form.operandSize === 64) qword(at, e.let(value));
		else {
			dword(at, e.wrap(e.let(value)));
			dword(at + 4, ifPending(state32(e, selector)));
		}
	};
	pointer(8, FPU_IP, FPU_IP_SELECTOR);
	pointer(16, FPU_DATA, FPU_DATA_SELECTOR);
	dword(24, state32(e, MXCSR));
	dword(28, e.i32(MXCSR_WRITABLE));
	for (let i = 0; i < 8; i++) {
		const register = stack(e, i);
		qword(REGISTERS_AT + 16 * i, significand(e, register));
		qword(REGISTERS_AT + 16 * i + 8, e.extendU(signExponent(e, register)));
	}
	for (let i = 0; i < xmmCount(form); i++) {
		const value = e.readState(XMM, i) as Vector;
		image.at(XMM_AT + 16 * i, 128).writeVector(value);
	}
};

const restore: Semantics = (e, form) => {
	require(e, form);
	const image = first(form);
	const word = (at: number) => image.at(at, 16).read() as I32;
	const dword = (at: number) => image.at(at, 32).read() as I32;
	const qword = (at: number) => image.at(at, 64).read() as I64;
	checkReadable(image, IMAGE_BYTES);
	const mxcsr = dword(24);
	e.faultIf(e.and(mxcsr, e.i32(~MXCSR_WRITABLE)), VECTOR_GP, e.i32(0));
	e.writeState(MXCSR, mxcsr, 0, 0, 4);
	setControlWord(e, word(0));
	setStatusWord(e, word(2));
	e.writeState(FPU_TAG, e.and(word(4), e.i32(0xff)), 0, 0, 4);
	e.writeState(FPU_OPCODE, e.and(word(6), e.i32(0x7ff)), 0, 0, 4);
	const pointer = (at: number, offset: Field, selector: Field) => {
		if (form.operandSize === 64) {
			setState64(e, offset, qword(at));
			e.writeState(selector, e.i32(0), 0, 0, 4);
		} else {
			setState64(e, offset, e.extendU(dword(at)));
			e.writeState(selector, word(at + 4), 0, 0, 4);
		}
	};
	pointer(8, FPU_IP, FPU_IP_SELECTOR);
	pointer(16, FPU_DATA, FPU_DATA_SELECTOR);
	for (let i = 0; i < 8; i++) {
		const m = qword(REGISTERS_AT + 16 * i);
		setRegister(e, stack(e, i), m, word(REGISTERS_AT + 16 * i + 8));
	}
	for (let i = 0; i < xmmCount(form); i++) {
		e.writeState(XMM, image.at(XMM_AT + 16 * i, 128).readVector(), i);
	}
};

export const fxsaveSemantics: SemanticsTable = {
	FXSAVE: save,
	FXRSTOR: restore,
};
