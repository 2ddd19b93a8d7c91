/**
 * Random register contents for SSE instructions: lanes that are corner cases
 * of one format more often than chance would have it, and MXCSR settings.
 */

import type { Random } from "../silicon/random.ts";
import {
	STATE_BYTES,
	STATE_FLAGS,
	STATE_MM0,
	STATE_MXCSR,
	STATE_RAX,
	STATE_RCX,
	STATE_RDX,
	STATE_XMM,
} from "./native.ts";

const INTEGERS = [0, 1, 2, 7, 8, 16, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff];

/** 32 bits: a single of some class, an integer near a corner, or anything. */
function single(r: Random): number {
	const sign = r.chance(0.5) ? 0x8000_0000 : 0;
	const fraction = fractionBits(r, 23);
	switch (r.below(12)) {
		case 0:
			return sign;
		case 1:
			return (sign | (r.chance(0.5) ? fraction : 1 << r.below(23))) >>> 0;
		case 2:
			return (sign | 0x7f80_0000) >>> 0;
		case 3:
			return (sign | 0x7f80_0000 | fraction) >>> 0;
		case 4:
			return r.bits32();
		case 5:
			return (sign | ((1 + r.below(26)) << 23) | fraction) >>> 0;
		case 6:
			return (sign | ((229 + r.below(26)) << 23) | fraction) >>> 0;
		case 7:
			return -r.pick(INTEGERS) >>> 0;
		default:
			// Around 1, so that sums cancel and integers appear.
			return (sign | ((112 + r.below(46)) << 23) | fraction) >>> 0;
	}
}

function fractionBits(r: Random, bits: number): number {
	const mask = 2 ** bits - 1;
	switch (r.below(4)) {
		case 0:
			return (r.bits32() << r.below(bits)) & mask;
		case 1:
			return (mask - r.below(4)) & mask;
		case 2:
			return r.below(3);
		default:
			return r.bits32() & mask;
	}
}

function double(r: Random): bigint {
	const sign = r.chance(0.5) ? 1n << 63n : 0n;
	const high = BigInt(fractionBits(r, 20)) << 32n;
	const low = r.chance(0.4)
		? BigInt(r.pick([0, 0, 1, 0xffff_ffff, 0x2000_0000, 0x1000_0000]))
		: BigInt(r.bits32());
	const fraction = high | low;
	const exponent = (e: number) => sign | (BigInt(e) << 52n) | fraction;
	switch (r.below(13)) {
		case 0:
			return sign;
		case 1:
			return r.chance(0.5)
				? sign | fraction
				: sign | (1n << BigInt(r.below(52)));
		case 2:
			return sign | (0x7ffn << 52n);
		case 3:
			return exponent(0x7ff);
		case 4:
			return (BigInt(r.bits32()) << 32n) | BigInt(r.bits32());
		case 5:
			return exponent(1 + r.below(60));
		case 6:
			return exponent(2046 - r.below(60));
		case 7:
			return exponent(1023 + 128 - r.below(5));
		case 8:
			// Where singles are tiny.
			return exponent(1023 - 120 - r.below(35));
		default:
			return exponent(1023 - 10 + r.below(76));
	}
}

function fillVector(r: Random, view: DataView, at: number): void {
	if (r.chance(0.5)) {
		for (let i = 0; i < 16; i += 4) view.setUint32(at + i, single(r), true);
	} else if (r.chance(0.8)) {
		for (let i = 0; i < 16; i += 8) view.setBigUint64(at + i, double(r), true);
	} else {
		const zeros = r.chance(0.5);
		for (let i = 0; i < 16; i++) {
			const byte = zeros ? r.below(4) : r.bits32() & 0xff;
			view.setUint8(at + i, byte);
		}
	}
}

/** Half of the second register's lanes near the first's: sums that cancel, strings that match. */
function resemble(r: Random, view: DataView): void {
	const step = r.pick([1, 4, 8]);
	for (let i = 0; i < 16; i += step) {
		if (r.chance(0.5)) continue;
		for (let k = 0; k < step; k++) {
			view.setUint8(STATE_XMM + 16 + i + k, view.getUint8(STATE_XMM + i + k));
		}
		if (step > 1 && r.chance(0.5)) {
			const top = STATE_XMM + 16 + i + step - 1;
			view.setUint8(top, view.getUint8(top) ^ 0x80);
		}
		if (r.chance(0.5)) {
			const low = STATE_XMM + 16 + i;
			view.setUint8(low, view.getUint8(low) ^ (1 << r.below(3)));
		}
	}
}

const MXCSR_CHOICES = {
	/** As a C program has it. */
	usual: (r: Random) => 0x1f80 | (r.chance(0.7) ? 0x20 : 0),
	/** Rounding, DAZ, FTZ, sticky flags. */
	masked: (r: Random) =>
		0x1f80 |
		(r.below(4) << 13) |
		(r.chance(0.3) ? 0x40 : 0) |
		(r.chance(0.3) ? 0x8000 : 0) |
		(r.chance(0.3) ? r.below(64) : 0),
	/** Anything. */
	open: (r: Random) => r.below(0x1_0000),
};
export type MxcsrChoice = keyof typeof MXCSR_CHOICES;

function integer(r: Random): bigint {
	switch (r.below(4)) {
		case 0:
			return BigInt.asUintN(64, BigInt(r.below(40) - 20));
		case 1:
			return BigInt.asUintN(64, -BigInt(r.bits32()));
		case 2:
			return (BigInt(r.bits32()) << 32n) >> BigInt(r.below(40));
		default:
			return (BigInt(r.bits32()) << 32n) | BigInt(r.bits32());
	}
}

/** `count` states for the oracle. */
export function randomStates(
	r: Random,
	count: number,
	choice: MxcsrChoice,
): Uint8Array {
	const states = new Uint8Array(count * STATE_BYTES);
	for (let i = 0; i < count; i++) {
		const view = new DataView(states.buffer, i * STATE_BYTES, STATE_BYTES);
		view.setUint32(STATE_MXCSR, MXCSR_CHOICES[choice](r), true);
		for (const at of [STATE_RAX, STATE_RCX, STATE_RDX, STATE_MM0]) {
			view.setBigUint64(at, integer(r), true);
		}
		// IF and bit 1, which user mode always has, and arithmetic flags.
		view.setUint32(STATE_FLAGS, 0x202 | (r.bits32() & 0x8d5), true);
		fillVector(r, view, STATE_XMM);
		fillVector(r, view, STATE_XMM + 16);
		if (r.chance(0.4)) resemble(r, view);
		// Small counts, or shifts would always shift everything out.
		if (r.chance(0.2))
			view.setBigUint64(STATE_XMM + 16, BigInt(r.below(70)), true);
	}
	return states;
}
