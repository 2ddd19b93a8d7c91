import { describe, expect, it } from "vitest";
import {
	type AccessSize,
	BusConflictError,
	type BusDevice,
	MmioBus,
	PortBus,
} from "./bus.ts";

/** Remembers what it was asked; reads return the offset plus 0x10. */
function recorder(): BusDevice & { log: string[] } {
	const log: string[] = [];
	return {
		log,
		read(offset: number, size: AccessSize): number {
			log.push(`r${size}@${offset}`);
			return 0x10 + offset;
		},
		write(offset: number, size: AccessSize, value: number): void {
			log.push(`w${size}@${offset}=${value.toString(16)}`);
		},
	};
}

describe("PortBus", () => {
	it("reads all ones where no device answers and forgets writes there", () => {
		const bus = new PortBus();
		bus.write(0xcf8, 4, 0x80000000);
		expect(bus.read(0xcf8, 1)).toBe(0xff);
		expect(bus.read(0xcf8, 2)).toBe(0xffff);
		expect(bus.read(0xcfc, 4)).toBe(0xffffffff);
	});

	it("splits a wide access to a byte device, low byte first", () => {
		const bus = new PortBus();
		const device = recorder();
		bus.register(0x20, 2, device);
		bus.write(0x20, 2, 0xbeef);
		expect(device.log).toEqual(["w1@0=ef", "w1@1=be"]);
		expect(bus.read(0x20, 2)).toBe(0x1110);
	});

	it("gives each neighbour its part of an access that straddles two devices", () => {
		const bus = new PortBus();
		const left = recorder();
		const right = recorder();
		bus.register(0x100, 2, left, 4);
		bus.register(0x102, 1, right, 4);
		expect(bus.read(0x100, 4)).toBe(0xff100010);
		expect(left.log).toEqual(["r2@0"]);
		expect(right.log).toEqual(["r1@0"]);
	});

	it("hands a wide device the access whole", () => {
		const bus = new PortBus();
		const device = recorder();
		bus.register(0x608, 4, device, 4);
		bus.read(0x608, 4);
		bus.write(0x608, 4, 0xdeadbeef);
		expect(device.log).toEqual(["r4@0", "w4@0=deadbeef"]);
	});

	it("wraps an access that runs off the last port", () => {
		const bus = new PortBus();
		const device = recorder();
		bus.register(0, 1, device);
		expect(bus.read(0xffff, 2)).toBe(0x10ff);
	});

	it("refuses overlapping claims while the machine is put together", () => {
		const bus = new PortBus();
		bus.register(0x60, 1, recorder());
		bus.register(0x64, 1, recorder());
		expect(() => bus.register(0x60, 5, recorder())).toThrow(BusConflictError);
		expect(() => bus.register(0xffff, 2, recorder())).toThrow(BusConflictError);
	});
});

describe("MmioBus", () => {
	it("finds a device above 4 GiB among many", () => {
		const bus = new MmioBus();
		const high = recorder();
		for (let i = 0; i < 20; i++) {
			bus.register(0xd0000000 + ((i * 7) % 20) * 0x1000, 0x200, recorder());
		}
		bus.register(0x8_0000_1000, 0x1000, high);
		expect(bus.read(0x8_0000_1008, 4)).toBe(0x18);
		expect(high.log).toEqual(["r4@8"]);
		expect(bus.claims(0x8_0000_1fff)).toBe(true);
		expect(bus.claims(0x8_0000_2000)).toBe(false);
		expect(bus.claims(0x0000_1008)).toBe(false);
	});

	it("reads ones in the hole between two devices, also after a hit", () => {
		const bus = new MmioBus();
		bus.register(0xd0000000, 0x200, recorder());
		bus.register(0xd0001000, 0x200, recorder());
		expect(bus.read(0xd0000000, 1)).toBe(0x10);
		expect(bus.read(0xd0000200, 4)).toBe(0xffffffff);
		expect(bus.read(0xd0000fff, 2)).toBe(0x10ff);
	});

	it("refuses overlapping claims whichever side they come from", () => {
		const bus = new MmioBus();
		bus.register(0x1000, 0x1000, recorder());
		for (const [base, length] of [
			[0xfff, 2],
			[0x1fff, 1],
			[0, 0x10000],
		] as const) {
			expect(() => bus.register(base, length, recorder())).toThrow(
				BusConflictError,
			);
		}
		bus.register(0x2000, 1, recorder());
		bus.register(0xfff, 1, recorder());
		expect(bus.claims(0xfff)).toBe(true);
	});
});
