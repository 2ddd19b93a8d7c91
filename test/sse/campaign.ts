/**
 * A run of the SSE oracle: many states for each sample, in batches, and all
 * disagreements as text.
 */

import { Random } from "../silicon/random.ts";
import { approximatelyEqual } from "./approximate.ts";
import { differences, runTranslated } from "./compare.ts";
import type { Sample } from "./instructions.ts";
import { runNatively } from "./native.ts";
import { type MxcsrChoice, randomStates } from "./states.ts";

/** States of one process: some tens of megabytes. */
const BATCH_STATES = 200_000;

export interface Campaign {
	readonly samples: readonly Sample[];
	/** States for each sample and choice. */
	readonly count: number;
	readonly choices: readonly MxcsrChoice[];
	readonly seed: number;
}

/** Disagreements in words, one list for each sample that had any. */
export function runCampaign(campaign: Campaign): string[][] {
	const { samples, count, choices, seed } = campaign;
	const random = new Random(seed);
	const found: string[][] = [];
	const each = count * choices.length;
	const step = Math.max(1, Math.floor(BATCH_STATES / each));
	for (let i = 0; i < samples.length; i += step) {
		const jobs = samples.slice(i, i + step).flatMap((sample) =>
			choices.map((choice) => ({
				sample,
				code: sample.code,
				states: randomStates(random, count, choice),
			})),
		);
		const results = runNatively(jobs);
		for (const [k, { sample, code, states }] of jobs.entries()) {
			const expected = results[k] as Uint8Array;
			const actual = runTranslated(code, states);
			const list = differences(
				sample,
				states,
				expected,
				actual,
				approximatelyEqual,
			);
			if (list.length > 0) found.push(list);
		}
	}
	return found;
}
