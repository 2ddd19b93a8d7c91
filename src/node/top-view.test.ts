import { describe, expect, it } from "vitest";
import type { MachineStatistics } from "../index.ts";
import { topView } from "./top-view.ts";

const START = {
	instructionsRetired: 1e6,
	hotRetired: 0,
	wallSeconds: 1,
	guestSeconds: 1,
	resets: 0,
	exits: { budget: 10, halt: 0, "triple-fault": 0, requested: 0 },
	tlbMisses: 0,
	codeInvalidations: 0,
	codePagesDecoded: 5,
	regions: 0,
	memory: { guestBytes: 64 << 20, rssBytes: 100 << 20 },
	devices: [{ deviceId: 2, kicks: 0, interrupts: 0 }],
} as unknown as MachineStatistics;

const LATER = {
	...START,
	instructionsRetired: 101e6,
	hotRetired: 75e6,
	wallSeconds: 3,
	exits: { ...START.exits, budget: 30 },
	devices: [{ deviceId: 2, kicks: 500, interrupts: 480 }],
} as MachineStatistics;

const SIZE = { columns: 80, rows: 24 };

describe("The live view", () => {
	it("shows rates between two looks", () => {
		const text = topView(START, LATER, "", SIZE).join("\n");
		expect(text).toContain("50.0 million instructions/s, 75 % in compiled");
		expect(text).toContain("budget 10/s");
		expect(text).toMatch(/block +250 +240$/m);
		expect(text).toContain("guest 64 MiB, process 100 MiB");
	});

	it("shows zeroes when no time has passed, and after a restart", () => {
		const text = topView(LATER, { ...START, resets: 1 }, "", SIZE).join("\n");
		expect(topView(START, START, "", SIZE).join("\n")).not.toMatch(/NaN|Infin/);
		expect(text).toMatch(/block +-?0 +-?0$/m);
	});

	it("fits the window, with the console's last lines, made harmless", () => {
		const tail = `${"line\n".repeat(50)}\u001b[31mred\u001b[0m\u0007 ${"x".repeat(200)}`;
		const lines = topView(START, LATER, tail, { columns: 40, rows: 20 });
		expect(lines.length).toBeLessThan(20);
		expect(Math.max(...lines.map((line) => line.length))).toBe(40);
		expect(lines.at(-1)).toMatch(/^red x+$/);
	});
});
