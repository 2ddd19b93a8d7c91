import { describe, expect, it } from "vitest";
import { Random } from "../silicon/random.ts";
import { runCampaign } from "./campaign.ts";
import { differences, runTranslated } from "./compare.ts";
import { samples } from "./instructions.ts";
import { nativeUnavailable, runNatively, STATE_XMM } from "./native.ts";
import { randomStates } from "./states.ts";

const why = nativeUnavailable();
const LONG = process.env.LGUEST_LONG === "1";
const COUNT = LONG ? 30_000 : 300;

/** Immediate bytes: those whose bits mean something by themselves, and any two. */
const IMMEDIATES = [0x00, 0x1b, 0x8d, 0x4e];

describe.skipIf(why !== undefined)("SSE against this processor", () => {
	it("computes registers, flags and MXCSR as silicon does, for every register row", () => {
		const list = samples(() => IMMEDIATES);
		expect(list.length).toBeGreaterThan(300);
		const found = runCampaign({
			samples: list,
			count: COUNT,
			choices: ["usual", "masked", "open"],
			seed: 20260601,
		});
		expect(found.slice(0, 5).map(([first]) => first)).toEqual([]);
	});

	it("obeys every immediate byte", () => {
		const every = Array.from({ length: 256 }, (_, i) => i);
		const list = samples(() => every).filter(({ row }) =>
			row.operands.includes("Ib"),
		);
		const found = runCampaign({
			samples: list,
			count: LONG ? 1000 : 12,
			choices: ["masked"],
			seed: 7,
		});
		expect(found.slice(0, 5).map(([first]) => first)).toEqual([]);
	});

	it("would notice a wrong bit", () => {
		const [sample] = samples(() => [0]).filter(
			({ row }) => row.mnemonic === "ADDPS",
		);
		if (sample === undefined) throw new Error("no ADDPS");
		const states = randomStates(new Random(1), 10, "usual");
		const [expected] = runNatively([{ code: sample.code, states }]);
		const actual = runTranslated(sample.code, states);
		expect(differences(sample, states, expected as Uint8Array, actual)).toEqual(
			[],
		);
		actual[STATE_XMM] = (actual[STATE_XMM] as number) ^ 1;
		expect(
			differences(sample, states, expected as Uint8Array, actual),
		).toHaveLength(1);
	});
});
