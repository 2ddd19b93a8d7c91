/**
 * binutils' `objdump` as an independent decoder: where it sees instructions
 * start, and what it calls them.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SizeAttribute } from "../../src/cpu/decode/instruction.ts";

/** One instruction as objdump prints it. */
export interface Line {
	readonly address: number;
	/** Without prefix words; empty when objdump printed nothing else. */
	readonly mnemonic: string;
	/** Everything behind the address. */
	readonly text: string;
}

const MACHINES = {
	16: ["-m", "i8086", "-M", "intel,i8086"],
	32: ["-m", "i386", "-M", "intel,i386"],
	64: ["-m", "i386:x86-64", "-M", "intel,x86-64"],
};

/** Words that objdump prints for prefixes, alone on a line when they have no effect on what follows. */
const PREFIX_WORD =
	/^(data16|data32|addr16|addr32|rex(\.\w+)?|lock|repz?|repnz|[c-gs]s|es|bnd|notrack|xacquire|xrelease|p[nt])$/;

/** Whether the tool is there at all. */
export function hasObjdump(): boolean {
	return spawnSync("objdump", ["--version"]).status === 0;
}

/** Disassembles from the first byte on; addresses are offsets into `code`. */
export function objdump(code: Uint8Array, codeSize: SizeAttribute): Line[] {
	const folder = mkdtempSync(join(tmpdir(), "lguest-objdump-"));
	try {
		const file = join(folder, "code.bin");
		writeFileSync(file, code);
		const options = ["-D", "-z", "-w", "-b", "binary", "--no-show-raw-insn"];
		const { stdout, status, stderr } = spawnSync(
			"objdump",
			[...options, ...MACHINES[codeSize], file],
			{ encoding: "latin1", maxBuffer: 1 << 30 },
		);
		if (status !== 0) throw new Error(`objdump failed: ${stderr}`);
		return joinPrefixLines(parseLines(stdout));
	} finally {
		rmSync(folder, { recursive: true });
	}
}

function parseLines(output: string): Line[] {
	const lines: Line[] = [];
	for (const line of output.split("\n")) {
		const colon = line.indexOf(":\t");
		if (colon < 0) continue;
		const text = line.slice(colon + 2).trim();
		const words = text.split(/[ ,]+/);
		const mnemonic = words.find((word) => !PREFIX_WORD.test(word)) ?? "";
		const address = Number.parseInt(line.slice(0, colon), 16);
		lines.push({ address, mnemonic, text });
	}
	return lines;
}

/** objdump puts prefixes it has no use for on a line of their own; the processor does not. */
function joinPrefixLines(lines: readonly Line[]): Line[] {
	const joined: Line[] = [];
	let pending: Line | undefined;
	for (const line of lines) {
		const address = pending?.address ?? line.address;
		const text =
			pending === undefined ? line.text : `${pending.text} ${line.text}`;
		pending = { address, mnemonic: line.mnemonic, text };
		if (line.mnemonic !== "") {
			joined.push(pending);
			pending = undefined;
		}
	}
	if (pending !== undefined) joined.push(pending);
	return joined;
}
