/**
 * The long run of the x87 oracle: `node test/x87/campaign.ts [pattern]
 * [cases per instruction] [seed]`. Prints what differs; status 1 if anything
 * did.
 *
 * @journey M:754 A million questions each
 */

import { fxsaveSemantics } from "../../src/cpu/semantics/fxsave.ts";
import { mmxSemantics } from "../../src/cpu/semantics/mmx.ts";
import { x87Semantics } from "../../src/cpu/semantics/x87.ts";
import { compareResults } from "./compare.ts";
import { makeBatch } from "./generate.ts";
import { QUESTIONS } from "./instructions.ts";
import { MMX_QUESTIONS } from "./mmx-questions.ts";
import { runNative } from "./native.ts";
import { Subject } from "./subject.ts";

const [pattern = ".", cases = "20000", seed = "1"] = process.argv.slice(2);
const CHUNK = 100_000;

const subject = new Subject({
	...x87Semantics,
	...mmxSemantics,
	...fxsaveSemantics,
});
const wanted = [...QUESTIONS, ...MMX_QUESTIONS].filter(({ name }) =>
	new RegExp(pattern).test(name),
);
let failed = 0;
for (const question of wanted) {
	let differing = 0;
	for (let done = 0; done < Number(cases); done += CHUNK) {
		const count = Math.min(CHUNK, Number(cases) - done);
		const batch = makeBatch(question, count, Number(seed) + done);
		const verdict = compareResults(batch, subject.run(batch), () =>
			runNative(batch),
		);
		if (differing === 0 && verdict.differing > 0) {
			console.log(`${question.name}\n${verdict.examples.join("\n")}`);
		}
		differing += verdict.differing;
	}
	if (differing > 0) {
		failed++;
		console.log(`${question.name}: ${differing} of ${cases} differ`);
	}
}
console.log(`${wanted.length - failed} of ${wanted.length} agree`);
process.exitCode = failed > 0 ? 1 : 0;
