import { describe, expect, it } from "vitest";
import type { InterruptMessage } from "./interrupt-message.ts";
import { LocalApic } from "./local-apic.ts";
import { TestClock } from "./test-clock.ts";

const TPR = 0x080;
const PPR = 0x0a0;
const EOI = 0x0b0;
const LDR = 0x0d0;
const DFR = 0x0e0;
const SVR = 0x0f0;
const ESR = 0x280;
const ICR = 0x300;
const ICR_HIGH = 0x310;
const LVT_TIMER = 0x320;
const LVT_LINT0 = 0x350;
const LVT_ERROR = 0x370;
const INITIAL = 0x380;
const CURRENT = 0x390;
const DIVIDE = 0x3e0;
const MASKED = 0x1_0000;
const PERIODIC = 0x2_0000;
const DEADLINE = 0x4_0000;

const fixed: InterruptMessage = {
	...{ destination: 0, isLogical: false, deliveryMode: 0, vector: 0x40 },
	isLevel: false,
};

function setUp() {
	const clock = new TestClock();
	const log: string[] = [];
	let intr = false;
	let tscOffset = 0n;
	const apic = new LocalApic({
		clock,
		frequencyHz: 1e9,
		tscOffset: () => tscOffset,
		onIntr: (level) => {
			intr = level;
		},
		onNmi: () => log.push("nmi"),
		onEndOfInterrupt: (vector) => log.push(`eoi ${vector}`),
		acknowledgePic: () => 0x08,
		onEnable: (enabled) => log.push(`enable ${enabled}`),
	});
	const write = (offset: number, value: number) => apic.write(offset, 4, value);
	const read = (offset: number) => apic.read(offset, 4);
	write(SVR, 0x1ff);
	return {
		...{ apic, clock, log, read, write },
		intr: () => intr,
		moveTsc: (offset: bigint) => {
			tscOffset = offset;
			apic.timer.timeStampMoved();
		},
	};
}

describe("the local APIC", () => {
	it("identifies itself: integrated, with six local vectors", () => {
		const { read } = setUp();
		expect(read(0x020)).toBe(0);
		expect(read(0x030)).toBe(0x0005_0014);
	});

	it("hands over the most urgent vector first, one class at a time", () => {
		const { apic, read, write, intr } = setUp();
		for (const vector of [0x41, 0x42, 0x51]) {
			apic.receive({ ...fixed, vector });
		}
		expect(intr()).toBe(true);
		expect(apic.acknowledge()).toBe(0x51);
		expect(read(PPR)).toBe(0x50);
		expect(intr()).toBe(false);
		write(EOI, 0);
		expect(apic.acknowledge()).toBe(0x42);
		// 0x41 is of the same class: it waits.
		expect(intr()).toBe(false);
		apic.receive({ ...fixed, vector: 0x61 });
		expect(apic.acknowledge()).toBe(0x61);
		write(EOI, 0);
		write(EOI, 0);
		expect(apic.acknowledge()).toBe(0x41);
	});

	it("shows what is requested and in service", () => {
		const { apic, read } = setUp();
		apic.receive({ ...fixed, vector: 0x25, isLevel: true });
		expect(read(0x210)).toBe(1 << 5);
		expect(read(0x190)).toBe(1 << 5);
		apic.acknowledge();
		expect(read(0x210)).toBe(0);
		expect(read(0x110)).toBe(1 << 5);
	});

	it("keeps back what the task's priority is above", () => {
		const { apic, read, write, intr } = setUp();
		write(TPR, 0x4f);
		apic.receive(fixed);
		expect(intr()).toBe(false);
		expect(read(PPR)).toBe(0x4f);
		write(TPR, 0x3f);
		expect(intr()).toBe(true);
	});

	it("answers with the spurious vector when the request has gone", () => {
		const { apic, write } = setUp();
		apic.receive(fixed);
		write(TPR, 0xff);
		expect(apic.acknowledge()).toBe(0xff);
		expect(apic.isr.highest()).toBe(-1);
	});

	it("tells the end of level-triggered vectors only", () => {
		const { apic, write, log } = setUp();
		for (const isLevel of [true, false]) {
			apic.receive({ ...fixed, vector: 0x77, isLevel });
			apic.acknowledge();
			write(EOI, 0);
		}
		write(EOI, 0);
		expect(log).toEqual(["eoi 119"]);
	});

	it("takes no vectors while it is switched off, and masks its own", () => {
		const { apic, read, write, intr } = setUp();
		write(LVT_TIMER, 0x30);
		write(SVR, 0xff);
		expect(apic.receive(fixed)).toBe(false);
		expect(intr()).toBe(false);
		expect(read(LVT_TIMER)).toBe(MASKED | 0x30);
		write(LVT_TIMER, 0x31);
		expect(read(LVT_TIMER)).toBe(MASKED | 0x31);
	});

	it("takes only messages that are for its processor", () => {
		const { apic, write } = setUp();
		const taken = (destination: number, isLogical = false) =>
			apic.receive({ ...fixed, destination, isLogical });
		expect([taken(0), taken(1), taken(0xff)]).toEqual([true, false, true]);
		write(LDR, 0x0200_0000);
		expect([taken(3, true), taken(1, true)]).toEqual([true, false]);
		write(DFR, 0x0fff_ffff);
		write(LDR, 0x3200_0000);
		expect([taken(0x33, true), taken(0x31, true), taken(0x22, true)]).toEqual([
			...[true, false, false],
		]);
	});

	it("sends itself what the command register says, and nobody else exists", () => {
		const { apic, write, log } = setUp();
		const sent = (low: number, high = 0) => {
			write(ICR_HIGH, high);
			write(ICR, low);
			return apic.irr.highest() >= 0 && apic.acknowledge();
		};
		expect(sent(0x4_0041)).toBe(0x41);
		expect(sent(0x8_0052)).toBe(0x52);
		expect(sent(0xc_0063)).toBe(false);
		expect(sent(0x0_0064, 0)).toBe(0x64);
		expect(sent(0x0_0075, 0x0100_0000)).toBe(false);
		expect(sent(0x4_0400)).toBe(false);
		expect(log).toEqual(["nmi"]);
		// INIT and STARTUP wake processors that are not there.
		expect([sent(0xc_0500), sent(0x0_0610, 0x0100_0000)]).toEqual([
			...[false, false],
		]);
	});

	it("notes errors until they are looked at, and interrupts for them", () => {
		const { apic, read, write } = setUp();
		write(LVT_ERROR, 0xfe);
		write(ICR, 0x4_0005);
		expect(apic.acknowledge()).toBe(0xfe);
		expect(read(ESR)).toBe(0);
		write(ESR, 0);
		expect(read(ESR)).toBe(0x20);
		write(ESR, 0);
		expect(read(ESR)).toBe(0);
		apic.receive({ ...fixed, vector: 3 });
		read(0x3f0);
		write(ESR, 0);
		expect(read(ESR)).toBe(0xc0);
	});

	it("survives an error vector that is an error itself", () => {
		const { read, write } = setUp();
		write(LVT_ERROR, 3);
		write(ICR, 0x4_0005);
		write(ESR, 0);
		expect(read(ESR)).toBe(0x60);
	});

	it("lets the 8259 pair through as if it were not there", () => {
		const { apic, write, intr } = setUp();
		apic.setLint0(true);
		expect(intr()).toBe(false);
		write(LVT_LINT0, 0x700);
		expect(intr()).toBe(true);
		expect(apic.acknowledge()).toBe(0x08);
		write(LVT_LINT0, 0x700 | MASKED);
		expect(intr()).toBe(false);
	});

	it("can make a vector of its own of the 8259 pair's edge", () => {
		const { apic, write } = setUp();
		write(LVT_LINT0, 0x36);
		apic.setLint0(true);
		expect(apic.acknowledge()).toBe(0x36);
		write(EOI, 0);
		apic.setLint0(true);
		expect(apic.irr.highest()).toBe(-1);
	});

	it("starts as firmware leaves it: the 8259 pair at LINT0, NMI at LINT1", () => {
		const { apic, read } = setUp();
		apic.initialize();
		expect(read(SVR) & 0x100).toBe(0x100);
		expect(read(LVT_LINT0)).toBe(0x700);
		expect(read(0x360)).toBe(0x400);
	});

	it("is gone while its base register says so, and comes back empty", () => {
		const { apic, log, write, read, intr } = setUp();
		apic.receive(fixed);
		write(TPR, 0x20);
		expect(apic.writeBase(0xfee0_0100n)).toBe(true);
		expect(log).toEqual(["enable false"]);
		expect(intr()).toBe(false);
		expect(apic.answersAt(0xfee0_0020)).toBe(false);
		apic.setLint0(true);
		expect(intr()).toBe(true);
		expect(apic.acknowledge()).toBe(0x08);
		apic.setLint0(false);
		apic.writeBase(0xfee0_0900n);
		expect(read(TPR)).toBe(0);
		expect(read(SVR)).toBe(0xff);
		expect(apic.irr.highest()).toBe(-1);
	});

	it("moves with its base register, which has bits that must be zero", () => {
		const { apic } = setUp();
		for (const value of [0xfee0_0d00n, 0x1_fee0_0900n, 0xfee0_0901n]) {
			expect(apic.writeBase(value)).toBe(false);
		}
		expect(apic.writeBase(0xfd00_0900n)).toBe(true);
		expect(apic.answersAt(0xfd00_0fff)).toBe(true);
		expect(apic.answersAt(0xfee0_0000)).toBe(false);
	});

	it("takes whole registers only, and shows parts of them", () => {
		const { apic, read } = setUp();
		apic.write(TPR, 1, 0x55);
		apic.write(TPR + 4, 4, 0x55);
		expect(read(TPR)).toBe(0);
		expect(apic.read(0x032, 1)).toBe(5);
		expect(apic.read(0x030, 2)).toBe(0x14);
		expect(apic.read(0x032, 4)).toBe(0);
	});
});

describe("the local APIC's timer", () => {
	it("counts down once, at the divided rate", () => {
		const { apic, clock, read, write, intr } = setUp();
		write(DIVIDE, 0b0011);
		write(LVT_TIMER, 0x30);
		write(INITIAL, 1000);
		clock.run(8000);
		expect(read(CURRENT)).toBe(500);
		expect(intr()).toBe(false);
		clock.run(8000);
		expect(read(CURRENT)).toBe(0);
		expect(apic.acknowledge()).toBe(0x30);
		write(EOI, 0);
		clock.run(1e6);
		expect(intr()).toBe(false);
	});

	it("counts by each divider", () => {
		for (const [bits, divisor] of [
			...([
				[0b0000, 2],
				[0b0001, 4],
				[0b1000, 32],
				[0b1010, 128],
				[0b1011, 1],
			] as const),
		]) {
			const { clock, read, write } = setUp();
			write(DIVIDE, bits);
			write(INITIAL, 1000);
			clock.run(100 * divisor);
			expect(read(CURRENT)).toBe(900);
		}
	});

	it("goes on at the new rate when the divider changes", () => {
		const { clock, read, write } = setUp();
		write(DIVIDE, 0b1011);
		write(INITIAL, 1000);
		clock.run(400);
		write(DIVIDE, 0b0000);
		expect(read(CURRENT)).toBe(600);
		clock.run(200);
		expect(read(CURRENT)).toBe(500);
	});

	it("comes again and again, and once for what nobody saw", () => {
		const { apic, clock, write, read } = setUp();
		write(DIVIDE, 0b1011);
		write(LVT_TIMER, PERIODIC | 0x30);
		write(INITIAL, 1_000_000);
		let ticks = 0;
		const take = () => {
			if (apic.irr.highest() < 0) return;
			apic.acknowledge();
			write(EOI, 0);
			ticks++;
		};
		for (let i = 0; i < 10; i++) {
			clock.run(1_000_000);
			take();
		}
		expect(ticks).toBe(10);
		clock.jump(5_500_000);
		take();
		expect(ticks).toBe(11);
		expect(read(CURRENT)).toBe(500_000);
		clock.run(500_000);
		take();
		expect(ticks).toBe(12);
	});

	it("goes on when it is made periodic while it counts, but not afterwards", () => {
		const { clock, write, read } = setUp();
		write(DIVIDE, 0b1011);
		write(INITIAL, 1_000_000);
		clock.run(600_000);
		write(LVT_TIMER, PERIODIC | 0x30);
		expect(read(CURRENT)).toBe(400_000);
		clock.run(500_000);
		expect(read(CURRENT)).toBe(900_000);
		write(LVT_TIMER, 0x30);
		expect(read(CURRENT)).toBe(900_000);
		clock.run(1_000_000);
		write(LVT_TIMER, PERIODIC | 0x30);
		expect(read(CURRENT)).toBe(0);
		clock.run(5_000_000);
		expect(read(CURRENT)).toBe(0);
	});

	it("does not come more often than a processor could bear", () => {
		const { clock, write } = setUp();
		write(DIVIDE, 0b1011);
		write(LVT_TIMER, PERIODIC | 0x30);
		write(INITIAL, 1);
		let deadlines = 0;
		for (let at = clock.nextDeadline() ?? 0; at < 1e6; deadlines++) {
			clock.runTo(at);
			at = clock.nextDeadline() ?? Number.POSITIVE_INFINITY;
		}
		expect(deadlines).toBeLessThan(51);
		expect(deadlines).toBeGreaterThan(40);
	});

	it("stops when the count is zero or the vector is masked", () => {
		const { apic, clock, write } = setUp();
		write(LVT_TIMER, 0x30);
		write(INITIAL, 100);
		write(INITIAL, 0);
		clock.run(1e6);
		expect(apic.irr.highest()).toBe(-1);
		write(LVT_TIMER, MASKED | 0x30);
		write(INITIAL, 100);
		clock.run(1e6);
		expect(apic.irr.highest()).toBe(-1);
	});

	it("waits for a value of the time-stamp counter", () => {
		const { apic, clock, write, read } = setUp();
		write(LVT_TIMER, DEADLINE | 0x30);
		apic.timer.writeDeadline(5000n);
		expect(apic.timer.deadline).toBe(5000n);
		expect(clock.nextDeadline()).toBe(5000);
		write(INITIAL, 77);
		expect(read(INITIAL)).toBe(0);
		clock.run(5000);
		expect(apic.acknowledge()).toBe(0x30);
		expect(apic.timer.deadline).toBe(0n);
	});

	it("is due at once when the deadline has passed, and never for zero", () => {
		const { apic, clock, write } = setUp();
		write(LVT_TIMER, DEADLINE | 0x30);
		clock.run(1000);
		apic.timer.writeDeadline(1n);
		expect(apic.acknowledge()).toBe(0x30);
		apic.timer.writeDeadline(2000n);
		apic.timer.writeDeadline(0n);
		expect(clock.nextDeadline()).toBeUndefined();
		apic.timer.writeDeadline(0xffff_ffff_ffff_ffffn);
		expect(apic.irr.highest()).toBe(-1);
	});

	it("follows the counter when the guest moves it", () => {
		const { apic, clock, write, moveTsc } = setUp();
		write(LVT_TIMER, DEADLINE | 0x30);
		apic.timer.writeDeadline(5000n);
		moveTsc(1000n);
		expect(clock.nextDeadline()).toBe(4000);
		clock.run(1000);
		moveTsc(-1000n);
		expect(clock.nextDeadline()).toBe(6000);
		moveTsc(6000n);
		expect(apic.acknowledge()).toBe(0x30);
	});

	it("ignores deadlines in other modes, and drops them on the way there", () => {
		const { apic, clock, write } = setUp();
		apic.timer.writeDeadline(5000n);
		expect(clock.nextDeadline()).toBeUndefined();
		write(LVT_TIMER, DEADLINE | 0x30);
		apic.timer.writeDeadline(5000n);
		write(LVT_TIMER, 0x30);
		expect(clock.nextDeadline()).toBeUndefined();
		expect(apic.timer.deadline).toBe(0n);
	});
});
