/**
 * The registers from before virtio 1.0 on PCI, in an I/O BAR (virtio 1.3
 * §4.1.4.8):
 *
 * | Offset      | Width | Access | Name                                        |
 * | ----------- | ----- | ------ | ------------------------------------------- |
 * | 0x00        | 4     | R      | the device's features 0 to 31               |
 * | 0x04        | 4     | RW     | the driver's                                |
 * | 0x08        | 4     | RW     | queue address, in pages of 4096 bytes       |
 * | 0x0c        | 2     | R      | queue size                                  |
 * | 0x0e        | 2     | RW     | queue select                                |
 * | 0x10        | 2     | W      | queue notify                                |
 * | 0x12        | 1     | RW     | device status                               |
 * | 0x13        | 1     | R      | ISR status; reading acknowledges            |
 * | 0x14/0x16   | 2     | RW     | vectors of configuration and queue (MSI-X)  |
 * | 0x14 / 0x18 |       | RW     | the configuration, without / with MSI-X     |
 *
 * Relies on the device's shared half and the vectors of its function.
 *
 * @journey D:173 The registers everybody used to have
 */

import type { AccessSize, BusDevice } from "../../chipset/bus.ts";
import type { VirtioDevice } from "../device.ts";
import type { PciInterrupts } from "./pci-interrupts.ts";
import {
	placeLegacyQueue,
	readConfigValue,
	writeConfigValue,
	writeDriverFeatureWord,
} from "./registers.ts";

/** Pages and alignment of legacy queues on PCI. */
const PAGE_BYTES = 4096;
const CONFIG_OFFSET = 0x14;
const CONFIG_OFFSET_WITH_MESSAGES = 0x18;

/** The size a register's accesses must have, by offset. */
const WIDTHS = new Map<number, AccessSize>([
	...([0x00, 0x04, 0x08] as const).map((at) => [at, 4] as const),
	...([0x0c, 0x0e, 0x10, 0x14, 0x16] as const).map((at) => [at, 2] as const),
	...([0x12, 0x13] as const).map((at) => [at, 1] as const),
]);

/** One device's registers. */
export class PciLegacy implements BusDevice {
	readonly #device: VirtioDevice;
	readonly #interrupts: PciInterrupts;
	#queueSelect = 0;

	constructor(device: VirtioDevice, interrupts: PciInterrupts) {
		this.#device = device;
		this.#interrupts = interrupts;
	}

	/** How much port space a device needs: a power of two. */
	static portBytes(device: VirtioDevice): number {
		const bytes = CONFIG_OFFSET_WITH_MESSAGES + device.model.config.length;
		return Math.max(0x20, 2 ** Math.ceil(Math.log2(bytes)));
	}

	read(offset: number, size: AccessSize): number {
		this.#device.chooseDialect(true);
		const config = this.#configOffset();
		if (offset >= config) {
			return readConfigValue(this.#device, offset - config, size);
		}
		return WIDTHS.get(offset) === size ? this.#readRegister(offset) : 0;
	}

	write(offset: number, size: AccessSize, value: number): void {
		this.#device.chooseDialect(true);
		const config = this.#configOffset();
		if (offset >= config) {
			writeConfigValue(this.#device, offset - config, size, value);
		} else if (WIDTHS.get(offset) === size) {
			this.#writeRegister(offset, value);
		}
	}

	#configOffset(): number {
		return this.#interrupts.usesMessages
			? CONFIG_OFFSET_WITH_MESSAGES
			: CONFIG_OFFSET;
	}

	#readRegister(offset: number): number {
		const device = this.#device;
		const interrupts = this.#interrupts;
		switch (offset) {
			case 0x00:
				return Number(device.offeredFeatures & 0xffff_ffffn);
			case 0x04:
				return Number(device.driverFeatures & 0xffff_ffffn);
			case 0x08:
				return this.#queuePage();
			case 0x0c:
				return device.queueSizeMax(this.#queueSelect);
			case 0x0e:
				return this.#queueSelect;
			case 0x12:
				return device.status;
			case 0x13:
				return interrupts.readIsr();
			case 0x14:
				return interrupts.configVector;
			case 0x16:
				return interrupts.queueVector(this.#queueSelect);
			default:
				return 0;
		}
	}

	#queuePage(): number {
		const device = this.#device;
		if (!device.isQueueEnabled(this.#queueSelect)) return 0;
		const placement = device.queuePlacement(this.#queueSelect);
		return Math.floor((placement?.descriptorArea ?? 0) / PAGE_BYTES);
	}

	#writeRegister(offset: number, value: number): void {
		const device = this.#device;
		const interrupts = this.#interrupts;
		switch (offset) {
			case 0x04:
				writeDriverFeatureWord(device, 0, value);
				return;
			case 0x08:
				this.#placeQueue(value);
				return;
			case 0x0e:
				this.#queueSelect = value;
				return;
			case 0x10:
				device.kick(value);
				return;
			case 0x12:
				if (value === 0) interrupts.reset();
				device.writeStatus(value);
				return;
			case 0x14:
				interrupts.setConfigVector(value);
				return;
			case 0x16:
				interrupts.setQueueVector(this.#queueSelect, value);
		}
	}

	#placeQueue(page: number): void {
		const queue = this.#queueSelect;
		placeLegacyQueue(this.#device, queue, page, PAGE_BYTES, PAGE_BYTES);
	}
}
