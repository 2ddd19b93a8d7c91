/**
 * Where virtio devices are plugged into a board: each gets a page of registers
 * and an interrupt, and the ACPI tables tell the kernel where (a device with
 * the id LNRO0005, which Linux's `virtio_mmio` looks for).
 *
 * The devices are as new as the board; the backends behind them outlive it. So
 * a board may only go when its devices have let go of the backends: `retire`.
 *
 * Relies on the devices and the MMIO transport; the machine relies on it.
 *
 * @journey D:180 Sockets for devices
 */

import {
	type Aml,
	amlDevice,
	amlInteger,
	amlLevelInterrupt,
	amlMemory32,
	amlName,
	amlResources,
	amlString,
} from "../chipset/aml.ts";
import type { InterruptLine } from "../chipset/bus.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { BlockBackend, NetBackend } from "../virtio/backends.ts";
import { VirtioDevice } from "../virtio/device.ts";
import type { DeviceModel } from "../virtio/device-model.ts";
import { Block } from "../virtio/devices/block.ts";
import { Console, type ConsolePortOptions } from "../virtio/devices/console.ts";
import { Entropy } from "../virtio/devices/entropy.ts";
import { Net } from "../virtio/devices/net.ts";
import { orderedDisk } from "../virtio/ordered-disk.ts";
import { VIRTIO_MMIO_BYTES, VirtioMmio } from "../virtio/transports/mmio.ts";
import type { Pc } from "./pc.ts";

/** A disk for the guest. */
export interface DiskOptions {
	readonly backend: BlockBackend;
	/** How the guest knows it again, up to 20 ASCII characters; default `diskN`. */
	readonly serial?: string;
}

/** A network card for the guest. */
export interface NetworkOptions {
	readonly backend: NetBackend;
	/** Six bytes; unlike that of anybody on the same network. */
	readonly mac: Uint8Array;
}

/** What a device of one's own is given; made anew for each machine reset. */
export interface DeviceSurroundings {
	/** Randomness of the machine's: reproducible in virtual time. */
	readonly fillRandom: (target: Uint8Array) => void;
}

/** The devices of a machine. */
export interface VirtioOptions {
	/** `/dev/vda`, `/dev/vdb` and so on. */
	readonly disks?: readonly DiskOptions[];
	/** A source of entropy, `/dev/hwrng`. */
	readonly entropy?: boolean;
	/** Ports of a virtio console: `/dev/hvc0`, `/dev/virtio-ports/NAME`. */
	readonly consolePorts?: readonly ConsolePortOptions[];
	/** Network cards, `eth0` and so on. */
	readonly networks?: readonly NetworkOptions[];
	/** Devices of one's own. */
	readonly devices?: readonly ((
		surroundings: DeviceSurroundings,
	) => DeviceModel)[];
	/**
	 * How drivers reach the devices: registers of virtio 1.0 and later (default)
	 * or those from before, which old kernels know.
	 */
	readonly transport?: "mmio" | "mmio-legacy";
	/** Whether to offer packed rings as well as split ones; default: yes. */
	readonly packedRings?: boolean;
}

/** Above any RAM the machine can have, below the interrupt controllers. */
const MMIO_BASE = 0xfeb0_0000;
const MMIO_STRIDE = 0x1000;
/** What a PC without old cards has free; more devices share. */
const FREE_IRQS = [5, 10, 11, 3, 7, 6, 14, 15];

/** The models that `options` asks for. */
export function makeModels(
	options: VirtioOptions,
	surroundings: DeviceSurroundings & { readonly inOrder: boolean },
): DeviceModel[] {
	const { fillRandom, inOrder } = surroundings;
	const { consolePorts, networks = [] } = options;
	const disks = (options.disks ?? []).map(
		({ backend, serial }, index) =>
			new Block(
				inOrder ? orderedDisk(backend) : backend,
				serial ?? `disk${index}`,
			),
	);
	return [
		...disks,
		...networks.map(({ backend, mac }) => new Net(backend, mac)),
		...(consolePorts === undefined ? [] : [new Console(consolePorts)]),
		...(options.entropy ? [new Entropy({ fill: fillRandom })] : []),
		...(options.devices ?? []).map((make) => make({ fillRandom })),
	];
}

/** What the slots need of the machine. */
export interface SlotWires {
	/** An interrupt was raised: a sleeping run loop should look. */
	readonly wake: () => void;
	/** A backend has work to do. */
	readonly busy: () => void;
}

/** The virtio devices of one board. */
export class VirtioSlots {
	readonly devices: readonly VirtioDevice[];
	/** For the machine's description. */
	readonly acpiDevices: readonly Aml[];

	constructor(
		board: Pc,
		memory: GuestMemory,
		models: readonly DeviceModel[],
		options: VirtioOptions,
		wires: SlotWires,
	) {
		const rules = {
			legacy: options.transport === "mmio-legacy",
			packed: options.packedRings ?? true,
		};
		const lines = FREE_IRQS.map((irq) => new SharedLine(board.pic.line(irq)));
		this.devices = models.map((model, index) => {
			const device = new VirtioDevice(model, memory, rules);
			device.onBusy = wires.busy;
			const { base, irq, lineIndex } = slot(index);
			const shared = lines[lineIndex]?.input();
			board.pic.makeLevelTriggered(irq);
			const line = {
				set: (level: boolean) => {
					shared?.set(level);
					if (level) wires.wake();
				},
			};
			const registers = new VirtioMmio(device, line);
			board.mmio.register(base, VIRTIO_MMIO_BYTES, registers);
			return device;
		});
		this.acpiDevices = models.map((_model, index) => describe(index));
	}

	/** Whether some backend is at work. */
	get busy(): boolean {
		return this.devices.some(({ model }) => model.busy);
	}

	/** Resolves when no backend is at work. */
	async settle(): Promise<void> {
		await Promise.all(this.devices.map(({ model }) => model.settle?.()));
	}

	/** Takes the devices from the guest; resolves when the backends are free. */
	async retire(): Promise<void> {
		for (const device of this.devices) device.reset();
		await this.settle();
	}
}

function slot(index: number) {
	const lineIndex = index % FREE_IRQS.length;
	return {
		base: MMIO_BASE + index * MMIO_STRIDE,
		lineIndex,
		irq: FREE_IRQS[lineIndex] ?? 0,
	};
}

function describe(index: number): Aml {
	const { base, irq } = slot(index);
	return amlDevice(
		`VR${index.toString(16).toUpperCase().padStart(2, "0")}`,
		amlName("_HID", amlString("LNRO0005")),
		amlName("_UID", amlInteger(index)),
		amlName(
			"_CRS",
			amlResources(
				amlMemory32(base, VIRTIO_MMIO_BYTES),
				amlLevelInterrupt(irq),
			),
		),
	);
}

/** One wire that several devices pull: high while any of them does. */
class SharedLine {
	readonly #line: InterruptLine;
	#raised = 0;

	constructor(line: InterruptLine) {
		this.#line = line;
	}

	/** Another device's end of it. */
	input(): InterruptLine {
		let own = false;
		return {
			set: (level) => {
				if (level === own) return;
				own = level;
				this.#raised += level ? 1 : -1;
				this.#line.set(this.#raised > 0);
			},
		};
	}
}
