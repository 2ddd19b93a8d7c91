/**
 * What stands behind the devices of a guest in a browser, disks apart: opened
 * before the guest starts, closed when it has ended.
 *
 * Relies on the backends beside it; `launch` and the surroundings rely on it.
 *
 * @journey L:302 Network cards without a network
 */

import type { NetworkOptions, OpenDevices } from "../index.ts";
import { macOfCard } from "../virtio/mac-address.ts";
import { BroadcastSwitch } from "./net/broadcast-switch.ts";

/** A network card on a switch that all guests of this origin find by its name. */
export interface BrowserNet {
	readonly kind: "switch";
	readonly name: string;
	/** As in "02:00:00:00:00:01"; by default one by chance. */
	readonly mac?: string;
}

/** What `launch` takes besides; it can be sent to a guest's thread. */
export interface BrowserDevices {
	/** Network cards, `eth0` and so on. */
	readonly nets?: readonly BrowserNet[];
}

/** For `GuestSurroundings`. Throws `UsageError` for the first that is wrong. */
export async function openBrowserDevices(
	devices: BrowserDevices,
): Promise<OpenDevices> {
	const cards = (devices.nets ?? []).map((net) => ({
		mac: macOfCard(net.mac, crypto.getRandomValues(new Uint8Array(5))),
		name: net.name,
	}));
	const switches: BroadcastSwitch[] = [];
	const networks = cards.map(({ mac, name }): NetworkOptions => {
		const backend = new BroadcastSwitch(name);
		switches.push(backend);
		return { mac, backend };
	});
	const close = async () => {
		for (const one of switches) await one.close();
	};
	return { virtio: { networks }, close };
}
