/**
 * What stands behind the devices of a guest in a browser, disks apart: opened
 * before the guest starts, closed when it has ended.
 *
 * Relies on the backends beside it; `launch` and the surroundings rely on it.
 *
 * @journey L:302 Network cards without a network
 */

import { type NetworkOptions, type OpenDevices, UsageError } from "../index.ts";
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
		mac: net.mac === undefined ? chanceMac() : macOf(net.mac),
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

/** Six bytes; the first one's lowest bit would say that it is many cards' (IEEE 802). */
function macOf(text: string): Uint8Array {
	const isMac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text);
	const mac = Uint8Array.from(text.split(":"), (part) =>
		Number.parseInt(part, 16),
	);
	const isMany = ((mac[0] ?? 0) & 1) === 1;
	if (!isMac || isMany || mac.every((byte) => byte === 0)) {
		throw new UsageError(`"${text}" is no network card's address.`, {
			hint: 'One that nobody has starts with "02:", as in "02:00:00:00:00:01".',
		});
	}
	return mac;
}

/** Nobody's: the second bit says that no maker has given it away. */
function chanceMac(): Uint8Array {
	return Uint8Array.of(0x02, ...crypto.getRandomValues(new Uint8Array(5)));
}
