/**
 * Virtio on PCI (virtio 1.3 §4.1): a function whose capabilities tell where the
 * structures of virtio 1.0 are, and whose first BAR has the registers from
 * before. A driver of either age finds what it knows; such a device is called
 * *transitional*.
 *
 * | BAR | Space  | What                                                       |
 * | --- | ------ | ---------------------------------------------------------- |
 * | 0   | ports  | legacy registers                                           |
 * | 1   | memory | MSI-X table and pending bits                               |
 * | 4   | memory | common (0x0000), ISR (0x1000), device (0x2000), notify (0x3000) |
 *
 * Relies on the two kinds of registers and on the PCI function; the machine
 * plugs `card` into its root.
 *
 * @journey D:177 A device on PCI
 */

import type { AccessSize, BusDevice } from "../../chipset/bus.ts";
import { PciFunction } from "../../chipset/pci-function.ts";
import {
	MSIX_MOST_VECTORS,
	Msix,
	type SendMessage,
} from "../../chipset/pci-msix.ts";
import type { VirtioDevice } from "../device.ts";
import { PCI_COMMON_BYTES, PciCommon } from "./pci-common.ts";
import { pciConfigAccess } from "./pci-config-access.ts";
import { pciIdentity } from "./pci-identity.ts";
import { PciInterrupts } from "./pci-interrupts.ts";
import { PciLegacy } from "./pci-legacy.ts";
import { readConfigValue, writeConfigValue } from "./registers.ts";

const LEGACY_BAR = 0;
const MSIX_BAR = 1;
const MODERN_BAR = 4;

const STRUCTURE_BYTES = 0x1000;
const MODERN_BAR_BYTES = 4 * STRUCTURE_BYTES;
const COMMON_AT = 0;
const ISR_AT = STRUCTURE_BYTES;
const DEVICE_AT = 2 * STRUCTURE_BYTES;
const NOTIFY_AT = 3 * STRUCTURE_BYTES;
/** A doorbell of four bytes for each queue. */
const NOTIFY_MULTIPLIER = 4;

const CAP_ID_VENDOR = 0x09;
const VIRTIO_PCI_CAP_COMMON_CFG = 1;
const VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
const VIRTIO_PCI_CAP_ISR_CFG = 3;
const VIRTIO_PCI_CAP_DEVICE_CFG = 4;
const VIRTIO_PCI_CAP_PCI_CFG = 5;

/** What the machine decides. */
export interface VirtioPciOptions {
	/** Where messages go. */
	readonly send: SendMessage;
	/** Hides the modern half, so that every driver must use the legacy one. */
	readonly legacyOnly?: boolean;
}

/** One device on PCI. */
export class VirtioPci {
	readonly device: VirtioDevice;
	/** To be plugged into a root. */
	readonly card: PciFunction;
	readonly #interrupts: PciInterrupts;

	constructor(device: VirtioDevice, options: VirtioPciOptions) {
		this.device = device;
		this.card = new PciFunction(pciIdentity(device.model.deviceId));
		const vectors = Math.min(
			device.model.queueSizes.length + 1,
			MSIX_MOST_VECTORS,
		);
		const msix = new Msix(vectors, MSIX_BAR, options.send);
		this.#interrupts = new PciInterrupts(device, this.card, msix);
		this.card.setBar(LEGACY_BAR, {
			space: "ports",
			lengthBytes: PciLegacy.portBytes(device),
			device: new PciLegacy(device, this.#interrupts),
			maxSize: 4,
		});
		this.card.setBar(MSIX_BAR, msix.bar);
		this.card.addCapability(msix.capability);
		if (options.legacyOnly !== true) this.#addModernHalf();
	}

	#addModernHalf(): void {
		const { card, device } = this;
		card.setBar(MODERN_BAR, {
			space: "memory",
			lengthBytes: MODERN_BAR_BYTES,
			device: this.#modernBar(),
			maxSize: 4,
		});
		const doorbells = device.model.queueSizes.length * NOTIFY_MULTIPLIER;
		this.#addStructure(VIRTIO_PCI_CAP_COMMON_CFG, COMMON_AT, PCI_COMMON_BYTES);
		this.#addStructure(VIRTIO_PCI_CAP_ISR_CFG, ISR_AT, 1);
		if (device.model.config.length > 0) {
			const { length } = device.model.config;
			this.#addStructure(VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE_AT, length);
		}
		this.#addStructure(
			VIRTIO_PCI_CAP_NOTIFY_CFG,
			NOTIFY_AT,
			doorbells,
			NOTIFY_MULTIPLIER,
		);
		const access = structure(VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0, 0);
		card.addCapability({
			id: CAP_ID_VENDOR,
			body: access,
			...pciConfigAccess((bar) => card.bar(bar)),
		});
	}

	#addStructure(
		type: number,
		offset: number,
		lengthBytes: number,
		extra?: number,
	): void {
		const body = structure(type, MODERN_BAR, offset, lengthBytes, extra);
		this.card.addCapability({ id: CAP_ID_VENDOR, body });
	}

	/** Four structures, a page each. */
	#modernBar(): BusDevice {
		const parts = [
			new PciCommon(this.device, this.#interrupts),
			this.#isr(),
			this.#deviceConfig(),
			this.#notify(),
		];
		const partAt = (offset: number) =>
			parts[Math.floor(offset / STRUCTURE_BYTES)];
		return {
			read: (offset, size) =>
				partAt(offset)?.read(offset % STRUCTURE_BYTES, size) ?? 0,
			write: (offset, size, value) =>
				partAt(offset)?.write(offset % STRUCTURE_BYTES, size, value),
		};
	}

	#isr(): BusDevice {
		return {
			read: (offset) => (offset === 0 ? this.#interrupts.readIsr() : 0),
			write: () => {},
		};
	}

	#deviceConfig(): BusDevice {
		const { device } = this;
		return {
			read: (offset: number, size: AccessSize) =>
				readConfigValue(device, offset, size),
			write: (offset: number, size: AccessSize, value: number) =>
				writeConfigValue(device, offset, size, value),
		};
	}

	/** Which doorbell says which queue; the value is the same once more. */
	#notify(): BusDevice {
		return {
			read: () => 0,
			write: (offset) => {
				if (offset % NOTIFY_MULTIPLIER === 0) {
					this.device.kick(offset / NOTIFY_MULTIPLIER);
				}
			},
		};
	}
}

/**
 * The body of `struct virtio_pci_cap` (virtio 1.3 §4.1.4), from its own length
 * on: type, BAR, identifier, padding, offset, length. `extra` is what comes
 * behind in some of them.
 */
function structure(
	type: number,
	bar: number,
	offset: number,
	lengthBytes: number,
	extra?: number,
): Uint8Array {
	const body = new Uint8Array(extra === undefined ? 14 : 18);
	const view = new DataView(body.buffer);
	body.set([body.length + 2, type, bar]);
	view.setUint32(6, offset, true);
	view.setUint32(10, lengthBytes, true);
	if (extra !== undefined) view.setUint32(14, extra, true);
	return body;
}
