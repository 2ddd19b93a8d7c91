/**
 * A `FlatMachine` in 64-bit code and what tests of it share: where frames are,
 * numbers of registers, code as text.
 *
 * Relies on `flat-machine.ts`; `test/cpu/wide-code.test.ts` relies on it.
 */

import type { EngineKind } from "../../src/cpu/cpu-options.ts";
import { FlatMachine, pageOf } from "./flat-machine.ts";

// Frames, a few pages each
export const CODE = 0x10_0000;
export const MORE_CODE = 0x11_0000;
export const DATA = 0x20_0000;
const STACK = 0x30_0000;

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSI = 6;
export const RDI = 7;

/** Arrivals that make code hot: sooner than is worth it, so that tests are short. */
const SOON: Partial<Record<EngineKind, number>> = { auto: 256, compare: 64 };

export function wideMachine(engine: EngineKind): FlatMachine {
	const hotArrivals = SOON[engine];
	return new FlatMachine({
		...{ width: 64, engine },
		...(hotArrivals !== undefined && { hotArrivals }),
	});
}

/** Writes code to where its addresses are mapped, over a page's end if need be; maps a stack 8 pages further on. */
export function codeBytes(
	machine: FlatMachine,
	at: bigint,
	code: string,
): void {
	const { memory } = machine.cpu;
	for (const [i, byte] of bytes(code).entries()) {
		const linear = at + BigInt(i);
		const entry = memory.readU64(machine.entryOf(linear));
		const page = Number(entry & 0xf_ffff_ffff_f000n);
		memory.writeU8(page + Number(linear & 0xfffn), byte);
	}
	machine.map(pageOf(at) + 0x8000n, STACK);
}

/** Four bytes of a number as text. */
export function dword(value: number): string {
	return [0, 8, 16, 24]
		.map((shift) => ((value >> shift) & 0xff).toString(16).padStart(2, "0"))
		.join("");
}

/** Of hexadecimal text; spaces are for the reader. */
export function bytes(text: string): Uint8Array {
	const digits = text.replaceAll(" ", "");
	return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
		Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
	);
}
