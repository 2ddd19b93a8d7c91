/**
 * Devices on lguest's descriptor page, for the `pc` machine: the page and the
 * rings are above RAM, and interrupts are ordinary IRQs, edge-triggered, which
 * queues share when there are more of them.
 *
 * Relies on the bus and the board; `sockets.ts` has it in its table.
 *
 * @journey D:196 Sockets on a page of bytes
 */

import type { InterruptLine } from "../chipset/bus.ts";
import { LGUEST_DEVICE_PAGES, LGUEST_PAGE_BYTES } from "../lguest/abi.ts";
import type { VirtioDevice } from "../virtio/device.ts";
import { LguestBus } from "../virtio/transports/lguest-bus.ts";
import { FREE_IRQS } from "./pc.ts";
import type { SocketSurroundings, Sockets } from "./sockets.ts";

/** What the bus may take above RAM. */
export const LGUEST_BYTES_ABOVE_RAM = LGUEST_DEVICE_PAGES * LGUEST_PAGE_BYTES;

/** Sockets of either age: the device knows which. */
export class LguestSockets implements Sockets {
	readonly #bus: LguestBus;

	constructor({ board, memory, ramBytes, wake }: SocketSurroundings) {
		const lines = new Map<number, InterruptLine>(
			FREE_IRQS.map((irq) => [irq, board.line(irq)]),
		);
		for (const irq of FREE_IRQS) board.pic.makeEdgeTriggered(irq);
		let given = 0;
		this.#bus = new LguestBus({
			memory,
			pageAddress: ramBytes,
			nextIrq: () => FREE_IRQS[given++ % FREE_IRQS.length] ?? 0,
			raise: (irq) => {
				// An edge needs a low before it.
				lines.get(irq)?.set(false);
				lines.get(irq)?.set(true);
				wake();
			},
		});
	}

	plug(device: VirtioDevice): void {
		this.#bus.plug(device);
	}

	/** A driver finds the page by CPUID. */
	acpiDevices(): [] {
		return [];
	}

	notify(address: number, lengthBytes: number): boolean {
		return this.#bus.notify(address, lengthBytes);
	}
}
