import { describe, expect, it } from "vitest";
import { AtHand, moveAll } from "./at-hand.ts";

const MIB = 1 << 20;
const FAST = 0.01;
const SLOW = 5;

/** How many calls go to the pool before one may be made in place again. */
function rest(rule: AtHand): number {
	let calls = 0;
	for (; !rule.permits(1); calls++) rule.rested();
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
		const turns: (() => void)[] = [];
		const rule = new AtHand((act) => turns.push(act));
		for (let i = 0; i < 32; i++) rule.moved(MIB, FAST);
		expect(rule.permits(1)).toBe(false);
		rule.rested();
		expect(rule.permits(1)).toBe(false);
		expect(turns).toHaveLength(1);
		turns[0]?.();
		expect(rule.permits(32 * MIB)).toBe(true);
		expect(rule.permits(32 * MIB + 1)).toBe(false);
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

describe("moving all there is to move", () => {
	it("asks for as many parts at a time as one call takes", () => {
		const asked: number[] = [];
		const parts = Array.from({ length: 2500 }, () => new Uint8Array(2));
		const left = moveAll(parts, 10, (now, offset) => {
			asked.push(now.length, offset);
			return 2 * now.length;
		});
		expect(asked).toEqual([1024, 10, 1024, 2058, 452, 4106]);
		expect(left).toEqual([]);
	});

	it("asks for nothing where there is nothing", () => {
		const move = () => {
			throw new Error("asked");
		};
		expect(moveAll([], 0, move)).toEqual([]);
		expect(moveAll([new Uint8Array(0)], 0, move)).toEqual([]);
	});

	it("goes on within a part, and gives what is left at the end", () => {
		const parts = [3, 4, 5].map((length) => new Uint8Array(length));
		const moves = [5, 0];
		const left = moveAll(parts, 0, () => moves.shift() ?? 0);
		expect(left.map(({ length }) => length)).toEqual([2, 5]);
	});
});
