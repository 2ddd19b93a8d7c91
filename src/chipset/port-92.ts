/**
 * System control port A (0x92): the PS/2's quick way to the A20 gate and to a
 * processor reset. The gate itself lives here too, since the keyboard
 * controller drives the same wire.
 *
 * Relies on the bus contract; the machine wires `onReset`.
 *
 * @journey P:345 Fast A20
 */

import type { AccessSize, PortBus } from "./bus.ts";

/**
 * Address line 20. We start with it open, as every boot loader leaves it.
 * Deviation: a closed gate does not wrap addresses; only a real-mode DOS wants that.
 */
export class A20Gate {
	enabled = true;
}

const PORT92_FAST_RESET = 0x01;
const PORT92_A20 = 0x02;

/** Only a rising reset bit pulses INIT: software writes the port back with the bit set. */
export class Port92 {
	onReset: () => void = () => {};
	resetBit = false;
	readonly #a20: A20Gate;

	constructor(a20: A20Gate) {
		this.#a20 = a20;
	}

	attach(ports: PortBus): void {
		ports.register(0x92, 1, {
			read: () =>
				(this.#a20.enabled ? PORT92_A20 : 0) |
				(this.resetBit ? PORT92_FAST_RESET : 0),
			write: (_offset: number, _size: AccessSize, value: number): void => {
				const before = this.resetBit;
				this.#a20.enabled = (value & PORT92_A20) !== 0;
				this.resetBit = (value & PORT92_FAST_RESET) !== 0;
				if (this.resetBit && !before) this.onReset();
			},
		});
	}
}
