/**
 * Instructions that read and write both sides: the building blocks of locks.
 *
 * One vCPU runs at a time and an interrupt never falls inside an instruction,
 * so LOCK needs nothing beyond what these do anyway. Relies on `integer.ts`
 * for sums and differences with their flags.
 *
 * @journey E:314 XCHG, CMPXCHG and XADD
 */

import type { Emitter, Integer, Semantics, SemanticsTable } from "./emitter.ts";
import { difference, sum } from "./integer.ts";
import { first, pair, RAX, RBX, RCX, RDX } from "./integer-values.ts";

/** Operand 1 is never memory, so its write cannot fault. */
const xchg: Semantics = (_, form) => {
	const [destination, source] = pair(form);
	const incoming = source.read();
	destination.modify((old) => {
		source.write(old);
		return incoming;
	});
};

/** The destination is written last: XADD r, r with equal registers doubles. */
const xadd: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	const b = source.read();
	destination.modify((a) => {
		const result = sum(false)(e, destination.width, a, b);
		source.write(a);
		return result;
	});
};

/**
 * Memory sees a write in either case; of two registers exactly one is
 * written, so the other keeps its upper half in 64-bit mode.
 */
const cmpxchg: Semantics = (e, form) => {
	const [destination, source] = pair(form);
	const { width, isMemory } = destination;
	const replacement = source.read();
	const accumulator = e.readGpr(RAX, width);
	const compare = (old: Integer) => {
		const equal = e.let(e.eq(accumulator, old));
		difference(false)(e, width, accumulator, old);
		e.if(e.eqz(equal), () => e.writeGpr(RAX, width, old));
		return equal;
	};
	if (isMemory) {
		destination.modify((old) => e.select(compare(old), replacement, old));
		return;
	}
	const equal = compare(destination.read());
	e.if(equal, () => destination.write(replacement));
};

/** EDX:EAX, ECX:EBX as one value. */
function readPair(e: Emitter, high: number, low: number): Integer {
	const wide = (register: number) => e.toWidth(64, e.readGpr(register, 32));
	return e.let(e.or(e.shl(wide(high), e.constant(64, 32)), wide(low)));
}

/** EDX:EAX against memory, ECX:EBX as replacement. */
const cmpxchg8b: Semantics = (e, form) => {
	const expected = readPair(e, RDX, RAX);
	const replacement = readPair(e, RCX, RBX);
	first(form).modify((old) => {
		const equal = e.let(e.eq(old, expected));
		e.setFlags({ ZF: equal });
		e.if(e.eqz(equal), () => {
			e.writeGpr(RAX, 32, old);
			e.writeGpr(RDX, 32, e.shrU(old, e.constant(64, 32)));
		});
		return e.select(equal, replacement, old);
	});
};

/** The same with RDX:RAX and RCX:RBX; alignment keeps both halves in one page. */
const cmpxchg16b: Semantics = (e, form) => {
	const memory = first(form);
	memory.requireAlignment(16);
	memory.at(0, 64).modify((oldLow) => {
		const equal = e.variable(e.eq(oldLow, e.readGpr(RAX, 64)));
		memory.at(8, 64).modify((oldHigh) => {
			const highEqual = e.eq(oldHigh, e.readGpr(RDX, 64));
			equal.set(e.and(equal.get(), highEqual));
			const both = equal.get();
			const chosen = e.let(e.select(both, e.readGpr(RCX, 64), oldHigh));
			e.if(e.eqz(both), () => {
				e.writeGpr(RAX, 64, oldLow);
				e.writeGpr(RDX, 64, oldHigh);
			});
			return chosen;
		});
		e.setFlags({ ZF: equal.get() });
		return e.select(equal.get(), e.readGpr(RBX, 64), oldLow);
	});
};

export const EXCHANGE: SemanticsTable = {
	XCHG: xchg,
	XADD: xadd,
	CMPXCHG: cmpxchg,
	CMPXCHG8B: cmpxchg8b,
	CMPXCHG16B: cmpxchg16b,
};
