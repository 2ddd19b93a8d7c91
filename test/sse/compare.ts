/**
 * Runs an instruction on our CPU over the oracle's states, and says where the
 * two disagree.
 */

import { STATE_BASE } from "../../src/cpu/memory-layout.ts";
import {
	CR0,
	CR4,
	FAULT_VECTOR,
	FPR,
	GPR,
	MXCSR,
	XMM,
} from "../../src/cpu/state.ts";
import type { Sample } from "./instructions.ts";
import {
	STATE_BYTES,
	STATE_FLAGS,
	STATE_MM0,
	STATE_MXCSR,
	STATE_RAX,
	STATE_RCX,
	STATE_RDX,
	STATE_VECTOR,
	STATE_XMM,
} from "./native.ts";
import { flags, memory, setFlags, translate } from "./translated.ts";

const view = new DataView(memory.buffer);
const bytes = new Uint8Array(memory.buffer);
const at = (offset: number) => STATE_BASE + offset;

/** Registers of the two layouts. */
const REGISTERS: readonly (readonly [number, number])[] = [
	[STATE_RAX, GPR.offset],
	[STATE_RCX, GPR.offset + 8],
	[STATE_RDX, GPR.offset + 16],
	[STATE_MM0, FPR.offset],
	[STATE_XMM, XMM.offset],
	[STATE_XMM + 8, XMM.offset + 8],
	[STATE_XMM + 16, XMM.offset + 16],
	[STATE_XMM + 24, XMM.offset + 24],
];

/** The states after the instruction, in the oracle's layout. */
export function runTranslated(
	code: Uint8Array,
	states: Uint8Array,
): Uint8Array {
	const handler = translate(code);
	const results = states.slice();
	const out = new DataView(results.buffer);
	view.setUint32(at(CR0.offset), 0x8001_0031, true);
	view.setUint32(at(CR4.offset), 0x620, true);
	for (let i = 0; i < states.length; i += STATE_BYTES) {
		for (const [from, to] of REGISTERS) {
			view.setBigUint64(at(to), out.getBigUint64(i + from, true), true);
		}
		view.setUint32(
			at(MXCSR.offset),
			out.getUint32(i + STATE_MXCSR, true),
			true,
		);
		setFlags(out.getUint32(i + STATE_FLAGS, true));
		const status = handler();
		for (const [from, to] of REGISTERS) {
			out.setBigUint64(i + from, view.getBigUint64(at(to), true), true);
		}
		out.setUint32(
			i + STATE_MXCSR,
			view.getUint32(at(MXCSR.offset), true),
			true,
		);
		out.setUint32(i + STATE_FLAGS, flags(), true);
		const vector = status === 0 ? 0 : bytes[at(FAULT_VECTOR.offset)];
		out.setUint32(i + STATE_VECTOR, vector as number, true);
	}
	return results;
}

function describe(label: string, states: Uint8Array, i: number): string {
	const v = new DataView(states.buffer, states.byteOffset + i, STATE_BYTES);
	const hex = (n: bigint | number, digits: number) =>
		n.toString(16).padStart(digits, "0");
	const quad = (o: number) => hex(v.getBigUint64(o, true), 16);
	const vector = (o: number) => `${quad(o + 8)}_${quad(o)}`;
	return [
		label.padEnd(8),
		`mxcsr=${hex(v.getUint32(STATE_MXCSR, true), 4)}`,
		`#${v.getUint32(STATE_VECTOR, true)}`,
		`xmm0=${vector(STATE_XMM)}`,
		`xmm1=${vector(STATE_XMM + 16)}`,
		`rax=${quad(STATE_RAX)} rcx=${quad(STATE_RCX)} rdx=${quad(STATE_RDX)}`,
		`mm0=${quad(STATE_MM0)}`,
		`fl=${hex(v.getUint32(STATE_FLAGS, true), 3)}`,
	].join(" ");
}

/** What a disagreement may be without counting. */
export type Tolerance = (
	sample: Sample,
	expected: DataView,
	actual: DataView,
) => boolean;

/** Disagreements in words: the case, what silicon did, what we did. */
export function differences(
	sample: Sample,
	states: Uint8Array,
	expected: Uint8Array,
	actual: Uint8Array,
	tolerates: Tolerance = () => false,
): string[] {
	const found: string[] = [];
	for (let i = 0; i < states.length; i += STATE_BYTES) {
		const a = expected.subarray(i, i + STATE_BYTES);
		const b = actual.subarray(i, i + STATE_BYTES);
		if (Buffer.compare(a, b) === 0) continue;
		const x = new DataView(a.buffer, a.byteOffset, STATE_BYTES);
		const y = new DataView(b.buffer, b.byteOffset, STATE_BYTES);
		if (tolerates(sample, x, y)) continue;
		found.push(
			[
				sample.name,
				describe("case", states, i),
				describe("silicon", expected, i),
				describe("ours", actual, i),
			].join("\n  "),
		);
	}
	return found;
}
