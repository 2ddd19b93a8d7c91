/**
 * The registers of virtio 1.0 and later on PCI (virtio 1.3 §4.1.4.3), a
 * structure in a BAR:
 *
 * | Offset    | Width | Access | Name                             |
 * | --------- | ----- | ------ | -------------------------------- |
 * | 0x00/0x04 | 4     | RW/R   | device_feature_select, _feature  |
 * | 0x08/0x0c | 4     | RW     | driver_feature_select, _feature  |
 * | 0x10      | 2     | RW     | config_msix_vector               |
 * | 0x12      | 2     | R      | num_queues                       |
 * | 0x14      | 1     | RW     | device_status; 0 resets          |
 * | 0x15      | 1     | R      | config_generation                |
 * | 0x16      | 2     | RW     | queue_select                     |
 * | 0x18      | 2     | RW     | queue_size                       |
 * | 0x1a      | 2     | RW     | queue_msix_vector                |
 * | 0x1c      | 2     | RW     | queue_enable                     |
 * | 0x1e      | 2     | R      | queue_notify_off                 |
 * | 0x20–0x34 | 4     | RW     | queue_desc, _driver, _device     |
 *
 * Each register answers to its own width and to nothing else; the three
 * addresses are two words of 32 bits each (§4.1.3.1).
 *
 * Relies on the device's shared half and the vectors of its function.
 *
 * @journey D:176 Today's registers
 */

import type { AccessSize, BusDevice } from "../../chipset/bus.ts";
import type { VirtioDevice } from "../device.ts";
import type { PciInterrupts } from "./pci-interrupts.ts";
import {
	featureWord,
	placeQueueArea,
	type QueueArea,
	writeDriverFeatureWord,
} from "./registers.ts";

/** Bytes of the structure. */
export const PCI_COMMON_BYTES = 0x38;

const QUEUE_AREAS: readonly QueueArea[] = [
	"descriptorArea",
	"driverArea",
	"deviceArea",
];
const FIRST_AREA = 0x20;

interface Register {
	readonly width: AccessSize;
	read(): number;
	write?(value: number): void;
}

/** One device's structure. */
export class PciCommon implements BusDevice {
	readonly #device: VirtioDevice;
	readonly #interrupts: PciInterrupts;
	readonly #registers: ReadonlyMap<number, Register>;
	#deviceFeatureSelect = 0;
	#driverFeatureSelect = 0;
	#queueSelect = 0;

	constructor(device: VirtioDevice, interrupts: PciInterrupts) {
		this.#device = device;
		this.#interrupts = interrupts;
		this.#registers = new Map([
			...this.#featureRegisters(),
			...this.#deviceRegisters(),
			...this.#queueRegisters(),
			...this.#areaRegisters(),
		]);
	}

	read(offset: number, size: AccessSize): number {
		const register = this.#registers.get(offset);
		if (register?.width !== size) return 0;
		this.#device.chooseDialect(false);
		return register.read();
	}

	write(offset: number, size: AccessSize, value: number): void {
		const register = this.#registers.get(offset);
		if (register?.width !== size) return;
		this.#device.chooseDialect(false);
		register.write?.(value);
	}

	#featureRegisters(): [number, Register][] {
		const device = this.#device;
		return [
			[
				0x00,
				{
					width: 4,
					read: () => this.#deviceFeatureSelect,
					write: (value) => {
						this.#deviceFeatureSelect = value;
					},
				},
			],
			[
				0x04,
				{
					width: 4,
					read: () =>
						featureWord(device.offeredFeatures, this.#deviceFeatureSelect),
				},
			],
			[
				0x08,
				{
					width: 4,
					read: () => this.#driverFeatureSelect,
					write: (value) => {
						this.#driverFeatureSelect = value;
					},
				},
			],
			[
				0x0c,
				{
					width: 4,
					read: () =>
						featureWord(device.driverFeatures, this.#driverFeatureSelect),
					write: (value) =>
						writeDriverFeatureWord(device, this.#driverFeatureSelect, value),
				},
			],
		];
	}

	#deviceRegisters(): [number, Register][] {
		const device = this.#device;
		const interrupts = this.#interrupts;
		return [
			[
				0x10,
				{
					width: 2,
					read: () => interrupts.configVector,
					write: (value) => interrupts.setConfigVector(value),
				},
			],
			[0x12, { width: 2, read: () => device.model.queueSizes.length }],
			[
				0x14,
				{
					width: 1,
					read: () => device.status,
					write: (value) => this.#writeStatus(value),
				},
			],
			[0x15, { width: 1, read: () => device.configGeneration & 0xff }],
		];
	}

	#writeStatus(value: number): void {
		if (value === 0) this.#interrupts.reset();
		this.#device.writeStatus(value);
	}

	#queueRegisters(): [number, Register][] {
		const device = this.#device;
		const interrupts = this.#interrupts;
		return [
			[
				0x16,
				{
					width: 2,
					read: () => this.#queueSelect,
					write: (value) => {
						this.#queueSelect = value;
					},
				},
			],
			[
				0x18,
				{
					width: 2,
					read: () => device.queuePlacement(this.#queueSelect)?.size ?? 0,
					write: (size) => device.placeQueue(this.#queueSelect, { size }),
				},
			],
			[
				0x1a,
				{
					width: 2,
					read: () => interrupts.queueVector(this.#queueSelect),
					write: (value) => interrupts.setQueueVector(this.#queueSelect, value),
				},
			],
			[
				0x1c,
				{
					width: 2,
					read: () => (device.isQueueEnabled(this.#queueSelect) ? 1 : 0),
					// A driver never writes 0 (§4.1.4.3.2): there is a reset for that.
					write: (value) => {
						if (value === 1) device.enableQueue(this.#queueSelect);
					},
				},
			],
			[0x1e, { width: 2, read: () => this.#notifyOffset() }],
		];
	}

	/** Each queue has a doorbell of its own. */
	#notifyOffset(): number {
		const exists = this.#device.queueSizeMax(this.#queueSelect) > 0;
		return exists ? this.#queueSelect : 0;
	}

	#areaRegisters(): [number, Register][] {
		return QUEUE_AREAS.flatMap((area, index) =>
			[false, true].map((isHigh): [number, Register] => [
				FIRST_AREA + 8 * index + (isHigh ? 4 : 0),
				{
					width: 4,
					read: () => this.#readArea(area, isHigh),
					write: (value) =>
						placeQueueArea(
							this.#device,
							this.#queueSelect,
							area,
							isHigh,
							value,
						),
				},
			]),
		);
	}

	#readArea(area: QueueArea, isHigh: boolean): number {
		const address = this.#device.queuePlacement(this.#queueSelect)?.[area] ?? 0;
		return isHigh ? Math.floor(address / 2 ** 32) : address % 2 ** 32;
	}
}
