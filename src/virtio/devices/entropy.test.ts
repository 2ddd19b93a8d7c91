import { describe, expect, it } from "vitest";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import { VIRTIO_CONFIG_S_NEEDS_RESET } from "../constants.ts";
import { VirtioDevice } from "../device.ts";
import { Entropy } from "./entropy.ts";

function setUp() {
	const memory = new TestMemory();
	let next = 1;
	const fill = (target: Uint8Array) => {
		for (let i = 0; i < target.length; i++) target[i] = next++;
	};
	const device = new VirtioDevice(new Entropy({ fill }), memory);
	return MockDriver.started(device, memory);
}

describe("the entropy device", () => {
	it("fills each buffer with fresh bytes (virtio 1.3 §5.4.6.2)", () => {
		const driver = setUp();
		const queue = driver.queue();
		expect([...queue.exchange(room(3))]).toEqual([1, 2, 3]);
		expect([...queue.exchange(room(1), room(1))]).toEqual([4, 5]);
	});

	it("gives a bounded amount for a buffer without bounds", () => {
		const driver = setUp();
		driver.queue().send(room(100_000));
		const [used] = driver.queue().takeUsed();
		expect(used?.writtenBytes).toBe(4096);
		expect(used?.written[4096]).toBe(0);
	});

	it("asks for a reset when a buffer has no room, or something to read", () => {
		for (const pieces of [[new Uint8Array(4)], [new Uint8Array(1), room(4)]]) {
			const driver = setUp();
			driver.queue().send(...pieces);
			const status = driver.side.readStatus();
			expect(status & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
			expect(driver.queue().takeUsed()).toEqual([]);
		}
	});
});
