/**
 * Where devices are plugged into a board, for each transport a row of one
 * table. A row makes *sockets*: they give every device its registers and its
 * interrupt, and know what the machine's description must say about them.
 *
 * Relies on the transports' own files; `virtio-slots.ts` relies on it.
 *
 * @journey D:178 A socket for every plug
 */

import type { Aml } from "../chipset/aml.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { VirtioDevice } from "../virtio/device.ts";
import { LGUEST_BYTES_ABOVE_RAM, LguestSockets } from "./lguest-sockets.ts";
import { MmioSockets } from "./mmio-sockets.ts";
import type { Pc } from "./pc.ts";
import { PciSockets } from "./pci-sockets.ts";

/** What sockets are soldered to. */
export interface SocketSurroundings {
	readonly board: Pc;
	readonly memory: GuestMemory;
	/** Memory ends with the transport's pages above RAM, if it has some. */
	readonly ramBytes: number;
	/** An interrupt was raised: a sleeping run loop should look. */
	readonly wake: () => void;
}

/** The sockets of one board. */
export interface Sockets {
	/** Gives the next device its registers and its interrupt. */
	plug(device: VirtioDevice): void;
	/** `Device` objects for the machine's description, once all are plugged. */
	acpiDevices(): readonly Aml[];
	/** The guest's NOTIFY; false where it means nothing. */
	notify?(address: number, lengthBytes: number): boolean;
}

/** One way to reach devices. */
export interface TransportKind {
	/** The rules from before virtio 1.0 hold. */
	readonly legacy: boolean;
	/** Memory that devices and drivers share above RAM, a secret to no one. */
	readonly bytesAboveRam?: number;
	/** Called once for each board. */
	makeSockets(surroundings: SocketSurroundings): Sockets;
}

/** By the names that options and the command line have for them. */
export const TRANSPORTS = {
	pci: {
		legacy: false,
		makeSockets: (surroundings) => new PciSockets(surroundings, false),
	},
	"pci-legacy": {
		legacy: true,
		makeSockets: (surroundings) => new PciSockets(surroundings, true),
	},
	mmio: {
		legacy: false,
		makeSockets: (surroundings) => new MmioSockets(surroundings),
	},
	"mmio-legacy": {
		legacy: true,
		makeSockets: (surroundings) => new MmioSockets(surroundings),
	},
	lguest: {
		legacy: false,
		bytesAboveRam: LGUEST_BYTES_ABOVE_RAM,
		makeSockets: (surroundings) => new LguestSockets(surroundings),
	},
	"lguest-legacy": {
		legacy: true,
		bytesAboveRam: LGUEST_BYTES_ABOVE_RAM,
		makeSockets: (surroundings) => new LguestSockets(surroundings),
	},
} as const satisfies Record<string, TransportKind>;

/** The row of a name. */
export function transportKind(name: TransportName = "pci"): TransportKind {
	return TRANSPORTS[name];
}

export type TransportName = keyof typeof TRANSPORTS;

/** What `--transport` can be. */
export const TRANSPORT_NAMES = Object.keys(
	TRANSPORTS,
) as readonly TransportName[];
