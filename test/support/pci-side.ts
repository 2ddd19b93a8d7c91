/**
 * The driver's side of virtio on PCI: finds its device through configuration
 * mechanism 1, follows the capabilities to the structures, and from then on
 * uses nothing but registers, as a kernel's driver does. One class for each
 * age of driver; both can switch MSI-X on.
 */

import { type AccessSize, MmioBus, PortBus } from "../../src/chipset/bus.ts";
import { PciRoot } from "../../src/chipset/pci-root.ts";
import { ResetControl } from "../../src/chipset/reset-control.ts";
import type { VirtioDevice } from "../../src/virtio/device.ts";
import {
	VirtioPci,
	type VirtioPciOptions,
} from "../../src/virtio/transports/pci.ts";
import type { QueuePlacement } from "../../src/virtio/virtqueue.ts";
import type { DriverSide } from "./mock-driver.ts";
import { readBytes, writeBytes } from "./register-bytes.ts";

/** A PCI bus as software sees it, by configuration mechanism 1. */
export class PciSpace {
	readonly ports: PortBus;
	readonly mmio: MmioBus;
	/** Interrupts, where the test has somebody who hears them. */
	readonly lines = new Set<number>();
	readonly messages: { address: number; data: number }[] = [];

	constructor(ports: PortBus, mmio: MmioBus) {
		this.ports = ports;
		this.mmio = mmio;
	}

	readConfig(slot: number, register: number, size: AccessSize = 4): number {
		this.#select(slot, register);
		return this.ports.read(0xcfc + (register & 3), size);
	}

	writeConfig(
		slot: number,
		register: number,
		value: number,
		size: AccessSize = 4,
	): void {
		this.#select(slot, register);
		this.ports.write(0xcfc + (register & 3), size, value);
	}

	/** Where capabilities with this id are. */
	capabilities(slot: number, id: number): number[] {
		const found: number[] = [];
		let at = this.readConfig(slot, 0x34, 1);
		while (at !== 0) {
			if (this.readConfig(slot, at, 1) === id) found.push(at);
			at = this.readConfig(slot, at + 1, 1);
		}
		return found;
	}

	barAddress(slot: number, index: number): number {
		const value = this.readConfig(slot, 0x10 + 4 * index);
		return (value & ((value & 1) !== 0 ? ~3 : ~15)) >>> 0;
	}

	#select(slot: number, register: number): void {
		const address = 0x8000_0000 + (slot << 11) + (register & 0xfc);
		this.ports.write(0xcf8, 4, address);
	}
}

/** A root with nothing on it yet, its buses and its eight lines. */
export class PciFixture extends PciSpace {
	readonly root: PciRoot;

	constructor() {
		super(new PortBus(), new MmioBus());
		this.root = new PciRoot({
			interruptLine: (line) => ({
				set: (level) => {
					if (level) this.lines.add(line);
					else this.lines.delete(line);
				},
			}),
			irqOfLine: (line) => 3 + line,
		});
		this.root.attach(this.ports, this.mmio, new ResetControl());
	}

	/** Puts a virtio device into a slot. */
	plug(
		slot: number,
		device: VirtioDevice,
		options: Partial<VirtioPciOptions> = {},
	): void {
		const send = (address: number, data: number) => {
			this.messages.push({ address, data });
		};
		const { card } = new VirtioPci(device, { send, ...options });
		this.root.plug(slot, 0, card);
	}
}

/** What both ages of drivers do alike. */
abstract class PciSide {
	readonly fixture: PciSpace;
	protected readonly slot: number;
	#usesMessages = false;

	constructor(fixture: PciSpace, slot: number) {
		this.fixture = fixture;
		this.slot = slot;
	}

	/** Vector 0 for the configuration, vector 1 + n for queue n, as Linux does. */
	enableMessages(vectorCount: number): void {
		const [at = 0] = this.fixture.capabilities(this.slot, 0x11);
		const table = this.fixture.barAddress(this.slot, 1);
		for (let vector = 0; vector < vectorCount; vector++) {
			const entry = table + 16 * vector;
			this.fixture.mmio.write(entry, 4, 0xfee0_0000);
			this.fixture.mmio.write(entry + 4, 4, 0);
			this.fixture.mmio.write(entry + 8, 4, 0x40 + vector);
			this.fixture.mmio.write(entry + 12, 4, 0);
		}
		this.fixture.writeConfig(this.slot, at + 2, 0x8000, 2);
		this.#usesMessages = true;
	}

	protected get usesMessages(): boolean {
		return this.#usesMessages;
	}

	/** Whether an interrupt is waiting, in either form. */
	get interrupted(): boolean {
		return this.#usesMessages
			? this.fixture.messages.length > 0
			: this.fixture.lines.size > 0;
	}

	takeInterrupts(): { queue: boolean; config: boolean } {
		if (!this.#usesMessages) {
			const isr = this.readIsr();
			return { queue: (isr & 1) !== 0, config: (isr & 2) !== 0 };
		}
		const vectors = this.fixture.messages.splice(0).map(({ data }) => data);
		return {
			queue: vectors.some((vector) => vector > 0x40),
			config: vectors.includes(0x40),
		};
	}

	/** Who resets a device no longer listens to what it has sent before. */
	writeStatus(status: number): void {
		this.setStatus(status);
		if (status === 0) this.fixture.messages.length = 0;
	}

	protected abstract setStatus(status: number): void;
	protected abstract readIsr(): number;
}

/** A driver of virtio 1.0 and later. */
export class ModernPciSide extends PciSide implements DriverSide {
	readonly isLegacy = false;
	readonly #structures = new Map<number, number>();
	readonly #multiplier: number;

	constructor(fixture: PciSpace, slot: number) {
		super(fixture, slot);
		let multiplier = 0;
		for (const at of fixture.capabilities(slot, 0x09)) {
			const type = fixture.readConfig(slot, at + 3, 1);
			const bar = fixture.readConfig(slot, at + 4, 1);
			const offset = fixture.readConfig(slot, at + 8);
			const base = fixture.barAddress(slot, bar);
			this.#structures.set(type, base + offset);
			if (type === 2) multiplier = fixture.readConfig(slot, at + 16);
		}
		this.#multiplier = multiplier;
	}

	read(structure: number, offset: number, size: AccessSize): number {
		return this.fixture.mmio.read(this.#at(structure) + offset, size);
	}

	write(
		structure: number,
		offset: number,
		value: number,
		size: AccessSize,
	): void {
		this.fixture.mmio.write(this.#at(structure) + offset, size, value);
	}

	readFeatures(): bigint {
		const halves = [0, 1].map((select) => {
			this.write(1, 0x00, select, 4);
			return BigInt(this.read(1, 0x04, 4));
		});
		return ((halves[1] ?? 0n) << 32n) | (halves[0] ?? 0n);
	}

	writeFeatures(features: bigint): void {
		for (const select of [0, 1]) {
			this.write(1, 0x08, select, 4);
			const half = (features >> BigInt(32 * select)) & 0xffff_ffffn;
			this.write(1, 0x0c, Number(half), 4);
		}
	}

	readStatus(): number {
		return this.read(1, 0x14, 1);
	}

	protected setStatus(status: number): void {
		this.write(1, 0x14, status, 1);
	}

	queueSizeMax(index: number): number {
		this.write(1, 0x16, index, 2);
		return this.read(1, 0x18, 2);
	}

	enableQueue(index: number, placement: QueuePlacement): void {
		this.write(1, 0x16, index, 2);
		this.write(1, 0x18, placement.size, 2);
		if (this.usesMessages) {
			this.write(1, 0x10, 0, 2);
			this.write(1, 0x1a, 1 + index, 2);
		}
		this.#writeAddress(0x20, placement.descriptorArea);
		this.#writeAddress(0x28, placement.driverArea);
		this.#writeAddress(0x30, placement.deviceArea);
		this.write(1, 0x1c, 1, 2);
	}

	kick(index: number): void {
		this.write(1, 0x16, index, 2);
		const offset = this.read(1, 0x1e, 2) * this.#multiplier;
		this.write(2, offset, index, 2);
	}

	readConfig(offset: number, lengthBytes: number): Uint8Array {
		const base = this.#at(4) + offset;
		return readBytes(this.fixture.mmio, base, lengthBytes);
	}

	writeConfig(offset: number, bytes: Uint8Array): void {
		writeBytes(this.fixture.mmio, this.#at(4) + offset, bytes);
	}

	protected readIsr(): number {
		return this.read(3, 0, 1);
	}

	#at(structure: number): number {
		const at = this.#structures.get(structure);
		if (at === undefined) throw new Error(`there is no structure ${structure}`);
		return at;
	}

	#writeAddress(offset: number, address: number): void {
		this.write(1, offset, address % 2 ** 32, 4);
		this.write(1, offset + 4, Math.floor(address / 2 ** 32), 4);
	}
}

/** A driver from before. */
export class LegacyPciSide extends PciSide implements DriverSide {
	readonly isLegacy = true;
	readonly hasFixedQueueSizes = true;
	readonly #base: number;

	constructor(fixture: PciSpace, slot: number) {
		super(fixture, slot);
		this.#base = fixture.barAddress(slot, 0);
	}

	read(offset: number, size: AccessSize): number {
		return this.fixture.ports.read(this.#base + offset, size);
	}

	write(offset: number, value: number, size: AccessSize): void {
		this.fixture.ports.write(this.#base + offset, size, value);
	}

	readFeatures(): bigint {
		return BigInt(this.read(0x00, 4));
	}

	writeFeatures(features: bigint): void {
		this.write(0x04, Number(features & 0xffff_ffffn), 4);
	}

	readStatus(): number {
		return this.read(0x12, 1);
	}

	protected setStatus(status: number): void {
		this.write(0x12, status, 1);
	}

	queueSizeMax(index: number): number {
		this.write(0x0e, index, 2);
		return this.read(0x0c, 2);
	}

	/** The size is the device's. */
	enableQueue(index: number, placement: QueuePlacement): void {
		this.write(0x0e, index, 2);
		if (this.usesMessages) {
			this.write(0x14, 0, 2);
			this.write(0x16, 1 + index, 2);
		}
		this.write(0x08, Math.floor(placement.descriptorArea / 4096), 4);
	}

	kick(index: number): void {
		this.write(0x10, index, 2);
	}

	readConfig(offset: number, lengthBytes: number): Uint8Array {
		const base = this.#base + this.#config + offset;
		return readBytes(this.fixture.ports, base, lengthBytes);
	}

	writeConfig(offset: number, bytes: Uint8Array): void {
		writeBytes(this.fixture.ports, this.#base + this.#config + offset, bytes);
	}

	protected readIsr(): number {
		return this.read(0x13, 1);
	}

	get #config(): number {
		return this.usesMessages ? 0x18 : 0x14;
	}
}
