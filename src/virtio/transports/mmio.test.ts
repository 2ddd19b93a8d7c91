import { describe, expect, it } from "vitest";
import { MmioSide } from "../../../test/support/mmio-side.ts";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import { SampleDevice, transportCases } from "../../../test/transports.case.ts";
import { MmioBus } from "../../chipset/bus.ts";
import { VirtioDevice } from "../device.ts";
import type { DeviceModel } from "../device-model.ts";
import { VIRTIO_MMIO_BYTES, VirtioMmio } from "./mmio.ts";

const BASE = 0xfeb00000;

function make(model: DeviceModel, memory: TestMemory, legacy: boolean) {
	const bus = new MmioBus();
	const device = new VirtioDevice(model, memory, { legacy });
	let level = false;
	const line = {
		set: (to: boolean) => {
			level = to;
		},
	};
	bus.register(BASE, VIRTIO_MMIO_BYTES, new VirtioMmio(device, line));
	return { device, side: new MmioSide(bus, BASE), lineLevel: () => level };
}

transportCases("virtio-mmio version 2", (model, memory) =>
	make(model, memory, false),
);
transportCases("virtio-mmio version 1", (model, memory) =>
	make(model, memory, true),
);

function setUp(legacy: boolean) {
	const memory = new TestMemory();
	const sample = new SampleDevice();
	const made = make(sample, memory, legacy);
	return { ...made, memory, sample, driver: new MockDriver(made.side, memory) };
}

describe("virtio-mmio", () => {
	it("identifies itself (virtio 1.3 §4.2.2.1)", () => {
		for (const legacy of [false, true]) {
			const { side } = setUp(legacy);
			expect(side.read(0x000)).toBe(0x74726976);
			expect(side.read(0x004)).toBe(legacy ? 1 : 2);
			expect(side.read(0x008)).toBe(0x2a);
		}
	});

	it("has registers of 32 bits only", () => {
		const { side } = setUp(false);
		expect(side.read(0x000, 1)).toBe(0);
		expect(side.read(0x002, 2)).toBe(0);
		side.write(0x070, 1, 1);
		expect(side.readStatus()).toBe(0);
	});

	it("shows no features beyond 64", () => {
		const { side } = setUp(false);
		side.write(0x014, 2);
		expect(side.read(0x010)).toBe(0);
		side.write(0x014, 1);
		expect(side.read(0x010)).toBe((1 << 18) | (1 << 2) | 1);
	});

	it("keeps an interrupt pending until all its causes are acknowledged", () => {
		const { side, sample, driver, lineLevel } = setUp(false);
		driver.start();
		driver.queue().exchange(new Uint8Array(1), room(1));
		sample.port.configChanged();
		expect(side.read(0x060)).toBe(3);
		side.write(0x064, 1);
		expect(lineLevel()).toBe(true);
		side.write(0x064, 2);
		expect(lineLevel()).toBe(false);
	});

	it("changes its generation with the configuration (virtio 1.3 §2.5.3)", () => {
		const { side, sample } = setUp(false);
		const before = side.read(0x0fc);
		sample.port.configChanged();
		expect(side.read(0x0fc)).not.toBe(before);
	});

	it("tells which queues are ready, and takes them away again", () => {
		const { side, driver, sample } = setUp(false);
		driver.start();
		side.write(0x030, 1);
		expect(side.read(0x044)).toBe(1);
		side.write(0x044, 0);
		expect(side.read(0x044)).toBe(0);
		sample.events.length = 0;
		driver.queue(1).send(new Uint8Array(1), room(1));
		expect(sample.events).toEqual([]);
		side.write(0x070, 0);
		side.write(0x030, 0);
		expect(side.read(0x044)).toBe(0);
	});

	it("has no shared memory, which is all ones (virtio 1.3 §4.2.2)", () => {
		const { side } = setUp(false);
		for (const offset of [0x0b0, 0x0b4, 0x0b8, 0x0bc]) {
			expect(side.read(offset)).toBe(0xffffffff);
		}
	});

	it("reads a legacy queue's page back, and zero takes the queue away", () => {
		const { side, driver, sample } = setUp(true);
		driver.start();
		side.write(0x030, 0);
		const page = side.read(0x040);
		expect(page * 4096).toBe(driver.queue().placement.descriptorArea);
		side.write(0x040, 0);
		expect(side.read(0x040)).toBe(0);
		sample.events.length = 0;
		side.kick(0);
		expect(sample.events).toEqual([]);
	});

	it("survives legacy queues without page size or with odd alignment", () => {
		for (const [pageBytes, align] of [
			[0, 0],
			[4096, 3],
			[0xffffffff, 4096],
		] as const) {
			const { side, driver } = setUp(true);
			side.writeStatus(3);
			side.write(0x028, pageBytes);
			side.write(0x030, 0);
			side.write(0x038, 8);
			side.write(0x03c, align);
			side.write(0x040, 0xffffffff);
			driver.addStatus(4);
			side.kick(0);
			expect(side.readStatus() & 0x40).toBe(0x40);
		}
	});

	it("has only the registers of its version", () => {
		const modern = setUp(false);
		modern.driver.start();
		modern.side.write(0x030, 0);
		modern.side.write(0x040, 5);
		expect(modern.side.read(0x040)).toBe(0);
		const legacy = setUp(true);
		legacy.side.write(0x030, 0);
		legacy.side.write(0x044, 1);
		expect(legacy.side.read(0x044)).toBe(0);
	});
});
