/**
 * A short run of everything that can be fuzzed; `npm run fuzz` goes on for as
 * long as you like. A failure names the seed:
 * `npm run fuzz -- --target NAME --seed SEED` repeats it.
 */

import { describe, it } from "vitest";
import { randomFrom } from "../support/random.ts";
import { FUZZ_TARGETS } from "./targets.ts";

const CASES = process.env.LGUEST_LONG === "1" ? 20_000 : 400;

describe("hostile input", () => {
	for (const { name, about, run } of FUZZ_TARGETS) {
		it(`does no harm by way of ${about}`, async () => {
			for (let seed = 1; seed <= CASES; seed++) {
				try {
					await run(randomFrom(seed));
				} catch (cause) {
					throw new Error(`target ${name}, seed ${seed}`, { cause });
				}
			}
		}, 600_000);
	}
});
