import { describe, expect, it } from "vitest";
import { EdgeLatch, LguestSide } from "../../../test/support/lguest-side.ts";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import { SampleDevice, transportCases } from "../../../test/transports.case.ts";
import { VIRTIO_F_INDIRECT_DESC } from "../constants.ts";
import { VirtioDevice } from "../device.ts";
import type { DeviceModel } from "../device-model.ts";
import { LguestBus } from "./lguest-bus.ts";
import { DescriptorPage, lguestRingPages } from "./lguest-page.ts";

const RAM_TOP = 0x10_0000;
const REGION = 0x10_0000;

function makeBus(memory: TestMemory) {
	const latch = new EdgeLatch();
	let irqs = 0;
	const bus = new LguestBus({
		memory,
		pageAddress: RAM_TOP,
		nextIrq: () => ++irqs,
		raise: latch.raise,
	});
	return { bus, latch };
}

function make(model: DeviceModel, memory: TestMemory, legacy: boolean) {
	const { bus, latch } = makeBus(memory);
	const device = new VirtioDevice(model, memory, { legacy, packed: false });
	bus.plug(device);
	const side = new LguestSide(bus, memory, latch, RAM_TOP, legacy);
	return { device, bus, side, lineLevel: () => latch.pending.size > 0 };
}

const newMemory = () => new TestMemory(RAM_TOP + REGION);
const placed = "rings are where the Launcher put them";

transportCases(
	"the lguest bus",
	(model, memory) => make(model, memory, false),
	{ queuePlacement: placed },
	newMemory,
);
transportCases(
	"the lguest bus for old kernels",
	(model, memory) => make(model, memory, true),
	{
		queuePlacement: placed,
		configInterrupts: "lguest had no interrupt for them",
	},
	newMemory,
);

function setUp(legacy: boolean) {
	const memory = newMemory();
	const sample = new SampleDevice();
	const made = make(sample, memory, legacy);
	return { ...made, memory, sample, driver: new MockDriver(made.side, memory) };
}

/** `bytes` as people write them down. */
const hex = (bytes: Uint8Array) =>
	[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

describe("the descriptor page", () => {
	it("holds a disk and a console as Linux 2.6.25's Launcher wrote them", () => {
		const memory = new TestMemory(0x0410_0000);
		const page = new DescriptorPage(memory, 0x0400_0000);
		const config = new Uint8Array(16);
		new DataView(config.buffer).setUint32(0, 2048, true);
		new DataView(config.buffer).setUint32(12, 126, true);
		const disk = { num: 128, irq: 1 };
		page.append({ type: 2, queues: [disk], features: 0b101n, config });
		page.append({
			type: 3,
			queues: [
				{ num: 128, irq: 2 },
				{ num: 128, irq: 3 },
			],
			features: 0n,
			config: new Uint8Array(0),
		});
		expect(hex(memory.read(0x0400_0000, 53))).toBe(
			[
				"02 01 01 10 00",
				"80 00 01 00 01 40 00 00",
				"05 00",
				"00 08 00 00 00 00 00 00 00 00 00 00 7e 00 00 00",
				"03 02 00 00 00",
				"80 00 02 00 03 40 00 00",
				"80 00 03 00 05 40 00 00",
				"00",
			].join(" "),
		);
		expect(page.pfnLimit).toBe(0x4007);
	});

	it("gives rings whole pages", () => {
		expect([8, 128, 256, 1024].map(lguestRingPages)).toEqual([2, 2, 3, 8]);
	});

	it("says so when it is full, of descriptors or of rings", () => {
		const full = (queueSize: number, configBytes: number) => {
			const page = new DescriptorPage(newMemory(), RAM_TOP);
			for (let i = 0; i < 500; i++) {
				page.append({
					type: 4,
					queues: [{ num: queueSize, irq: 1 }],
					features: 0n,
					config: new Uint8Array(configBytes),
				});
			}
		};
		expect(() => full(8, 255)).toThrow(/descriptor page/);
		expect(() => full(1024, 0)).toThrow(/descriptor page/);
	});
});

describe("the lguest bus", () => {
	it("finds each device by its descriptor and its rings, and knows nothing else", () => {
		const memory = newMemory();
		const { bus, latch } = makeBus(memory);
		const models = [new SampleDevice(), new SampleDevice()];
		for (const model of models) {
			bus.plug(new VirtioDevice(model, memory, { packed: false }));
		}
		const first = new LguestSide(bus, memory, latch, RAM_TOP, false);
		const second = new LguestSide(bus, memory, latch, first.end, false);
		const driver = new MockDriver(second, memory);
		driver.start();
		driver.queue(1).exchange(new Uint8Array(3), room(1));
		expect(models[1]?.events).toContain("kick 1");
		expect(models[0]?.events).toEqual([]);
		const ring = second.givenPlacement(1).descriptorArea;
		expect([...latch.pending]).toEqual([4]);
		for (const address of [0, RAM_TOP + 1, ring + 16, 0xffff_ffff]) {
			expect(bus.notify(address)).toBe(false);
		}
		expect(bus.notify(ring, 4)).toBe(false);
		expect(bus.notify(0xffff_fffc, 8)).toBe(false);
	});

	it("shows the driver every change of the configuration, and its number", () => {
		const { sample, side, driver } = setUp(false);
		driver.start();
		sample.config[5] = 0xaa;
		sample.port.configChanged();
		expect([...side.readConfig(4, 2)]).toEqual([4, 0xaa]);
		expect(side.takeInterrupts().config).toBe(true);
	});

	it("trusts only its own copy of what the page says", () => {
		const { side, driver, memory } = setUp(false);
		driver.start();
		const queue = driver.queue(0);
		memory.fill(side.address + 5, 0xff, 16);
		memory.fill(side.address + 1, 0, 3);
		queue.offer(new Uint8Array(2), room(1));
		expect(side.notify(queue.placement.descriptorArea)).toBe(true);
		expect(queue.takeUsed()).toHaveLength(1);
	});

	it("zeroes rings and acknowledgements at a reset", () => {
		const { side, driver, memory } = setUp(false);
		driver.start({ accept: [3] });
		driver.queue().exchange(new Uint8Array(1), room(1));
		side.writeStatus(0);
		const { descriptorArea } = side.givenPlacement(0);
		expect(memory.read(descriptorArea, 0x2000).every((b) => b === 0)).toBe(
			true,
		);
		side.writeFeatures(0n);
		expect(side.readStatus()).toBe(0);
	});
});

describe("the lguest bus, by the dialects of old kernels", () => {
	it("2.6.25: NOTIFY of a descriptor is a reset, whatever its status says", () => {
		const { side, driver, bus, sample } = setUp(true);
		bus.notifyMeansReset = true;
		side.notify(side.address);
		for (const status of [1, 3]) side.storeStatus(status);
		driver.setUpQueues(8);
		driver.queue().exchange(new Uint8Array(1), room(1));
		side.storeStatus(7);
		sample.events.length = 0;
		side.notify(side.address);
		expect(sample.events).toEqual(["reset"]);
		expect(side.readStatus()).toBe(0);
	});

	it("2.6.26: a NOTIFY that shows ACKNOWLEDGE proves that status is told", () => {
		const { side, driver, bus, sample } = setUp(true);
		bus.notifyMeansReset = true;
		driver.start();
		expect(sample.events).toContain("start");
		expect(side.readStatus()).toBe(7);
		expect(bus.notifyMeansReset).toBe(false);
	});

	it("2.6.31: features may be acknowledged after the status was told", () => {
		const { side, driver, sample } = setUp(true);
		side.writeStatus(0);
		for (const status of [1, 3]) side.writeStatus(status);
		side.writeFeatures((1n << 3n) | (1n << BigInt(VIRTIO_F_INDIRECT_DESC)));
		driver.setUpQueues(8);
		driver.queue().exchange(new Uint8Array(1), room(1));
		expect(sample.port.negotiated(3)).toBe(true);
	});

	it("3.1: DRIVER_OK is stored in silence, and found by looking", () => {
		const { side, bus, sample } = setUp(true);
		side.writeStatus(0);
		side.storeStatus(1);
		side.writeStatus(3);
		side.storeStatus(7);
		expect(sample.events).not.toContain("start");
		bus.poll();
		expect(sample.events).toContain("start");
	});

	it("a status of 0 stored in silence is a reset too", () => {
		const { side, bus, sample, driver } = setUp(true);
		driver.start();
		sample.events.length = 0;
		side.storeStatus(0);
		bus.poll();
		expect(sample.events).toEqual(["reset"]);
	});

	it("a change of the configuration does not lose a status stored in silence", () => {
		const { side, sample } = setUp(true);
		side.writeStatus(3);
		side.storeStatus(7);
		sample.port.configChanged();
		expect(side.readStatus()).toBe(7);
	});
});
