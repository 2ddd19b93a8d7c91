/**
 * Instructions that read and write both sides: the building blocks of locks.
 *
 * One vCPU runs at a time and an interrupt never falls inside an instruction,
 * so LOCK needs nothing beyond what these do anyway. Relies on `integer.ts`
 * for sums and differences with their flags.
 *
 * @journey E:314 XCHG, CMPXCHG and XADD
 */

import type { Integer, Semantics, SemanticsTable } from "./emitter.ts";
import { difference, sum } from "./integer.ts";
import { first, pair, RAX, RBX, RCX, RDX } from "./integer-values.ts";

/** Operand 1 is never memory, so its write cannot fault. */
const xchg: Semantics = (_, form) => {
	const [destination, source] = pair(form);
	const incoming = source.read();
	const put = destination.prepareWrite();
	source.write(destination.read());
	put(incoming);
};

/** The destination is written last: XADD r, r with equal registers doubles. */
const xadd: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	const { width } = destination;
	const b = source.read();
	const put = destination.prepareWrite();
	const a = destination.read();
	const result = sum(false)(e, width, a, b);
	source.write(a);
	put(result);
};

/**
 * Memory sees a write in either case; of two registers exactly one is
 * written, so the other keeps its upper half in 64-bit mode.
 */
const cmpxchg: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	const { width, isMemory } = destination;
	const replacement = source.read();
	const put = destination.prepareWrite();
	const old = destination.read();
	const accumulator = e.readGpr(RAX, width);
	const equal = e.let(e.eq(accumulator, old));
	difference(false)(e, width, accumulator, old);
	if (isMemory) put(e.select(equal, replacement, old));
	e.if(
		equal,
		() => {
			if (!isMemory) put(replacement);
		},
		() => e.writeGpr(RAX, width, old),
	);
};

/** CMPXCHG8B and CMPXCHG16B: rDX:rAX against memory, rCX:rBX as replacement; `half` bits each. */
const cmpxchgPair =
	(half: 32 | 64): Semantics =>
	(e, form) => {
		const memory = first(form);
		if (half === 64) memory.requireAlignment(16);
		const low = memory.at(0, half);
		const high = memory.at(half / 8, half);
		const putLow = low.prepareWrite();
		const putHigh = high.prepareWrite();
		const oldLow = low.read();
		const oldHigh = high.read();
		const equal = e.let(
			e.and(
				e.eq(oldLow, e.readGpr(RAX, half)),
				e.eq(oldHigh, e.readGpr(RDX, half)),
			),
		);
		putLow(e.select(equal, e.readGpr(RBX, half), oldLow));
		putHigh(e.select(equal, e.readGpr(RCX, half), oldHigh));
		e.setFlags({ ZF: equal });
		e.if(e.eqz(equal), () => {
			e.writeGpr(RAX, half, oldLow);
			e.writeGpr(RDX, half, oldHigh);
		});
	};

export const EXCHANGE: SemanticsTable = {
	XCHG: xchg,
	XADD: xadd,
	CMPXCHG: cmpxchg,
	CMPXCHG8B: cmpxchgPair(32),
	CMPXCHG16B: cmpxchgPair(64),
};
