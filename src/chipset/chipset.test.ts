import { describe, expect, it } from "vitest";
import { AcpiPm } from "./acpi-pm.ts";
import { type AccessSize, PortBus } from "./bus.ts";
import { I8042 } from "./i8042.ts";
import { LegacyPorts } from "./legacy-ports.ts";
import { PicPair } from "./pic-8259.ts";
import { Pit8254 } from "./pit-8254.ts";
import { A20Gate, Port92 } from "./port-92.ts";
import { ResetControl } from "./reset-control.ts";
import { RtcCmos } from "./rtc-cmos.ts";
import { TestClock } from "./test-clock.ts";
import { Uart16550 } from "./uart-16550.ts";

/** Every part on one bus, wired as a PC wires them. */
function assemble() {
	const clock = new TestClock();
	const ports = new PortBus();
	const pic = new PicPair();
	const a20 = new A20Gate();
	const uart = new Uart16550(clock, pic.line(4));
	const pm = new AcpiPm(clock, pic.line(9));
	pic.makeLevelTriggered(9);
	pic.attach(ports);
	new Pit8254(clock, pic.line(0)).attach(ports);
	new RtcCmos(clock, pic.line(8), {
		wallSeconds: () => 1.7e9 + clock.nowNs() / 1e9,
		memoryBytes: 256 << 20,
	}).attach(ports);
	uart.attach(ports);
	new I8042(pic.line(1), a20).attach(ports);
	new Port92(a20).attach(ports);
	pm.attach(ports);
	new ResetControl().attach(ports);
	new LegacyPorts().attach(ports);
	return { clock, ports, pic, uart, pm };
}

/** Marsaglia's xorshift: the same guest every time. */
function random(seed: number): (below: number) => number {
	let state = seed;
	return (below) => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) % below;
	};
}

const PORTS = [
	...[0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61],
	...[0x70, 0x71, 0x60, 0x64, 0x92, 0x80, 0xcf8, 0xcf9],
	...Array.from({ length: 8 }, (_, i) => 0x3f8 + i),
	...Array.from({ length: 12 }, (_, i) => 0xa70 + i),
];

describe("The chipset together", () => {
	it("ticks through the PIC a hundred times a second once Linux has set it up", () => {
		const { clock, ports, pic } = assemble();
		for (const [port, value] of [
			...[[0x20, 0x11] as const, [0x21, 0x30] as const],
			...[[0x21, 0x04] as const, [0x21, 0x01] as const],
			...[[0x21, 0xfe] as const, [0x43, 0x34] as const],
			...[[0x40, 11932 & 0xff] as const, [0x40, 11932 >> 8] as const],
		]) {
			ports.write(port, 1, value);
		}
		let ticks = 0;
		pic.onIntr = (level) => {
			if (!level) return;
			expect(pic.acknowledge()).toBe(0x30);
			ports.write(0x20, 1, 0x60);
			ticks++;
		};
		clock.run(10e9);
		expect(ticks).toBeGreaterThanOrEqual(999);
		expect(ticks).toBeLessThanOrEqual(1000);
	});

	it("survives a guest that writes nonsense everywhere, and answers in range", () => {
		const { clock, ports, pic, uart, pm } = assemble();
		const below = random(0x5eed);
		for (let i = 0; i < 60_000; i++) {
			const port = PORTS[below(PORTS.length)] ?? 0;
			const size = ([1, 1, 2, 4] as const)[below(4)] as AccessSize;
			if (below(3) === 0) {
				const value = ports.read(port, size);
				expect(Number.isInteger(value)).toBe(true);
				expect(value).toBeGreaterThanOrEqual(0);
				expect(value).toBeLessThan(2 ** (8 * size));
			} else {
				ports.write(port, size, below(2 ** 32) >>> 0);
			}
			if (below(4) === 0) clock.run(below(100_000));
			if (below(500) === 0) clock.jump(below(2 ** 31) * 100);
			if (below(50) === 0) uart.receive(Uint8Array.of(1, 2, 3));
			if (below(200) === 0) pm.pressPowerButton();
			if (pic.pending()) expect(pic.acknowledge()).toBeLessThan(256);
			expect(uart.received.length).toBeLessThanOrEqual(16);
		}
	});
});
