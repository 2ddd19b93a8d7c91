/**
 * Drivers that do anything at all: random register accesses and random bytes
 * in the rings, from a seed that a failure names. Whatever they do, nothing
 * throws, nothing outlives a reset, and a decent driver finds the device in
 * order afterwards. `LGUEST_LONG=1` tries many more.
 */

import { describe, expect, it } from "vitest";
import { MmioBus } from "../src/chipset/bus.ts";
import { VirtioDevice } from "../src/virtio/device.ts";
import type { DeviceModel } from "../src/virtio/device-model.ts";
import { Block } from "../src/virtio/devices/block.ts";
import { Console } from "../src/virtio/devices/console.ts";
import { Entropy } from "../src/virtio/devices/entropy.ts";
import { Net } from "../src/virtio/devices/net.ts";
import { MemoryDisk } from "../src/virtio/memory-disk.ts";
import {
	VIRTIO_MMIO_BYTES,
	VirtioMmio,
} from "../src/virtio/transports/mmio.ts";
import { MmioSide } from "./support/mmio-side.ts";
import { MockDriver, TestMemory } from "./support/mock-driver.ts";
import { plausible, randomFrom } from "./support/random.ts";

const ROUNDS = process.env.LGUEST_LONG === "1" ? 20_000 : 200;
const STEPS = 60;
const BASE = 0xfeb00000;

const port = () => ({
	write: () => undefined,
	read: (most: number) => new Uint8Array(Math.min(most, 10)),
	onInput: () => {},
	size: { columns: 80, rows: 25 },
});

const DEVICES: Record<string, () => DeviceModel> = {
	block: () => new Block(new MemoryDisk(1 << 20), "hostile"),
	console: () =>
		new Console([{ backend: port() }, { backend: port(), name: "second" }]),
	entropy: () => new Entropy({ fill: (target) => target.fill(1) }),
	net: () => new Net({ send: () => {}, onFrame: () => {} }, new Uint8Array(6)),
};

function setUp(make: () => DeviceModel, legacy: boolean) {
	const memory = new TestMemory(256 << 10);
	const device = new VirtioDevice(make(), memory, { legacy });
	const bus = new MmioBus();
	const line = { set: () => {} };
	bus.register(BASE, VIRTIO_MMIO_BYTES, new VirtioMmio(device, line));
	const side = new MmioSide(bus, BASE);
	return { memory, bus, side, driver: new MockDriver(side, memory) };
}

function misbehave(
	{ memory, bus, side, driver }: ReturnType<typeof setUp>,
	random: (below: number) => number,
): void {
	driver.start({
		accept: [0, 1, 2, 9, 11, 13, 14, 15, 28, 29, 34].filter(
			() => random(2) === 1,
		),
		queueSize: 16,
	});
	for (let step = 0; step < STEPS; step++) {
		const queue = driver.queue(random(driver.queues.length));
		const areas = Object.values(queue.placement);
		switch (random(6)) {
			case 0:
				bus.write(BASE + random(0x50) * 4, 4, plausible(random));
				break;
			case 1:
				bus.read(BASE + random(VIRTIO_MMIO_BYTES), random(2) === 0 ? 1 : 4);
				break;
			case 2: {
				// Into the rings, where it hurts.
				const at = (areas[1 + random(3)] ?? 0) + random(260);
				if (memory.contains(at, 2))
					memory.writeU16(at, plausible(random) & 0xffff);
				break;
			}
			case 3:
				queue.offerRaw(
					Array.from({ length: 1 + random(4) }, () => ({
						address: random(4) === 0 ? plausible(random) : random(200_000),
						length: random(4) === 0 ? plausible(random) : random(4096),
						flags: random(4) * 2,
					})),
				);
				break;
			default:
				side.kick(random(8));
		}
	}
}

for (const [name, make] of Object.entries(DEVICES)) {
	for (const legacy of [false, true]) {
		describe(`a hostile driver of the ${name} device (${legacy ? "legacy" : "modern"})`, () => {
			it("breaks nothing, and after a reset the device is in order", () => {
				for (let seed = 1; seed <= ROUNDS; seed++) {
					const made = setUp(make, legacy);
					try {
						misbehave(made, randomFrom(seed));
						made.driver.start();
						expect(made.side.readStatus() & 0x40).toBe(0);
					} catch (cause) {
						throw new Error(`seed ${seed}`, { cause });
					}
				}
			});
		});
	}
}
