import { describe, expect, it } from "vitest";
import {
	CODE_EPOCHS,
	CODE_MAP_BASE,
	REGION_CACHE_BASE,
} from "../memory-layout.ts";
import { CodeEpochs } from "./code-epochs.ts";

const NUMBERS = 2 ** 24;

describe("epochs of code", () => {
	it("differ from each other and from all before, and void every note before numbers come again", () => {
		const buffer = new ArrayBuffer(CODE_MAP_BASE);
		const epochs = new CodeEpochs(buffer);
		const [local, global] = [CODE_EPOCHS, CODE_EPOCHS + 4].map(
			(at) => new Int32Array(buffer, at, 1),
		) as [Int32Array, Int32Array];
		const note = new Int32Array(buffer, REGION_CACHE_BASE, 2);
		epochs.endAll();
		let same = 0;
		let voided = 0;
		note[1] = local[0] as number;
		for (let i = 0; i < NUMBERS + 10; i++) {
			epochs.endLocal();
			if (local[0] === global[0] || local[0] === note[1]) same++;
			if (note[1] === 0) {
				voided++;
				note[1] = local[0] as number;
			}
		}
		expect([same, voided]).toEqual([0, 1]);
	});
});
