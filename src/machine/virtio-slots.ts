/**
 * The virtio devices of a board: made from the options, and plugged into the
 * sockets of the transport that was chosen (see D:178).
 *
 * The devices are as new as the board; the backends behind them outlive it. So
 * a board may only go when its devices have let go of the backends: `retire`.
 *
 * Relies on the devices and the sockets; the machine relies on it.
 *
 * @journey D:180 Devices in their sockets
 */

import type { Aml } from "../chipset/aml.ts";
import { UsageError } from "../errors.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type {
	BlockBackend,
	NetBackend,
	VsockBackend,
} from "../virtio/backends.ts";
import {
	type DeviceCounters,
	type DeviceState,
	VirtioDevice,
} from "../virtio/device.ts";
import type { DeviceModel } from "../virtio/device-model.ts";
import { Balloon } from "../virtio/devices/balloon.ts";
import { Block } from "../virtio/devices/block.ts";
import { Console, type ConsolePortOptions } from "../virtio/devices/console.ts";
import { Entropy } from "../virtio/devices/entropy.ts";
import { Net } from "../virtio/devices/net.ts";
import { MOST_TAG_BYTES, NineP } from "../virtio/devices/nine-p.ts";
import { isGuestCid, Vsock } from "../virtio/devices/vsock.ts";
import type { FileSystemBackend } from "../virtio/file-system.ts";
import type { MemoryBalloon } from "../virtio/memory-balloon.ts";
import { orderedDisk } from "../virtio/ordered-disk.ts";
import type { Pc } from "./pc.ts";
import { type Sockets, type TransportName, transportKind } from "./sockets.ts";

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
	/** Whether checksums and large frames may be left to others; default: yes. */
	readonly offloads?: boolean;
}

/** A directory for the guest. */
export interface ShareOptions {
	readonly backend: FileSystemBackend;
	/** By which the guest mounts it: `mount -t 9p -o trans=virtio TAG DIR`. */
	readonly tag: string;
}

/** Sockets between guest and embedder. */
export interface VsockOptions {
	/** A `VsockHub`, for example. */
	readonly backend: VsockBackend;
	/** What the guest is called, above 2; default 3. */
	readonly guestCid?: number;
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
	/** Directories, as file systems of the type 9p. */
	readonly shares?: readonly ShareOptions[];
	/** Sockets of the family AF_VSOCK. */
	readonly vsock?: VsockOptions;
	/** By which the guest can be asked to do with less memory. */
	readonly balloon?: MemoryBalloon;
	/** Devices of one's own. */
	readonly devices?: readonly ((
		surroundings: DeviceSurroundings,
	) => DeviceModel)[];
	/**
	 * How drivers reach the devices. The names with `legacy` mean the rules from
	 * before virtio 1.0, which old kernels know. Default: pci.
	 */
	readonly transport?: TransportName;
	/** Whether to offer packed rings as well as split ones; default: yes. */
	readonly packedRings?: boolean;
}

/** The models that `options` asks for. */
export function makeModels(
	options: VirtioOptions,
	surroundings: DeviceSurroundings & {
		readonly inOrder: boolean;
		readonly memory: GuestMemory;
	},
): DeviceModel[] {
	const { fillRandom, inOrder, memory } = surroundings;
	const { balloon, consolePorts, networks = [] } = options;
	const disks = (options.disks ?? []).map(
		({ backend, serial }, index) =>
			new Block(
				inOrder ? orderedDisk(backend) : backend,
				serial ?? `disk${index}`,
			),
	);
	return [
		...disks,
		...networks.map(
			({ backend, mac, offloads = true }) =>
				new Net(backend, mac, { offloads }),
		),
		...(consolePorts === undefined ? [] : [new Console(consolePorts)]),
		...(options.entropy ? [new Entropy({ fill: fillRandom })] : []),
		...(options.shares ?? []).map((share) => makeShare(share, inOrder)),
		...(options.vsock === undefined ? [] : [makeVsock(options.vsock)]),
		...(balloon === undefined ? [] : [new Balloon(balloon, memory)]),
		...(options.devices ?? []).map((make) => make({ fillRandom })),
	];
}

function makeShare({ backend, tag }: ShareOptions, inOrder: boolean): NineP {
	const { length } = new TextEncoder().encode(tag);
	if (length === 0 || length > MOST_TAG_BYTES) {
		throw new UsageError(`"${tag}" is no tag for a share.`, {
			hint: `Tags have from 1 to ${MOST_TAG_BYTES} bytes.`,
		});
	}
	return new NineP(backend, tag, inOrder);
}

function makeVsock({ backend, guestCid }: VsockOptions): Vsock {
	if (guestCid !== undefined && !isGuestCid(guestCid)) {
		throw new UsageError(`${guestCid} is no context id for a guest.`, {
			hint: "They go from 3 to 4294967294.",
		});
	}
	return new Vsock(backend, guestCid);
}

/** What happens to a device, as far as its owner may want to know. */
export interface DeviceEvent {
	/** Its place among the machine's devices. */
	readonly index: number;
	/** Number of its type (virtio 1.3 §5). */
	readonly deviceId: number;
	readonly state: DeviceState;
	/** Why it failed. */
	readonly reason?: string;
}

/** What the slots need of the machine. */
export interface SlotWires {
	/** An interrupt was raised: a sleeping run loop should look. */
	readonly wake: () => void;
	/** A backend has work to do. */
	readonly busy: () => void;
	readonly onDevice: (event: DeviceEvent) => void;
}

/** Guest memory, and where its RAM ends. */
export interface SlotMemory {
	readonly memory: GuestMemory;
	readonly ramBytes: number;
}

/** The virtio devices of one board. */
export class VirtioSlots {
	readonly devices: readonly VirtioDevice[];
	/** For the machine's description. */
	readonly acpiDevices: readonly Aml[];
	readonly #sockets: Sockets;

	constructor(
		board: Pc,
		{ memory, ramBytes }: SlotMemory,
		models: readonly DeviceModel[],
		options: VirtioOptions,
		wires: SlotWires,
	) {
		const { legacy, makeSockets } = transportKind(options.transport);
		const { wake } = wires;
		const sockets = makeSockets({ board, memory, ramBytes, wake });
		this.#sockets = sockets;
		const isPlaced = sockets.notify !== undefined;
		const packed = (options.packedRings ?? true) && !isPlaced;
		const rules = { legacy, packed };
		this.devices = models.map((model, index) => {
			const device = new VirtioDevice(model, memory, rules);
			const { deviceId } = model;
			device.onBusy = wires.busy;
			device.onState = (state, reason) =>
				wires.onDevice({
					index,
					deviceId,
					state,
					...(reason !== undefined && { reason }),
				});
			sockets.plug(device);
			return device;
		});
		this.acpiDevices = sockets.acpiDevices();
	}

	/** The guest's NOTIFY; false where there is nobody to hear it. */
	notify(address: number, lengthBytes: number): boolean {
		return this.#sockets.notify?.(address, lengthBytes) ?? false;
	}

	/** How busy each device is. */
	counters(): DeviceCounters[] {
		return this.devices.map((device) => device.counters);
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
