import { describe, expect, it } from "vitest";
import { PortBus } from "./bus.ts";
import { PicPair } from "./pic-8259.ts";

/** A PIC pair on a bus, programmed as Linux's init_8259A does unless told otherwise. */
function setUp(icw4 = 0x01) {
	const ports = new PortBus();
	const pic = new PicPair();
	pic.attach(ports);
	const out = (port: number, ...values: number[]) => {
		for (const value of values) ports.write(port, 1, value);
	};
	out(0x21, 0xff);
	out(0x20, 0x11);
	out(0x21, 0x30, 0x04, icw4);
	out(0xa0, 0x11);
	out(0xa1, 0x38, 0x02, icw4);
	out(0x21, 0x00);
	out(0xa1, 0x00);
	return { ports, pic, out, in8: (port: number) => ports.read(port, 1) };
}

/** Acknowledges whatever is pending; undefined when INTR is low. */
function take(pic: PicPair): number | undefined {
	return pic.pending() ? pic.acknowledge() : undefined;
}

describe("PicPair after Linux's initialization", () => {
	it("delivers a master edge once, at ICW2 plus the input", () => {
		const { pic, out } = setUp();
		const timer = pic.line(0);
		timer.set(true);
		expect(take(pic)).toBe(0x30);
		out(0x20, 0x60);
		expect(take(pic)).toBeUndefined();
		timer.set(false);
		timer.set(true);
		expect(take(pic)).toBe(0x30);
	});

	it("takes the slave's vector through the cascade and needs both EOIs", () => {
		const { pic, out } = setUp();
		pic.line(8).set(true);
		expect(take(pic)).toBe(0x38);
		pic.line(14).set(true);
		expect(take(pic)).toBeUndefined();
		out(0xa0, 0x60);
		expect(take(pic)).toBeUndefined();
		out(0x20, 0x62);
		expect(take(pic)).toBe(0x3e);
	});

	it("prefers slave inputs to master inputs 3 to 7 and IRQ 0 to all", () => {
		const { pic, out } = setUp();
		for (const n of [4, 15, 8, 0]) pic.line(n).set(true);
		const order: (number | undefined)[] = [];
		for (let i = 0; i < 4; i++) {
			order.push(take(pic));
			out(0xa0, 0x20);
			out(0x20, 0x20);
		}
		expect(order).toEqual([0x30, 0x38, 0x3f, 0x34]);
	});

	it("lets a more urgent input interrupt the one in service, not the reverse", () => {
		const { pic, out } = setUp();
		pic.line(4).set(true);
		expect(take(pic)).toBe(0x34);
		pic.line(5).set(true);
		expect(take(pic)).toBeUndefined();
		pic.line(1).set(true);
		expect(take(pic)).toBe(0x31);
		out(0x20, 0x20);
		expect(take(pic)).toBeUndefined();
		out(0x20, 0x20);
		expect(take(pic)).toBe(0x35);
	});

	it("holds a masked request until the mask opens and reads the mask back", () => {
		const { pic, out, in8 } = setUp();
		out(0x21, 0xfb);
		expect(in8(0x21)).toBe(0xfb);
		pic.line(4).set(true);
		expect(pic.pending()).toBe(false);
		out(0x21, 0xeb);
		expect(take(pic)).toBe(0x34);
	});

	it("answers IR7 without an in-service bit when nobody asks any more", () => {
		const { pic, out, in8 } = setUp();
		const uart = pic.line(4);
		uart.set(true);
		uart.set(false);
		expect(pic.pending()).toBe(false);
		expect(pic.acknowledge()).toBe(0x37);
		out(0x20, 0x0b);
		expect(in8(0x20)).toBe(0);
	});

	it("answers the slave's IR7, with the cascade in service, when only the slave was wrong", () => {
		const { pic, out, in8 } = setUp();
		pic.slave.setPin(3, true);
		pic.master.setPin(2, true);
		pic.slave.setPin(3, false);
		expect(pic.acknowledge()).toBe(0x3f);
		out(0xa0, 0x0b);
		out(0x20, 0x0b);
		expect(in8(0xa0)).toBe(0);
		expect(in8(0x20)).toBe(0x04);
	});

	it("shows IRR or ISR at the command port as OCW3 chose", () => {
		const { pic, out, in8 } = setUp();
		pic.line(4).set(true);
		pic.line(3).set(true);
		pic.acknowledge();
		expect(in8(0x20)).toBe(0x10);
		out(0x20, 0x0b);
		expect(in8(0x20)).toBe(0x08);
		out(0x20, 0x0a);
		expect(in8(0x20)).toBe(0x10);
	});

	it("tells the machine exactly when INTR changes", () => {
		const { pic, out } = setUp();
		const levels: boolean[] = [];
		pic.onIntr = (level) => levels.push(level);
		const line = pic.line(4);
		line.set(true);
		line.set(true);
		pic.acknowledge();
		out(0x20, 0x20);
		line.set(false);
		line.set(true);
		out(0x21, 0xff);
		expect(levels).toEqual([true, false, true, false]);
	});
});

describe("PicPair's other commands", () => {
	it("forgets service and masks at ICW1, and a high edge pin must rise again", () => {
		const { pic, out, in8 } = setUp();
		const line = pic.line(4);
		line.set(true);
		out(0x21, 0xff);
		out(0x20, 0x11);
		expect(pic.pending()).toBe(false);
		out(0x21, 0x20, 0x04, 0x01);
		expect(in8(0x21)).toBe(0);
		expect(pic.pending()).toBe(false);
		line.set(false);
		line.set(true);
		expect(take(pic)).toBe(0x24);
	});

	it("skips ICW3 in single mode and ICW4 when ICW1 does not ask for it", () => {
		const { out, in8 } = setUp();
		out(0x20, 0x12);
		out(0x21, 0x40, 0xa5);
		expect(in8(0x21)).toBe(0xa5);
	});

	it("keeps a level input requesting while it is high (ELCR)", () => {
		const { pic, out, in8 } = setUp();
		out(0x4d0, 0xff);
		out(0x4d1, 0xff);
		expect(in8(0x4d0)).toBe(0xf8);
		expect(in8(0x4d1)).toBe(0xde);
		const sci = pic.line(9);
		sci.set(true);
		expect(take(pic)).toBe(0x39);
		out(0xa0, 0x20);
		out(0x20, 0x20);
		expect(take(pic)).toBe(0x39);
		sci.set(false);
		out(0xa0, 0x20);
		out(0x20, 0x20);
		expect(take(pic)).toBeUndefined();
	});

	it("ORs the drivers of a shared line", () => {
		const { pic } = setUp();
		pic.makeLevelTriggered(11);
		const first = pic.line(11);
		const second = pic.line(11);
		first.set(true);
		second.set(true);
		first.set(false);
		expect(pic.pending()).toBe(true);
		second.set(false);
		expect(pic.pending()).toBe(false);
	});

	it("needs no EOI in automatic EOI mode, and still sees queued slave requests", () => {
		const { pic } = setUp(0x03);
		pic.line(10).set(true);
		pic.line(12).set(true);
		pic.line(3).set(true);
		expect([take(pic), take(pic), take(pic), take(pic)]).toEqual([
			0x3a,
			0x3c,
			0x33,
			undefined,
		]);
	});

	it("rotates: the input just served becomes the least urgent", () => {
		const { pic, out } = setUp();
		const three = pic.line(3);
		three.set(true);
		expect(take(pic)).toBe(0x33);
		out(0x20, 0xa0);
		three.set(false);
		three.set(true);
		pic.line(0).set(true);
		pic.line(4).set(true);
		const order: (number | undefined)[] = [];
		for (let i = 0; i < 3; i++) {
			order.push(take(pic));
			out(0x20, 0x20);
		}
		expect(order).toEqual([0x34, 0x30, 0x33]);
	});

	it("sets priorities by command (OCW2 SL without EOI)", () => {
		const { pic, out } = setUp();
		out(0x20, 0xc5);
		pic.line(0).set(true);
		pic.line(6).set(true);
		expect(take(pic)).toBe(0x36);
	});

	it("lets lower levels in while a masked one is served in special mask mode", () => {
		const { pic, out, in8 } = setUp();
		pic.line(3).set(true);
		expect(take(pic)).toBe(0x33);
		pic.line(6).set(true);
		expect(pic.pending()).toBe(false);
		out(0x21, 0x08);
		out(0x20, 0x68);
		expect(take(pic)).toBe(0x36);
		out(0x20, 0x20);
		out(0x20, 0x0b);
		expect(in8(0x20)).toBe(0x08);
	});

	it("lets a slave interrupt itself in special fully nested mode only", () => {
		for (const [icw4, expected] of [
			[0x11, 0x38],
			[0x01, undefined],
		] as const) {
			const { pic } = setUp(icw4);
			pic.line(12).set(true);
			expect(take(pic)).toBe(0x3c);
			pic.line(8).set(true);
			expect(take(pic)).toBe(expected);
		}
	});

	it("acknowledges by polling and says so in bit 7", () => {
		const { pic, out, in8 } = setUp();
		pic.line(5).set(true);
		out(0x20, 0x0c);
		expect(in8(0x20)).toBe(0x85);
		expect(pic.pending()).toBe(false);
		out(0x20, 0x20, 0x0c);
		expect(in8(0x20)).toBe(0);
	});

	it("has no line for the cascade input", () => {
		expect(() => new PicPair().line(2)).toThrow(RangeError);
	});
});
