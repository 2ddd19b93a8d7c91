/**
 * The network device's control queue (virtio 1.3 §5.1.6.5): the driver sends a
 * class, a command and its data, and reads one byte: done, or not.
 *
 * Relies on descriptor chains and the filter; `net.ts` relies on it.
 *
 * @journey D:164 Orders to the network card
 */

import type { DescriptorChain } from "../descriptor-chain.ts";
import { addressOf, type NetFilter, RX_MODES } from "./net-filter.ts";
import {
	VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
	VIRTIO_NET_F_CTRL_MAC_ADDR,
	VIRTIO_NET_F_CTRL_RX,
	VIRTIO_NET_F_CTRL_RX_EXTRA,
	VIRTIO_NET_F_CTRL_VLAN,
	VIRTIO_NET_F_GUEST_ANNOUNCE,
} from "./net-header.ts";

const VIRTIO_NET_CTRL_RX = 0;
const VIRTIO_NET_CTRL_MAC = 1;
const VIRTIO_NET_CTRL_MAC_TABLE_SET = 0;
const VIRTIO_NET_CTRL_MAC_ADDR_SET = 1;
const VIRTIO_NET_CTRL_VLAN = 2;
const VIRTIO_NET_CTRL_VLAN_ADD = 0;
const VIRTIO_NET_CTRL_VLAN_DEL = 1;
const VIRTIO_NET_CTRL_ANNOUNCE = 3;
const VIRTIO_NET_CTRL_ANNOUNCE_ACK = 0;
const VIRTIO_NET_CTRL_GUEST_OFFLOADS = 5;
const VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET = 0;

const VIRTIO_NET_OK = 0;
const VIRTIO_NET_ERR = 1;
/** A table of this many addresses and no more is looked at. */
const MOST_DATA_BYTES = 64 * 1024;
/** The modes behind the first two came with a feature of their own. */
const EXTRA_MODES_FROM = 2;

/** What an order can change; `net.ts` is that. */
export interface NetControls {
	readonly filter: NetFilter;
	negotiated(feature: number): boolean;
	setAddress(address: Uint8Array): void;
	announced(): void;
	/** A set of guest offloads as feature bits; false = not those that were negotiated. */
	setGuestOffloads(features: bigint): boolean;
}

/** Whether the chain has room for an answer at all. */
export function isOrder(chain: DescriptorChain): boolean {
	return chain.readable.lengthBytes >= 2 && chain.writable.lengthBytes >= 1;
}

/** Does what it says and writes the answer; the length of the answer. */
export function obey(chain: DescriptorChain, controls: NetControls): number {
	const [kind = 0, command = 0] = chain.readable.read(0, 2);
	const data = chain.readable.read(2, MOST_DATA_BYTES);
	const done =
		data.length < MOST_DATA_BYTES && perform(kind, command, data, controls);
	return chain.writable.write(
		0,
		Uint8Array.of(done ? VIRTIO_NET_OK : VIRTIO_NET_ERR),
	);
}

function perform(
	kind: number,
	command: number,
	data: Uint8Array,
	controls: NetControls,
): boolean {
	switch (kind) {
		case VIRTIO_NET_CTRL_RX:
			return setMode(command, data, controls);
		case VIRTIO_NET_CTRL_MAC:
			return command === VIRTIO_NET_CTRL_MAC_TABLE_SET
				? setTables(data, controls)
				: command === VIRTIO_NET_CTRL_MAC_ADDR_SET &&
						setAddress(data, controls);
		case VIRTIO_NET_CTRL_VLAN:
			return setVlan(command, data, controls);
		case VIRTIO_NET_CTRL_ANNOUNCE:
			if (command !== VIRTIO_NET_CTRL_ANNOUNCE_ACK) return false;
			if (!controls.negotiated(VIRTIO_NET_F_GUEST_ANNOUNCE)) return false;
			controls.announced();
			return true;
		case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
			return (
				command === VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET &&
				data.length === 8 &&
				controls.negotiated(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) &&
				controls.setGuestOffloads(viewOf(data).getBigUint64(0, true))
			);
		default:
			return false;
	}
}

function setMode(
	command: number,
	data: Uint8Array,
	controls: NetControls,
): boolean {
	const mode = RX_MODES[command];
	const feature =
		command < EXTRA_MODES_FROM
			? VIRTIO_NET_F_CTRL_RX
			: VIRTIO_NET_F_CTRL_RX_EXTRA;
	if (mode === undefined || data.length !== 1) return false;
	if (!controls.negotiated(feature)) return false;
	controls.filter.setMode(mode, data[0] !== 0);
	return true;
}

/** Unicast addresses, then multicast ones, a 32-bit count before each. */
function setTables(data: Uint8Array, controls: NetControls): boolean {
	if (!controls.negotiated(VIRTIO_NET_F_CTRL_RX)) return false;
	const unicast = readTable(data, 0);
	const multicast = unicast && readTable(data, unicast.end);
	if (multicast?.end !== data.length) return false;
	controls.filter.setTables(unicast?.addresses ?? [], multicast.addresses);
	return true;
}

function readTable(data: Uint8Array, at: number) {
	if (at + 4 > data.length) return undefined;
	const count = viewOf(data).getUint32(at, true);
	const end = at + 4 + count * 6;
	if (end > data.length) return undefined;
	const addresses = Array.from({ length: count }, (_, index) =>
		addressOf(data.subarray(at + 4 + index * 6)),
	);
	return { addresses, end };
}

function setAddress(data: Uint8Array, controls: NetControls): boolean {
	if (!controls.negotiated(VIRTIO_NET_F_CTRL_MAC_ADDR)) return false;
	if (data.length !== 6) return false;
	controls.setAddress(data);
	return true;
}

function setVlan(
	command: number,
	data: Uint8Array,
	{ filter, negotiated }: NetControls,
): boolean {
	if (!negotiated(VIRTIO_NET_F_CTRL_VLAN) || data.length !== 2) return false;
	const id = viewOf(data).getUint16(0, true);
	if (id > 4095) return false;
	if (command === VIRTIO_NET_CTRL_VLAN_ADD) filter.addVlan(id);
	else if (command === VIRTIO_NET_CTRL_VLAN_DEL) filter.removeVlan(id);
	else return false;
	return true;
}

function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
