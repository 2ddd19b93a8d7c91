/**
 * Code that changes the instruction right behind it: the hardest test of
 * whatever caches decoded instructions (Intel SDM vol. 3, "Handling Self- and
 * Cross-Modifying Code": on one processor a store is seen by the next fetch).
 *
 * Only changes that leave the static analysis of flags true are made: another
 * immediate, or ADD for SUB and back.
 *
 * Relies on encode.ts and sequence.ts; cases.ts relies on it.
 *
 * @journey M:631 Code that changes itself
 */
import type { Encoded } from "./encode.ts";
import { rowOfKey } from "./rows.ts";
import type { Sequence } from "./sequence.ts";

/** The row of the store that changes code. */
export const STORE = rowOfKey("C6/0~MOV");
const CHANGEABLE = /^(ADD|OR|ADC|SBB|AND|SUB|XOR|CMP|MOV|TEST|PUSH|IMUL)$/;
/** ADD and SUB differ by these bits of the opcode in all their register forms. */
const ADD_TO_SUB = 0x28;

/** Byte of the instruction that can be changed, and its new value. */
function chooseChange(
	s: Sequence,
	e: Encoded,
): { readonly at: number; readonly value: number } | undefined {
	if (e.row.map !== "1" || !CHANGEABLE.test(e.row.mnemonic)) return undefined;
	const { opcode, mnemonic } = e.row;
	const aluForm = opcode < 0x30 && (mnemonic === "ADD" || mnemonic === "SUB");
	if (aluForm && s.random.chance(0.5))
		return { at: e.opcodeAt, value: opcode ^ ADD_TO_SUB };
	if (e.immediateLength === 0) return undefined;
	const at = e.immediateAt + s.random.below(e.immediateLength);
	return { at, value: s.random.below(256) };
}

/** MOV BYTE [there], value, in front of the instruction about to be appended. */
export function prependStore(s: Sequence, e: Encoded): void {
	const change = chooseChange(s, e);
	if (change === undefined) return;
	const address = s.mode === 64 ? [0xc6, 0x04, 0x25] : [0xc6, 0x05];
	const offset = s.code.length;
	const bytes = [...address, 0, 0, 0, 0, change.value];
	s.code.push(...bytes);
	s.instructions.push({ row: STORE.id, offset, length: bytes.length });
	s.fixups.push({
		kind: "code",
		at: offset + address.length,
		length: 4,
		end: 0,
		boundary: 0,
		codeOffset: offset + bytes.length + change.at,
	});
}
