/**
 * The hot engine beside the cold one on the oracle's random cases. No
 * silicon is needed, so 32-bit code is tried on every machine; and nothing is
 * left undefined between our own engines, so everything must be equal to the
 * bit, the number of retired instructions included.
 */
import { describe, expect, it } from "vitest";
import type { CpuStatistics } from "../../src/cpu/cpu-options.ts";
import { formatCase, type Mode, type SiliconCase } from "./case.ts";
import { CaseGenerator } from "./cases.ts";
import { CpuSubject } from "./cpu-subject.ts";
import { GDT, LDT } from "./environment.ts";
import { keptCases } from "./kept.ts";
import { shrinkCase } from "./shrink.ts";

const long = process.env.LGUEST_LONG === "1";
const CASES = long ? 200_000 : 1500;
const SEED = 21;
const TIMEOUT_MS = long ? 7_200_000 : 1_200_000;
const DESCRIPTORS = { gdt: GDT, ldt: LDT };
/** Different failures to shrink before giving up. */
const MOST_FAILURES = 5;

/** Where the code is: where silicon has it, or far above 4 GiB. */
type Place = "low" | "high";

/** One engine and the count of what it retired in a case. */
function makeEngine(kind: "cold" | "hot", place: Place) {
	const subject = new CpuSubject(kind, DESCRIPTORS, place);
	const run = (test: SiliconCase) => {
		const bench = subject.bench(test.mode);
		const before = bench.retired;
		const result = subject.run(test);
		return { ...result, retired: bench.retired - before };
	};
	return { subject, run };
}

/** Cold and hot, and what they disagree about. */
class Pair {
	readonly #cold: ReturnType<typeof makeEngine>;
	readonly #hot: ReturnType<typeof makeEngine>;

	constructor(place: Place) {
		this.#cold = makeEngine("cold", place);
		this.#hot = makeEngine("hot", place);
	}

	prepare(cases: readonly SiliconCase[]): void {
		this.#hot.subject.prepare(cases);
	}

	/** Of the hot engine. */
	statistics(mode: Mode): CpuStatistics {
		return this.#hot.subject.bench(mode).statistics;
	}

	/** Names of the fields that differ. */
	differences(test: SiliconCase): string[] {
		const cold = this.#cold.run(test);
		const hot = this.#hot.run(test);
		const text = (value: unknown) =>
			JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}` : v));
		const list = (value: unknown) =>
			ArrayBuffer.isView(value)
				? `${value as Uint8Array | BigUint64Array}`
				: text(value);
		return (Object.keys(cold) as (keyof typeof cold)[])
			.filter((field) => list(cold[field]) !== list(hot[field]))
			.map((field) => `${field}: ${list(cold[field])} / ${list(hot[field])}`);
	}
}

/** The failing cases, shrunk, with what differs (cold / hot). */
function disagreements(pair: Pair, cases: readonly SiliconCase[]): string[] {
	pair.prepare(cases);
	const failing = cases.filter((test) => pair.differences(test).length > 0);
	return failing.slice(0, MOST_FAILURES).map((test) => {
		const small = shrinkCase(test, (list) => {
			pair.prepare(list);
			return list.map((other) => pair.differences(other).length > 0);
		});
		return [formatCase(small), ...pair.differences(small)].join("\n");
	});
}

for (const [mode, place] of [
	[32, "low"],
	[64, "low"],
	[64, "high"],
] as const) {
	describe(`cold and hot engine in ${mode}-bit mode, ${place}`, () => {
		it(
			"agree to the bit about random cases",
			() => {
				const generator = new CaseGenerator({ mode, seed: SEED });
				const cases = Array.from({ length: CASES }, () => generator.next());
				const pair = new Pair(place);
				expect(disagreements(pair, cases)).toEqual([]);
				// The others begin with an instruction that only the cold engine runs.
				const { regionEntries, hotRetired } = pair.statistics(mode);
				expect(regionEntries).toBeGreaterThan(CASES / 3);
				expect(hotRetired).toBeGreaterThan(CASES / 3);
			},
			TIMEOUT_MS,
		);

		it("agree to the bit about the kept cases", () => {
			const kept = keptCases()
				.map(({ test }) => test)
				.filter((test) => test.mode === mode);
			expect(disagreements(new Pair(place), kept)).toEqual([]);
		});
	});
}
