/**
 * The cable between the serial port and whoever sits at its other end. Output
 * is collected into pieces worth handing over; input waits with the embedder
 * until the guest takes it, so neither side can fill our memory.
 *
 * Relies on the UART and on the embedder's `ConsoleBackend`; the machine and
 * the run loop rely on it.
 *
 * @journey H:130 The cable
 */

import type { Uart16550 } from "../chipset/uart-16550.ts";

/** The far end, which the embedder implements. */
export interface ConsoleBackend {
	/**
	 * Takes what the guest printed; the array is the callee's to keep. A promise
	 * holds the guest back until there is room for more.
	 */
	write(bytes: Uint8Array): Promise<void> | undefined;
	/** Removes and returns up to `maxBytes` of what was typed; empty = nothing now. */
	read(maxBytes: number): Uint8Array;
	/** Whether more may be typed some day. */
	readonly inputOpen: boolean;
	/** The machine sets it; to be called when `read` has something new. */
	onInput: () => void;
}

/** As much as the largest FIFO of a 16550 takes at once. */
const FEED_BYTES = 16;
/** More than a guest prints in one slice, unless it does nothing else. */
const OUTPUT_BYTES = 16384;

/** Lives as long as the machine; the UART it serves is a new one after each reset. */
export class SerialConsole {
	readonly #backend: ConsoleBackend;
	#uart: Uart16550 | undefined;
	#output = new Uint8Array(OUTPUT_BYTES);
	#outputLength = 0;
	/** Writes that the backend has not finished. */
	#unfinished: Promise<void> | undefined;
	/** What the backend gave and the UART had no room for. */
	#refused = new Uint8Array(0);
	/** Something was typed, or the guest wants something: worth a look. */
	#feedDue = false;

	constructor(backend: ConsoleBackend) {
		this.#backend = backend;
	}

	/** Connects a (new) serial port. */
	plugInto(uart: Uart16550): void {
		this.#uart = uart;
		this.#feedDue = true;
		uart.onTransmit = (byte) => this.#transmit(byte);
		uart.onReceiveSpace = (settled) => {
			this.#feedDue = true;
			if (settled) this.feed();
		};
	}

	/** Something was typed. */
	expectInput(): void {
		this.#feedDue = true;
	}

	/**
	 * Offers the guest what was typed. A driver that opens the port clears the
	 * FIFO, more than once, and a scripted session's first line with it. Hence
	 * two conditions: the guest listens, which is looked at here, and it is not in
	 * the middle of setting up, which it does with interrupts off; that is the
	 * caller's to know.
	 */
	feed(): void {
		if (!this.#feedDue) return;
		this.#feedDue = false;
		const uart = this.#uart;
		while (uart?.listening) {
			const bytes =
				this.#refused.length > 0
					? this.#refused
					: this.#backend.read(FEED_BYTES);
			if (bytes.length === 0) return;
			this.#refused = bytes.slice(uart.receive(bytes));
			// The UART remembers that it refused, and asks when there is room.
			if (this.#refused.length > 0) return;
		}
	}

	/** Hands over what was printed; resolves when the backend can take more. */
	async flush(): Promise<void> {
		this.#handOver();
		const unfinished = this.#unfinished;
		if (unfinished === undefined) return;
		await unfinished;
		if (this.#unfinished === unfinished) this.#unfinished = undefined;
	}

	#transmit(byte: number): void {
		if (this.#outputLength === OUTPUT_BYTES) this.#handOver();
		this.#output[this.#outputLength] = byte;
		this.#outputLength++;
	}

	#handOver(): void {
		if (this.#outputLength === 0) return;
		const bytes = this.#output.slice(0, this.#outputLength);
		this.#outputLength = 0;
		const written = this.#backend.write(bytes);
		if (written === undefined) return;
		const before = this.#unfinished;
		this.#unfinished =
			before === undefined ? written : before.then(() => written);
	}
}
