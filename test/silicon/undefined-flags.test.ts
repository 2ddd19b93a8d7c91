import { describe, expect, it } from "vitest";
import {
	type Mode,
	parseCase,
	type SiliconCase,
	type SiliconResult,
} from "./case.ts";
import { CaseGenerator } from "./cases.ts";
import { completedLast } from "./differences.ts";
import { ARITHMETIC_FLAGS } from "./environment.ts";
import { followFlags } from "./flow.ts";
import { modeUnavailable, runOnSilicon } from "./oracle.ts";
import { rowKey, rowOfId } from "./rows.ts";
import { flagEffects } from "./undefined-flags.ts";

const CASES = 30_000;

/** What silicon contradicts in the flag table, given the same case with two initial flag sets. */
function contradiction(
	a: SiliconCase,
	b: SiliconCase,
	resultA: SiliconResult,
	resultB: SiliconResult,
): string | undefined {
	const [at] = a.instructions;
	if (at === undefined || completedLast(a, resultA) === "") return undefined;
	if (completedLast(b, resultB) === "") return "only one of the two completed";
	const row = rowOfId(at.row);
	if (/^(POPF|IRET|RDRAND)$/.test(row.mnemonic)) return undefined;
	const effects = flagEffects(row, a.code, a.mode);
	const { defines, mayDefine, undefines } = effects;
	const kept = ARITHMETIC_FLAGS & ~(defines | mayDefine | undefines);
	const changed = (test: SiliconCase, result: SiliconResult) =>
		(test.flags ^ result.flags) & kept;
	if ((changed(a, resultA) | changed(b, resultB)) !== 0)
		return "changes a flag that the table keeps";
	if (((resultA.flags ^ resultB.flags) & defines) !== 0)
		return "defines a flag by one that it does not read";
	return undefined;
}

/** Every row that silicon contradicts, with how. */
function contradictions(mode: Mode): [string, string][] {
	const found = new Map<string, string>();
	const generator = new CaseGenerator({ mode, seed: 3, maxInstructions: 1 });
	const first = Array.from({ length: CASES }, () => generator.next());
	const second = first.map((test, i) => {
		const [at] = test.instructions;
		const { reads } = flagEffects(rowOfId(at?.row ?? 0), test.code, mode);
		const flip = Math.imul(i, 0x9e3779b1) & ARITHMETIC_FLAGS & ~reads;
		return { ...test, flags: test.flags ^ flip };
	});
	const a = runOnSilicon(first);
	const b = runOnSilicon(second);
	first.forEach((test, i) => {
		const what = contradiction(
			test,
			second[i] as SiliconCase,
			a[i] as SiliconResult,
			b[i] as SiliconResult,
		);
		const row = rowOfId(test.instructions[0]?.row ?? 0);
		if (what !== undefined) found.set(`${rowKey(row)} ${mode}`, what);
	});
	return [...found];
}

describe("the table of undefined flags", () => {
	it("follows undefined flags to their next definition, through jumps", () => {
		// MUL leaves SF undefined; ADD defines it, unless JZ jumps over it.
		const straight = parseCase(
			"32 code=2048/F6/4~MUL:f6e1,00~ADD:00c8 seg=2b,2b,0,0",
		);
		expect(followFlags(straight).undefinedAt).toEqual([0, 0xd4, 0]);
		const jumping = parseCase(
			"32 code=2048/F6/4~MUL:f6e1,74~JZ:7402,00~ADD:00c8 seg=2b,2b,0,0",
		);
		const flow = followFlags(jumping);
		expect(flow.undefinedAt[3]).toBe(0xd4);
		expect(flow.readsUndefined).toBe(true);
		expect(flow.certain).toEqual([true, true, false]);
	});

	it("lets a shift by zero keep all flags and a shift by one define OF", () => {
		const effects = (line: string) => {
			const test = parseCase(line);
			const [at] = test.instructions;
			return flagEffects(rowOfId(at?.row ?? 0), test.code, test.mode);
		};
		const none = { reads: 0, defines: 0, mayDefine: 0, undefines: 0 };
		expect(effects("32 code=0/C1/4~SHL:c1e020")).toEqual(none);
		expect(effects("64 code=0/C1/4~SHL:48c1e020").undefines).toBe(0x810);
		expect(effects("32 code=0/D1/4~SHL:d1e0").undefines).toBe(0x10);
		expect(effects("32 code=0/C0/4~SHL:c0e008").undefines).toBe(0x811);
	});

	for (const mode of [32, 64] as const) {
		const why = modeUnavailable(mode);
		it.skipIf(why !== undefined)(
			`is not contradicted by silicon in ${mode}-bit mode: kept flags stay, defined ones depend only on what is read${why === undefined ? "" : ` (${why})`}`,
			() => {
				expect(contradictions(mode)).toEqual([]);
			},
			600_000,
		);
	}
});
