import { describe, expect, it } from "vitest";
import { type BusDevice, MmioBus, PortBus } from "./bus.ts";
import { PciFunction } from "./pci-function.ts";
import { PCI_ECAM_ADDRESS, PciRoot } from "./pci-root.ts";
import { ResetControl } from "./reset-control.ts";

const identity = {
	...{ vendorId: 0x1234, deviceId: 0x5678, classCode: 0x0a0b0c },
	...{ revision: 7, subsystemVendorId: 1, subsystemId: 2, interruptPin: 1 },
};

/** Reads as its name's code and remembers the last write. */
function register(name: number): BusDevice & { written: string[] } {
	const written: string[] = [];
	return {
		written,
		read: () => name,
		write: (offset, size, value) => written.push(`${offset}:${size}=${value}`),
	};
}

function setUp() {
	const ports = new PortBus();
	const mmio = new MmioBus();
	const levels = new Map<number, boolean>();
	const reset = new ResetControl();
	let resets = 0;
	reset.onReset = () => resets++;
	const root = new PciRoot({
		interruptLine: (line) => ({ set: (level) => levels.set(line, level) }),
		irqOfLine: (line) => 40 + line,
	});
	root.attach(ports, mmio, reset);
	const card = new PciFunction(identity);
	const memory = register(0x4d);
	const io = register(0x10);
	card.setBar(0, {
		...{ space: "ports", lengthBytes: 0x20, device: io, maxSize: 4 },
	});
	card.setBar(2, {
		...{ space: "memory", lengthBytes: 0x1000, device: memory, maxSize: 4 },
	});
	root.plug(5, 0, card);
	const select = (slot: number, at: number) =>
		ports.write(0xcf8, 4, 0x8000_0000 + slot * 0x800 + (at & 0xfc));
	const read = (slot: number, at: number, size: 1 | 2 | 4 = 4) => {
		select(slot, at);
		return ports.read(0xcfc + (at & 3), size);
	};
	const write = (at: number, value: number, size: 1 | 2 | 4 = 4) => {
		select(5, at);
		ports.write(0xcfc + (at & 3), size, value);
	};
	return {
		...{ ports, mmio, root, card, memory, io, levels, read, write },
		resets: () => resets,
	};
}

describe("configuration mechanism 1", () => {
	it("finds the host bridge, the card, and nobody elsewhere", () => {
		const { read } = setUp();
		expect(read(0, 0x08) >>> 16).toBe(0x0600);
		expect(read(5, 0x00)).toBe(0x5678_1234);
		expect(read(5, 0x08)).toBe(0x0a0b0c07);
		expect(read(6, 0x00)).toBe(0xffff_ffff);
	});

	it("has nothing on other buses, and nothing while it is off", () => {
		const { ports } = setUp();
		for (const address of [0x8001_2800, 0x0000_2800]) {
			ports.write(0xcf8, 4, address);
			expect(ports.read(0xcfc, 4)).toBe(0xffff_ffff);
		}
	});

	it("keeps the address, but leaves port 0xCF9 to the reset control", () => {
		const { ports, resets } = setUp();
		ports.write(0xcf8, 4, 0xffff_ffff);
		expect(ports.read(0xcf8, 4)).toBe(0x80ff_fffc);
		expect(resets()).toBe(0);
		ports.write(0xcf9, 1, 0x06);
		expect(resets()).toBe(1);
		expect(ports.read(0xcf8, 4)).toBe(0x80ff_fffc);
	});

	it("reads and writes bytes, words and dwords", () => {
		const { read, write } = setUp();
		expect(read(5, 0x02, 2)).toBe(0x5678);
		expect(read(5, 0x09, 1)).toBe(0x0c);
		write(0x3c, 0x77, 1);
		expect(read(5, 0x3c)).toBe(0x0000_0177);
		write(0x00, 0);
		expect(read(5, 0x00)).toBe(0x5678_1234);
	});
});

describe("ECAM", () => {
	it("shows the same space, and ones behind its 256 bytes", () => {
		const { mmio, read } = setUp();
		const base = PCI_ECAM_ADDRESS + 5 * 0x8000;
		expect(mmio.read(base, 4)).toBe(0x5678_1234);
		mmio.write(base + 0x3c, 1, 0x55);
		expect(read(5, 0x3c, 1)).toBe(0x55);
		expect(mmio.read(base + 0x100, 4)).toBe(0xffff_ffff);
		expect(mmio.read(base + 0x1000, 4)).toBe(0xffff_ffff);
	});
});

describe("base address registers", () => {
	it("tell their kind and size", () => {
		const { read, write } = setUp();
		for (const [at, expected] of [
			[0x10, 0xffff_ffe1],
			[0x14, 0],
			[0x18, 0xffff_f000],
			[0x30, 0],
		] as const) {
			write(at, 0xffff_ffff);
			expect(read(5, at)).toBe(expected);
		}
	});

	it("are placed and switched on before the guest starts", () => {
		const { read, ports, mmio } = setUp();
		expect(read(5, 0x04, 2)).toBe(7);
		expect(ports.read(read(5, 0x10) & ~3, 4)).toBe(0x10);
		expect(mmio.read(read(5, 0x18), 4)).toBe(0x4d);
		expect(read(5, 0x3c, 1)).toBe(45);
	});

	it("move with what the guest writes", () => {
		const { read, write, mmio, memory } = setUp();
		const old = read(5, 0x18);
		write(0x18, 0xf000_0000);
		expect(mmio.read(old, 1)).toBe(0xff);
		mmio.write(0xf000_0010, 2, 9);
		expect(memory.written).toEqual(["16:2=9"]);
	});

	it("answer only while their space is switched on", () => {
		const { read, write, ports, mmio } = setUp();
		const [port, address] = [read(5, 0x10) & ~3, read(5, 0x18)];
		write(0x04, 1, 2);
		expect([ports.read(port, 1), mmio.read(address, 1)]).toEqual([0x10, 0xff]);
		write(0x04, 2, 2);
		expect([ports.read(port, 1), mmio.read(address, 1)]).toEqual([0xff, 0x4d]);
	});

	it("never cover what is there for good", () => {
		const { write, mmio, ports, read, resets } = setUp();
		write(0x18, PCI_ECAM_ADDRESS);
		expect(mmio.read(PCI_ECAM_ADDRESS + 5 * 0x8000, 4)).toBe(0x5678_1234);
		write(0x10, 0xce0);
		expect(read(5, 0x00)).toBe(0x5678_1234);
		ports.write(0xcf9, 1, 0x06);
		expect(resets()).toBe(1);
	});
});

describe("a PCI function", () => {
	it("pulls the line of its slot, while its pin is not switched off", () => {
		const { card, levels, read, write } = setUp();
		card.setInterrupt(true);
		expect(levels.get(5)).toBe(true);
		expect(read(5, 0x06, 2) & 8).toBe(8);
		write(0x04, 0x0407, 2);
		expect(levels.get(5)).toBe(false);
		expect(read(5, 0x06, 2) & 8).toBe(8);
		write(0x04, 0x0007, 2);
		expect(levels.get(5)).toBe(true);
		card.setInterrupt(false);
		expect(levels.get(5)).toBe(false);
	});

	it("lists its capabilities, aligned, each with the bits drivers may write", () => {
		const { card, read, write } = setUp();
		const seen: string[] = [];
		card.addCapability({
			id: 9,
			body: Uint8Array.of(1, 2, 3),
			writable: Uint8Array.of(0, 0xf0),
			beforeRead: (_body, offset, size) => seen.push(`r${offset}+${size}`),
			afterWrite: (body, offset, size) =>
				seen.push(`w${offset}+${size}=${body[1]}`),
		});
		card.addCapability({ id: 0x11, body: Uint8Array.of(4) });
		expect(read(5, 0x06, 2) & 0x10).toBe(0x10);
		const first = read(5, 0x34, 1);
		expect(read(5, first)).toBe(0x0201_4809);
		expect(read(5, 0x48)).toBe(0x0004_0011);
		write(first + 2, 0xffff, 2);
		expect(seen).toEqual(["r-2+4", "w0+2=242"]);
		expect(read(5, first + 3, 1)).toBe(0xf2);
	});

	it("with a second function in its slot says so", () => {
		const { root, read, ports } = setUp();
		expect(read(5, 0x0e, 1)).toBe(0);
		root.plug(5, 1, new PciFunction({ ...identity, deviceId: 0x9999 }));
		expect(read(5, 0x0e, 1)).toBe(0x80);
		ports.write(0xcf8, 4, 0x8000_2900);
		expect(ports.read(0xcfe, 2)).toBe(0x9999);
	});
});
