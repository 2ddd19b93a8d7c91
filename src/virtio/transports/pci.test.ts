import { describe, expect, it } from "vitest";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import {
	LegacyPciSide,
	ModernPciSide,
	PciFixture,
} from "../../../test/support/pci-side.ts";
import { SampleDevice, transportCases } from "../../../test/transports.case.ts";
import { VirtioDevice } from "../device.ts";
import type { DeviceModel } from "../device-model.ts";

const SLOT = 3;

function make<Side extends LegacyPciSide | ModernPciSide>(
	Side: new (fixture: PciFixture, slot: number) => Side,
	model: DeviceModel,
	memory: TestMemory,
	messages: boolean,
) {
	const fixture = new PciFixture();
	const device = new VirtioDevice(model, memory);
	fixture.plug(SLOT, device);
	const side = new Side(fixture, SLOT);
	// A driver's first access says which age it is of.
	side.writeStatus(0);
	if (messages) side.enableMessages(3);
	return { fixture, device, side, lineLevel: () => side.interrupted };
}

for (const messages of [false, true]) {
	const how = messages ? "with messages" : "with its pin";
	transportCases(`virtio-pci ${how}`, (model, memory) =>
		make(ModernPciSide, model, memory, messages),
	);
	transportCases(`virtio-pci for a legacy driver ${how}`, (model, memory) =>
		make(LegacyPciSide, model, memory, messages),
	);
}

function setUp(messages = false) {
	const memory = new TestMemory();
	const sample = new SampleDevice();
	const made = make(ModernPciSide, sample, memory, messages);
	return { ...made, memory, sample, driver: new MockDriver(made.side, memory) };
}

function setUpLegacy(messages = false) {
	const memory = new TestMemory();
	const sample = new SampleDevice();
	const made = make(LegacyPciSide, sample, memory, messages);
	return { ...made, memory, sample, driver: new MockDriver(made.side, memory) };
}

describe("virtio-pci", () => {
	it("is a transitional device by its numbers (virtio 1.3 §4.1.2)", () => {
		const { fixture } = setUp();
		expect(fixture.readConfig(SLOT, 0x00)).toBe(0x1029_1af4);
		expect(fixture.readConfig(SLOT, 0x08) & 0xff).toBe(0);
		expect(fixture.readConfig(SLOT, 0x2c)).toBe(0x002a_1af4);
	});

	it("has all structures, aligned and within their BAR (virtio 1.3 §4.1.4)", () => {
		const { fixture } = setUp();
		const found = fixture.capabilities(SLOT, 0x09).map((at) => {
			const length = fixture.readConfig(SLOT, at + 12);
			const offset = fixture.readConfig(SLOT, at + 8);
			expect(offset % 4).toBe(0);
			expect(offset + length).toBeLessThanOrEqual(0x4000);
			return [fixture.readConfig(SLOT, at + 3, 1), length];
		});
		expect(found).toEqual([
			[1, 0x38],
			[3, 1],
			[4, 24],
			[2, 8],
			[5, 0],
		]);
	});

	it("answers with a register's own width only (virtio 1.3 §4.1.3.1)", () => {
		const { side } = setUp();
		side.writeStatus(1);
		expect(side.read(1, 0x14, 4)).toBe(0);
		expect(side.read(1, 0x12, 1)).toBe(0);
		side.write(1, 0x14, 3, 2);
		expect(side.readStatus()).toBe(1);
	});

	it("keeps what the driver selects and places, queue by queue", () => {
		const { side } = setUp();
		side.write(1, 0x16, 1, 2);
		side.write(1, 0x18, 8, 2);
		for (let offset = 0x20; offset < 0x38; offset += 4) {
			side.write(1, offset, 0x1000 * offset, 4);
		}
		side.write(1, 0x16, 0, 2);
		expect(side.read(1, 0x18, 2)).toBe(64);
		expect(side.read(1, 0x20, 4)).toBe(0);
		side.write(1, 0x16, 1, 2);
		expect(side.read(1, 0x18, 2)).toBe(8);
		for (let offset = 0x20; offset < 0x38; offset += 4) {
			expect(side.read(1, offset, 4)).toBe(0x1000 * offset);
		}
	});

	it("counts its queues, and a queue that is not there has no size", () => {
		const { side } = setUp();
		expect(side.read(1, 0x12, 2)).toBe(2);
		side.write(1, 0x16, 2, 2);
		expect(side.read(1, 0x18, 2)).toBe(0);
		expect(side.read(1, 0x1c, 2)).toBe(0);
	});

	it("shows features offered and accepted, word by word (virtio 1.3 §4.1.4.3.1)", () => {
		const { side, device } = setUp();
		const words = [0, 1, 2, 0xffff_ffff].map((select) => {
			side.write(1, 0x00, select, 4);
			return side.read(1, 0x04, 4);
		});
		const offered = device.offeredFeatures;
		expect(words).toEqual([
			...[Number(offered & 0xffff_ffffn), Number(offered >> 32n), 0, 0],
		]);
		side.writeFeatures(0x1_0000_0008n);
		for (const [select, expected] of [
			[0, 8],
			[1, 1],
			[2, 0],
		] as const) {
			side.write(1, 0x08, select, 4);
			expect(side.read(1, 0x0c, 4)).toBe(expected);
		}
	});

	it("has no queue enabled after a reset (virtio 1.3 §4.1.4.3.1)", () => {
		const { side, driver } = setUp();
		driver.start();
		side.write(1, 0x16, 1, 2);
		expect(side.read(1, 0x1c, 2)).toBe(1);
		side.writeStatus(0);
		expect(side.readStatus()).toBe(0);
		expect(side.read(1, 0x1c, 2)).toBe(0);
	});

	it("changes its generation with the configuration (virtio 1.3 §4.1.4.3.1)", () => {
		const { side, sample } = setUp();
		const before = side.read(1, 0x15, 1);
		sample.port.configChanged();
		expect(side.read(1, 0x15, 1)).not.toBe(before);
	});

	it("sets the bit of its cause, and reading acknowledges (virtio 1.3 §4.1.4.5.1)", () => {
		const { side, sample, driver, fixture } = setUp();
		driver.start();
		driver.queue().exchange(new Uint8Array(1), room(1));
		sample.port.configChanged();
		expect(fixture.readConfig(SLOT, 0x06, 2) & 8).toBe(8);
		expect(fixture.lines).toEqual(new Set([SLOT]));
		expect(side.read(3, 0, 1)).toBe(3);
		expect(side.read(3, 0, 1)).toBe(0);
		expect(fixture.lines.size).toBe(0);
		expect(fixture.readConfig(SLOT, 0x06, 2) & 8).toBe(0);
	});

	it("leaves its pin alone while the driver has switched that off", () => {
		const { driver, fixture } = setUp();
		driver.start();
		fixture.writeConfig(SLOT, 0x04, 0x0407, 2);
		driver.queue().exchange(new Uint8Array(1), room(1));
		expect(fixture.lines.size).toBe(0);
		fixture.writeConfig(SLOT, 0x04, 0x0007, 2);
		expect(fixture.lines.size).toBe(1);
	});

	it("sends each event the message that was mapped to it (virtio 1.3 §4.1.5.1.2)", () => {
		const { driver, fixture, sample, side } = setUp(true);
		driver.start();
		driver.queue(0).exchange(new Uint8Array(1), room(1));
		driver.queue(1).exchange(new Uint8Array(1), room(1));
		sample.port.configChanged();
		expect(fixture.messages).toEqual([
			{ address: 0xfee0_0000, data: 0x41 },
			{ address: 0xfee0_0000, data: 0x42 },
			{ address: 0xfee0_0000, data: 0x40 },
		]);
		// The bit of configuration changes is set in any case.
		expect(side.read(3, 0, 1)).toBe(2);
	});

	it("sends no message for an event without vector, and refuses vectors it lacks (virtio 1.3 §4.1.5.1.2.1)", () => {
		const { driver, side, fixture } = setUp(true);
		driver.start();
		side.write(1, 0x16, 0, 2);
		side.write(1, 0x1a, 3, 2);
		expect(side.read(1, 0x1a, 2)).toBe(0xffff);
		side.write(1, 0x10, 77, 2);
		expect(side.read(1, 0x10, 2)).toBe(0xffff);
		driver.queue().exchange(new Uint8Array(1), room(1));
		expect(fixture.messages).toEqual([]);
		side.write(1, 0x1a, 1, 2);
		side.writeStatus(0);
		expect(side.read(1, 0x1a, 2)).toBe(0xffff);
	});

	it("lets BARs be reached through configuration space (virtio 1.3 §4.1.4.9)", () => {
		const { fixture, side } = setUp();
		side.writeStatus(1);
		const at = fixture.capabilities(SLOT, 0x09).at(-1) ?? 0;
		fixture.writeConfig(SLOT, at + 4, 4, 1);
		fixture.writeConfig(SLOT, at + 8, 0x14);
		fixture.writeConfig(SLOT, at + 12, 1);
		expect(fixture.readConfig(SLOT, at + 16, 1)).toBe(1);
		fixture.writeConfig(SLOT, at + 16, 3, 1);
		expect(side.readStatus()).toBe(3);
		// Out of the BAR, of an odd size, in no BAR: nothing happens.
		for (const [bar, offset, length] of [
			[4, 0x4000, 4],
			[4, 0x14, 3],
			[4, 0x15, 2],
			[3, 0, 4],
			[200, 0xffff_ffff, 0xffff_ffff],
		] as const) {
			fixture.writeConfig(SLOT, at + 4, bar, 1);
			fixture.writeConfig(SLOT, at + 8, offset);
			fixture.writeConfig(SLOT, at + 12, length);
			fixture.writeConfig(SLOT, at + 16, 0);
			fixture.readConfig(SLOT, at + 16);
		}
		expect(side.readStatus()).toBe(3);
	});

	it("speaks to drivers of either age, the one after the other", () => {
		const { fixture, device, driver, memory } = setUp();
		driver.start();
		expect(device.isLegacy).toBe(false);
		const legacy = new LegacyPciSide(fixture, SLOT);
		expect(device.isLegacy).toBe(false);
		legacy.writeStatus(0);
		const second = new MockDriver(legacy, memory);
		second.start();
		expect(device.isLegacy).toBe(true);
		second.queue().exchange(new Uint8Array(1), room(1));
	});

	it("can hide its modern half", () => {
		const memory = new TestMemory();
		const fixture = new PciFixture();
		const device = new VirtioDevice(new SampleDevice(), memory);
		fixture.plug(SLOT, device, { legacyOnly: true });
		expect(fixture.capabilities(SLOT, 0x09)).toEqual([]);
		expect(fixture.barAddress(SLOT, 4)).toBe(0);
		const driver = new MockDriver(new LegacyPciSide(fixture, SLOT), memory);
		driver.start();
		driver.queue().exchange(new Uint8Array(1), room(1));
	});
});

describe("virtio-pci for a legacy driver", () => {
	it("reads a queue's page back, and zero takes the queue away", () => {
		const { side, driver, sample } = setUpLegacy();
		driver.start();
		side.write(0x0e, 0, 2);
		const page = side.read(0x08, 4);
		expect(page * 4096).toBe(driver.queue().placement.descriptorArea);
		side.write(0x08, 0, 4);
		expect(side.read(0x08, 4)).toBe(0);
		sample.events.length = 0;
		side.kick(0);
		expect(sample.events).toEqual([]);
	});

	it("moves the configuration behind the vectors while messages are on (virtio 1.3 §4.1.4.8)", () => {
		const plain = setUpLegacy();
		expect(plain.side.read(0x14, 1)).toBe(0);
		expect(plain.side.read(0x15, 1)).toBe(1);
		const { side } = setUpLegacy(true);
		expect(side.read(0x14, 2)).toBe(0xffff);
		side.write(0x14, 2, 2);
		expect(side.read(0x14, 2)).toBe(2);
		expect(side.read(0x19, 1)).toBe(1);
	});
});
