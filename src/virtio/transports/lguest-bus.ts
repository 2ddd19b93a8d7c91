/**
 * The lguest bus: devices are descriptors in a page above the top of RAM, and
 * there is no register anywhere. The driver stores into the page as into any
 * memory, and one hypercall, NOTIFY, says that there is something to see: with
 * a descriptor's address, look at its status; with a ring's, look at the ring.
 *
 * The page is as Linux 2.6.25 to 3.19 know it. Devices that speak virtio 1.0
 * and later use it too, by rules of our own (docs/lguest-bus.md): 64 feature
 * bits, FEATURES_OK, and a *trailer* at the end of the configuration space:
 *
 * | Offset | Width | Meaning                                                 |
 * | ------ | ----- | ------------------------------------------------------- |
 * | -4     | u16   | irq: the interrupt for changes of the configuration     |
 * | -2     | u16   | generation: another value after each change             |
 *
 * Interrupts are edges: nobody acknowledges them.
 *
 * Relies on the page and on devices; the machine and the Host rely on it.
 *
 * @journey D:192 Notify
 */

import { LGUEST_DEVICE_DESC, LGUEST_LENGTH_MAX } from "../../lguest/abi.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import {
	VIRTIO_CONFIG_S_ACKNOWLEDGE,
	VIRTIO_CONFIG_S_DRIVER_OK,
} from "../constants.ts";
import type { VirtioDevice } from "../device.ts";
import { DescriptorPage, type PlacedDescriptor } from "./lguest-page.ts";

/** What the bus needs around it. */
export interface LguestBusOptions {
	/** Reaches `LGUEST_DEVICE_PAGES` above the top of RAM, and is zero there. */
	readonly memory: GuestMemory;
	/** The top of RAM, where the descriptor page is. */
	readonly pageAddress: number;
	/** The interrupt for the next queue. */
	readonly nextIrq: () => number;
	/** Interrupts the Guest, once. */
	readonly raise: (irq: number) => void;
}

/** Length of the trailer, and where in it the generation is. */
export const LGUEST_TRAILER_BYTES = 4;
export const LGUEST_TRAILER_GENERATION = 2;

/** All devices of one Guest. */
export class LguestBus {
	/**
	 * Guests of 2.6.25 store their status in silence and NOTIFY only to reset;
	 * set for those whose other words are of that age. The first NOTIFY that
	 * shows a lone ACKNOWLEDGE proves a later kernel (2.6.26).
	 */
	notifyMeansReset = false;
	readonly #options: LguestBusOptions;
	readonly #page: DescriptorPage;
	readonly #devices: LguestDevice[] = [];

	constructor(options: LguestBusOptions) {
		this.#options = options;
		this.#page = new DescriptorPage(options.memory, options.pageAddress);
	}

	/** How many page frames the Guest has, the bus's included. */
	get pfnLimit(): number {
		return this.#page.pfnLimit;
	}

	/** Adds a device behind the last. */
	plug(device: VirtioDevice): void {
		this.#devices.push(new LguestDevice(device, this.#page, this.#options));
	}

	/**
	 * The Guest's NOTIFY: `address` is that of a descriptor, or of the first page
	 * of a ring; with `lengthBytes`, it is where the driver wrote that much of a
	 * configuration space. False: it means nothing to the bus.
	 */
	notify(address: number, lengthBytes = 0): boolean {
		if (lengthBytes > 0) {
			return this.#devices.some((d) => d.configWritten(address, lengthBytes));
		}
		const device = this.#devices.find((d) => d.address === address);
		if (device === undefined) {
			return this.#devices.some((d) => d.ringNotified(address));
		}
		const status = device.readStatus();
		if (status === VIRTIO_CONFIG_S_ACKNOWLEDGE) this.notifyMeansReset = false;
		device.statusNotified(this.notifyMeansReset);
		return true;
	}

	/**
	 * Looks for status bytes that were stored without NOTIFY, as Guests of
	 * 2.6.25 and of 3.1 and later do; to be called now and then.
	 */
	poll(): void {
		for (const device of this.#devices) device.takeStores();
	}
}

/** One descriptor, and the device behind it. */
class LguestDevice {
	readonly #device: VirtioDevice;
	readonly #memory: GuestMemory;
	readonly #placed: PlacedDescriptor;
	/** What the trailer says, where there is one. */
	readonly #trailer: { readonly irq: number; readonly at: number } | undefined;
	/** Bytes of the configuration space without trailer. */
	readonly #configBytes: number;

	constructor(
		device: VirtioDevice,
		page: DescriptorPage,
		{ memory, nextIrq, raise }: LguestBusOptions,
	) {
		this.#device = device;
		this.#memory = memory;
		const { model } = device;
		const irqs = model.queueSizes.map(() => nextIrq());
		const hasTrailer = !device.isLegacy;
		this.#configBytes = Math.min(
			model.config.length,
			LGUEST_LENGTH_MAX - (hasTrailer ? LGUEST_TRAILER_BYTES : 0),
		);
		// Shared with the first queue's: changes are seldom.
		const irq = irqs[0] ?? nextIrq();
		this.#placed = page.append({
			type: model.deviceId,
			queues: irqs.map((own, i) => ({
				num: model.queueSizes[i] ?? 0,
				irq: own,
			})),
			features: device.offeredFeatures,
			config: this.#initialConfig(hasTrailer ? irq : undefined),
		});
		const at = this.#placed.config + this.#configBytes;
		this.#trailer = hasTrailer ? { irq, at } : undefined;
		device.onChange = () => {
			this.takeStores();
			this.#show();
		};
		device.onInterrupt = (cause, queueIndex = 0) => {
			if (cause === "queue") raise(irqs[queueIndex] ?? 0);
			else if (this.#trailer !== undefined) raise(this.#trailer.irq);
		};
		this.#enableQueues();
	}

	get address(): number {
		return this.#placed.address;
	}

	readStatus(): number {
		return this.#memory.readU8(this.#statusAddress);
	}

	/** NOTIFY of the descriptor; the driver reads the answer right after. */
	statusNotified(isReset: boolean): void {
		if (isReset || this.readStatus() === 0) this.#reset();
		else this.takeStores();
	}

	/** NOTIFY of a ring; false if it is none of this device's. */
	ringNotified(address: number): boolean {
		const index = this.#placed.rings.findIndex(
			({ descriptorArea }) => descriptorArea === address,
		);
		if (index < 0) return false;
		this.takeStores();
		this.#device.kick(index);
		this.#showStatus();
		return true;
	}

	/** The driver wrote into the configuration space; false if not into this one. */
	configWritten(address: number, lengthBytes: number): boolean {
		const offset = address - this.#placed.config;
		const end = offset + lengthBytes;
		if (offset < 0 || end > this.#configBytes) return false;
		this.#device.writeConfig(offset, this.#memory.read(address, lengthBytes));
		this.#show();
		return true;
	}

	/** Lets the device know what the driver has stored in the page since. */
	takeStores(): void {
		const device = this.#device;
		if (device.isLegacy) this.#takeLegacyConfig();
		const status = this.readStatus();
		if (status === 0) {
			if (device.status !== 0) this.#reset();
			return;
		}
		if ((device.status & VIRTIO_CONFIG_S_DRIVER_OK) === 0) {
			device.writeDriverFeatures(this.#readGuestFeatures());
		}
		if (status === device.status) return;
		device.writeStatus(status);
		this.#show();
	}

	get #statusAddress(): number {
		return this.#placed.address + LGUEST_DEVICE_DESC.status;
	}

	/** Rings and acknowledgements are the driver's to set up again, from zeros. */
	#reset(): void {
		const { rings, guestFeatures, featureBytes } = this.#placed;
		this.#device.reset();
		this.#memory.fill(guestFeatures, 0, featureBytes);
		for (const ring of rings) {
			const end = ring.deviceArea + 4 + 8 * ring.size + 2;
			const lengthBytes = end - ring.descriptorArea;
			this.#memory.fill(ring.descriptorArea, 0, lengthBytes);
		}
		this.#enableQueues();
		this.#show();
	}

	/** They are where they are, as long as the Guest lives. */
	#enableQueues(): void {
		this.#placed.rings.forEach((ring, index) => {
			this.#device.placeQueue(index, ring);
			this.#device.enableQueue(index);
		});
	}

	#readGuestFeatures(): bigint {
		const { guestFeatures, featureBytes } = this.#placed;
		return this.#memory
			.read(guestFeatures, featureBytes)
			.reduceRight((bits, byte) => (bits << 8n) | BigInt(byte), 0n);
	}

	/** Old drivers write fields of 32 bits, if any, and tell nobody. */
	#takeLegacyConfig(): void {
		if (this.#device.model.writeConfig === undefined) return;
		for (let at = 0; at + 4 <= this.#configBytes; at += 4) {
			const theirs = this.#memory.read(this.#placed.config + at, 4);
			const ours = this.#device.readConfig(at, 4);
			if (theirs.some((byte, i) => byte !== ours[i])) {
				this.#device.writeConfig(at, theirs);
			}
		}
	}

	/** Brings the page up to date. */
	#show(): void {
		this.#showStatus();
		const bytes = this.#device.readConfig(0, this.#configBytes);
		this.#memory.write(this.#placed.config, bytes);
		if (this.#trailer === undefined) return;
		this.#memory.writeU16(
			this.#trailer.at + LGUEST_TRAILER_GENERATION,
			this.#device.configGeneration & 0xffff,
		);
	}

	#showStatus(): void {
		const { status } = this.#device;
		if (this.readStatus() === status) return;
		this.#memory.writeU8(this.#statusAddress, status);
	}

	#initialConfig(trailerIrq: number | undefined): Uint8Array {
		const bytes = this.#device.readConfig(0, this.#configBytes);
		if (trailerIrq === undefined) return bytes;
		return Uint8Array.of(...bytes, trailerIrq & 0xff, trailerIrq >> 8, 0, 0);
	}
}
