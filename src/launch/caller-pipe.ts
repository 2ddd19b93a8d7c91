/**
 * The caller's end of a stream between the threads, as web streams. The guest
 * is held back by a reader that is slow, but not by one that never came: until
 * somebody reads, the newest output is kept and the rest forgotten.
 *
 * Relies on the pipe; the `Guest` relies on it.
 *
 * @journey L:230 The caller's end
 */

import type { PipeEnd } from "./pipe.ts";

/** What is kept for a reader who comes late. */
const BACKLOG_BYTES = 1 << 18;

/** Two web streams over one pipe. */
export class CallerPipe {
	/** Ends when the guest does. */
	readonly readable: ReadableStream<Uint8Array>;
	/** A write resolves when there is room for another. */
	readonly writable: WritableStream<Uint8Array>;
	readonly #end: PipeEnd;
	/** Whether somebody reads. */
	#attended = false;
	#backlog: Uint8Array[] = [];
	#backlogBytes = 0;
	#wake: () => void = () => {};

	constructor(end: PipeEnd) {
		this.#end = end;
		end.onArrival = () => this.#arrived();
		this.readable = new ReadableStream<Uint8Array>(
			{
				pull: async (controller) => {
					const bytes = await this.#next();
					if (bytes === undefined) controller.close();
					else controller.enqueue(bytes);
				},
				cancel: () => this.#abandon(),
			},
			// Nothing is pulled before somebody asks.
			{ highWaterMark: 0 },
		);
		this.writable = new WritableStream<Uint8Array>({
			write: (bytes) => (end.ended ? undefined : end.send(bytes)),
			close: () => end.end(),
		});
	}

	/** Whatever is there, or comes next; undefined at the end. */
	async #next(): Promise<Uint8Array | undefined> {
		this.#attended = true;
		for (;;) {
			const bytes = this.#backlog.shift() ?? this.#end.take();
			if (bytes.length > 0) return bytes;
			if (this.#end.ended) return undefined;
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	#arrived(): void {
		if (!this.#attended) this.#keepNewest();
		this.#wake();
	}

	#keepNewest(): void {
		for (;;) {
			const bytes = this.#end.take();
			if (bytes.length === 0) return;
			this.#backlog.push(bytes);
			this.#backlogBytes += bytes.length;
			while (this.#backlogBytes > BACKLOG_BYTES) {
				this.#backlogBytes -= this.#backlog.shift()?.length ?? 0;
			}
		}
	}

	#abandon(): void {
		this.#attended = false;
		this.#backlog = [];
		this.#backlogBytes = 0;
		this.#keepNewest();
	}
}
