import { describe, expect, it } from "vitest";
import { Alarm } from "./alarm.ts";
import { NS_PER_INSTRUCTION, VirtualClock, WallClock } from "./clock.ts";

/** A virtual clock over a count that the test moves. */
function virtualClock(paced = false, seed?: number) {
	const cpu = { retired: 0 };
	const clock = new VirtualClock({
		retired: () => cpu.retired,
		paced: () => paced,
		...(seed !== undefined && { seed }),
	});
	return { clock, cpu };
}

const sequence = (clock: VirtualClock) =>
	Array.from({ length: 5 }, () => clock.random());

describe("The virtual clock", () => {
	it("counts instructions and nothing else", () => {
		const { clock, cpu } = virtualClock();
		expect(clock.nowNs()).toBe(0);
		cpu.retired = 1000;
		expect(clock.nowNs()).toBe(1000 * NS_PER_INSTRUCTION);
		expect(clock.timeStampCounter()).toBe(1000 * NS_PER_INSTRUCTION);
	});

	it("ends a slice at the very instruction that reaches the deadline", () => {
		const { clock } = virtualClock();
		clock.schedule({}, 501, () => {});
		expect(clock.nextSlice()).toBe(Math.ceil(501 / NS_PER_INSTRUCTION));
	});

	it("never asks for a slice of nothing", () => {
		const { clock, cpu } = virtualClock();
		clock.schedule({}, 10, () => {});
		cpu.retired = 100;
		expect(clock.nextSlice()).toBe(1);
	});

	it("wants the CPU back when a deadline falls into the slice that runs", () => {
		const { clock } = virtualClock();
		let asked = 0;
		clock.onSooner = () => asked++;
		const slice = clock.nextSlice();
		clock.schedule({}, slice * NS_PER_INSTRUCTION + 1, () => {});
		expect(asked).toBe(0);
		clock.schedule({}, slice * NS_PER_INSTRUCTION - 1, () => {});
		expect(asked).toBe(1);
	});

	it("asks for nothing between slices", () => {
		const { clock } = virtualClock();
		let asked = 0;
		clock.onSooner = () => asked++;
		clock.nextSlice();
		clock.sliceEnded(0);
		clock.schedule({}, 1, () => {});
		expect(asked).toBe(0);
	});

	it("jumps to the next deadline when the guest is halted", async () => {
		const { clock } = virtualClock();
		let called = false;
		clock.schedule({}, 3600e9, () => {
			called = true;
		});
		await clock.idle(new Alarm());
		expect(clock.nowNs()).toBe(3600e9);
		clock.runDue();
		expect(called).toBe(true);
	});

	it("does not race ahead while somebody may type", async () => {
		const { clock } = virtualClock(true);
		clock.schedule({}, 3600e9, () => {});
		const alarm = new Alarm();
		setTimeout(() => alarm.wake(), 20);
		await clock.idle(alarm);
		expect(clock.nowNs()).toBeGreaterThan(0);
		expect(clock.nowNs()).toBeLessThan(3600e9);
	});

	it("gives every run the same date and the same random numbers", () => {
		const [one, two] = [virtualClock(), virtualClock()];
		expect(one.clock.wallSeconds()).toBe(two.clock.wallSeconds());
		expect(sequence(one.clock)).toEqual(sequence(two.clock));
	});

	it("gives other random numbers for another seed", () => {
		const { clock } = virtualClock(false, 7);
		expect(sequence(clock)).not.toEqual(sequence(virtualClock().clock));
	});
});

describe("The wall clock", () => {
	it("moves by itself, and the TSC with it", async () => {
		const clock = new WallClock();
		const before = clock.timeStampCounter();
		await new Alarm().sleep(5);
		const ticks = clock.timeStampCounter() - before;
		expect(ticks).toBeGreaterThan(3_000_000);
	});

	it("sleeps until a deadline, not before it", async () => {
		const clock = new WallClock();
		const deadline = clock.nowNs() + 8e6;
		clock.schedule({}, deadline, () => {});
		await clock.idle(new Alarm());
		expect(clock.nowNs()).toBeGreaterThanOrEqual(deadline - 1e6);
	});

	it("shortens the slice before a deadline", () => {
		const clock = new WallClock();
		const free = clock.nextSlice();
		clock.schedule({}, clock.nowNs() + 100_000, () => {});
		expect(clock.nextSlice()).toBeLessThan(free);
	});

	it("knows the date", () => {
		const error = new WallClock().wallSeconds() - Date.now() / 1000;
		expect(Math.abs(error)).toBeLessThan(1);
	});

	it("draws from the system's random numbers, more than one buffer of them", () => {
		const clock = new WallClock();
		const drawn = Array.from({ length: 200 }, () => clock.random());
		expect(new Set(drawn).size).toBeGreaterThan(190);
	});
});
