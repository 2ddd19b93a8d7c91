import { describe, expect, it } from "vitest";
import { PortBus } from "./bus.ts";
import { RtcCmos } from "./rtc-cmos.ts";
import { TestClock } from "./test-clock.ts";

/** Thursday, 29 February 2024, 13:59:57 UTC and a half. */
const START = Date.UTC(2024, 1, 29, 13, 59, 57, 500) / 1000;
const MIB = 1 << 20;

function setUp(memoryBytes = 256 * MIB) {
	const clock = new TestClock();
	const ports = new PortBus();
	const irq = { level: false, rises: 0 };
	const line = {
		set(level: boolean) {
			if (level && !irq.level) irq.rises++;
			irq.level = level;
		},
	};
	new RtcCmos(clock, line, {
		wallSeconds: () => START + clock.nowNs() / 1e9,
		memoryBytes,
	}).attach(ports);
	const read = (register: number) => {
		ports.write(0x70, 1, register | 0x80);
		return ports.read(0x71, 1);
	};
	return {
		clock,
		irq,
		read,
		write: (register: number, value: number) => {
			ports.write(0x70, 1, register);
			ports.write(0x71, 1, value);
		},
		/** Seconds to year, then century, in hex: BCD reads as decimal. */
		date: () =>
			[0x32, 9, 8, 7, 6, 4, 2, 0]
				.map((register) => read(register).toString(16).padStart(2, "0"))
				.join(" "),
	};
}

describe("RtcCmos as a calendar", () => {
	it("shows the wall time in BCD and 24 hours, century at 0x32", () => {
		const { date, read } = setUp();
		expect(date()).toBe("20 24 02 29 05 13 59 57");
		expect(read(0x0b)).toBe(0x02);
		expect(read(0x0d)).toBe(0x80);
	});

	it("counts over midnight and the end of a leap February", () => {
		const { date, clock } = setUp();
		clock.run((10 * 3600 + 3) * 1e9);
		expect(date()).toBe("20 24 03 01 06 00 00 00");
	});

	it("speaks binary and 12 hours when register B says so", () => {
		const { read, write } = setUp();
		write(0x0b, 0x06);
		expect([read(4), read(2), read(0)]).toEqual([13, 59, 57]);
		write(0x0b, 0x00);
		expect(read(4)).toBe(0x81);
		write(0x0b, 0x04);
		expect(read(4)).toBe(0x81);
	});

	it("takes a date written under SET and goes on from there", () => {
		const { clock, date, write } = setUp();
		write(0x0b, 0x82);
		for (const [register, value] of [
			[0, 0x58],
			[2, 0x59],
			[4, 0x23],
			[7, 0x31],
			[8, 0x12],
			[9, 0x99],
			[0x32, 0x19],
		] as const) {
			write(register, value);
		}
		clock.run(5e9);
		expect(date()).toContain("19 99 12 31");
		write(0x0b, 0x02);
		clock.run(2e9);
		expect(date()).toBe("20 00 01 01 07 00 00 00");
	});

	it("raises UIP for about two milliseconds before each second, never under SET", () => {
		const { clock, read, write } = setUp();
		const start = read(0);
		expect(read(0x0a)).toBe(0x26);
		clock.runTo(498_000_000);
		expect(read(0x0a)).toBe(0xa6);
		expect(read(0)).toBe(start);
		write(0x0b, 0x82);
		expect(read(0x0a)).toBe(0x26);
		write(0x0b, 0x02);
		clock.runTo(500_000_000);
		expect(read(0x0a)).toBe(0x26);
		expect(read(0)).toBe(start + 1);
	});
});

describe("RtcCmos interrupts", () => {
	it("interrupts at the chosen rate, once for each reading of C", () => {
		const { clock, irq, read, write } = setUp();
		write(0x0a, 0x26);
		write(0x0b, 0x42);
		let seen = 0;
		for (let ms = 0; ms < 1000; ms++) {
			clock.run(1e6);
			if (irq.level) {
				expect(read(0x0c) & 0xc0).toBe(0xc0);
				expect(irq.level).toBe(false);
				seen++;
			}
		}
		expect(irq.rises).toBe(seen);
		expect(seen).toBeGreaterThan(990);
	});

	it("does not wake the machine while an unread flag holds the line", () => {
		const { clock, irq, write } = setUp();
		write(0x0b, 0x42);
		clock.run(1e7);
		expect(irq.level).toBe(true);
		expect(clock.nextDeadline()).toBeUndefined();
	});

	it("interrupts at every update when UIE is set", () => {
		const { clock, irq, read, write } = setUp();
		write(0x0b, 0x12);
		clock.runTo(499_000_000);
		expect(irq.level).toBe(false);
		clock.runTo(500_001_000);
		expect(irq.level).toBe(true);
		expect(read(0x0c) & 0x90).toBe(0x90);
		clock.runTo(1_499_000_000);
		expect(irq.level).toBe(false);
		clock.runTo(1_501_000_000);
		expect(irq.level).toBe(true);
	});

	it("rings the alarm at its second, and matches anything where both top bits are set", () => {
		const { clock, irq, read, write } = setUp();
		write(0x01, 0x02);
		write(0x03, 0x00);
		write(0x05, 0xff);
		write(0x0b, 0x22);
		clock.runTo(4.4e9);
		expect(irq.level).toBe(false);
		clock.runTo(4.6e9);
		expect(irq.level).toBe(true);
		expect(read(0x0c) & 0xa0).toBe(0xa0);
		clock.runTo(3600e9);
		expect(irq.level).toBe(false);
		clock.runTo(3605e9);
		expect(irq.level).toBe(true);
	});

	it("rings an alarm that fell into a clock jump", () => {
		const { clock, irq, write } = setUp();
		write(0x01, 0x30);
		write(0x03, 0x30);
		write(0x05, 0x15);
		write(0x0b, 0x22);
		clock.jump(5 * 86400 * 1e9);
		expect(irq.level).toBe(true);
	});

	it("keeps flags without their enables, and no interrupt", () => {
		const { clock, irq, read } = setUp();
		expect(read(0x0c)).toBe(0);
		clock.run(2e9);
		expect(irq.rises).toBe(0);
		expect(read(0x0c) & 0xd0).toBe(0x50);
		expect(clock.nextDeadline()).toBeUndefined();
	});
});

describe("CMOS RAM", () => {
	it("reports memory where a BIOS does", () => {
		const small = setUp(32 * MIB);
		const word = (low: number, read: (r: number) => number) =>
			read(low) | (read(low + 1) << 8);
		expect(word(0x15, small.read)).toBe(640);
		expect(word(0x17, small.read)).toBe(31 * 1024);
		expect(word(0x30, small.read)).toBe(31 * 1024);
		expect(word(0x34, small.read)).toBe(256);
		const large = setUp(512 * MIB);
		expect(word(0x30, large.read)).toBe(0xffff);
		expect(word(0x34, large.read)).toBe((512 - 16) * 16);
	});

	it("keeps what the guest stores, behind an index whose NMI bit means nothing", () => {
		const { read, write } = setUp();
		write(0x8f, 0x5a);
		expect(read(0x0f)).toBe(0x5a);
	});
});
