/**
 * One port of the console device: bytes to the guest and bytes from it, each
 * held back by whoever is slower. Nothing is kept here but one buffer of the
 * driver's that waits for input.
 *
 * Relies on a `ConsolePortBackend`; `console.ts` relies on it.
 *
 * @journey D:162 One end of a pipe
 */

import type { ConsolePortBackend } from "../backends.ts";
import type { DescriptorChain } from "../descriptor-chain.ts";
import type { DevicePort } from "../device-model.ts";
import type { Virtqueue } from "../virtqueue.ts";

/** How much is handed to the backend, or taken from it, at a time. */
const PIECE_BYTES = 32_768;
/** No driver prints so much at once, and a kick's work must have an end. */
const MOST_OUTPUT_BYTES = 1 << 20;

/** Lives as long as its device; `reset` makes it new. */
export class ConsolePort {
	readonly backend: ConsolePortBackend;
	/** The driver knows of the port. */
	added = false;
	/** The driver is ready for messages about the port. */
	ready = false;
	readonly #device: DevicePort;
	readonly #receiveIndex: number;
	#open = false;
	/** A buffer for which there was no input yet. */
	#waiting: DescriptorChain | undefined;
	/** The backend is not ready for more. */
	#sending = false;
	#onIdle: (() => void)[] = [];

	constructor(
		backend: ConsolePortBackend,
		device: DevicePort,
		receiveIndex: number,
	) {
		this.backend = backend;
		this.#device = device;
		this.#receiveIndex = receiveIndex;
	}

	get busy(): boolean {
		return this.#sending;
	}

	/** Input is taken only while something in the guest has the port open. */
	setOpen(open: boolean): void {
		if (open === this.#open) return;
		this.#open = open;
		this.backend.onGuestOpen?.(open);
		if (open) this.receive();
	}

	reset(): void {
		this.setOpen(false);
		this.added = false;
		this.ready = false;
		this.#waiting = undefined;
	}

	/** Moves input into the driver's buffers, as far as there are both. */
	receive(): void {
		const queue = this.#device.queue(this.#receiveIndex);
		if (queue === undefined || !this.#open) return;
		for (;;) {
			const chain = this.#waiting ?? queue.pop();
			if (chain === undefined) return;
			const { readable, writable } = chain;
			if (readable.lengthBytes > 0 || writable.lengthBytes === 0) {
				this.#device.fail("a receive buffer that cannot be filled");
				return;
			}
			const most = Math.min(PIECE_BYTES, writable.lengthBytes);
			const bytes = this.backend.read(most);
			this.#waiting = bytes.length === 0 ? chain : undefined;
			if (bytes.length === 0) return;
			queue.push(chain, writable.write(0, bytes));
		}
	}

	/** Moves output to the backend, as far as it takes it. */
	transmit(): void {
		const queue = this.#device.queue(this.#receiveIndex + 1);
		while (queue !== undefined && !this.#sending) {
			const chain = queue.pop();
			if (chain === undefined) return;
			const { readable, writable } = chain;
			if (
				writable.lengthBytes > 0 ||
				readable.lengthBytes > MOST_OUTPUT_BYTES
			) {
				this.#device.fail("a transmit buffer that cannot be printed");
				return;
			}
			this.#print(queue, chain, 0);
		}
	}

	/** Resolves when the backend has taken everything it was given. */
	settle(): Promise<void> | undefined {
		if (!this.#sending) return undefined;
		return new Promise((resolve) => {
			this.#onIdle.push(resolve);
		});
	}

	#print(queue: Virtqueue, chain: DescriptorChain, start: number): void {
		const { readable } = chain;
		for (let at = start; at < readable.lengthBytes && chain.alive; ) {
			const piece = readable.read(at, PIECE_BYTES);
			at += piece.length;
			const done = this.backend.write(piece);
			if (done === undefined) continue;
			this.#sending = true;
			const taken = () => {
				this.#sending = false;
				this.#print(queue, chain, at);
				if (!this.#sending) this.#idle();
			};
			// A backend that is gone takes everything: output is lost, not the guest.
			done.then(taken, taken);
			return;
		}
		queue.push(chain, 0);
	}

	#idle(): void {
		this.transmit();
		if (this.#sending) return;
		for (const resolve of this.#onIdle.splice(0)) resolve();
	}
}
