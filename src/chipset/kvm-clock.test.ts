import { describe, expect, it } from "vitest";
import { GuestMemory } from "../memory/guest-memory.ts";
import { KvmClock, tickScale } from "./kvm-clock.ts";

const SYSTEM_TIME = 0x4b56_4d01;
const WALL_CLOCK = 0x4b56_4d00;

function setUp(frequencyHz = 1e9) {
	const memory = new GuestMemory(new ArrayBuffer(0x1000), 0, 0x1000);
	const time = { ns: 5_000_000, wall: 1_735_689_600.5, offset: 0n };
	const clock = new KvmClock({
		...{ memory, frequencyHz },
		nowNs: () => time.ns,
		wallSeconds: () => time.wall,
		tscOffset: () => time.offset,
	});
	/** As a guest computes it. */
	const readAt = (at: number, counter: bigint): bigint => {
		const shift = BigInt(new Int8Array([memory.readU8(at + 28)])[0] ?? 0);
		const delta = counter - memory.readU64(at + 8);
		const shifted = shift < 0n ? delta >> -shift : delta << shift;
		const scaled = (shifted * BigInt(memory.readU32(at + 24))) >> 32n;
		return memory.readU64(at + 16) + scaled;
	};
	return { memory, time, clock, readAt };
}

describe("the paravirtual clock", () => {
	it("gives the guest the machine's nanoseconds, exactly", () => {
		const { memory, clock, readAt } = setUp();
		expect(clock.writeMsr(SYSTEM_TIME, 0x101n)).toBe(true);
		expect(readAt(0x100, 5_000_000n)).toBe(5_000_000n);
		expect(readAt(0x100, 86_400_000_000_001n)).toBe(86_400_000_000_001n);
		expect(memory.readU32(0x100) & 1).toBe(0);
		expect(memory.readU8(0x11d)).toBe(1);
		expect(clock.readMsr(SYSTEM_TIME)).toBe(0x101n);
	});

	it("works at any rate of the counter", () => {
		for (const hz of [1e8, 2.5e9, 3_333_333_333]) {
			const { clock, readAt } = setUp(hz);
			clock.writeMsr(SYSTEM_TIME, 0x101n);
			const counter = BigInt(Math.floor(1.005 * hz));
			const error = Number(readAt(0x100, counter) - 1_005_000_000n);
			expect(Math.abs(error)).toBeLessThan(20);
			expect(tickScale(hz).multiplier).toBeGreaterThanOrEqual(2 ** 31);
		}
	});

	it("follows the counter when the guest moves it", () => {
		const { memory, clock, time, readAt } = setUp();
		clock.writeMsr(SYSTEM_TIME, 0x101n);
		const version = memory.readU32(0x100);
		time.offset = -5_000_000n;
		time.ns = 6_000_000;
		clock.publish();
		expect(readAt(0x100, 1_000_000n)).toBe(6_000_000n);
		expect(memory.readU32(0x100)).not.toBe(version);
	});

	it("says when the machine was switched on", () => {
		const { memory, clock } = setUp();
		clock.writeMsr(WALL_CLOCK, 0x200n);
		expect(memory.readU32(0x204)).toBe(1_735_689_600);
		expect(memory.readU32(0x208)).toBeCloseTo(495_000_000, -3);
	});

	it("writes nothing while it is off, nor outside memory", () => {
		const { memory, clock } = setUp();
		for (const value of [0x100n, 0x0ff1n, 0xffff_ffff_ffff_fff1n, 0x1_0001n]) {
			clock.writeMsr(SYSTEM_TIME, value);
		}
		for (const value of [0x0ff8n, 0xffff_ffff_ffff_ffffn]) {
			clock.writeMsr(WALL_CLOCK, value);
		}
		expect(memory.read(0, 0x1000).every((byte) => byte === 0)).toBe(true);
	});

	it("answers to the old numbers too, and to no others", () => {
		const { memory, clock } = setUp();
		expect(clock.writeMsr(0x12, 0x301n)).toBe(true);
		expect(memory.readU32(0x318)).toBe(0x8000_0000);
		expect(clock.writeMsr(0x11, 0x400n)).toBe(true);
		expect(memory.readU32(0x404)).toBe(1_735_689_600);
		expect(clock.writeMsr(0x4b56_4d02, 1n)).toBe(false);
		expect(clock.readMsr(0x4b56_4d02)).toBeUndefined();
	});
});
