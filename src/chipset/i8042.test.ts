import { describe, expect, it } from "vitest";
import { PortBus } from "./bus.ts";
import { I8042 } from "./i8042.ts";
import { A20Gate, Port92 } from "./port-92.ts";

function setUp() {
	const ports = new PortBus();
	const a20 = new A20Gate();
	const irq = { level: false };
	const resets: string[] = [];
	const controller = new I8042(
		{
			set(level) {
				irq.level = level;
			},
		},
		a20,
	);
	controller.attach(ports);
	controller.onReset = () => resets.push("i8042");
	const port92 = new Port92(a20);
	port92.attach(ports);
	port92.onReset = () => resets.push("port92");
	const out = (port: number, value: number) => ports.write(port, 1, value);
	const in8 = (port: number) => ports.read(port, 1);
	return {
		a20,
		irq,
		resets,
		out,
		in8,
		/** A command, its data, then the answer (undefined if there is none). */
		command(command: number, data?: number): number | undefined {
			out(0x64, command);
			if (data !== undefined) out(0x60, data);
			return in8(0x64) & 1 ? in8(0x60) : undefined;
		},
	};
}

describe("I8042 under Linux's probe", () => {
	it("starts with an empty buffer, so that flushing ends at once", () => {
		const { in8 } = setUp();
		expect(in8(0x64)).toBe(0x14);
	});

	it("passes its self test and the keyboard interface test", () => {
		const { command } = setUp();
		expect(command(0xaa)).toBe(0x55);
		expect(command(0xab)).toBe(0x00);
	});

	it("keeps the command byte that was written", () => {
		const { command } = setUp();
		expect(command(0x20)).toBe(0x64);
		expect(command(0x60, 0x30)).toBeUndefined();
		expect(command(0x20)).toBe(0x30);
	});

	it("has no auxiliary port: the loop is not marked AUX and the test fails", () => {
		const { out, in8, command } = setUp();
		out(0x64, 0xd3);
		out(0x60, 0x5a);
		expect(in8(0x64) & 0x21).toBe(0x01);
		in8(0x60);
		expect([0x00, 0xfa, 0xff]).not.toContain(command(0xa9));
	});

	it("times out a byte for the keyboard, with IRQ 1 until it is read", () => {
		const { out, in8, irq, command } = setUp();
		command(0x60, 0x45);
		out(0x60, 0xf2);
		expect(irq.level).toBe(true);
		expect(in8(0x64) & 0x41).toBe(0x41);
		expect(in8(0x60)).toBe(0xfe);
		expect(irq.level).toBe(false);
		expect(in8(0x64) & 0x41).toBe(0);
	});

	it("ignores a command it does not know, and the next byte is the keyboard's", () => {
		const { out, command, in8 } = setUp();
		expect(command(0xbb)).toBeUndefined();
		out(0x60, 0xed);
		expect(in8(0x60)).toBe(0xfe);
	});

	it("switches the two interfaces in the command byte", () => {
		const { command } = setUp();
		command(0xad);
		command(0xa8);
		expect(command(0x20)).toBe(0x54);
		command(0xae);
		command(0xa7);
		expect(command(0x20)).toBe(0x64);
	});
});

describe("Reset and A20", () => {
	it("resets on the 0xFE pulse and on no other", () => {
		const { out, resets } = setUp();
		out(0x64, 0xff);
		out(0x64, 0xf1);
		expect(resets).toEqual([]);
		out(0x64, 0xfe);
		expect(resets).toEqual(["i8042"]);
	});

	it("resets when the output port's bit 0 is written as zero", () => {
		const { out, resets, command } = setUp();
		command(0xd1, 0xdf);
		expect(resets).toEqual([]);
		out(0x64, 0xd1);
		out(0x60, 0xde);
		expect(resets).toEqual(["i8042"]);
	});

	it("is one gate behind the output port, the quick commands and port 0x92", () => {
		const { a20, in8, out, command } = setUp();
		expect(in8(0x92)).toBe(0x02);
		command(0xd1, 0xdd);
		expect(a20.enabled).toBe(false);
		expect(in8(0x92)).toBe(0x00);
		out(0x92, 0x02);
		expect(command(0xd0)).toBe(0x03);
		command(0xdd);
		expect(a20.enabled).toBe(false);
		command(0xdf);
		expect(a20.enabled).toBe(true);
	});

	it("resets on the rising edge of port 0x92's bit 0 only", () => {
		const { out, resets } = setUp();
		out(0x92, 0x03);
		out(0x92, 0x03);
		expect(resets).toEqual(["port92"]);
	});
});
