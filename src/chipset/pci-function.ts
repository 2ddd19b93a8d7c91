/**
 * One function on a PCI bus, as far as all functions are alike: 256 bytes of
 * configuration space with a type 0 header, base address registers (BARs) that
 * the guest may move, a list of capabilities, and an interrupt pin.
 *
 * What lies behind a BAR is a `BusDevice`; what a capability does beyond being
 * bytes it says by two hooks. The root (`pci-root.ts`) finds functions by
 * number and asks them where their BARs are.
 *
 * Relies on the bus contract; the root, MSI-X and virtio's PCI transport rely
 * on it. Layouts from the PCI Local Bus Specification 3.0, "Configuration
 * Space Organization":
 *
 * | Offset    | Width | Name                                          |
 * | --------- | ----- | --------------------------------------------- |
 * | 0x00/0x02 | 2     | vendor, device                                |
 * | 0x04/0x06 | 2     | command, status                               |
 * | 0x08      | 4     | revision (byte 0) and class code              |
 * | 0x0e      | 1     | header type; bit 7 = several functions        |
 * | 0x10–0x27 | 4     | six BARs                                      |
 * | 0x2c/0x2e | 2     | subsystem vendor, subsystem                   |
 * | 0x34      | 1     | first capability                              |
 * | 0x3c/0x3d | 1     | interrupt line (only software's note), pin    |
 * | 0x40–     |       | capabilities: id, next, body                  |
 *
 * @journey P:375 A card in a slot
 */

import {
	type AccessSize,
	type BusDevice,
	type BusRange,
	floatingBus,
	type InterruptLine,
} from "./bus.ts";

export const PCI_COMMAND = 0x04;
export const PCI_COMMAND_IO = 1 << 0;
export const PCI_COMMAND_MEMORY = 1 << 1;
export const PCI_COMMAND_MASTER = 1 << 2;
export const PCI_COMMAND_INTX_DISABLE = 1 << 10;
export const PCI_STATUS = 0x06;
export const PCI_STATUS_INTERRUPT = 1 << 3;
export const PCI_STATUS_CAP_LIST = 1 << 4;
export const PCI_REVISION_CLASS = 0x08;
const PCI_HEADER_TYPE = 0x0e;
const HEADER_TYPE_MULTIFUNCTION = 0x80;
export const PCI_BAR_0 = 0x10;
const PCI_SUBSYSTEM = 0x2c;
export const PCI_CAPABILITY_LIST = 0x34;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;
const FIRST_CAPABILITY = 0x40;
/** Id and link to the next. */
const CAPABILITY_HEAD = 2;
const CONFIG_BYTES = 0x100;
const BAR_COUNT = 6;

/**
 * Bus mastering can be switched, but nothing depends on it. Deviation: drivers
 * of virtio's first years never set the bit, and their devices worked.
 */
const COMMAND_WRITABLE =
	PCI_COMMAND_IO |
	PCI_COMMAND_MEMORY |
	PCI_COMMAND_MASTER |
	PCI_COMMAND_INTX_DISABLE;

/** Who the function is. */
export interface PciIdentity {
	readonly vendorId: number;
	readonly deviceId: number;
	/** Base class, subclass and interface: 24 bits. */
	readonly classCode: number;
	readonly revision: number;
	readonly subsystemVendorId: number;
	readonly subsystemId: number;
	/** 1 = INTA# to 4 = INTD#; 0 = no interrupt. */
	readonly interruptPin: number;
}

/** What a base address register decodes; `lengthBytes` is a power of two. */
export interface PciBar {
	readonly space: "memory" | "ports";
	readonly lengthBytes: number;
	readonly device: BusDevice;
	/** The widest access `device` takes whole. */
	readonly maxSize: AccessSize;
}

/** A capability; hooks get its body in the configuration space, and an offset in it. */
export interface PciCapability {
	readonly id: number;
	/** What follows id and link. */
	readonly body: Uint8Array;
	/** Bits of `body` that drivers may write; missing bytes count as 0. */
	readonly writable?: Uint8Array;
	/** The driver is about to read. Offsets may start before the body, at the id. */
	beforeRead?(body: Uint8Array, offset: number, size: AccessSize): void;
	/** The driver has written. */
	afterWrite?(body: Uint8Array, offset: number, size: AccessSize): void;
}

/** Where a capability's body ended up. */
interface PlacedCapability {
	readonly at: number;
	readonly body: Uint8Array;
	readonly capability: PciCapability;
}

/** One function. */
export class PciFunction {
	/** The whole space. */
	readonly config = new Uint8Array(CONFIG_BYTES);
	readonly #view = new DataView(this.config.buffer);
	readonly #writable = new Uint8Array(CONFIG_BYTES);
	readonly #bars: (PciBar | undefined)[] = Array(BAR_COUNT).fill(undefined);
	readonly #capabilities: PlacedCapability[] = [];
	#nextCapability = FIRST_CAPABILITY;
	#lastLink = PCI_CAPABILITY_LIST;
	#interrupt = false;
	/** Set by the root: where the interrupt pin leads. */
	interruptLine: InterruptLine = { set: () => {} };
	/** Set by the root: BARs may have moved, or answer no longer. */
	onDecodingChanged: () => void = () => {};

	constructor(identity: PciIdentity) {
		const view = this.#view;
		view.setUint16(0, identity.vendorId, true);
		view.setUint16(2, identity.deviceId, true);
		view.setUint32(
			PCI_REVISION_CLASS,
			identity.classCode * 0x100 + identity.revision,
			true,
		);
		view.setUint16(PCI_SUBSYSTEM, identity.subsystemVendorId, true);
		view.setUint16(PCI_SUBSYSTEM + 2, identity.subsystemId, true);
		this.config[PCI_INTERRUPT_PIN] = identity.interruptPin;
		this.#writable[PCI_INTERRUPT_LINE] = 0xff;
		const mask = new DataView(this.#writable.buffer);
		mask.setUint16(PCI_COMMAND, COMMAND_WRITABLE, true);
	}

	get command(): number {
		return this.#view.getUint16(PCI_COMMAND, true);
	}

	/** There are more functions with the same device number. */
	markMultifunction(): void {
		this.config[PCI_HEADER_TYPE] = HEADER_TYPE_MULTIFUNCTION;
	}

	/** The low bits of a BAR are its kind, the next ones zero: so its size is found. */
	setBar(index: number, bar: PciBar): void {
		this.#bars[index] = bar;
		const at = PCI_BAR_0 + 4 * index;
		this.#view.setUint32(at, bar.space === "ports" ? 1 : 0, true);
		const mask = new DataView(this.#writable.buffer);
		mask.setUint32(at, -bar.lengthBytes >>> 0, true);
	}

	/** Each BAR that exists, with its index. */
	bars(): { readonly index: number; readonly bar: PciBar }[] {
		return this.#bars.flatMap((bar, index) =>
			bar === undefined ? [] : [{ index, bar }],
		);
	}

	/** The device behind a BAR, wherever the guest put it, decoded or not. */
	bar(index: number): PciBar | undefined {
		return this.#bars[index];
	}

	/** Appends to the list. */
	addCapability(capability: PciCapability): void {
		const head = this.#nextCapability;
		const at = head + CAPABILITY_HEAD;
		const end = at + capability.body.length;
		if (end > CONFIG_BYTES) throw new Error("capabilities fit into 192 bytes");
		this.config[head] = capability.id;
		this.config.set(capability.body, at);
		this.#writable.set(capability.writable ?? [], at);
		this.config[this.#lastLink] = head;
		this.#lastLink = head + 1;
		this.#nextCapability = (end + 3) & ~3;
		const body = this.config.subarray(at, end);
		this.#capabilities.push({ at, body, capability });
		this.#setStatus(PCI_STATUS_CAP_LIST, true);
	}

	/** Firmware's part: puts a BAR somewhere. */
	placeBar(index: number, address: number): void {
		this.write(PCI_BAR_0 + 4 * index, 4, address);
	}

	/** What the BARs decode at present. */
	ranges(space: "memory" | "ports"): BusRange[] {
		const enable = space === "ports" ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
		if ((this.command & enable) === 0) return [];
		return this.bars()
			.filter(({ bar }) => bar.space === space)
			.map(({ index, bar }) => {
				const value = this.#view.getUint32(PCI_BAR_0 + 4 * index, true);
				return {
					base: (value & -bar.lengthBytes) >>> 0,
					length: bar.lengthBytes,
					device: bar.device,
					maxSize: bar.maxSize,
				};
			});
	}

	/** Drives the interrupt pin, unless the driver has switched that off. */
	setInterrupt(level: boolean): void {
		this.#interrupt = level;
		this.#setStatus(PCI_STATUS_INTERRUPT, level);
		this.#driveInterrupt();
	}

	/** Accesses within the space; the root splits what is not aligned. */
	read(offset: number, size: AccessSize): number {
		if (offset + size > CONFIG_BYTES) return floatingBus(size);
		for (const { at, body, capability } of this.#touched(offset, size)) {
			capability.beforeRead?.(body, offset - at, size);
		}
		if (size === 1) return this.#view.getUint8(offset);
		return size === 2
			? this.#view.getUint16(offset, true)
			: this.#view.getUint32(offset, true);
	}

	write(offset: number, size: AccessSize, value: number): void {
		if (offset + size > CONFIG_BYTES) return;
		for (let i = 0; i < size; i++) {
			const mask = this.#writable[offset + i] ?? 0;
			const kept = (this.config[offset + i] ?? 0) & ~mask;
			this.config[offset + i] = kept | ((value >>> (8 * i)) & mask);
		}
		if (offset < PCI_CAPABILITY_LIST && offset + size > PCI_COMMAND) {
			this.#driveInterrupt();
			this.onDecodingChanged();
		}
		for (const { at, body, capability } of this.#touched(offset, size)) {
			capability.afterWrite?.(body, offset - at, size);
		}
	}

	#touched(offset: number, size: AccessSize): PlacedCapability[] {
		if (offset < FIRST_CAPABILITY) return [];
		return this.#capabilities.filter(
			({ at, body }) => offset < at + body.length && offset + size > at,
		);
	}

	#setStatus(bit: number, on: boolean): void {
		const status = this.#view.getUint16(PCI_STATUS, true);
		this.#view.setUint16(PCI_STATUS, on ? status | bit : status & ~bit, true);
	}

	#driveInterrupt(): void {
		const disabled = (this.command & PCI_COMMAND_INTX_DISABLE) !== 0;
		this.interruptLine.set(this.#interrupt && !disabled);
	}
}
