/**
 * What stands behind the devices of a guest in Node, disks apart: opened before
 * the guest starts, closed when it has ended.
 *
 * Relies on the backends beside it; the run command and `launch` rely on it.
 *
 * @journey L:147 Opened first, closed last
 */

import { randomBytes } from "node:crypto";
import {
	MemoryBalloon,
	type NetworkOptions,
	type VirtioOptions,
	type VsockOptions,
} from "../index.ts";
import { macOfCard } from "../virtio/mac-address.ts";
import { DirectoryShare } from "./directory-share.ts";
import { SharedSwitch } from "./net/shared-switch.ts";
import { StreamNetwork } from "./net/stream-network.ts";
import { TapNetwork } from "./net/tap-network.ts";
import type { OptionValues } from "./options/index.ts";
import type { NetArgument } from "./options/net.ts";
import type { VsockArgument } from "./options/vsock.ts";
import { VsockSockets } from "./vsock-sockets.ts";

/** The options that they come from, which can be sent to a guest's thread. */
export type DeviceArguments = Partial<
	Pick<OptionValues, "balloonBytes" | "nets" | "shares" | "vsock">
>;

/** The part of some options that is for here. */
export function deviceArguments({
	balloonBytes,
	nets,
	shares,
	vsock,
}: DeviceArguments): DeviceArguments {
	return {
		...(balloonBytes !== undefined && { balloonBytes }),
		...(nets !== undefined && { nets }),
		...(shares !== undefined && { shares }),
		...(vsock !== undefined && { vsock }),
	};
}

/** Opened backends and the machine's options for them. */
export class DeviceBackends {
	readonly virtio: VirtioOptions;
	readonly #open: readonly { close(): Promise<void> }[];

	/** Throws `UsageError` for the first that cannot be opened. */
	static async open(options: DeviceArguments): Promise<DeviceBackends> {
		const { balloonBytes, nets = [], shares = [], vsock } = options;
		const open: { close(): Promise<void> }[] = [];
		const opened = <One extends { close(): Promise<void> }>(one: One): One => {
			open.push(one);
			return one;
		};
		const networks: NetworkOptions[] = [];
		for (const net of nets) networks.push(await openNet(net, opened));
		const trees = [];
		for (const { path, tag, readOnly } of shares) {
			const backend = opened(await DirectoryShare.open(path, { readOnly }));
			trees.push({ backend, tag });
		}
		const sockets =
			vsock === undefined ? {} : { vsock: await openVsock(vsock, opened) };
		const balloon =
			balloonBytes === undefined
				? {}
				: { balloon: new MemoryBalloon({ targetBytes: balloonBytes }) };
		const virtio = { networks, shares: trees, ...sockets, ...balloon };
		return new DeviceBackends(virtio, open);
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

async function openVsock(
	{ path, guestCid }: VsockArgument,
	opened: (sockets: VsockSockets) => VsockSockets,
): Promise<VsockOptions> {
	const backend = opened(await VsockSockets.open(path));
	return guestCid === undefined ? { backend } : { backend, guestCid };
}

async function openNet(
	{ kind, name, mac }: NetArgument,
	opened: <One extends { close(): Promise<void> }>(one: One) => One,
): Promise<NetworkOptions> {
	const address = macOfCard(mac, randomBytes(5));
	if (kind === "tap") {
		const backend = opened(await TapNetwork.open(name));
		return { backend, mac: mac === undefined ? backend.mac : address };
	}
	const backend =
		kind === "switch"
			? opened(await SharedSwitch.open(name))
			: opened(await StreamNetwork.open(name));
	return { backend, mac: address };
}
