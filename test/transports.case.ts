/**
 * What every transport must do, told once. A transport's own test calls
 * `transportCases` with a way to put a device behind it and a driver's side
 * that uses nothing but its registers.
 */

import { describe, expect, it } from "vitest";
import {
	VIRTIO_CONFIG_S_ACKNOWLEDGE,
	VIRTIO_CONFIG_S_DRIVER,
	VIRTIO_CONFIG_S_DRIVER_OK,
	VIRTIO_CONFIG_S_FEATURES_OK,
	VIRTIO_CONFIG_S_NEEDS_RESET,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_VERSION_1,
} from "../src/virtio/constants.ts";
import type { VirtioDevice } from "../src/virtio/device.ts";
import type { DeviceModel, DevicePort } from "../src/virtio/device-model.ts";
import {
	type DriverSide,
	MockDriver,
	room,
	TestMemory,
} from "./support/mock-driver.ts";

/** Answers each buffer with its length; has a configuration that changes. */
export class SampleDevice implements DeviceModel {
	readonly deviceId = 0x2a;
	/** One low bit and one high one. */
	readonly features = (1n << 3n) | (1n << 50n);
	readonly queueSizes = [64, 16];
	readonly config = Uint8Array.from({ length: 24 }, (_, index) => index);
	readonly events: string[] = [];
	port!: DevicePort;

	connect(port: DevicePort): void {
		this.port = port;
	}

	start(): void {
		this.events.push("start");
	}

	kicked(index: number): void {
		this.events.push(`kick ${index}`);
		const queue = this.port.queue(index);
		for (let chain = queue?.pop(); chain; chain = queue?.pop()) {
			const answer = Uint8Array.of(chain.readable.lengthBytes);
			queue?.push(chain, chain.writable.write(0, answer));
		}
	}

	reset(): void {
		this.events.push("reset");
	}

	writeConfig(offset: number, bytes: Uint8Array): void {
		this.config.set(bytes, offset);
	}
}

/** A device behind a transport, and the driver's side of that transport. */
export interface TransportUnderTest {
	readonly device: VirtioDevice;
	readonly side: DriverSide;
	/** The level of the interrupt line. */
	readonly lineLevel: () => boolean;
}

/** `make` puts `model` behind the transport. */
export type MakeTransport = (
	model: DeviceModel,
	memory: TestMemory,
) => TransportUnderTest;

/** What a transport does not have; each with the reason. */
export interface TransportLacks {
	/** Drivers do not say where queues are: they are where they are. */
	readonly queuePlacement?: string;
	/** Drivers are not interrupted for changes of the configuration. */
	readonly configInterrupts?: string;
}

/** Registers the suite for one transport. */
export function transportCases(
	name: string,
	make: MakeTransport,
	lacks: TransportLacks = {},
	makeMemory: () => TestMemory = () => new TestMemory(),
): void {
	const setUp = () => {
		const memory = makeMemory();
		const sample = new SampleDevice();
		const made = make(sample, memory);
		const driver = new MockDriver(made.side, memory);
		return { ...made, memory, sample, driver };
	};
	const legacy = setUp().side.isLegacy;

	describe(`${name}, as any transport`, () => {
		it("starts with status 0 and gives back the bits it was given", () => {
			const { side } = setUp();
			expect(side.readStatus()).toBe(0);
			side.writeStatus(VIRTIO_CONFIG_S_ACKNOWLEDGE);
			expect(side.readStatus()).toBe(1);
			side.writeStatus(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
			expect(side.readStatus()).toBe(3);
		});

		it("offers the device's features and the queues' own", () => {
			const features = setUp().side.readFeatures();
			const has = (bit: number) => ((features >> BigInt(bit)) & 1n) === 1n;
			expect(has(3)).toBe(true);
			expect(has(VIRTIO_F_INDIRECT_DESC)).toBe(true);
			expect(has(VIRTIO_F_EVENT_IDX)).toBe(true);
			expect(has(VIRTIO_F_VERSION_1)).toBe(!legacy);
		});

		it.skipIf(legacy)(
			"agrees to a subset of the features only (virtio 1.3 §2.2.2)",
			() => {
				const { side, driver } = setUp();
				expect(driver.negotiate([3])).toBe(true);
				side.writeStatus(0);
				driver.addStatus(VIRTIO_CONFIG_S_DRIVER);
				side.writeFeatures((1n << 32n) | (1n << 51n));
				driver.addStatus(VIRTIO_CONFIG_S_FEATURES_OK);
				expect(side.readStatus() & VIRTIO_CONFIG_S_FEATURES_OK).toBe(0);
			},
		);

		it.skipIf(legacy)(
			"refuses drivers from before virtio 1.0 (virtio 1.3 §6.1)",
			() => {
				const { side, driver } = setUp();
				side.writeFeatures(1n << 3n);
				driver.addStatus(VIRTIO_CONFIG_S_FEATURES_OK);
				expect(side.readStatus() & VIRTIO_CONFIG_S_FEATURES_OK).toBe(0);
			},
		);

		it.skipIf(legacy)(
			"holds features fixed once they are agreed (virtio 1.3 §2.2.1)",
			() => {
				const { side, driver, sample } = setUp();
				driver.negotiate([3]);
				side.writeFeatures(1n << 32n);
				expect(sample.port.negotiated(3)).toBe(true);
			},
		);

		it("has as many queues as the device, each with its size", () => {
			const { side } = setUp();
			expect([0, 1, 2, 99].map((index) => side.queueSizeMax(index))).toEqual([
				64, 16, 0, 0,
			]);
		});

		for (const accept of legacy
			? [[], [VIRTIO_F_INDIRECT_DESC], [VIRTIO_F_EVENT_IDX]]
			: [[], [VIRTIO_F_INDIRECT_DESC], [VIRTIO_F_RING_PACKED]]) {
			it(`carries buffers there and back, with features [${accept}]`, () => {
				const { driver } = setUp();
				driver.start({ accept });
				for (let i = 1; i < 40; i++) {
					for (const queue of driver.queues) {
						const [length] = queue.exchange(new Uint8Array(i), room(1));
						expect(length).toBe(i);
					}
				}
			});
		}

		it("raises its line for a used buffer, until it is acknowledged", () => {
			const { driver, side, lineLevel } = setUp();
			driver.start();
			expect(lineLevel()).toBe(false);
			driver.queue().exchange(new Uint8Array(1), room(1));
			expect(lineLevel()).toBe(true);
			expect(side.takeInterrupts()).toEqual({ queue: true, config: false });
			expect(lineLevel()).toBe(false);
			expect(side.takeInterrupts()).toEqual({ queue: false, config: false });
		});

		it.skipIf(lacks.configInterrupts)(
			"raises its line for a changed configuration, once the driver is ready",
			() => {
				const { driver, side, sample, lineLevel } = setUp();
				sample.port.configChanged();
				expect(lineLevel()).toBe(false);
				driver.start();
				sample.port.configChanged();
				expect(lineLevel()).toBe(true);
				expect(side.takeInterrupts()).toEqual({ queue: false, config: true });
			},
		);

		it("lets the configuration be read at any time, in any size (virtio 1.3 §2.5.3)", () => {
			const { side } = setUp();
			for (const [offset, length] of [
				[0, 1],
				[3, 1],
				[2, 2],
				[4, 4],
				[8, 8],
			] as const) {
				const expected = Array.from({ length }, (_, i) => offset + i);
				expect([...side.readConfig(offset, length)]).toEqual(expected);
			}
			expect([...side.readConfig(24, 4)]).toEqual([0, 0, 0, 0]);
		});

		it("hands writes of the configuration to the device", () => {
			const { side, sample } = setUp();
			side.writeConfig(4, Uint8Array.of(1, 2, 3, 4));
			side.writeConfig(9, Uint8Array.of(5));
			side.writeConfig(24, Uint8Array.of(6));
			expect([...sample.config.subarray(4, 10)]).toEqual([1, 2, 3, 4, 8, 5]);
			expect(sample.config).toHaveLength(24);
		});

		it.skipIf(legacy)(
			"uses no buffer before DRIVER_OK, then those already there (virtio 1.3 §2.1.2)",
			() => {
				const { driver, sample } = setUp();
				driver.negotiate([]);
				driver.setUpQueues(8);
				driver.queue().send(new Uint8Array(7), room(1));
				expect(driver.queue().takeUsed()).toEqual([]);
				expect(sample.events).not.toContain("kick 0");
				driver.addStatus(VIRTIO_CONFIG_S_DRIVER_OK);
				expect(driver.queue().takeUsed()).toHaveLength(1);
			},
		);

		it.runIf(legacy)(
			"uses buffers before DRIVER_OK, as legacy drivers expect (virtio 1.3 §3.1.2)",
			() => {
				const { driver } = setUp();
				driver.negotiate([]);
				driver.setUpQueues(8);
				driver.queue().send(new Uint8Array(7), room(1));
				expect(driver.queue().takeUsed()).toHaveLength(1);
			},
		);

		it("ignores kicks for queues that are not there, or not ready", () => {
			const { driver, side, sample } = setUp();
			driver.negotiate([]);
			driver.addStatus(VIRTIO_CONFIG_S_DRIVER_OK);
			sample.events.length = 0;
			for (const index of [2, 0xffff]) side.kick(index);
			if (!lacks.queuePlacement) for (const index of [0, 1]) side.kick(index);
			expect(sample.events.filter((e) => e.startsWith("kick"))).toEqual([]);
			expect(side.readStatus() & VIRTIO_CONFIG_S_NEEDS_RESET).toBe(0);
		});

		it("forgets everything at a reset (virtio 1.3 §2.4)", () => {
			const { driver, side, sample, lineLevel, memory } = setUp();
			driver.start({ accept: [3] });
			const old = driver.queue();
			old.exchange(new Uint8Array(1), room(1));
			side.writeStatus(0);
			expect(side.readStatus()).toBe(0);
			expect(lineLevel()).toBe(false);
			expect(side.takeInterrupts()).toEqual({ queue: false, config: false });
			expect(sample.events.at(-1)).toBe("reset");
			expect(sample.port.negotiated(3)).toBe(false);
			const usedRing = () => memory.read(old.placement.deviceArea, 64);
			const before = usedRing();
			old.send(new Uint8Array(1), room(1));
			expect(usedRing()).toEqual(before);
			driver.start();
			driver.queue().exchange(new Uint8Array(1), room(1));
		});

		it("says DEVICE_NEEDS_RESET when the driver breaks a rule, and then stays silent", () => {
			const { driver, side, lineLevel } = setUp();
			driver.start();
			driver.queue(0).offerRaw([{ address: 2 ** 31, length: 4, flags: 0 }]);
			driver.queue(0).kick();
			expect(side.readStatus() & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
			const config = !lacks.configInterrupts;
			expect(side.takeInterrupts()).toEqual({ queue: false, config });
			driver.queue(1).send(new Uint8Array(1), room(1));
			expect(driver.queue(1).takeUsed()).toEqual([]);
			expect(lineLevel()).toBe(false);
			driver.start();
			driver.queue(1).exchange(new Uint8Array(1), room(1));
		});

		it.skipIf(lacks.queuePlacement)(
			"survives queues at impossible places",
			() => {
				const { driver, side, memory } = setUp();
				const bad = 0x7ffff000;
				driver.negotiate([]);
				side.enableQueue(0, {
					size: 8,
					descriptorArea: bad,
					driverArea: bad + 128,
					deviceArea: bad + 4096,
				});
				driver.addStatus(VIRTIO_CONFIG_S_DRIVER_OK);
				side.kick(0);
				expect(side.readStatus() & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
				expect(memory.contains(bad, 1)).toBe(false);
			},
		);
	});
}
