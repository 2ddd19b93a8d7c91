/**
 * MSI-X: interrupts as messages, a table of them in a BAR (PCI Local Bus
 * Specification 3.0, "MSI-X Capability and Table Structures").
 *
 * | Part of the BAR | Layout                                               |
 * | --------------- | ---------------------------------------------------- |
 * | table, at 0     | 16 bytes a vector: address low, high, data, control  |
 * | PBA, at 0x800   | one bit a vector: asked for while masked             |
 *
 * Bit 0 of a vector's control masks it. A message is a memory write that the
 * machine carries to whoever lives at the address; whether anybody does is not
 * this file's business.
 *
 * Relies on the bus contract; a function adds `capability` and `bar` to itself.
 *
 * @journey P:377 Messages in place of wires
 */

import type { AccessSize, BusDevice } from "./bus.ts";
import type { PciBar, PciCapability } from "./pci-function.ts";

const CAP_ID_MSIX = 0x11;
const CONTROL_ENABLE = 0x8000;
const CONTROL_FUNCTION_MASK = 0x4000;

const VECTOR_BYTES = 16;
const VECTOR_DATA = 8;
const VECTOR_CONTROL = 12;
const VECTOR_MASKED = 1;
const PENDING_AT = 0x800;
const BAR_BYTES = 0x1000;

/** As many as the table has room for before the PBA. */
export const MSIX_MOST_VECTORS = PENDING_AT / VECTOR_BYTES;

/** A memory write of 32 bits by a device. */
export type SendMessage = (address: number, data: number) => void;

/** One function's messages. */
export class Msix implements BusDevice {
	readonly vectorCount: number;
	readonly bar: PciBar;
	readonly capability: PciCapability;
	readonly #send: SendMessage;
	readonly #table: DataView;
	readonly #pending: Uint8Array;
	/** Message control, as the capability has it. */
	#control = 0;

	/** `vectorCount` is at most `MSIX_MOST_VECTORS`; `barIndex` is where `bar` goes. */
	constructor(vectorCount: number, barIndex: number, send: SendMessage) {
		this.vectorCount = vectorCount;
		this.#send = send;
		this.#table = new DataView(new ArrayBuffer(vectorCount * VECTOR_BYTES));
		this.#pending = new Uint8Array(Math.ceil(vectorCount / 64) * 8);
		for (let vector = 0; vector < vectorCount; vector++) {
			this.#table.setUint32(
				vector * VECTOR_BYTES + VECTOR_CONTROL,
				VECTOR_MASKED,
				true,
			);
		}
		this.bar = {
			space: "memory",
			lengthBytes: BAR_BYTES,
			device: this,
			maxSize: 4,
		};
		this.capability = this.#makeCapability(barIndex);
	}

	/** Whether the driver wants messages; otherwise the function's pin is used. */
	get enabled(): boolean {
		return (this.#control & CONTROL_ENABLE) !== 0;
	}

	/** Sends the vector's message, now or when it is unmasked. */
	fire(vector: number): void {
		if (vector >= this.vectorCount || !this.enabled) return;
		this.#setPending(vector, true);
		this.#sendIfOpen(vector);
	}

	read(offset: number, size: AccessSize): number {
		let value = 0;
		for (let i = size - 1; i >= 0; i--) {
			value = value * 0x100 + this.#byte(offset + i);
		}
		return value;
	}

	/** Only whole dwords (and their halves' order) are defined; others go nowhere. */
	write(offset: number, size: AccessSize, value: number): void {
		if (size !== 4 || offset % 4 !== 0) return;
		if (offset >= this.#table.byteLength) return;
		const isControl = offset % VECTOR_BYTES === VECTOR_CONTROL;
		this.#table.setUint32(offset, isControl ? value & 1 : value, true);
		if (isControl) this.#sendIfOpen(Math.floor(offset / VECTOR_BYTES));
	}

	#makeCapability(barIndex: number): PciCapability {
		const body = new Uint8Array(10);
		const view = new DataView(body.buffer);
		view.setUint16(0, this.vectorCount - 1, true);
		view.setUint32(2, barIndex, true);
		view.setUint32(6, PENDING_AT | barIndex, true);
		const control = CONTROL_ENABLE | CONTROL_FUNCTION_MASK;
		return {
			id: CAP_ID_MSIX,
			body,
			writable: Uint8Array.of(0, control >> 8),
			afterWrite: ([low = 0, high = 0]) => this.#setControl(low | (high << 8)),
		};
	}

	#setControl(control: number): void {
		this.#control = control;
		for (let vector = 0; vector < this.vectorCount; vector++) {
			this.#sendIfOpen(vector);
		}
	}

	#byte(offset: number): number {
		if (offset < this.#table.byteLength) return this.#table.getUint8(offset);
		return this.#pending[offset - PENDING_AT] ?? 0;
	}

	#sendIfOpen(vector: number): void {
		const at = vector * VECTOR_BYTES;
		const masked = this.#table.getUint32(at + VECTOR_CONTROL, true) & 1;
		const closed = !this.enabled || this.#control & CONTROL_FUNCTION_MASK;
		if (masked || closed || !this.#isPending(vector)) return;
		this.#setPending(vector, false);
		// The upper half is for processors beyond 4 GiB, where nobody listens.
		if (this.#table.getUint32(at + 4, true) !== 0) return;
		this.#send(
			this.#table.getUint32(at, true),
			this.#table.getUint32(at + VECTOR_DATA, true),
		);
	}

	#isPending(vector: number): boolean {
		return (((this.#pending[vector >> 3] ?? 0) >> (vector & 7)) & 1) !== 0;
	}

	#setPending(vector: number, on: boolean): void {
		const bit = 1 << (vector & 7);
		const old = this.#pending[vector >> 3] ?? 0;
		this.#pending[vector >> 3] = on ? old | bit : old & ~bit;
	}
}
