import { describe, expect, it } from "vitest";
import type { ExitReason } from "../cpu/index.ts";
import { Alarm } from "./alarm.ts";
import { NS_PER_INSTRUCTION, VirtualClock } from "./clock.ts";
import { type RunLoopParts, runLoop } from "./run-loop.ts";

/** A CPU that does what the test says, slice by slice, and counts. */
class ScriptedCpu {
	retired = 0;
	budgets: number[] = [];
	interrupts = true;
	pending = false;
	readonly #script: (budget: number, slice: number) => ExitReason | number;

	/** The script returns a reason, or how much of the budget it used for "budget". */
	constructor(script: (budget: number, slice: number) => ExitReason | number) {
		this.#script = script;
	}

	run(budget: number): ExitReason {
		const answer = this.#script(budget, this.budgets.length);
		this.budgets.push(budget);
		if (typeof answer !== "number") return answer;
		this.retired += answer;
		return "budget";
	}

	retiredCount(): number {
		return this.retired;
	}

	interruptible(): boolean {
		return this.interrupts;
	}

	interruptPending(): boolean {
		return this.pending;
	}
}

function setUp(cpu: ScriptedCpu) {
	const log: string[] = [];
	const state: {
		ending: string | undefined;
		breathDue: boolean;
		ioBusy: boolean;
		pausing: boolean;
	} = { ending: undefined, breathDue: false, ioBusy: false, pausing: false };
	const clock = new VirtualClock({
		retired: () => cpu.retired,
		paced: () => false,
	});
	// On a busy machine a breath may be due at any time.
	clock.breathDue = () => state.breathDue;
	const alarm = new Alarm();
	const parts: RunLoopParts<string> = {
		cpu,
		clock,
		alarm,
		feed: () => log.push("feed"),
		flush: async () => {
			log.push("flush");
		},
		breathe: async () => {
			log.push("breathe");
		},
		ioBusy: () => state.ioBusy,
		pausing: () => state.pausing,
		ending: () => state.ending,
		onExit: (reason) => log.push(reason),
	};
	return { clock, alarm, parts, state, log };
}

describe("The run loop", () => {
	it("ends for the reason a chip gave, after handing over the output", async () => {
		const cpu = new ScriptedCpu((budget) => {
			state.ending = "poweroff";
			return budget;
		});
		const { parts, state, log } = setUp(cpu);
		expect(await runLoop(parts)).toBe("poweroff");
		expect(log).toEqual(["feed", "budget", "feed", "flush"]);
	});

	it("does not run a guest whose end was asked for before it began", async () => {
		const cpu = new ScriptedCpu(() => "budget");
		const { parts, state } = setUp(cpu);
		state.ending = "stopped";
		expect(await runLoop(parts)).toBe("stopped");
		expect(cpu.budgets).toEqual([]);
	});

	it("reports a triple fault", async () => {
		const { parts } = setUp(new ScriptedCpu(() => "triple-fault"));
		expect(await runLoop(parts)).toBe("triple-fault");
	});

	it("calls a timer after exactly as many instructions as its deadline says", async () => {
		const cpu = new ScriptedCpu((budget) => budget);
		const { parts, clock, state } = setUp(cpu);
		const called: number[] = [];
		const owner = {};
		const deadline = 100_001 * NS_PER_INSTRUCTION;
		clock.schedule(owner, deadline, () => {
			called.push(cpu.retired);
			state.ending = "done";
		});
		await runLoop(parts);
		expect(called).toEqual([100_001]);
	});

	it("lets a halted guest's time pass to its next timer at no cost", async () => {
		const cpu = new ScriptedCpu(() => "halt");
		const { parts, clock, state } = setUp(cpu);
		clock.schedule({}, 60e9, () => {
			state.ending = "woken";
		});
		expect(await runLoop(parts)).toBe("woken");
		expect(cpu.budgets.length).toBe(1);
	});

	it("does not sleep when an interrupt came while the output was handed over", async () => {
		const cpu = new ScriptedCpu((_, slice) => {
			if (slice > 0) state.ending = "stop";
			return "halt";
		});
		const { parts, state, log } = setUp(cpu);
		const flush = async () => {
			log.push("flush");
			cpu.pending = true;
		};
		expect(await runLoop({ ...parts, flush })).toBe("stop");
		expect(log.filter((entry) => entry === "halt")).toHaveLength(2);
	});

	it("sleeps until the alarm when there is no timer either", async () => {
		const cpu = new ScriptedCpu(() => "halt");
		const { parts, alarm, state } = setUp(cpu);
		setTimeout(() => {
			state.ending = "key";
			alarm.wake();
		}, 10);
		expect(await runLoop(parts)).toBe("key");
		expect(cpu.budgets.length).toBe(1);
	});

	it("offers no keys while interrupts are off: the guest may be opening the port", async () => {
		const cpu = new ScriptedCpu((budget, slice) => {
			cpu.interrupts = slice > 0;
			if (slice === 2) state.ending = "done";
			return budget;
		});
		cpu.interrupts = false;
		const { parts, state, log } = setUp(cpu);
		await runLoop(parts);
		expect(log.slice(0, 4)).toEqual(["budget", "budget", "feed", "budget"]);
	});

	it("gives up on a guest that halted with interrupts off", async () => {
		const cpu = new ScriptedCpu(() => "halt");
		cpu.interrupts = false;
		const { parts, clock } = setUp(cpu);
		clock.schedule({}, 1e6, () => {});
		expect(await runLoop(parts)).toBe("halted-forever");
	});

	it("ends rather than sleeps when the halting slice also asked for the end", async () => {
		const cpu = new ScriptedCpu(() => {
			state.ending = "poweroff";
			return "halt";
		});
		cpu.interrupts = false;
		const { parts, state } = setUp(cpu);
		expect(await runLoop(parts)).toBe("poweroff");
	});

	it("gives the embedder a turn after each slice while a disk is at work", async () => {
		const cpu = new ScriptedCpu((budget, slice) => {
			if (slice === 3) state.ending = "done";
			state.ioBusy = slice < 2;
			return budget;
		});
		const { parts, state, log } = setUp(cpu);
		await runLoop(parts);
		expect(log.filter((what) => what === "breathe")).toHaveLength(2);
	});

	it("gives the embedder its turn, output first, when a breath is due", async () => {
		const cpu = new ScriptedCpu((budget, slice) => {
			state.breathDue = slice === 2;
			return budget;
		});
		const { parts, state, log } = setUp(cpu);
		const breathe = async () => {
			log.push("breathe");
			state.ending = "event";
		};
		expect(await runLoop({ ...parts, breathe })).toBe("event");
		expect(cpu.budgets).toHaveLength(4);
		expect(log.filter((word) => word !== "feed")).toEqual([
			...["budget", "budget", "budget"],
			...["flush", "breathe", "budget", "flush"],
		]);
	});
});
