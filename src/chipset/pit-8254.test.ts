import { describe, expect, it } from "vitest";
import { PortBus } from "./bus.ts";
import { nsOfTick } from "./clock-ticks.ts";
import { PIT_FREQUENCY_HZ, Pit8254 } from "./pit-8254.ts";
import { TestClock } from "./test-clock.ts";

/** A PIT on a bus; `toTick` moves time to a PIT tick, `rises` are IRQ 0's edges in ticks. */
function setUp() {
	const clock = new TestClock();
	const ports = new PortBus();
	const rises: number[] = [];
	let level = false;
	const tickNow = () =>
		Math.floor((clock.nowNs() * PIT_FREQUENCY_HZ) / 1e9 + 1e-4);
	const pit = new Pit8254(clock, {
		set(next) {
			if (next && !level) rises.push(tickNow());
			level = next;
		},
	});
	pit.attach(ports);
	const out = (port: number, ...values: number[]) => {
		for (const value of values) ports.write(port, 1, value);
	};
	const in8 = (port: number) => ports.read(port, 1);
	const in16 = (port: number) => in8(port) | (in8(port) << 8);
	const toTick = (tick: number) =>
		clock.runTo(nsOfTick(tick, PIT_FREQUENCY_HZ));
	const jumpToTick = (tick: number) =>
		clock.jump(nsOfTick(tick, PIT_FREQUENCY_HZ) - clock.nowNs());
	return {
		clock,
		rises,
		out,
		in8,
		in16,
		toTick,
		jumpToTick,
		/** Counter latch, then both bytes. */
		count: (n: number) => {
			out(0x43, n << 6);
			return in16(0x40 + n);
		},
		/** Read-back of the status of one counter. */
		status: (n: number) => {
			out(0x43, 0xe0 | (2 << n));
			return in8(0x40 + n);
		},
		level: () => level,
	};
}

const OUT = 0x80;
const NULL_COUNT = 0x40;

describe("PIT counter 0 as the kernel's tick", () => {
	it("raises IRQ 0 every N ticks in mode 2, for ten minutes without drift", () => {
		const { rises, out, toTick } = setUp();
		out(0x43, 0x34);
		out(0x40, 0x9c, 0x2e);
		rises.length = 0;
		toTick(600 * PIT_FREQUENCY_HZ);
		const period = 0x2e9c;
		expect(rises.length).toBe(
			Math.floor((600 * PIT_FREQUENCY_HZ - 1) / period),
		);
		expect(rises[0]).toBe(1 + period);
		expect(rises.at(-1)).toBe(1 + period * rises.length);
	});

	it("makes one tick of all that were missed, and keeps the phase", () => {
		const { rises, out, toTick, jumpToTick } = setUp();
		out(0x43, 0x34);
		out(0x40, 0xe8, 0x03);
		rises.length = 0;
		toTick(1001);
		jumpToTick(50500);
		toTick(52001);
		expect(rises).toEqual([1001, 50500, 51001, 52001]);
	});

	it("fires once, N + 1 ticks after the count, in mode 0", () => {
		const { rises, out, toTick, level } = setUp();
		out(0x43, 0x30);
		out(0x40, 0x64, 0x00);
		expect(level()).toBe(false);
		toTick(100);
		expect(rises).toEqual([]);
		toTick(100000);
		expect(rises).toEqual([101]);
		expect(level()).toBe(true);
		out(0x43, 0x30);
		expect(level()).toBe(false);
	});

	it("strobes once for each count written in mode 4 (Linux one-shot)", () => {
		const { rises, out, toTick } = setUp();
		out(0x43, 0x38);
		rises.length = 0;
		out(0x40, 0x10, 0x00);
		toTick(1000);
		expect(rises).toEqual([1 + 0x10 + 1]);
		out(0x40, 0x20, 0x00);
		toTick(1010);
		out(0x40, 0x20, 0x00);
		toTick(2000);
		expect(rises.slice(1)).toEqual([1010 + 1 + 0x20 + 1]);
	});

	it("raises IRQ 0 once a period in mode 3", () => {
		const { rises, out, toTick } = setUp();
		out(0x43, 0x36);
		out(0x40, 0x0b, 0x00);
		rises.length = 0;
		toTick(40);
		expect(rises).toEqual([12, 23, 34]);
	});

	it("stops asking the clock when a mode will never raise OUT again", () => {
		const { clock, out, toTick } = setUp();
		out(0x43, 0x34);
		out(0x40, 0x00, 0x01);
		expect(clock.nextDeadline()).toBeDefined();
		out(0x43, 0x30);
		expect(clock.nextDeadline()).toBeUndefined();
		out(0x40, 0x10, 0x00);
		toTick(500);
		expect(clock.nextDeadline()).toBeUndefined();
	});
});

describe("PIT counting", () => {
	it("counts N down to 1 in mode 2, with OUT low during the 1", () => {
		const { out, count, status, toTick } = setUp();
		out(0x43, 0x34);
		out(0x40, 0x05, 0x00);
		const seen: string[] = [];
		for (let tick = 1; tick <= 7; tick++) {
			toTick(tick);
			seen.push(`${count(0)}${status(0) & OUT ? "H" : "L"}`);
		}
		expect(seen).toEqual(["5H", "4H", "3H", "2H", "1L", "5H", "4H"]);
	});

	it("counts by two in mode 3, an odd count high for the longer half", () => {
		const { out, count, status, toTick } = setUp();
		out(0x43, 0x36);
		out(0x40, 0x05, 0x00);
		const seen: string[] = [];
		for (let tick = 1; tick <= 7; tick++) {
			toTick(tick);
			seen.push(`${count(0)}${status(0) & OUT ? "H" : "L"}`);
		}
		expect(seen).toEqual(["4H", "2H", "0H", "4L", "2L", "4H", "2H"]);
	});

	it("wraps on past zero in mode 0, in binary and in BCD", () => {
		const { out, count, toTick } = setUp();
		out(0x43, 0x30);
		out(0x40, 0x02, 0x00);
		toTick(4);
		expect(count(0)).toBe(0xffff);
		out(0x43, 0x31);
		out(0x40, 0x00, 0x10);
		toTick(6);
		expect(count(0)).toBe(0x0999);
		toTick(5 + 1001);
		expect(count(0)).toBe(0x9999);
	});

	it("takes zero as 65536, or 10000 in BCD", () => {
		const { out, count, toTick } = setUp();
		out(0x43, 0x34);
		out(0x40, 0, 0);
		toTick(1);
		expect(count(0)).toBe(0);
		toTick(2);
		expect(count(0)).toBe(0xffff);
		out(0x43, 0x35);
		out(0x40, 0, 0);
		toTick(4);
		expect(count(0)).toBe(0x9999);
	});

	it("lets a new count wait for the end of the period in mode 2", () => {
		const { out, rises, status, toTick } = setUp();
		out(0x43, 0x34);
		out(0x40, 0x64, 0x00);
		rises.length = 0;
		toTick(50);
		out(0x40, 0x0a, 0x00);
		expect(status(0) & NULL_COUNT).toBe(NULL_COUNT);
		toTick(125);
		expect(rises).toEqual([101, 111, 121]);
		expect(status(0) & NULL_COUNT).toBe(0);
	});

	it("lets a new count wait for the end of the half period in mode 3", () => {
		const { out, rises, toTick } = setUp();
		out(0x43, 0x36);
		out(0x40, 0x64, 0x00);
		rises.length = 0;
		toTick(10);
		out(0x40, 0x0a, 0x00);
		toTick(75);
		expect(rises).toEqual([51 + 5, 51 + 15]);
	});

	it("reports null count until the tick that loads it", () => {
		const { out, status, toTick } = setUp();
		out(0x43, 0x34);
		expect(status(0)).toBe(OUT | NULL_COUNT | 0x34);
		out(0x40, 0x10, 0x00);
		expect(status(0) & NULL_COUNT).toBe(NULL_COUNT);
		toTick(1);
		expect(status(0)).toBe(OUT | 0x34);
	});
});

describe("PIT latches", () => {
	it("holds the first latched count until it is read, while counting goes on", () => {
		const { out, in16, in8, toTick } = setUp();
		out(0x43, 0x34);
		out(0x40, 0x00, 0x10);
		toTick(1);
		out(0x43, 0x00);
		toTick(101);
		out(0x43, 0x00);
		expect(in16(0x40)).toBe(0x1000);
		expect(in8(0x40)).toBe(0x1000 - 100 - 0xf00);
		expect(in8(0x40)).toBe(0x0f);
	});

	it("gives status before count when read-back latched both", () => {
		const { out, in8, in16, toTick } = setUp();
		out(0x43, 0x34);
		out(0x40, 0x34, 0x12);
		toTick(1);
		out(0x43, 0xc2);
		expect(in8(0x40)).toBe(OUT | 0x34);
		expect(in16(0x40)).toBe(0x1234);
	});

	it("latches several counters at the same tick by one read-back", () => {
		const { out, in8, in16, toTick } = setUp();
		out(0x43, 0x34, 0x54);
		out(0x40, 0x00, 0x02);
		out(0x41, 0x12);
		toTick(5);
		out(0x43, 0xd6);
		toTick(9);
		expect(in16(0x40)).toBe(0x200 - 4);
		expect(in8(0x41)).toBe(0x12 - 4);
	});

	it("reads and writes one byte only when the control word says so", () => {
		const { out, in8, toTick } = setUp();
		out(0x43, 0x24);
		out(0x40, 0x12);
		toTick(1);
		expect(in8(0x40)).toBe(0x12);
		expect(in8(0x40)).toBe(0x12);
	});
});

describe("Port 0x61 and counter 2", () => {
	it("shows OUT 2 going high as Linux's TSC calibration waits for it", () => {
		const { out, in8, toTick } = setUp();
		out(0x61, (in8(0x61) & ~0x02) | 0x01);
		out(0x43, 0xb0);
		out(0x42, 0xe8, 0x03);
		toTick(1000);
		expect(in8(0x61) & 0x20).toBe(0);
		toTick(1001);
		expect(in8(0x61) & 0x20).toBe(0x20);
	});

	it("pauses mode 0 while the gate is low", () => {
		const { out, in8, count, toTick } = setUp();
		out(0x61, 0x01);
		out(0x43, 0xb0);
		out(0x42, 0x64, 0x00);
		toTick(11);
		out(0x61, 0x00);
		toTick(500);
		expect(count(2)).toBe(90);
		out(0x61, 0x01);
		toTick(589);
		expect(in8(0x61) & 0x20).toBe(0);
		toTick(590);
		expect(in8(0x61) & 0x20).toBe(0x20);
	});

	it("starts mode 1 at the rising gate, again at each one", () => {
		const { out, in8, toTick } = setUp();
		out(0x43, 0xb2);
		out(0x42, 0x0a, 0x00);
		toTick(100);
		expect(in8(0x61) & 0x20).toBe(0x20);
		out(0x61, 0x01);
		toTick(101);
		expect(in8(0x61) & 0x20).toBe(0);
		toTick(108);
		out(0x61, 0x00);
		out(0x61, 0x01);
		toTick(118);
		expect(in8(0x61) & 0x20).toBe(0);
		toTick(119);
		expect(in8(0x61) & 0x20).toBe(0x20);
	});

	it("strobes mode 5 for one tick after the gate's count", () => {
		const { out, in8, toTick } = setUp();
		out(0x43, 0xba);
		out(0x42, 0x03, 0x00);
		out(0x61, 0x01);
		const seen: number[] = [];
		for (let tick = 1; tick <= 6; tick++) {
			toTick(tick);
			seen.push(in8(0x61) & 0x20 ? 1 : 0);
		}
		expect(seen).toEqual([1, 1, 1, 0, 1, 1]);
	});

	it("toggles the refresh bit about every 15 microseconds", () => {
		const { clock, in8 } = setUp();
		let toggles = 0;
		let last = in8(0x61) & 0x10;
		for (let us = 0; us < 1500; us++) {
			clock.run(1000);
			const now = in8(0x61) & 0x10;
			if (now !== last) toggles++;
			last = now;
		}
		expect(toggles).toBeGreaterThanOrEqual(98);
		expect(toggles).toBeLessThanOrEqual(101);
	});
});
