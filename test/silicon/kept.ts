/**
 * Reads kept.txt: cases that failed once and must not fail again.
 *
 * @journey M:654 What failed once
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseCase, type SiliconCase } from "./case.ts";

const FILE = fileURLToPath(new URL("./kept.txt", import.meta.url));

/** All kept cases with the line they stand on. */
export function keptCases(): {
	readonly line: number;
	readonly test: SiliconCase;
}[] {
	return readFileSync(FILE, "utf8")
		.split("\n")
		.map((text, i) => ({ text: text.trim(), line: i + 1 }))
		.filter(({ text }) => text !== "" && !text.startsWith("#"))
		.map(({ text, line }) => ({ line, test: parseCase(text) }));
}
