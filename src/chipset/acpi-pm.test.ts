import { describe, expect, it } from "vitest";
import { AcpiPm } from "./acpi-pm.ts";
import { PortBus } from "./bus.ts";
import { ResetControl } from "./reset-control.ts";
import { TestClock } from "./test-clock.ts";

function setUp() {
	const clock = new TestClock();
	const ports = new PortBus();
	const sci = { level: false };
	const events: string[] = [];
	const pm = new AcpiPm(clock, {
		set(level) {
			sci.level = level;
		},
	});
	pm.onPowerOff = () => events.push("off");
	pm.attach(ports);
	const reset = new ResetControl();
	reset.onReset = () => events.push("reset");
	reset.attach(ports);
	return { clock, ports, sci, pm, events };
}

describe("AcpiPm", () => {
	it("is in ACPI mode from the start and cannot leave it", () => {
		const { ports } = setUp();
		expect(ports.read(0xa74, 2)).toBe(0x0001);
		ports.write(0xa74, 2, 0);
		expect(ports.read(0xa74, 2)).toBe(0x0001);
	});

	it("powers off by SLP_TYP of S5 and SLP_EN, as Linux writes them", () => {
		const { ports, events } = setUp();
		ports.write(0xa74, 2, (5 << 10) | 1);
		expect(events).toEqual([]);
		ports.write(0xa74, 2, (5 << 10) | (1 << 13) | 1);
		expect(events).toEqual(["off"]);
		expect(ports.read(0xa74, 2)).toBe((5 << 10) | 1);
	});

	it("stays awake when asked for a sleep state it never offered", () => {
		const { ports, events } = setUp();
		ports.write(0xa74, 2, (3 << 10) | (1 << 13));
		ports.write(0xa74, 2, 1 << 13);
		expect(events).toEqual([]);
	});

	it("counts 3.579545 MHz in 32 bits, wrapping", () => {
		const { ports, clock } = setUp();
		clock.runTo(1e9);
		expect(ports.read(0xa78, 4)).toBe(3579545);
		expect(ports.read(0xa78, 1)).toBe(3579545 & 0xff);
		expect(ports.read(0xa7a, 2)).toBe(3579545 >>> 16);
		clock.runTo(1200e9);
		expect(ports.read(0xa78, 4)).toBe((1200 * 3579545) % 2 ** 32);
		ports.write(0xa78, 4, 0);
		// As a kernel without ACPI may, which takes it for ISA Plug and Play.
		ports.write(0xa79, 1, 0x02);
		expect(ports.read(0xa78, 4)).toBe((1200 * 3579545) % 2 ** 32);
	});

	it("raises SCI when the timer's top bit changes and TMR_EN is set", () => {
		const { ports, clock, sci } = setUp();
		ports.write(0xa72, 2, 0x0001);
		clock.runTo(599e9);
		expect(sci.level).toBe(false);
		clock.runTo(600e9);
		expect(sci.level).toBe(true);
		ports.write(0xa70, 2, 0x0001);
		expect(sci.level).toBe(false);
		expect(ports.read(0xa70, 2)).toBe(0);
	});

	it("never wakes an idle guest for a timer it did not enable", () => {
		const { clock, ports } = setUp();
		ports.write(0xa72, 2, 0x0100);
		expect(clock.nextDeadline()).toBeUndefined();
	});

	it("announces the power button until its status bit is written as one", () => {
		const { ports, pm, sci } = setUp();
		pm.pressPowerButton();
		expect(sci.level).toBe(false);
		ports.write(0xa72, 2, 0x0120);
		expect(sci.level).toBe(true);
		expect(ports.read(0xa70, 4)).toBe(0x01200100);
		ports.write(0xa70, 2, 0x0001);
		expect(sci.level).toBe(true);
		ports.write(0xa71, 1, 0x01);
		expect(sci.level).toBe(false);
		expect(ports.read(0xa72, 2)).toBe(0x0120);
	});
});

describe("ResetControl", () => {
	it("resets when RST_CPU goes from 0 to 1, by a byte at 0xCF9", () => {
		const { ports, events } = setUp();
		ports.write(0xcf9, 1, 0x02);
		expect(ports.read(0xcf9, 1)).toBe(0x02);
		expect(events).toEqual([]);
		ports.write(0xcf9, 1, 0x06);
		expect(events).toEqual(["reset"]);
	});

	it("takes no part in a dword at 0xCF8: the PCI probe finds nothing and resets nothing", () => {
		const { ports, events } = setUp();
		ports.write(0xcf8, 4, 0x80000600);
		expect(ports.read(0xcf8, 4)).toBe(0xffffffff);
		expect(ports.read(0xcfb, 1)).toBe(0xff);
		expect(events).toEqual([]);
	});
});
