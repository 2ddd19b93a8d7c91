/**
 * An Ethernet switch that joins guests of one process. It learns which address
 * is behind which port and sends a frame only there; what it does not know yet,
 * and what is for many, goes everywhere but back.
 *
 * Relies on the network backend contract; embedders make one and give each
 * guest a port.
 *
 * @journey D:148 A switch in a room without cables
 */

import type { NetBackend } from "./backends.ts";
import type { FrameOffload } from "./frame-offload.ts";

const ADDRESS_BYTES = 6;
/** Shorter is no frame: two addresses and a type. */
const SHORTEST_FRAME = 14;
/** A guest that invents addresses must not fill our memory. */
const MOST_ADDRESSES = 1024;

/** Make one, and a port for each guest. */
export class NetSwitch {
	readonly #ports = new Set<SwitchPort>();
	/** The address as hex digits → its port; oldest first. */
	readonly #addresses = new Map<string, SwitchPort>();

	/** Another socket. */
	port(): SwitchPort {
		const port = new SwitchPort((frame, offload) =>
			this.#forward(port, frame, offload),
		);
		this.#ports.add(port);
		return port;
	}

	/** Pulls the plug. */
	remove(port: SwitchPort): void {
		this.#ports.delete(port);
		for (const [address, owner] of this.#addresses) {
			if (owner === port) this.#addresses.delete(address);
		}
	}

	#forward(
		from: SwitchPort,
		frame: Uint8Array,
		offload: FrameOffload | undefined,
	): void {
		if (frame.length < SHORTEST_FRAME || !this.#ports.has(from)) return;
		const source = frame.subarray(ADDRESS_BYTES, 2 * ADDRESS_BYTES);
		if (!isForMany(source)) this.#learn(source, from);
		const to = isForMany(frame)
			? undefined
			: this.#addresses.get(textOf(frame));
		if (to !== undefined) {
			if (to !== from) to.onFrame(frame, offload);
			return;
		}
		for (const port of this.#ports) {
			if (port !== from) port.onFrame(frame.slice(), offload);
		}
	}

	#learn(source: Uint8Array, port: SwitchPort): void {
		const address = textOf(source);
		this.#addresses.delete(address);
		if (this.#addresses.size === MOST_ADDRESSES) {
			const [oldest] = this.#addresses.keys();
			if (oldest !== undefined) this.#addresses.delete(oldest);
		}
		this.#addresses.set(address, port);
	}
}

/** A socket of a switch: the backend of a guest's network card. */
export class SwitchPort implements NetBackend {
	readonly takesOffloads = true;
	readonly send: (frame: Uint8Array, offload?: FrameOffload) => void;
	onFrame: (frame: Uint8Array, offload?: FrameOffload) => void = () => {};

	constructor(send: (frame: Uint8Array, offload?: FrameOffload) => void) {
		this.send = send;
	}
}

/** Broadcast or multicast: the lowest bit of the first byte (IEEE 802). */
function isForMany(address: Uint8Array): boolean {
	return ((address[0] ?? 0) & 1) === 1;
}

function textOf(address: Uint8Array): string {
	return Array.from(address.subarray(0, ADDRESS_BYTES), (byte) =>
		byte.toString(16).padStart(2, "0"),
	).join(":");
}
