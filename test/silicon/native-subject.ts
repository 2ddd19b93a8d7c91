/**
 * Silicon as its own subject: proves that the oracle is deterministic and
 * that nothing leaks from one case into the next, because here each case runs
 * in another order and beside other neighbours than in the oracle's batch.
 *
 * @journey M:646 Silicon against itself
 */
import type { SiliconCase, SiliconResult } from "./case.ts";
import { runOnSilicon } from "./oracle.ts";
import type { Subject } from "./subject.ts";

/** Wraps the oracle; `distort` may spoil results to prove that the comparer sees it. */
export class NativeSubject implements Subject {
	readonly name = "native";
	readonly modes = [32, 64] as const;
	readonly #distort: (
		test: SiliconCase,
		result: SiliconResult,
	) => SiliconResult;
	readonly #results = new WeakMap<SiliconCase, SiliconResult>();

	constructor(
		distort: (test: SiliconCase, result: SiliconResult) => SiliconResult = (
			_,
			result,
		) => result,
	) {
		this.#distort = distort;
	}

	/** Runs cases together, last one first; `run` then only looks them up. */
	prepare(cases: readonly SiliconCase[]): void {
		const reversed = [...cases].reverse();
		runOnSilicon(reversed).forEach((result, i) => {
			this.#results.set(reversed[i] as SiliconCase, result);
		});
	}

	run(test: SiliconCase): SiliconResult {
		const result = this.#results.get(test) ?? runOnSilicon([test])[0];
		return this.#distort(test, result as SiliconResult);
	}
}
