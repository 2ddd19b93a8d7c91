/**
 * How a virtio device on PCI interrupts its driver: by its function's pin, with
 * a register that says why, or by MSI-X messages, one for each queue if the
 * driver likes (virtio 1.3 §4.1.4.5 and §4.1.5.1).
 *
 * Relies on the PCI function and its MSI-X table; both kinds of registers rely
 * on it.
 *
 * @journey D:171 A wire or a letter
 */

import type { PciFunction } from "../../chipset/pci-function.ts";
import type { Msix } from "../../chipset/pci-msix.ts";
import type { VirtioDevice } from "../device.ts";

/** No message for this event (virtio 1.3 §4.1.5.1.2). */
export const VIRTIO_MSI_NO_VECTOR = 0xffff;

const ISR_QUEUE = 1;
const ISR_CONFIG = 2;

/** One device's interrupts. */
export class PciInterrupts {
	readonly #card: PciFunction;
	readonly #msix: Msix;
	readonly #queueVectors: Uint16Array;
	#configVector = VIRTIO_MSI_NO_VECTOR;
	#isr = 0;

	constructor(device: VirtioDevice, card: PciFunction, msix: Msix) {
		this.#card = card;
		this.#msix = msix;
		this.#queueVectors = new Uint16Array(device.model.queueSizes.length);
		this.#queueVectors.fill(VIRTIO_MSI_NO_VECTOR);
		device.onInterrupt = (cause, queueIndex) => {
			if (cause === "queue")
				this.#interrupt(ISR_QUEUE, this.queueVector(queueIndex ?? 0));
			else this.#interrupt(ISR_CONFIG, this.#configVector);
		};
	}

	/** Whether messages are on, which also moves the legacy configuration. */
	get usesMessages(): boolean {
		return this.#msix.enabled;
	}

	get configVector(): number {
		return this.#configVector;
	}

	setConfigVector(vector: number): void {
		this.#configVector = this.#checked(vector);
	}

	/** What cannot be is no vector. */
	queueVector(queue: number): number {
		return this.#queueVectors[queue] ?? VIRTIO_MSI_NO_VECTOR;
	}

	setQueueVector(queue: number, vector: number): void {
		if (queue < this.#queueVectors.length) {
			this.#queueVectors[queue] = this.#checked(vector);
		}
	}

	/** Reading acknowledges (virtio 1.3 §4.1.4.5.1). */
	readIsr(): number {
		const isr = this.#isr;
		this.#isr = 0;
		this.#card.setInterrupt(false);
		return isr;
	}

	/** The device starts over: nothing is pending, and no event has a vector. */
	reset(): void {
		this.readIsr();
		this.#configVector = VIRTIO_MSI_NO_VECTOR;
		this.#queueVectors.fill(VIRTIO_MSI_NO_VECTOR);
	}

	/** A vector that does not exist reads back as none (virtio 1.3 §4.1.5.1.2.1). */
	#checked(vector: number): number {
		return vector < this.#msix.vectorCount ? vector : VIRTIO_MSI_NO_VECTOR;
	}

	#interrupt(isrBit: number, vector: number): void {
		if (this.#msix.enabled) {
			// §4.1.4.5.1: the bit of configuration changes is set in any case.
			this.#isr |= isrBit & ISR_CONFIG;
			if (vector !== VIRTIO_MSI_NO_VECTOR) this.#msix.fire(vector);
			return;
		}
		this.#isr |= isrBit;
		this.#card.setInterrupt(true);
	}
}
