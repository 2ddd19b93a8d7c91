/**
 * The driver's side of virtio-mmio: nothing but register accesses on a bus, as
 * a kernel's driver makes them, for either version.
 */

import type { AccessSize, MmioBus } from "../../src/chipset/bus.ts";
import type { QueuePlacement } from "../../src/virtio/virtqueue.ts";
import type { DriverSide } from "./mock-driver.ts";
import { readBytes, writeBytes } from "./register-bytes.ts";

const PAGE_BYTES = 4096;

/** Drives the device at `base`. */
export class MmioSide implements DriverSide {
	readonly isLegacy: boolean;
	readonly #bus: MmioBus;
	readonly #base: number;

	constructor(bus: MmioBus, base: number) {
		this.#bus = bus;
		this.#base = base;
		this.isLegacy = this.read(0x004) === 1;
	}

	read(offset: number, size: AccessSize = 4): number {
		return this.#bus.read(this.#base + offset, size);
	}

	write(offset: number, value: number, size: AccessSize = 4): void {
		this.#bus.write(this.#base + offset, size, value);
	}

	readFeatures(): bigint {
		const halves = [0, 1].map((select) => {
			this.write(0x014, select);
			return BigInt(this.read(0x010));
		});
		return ((halves[1] ?? 0n) << 32n) | (halves[0] ?? 0n);
	}

	writeFeatures(features: bigint): void {
		// High half first, as Linux does.
		for (const select of [1, 0]) {
			this.write(0x024, select);
			const half = (features >> BigInt(32 * select)) & 0xffff_ffffn;
			this.write(0x020, Number(half));
		}
		if (this.isLegacy) this.write(0x028, PAGE_BYTES);
	}

	readStatus(): number {
		return this.read(0x070);
	}

	writeStatus(status: number): void {
		this.write(0x070, status);
	}

	queueSizeMax(index: number): number {
		this.write(0x030, index);
		return this.read(0x034);
	}

	enableQueue(index: number, placement: QueuePlacement): void {
		this.write(0x030, index);
		this.write(0x038, placement.size);
		if (this.isLegacy) {
			this.write(0x03c, PAGE_BYTES);
			this.write(0x040, placement.descriptorArea / PAGE_BYTES);
			return;
		}
		this.#writeAddress(0x080, placement.descriptorArea);
		this.#writeAddress(0x090, placement.driverArea);
		this.#writeAddress(0x0a0, placement.deviceArea);
		this.write(0x044, 1);
	}

	kick(index: number): void {
		this.write(0x050, index);
	}

	readConfig(offset: number, lengthBytes: number): Uint8Array {
		return readBytes(this.#bus, this.#base + 0x100 + offset, lengthBytes);
	}

	writeConfig(offset: number, bytes: Uint8Array): void {
		writeBytes(this.#bus, this.#base + 0x100 + offset, bytes);
	}

	takeInterrupts(): { queue: boolean; config: boolean } {
		const status = this.read(0x060);
		this.write(0x064, status);
		return { queue: (status & 1) !== 0, config: (status & 2) !== 0 };
	}

	#writeAddress(offset: number, address: number): void {
		this.write(offset, address % 2 ** 32);
		this.write(offset + 4, Math.floor(address / 2 ** 32));
	}
}
