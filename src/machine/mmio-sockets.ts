/**
 * Devices as pages of registers: each gets a page and an interrupt, and the
 * ACPI tables tell the kernel where (a device with the id LNRO0005, which
 * Linux's `virtio_mmio` looks for).
 *
 * Relies on the MMIO transport and the board; `sockets.ts` has it in its table.
 *
 * @journey D:182 Sockets with a page each
 */

import {
	type Aml,
	amlDevice,
	amlInteger,
	amlLevelInterrupt,
	amlMemory32,
	amlName,
	amlResources,
	amlString,
} from "../chipset/aml.ts";
import type { InterruptLine } from "../chipset/bus.ts";
import type { VirtioDevice } from "../virtio/device.ts";
import { VIRTIO_MMIO_BYTES, VirtioMmio } from "../virtio/transports/mmio.ts";
import { FREE_IRQS } from "./pc.ts";
import type { SocketSurroundings, Sockets } from "./sockets.ts";

/** Above any RAM the machine can have, below the interrupt controllers. */
const MMIO_BASE = 0xfeb0_0000;
const MMIO_STRIDE = 0x1000;
/** Sockets of either version: the device knows which. */
export class MmioSockets implements Sockets {
	readonly #surroundings: SocketSurroundings;
	#plugged = 0;

	constructor(surroundings: SocketSurroundings) {
		this.#surroundings = surroundings;
	}

	plug(device: VirtioDevice): void {
		const { board } = this.#surroundings;
		const { base, irq } = slot(this.#plugged++);
		const registers = new VirtioMmio(device, this.#line(irq));
		board.mmio.register(base, VIRTIO_MMIO_BYTES, registers);
	}

	acpiDevices(): Aml[] {
		return Array.from({ length: this.#plugged }, (_, index) => describe(index));
	}

	/** Lines are wired-OR: up while any of those who share it needs it. */
	#line(irq: number): InterruptLine {
		const { board, wake } = this.#surroundings;
		const line = board.line(irq);
		return {
			set: (level) => {
				line.set(level);
				if (level) wake();
			},
		};
	}
}

/** More devices than there are interrupts share them. */
function slot(index: number): { base: number; irq: number } {
	return {
		base: MMIO_BASE + index * MMIO_STRIDE,
		irq: FREE_IRQS[index % FREE_IRQS.length] ?? 0,
	};
}

function describe(index: number): Aml {
	const { base, irq } = slot(index);
	return amlDevice(
		`VR${index.toString(16).toUpperCase().padStart(2, "0")}`,
		amlName("_HID", amlString("LNRO0005")),
		amlName("_UID", amlInteger(index)),
		amlName(
			"_CRS",
			amlResources(
				amlMemory32(base, VIRTIO_MMIO_BYTES),
				amlLevelInterrupt(irq),
			),
		),
	);
}
