/**
 * TypeScript's window on one vCPU's state: typed reads and writes by `Field`,
 * for system operations, interrupt delivery and debuggers. Relies on `state.ts`
 * for every offset.
 *
 * 64-bit slots are read as two halves, or as an unsigned `number` where the
 * value is known to be below 2^53; `bigint` only at the edges.
 *
 * @journey E:205 The same state from TypeScript
 */

import { type Field, GPR, segmentOffset } from "./state.ts";

export class StateView {
	/** Where this vCPU's state starts in linear memory. */
	readonly base: number;
	readonly view: DataView;
	readonly #bytes: Uint8Array;

	constructor(buffer: ArrayBufferLike, base: number) {
		this.base = base;
		this.view = new DataView(buffer);
		this.#bytes = new Uint8Array(buffer);
	}

	/** Signed 32 bits; the low half of an 8-byte slot. */
	get32(field: Field, index = 0): number {
		return this.view.getInt32(this.#at(field, index), true);
	}

	set32(field: Field, value: number, index = 0): void {
		this.view.setInt32(this.#at(field, index), value, true);
	}

	/** The low half, unsigned. */
	getU32(field: Field, index = 0): number {
		return this.view.getUint32(this.#at(field, index), true);
	}

	/** An 8-byte slot whose value is below 2^53 (addresses, descriptors' bases). */
	getWide(field: Field, index = 0): number {
		const at = this.#at(field, index);
		return (
			this.view.getUint32(at + 4, true) * 0x1_0000_0000 +
			this.view.getUint32(at, true)
		);
	}

	/** Writes an 8-byte slot from an unsigned number below 2^53. */
	setWide(field: Field, value: number, index = 0): void {
		const at = this.#at(field, index);
		this.view.setUint32(at, value % 0x1_0000_0000, true);
		this.view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
	}

	/** Writes an 8-byte slot from two halves of 32 bits, signed or not. */
	setHalves(field: Field, low: number, high: number, index = 0): void {
		const at = this.#at(field, index);
		this.view.setInt32(at, low, true);
		this.view.setInt32(at + 4, high, true);
	}

	getBig(field: Field, index = 0): bigint {
		return this.view.getBigUint64(this.#at(field, index), true);
	}

	setBig(field: Field, value: bigint, index = 0): void {
		this.view.setBigUint64(this.#at(field, index), value, true);
	}

	/** Writes all elements at once. */
	setAll(field: Field, bytes: Uint8Array): void {
		this.#bytes.set(bytes, this.#at(field, 0));
	}

	getBytes(field: Field, index = 0): Uint8Array {
		return new Uint8Array(
			this.view.buffer,
			this.#at(field, index),
			field.size,
		).slice();
	}

	setBytes(field: Field, bytes: Uint8Array, index = 0): void {
		new Uint8Array(this.view.buffer, this.#at(field, index), field.size).set(
			bytes,
		);
	}

	/** Low 32 bits of a general register, unsigned. */
	gpr32(index: number): number {
		return this.getU32(GPR, index);
	}

	/** Writes 32 bits, zero-extended into the 64-bit register. */
	setGpr32(index: number, value: number): void {
		this.setWide(GPR, value >>> 0, index);
	}

	/** Address of part `byteOffset` of segment register `index` in linear memory. */
	segmentAt(index: number, byteOffset: number): number {
		return this.base + segmentOffset(index) + byteOffset;
	}

	#at(field: Field, index: number): number {
		return this.base + field.offset + index * field.stride;
	}
}
