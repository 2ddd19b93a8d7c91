/**
 * Finding, counting and folding bits: BSF, BSR, LZCNT, TZCNT, POPCNT, CRC32.
 *
 * Relies on the emitter and `integer-values.ts`.
 *
 * @journey E:318 Counting bits
 */

import type { Emitter, Integer, Semantics, SemanticsTable } from "./emitter.ts";
import { pair } from "./integer-values.ts";

/**
 * BSF and BSR: a source of zero sets ZF and leaves the destination alone,
 * which manuals only hint at and kernels rely on.
 */
const scan =
	(position: (e: Emitter, value: Integer) => Integer): Semantics =>
	(e, form) => {
		const [destination, source] = pair(form);
		const value = source.read();
		const none = e.let(e.eqz(value));
		e.if(e.eqz(none), () => destination.write(position(e, value)));
		e.setFlags({ ZF: none });
	};

const bsf = scan((e, value) => e.ctz(value));

/** The highest bit's number is what leading zeros leave of the machine type's width. */
const bsr = scan((e, value) => {
	const width = value.type === "i64" ? 64 : 32;
	return e.xor(e.clz(value), e.constant(width, width - 1));
});

/** The CRC-32C polynomial with its bits reversed, as CRC32 shifts right. */
const CRC32C_POLYNOMIAL = 0x82f63b78 | 0;

/** Divides 32 or fewer message bits into `crc`, one bit at a time. */
function crcRounds(e: Emitter, crc: Integer, bits: number): Integer {
	const remainder = e.variable(e.wrap(crc));
	const left = e.variable(e.i32(bits));
	e.loop((again) => {
		const value = remainder.get();
		const divisor = e.and(
			e.neg(e.and(value, e.i32(1))),
			e.i32(CRC32C_POLYNOMIAL),
		);
		remainder.set(e.xor(e.shrU(value, e.i32(1)), divisor));
		left.set(e.sub(left.get(), e.i32(1)));
		again(left.get());
	});
	return remainder.get();
}

/** CRC32 accumulates the source's bits, lowest first (Intel SDM vol. 2, CRC32). */
const crc32: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	const { width } = source;
	const message = source.read();
	const start = e.wrap(destination.read());
	const bits = Math.min(width, 32);
	let crc = crcRounds(e, e.xor(start, e.wrap(message)), bits);
	if (width === 64) {
		const high = e.wrap(e.shrU(message, e.constant(64, 32)));
		crc = crcRounds(e, e.xor(e.wrap(crc), high), 32);
	}
	destination.write(e.toWidth(destination.width, crc));
};

const popcnt: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	const value = source.read();
	const none = e.i32(0);
	destination.write(e.popcnt(value));
	e.setFlags({
		CF: none,
		PF: none,
		AF: none,
		ZF: e.eqz(value),
		SF: none,
		OF: none,
	});
};

/** LZCNT and TZCNT: the count is the width, and CF set, when no bit is. */
const countZeros =
	(count: (e: Emitter, width: number, value: Integer) => Integer): Semantics =>
	(e, form) => {
		const [destination, source] = pair(form);
		const value = source.read();
		const result = e.let(count(e, source.width, value));
		destination.write(result);
		e.setFlags({ CF: e.eqz(value), ZF: e.eqz(result) });
	};

const lzcnt = countZeros((e, width, value) =>
	width === 16 ? e.sub(e.clz(value), e.constant(16, 16)) : e.clz(value),
);

/** A bit planted behind the sixteenth stops the count there. */
const tzcnt = countZeros((e, width, value) =>
	e.ctz(width === 16 ? e.or(value, e.constant(32, 0x1_0000)) : value),
);

export const BIT_SCAN: SemanticsTable = {
	BSF: bsf,
	BSR: bsr,
	LZCNT: lzcnt,
	TZCNT: tzcnt,
	POPCNT: popcnt,
	CRC32: crc32,
};
