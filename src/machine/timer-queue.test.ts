import { describe, expect, it } from "vitest";
import { TimerQueue } from "./timer-queue.ts";

function recordingQueue() {
	const queue = new TimerQueue();
	const calls: string[] = [];
	const at = (name: string, deadlineNs: number, owner: object = {}) => {
		queue.schedule(owner, deadlineNs, () => calls.push(name));
		return owner;
	};
	return { queue, calls, at };
}

describe("The timer queue", () => {
	it("calls everybody who is due, earliest first, and nobody else", () => {
		const { queue, calls, at } = recordingQueue();
		at("late", 30);
		at("early", 10);
		at("future", 31);
		queue.runDue(30);
		expect(calls).toEqual(["early", "late"]);
		expect(queue.earliestNs).toBe(31);
	});

	it("keeps one request for each owner, the newest", () => {
		const { queue, calls, at } = recordingQueue();
		const owner = at("first", 10);
		at("second", 20, owner);
		queue.runDue(15);
		expect(calls).toEqual([]);
		queue.runDue(20);
		expect(calls).toEqual(["second"]);
	});

	it("forgets a request that is cancelled", () => {
		const { queue, calls, at } = recordingQueue();
		const owner = at("never", 10);
		queue.schedule(owner, undefined, undefined);
		queue.runDue(100);
		expect(calls).toEqual([]);
		expect(queue.earliestNs).toBe(Number.POSITIVE_INFINITY);
	});

	it("lets a periodic timer that is late catch up", () => {
		const queue = new TimerQueue();
		const owner = {};
		const ticks: number[] = [];
		const tick = (deadline: number) => () => {
			ticks.push(deadline);
			queue.schedule(owner, deadline + 10, tick(deadline + 10));
		};
		queue.schedule(owner, 10, tick(10));
		queue.runDue(35);
		expect(ticks).toEqual([10, 20, 30]);
		expect(queue.earliestNs).toBe(40);
	});

	it("lets one callback cancel another that is due as well", () => {
		const { queue, calls, at } = recordingQueue();
		const victim = at("victim", 20);
		queue.schedule({}, 10, () => queue.schedule(victim, undefined, undefined));
		queue.runDue(50);
		expect(calls).toEqual([]);
	});

	it("is empty after clear", () => {
		const { queue, calls, at } = recordingQueue();
		at("gone", 1);
		queue.clear();
		queue.runDue(10);
		expect(calls).toEqual([]);
	});
});
