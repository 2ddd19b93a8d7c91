/**
 * Virtio over memory-mapped registers (virtio 1.3 §4.2): a page of registers
 * and an interrupt line. Version 2 is today's; version 1 is the legacy layout
 * with one page number for each queue (§4.2.4), which old kernels speak.
 *
 * | Offset      | Access | Name                                              |
 * | ----------- | ------ | ------------------------------------------------- |
 * | 0x000       | R      | MagicValue, "virt"                                |
 * | 0x004       | R      | Version                                           |
 * | 0x008       | R      | DeviceID                                          |
 * | 0x00c       | R      | VendorID                                          |
 * | 0x010/014   | R/W    | DeviceFeatures, DeviceFeaturesSel                 |
 * | 0x020/024   | W      | DriverFeatures, DriverFeaturesSel                 |
 * | 0x028       | W      | GuestPageSize (version 1)                         |
 * | 0x030       | W      | QueueSel                                          |
 * | 0x034/038   | R/W    | QueueSizeMax, QueueSize                           |
 * | 0x03c/040   | W/RW   | QueueAlign, QueuePFN (version 1)                  |
 * | 0x044       | RW     | QueueReady (version 2, as all below without note) |
 * | 0x050       | W      | QueueNotify (both)                                |
 * | 0x060/064   | R/W    | InterruptStatus, InterruptACK (both)              |
 * | 0x070       | RW     | Status (both)                                     |
 * | 0x080/084   | W      | QueueDescLow, QueueDescHigh                       |
 * | 0x090/094   | W      | QueueDriverLow, QueueDriverHigh                   |
 * | 0x0a0/0a4   | W      | QueueDeviceLow, QueueDeviceHigh                   |
 * | 0x0b0–0x0bc | R      | SHMLen, SHMBase: there is no shared memory        |
 * | 0x0fc       | R      | ConfigGeneration                                  |
 * | 0x100–      | RW     | the configuration space (both)                    |
 *
 * Relies on the device's shared half and an interrupt line; the machine puts
 * it on its bus.
 *
 * @journey D:170 A page of registers
 */

import type {
	AccessSize,
	BusDevice,
	InterruptLine,
} from "../../chipset/bus.ts";
import type { VirtioDevice } from "../device.ts";
import {
	featureWord,
	placeLegacyQueue,
	placeQueueArea,
	type QueueArea,
	readConfigValue,
	writeConfigValue,
	writeDriverFeatureWord,
} from "./registers.ts";

/** How much address space one device takes. */
export const VIRTIO_MMIO_BYTES = 0x200;

const MAGIC = 0x74726976;
/** "LGST", which says nothing to any driver. */
const VENDOR = 0x5453474c;

const CONFIG_OFFSET = 0x100;

const INTERRUPT_USED_BUFFER = 1;
const INTERRUPT_CONFIG_CHANGE = 2;

/** One device's registers. */
export class VirtioMmio implements BusDevice {
	readonly device: VirtioDevice;
	readonly #line: InterruptLine;
	#interruptStatus = 0;
	#deviceFeaturesSel = 0;
	#driverFeaturesSel = 0;
	#queueSel = 0;
	/** Version 1: bytes of a page, and of the queues' alignment. */
	#pageBytes = 0;
	#queueAlign = 0;

	/** The version follows from whether the device is legacy. */
	constructor(device: VirtioDevice, line: InterruptLine) {
		this.device = device;
		this.#line = line;
		device.onInterrupt = (cause) => {
			this.#interruptStatus |=
				cause === "queue" ? INTERRUPT_USED_BUFFER : INTERRUPT_CONFIG_CHANGE;
			this.#line.set(true);
		};
	}

	read(offset: number, size: AccessSize): number {
		if (offset >= CONFIG_OFFSET) {
			return readConfigValue(this.device, offset - CONFIG_OFFSET, size);
		}
		// Registers are 32 bits wide (§4.2.2.2); anything else reads as nothing.
		if (size !== 4 || offset % 4 !== 0) return 0;
		return this.#readCommon(offset) ?? this.#readModern(offset) ?? 0;
	}

	write(offset: number, size: AccessSize, value: number): void {
		if (offset >= CONFIG_OFFSET) {
			writeConfigValue(this.device, offset - CONFIG_OFFSET, size, value);
			return;
		}
		if (size !== 4 || offset % 4 !== 0) return;
		if (this.#writeCommon(offset, value)) return;
		if (this.device.isLegacy) this.#writeLegacy(offset, value);
		else this.#writeModern(offset, value);
	}

	#readCommon(offset: number): number | undefined {
		const { device } = this;
		switch (offset) {
			case 0x000:
				return MAGIC;
			case 0x004:
				return device.isLegacy ? 1 : 2;
			case 0x008:
				return device.model.deviceId;
			case 0x00c:
				return VENDOR;
			case 0x010:
				return featureWord(device.offeredFeatures, this.#deviceFeaturesSel);
			case 0x034:
				return device.queueSizeMax(this.#queueSel);
			case 0x040:
				return this.#readQueuePfn();
			case 0x060:
				return this.#interruptStatus;
			case 0x070:
				return device.status;
			default:
				return undefined;
		}
	}

	#readQueuePfn(): number {
		const { device } = this;
		if (!device.isLegacy || !device.isQueueEnabled(this.#queueSel)) return 0;
		const base = device.queuePlacement(this.#queueSel)?.descriptorArea ?? 0;
		return base / this.#pageBytes;
	}

	#readModern(offset: number): number | undefined {
		if (this.device.isLegacy) return undefined;
		switch (offset) {
			case 0x044:
				return this.device.isQueueEnabled(this.#queueSel) ? 1 : 0;
			case 0x0b0:
			case 0x0b4:
			case 0x0b8:
			case 0x0bc:
				// All ones: no such shared memory region (§4.2.2).
				return 0xffff_ffff;
			case 0x0fc:
				return this.device.configGeneration >>> 0;
			default:
				return undefined;
		}
	}

	/** Registers that both versions have; false if this is none of them. */
	#writeCommon(offset: number, value: number): boolean {
		switch (offset) {
			case 0x014:
				this.#deviceFeaturesSel = value;
				return true;
			case 0x020:
				writeDriverFeatureWord(this.device, this.#driverFeaturesSel, value);
				return true;
			case 0x024:
				this.#driverFeaturesSel = value;
				return true;
			case 0x030:
				this.#queueSel = value;
				return true;
			case 0x038:
				this.device.placeQueue(this.#queueSel, { size: value });
				return true;
			case 0x050:
				this.device.kick(value);
				return true;
			case 0x064:
				this.#acknowledge(value);
				return true;
			case 0x070:
				this.#writeStatus(value);
				return true;
			default:
				return false;
		}
	}

	#acknowledge(causes: number): void {
		this.#interruptStatus &= ~causes;
		if (this.#interruptStatus === 0) this.#line.set(false);
	}

	#writeStatus(value: number): void {
		// A reset also withdraws the interrupt (§4.2.2.1).
		if ((value & 0xff) === 0) {
			this.#acknowledge(this.#interruptStatus);
			this.#queueAlign = 0;
		}
		this.device.writeStatus(value & 0xff);
	}

	#writeModern(offset: number, value: number): void {
		switch (offset) {
			case 0x044:
				if ((value & 1) !== 0) this.device.enableQueue(this.#queueSel);
				else this.device.disableQueue(this.#queueSel);
				return;
			case 0x080:
			case 0x084:
				this.#place("descriptorArea", offset === 0x084, value);
				return;
			case 0x090:
			case 0x094:
				this.#place("driverArea", offset === 0x094, value);
				return;
			case 0x0a0:
			case 0x0a4:
				this.#place("deviceArea", offset === 0x0a4, value);
		}
	}

	#place(area: QueueArea, isHigh: boolean, value: number): void {
		placeQueueArea(this.device, this.#queueSel, area, isHigh, value);
	}

	#writeLegacy(offset: number, value: number): void {
		switch (offset) {
			case 0x028:
				this.#pageBytes = value;
				return;
			case 0x03c:
				this.#queueAlign = value;
				return;
			case 0x040:
				this.#writeQueuePfn(value);
		}
	}

	#writeQueuePfn(page: number): void {
		const pageBytes = this.#pageBytes;
		const align = this.#queueAlign || pageBytes;
		placeLegacyQueue(this.device, this.#queueSel, page, pageBytes, align);
	}
}
