import { describe, expect, it } from "vitest";
import { mmxSemantics } from "../../src/cpu/semantics/mmx.ts";
import { x87Semantics } from "../../src/cpu/semantics/x87.ts";
import { compareResults } from "./compare.ts";
import { makeBatch } from "./generate.ts";
import { QUESTIONS, type Question } from "./instructions.ts";
import { MMX_QUESTIONS } from "./mmx-questions.ts";
import { nativeAvailable, runNative } from "./native.ts";
import { Subject } from "./subject.ts";

const LONG = process.env.LGUEST_LONG === "1";
const CASES = LONG ? 50_000 : 250;
/** Changes every day, so that a week of runs asks a week's worth of questions. */
const SEED = LONG ? Math.floor(Date.now() / 86_400_000) : 2024;

const subject = new Subject({ ...x87Semantics, ...mmxSemantics });

/** Questions by their first letters, to name what failed without a title each. */
function families(questions: readonly Question[]): [string, Question[]][] {
	const found = new Map<string, Question[]>();
	for (const question of questions) {
		const family = question.name.split(" ")[0]?.slice(0, 4) as string;
		const members = found.get(family) ?? [];
		found.set(family, [...members, question]);
	}
	return [...found];
}

function differences(questions: readonly Question[]): string[] {
	return questions.flatMap((question) => {
		const batch = makeBatch(question, CASES, SEED);
		const ours = subject.run(batch);
		const verdict = compareResults(batch, ours, () => runNative(batch));
		return verdict.differing === 0
			? []
			: [`${question.name} (seed ${SEED})`, ...verdict.examples];
	});
}

describe.runIf(nativeAvailable())("x87 beside this machine's own", () => {
	it.each(families(QUESTIONS))("%s…: same results and flags", (_, asked) => {
		expect(differences(asked)).toEqual([]);
	});
});

describe.runIf(nativeAvailable())("MMX beside this machine's own", () => {
	it.each(families(MMX_QUESTIONS))("%s…: same results", (_, asked) => {
		expect(differences(asked)).toEqual([]);
	});
});
