/**
 * What every device must do, whatever kind it is, as cases that any test runner
 * can run: a title, and a function that throws when the device fails. Authors of
 * devices loop over them in their own tests.
 *
 * Relies on the mock and the hostile driver; authors rely on it.
 *
 * @journey D:375 What is asked of every device
 */

import {
	VIRTIO_CONFIG_S_NEEDS_RESET,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED,
} from "../virtio/constants.ts";
import { VirtioDevice } from "../virtio/device.ts";
import type { DeviceModel } from "../virtio/device-model.ts";
import { misbehave } from "./hostile-driver.ts";
import { DirectSide, MockDriver, TestMemory } from "./mock-driver.ts";
import { randomFrom } from "./random.ts";

/** One case. */
export interface DeviceCase {
	readonly title: string;
	/** Throws when the device fails it. */
	run(): void;
}

/** Features that the queues and the transport deal with (virtio 1.3 §6). */
const RESERVED_FEATURES = ((1n << 26n) - 1n) << 24n;
const HOSTILE_DRIVERS = 200;

/** `make` makes a new device with backends of its own; it is called for each case and more. */
export function deviceCases(make: () => DeviceModel): DeviceCase[] {
	return [
		{
			title:
				"offers none of the features that are not its own (virtio 1.3 §2.2)",
			run: () => {
				const reserved = make().features & RESERVED_FEATURES;
				if (reserved !== 0n) {
					throw new Error(`features 0x${reserved.toString(16)} are reserved`);
				}
			},
		},
		{
			title: "has queues whose sizes are powers of two (virtio 1.3 §2.7)",
			run: () => {
				for (const size of make().queueSizes) {
					if (size < 1 || size > 32768 || (size & (size - 1)) !== 0) {
						throw new Error(`a queue of ${size} entries`);
					}
				}
			},
		},
		{
			title: "starts, is reset, and starts again, with either kind of ring",
			run: () => {
				for (const accept of [[], [VIRTIO_F_RING_PACKED]]) {
					const { driver, device } = plugIn(make);
					for (let round = 0; round < 3; round++) {
						driver.start({
							accept: [...accept, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC],
						});
						expectOrder(device);
						driver.queues.forEach((_queue, index) => {
							driver.side.kick(index);
						});
						expectOrder(device);
					}
				}
			},
		},
		{
			title: "shows after a reset the configuration that it had before",
			run: () => {
				const { driver, device } = plugIn(make);
				const before = device.model.config.slice();
				driver.start();
				device.reset();
				const now = device.model.config;
				if (before.some((byte, index) => byte !== now[index])) {
					throw new Error("the configuration is another one");
				}
			},
		},
		{
			title: "survives drivers that do anything at all",
			run: () => {
				for (let seed = 1; seed <= HOSTILE_DRIVERS; seed++) {
					try {
						sufferFrom(make, seed);
					} catch (cause) {
						throw new Error(`hostile driver ${seed}`, { cause });
					}
				}
			},
		},
	];
}

function plugIn(make: () => DeviceModel) {
	const memory = new TestMemory();
	const device = new VirtioDevice(make(), memory);
	const driver = new MockDriver(new DirectSide(device), memory);
	return { memory, device, driver };
}

function sufferFrom(make: () => DeviceModel, seed: number): void {
	const { memory, device, driver } = plugIn(make);
	const random = randomFrom(seed);
	misbehave(driver, random, () => {
		const offset = random(device.model.config.length + 4);
		const bytes = Uint8Array.from({ length: 1 + random(4) }, () => random(256));
		driver.side.writeConfig(offset, bytes);
	});
	// The device may have written wherever it was told to.
	memory.bytes.fill(0);
	driver.start();
	expectOrder(device);
}

function expectOrder(device: VirtioDevice): void {
	if ((device.status & VIRTIO_CONFIG_S_NEEDS_RESET) !== 0) {
		throw new Error("a decent driver is told DEVICE_NEEDS_RESET");
	}
}
