/**
 * Which frames a driver wants to see (virtio 1.3 §5.1.6.5): those to its own
 * address and to all, and what it asked for besides by way of the control
 * queue. A device may let more through than was asked for, never less; so a
 * list that is too long counts as "everything".
 *
 * Relies on nothing; `net.ts` relies on it.
 *
 * @journey D:163 Frames for somebody else
 */

const ADDRESS_BYTES = 6;
const MOST_ADDRESSES = 256;
const ETHERTYPE_VLAN = 0x8100;

/** The switches of the receive mode, by their command (§5.1.6.5.1). */
export const RX_MODES = [
	"promiscuous",
	"allMulticast",
	"allUnicast",
	"noMulticast",
	"noUnicast",
	"noBroadcast",
] as const;
export type RxMode = (typeof RX_MODES)[number];

/** What one driver wants to receive. */
export class NetFilter {
	/** On until the driver says otherwise: a device that filters nothing. */
	readonly #modes = new Set<RxMode>(["promiscuous"]);
	/** Undefined = all of that kind. */
	#unicast: ReadonlySet<string> | undefined = new Set();
	#multicast: ReadonlySet<string> | undefined = new Set();
	readonly #vlans = new Set<number>();

	setMode(mode: RxMode, on: boolean): void {
		if (on) this.#modes.add(mode);
		else this.#modes.delete(mode);
	}

	/** Two lists of addresses, one after the other, each with its count before it. */
	setTables(unicast: readonly string[], multicast: readonly string[]): void {
		this.#unicast = setOf(unicast);
		this.#multicast = setOf(multicast);
	}

	addVlan(id: number): void {
		this.#vlans.add(id);
	}

	removeVlan(id: number): void {
		this.#vlans.delete(id);
	}

	/** `own`: begins with the address of the device; `filtersVlans`: whether that was negotiated. */
	wants(frame: Uint8Array, own: Uint8Array, filtersVlans: boolean): boolean {
		if (filtersVlans && !this.#wantsVlan(frame)) return false;
		const has = (mode: RxMode) => this.#modes.has(mode);
		if (isBroadcast(frame)) return !has("noBroadcast");
		if (((frame[0] ?? 0) & 1) === 1) {
			if (has("noMulticast")) return false;
			return (
				has("promiscuous") ||
				has("allMulticast") ||
				(this.#multicast?.has(addressOf(frame)) ?? true)
			);
		}
		if (has("noUnicast")) return false;
		return (
			has("promiscuous") ||
			has("allUnicast") ||
			addressOf(own) === addressOf(frame) ||
			(this.#unicast?.has(addressOf(frame)) ?? true)
		);
	}

	#wantsVlan(frame: Uint8Array): boolean {
		const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
		if (type !== ETHERTYPE_VLAN) return true;
		return this.#vlans.has((((frame[14] ?? 0) & 15) << 8) | (frame[15] ?? 0));
	}
}

function setOf(addresses: readonly string[]): Set<string> | undefined {
	return addresses.length > MOST_ADDRESSES ? undefined : new Set(addresses);
}

function isBroadcast(frame: Uint8Array): boolean {
	for (let i = 0; i < ADDRESS_BYTES; i++) if (frame[i] !== 0xff) return false;
	return true;
}

/** The first address in `bytes`, for use as a key. */
export function addressOf(bytes: Uint8Array): string {
	return bytes.subarray(0, ADDRESS_BYTES).join(":");
}
