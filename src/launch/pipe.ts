/**
 * A stream of bytes between the two threads, one end of it. Each end may send
 * as much as the other has granted (its *credit*), so a slow reader holds the
 * writer back and never more than a window is under way.
 *
 * Relies on the protocol; the guest's side (`guest-pipe.ts`) and the caller's
 * (`caller-pipe.ts`) rely on it.
 *
 * @journey L:220 Credit
 */

import type { Channel } from "./channel.ts";
import type { PipeMessage } from "./protocol.ts";

/** How much may be under way in each direction. */
export const WINDOW_BYTES = 1 << 18;

/** One end. */
export class PipeEnd {
	/** Something came in, or the other end said that it was all. */
	onArrival: () => void = () => {};
	readonly #channel: Channel;
	readonly #pipe: number;
	readonly #arrived: Uint8Array[] = [];
	#credit = WINDOW_BYTES;
	/** Taken, and not yet granted again. */
	#owed = 0;
	#ended = false;
	/** Sent in this turn of the thread: a guest writes line by line, or byte by byte. */
	readonly #unposted: Uint8Array<ArrayBuffer>[] = [];
	/** Waits for credit. */
	#onCredit: (() => void)[] = [];

	constructor(channel: Channel, pipe: number) {
		this.#channel = channel;
		this.#pipe = pipe;
	}

	/** The other end's last byte has arrived; it may still be here to be taken. */
	get ended(): boolean {
		return this.#ended;
	}

	get isEmpty(): boolean {
		return this.#arrived.length === 0;
	}

	/** What `PipeMessage`s for this pipe say. */
	receive(message: PipeMessage): void {
		switch (message.kind) {
			case "pipe-bytes":
				this.#arrived.push(message.bytes);
				this.onArrival();
				return;
			case "pipe-credit":
				this.#credit += message.bytes;
				for (const resolve of this.#onCredit.splice(0)) resolve();
				return;
			case "pipe-end":
				this.#ended = true;
				this.onArrival();
		}
	}

	/**
	 * Sends all of it within this turn; a promise asks to wait before sending more. One
	 * piece may exceed the credit, which bounds what is under way all the same.
	 */
	send(bytes: Uint8Array): Promise<void> | undefined {
		this.#credit -= bytes.length;
		const isFirst = this.#unposted.push(bytes.slice()) === 1;
		if (isFirst) queueMicrotask(() => this.#post());
		if (this.#credit > 0) return undefined;
		return new Promise((resolve) => {
			this.#onCredit.push(resolve);
		});
	}

	#post(): void {
		const bytes = joined(this.#unposted.splice(0));
		if (bytes.length === 0) return;
		this.#channel.post({ kind: "pipe-bytes", pipe: this.#pipe, bytes }, [
			bytes.buffer,
		]);
	}

	/** Nothing more will be sent. */
	end(): void {
		this.#post();
		this.#channel.post({ kind: "pipe-end", pipe: this.#pipe });
	}

	/** Removes up to `maxBytes` of what came; empty when there is nothing now. */
	take(maxBytes = Number.POSITIVE_INFINITY): Uint8Array {
		const [first] = this.#arrived;
		if (first === undefined) return NOTHING;
		const bytes = first.subarray(0, maxBytes);
		if (bytes.length === first.length) this.#arrived.shift();
		else this.#arrived[0] = first.subarray(bytes.length);
		this.#owed += bytes.length;
		if (this.isEmpty || this.#owed >= WINDOW_BYTES / 4) this.#grant();
		return bytes;
	}

	/** In few messages: a serial port takes 16 bytes at a time. */
	#grant(): void {
		const bytes = this.#owed;
		this.#owed = 0;
		this.#channel.post({ kind: "pipe-credit", pipe: this.#pipe, bytes });
	}

	/** Nobody waits any longer: the guest is gone. */
	release(): void {
		this.#ended = true;
		for (const resolve of this.#onCredit.splice(0)) resolve();
		this.onArrival();
	}
}

const NOTHING = new Uint8Array(0);

function joined(
	pieces: readonly Uint8Array<ArrayBuffer>[],
): Uint8Array<ArrayBuffer> {
	const [first = NOTHING] = pieces;
	if (pieces.length <= 1) return first;
	const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
	const whole = new Uint8Array(length);
	let at = 0;
	for (const piece of pieces) {
		whole.set(piece, at);
		at += piece.length;
	}
	return whole;
}
