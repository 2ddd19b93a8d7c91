/**
 * What stands behind the devices of `lguest run`, disks apart: opened before
 * the guest starts, closed when it has ended.
 *
 * Relies on the backends beside it; the run command relies on it.
 *
 * @journey L:147 Opened first, closed last
 */

import type { VirtioOptions } from "../index.ts";
import type { RunOptions } from "./arguments.ts";
import { VsockSockets } from "./vsock-sockets.ts";

/** Opened backends and the machine's options for them. */
export class DeviceBackends {
	readonly virtio: VirtioOptions;
	readonly #open: readonly { close(): Promise<void> }[];

	/** Throws `UsageError` for the first that cannot be opened. */
	static async open({ vsock }: RunOptions): Promise<DeviceBackends> {
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
