/**
 * The port by which a test image ends its machine: conformance kernels write
 * their verdict there.
 *
 * Relies on the bus contract; the machine adds it when the user asks for
 * `--debug-exit PORT` and wires `onExit`.
 *
 * @journey P:365 A way out for tests
 */

import type { AccessSize, PortBus } from "./bus.ts";

/** A write of any width up to `lengthBytes` is one verdict; reads give zero. */
export class DebugExit {
	onExit: (value: number) => void = () => {};

	attach(ports: PortBus, base: number, lengthBytes: AccessSize = 4): void {
		ports.register(
			base,
			lengthBytes,
			{
				read: () => 0,
				write: (_offset: number, _size: AccessSize, value: number): void =>
					this.onExit(value),
			},
			lengthBytes,
		);
	}
}
