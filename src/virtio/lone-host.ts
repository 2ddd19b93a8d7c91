/**
 * The other end of a cable with nobody else on it: an address that answers ARP
 * and ping. That is what a tap device without forwarding was to a guest, and
 * all that can be had of one without privileges.
 *
 * Relies on the network backend contract; the classic command line relies on
 * it. Sources: RFC 826 (ARP), RFC 791 and 792 (IP, ICMP), RFC 1071 (their sum).
 *
 * @journey D:197 Is anybody there?
 */

import type { NetBackend } from "./backends.ts";

const TYPE_AT = 12;
const PAYLOAD_AT = 14;
const TYPE_ARP = 0x0806;
const TYPE_IPV4 = 0x0800;

/** Within an ARP packet for Ethernet and IPv4. */
const ARP_BYTES = 28;
const ARP_OPERATION = 6;
const ARP_SENDER = 8;
const ARP_TARGET_IP = 24;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
/** Hardware address and IP address: one end, as ARP says it. */
const ARP_END_BYTES = 10;

const IP_SOURCE = 12;
const IP_DESTINATION = 16;
const IP_LENGTH = 2;
const IP_FRAGMENT = 6;
const IP_PROTOCOL = 9;
const SHORTEST_IP_HEADER = 20;
const PROTOCOL_ICMP = 1;
const ECHO_REQUEST = 8;
const ECHO_BYTES = 8;

/** One address. Frames for others vanish, as on any cable. */
export class LoneHost implements NetBackend {
	onFrame: (frame: Uint8Array) => void = () => {};
	readonly #ip: Uint8Array;
	readonly #mac: Uint8Array;

	/** `ip`: four bytes; `mac`: six. */
	constructor(ip: Uint8Array, mac: Uint8Array) {
		this.#ip = ip;
		this.#mac = mac;
	}

	send(frame: Uint8Array): void {
		const answer = this.#answer(frame);
		if (answer === undefined) return;
		// Ethernet: back to the sender, from us.
		answer.set(frame.subarray(6, 12), 0);
		answer.set(this.#mac, 6);
		this.onFrame(answer);
	}

	#answer(frame: Uint8Array): Uint8Array | undefined {
		if (frame.length < PAYLOAD_AT + SHORTEST_IP_HEADER) return undefined;
		const type = word(frame, TYPE_AT);
		const payload = frame.subarray(PAYLOAD_AT);
		if (type === TYPE_ARP) return this.#answerArp(frame, payload);
		return type === TYPE_IPV4 ? this.#answerPing(frame, payload) : undefined;
	}

	#answerArp(frame: Uint8Array, arp: Uint8Array): Uint8Array | undefined {
		if (arp.length < ARP_BYTES) return undefined;
		if (word(arp, ARP_OPERATION) !== ARP_REQUEST) return undefined;
		if (!this.#isOurs(arp, ARP_TARGET_IP)) return undefined;
		const answer = frame.slice();
		const reply = answer.subarray(PAYLOAD_AT);
		putWord(reply, ARP_OPERATION, ARP_REPLY);
		const asker = arp.subarray(ARP_SENDER, ARP_SENDER + ARP_END_BYTES);
		reply.set(asker, ARP_SENDER + ARP_END_BYTES);
		reply.set(this.#mac, ARP_SENDER);
		reply.set(this.#ip, ARP_SENDER + this.#mac.length);
		return answer;
	}

	#answerPing(frame: Uint8Array, ip: Uint8Array): Uint8Array | undefined {
		const headerBytes = ((ip[0] ?? 0) & 15) * 4;
		const length = word(ip, IP_LENGTH);
		const isPing =
			(ip[0] ?? 0) >> 4 === 4 &&
			headerBytes >= SHORTEST_IP_HEADER &&
			length >= headerBytes + ECHO_BYTES &&
			length <= ip.length &&
			// Fragments have an offset, or more behind them.
			(word(ip, IP_FRAGMENT) & 0x3fff) === 0 &&
			ip[IP_PROTOCOL] === PROTOCOL_ICMP &&
			ip[headerBytes] === ECHO_REQUEST &&
			this.#isOurs(ip, IP_DESTINATION);
		if (!isPing) return undefined;
		const answer = frame.slice();
		const reply = answer.subarray(PAYLOAD_AT, PAYLOAD_AT + length);
		// Swapping two addresses leaves IP's own sum as it was.
		reply.set(ip.subarray(IP_SOURCE, IP_SOURCE + 4), IP_DESTINATION);
		reply.set(this.#ip, IP_SOURCE);
		const icmp = reply.subarray(headerBytes);
		icmp[0] = 0;
		putWord(icmp, 2, 0);
		putWord(icmp, 2, checksum(icmp));
		return answer;
	}

	#isOurs(bytes: Uint8Array, at: number): boolean {
		return this.#ip.every((byte, i) => bytes[at + i] === byte);
	}
}

/** Ones' complement of the ones' complement sum; the last byte may be alone. */
function checksum(bytes: Uint8Array): number {
	let sum = 0;
	for (let i = 0; i < bytes.length; i += 2) sum += word(bytes, i);
	// A frame has fewer than 2^16 words, so two carries suffice.
	sum = (sum & 0xffff) + (sum >>> 16);
	sum = (sum & 0xffff) + (sum >>> 16);
	return ~sum & 0xffff;
}

function word(bytes: Uint8Array, at: number): number {
	return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function putWord(bytes: Uint8Array, at: number, value: number): void {
	bytes[at] = value >>> 8;
	bytes[at + 1] = value & 0xff;
}
