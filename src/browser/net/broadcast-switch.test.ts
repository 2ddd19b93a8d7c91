import { afterEach, describe, expect, it } from "vitest";
import { BroadcastSwitch } from "./broadcast-switch.ts";

const members: BroadcastSwitch[] = [];
afterEach(async () => {
	for (const member of members.splice(0)) await member.close();
});

/** Whose frames make members meet. */
const MEETING = 0xee;

let names = 0;

/** So many members of a switch of their own, who know each other. */
async function join(count: number): Promise<BroadcastSwitch[]> {
	const name = `test ${process.pid} ${names++}`;
	const all = Array.from({ length: count }, () => new BroadcastSwitch(name));
	members.push(...all);
	const [first] = all;
	if (first === undefined) return all;
	// Everybody has heard a frame for all once the last to come has.
	for (const member of all) {
		const others = all.filter((one) => one !== member);
		const heard = others.map(() => false);
		others.forEach((other, index) => {
			other.onFrame = () => {
				heard[index] = true;
			};
		});
		await expect
			.poll(() => {
				member.send(frame(0xff, MEETING));
				return heard.every(Boolean);
			})
			.toBe(true);
	}
	return all;
}

/** To and from addresses that end so; 0xff is for all. */
function frame(to: number, from: number, lengthBytes = 64): Uint8Array {
	const bytes = new Uint8Array(lengthBytes);
	bytes.set(to === 0xff ? new Array(6).fill(0xff) : [2, 0, 0, 0, 0, to]);
	bytes.set([2, 0, 0, 0, 0, from], 6);
	return bytes;
}

function collect(member: BroadcastSwitch): number[] {
	const senders: number[] = [];
	member.onFrame = (bytes) => {
		// Some of those by which they met may still be under way.
		if (bytes[11] !== MEETING) senders.push(bytes[11] ?? 0);
	};
	return senders;
}

describe("A switch without a place", () => {
	it("takes a frame for all to everybody else, once", async () => {
		const [a, b, c] = await join(3);
		if (!a || !b || !c) throw new Error("three were asked for");
		const seen = [a, b, c].map(collect);
		a.send(frame(0xff, 1));
		b.send(frame(0xff, 2));
		await expect.poll(() => seen.flat().length).toBe(4);
		await new Promise((resolve) => setTimeout(resolve, 50));
		expect(seen.map((one) => one.sort())).toEqual([[2], [1], [1, 2]]);
	});

	it("learns who is where, and takes frames for one to that one only", async () => {
		const [a, b, c] = await join(3);
		if (!a || !b || !c) throw new Error("three were asked for");
		const seen = [a, b, c].map(collect);
		b.send(frame(0xff, 2));
		await expect.poll(() => seen[0]).toEqual([2]);
		await expect.poll(() => seen[2]).toEqual([2]);
		a.send(frame(2, 1));
		await expect.poll(() => seen[1]).toEqual([1]);
		expect(seen[2]).toEqual([2]);
	});

	it("loses frames rather than let them wait without end", async () => {
		const [a, b] = await join(2);
		if (!a || !b) throw new Error("two were asked for");
		const lengthBytes = 60_000;
		let bytes = 0;
		b.onFrame = (one) => {
			bytes += one.length;
		};
		// Nobody else gets a turn meanwhile, so nothing is taken.
		for (let i = 0; i < 100; i++) a.send(frame(0xff, 1, lengthBytes));
		await expect.poll(() => bytes).toBeGreaterThan(0);
		await new Promise((resolve) => setTimeout(resolve, 50));
		expect(bytes).toBeLessThanOrEqual(1 << 20);
		// What was taken makes room for more.
		const before = bytes;
		a.send(frame(0xff, 1, lengthBytes));
		await expect.poll(() => bytes).toBe(before + lengthBytes);
	});

	it("forgets a member that has left", async () => {
		const [a, b, c] = await join(3);
		if (!a || !b || !c) throw new Error("three were asked for");
		await b.close();
		const seen = collect(c);
		a.send(frame(2, 1));
		await expect.poll(() => seen).toEqual([1]);
	});
});
