import { describe, expect, it } from "vitest";
import { AtHand } from "./at-hand.ts";

const MIB = 1 << 20;
const FAST = 0.01;
const SLOW = 5;

/** How many calls go to the pool before one may be made in place again. */
function rest(rule: AtHand): number {
	let calls = 0;
	for (; !rule.permits(1); calls++) rule.turned();
	return calls;
}

describe("calls in place", () => {
	it("are made as long as they are fast", () => {
		const rule = new AtHand();
		for (let i = 0; i < 1000; i++) {
			expect(rule.permits(4096)).toBe(true);
			rule.moved(4096, FAST);
		}
	});

	it("stop after so many bytes, until the event loop has had a turn", () => {
		const rule = new AtHand();
		for (let i = 0; i < 8; i++) rule.moved(MIB, FAST);
		expect(rule.permits(1)).toBe(false);
		rule.turned();
		expect(rule.permits(8 * MIB)).toBe(true);
		expect(rule.permits(8 * MIB + 1)).toBe(false);
	});

	it("take longer the more they move", () => {
		const rule = new AtHand();
		rule.moved(4096, 0.5);
		expect(rest(rule)).toBe(4);
		rule.moved(MIB, 0.5);
		expect(rule.permits(1)).toBe(true);
	});

	it("are made less and less where each is slow", () => {
		const rule = new AtHand();
		const rests = Array.from({ length: 11 }, () => {
			rule.moved(4096, SLOW);
			return rest(rule);
		});
		expect(rests).toEqual([4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]);
	});

	it("are forgiven when the drive has become fast", () => {
		const rule = new AtHand();
		for (let i = 0; i < 5; i++) {
			rule.moved(4096, SLOW);
			rest(rule);
		}
		for (let i = 0; i < 16; i++) rule.moved(4096, FAST);
		rule.moved(4096, SLOW);
		expect(rest(rule)).toBe(4);
	});
});
