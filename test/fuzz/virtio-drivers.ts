/**
 * Drivers that do anything at all: random register accesses, and random bytes
 * in rings, descriptors and buffers. Whatever they do, nothing throws, nothing
 * outlives a reset, and a decent driver finds the device in order afterwards.
 */

import { MmioBus } from "../../src/chipset/bus.ts";
import type { GuestMemory } from "../../src/memory/guest-memory.ts";
import { misbehave } from "../../src/testing/hostile-driver.ts";
import { plausible } from "../../src/testing/random.ts";
import type {
	NetBackend,
	VsockBackend,
	VsockConnection,
	VsockReceiver,
} from "../../src/virtio/backends.ts";
import { VIRTIO_CONFIG_S_NEEDS_RESET } from "../../src/virtio/constants.ts";
import { VirtioDevice } from "../../src/virtio/device.ts";
import type { DeviceModel } from "../../src/virtio/device-model.ts";
import { Balloon } from "../../src/virtio/devices/balloon.ts";
import { Block } from "../../src/virtio/devices/block.ts";
import { Console } from "../../src/virtio/devices/console.ts";
import { Entropy } from "../../src/virtio/devices/entropy.ts";
import { Net } from "../../src/virtio/devices/net.ts";
import { NineP } from "../../src/virtio/devices/nine-p.ts";
import { Vsock } from "../../src/virtio/devices/vsock.ts";
import { MemoryBalloon } from "../../src/virtio/memory-balloon.ts";
import { MemoryDisk } from "../../src/virtio/memory-disk.ts";
import { MemoryFiles } from "../../src/virtio/memory-files.ts";
import {
	VIRTIO_MMIO_BYTES,
	VirtioMmio,
} from "../../src/virtio/transports/mmio.ts";
import { MmioSide } from "../support/mmio-side.ts";
import { MockDriver, TestMemory } from "../support/mock-driver.ts";
import { chance, type Random } from "../support/random.ts";
import type { FuzzTarget } from "./target.ts";

const BASE = 0xfeb00000;

const port = () => ({
	write: () => undefined,
	read: (most: number) => new Uint8Array(Math.min(most, 10)),
	onInput: () => {},
	size: { columns: 80, rows: 25 },
});

/** A network on which everything comes back, as it was sent or finished. */
function echo(): NetBackend {
	let frames = 0;
	const backend: NetBackend = {
		takesOffloads: true,
		send: (frame, offload) => {
			frames++;
			backend.onFrame(frame, frames % 2 === 0 ? offload : undefined);
		},
		onFrame: () => {},
	};
	return backend;
}

/** Takes everything, and says it back. */
class EchoSockets implements VsockBackend {
	accept(connection: VsockConnection): VsockReceiver {
		return {
			receive: (bytes) => connection.write(bytes)?.catch(() => {}),
			ended: () => connection.end(),
			closed: () => {},
		};
	}

	attach(): void {}
}

/** Asks every driver for hints and figures, as soon as it says that it is ready. */
class AskingBalloon extends Balloon {
	readonly #balloon: MemoryBalloon;

	constructor(balloon: MemoryBalloon, memory: GuestMemory) {
		super(balloon, memory);
		this.#balloon = balloon;
	}

	override start(): void {
		super.start();
		// Whoever starts over, or has nothing to say, is no finding.
		this.#balloon.requestHints().catch(() => {});
		this.#balloon.statistics().catch(() => {});
	}
}

type DeviceMaker = (memory: GuestMemory) => DeviceModel;

const DEVICES: Record<string, DeviceMaker> = {
	block: () => new Block(new MemoryDisk(1 << 20), "hostile"),
	console: () =>
		new Console([{ backend: port() }, { backend: port(), name: "second" }]),
	entropy: () => new Entropy({ fill: (target) => target.fill(1) }),
	net: () => new Net(echo(), new Uint8Array(6)),
	"9p": () => new NineP(new MemoryFiles({ sizeBytes: 1 << 20 }), "hostile"),
	vsock: () => new Vsock(new EchoSockets()),
	balloon: (memory) => new AskingBalloon(new MemoryBalloon(), memory),
};

function setUp(make: DeviceMaker, legacy: boolean) {
	const memory = new TestMemory(1 << 20);
	const device = new VirtioDevice(make(memory), memory, { legacy });
	const bus = new MmioBus();
	const line = { set: () => {} };
	bus.register(BASE, VIRTIO_MMIO_BYTES, new VirtioMmio(device, line));
	const side = new MmioSide(bus, BASE);
	return { memory, bus, side, driver: new MockDriver(side, memory) };
}

function touchRegisters(bus: MmioBus, random: Random): void {
	if (chance(random, 2)) {
		bus.write(BASE + random(0x50) * 4, 4, plausible(random));
	} else {
		bus.read(BASE + random(VIRTIO_MMIO_BYTES), chance(random, 2) ? 1 : 4);
	}
}

/** One driver's life; throws on a finding. */
function run(make: DeviceMaker, random: Random): void {
	const made = setUp(make, random(2) === 1);
	misbehave(made.driver, random, () => touchRegisters(made.bus, random));
	// The device may have written wherever it was told to.
	made.memory.bytes.fill(0);
	made.driver.start();
	if ((made.side.readStatus() & VIRTIO_CONFIG_S_NEEDS_RESET) !== 0) {
		throw new Error("a decent driver finds the device out of order");
	}
}

export const VIRTIO_DRIVER_TARGETS: readonly FuzzTarget[] = Object.entries(
	DEVICES,
).map(([name, make]) => ({
	name: `virtio-${name}`,
	about: `registers, rings and requests of the ${name} device`,
	run: (random) => run(make, random),
}));
