/**
 * The IOAPIC: 24 inputs, and for each an entry that says which message it is
 * and to whom (Intel 82093AA data sheet, order number 290566).
 *
 * | Index     | Register                                            |
 * | --------- | --------------------------------------------------- |
 * | 0x00      | ID, in bits 24 to 27                                |
 * | 0x01      | version 0x11, and the last entry                    |
 * | 0x02      | arbitration ID                                      |
 * | 0x10–0x3f | entries, low and high word                          |
 *
 * The index goes to offset 0x00 of its page, the register is at 0x10. An input
 * here is on or off: which voltage means on, the entry's polarity bit, is
 * between the guest and the board's designer.
 *
 * Relies on the bus contract; devices hold its inputs, and its messages go to
 * the local APIC.
 *
 * @journey P:315 Twenty-four inputs
 */

import type { AccessSize, BusDevice, InterruptLine } from "./bus.ts";
import { type InterruptMessage, messageFields } from "./interrupt-message.ts";

export const IO_APIC_ADDRESS = 0xfec0_0000;
export const IO_APIC_BYTES = 0x1000;
/** Unlike the processor's. */
export const IO_APIC_ID = 1;
const INPUT_COUNT = 24;

const INDEX_OFFSET = 0x00;
const DATA_OFFSET = 0x10;
const VERSION = 0x11 | ((INPUT_COUNT - 1) << 16);
const FIRST_ENTRY = 0x10;

const ENTRY_LOGICAL = 1 << 11;
const ENTRY_REMOTE_IRR = 1 << 14;
const ENTRY_LEVEL = 1 << 15;
const ENTRY_MASKED = 1 << 16;
/** All but delivery status and remote IRR. */
const ENTRY_WRITABLE = 0x1_afff;

/** One chip. */
export class IoApic implements BusDevice {
	index = 0;
	id = IO_APIC_ID;
	/** Low and high words of the entries. */
	readonly low = new Uint32Array(INPUT_COUNT).fill(ENTRY_MASKED);
	readonly high = new Uint32Array(INPUT_COUNT);
	/** How many of an input's drivers hold it: inputs are wired-OR. */
	readonly #drivers = new Uint16Array(INPUT_COUNT);
	readonly #send: (message: InterruptMessage) => boolean;

	/** `send` says whether a processor took the message, and will tell its end. */
	constructor(send: (message: InterruptMessage) => boolean) {
		this.#send = send;
	}

	/** A new driver for an input. */
	input(pin: number): InterruptLine {
		if (!Number.isInteger(pin) || pin < 0 || pin >= INPUT_COUNT) {
			throw new RangeError(`the IOAPIC has no input ${pin}`);
		}
		let driven = false;
		return {
			set: (level: boolean): void => {
				if (level === driven) return;
				driven = level;
				this.#drive(pin, level ? 1 : -1);
			},
		};
	}

	/** The processor is done with a level-triggered vector: who still asks, asks again. */
	endOfInterrupt(vector: number): void {
		for (let pin = 0; pin < INPUT_COUNT; pin++) {
			const low = this.low[pin] ?? 0;
			if ((low & ENTRY_REMOTE_IRR) === 0 || (low & 0xff) !== vector) continue;
			this.low[pin] = low & ~ENTRY_REMOTE_IRR;
			this.#serveLevel(pin);
		}
	}

	read(offset: number, size: AccessSize): number {
		if (offset === INDEX_OFFSET) return this.index;
		if (offset !== DATA_OFFSET || size !== 4) return 0;
		return this.#readRegister();
	}

	write(offset: number, size: AccessSize, value: number): void {
		if (offset === INDEX_OFFSET) this.index = value & 0xff;
		else if (offset === DATA_OFFSET && size === 4) this.#writeRegister(value);
	}

	#readRegister(): number {
		switch (this.index) {
			case 0x00:
			case 0x02:
				return this.id << 24;
			case 0x01:
				return VERSION;
			default:
				return this.#half()?.words[this.#pin()] ?? 0;
		}
	}

	#writeRegister(value: number): void {
		if (this.index === 0x00) this.id = (value >>> 24) & 0xf;
		const half = this.#half();
		const pin = this.#pin();
		if (half === undefined) return;
		if (half.isHigh) {
			this.high[pin] = value & 0xff00_0000;
			return;
		}
		const kept = (this.low[pin] ?? 0) & ENTRY_REMOTE_IRR;
		const low = (value & ENTRY_WRITABLE) | kept;
		// Edge-triggered entries wait for no end: software clears remote IRR so.
		this.low[pin] = (low & ENTRY_LEVEL) !== 0 ? low : low & ~ENTRY_REMOTE_IRR;
		this.#serveLevel(pin);
	}

	#pin(): number {
		return (this.index - FIRST_ENTRY) >> 1;
	}

	#half(): { words: Uint32Array; isHigh: boolean } | undefined {
		const pin = this.#pin();
		if (pin < 0 || pin >= INPUT_COUNT) return undefined;
		const isHigh = (this.index & 1) !== 0;
		return { words: isHigh ? this.high : this.low, isHigh };
	}

	#drive(pin: number, change: number): void {
		const before = this.#drivers[pin] ?? 0;
		this.#drivers[pin] = before + change;
		if (before !== 0 || change < 0) return;
		const low = this.low[pin] ?? 0;
		if ((low & ENTRY_LEVEL) !== 0) this.#serveLevel(pin);
		// An edge at a masked input is lost.
		else if ((low & ENTRY_MASKED) === 0) this.#deliver(pin);
	}

	#serveLevel(pin: number): void {
		const low = this.low[pin] ?? 0;
		const isLevel = (low & ENTRY_LEVEL) !== 0;
		if (!isLevel || (low & (ENTRY_REMOTE_IRR | ENTRY_MASKED)) !== 0) return;
		if (this.#drivers[pin] === 0) return;
		if (this.#deliver(pin)) this.low[pin] = low | ENTRY_REMOTE_IRR;
	}

	#deliver(pin: number): boolean {
		const low = this.low[pin] ?? 0;
		return this.#send({
			destination: (this.high[pin] ?? 0) >>> 24,
			isLogical: (low & ENTRY_LOGICAL) !== 0,
			...messageFields(low),
		});
	}
}
