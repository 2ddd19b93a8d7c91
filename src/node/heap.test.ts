import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { tidyWhenIdle } from "./heap.ts";

beforeEach(() => {
	vi.useFakeTimers();
});
afterEach(() => {
	vi.useRealTimers();
});

describe("garbage of a guest", () => {
	it("is collected once when it comes to rest, and again after more work", () => {
		let retired = 0;
		const collect = vi.fn();
		tidyWhenIdle(() => retired, collect);
		const second = (instructions: number) => {
			retired += instructions;
			vi.advanceTimersByTime(1000);
			return collect.mock.calls.length;
		};
		expect([second(50e6), second(50e6)]).toEqual([0, 0]);
		expect([second(1e6), second(1e6), second(1e6)]).toEqual([1, 1, 1]);
		expect([second(50e6), second(0)]).toEqual([1, 2]);
	});

	it("is what V8 really collects", () => {
		tidyWhenIdle(() => 30e6);
		expect(() => vi.advanceTimersByTime(3000)).not.toThrow();
	});
});
