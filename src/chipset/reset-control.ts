/**
 * The reset control register at port 0xCF9, which the ACPI tables name as the
 * way to reboot.
 *
 * It sits inside the dword 0xCF8, where PCI configuration addresses would go,
 * and answers only to bytes: a dword written there must not reset the machine.
 * That is why this device claims the whole dword until a PCI root does.
 *
 * Relies on the bus contract; the machine wires `onReset`.
 *
 * @journey P:362 Reboot
 */

import {
	type AccessSize,
	type BusDevice,
	floatingBus,
	type PortBus,
} from "./bus.ts";

export const RESET_CONTROL_PORT = 0xcf9;
/** Full reset: SYS_RST (bit 1) chooses a hard one, RST_CPU (bit 2) starts it. */
export const RESET_CONTROL_RESET = 0x06;
const RST_CPU = 0x04;
const STORED_BITS = 0x0a;
const CONFIG_ADDRESS_PORT = 0xcf8;

/** `read` and `write` take offsets from 0xCF8, so that a PCI root can pass bytes on. */
export class ResetControl implements BusDevice {
	onReset: () => void = () => {};
	/** Everything but RST_CPU reads back. */
	value = 0;
	/** The reset starts when RST_CPU goes from 0 to 1. */
	resetBit = false;

	attach(ports: PortBus): void {
		ports.register(CONFIG_ADDRESS_PORT, 4, this, 4);
	}

	read(offset: number, size: AccessSize): number {
		return this.#isOurs(offset, size) ? this.value : floatingBus(size);
	}

	write(offset: number, size: AccessSize, value: number): void {
		if (!this.#isOurs(offset, size)) return;
		const before = this.resetBit;
		this.value = value & STORED_BITS;
		this.resetBit = (value & RST_CPU) !== 0;
		if (this.resetBit && !before) this.onReset();
	}

	#isOurs(offset: number, size: AccessSize): boolean {
		return offset === RESET_CONTROL_PORT - CONFIG_ADDRESS_PORT && size === 1;
	}
}
