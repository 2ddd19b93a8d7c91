import { describe, expect, it } from "vitest";
import { FakeDisk } from "../../test/support/fake-disk.ts";
import { MemoryDisk } from "../virtio/memory-disk.ts";
import { watchedDisk } from "./disk-watch.ts";

describe("A watched disk", () => {
	it("tells of a failure once for a row of them, and fails all the same", async () => {
		const disk = new FakeDisk(4096);
		const told: unknown[] = [];
		const watched = watchedDisk(disk, (error) => told.push(error));
		const write = async (outcome: "fail" | "succeed") => {
			const done = watched.write(0, new Uint8Array(512));
			await Promise.all([
				disk.pending.shift()?.[outcome](),
				Promise.resolve(done).catch(() => {}),
			]);
			return done;
		};
		await expect(write("fail")).rejects.toThrow();
		await expect(write("fail")).rejects.toThrow();
		expect(told).toHaveLength(1);
		await write("succeed");
		await expect(write("fail")).rejects.toThrow();
		expect(told).toHaveLength(2);
	});

	it("tells of what is thrown at once, too", () => {
		const told: unknown[] = [];
		const broken = new MemoryDisk(4096);
		broken.read = () => {
			throw new Error("broken");
		};
		const watched = watchedDisk(broken, (error) => told.push(error));
		expect(() => watched.read(0, new Uint8Array(512))).toThrow("broken");
		expect(told.map(String)).toEqual(["Error: broken"]);
	});

	it("is otherwise the same disk", async () => {
		const disk = new MemoryDisk(4096);
		const watched = watchedDisk(disk, () => {});
		await watched.write(512, new Uint8Array(512).fill(5));
		await watched.writeZeroes(512, 1, false);
		const target = new Uint8Array(512);
		await watched.read(512, target);
		expect([target[0], target[1]]).toEqual([0, 5]);
		expect(watched.unmaps).toBe(true);
		expect(watched.discard).toBeDefined();
	});
});
