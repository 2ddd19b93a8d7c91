/**
 * Ports of parts that this machine does not have but that software touches
 * without asking: the DMA controllers' registers, and port 0x80, which Linux
 * writes to only to wait.
 *
 * What needs no code: the PCI configuration ports 0xCF8 and 0xCFC, a second
 * serial port, VGA and super-I/O stay unclaimed. They read as all ones, which
 * is how each of their drivers recognises that nobody is there. The
 * coprocessor's busy latch 0xF0 is written and never read.
 *
 * Relies on the bus contract; the machine attaches it.
 *
 * @journey P:370 Parts that are not there
 */

import type { AccessSize, PortBus } from "./bus.ts";

/** Page registers keep what is written; the 8237s behind them never transfer. */
export class LegacyPorts {
	/** Ports 0x80 to 0x8F: page registers, of which 0x80 is spare (POST codes). */
	readonly pages = new Uint8Array(16);

	attach(ports: PortBus): void {
		ports.register(0x80, 16, {
			read: (offset) => this.pages[offset] ?? 0,
			write: (offset: number, _size: AccessSize, value: number): void => {
				this.pages[offset] = value;
			},
		});
		// A status of zero: no channel has reached terminal count or asks for DMA.
		const idle = { read: () => 0, write: () => {} };
		ports.register(0x00, 16, idle);
		ports.register(0xc0, 32, idle);
	}
}
