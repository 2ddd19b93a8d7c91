/**
 * The root of the PCI bus: finds functions by number, for both ways of
 * addressing configuration space, and decodes the BARs that the guest has put
 * into memory and port space. There is one bus, with a host bridge as its
 * device 0.
 *
 * Configuration mechanism 1 is two ports: an address at 0xCF8, data at 0xCFC
 * (PCI Local Bus Specification 3.0, "Configuration Mechanism"). ECAM is a page
 * of memory for each function (PCI Express Base Specification, "PCI Express
 * Enhanced Configuration Access Mechanism").
 *
 * BARs answer where no fixed chip does, so that no guest can put a card over
 * the interrupt controllers; over RAM they are never reached, for the CPU does
 * not ask the bus there.
 *
 * Relies on the bus and on PCI functions; the board makes one, and the sockets
 * of virtio's PCI transport plug functions in. It knows no virtio.
 *
 * @journey P:376 The bus behind the bus
 */

import {
	type AccessSize,
	type BusDevice,
	type BusExtension,
	type BusRange,
	floatingBus,
	type InterruptLine,
	type MmioBus,
	type PortBus,
} from "./bus.ts";
import {
	PCI_COMMAND,
	PCI_COMMAND_IO,
	PCI_COMMAND_MASTER,
	PCI_COMMAND_MEMORY,
	PCI_INTERRUPT_LINE,
	PCI_INTERRUPT_PIN,
	PciFunction,
} from "./pci-function.ts";

/** Where ECAM is: right above the most RAM a machine can have. */
export const PCI_ECAM_ADDRESS = 0xe000_0000;
/** One bus: 256 functions, 4 KiB each. */
export const PCI_ECAM_BYTES = 0x10_0000;
/** What the description leaves for BARs in memory, behind ECAM. */
export const PCI_MEMORY_WINDOW = { base: 0xe010_0000, end: 0xfea0_0000 };
/** Where firmware starts to put BARs. */
const FIRST_MEMORY_BAR = 0xfe00_0000;
const FIRST_PORT_BAR = 0xc000;
const END_OF_PORT_BARS = 0xffff;

const CONFIG_ADDRESS_PORT = 0xcf8;
const CONFIG_DATA_PORT = 0xcfc;
/** Enable, bus, device, function, register: what CONFIG_ADDRESS keeps. */
const CONFIG_ADDRESS_BITS = 0x80ff_fffc;
const CONFIG_ENABLE = 0x8000_0000;

const FUNCTIONS_PER_DEVICE = 8;
const FUNCTION_COUNT = 256;
const ECAM_FUNCTION_BYTES = 0x1000;

/** How interrupt pins are wired: eight lines, shared by turns. */
export const PCI_LINE_COUNT = 8;

/** The line of a device's pin (1 to 4), each next one by one further. */
export function pciLine(device: number, pin: number): number {
	return (device + pin - 1) % PCI_LINE_COUNT;
}

/** What the board gives the root. */
export interface PciRootWires {
	/** A new driver for one of the eight lines. */
	readonly interruptLine: (line: number) => InterruptLine;
	/** What software finds in the interrupt line register: an IRQ of the 8259 pair. */
	readonly irqOfLine: (line: number) => number;
}

/** A host bridge by Red Hat's generic number, which no kernel has a quirk for. */
const hostBridge = () =>
	new PciFunction({
		vendorId: 0x1b36,
		deviceId: 0x0008,
		classCode: 0x06_00_00,
		revision: 0,
		subsystemVendorId: 0x1af4,
		subsystemId: 0x1100,
		interruptPin: 0,
	});

/** One bus and its functions. */
export class PciRoot {
	readonly #wires: PciRootWires;
	readonly #functions: (PciFunction | undefined)[] =
		Array(FUNCTION_COUNT).fill(undefined);
	readonly #memory = new MovingRanges(() => this.#ranges("memory"));
	readonly #ports = new MovingRanges(() => this.#ranges("ports"));
	#configAddress = 0;
	#nextMemoryBar = FIRST_MEMORY_BAR;
	#nextPortBar = FIRST_PORT_BAR;

	constructor(wires: PciRootWires) {
		this.#wires = wires;
		this.plug(0, 0, hostBridge());
	}

	/** `resetControl` is the register that lies at port 0xCF9, within the address. */
	attach(ports: PortBus, mmio: MmioBus, resetControl: BusDevice): void {
		ports.register(CONFIG_ADDRESS_PORT, 4, this.#addressPort(resetControl), 4);
		ports.register(CONFIG_DATA_PORT, 4, this.#dataPort(), 4);
		mmio.register(PCI_ECAM_ADDRESS, PCI_ECAM_BYTES, this.#ecam());
		ports.extension = this.#ports;
		mmio.extension = this.#memory;
	}

	/** Puts a function into a slot, and does what firmware does for it. */
	plug(device: number, functionNumber: number, card: PciFunction): void {
		const number = device * FUNCTIONS_PER_DEVICE + functionNumber;
		if (number >= FUNCTION_COUNT || this.#functions[number] !== undefined) {
			throw new Error(`PCI slot ${device}.${functionNumber} is taken`);
		}
		this.#functions[number] = card;
		if (functionNumber > 0) {
			this.#functions[number - functionNumber]?.markMultifunction();
		}
		card.onDecodingChanged = () => {
			this.#memory.changed();
			this.#ports.changed();
		};
		const pin = card.config[PCI_INTERRUPT_PIN] ?? 0;
		if (pin > 0) {
			const line = pciLine(device, pin);
			card.interruptLine = this.#wires.interruptLine(line);
			card.write(PCI_INTERRUPT_LINE, 1, this.#wires.irqOfLine(line));
		}
		this.#placeBars(card);
	}

	/** Kernels without ACPI take BARs as they find them. */
	#placeBars(card: PciFunction): void {
		let enabled = 0;
		for (const { index, bar } of card.bars()) {
			const isPorts = bar.space === "ports";
			const first = isPorts ? this.#nextPortBar : this.#nextMemoryBar;
			const at = Math.ceil(first / bar.lengthBytes) * bar.lengthBytes;
			const end = isPorts ? END_OF_PORT_BARS : PCI_MEMORY_WINDOW.end;
			// Unplaced and not decoded: what comes too late is left to the guest.
			if (at + bar.lengthBytes > end) continue;
			if (isPorts) this.#nextPortBar = at + bar.lengthBytes;
			else this.#nextMemoryBar = at + bar.lengthBytes;
			card.placeBar(index, at);
			enabled |= isPorts ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
		}
		if (enabled !== 0) {
			card.write(PCI_COMMAND, 2, enabled | PCI_COMMAND_MASTER);
		}
	}

	/** The interrupt pins in use, once for each device. */
	pins(): { readonly device: number; readonly pin: number }[] {
		const found = new Map<number, { device: number; pin: number }>();
		this.#functions.forEach((card, number) => {
			const pin = card?.config[PCI_INTERRUPT_PIN] ?? 0;
			const device = Math.floor(number / FUNCTIONS_PER_DEVICE);
			if (pin > 0) found.set(device * 8 + pin, { device, pin });
		});
		return [...found.values()];
	}

	#ranges(space: "memory" | "ports"): BusRange[] {
		return this.#functions.flatMap((card) => card?.ranges(space) ?? []);
	}

	/** Only a dword is an address; a byte may be the reset control's. */
	#addressPort(resetControl: BusDevice): BusDevice {
		return {
			read: (offset, size) =>
				size === 4 ? this.#configAddress : resetControl.read(offset, size),
			write: (offset, size, value) => {
				if (size !== 4) resetControl.write(offset, size, value);
				else this.#configAddress = (value & CONFIG_ADDRESS_BITS) >>> 0;
			},
		};
	}

	#dataPort(): BusDevice {
		return {
			read: (offset, size) => {
				const card = this.#addressed();
				return card === undefined
					? floatingBus(size)
					: card.read(this.#register(offset), size);
			},
			write: (offset, size, value) => {
				this.#addressed()?.write(this.#register(offset), size, value);
			},
		};
	}

	/** Undefined for other buses, empty slots and while addressing is off. */
	#addressed(): PciFunction | undefined {
		const address = this.#configAddress;
		const bus = (address >>> 16) & 0xff;
		if ((address & CONFIG_ENABLE) === 0 || bus !== 0) return undefined;
		return this.#functions[(address >>> 8) & 0xff];
	}

	#register(offset: number): number {
		return (this.#configAddress & 0xfc) + offset;
	}

	#ecam(): BusDevice {
		const find = (offset: number) =>
			this.#functions[Math.floor(offset / ECAM_FUNCTION_BYTES)];
		return {
			read: (offset: number, size: AccessSize) =>
				find(offset)?.read(offset % ECAM_FUNCTION_BYTES, size) ??
				floatingBus(size),
			write: (offset: number, size: AccessSize, value: number) => {
				find(offset)?.write(offset % ECAM_FUNCTION_BYTES, size, value);
			},
		};
	}
}

/** Ranges that are collected anew after something moved; the first wins. */
class MovingRanges implements BusExtension {
	readonly #collect: () => BusRange[];
	#ranges: readonly BusRange[] | undefined;
	#lastHit: BusRange | undefined;

	constructor(collect: () => BusRange[]) {
		this.#collect = collect;
	}

	changed(): void {
		this.#ranges = undefined;
		this.#lastHit = undefined;
	}

	find(address: number): BusRange | undefined {
		const covers = ({ base, length }: BusRange) =>
			address >= base && address < base + length;
		if (this.#lastHit !== undefined && covers(this.#lastHit)) {
			return this.#lastHit;
		}
		this.#ranges ??= this.#collect();
		const found = this.#ranges.find(covers);
		if (found !== undefined) this.#lastHit = found;
		return found;
	}
}
