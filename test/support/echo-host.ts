/**
 * A host on a guest's network that can do one thing: it answers to 10.0.0.9,
 * and to every ping. With it, one guest is enough to see a network card work in
 * both directions.
 */

import type { NetBackend } from "../../src/virtio/backends.ts";

const ADDRESS = [10, 0, 0, 9];
const MAC = [2, 0, 0, 0, 0, 9];
const ARP = 0x0806;
const IPV4 = 0x0800;
const ICMP = 1;
const ECHO_REQUEST = 8;

/** The backend of the guest's card. */
export class EchoHost implements NetBackend {
	onFrame: (frame: Uint8Array) => void = () => {};

	send(frame: Uint8Array): void {
		const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
		const answer =
			type === ARP ? arpReply(frame) : type === IPV4 ? pong(frame) : undefined;
		if (answer !== undefined) queueMicrotask(() => this.onFrame(answer));
	}
}

const same = (frame: Uint8Array, at: number, bytes: readonly number[]) =>
	bytes.every((byte, i) => frame[at + i] === byte);

/** RFC 826: the question with the sides swapped, and our address filled in. */
function arpReply(frame: Uint8Array): Uint8Array | undefined {
	if (frame[21] !== 1 || !same(frame, 38, ADDRESS)) return undefined;
	const reply = frame.slice(0, 42);
	const asking = frame.subarray(22, 32);
	reply.set(asking.subarray(0, 6), 0);
	reply.set(MAC, 6);
	reply[21] = 2;
	reply.set([...MAC, ...ADDRESS], 22);
	reply.set(asking, 32);
	return reply;
}

/** RFC 792: an echo request becomes its reply; checksums stay true with 8 less. */
function pong(frame: Uint8Array): Uint8Array | undefined {
	const headerBytes = ((frame[14] ?? 0) & 15) * 4;
	const icmp = 14 + headerBytes;
	const isPing = frame[23] === ICMP && frame[icmp] === ECHO_REQUEST;
	if (!isPing || !same(frame, 30, ADDRESS)) return undefined;
	const reply = frame.slice();
	reply.set(frame.subarray(6, 12), 0);
	reply.set(MAC, 6);
	reply.set(ADDRESS, 26);
	reply.set(frame.subarray(26, 30), 30);
	reply[icmp] = 0;
	const view = new DataView(reply.buffer);
	const sum = view.getUint16(icmp + 2) + (ECHO_REQUEST << 8);
	view.setUint16(icmp + 2, (sum & 0xffff) + (sum >> 16));
	return reply;
}
