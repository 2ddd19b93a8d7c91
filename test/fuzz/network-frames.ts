/**
 * Frames with something left to do that contradict themselves in every way:
 * what is made of them stays small, and is no longer than a frame may be.
 */

import { finishFrame } from "../../src/virtio/frame-offload.ts";
import { chance, type Random } from "../support/random.ts";
import type { FuzzTarget } from "./target.ts";

const KINDS = ["tcp4", "tcp6", "udp"] as const;

/** Ethernet, perhaps a VLAN tag, the first byte of IP and plausible lengths. */
function frameFrom(random: Random): Uint8Array {
	const frame = new Uint8Array(14 + random(chance(random, 8) ? 70_000 : 400));
	for (let i = 0; i < Math.min(frame.length, 100); i++) frame[i] = random(256);
	const types = [
		[0x08, 0],
		[0x86, 0xdd],
		[0x81, 0, 0, 1, 0x08, 0],
		[0x81, 0, 0, 1, 0x86, 0xdd],
	];
	const type = types[random(5)] ?? [];
	frame.set(type.slice(0, frame.length - 12), 12);
	const network = 12 + type.length;
	if (network < frame.length && chance(random, 2)) frame[network] = 0x45;
	return frame;
}

function run(random: Random): void {
	const frame = frameFrom(random);
	const { length } = frame;
	const made = finishFrame(frame, {
		checksumStart: chance(random, 2) ? 34 : random(65_536),
		checksumOffset: chance(random, 2) ? 16 : random(65_536),
		...(!chance(random, 4) && {
			segments: {
				kind: KINDS[random(3)] ?? "udp",
				payloadBytes: random(chance(random, 2) ? 65_536 : 2000),
				ecn: chance(random, 2),
			},
		}),
	});
	for (const one of made ?? []) {
		if (one.length > length) throw new Error("a frame has grown");
	}
}

export const NETWORK_FRAMES_TARGET: FuzzTarget = {
	name: "network-frames",
	about: "frames to be cut into segments, and their checksums",
	run,
};
