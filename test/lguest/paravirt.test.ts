/**
 * A kernel of our own that needs lguest (`guests/paravirt`): what it reports,
 * step by step, in every dialect and on both engines, and what it dies of when
 * it makes mistakes.
 */

import { describe, expect, it, vi } from "vitest";
import {
	PARAVIRT_DIALECTS,
	paravirtKernel,
	runParavirt,
} from "../support/paravirt-guest.ts";

vi.setConfig({ testTimeout: 120_000 });

const STEPS = [
	"boot_params: one range of memory, lguest's number",
	"room at the top is reserved",
	"an initrd at the top of memory",
	"page tables of one's own",
	"page fault where nothing is",
	"a page is mapped, and another in its place",
	"kernels obey read-only pages",
	"three ways to flush",
	"invalid opcode",
	"ports read ones",
	"ports swallow, cli does nothing",
	"three ticks of the clock",
	"the time is known",
	"interrupts wait for the store that turns them on",
	"irq_pending is down again",
	"irq_pending announces one",
	"device not available, and available",
	"the ring has 64 slots, and nothing empties it by itself",
	"it is emptied in order, and goes round",
	"user mode: call, breakpoint, page fault, protection, TLS, a tick",
	"bus: devices are found, and reset",
	"disk: a sector there and back",
	"disk: beyond the end is an error",
	"reset: status, features and rings are zero, and it works again",
	"entropy",
	"network: a frame there and back",
	"console: this line went by virtio",
	"console: what was typed arrives",
	"devices interrupted",
];

/** 2.6.30 and older have no such word. */
function stepsOf(dialect: string): string[] {
	return STEPS.filter(
		(step) => dialect > "E" || !step.startsWith("irq_pending"),
	);
}

function expected(dialect: string): string[] {
	const lines = stepsOf(dialect).map((step) => `ok ${step}`);
	const at = lines.indexOf("ok console: this line went by virtio");
	lines.splice(at + 1, 0, "ready for input");
	return [`paravirt: dialect ${dialect}`, ...lines, "all steps are done"];
}

/** Of the millions that a run takes: most are spent waiting for ticks. */
const LEAST_HOT = 10_000;
const POWERED_DOWN = { kind: "dead", reason: "CRASH: Power down" };

describe.each(["cold", "auto", "hot"] as const)(
	"on the %s engine",
	(engine) => {
		it.each(PARAVIRT_DIALECTS)(
			"a kernel of dialect %s gets through every step",
			async (dialect) => {
				const kernel = await paravirtKernel(dialect);
				const { lines, ending, hotRetired } = await runParavirt(kernel, engine);
				expect(lines).toEqual(expected(dialect));
				expect(ending).toEqual(POWERED_DOWN);
				if (engine === "cold") expect(hotRetired).toBe(0);
				else expect(hotRetired).toBeGreaterThan(LEAST_HOT);
			},
		);
	},
);

it.each(["B", "H"] as const)(
	"dialect %s: a restart is one, and the disk remembers",
	async (dialect) => {
		const kernel = await paravirtKernel(dialect);
		const { lines, ending } = await runParavirt(kernel, "cold", "quiet end=1");
		expect(lines).toEqual([...expected(dialect), ...expected(dialect)]);
		expect(ending).toEqual(POWERED_DOWN);
	},
);

describe("a kernel that makes a mistake dies of it", () => {
	it.each([
		[2, "Bad hypercall 99"],
		[3, "already have lguest_data"],
		[4, "bad stack segment 96"],
		[5, "bad stack pages 7"],
		[6, "bad stack page 0x6ffff000"],
		[7, "Setting idt entry 300"],
		[8, "bad IDT type 5"],
		[9, "too many gdt entries 40"],
		[10, "bad read address 0xfffffff0 len 128"],
		[11, "Bad NOTIFY 0x70000000"],
		[12, /^unhandled trap 6 at 0xc01[0-9a-f]+ \(0\)$/],
		[13, "bad page table entry"],
		[14, "bad page directory entry"],
		[15, "bad read address 0x70000000 len 32"],
		[16, "Bad address 0x6ffffffc"],
	])("mistake %i: %s", async (which, reason) => {
		const kernel = await paravirtKernel("C");
		const { lines, ending } = await runParavirt(kernel, "cold", `end=${which}`);
		expect(lines.at(-1)).toBe("all steps are done");
		expect(ending).toEqual({
			kind: "dead",
			reason:
				typeof reason === "string" ? reason : expect.stringMatching(reason),
		});
	});

	it("but from 3.10 on, what a page table must not say is a page fault", async () => {
		const kernel = await paravirtKernel("H");
		const { lines } = await runParavirt(kernel, "cold", "end=13");
		expect(lines.at(-1)).toBe("ok still alive");
	});
});
