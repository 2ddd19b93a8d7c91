import { describe, expect, it } from "vitest";
import { LoneHost } from "./lone-host.ts";

const OUR_IP = [192, 168, 19, 1];
const OUR_MAC = [2, 0, 0, 0, 0, 9];
const GUEST_IP = [192, 168, 19, 2];
const GUEST_MAC = [2, 0, 0, 0, 0, 1];

function setUp() {
	const host = new LoneHost(Uint8Array.from(OUR_IP), Uint8Array.from(OUR_MAC));
	const answers: Uint8Array[] = [];
	host.onFrame = (frame) => answers.push(frame);
	return { host, answers };
}

const arp = (target: number[]) =>
	Uint8Array.of(
		...[255, 255, 255, 255, 255, 255, ...GUEST_MAC, 8, 6],
		...[0, 1, 8, 0, 6, 4, 0, 1, ...GUEST_MAC, ...GUEST_IP],
		...[0, 0, 0, 0, 0, 0, ...target],
	);

/** An echo request of five bytes. */
const ping = (target: number[]) =>
	Uint8Array.of(
		...[...OUR_MAC, ...GUEST_MAC, 8, 0],
		...[0x45, 0, 0, 33, 0, 7, 0, 0, 64, 1, 0, 0, ...GUEST_IP, ...target],
		...[8, 0, 0, 0, 0x12, 0x34, 0, 1, 1, 2, 3, 4, 5],
	);

describe("a host alone on a cable", () => {
	it("says where it is when asked (RFC 826)", () => {
		const { host, answers } = setUp();
		host.send(arp(OUR_IP));
		expect(answers.map((frame) => [...frame])).toEqual([
			[
				...[...GUEST_MAC, ...OUR_MAC, 8, 6],
				...[0, 1, 8, 0, 6, 4, 0, 2, ...OUR_MAC, ...OUR_IP],
				...[...GUEST_MAC, ...GUEST_IP],
			],
		]);
	});

	it("answers a ping, with a sum that is right (RFC 792)", () => {
		const { host, answers } = setUp();
		host.send(ping(OUR_IP));
		const [answer = new Uint8Array(0)] = answers;
		expect([...answer.subarray(26, 34)]).toEqual([...OUR_IP, ...GUEST_IP]);
		const icmp = answer.subarray(34);
		expect([icmp[0], ...icmp.subarray(8)]).toEqual([0, 1, 2, 3, 4, 5]);
		let sum = 0;
		for (let i = 0; i < icmp.length; i += 2) {
			sum += ((icmp[i] ?? 0) << 8) | (icmp[i + 1] ?? 0);
		}
		expect(((sum >>> 16) + sum) & 0xffff).toBe(0xffff);
	});

	it("is silent to what is for others, and to what is cut short", () => {
		const { host, answers } = setUp();
		host.send(arp([192, 168, 19, 7]));
		host.send(ping([192, 168, 19, 7]));
		for (let length = 0; length < 47; length++) {
			host.send(ping(OUR_IP).subarray(0, length));
			if (length < 42) host.send(arp(OUR_IP).subarray(0, length));
		}
		expect(answers).toEqual([]);
	});
});
