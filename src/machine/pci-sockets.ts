/**
 * Devices as cards on the board's PCI bus: slot after slot, and then a second
 * function in each. The root describes itself, so they add nothing to the
 * machine's description.
 *
 * Relies on the PCI transport and the board; `sockets.ts` has it in its table.
 *
 * @journey D:184 Sockets with slots
 */

import type { Aml } from "../chipset/aml.ts";
import type { VirtioDevice } from "../virtio/device.ts";
import { VirtioPci } from "../virtio/transports/pci.ts";
import type { SocketSurroundings, Sockets } from "./sockets.ts";

/** Device 0 is the host bridge. */
const FIRST_SLOT = 1;
const SLOT_COUNT = 31;

/** `legacyOnly` hides the registers of virtio 1.0. */
export class PciSockets implements Sockets {
	readonly #surroundings: SocketSurroundings;
	readonly #legacyOnly: boolean;
	#plugged = 0;

	constructor(surroundings: SocketSurroundings, legacyOnly: boolean) {
		this.#surroundings = surroundings;
		this.#legacyOnly = legacyOnly;
	}

	plug(device: VirtioDevice): void {
		const { board, wake } = this.#surroundings;
		const index = this.#plugged++;
		const { card } = new VirtioPci(device, {
			send: (address, data) => {
				board.sendMessage(address, data);
				wake();
			},
			legacyOnly: this.#legacyOnly,
		});
		const slot = FIRST_SLOT + (index % SLOT_COUNT);
		board.pci.plug(slot, Math.floor(index / SLOT_COUNT), card);
		const { interruptLine } = card;
		card.interruptLine = {
			set: (level) => {
				interruptLine.set(level);
				if (level) wake();
			},
		};
	}

	acpiDevices(): Aml[] {
		return [];
	}
}
