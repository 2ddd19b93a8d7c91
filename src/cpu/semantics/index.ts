/**
 * Every instruction's meaning, by mnemonic: the one door through which the
 * engines reach this folder.
 *
 * @journey E:302 The book of meanings
 */

import { BCD } from "./bcd.ts";
import { BIT_SCAN } from "./bit-scan.ts";
import { BIT_TEST } from "./bit-test.ts";
import { BYTE_SWAP } from "./byte-swap.ts";
import { CONTROL_FLOW } from "./control-flow.ts";
import type { Semantics, SemanticsTable } from "./emitter.ts";
import { EXCHANGE } from "./exchange.ts";
import { FLAG_CONTROL } from "./flag-control.ts";
import { fxsaveSemantics } from "./fxsave.ts";
import { INTEGER } from "./integer.ts";
import { IO } from "./io.ts";
import { mmxSemantics } from "./mmx.ts";
import { MULTIPLY_DIVIDE } from "./multiply-divide.ts";
import { ROTATE } from "./rotate.ts";
import { SHIFT } from "./shift.ts";
import { sseSemantics } from "./sse.ts";
import { STACK } from "./stack.ts";
import { STRING } from "./string.ts";
import { SYSTEM } from "./system.ts";
import { SYSTEM_REGISTERS } from "./system-registers.ts";
import { x87Semantics } from "./x87.ts";

const TABLES: readonly SemanticsTable[] = [
	INTEGER,
	EXCHANGE,
	BYTE_SWAP,
	BIT_SCAN,
	STACK,
	FLAG_CONTROL,
	CONTROL_FLOW,
	MULTIPLY_DIVIDE,
	BCD,
	SHIFT,
	ROTATE,
	BIT_TEST,
	STRING,
	IO,
	SYSTEM_REGISTERS,
	SYSTEM,
	x87Semantics,
	fxsaveSemantics,
	sseSemantics,
];

const byMnemonic = merge(TABLES);
for (const [mnemonic, mmx] of Object.entries(mmxSemantics)) {
	const sse = byMnemonic.get(mnemonic);
	byMnemonic.set(mnemonic, sse ? byRegisters(mmx, sse) : mmx);
}

/** MMX and SSE share mnemonics; a row has registers of one kind. */
function byRegisters(mmx: Semantics, sse: Semantics): Semantics {
	return (e, form) => {
		const usesMmx = form.row.operands.some((spec) => /^[PQN]/.test(spec));
		(usesMmx ? mmx : sse)(e, form);
	};
}

/** A mnemonic defined twice would be a coin toss between two meanings, so it stops the program while loading. */
function merge(tables: readonly SemanticsTable[]): Map<string, Semantics> {
	const merged = new Map<string, Semantics>();
	for (const [mnemonic, semantics] of tables.flatMap(Object.entries)) {
		if (merged.has(mnemonic)) throw new Error(`${mnemonic} is defined twice`);
		merged.set(mnemonic, semantics);
	}
	return merged;
}

/** The meaning of a mnemonic as the opcode table spells it, or undefined where nobody has written it. */
export function semanticsOf(mnemonic: string): Semantics | undefined {
	return byMnemonic.get(mnemonic);
}
