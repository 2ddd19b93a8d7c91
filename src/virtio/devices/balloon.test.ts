import { describe, expect, it } from "vitest";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import {
	VIRTIO_CONFIG_S_NEEDS_RESET,
	VIRTIO_F_EVENT_IDX,
} from "../constants.ts";
import { VirtioDevice } from "../device.ts";
import { MemoryBalloon } from "../memory-balloon.ts";
import {
	Balloon,
	VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
	VIRTIO_BALLOON_F_MUST_TELL_HOST,
	VIRTIO_BALLOON_F_PAGE_POISON,
	VIRTIO_BALLOON_F_PAGE_REPORTING,
	VIRTIO_BALLOON_F_STATS_VQ,
} from "./balloon.ts";

const PAGE = 4096;
const LINUX = [
	VIRTIO_BALLOON_F_MUST_TELL_HOST,
	VIRTIO_BALLOON_F_STATS_VQ,
	VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
	VIRTIO_BALLOON_F_PAGE_REPORTING,
];
const INFLATE = 0;
const DEFLATE = 1;
const STATISTICS = 2;
/** Without the queue of hinting; the specification says 4. */
const REPORTING = 3;

function setUp(accept: readonly number[] = LINUX, targetBytes = 0) {
	const memory = new TestMemory(4 << 20);
	const balloon = new MemoryBalloon({ targetBytes });
	const device = new VirtioDevice(new Balloon(balloon, memory), memory);
	const driver = MockDriver.started(device, memory, { accept });
	return { memory, balloon, device, driver };
}

/** A list of page numbers, as it lies in memory. */
const pages = (...numbers: number[]) =>
	new Uint8Array(Uint32Array.from(numbers).buffer);

/** Entries of tag and value. */
function figures(...entries: readonly (readonly [number, number])[]) {
	const bytes = new Uint8Array(10 * entries.length);
	const view = new DataView(bytes.buffer);
	entries.forEach(([tag, value], index) => {
		view.setUint16(10 * index, tag, true);
		view.setBigUint64(10 * index + 2, BigInt(value), true);
	});
	return bytes;
}

describe("the balloon device", () => {
	it("asks for what it is told to ask for, and says when that changes", () => {
		const { driver, balloon } = setUp(LINUX, 10 * PAGE + 5);
		const target = () => driver.side.readConfig(0, 4)[0];
		expect(target()).toBe(10);
		driver.side.takeInterrupts();
		balloon.targetBytes = 20 * PAGE;
		expect(target()).toBe(20);
		expect(driver.side.takeInterrupts().config).toBe(true);
		balloon.targetBytes = 2 ** 45;
		expect([...driver.side.readConfig(0, 4)]).toEqual([0, 4, 0, 0]);
		expect(() => {
			balloon.targetBytes = -1;
		}).toThrow(RangeError);
	});

	it("lets the guest take memory back in need, if so told", () => {
		const offered = [false, true].map((deflatesOnOom) => {
			const balloon = new MemoryBalloon({ deflatesOnOom });
			return (new Balloon(balloon, new TestMemory()).features >> 2n) & 1n;
		});
		expect(offered).toEqual([0n, 1n]);
	});

	it("takes pages, wipes and counts them, each once", () => {
		const { memory, driver, balloon } = setUp();
		memory.bytes.fill(7, 500 * PAGE, 503 * PAGE);
		driver.queue(INFLATE).exchange(pages(500, 502, 500));
		expect(balloon.returnedBytes).toBe(2 * PAGE);
		expect(
			[500, 501, 502].map((page) => memory.readU8(page * PAGE + 9)),
		).toEqual([0, 7, 0]);
		const returned = [499, 500, 501, 502, 503].map((page) =>
			balloon.isReturned(page * PAGE),
		);
		expect(returned).toEqual([false, true, false, true, false]);
		driver.queue(INFLATE).exchange(pages(502));
		expect(balloon.returnedBytes).toBe(2 * PAGE);
	});

	it("serves drivers that do not promise to tell first, but counts on nothing they say", () => {
		const { driver, balloon } = setUp([]);
		driver.queue(INFLATE).exchange(pages(500));
		expect(balloon.returnedBytes).toBe(PAGE);
		// They may use the page already, so its contents may matter.
		expect(balloon.isReturned(500 * PAGE)).toBe(false);
	});

	it("gives pages back, and is not to be confused by others", () => {
		const { driver, balloon, memory } = setUp();
		driver.queue(INFLATE).exchange(pages(500, 501));
		memory.bytes.fill(7, 502 * PAGE, 503 * PAGE);
		driver.queue(DEFLATE).exchange(pages(501, 502, 501, 0xffff_ffff));
		expect(balloon.returnedBytes).toBe(PAGE);
		expect(balloon.isReturned(501 * PAGE)).toBe(false);
		expect(memory.readU8(502 * PAGE)).toBe(7);
	});

	it("takes nothing that is not memory", () => {
		const { driver, balloon } = setUp();
		driver.queue(INFLATE).exchange(pages(1024, 0xffff_ffff, 1023));
		expect(balloon.returnedBytes).toBe(PAGE);
	});

	it("hears from the driver how large the balloon is", () => {
		const { driver, balloon } = setUp();
		const heard: number[] = [];
		balloon.onChange = () => heard.push(balloon.actualBytes);
		driver.side.writeConfig(4, Uint8Array.of(3, 0, 0, 0));
		expect(heard).toEqual([3 * PAGE]);
		// A byte at a time, the highest last.
		for (const [index, byte] of [5, 1, 0, 0].entries()) {
			driver.side.writeConfig(4 + index, Uint8Array.of(byte));
		}
		expect(balloon.actualBytes).toBe(0x105 * PAGE);
		driver.side.writeConfig(0, Uint8Array.of(9, 9, 9, 9));
		driver.side.writeConfig(8, Uint8Array.of(9, 9, 9, 9));
		expect([...driver.side.readConfig(0, 4)]).toEqual([0, 0, 0, 0]);
		expect([...driver.side.readConfig(8, 4)]).toEqual([0, 0, 0, 0]);
	});

	it("asks the guest for figures, and ignores tags it does not know", async () => {
		const { driver, balloon } = setUp();
		const queue = driver.queue(STATISTICS);
		// The first buffer is there to be asked with; its contents are nobody's.
		queue.send(figures([4, 111]));
		expect(queue.takeUsed()).toEqual([]);
		const asked = [balloon.statistics(), balloon.statistics()];
		expect(queue.takeUsed()).toHaveLength(1);
		queue.send(figures([5, 1000], [77, 1], [4, 600], [0, 1], [9, 2]));
		const answer = {
			...{ totalBytes: 1000, freeBytes: 600 },
			...{ swappedInBytes: 1, hugePageFailures: 2 },
		};
		expect(await Promise.all(asked)).toEqual([answer, answer]);
		const again = balloon.statistics();
		expect(queue.takeUsed()).toHaveLength(1);
		queue.send(figures([4, 500]).subarray(0, 19));
		expect(await again).toEqual({ freeBytes: 500 });
	});

	it("asks as soon as the driver has a buffer for the question", async () => {
		const { driver, balloon } = setUp();
		const asked = balloon.statistics();
		const queue = driver.queue(STATISTICS);
		queue.send(figures());
		expect(queue.takeUsed()).toHaveLength(1);
		queue.send(figures([7, 12]));
		expect(await asked).toEqual({ cacheBytes: 12 });
	});

	it("wants to be kicked for every answer", async () => {
		const { driver, balloon } = setUp([...LINUX, VIRTIO_F_EVENT_IDX]);
		const queue = driver.queue(STATISTICS);
		queue.send(figures());
		for (let round = 0; round < 3; round++) {
			const asked = balloon.statistics();
			expect(queue.takeUsed()).toHaveLength(1);
			queue.offer(figures([4, round]));
			expect(queue.kickWanted()).toBe(true);
			queue.kick();
			expect(await asked).toEqual({ freeBytes: round });
		}
	});

	it("has no figures from a driver that tells none, or that is gone", async () => {
		await expect(new MemoryBalloon().statistics()).rejects.toThrow("no guest");
		const silent = setUp([VIRTIO_BALLOON_F_MUST_TELL_HOST]);
		await expect(silent.balloon.statistics()).rejects.toThrow("tells nothing");
		const { driver, balloon, device } = setUp();
		driver.queue(STATISTICS).send(figures());
		const asked = balloon.statistics();
		device.reset();
		await expect(asked).rejects.toThrow("started over");
		await expect(balloon.statistics()).rejects.toThrow("tells nothing");
	});

	it("wipes what is reported as free, and counts it", () => {
		for (const index of [REPORTING, 4]) {
			const { driver, balloon, memory } = setUp();
			const at = memory.allocate(3 * PAGE, PAGE);
			memory.bytes.fill(7, at, at + 3 * PAGE);
			const queue = driver.queue(index);
			queue.offerRaw([
				{ address: at, length: PAGE, flags: 2 },
				{ address: at + 2 * PAGE, length: PAGE, flags: 2 },
			]);
			queue.kick();
			expect(queue.takeUsed()).toHaveLength(1);
			expect(balloon.reportedBytes).toBe(2 * PAGE);
			const left = [0, 1, 2].map((page) => memory.readU8(at + page * PAGE));
			expect(left).toEqual([0, 7, 0]);
			// It may be used again without a word, so it is not in the balloon.
			expect(balloon.returnedBytes).toBe(0);
		}
	});

	it("leaves reported pages as they are if the guest fills free ones with something (virtio 1.3 §5.5.6.7.2)", () => {
		const { driver, balloon, memory } = setUp([
			...LINUX,
			VIRTIO_BALLOON_F_PAGE_POISON,
		]);
		driver.side.writeConfig(12, Uint8Array.of(0xaa, 0xaa, 0xaa, 0xaa));
		const at = memory.allocate(PAGE, PAGE);
		memory.bytes.fill(0xaa, at, at + PAGE);
		const queue = driver.queue(REPORTING);
		queue.offerRaw([{ address: at, length: PAGE, flags: 2 }]);
		queue.kick();
		expect(queue.takeUsed()).toHaveLength(1);
		expect(memory.readU8(at)).toBe(0xaa);
		expect(balloon.reportedBytes).toBe(0);
	});

	it("takes the third queue for reports from a driver without statistics", () => {
		const { driver, balloon, memory } = setUp([
			...[VIRTIO_BALLOON_F_MUST_TELL_HOST, VIRTIO_BALLOON_F_PAGE_REPORTING],
		]);
		const at = memory.allocate(PAGE, PAGE);
		driver.queue(2).offerRaw([{ address: at, length: PAGE, flags: 2 }]);
		driver.queue(2).kick();
		expect(balloon.reportedBytes).toBe(PAGE);
	});

	it("is empty after a reset, and asks again", () => {
		const { driver, balloon, device } = setUp(LINUX, 5 * PAGE);
		driver.queue(INFLATE).exchange(pages(500));
		driver.side.writeConfig(4, Uint8Array.of(1, 0, 0, 0));
		device.reset();
		expect([balloon.returnedBytes, balloon.actualBytes]).toEqual([0, 0]);
		expect(balloon.isReturned(500 * PAGE)).toBe(false);
		expect([...driver.side.readConfig(0, 8)]).toEqual([
			...[5, 0, 0, 0, 0, 0, 0, 0],
		]);
	});

	it("asks for a reset when a buffer is not what it should be", () => {
		for (const [queue, ...pieces] of [
			[INFLATE, pages(1).subarray(0, 3)],
			[DEFLATE, new Uint8Array(262_148)],
			[INFLATE, pages(1), room(4)],
			[REPORTING, pages(1), room(4096)],
		] as const) {
			const { driver } = setUp();
			driver.queue(queue).send(...pieces);
			const status = driver.side.readStatus();
			expect(status & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
		}
		const two = setUp();
		two.driver.queue(STATISTICS).send(figures());
		two.driver.queue(STATISTICS).send(figures());
		expect(two.driver.side.readStatus() & 0x40).not.toBe(0);
		const greedy = setUp();
		const whole = { address: 0, length: 4 << 20, flags: 2 };
		greedy.driver.queue(REPORTING).offerRaw([whole, whole]);
		greedy.driver.queue(REPORTING).kick();
		expect(greedy.driver.side.readStatus() & 0x40).not.toBe(0);
		expect(greedy.balloon.reportedBytes).toBe(0);
	});
});
