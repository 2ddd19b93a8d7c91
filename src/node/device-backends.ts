/**
 * What stands behind the devices of a guest in Node, disks apart: opened before
 * the guest starts, closed when it has ended.
 *
 * Relies on the backends beside it; the run command and `launch` rely on it.
 *
 * @journey L:147 Opened first, closed last
 */

import type { VirtioOptions } from "../index.ts";
import type { OptionValues } from "./options/index.ts";
import { VsockSockets } from "./vsock-sockets.ts";

/** The options that they come from, which can be sent to a guest's thread. */
export type DeviceArguments = Partial<Pick<OptionValues, "vsock">>;

/** The part of some options that is for here. */
export function deviceArguments({ vsock }: DeviceArguments): DeviceArguments {
	return vsock === undefined ? {} : { vsock };
}

/** Opened backends and the machine's options for them. */
export class DeviceBackends {
	readonly virtio: VirtioOptions;
	readonly #open: readonly { close(): Promise<void> }[];

	/** Throws `UsageError` for the first that cannot be opened. */
	static async open({ vsock }: DeviceArguments): Promise<DeviceBackends> {
		if (vsock === undefined) return new DeviceBackends({}, []);
		const { path, guestCid } = vsock;
		const backend = await VsockSockets.open(path);
		const cid = guestCid === undefined ? {} : { guestCid };
		return new DeviceBackends({ vsock: { backend, ...cid } }, [backend]);
	}

	private constructor(
		virtio: VirtioOptions,
		open: readonly { close(): Promise<void> }[],
	) {
		this.virtio = virtio;
		this.#open = open;
	}

	/** Frees everything that others could want. */
	async close(): Promise<void> {
		for (const one of this.#open) await one.close();
	}
}
