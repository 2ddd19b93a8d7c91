/**
 * Forms written down: a sample instruction for each, in 32-bit flat mode. On a
 * line or between commas stand opcode bytes with their prefixes, `/` and the
 * extension if there is one, then which ModR/M shapes: `r` register, `m`
 * [base+disp], `x` [base+index*scale+disp]; no letter = no ModR/M.
 *
 * @journey E:473 Forms on paper
 */

import { type DecodeMode, decode } from "../decode/decoder.ts";
import type { Instruction } from "../decode/instruction.ts";
import { type Mode, makeMode } from "../mode.ts";

/** An instruction of the form. */
export interface SampleForm {
	readonly instruction: Instruction;
	readonly mode: Mode;
}

/** ModR/M bytes (reg field 0) of the shapes, displacement zero follows. */
const SHAPES: Readonly<Record<string, readonly number[]>> = {
	r: [0xc0],
	m: [0x40, 0],
	x: [0x44, 0x08, 0],
};

/** Without those that a CPU with these features has not; throws for what no CPU has. */
export function readSamples(
	text: string,
	features: ReadonlySet<string>,
): SampleForm[] {
	const mode = makeMode(32, 32, true);
	return text
		.trim()
		.split(/,?\n|, /)
		.flatMap((line) => encodings(line))
		.flatMap((bytes) => {
			const padded = Uint8Array.from([...bytes, ...new Array(12).fill(0)]);
			const read = (mode: DecodeMode) => decode(padded, 0, padded.length, mode);
			const instruction = read({ codeSize: 32, features });
			if (typeof instruction !== "string") return [{ instruction, mode }];
			const anywhere = read({ codeSize: 32 });
			if (typeof anywhere !== "string") return [];
			throw new Error(`the sample ${bytes} is ${anywhere}`);
		});
}

function encodings(line: string): number[][] {
	const [code = "", shapes = ""] = line.split(" ");
	const [hex = "", extension] = code.split("/");
	const opcode = [...hex.matchAll(/../g)].map(([byte]) => parseInt(byte, 16));
	if (shapes === "") return [opcode];
	return [...shapes].map((shape) => {
		const [modrm = 0, ...rest] = SHAPES[shape] ?? [];
		const reg = Number(extension ?? 0) << 3;
		return [...opcode, modrm | reg, ...rest];
	});
}
