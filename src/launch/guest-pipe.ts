/**
 * The guest's end of a stream between the threads, in the shape of a backend
 * for its serial port or for a port of its virtio console.
 *
 * Relies on the pipe; `guest-server.ts` relies on it.
 *
 * @journey L:225 The guest's end
 */

import type { ConsoleBackend } from "../machine/serial-console.ts";
import type { ConsolePortBackend, ConsoleSize } from "../virtio/backends.ts";
import type { PipeEnd } from "./pipe.ts";

/** Either kind of backend, or both in turn. */
export class GuestPipe implements ConsoleBackend, ConsolePortBackend {
	onInput: () => void = () => {};
	onResize: () => void = () => {};
	onGuestOpen: (open: boolean) => void = () => {};
	/** Present from the start if it is ever to be. */
	size: ConsoleSize | undefined;
	readonly #end: PipeEnd;

	constructor(end: PipeEnd, size?: ConsoleSize) {
		this.#end = end;
		this.size = size;
		end.onArrival = () => this.onInput();
	}

	get inputOpen(): boolean {
		return !this.#end.ended || !this.#end.isEmpty;
	}

	write(bytes: Uint8Array): Promise<void> | undefined {
		return this.#end.send(bytes);
	}

	read(maxBytes: number): Uint8Array {
		return this.#end.take(maxBytes);
	}

	resize(size: ConsoleSize): void {
		this.size = size;
		this.onResize();
	}
}
