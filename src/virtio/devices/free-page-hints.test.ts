import { describe, expect, it } from "vitest";
import { MockDriver, TestMemory } from "../../../test/support/mock-driver.ts";
import { VIRTIO_CONFIG_S_NEEDS_RESET } from "../constants.ts";
import { VirtioDevice } from "../device.ts";
import {
	MemoryBalloon,
	BALLOON_PAGE_BYTES as PAGE,
} from "../memory-balloon.ts";
import {
	Balloon,
	VIRTIO_BALLOON_F_FREE_PAGE_HINT,
	VIRTIO_BALLOON_F_PAGE_REPORTING,
	VIRTIO_BALLOON_F_STATS_VQ,
} from "./balloon.ts";
import {
	VIRTIO_BALLOON_CMD_ID_DONE,
	VIRTIO_BALLOON_CMD_ID_STOP,
} from "./free-page-hints.ts";

const LINUX = [
	...[VIRTIO_BALLOON_F_STATS_VQ, VIRTIO_BALLOON_F_FREE_PAGE_HINT],
	VIRTIO_BALLOON_F_PAGE_REPORTING,
];
const HINTS = 3;
const MEMORY_BYTES = 4 << 20;
/** Pages that the driver's queues are nowhere near. */
const FREE = 3 << 20;

function setUp(accept: readonly number[] = LINUX) {
	const memory = new TestMemory(MEMORY_BYTES);
	const balloon = new MemoryBalloon();
	const device = new VirtioDevice(new Balloon(balloon, memory), memory);
	const driver = MockDriver.started(device, memory, { accept });
	const queue = (index: number) => driver.queue(index);
	return {
		...{ memory, balloon, device, driver },
		command: () =>
			new DataView(driver.side.readConfig(8, 4).buffer).getUint32(0, true),
		say: (command: number, index = HINTS) =>
			queue(index).send(new Uint8Array(Uint32Array.of(command).buffer)),
		hint: (address: number, lengthBytes: number, index = HINTS) => {
			queue(index).offerRaw([{ address, length: lengthBytes, flags: 2 }]);
			queue(index).kick();
		},
		needsReset: () =>
			(driver.side.readStatus() & VIRTIO_CONFIG_S_NEEDS_RESET) !== 0,
	};
}

describe("free page hints", () => {
	it("are asked for by a number, counted page by page, and done with when the driver stops", async () => {
		const { balloon, driver, command, say, hint } = setUp();
		expect(command()).toBe(VIRTIO_BALLOON_CMD_ID_STOP);
		driver.side.takeInterrupts();
		const asked = balloon.requestHints();
		const round = command();
		expect(round).toBeGreaterThan(VIRTIO_BALLOON_CMD_ID_DONE);
		expect(driver.side.takeInterrupts().config).toBe(true);
		say(round);
		hint(FREE, 4 * PAGE);
		// Once more a part of it; and parts of pages, which are not free.
		hint(FREE + PAGE, PAGE);
		hint(FREE + 9 * PAGE + 8, 2 * PAGE);
		expect(balloon.hintedBytes).toBe(5 * PAGE);
		expect(command()).toBe(round);
		driver.side.takeInterrupts();
		say(VIRTIO_BALLOON_CMD_ID_STOP);
		expect(command()).toBe(VIRTIO_BALLOON_CMD_ID_DONE);
		expect(driver.side.takeInterrupts().config).toBe(true);
		expect(await asked).toBe(5 * PAGE);
		expect(driver.queue(HINTS).takeUsed()).toHaveLength(5);
		expect([balloon.hintedBytes, balloon.reportedBytes]).toEqual([5 * PAGE, 0]);
	});

	it("are part of the balloon's state", async () => {
		const { balloon, command, say, hint } = setUp([
			VIRTIO_BALLOON_F_FREE_PAGE_HINT,
		]);
		const asked = balloon.requestHints();
		say(command(), 2);
		hint(FREE, 3 * PAGE, 2);
		expect(await balloon.state()).toEqual({
			...{ targetBytes: 0, returnedBytes: 0, actualBytes: 0 },
			...{ reportedBytes: 0, hintedBytes: 3 * PAGE, guest: undefined },
		});
		say(VIRTIO_BALLOON_CMD_ID_STOP, 2);
		expect(await asked).toBe(3 * PAGE);
	});

	it("change nothing in memory, because a page may be in use before its hint is seen", async () => {
		const { balloon, memory, driver, command, say } = setUp();
		const asked = balloon.requestHints();
		say(command());
		const queue = driver.queue(HINTS);
		queue.offerRaw([{ address: FREE, length: 2 * PAGE, flags: 2 }]);
		// Released and written to before the device is told of the buffer.
		memory.bytes.fill(7, FREE, FREE + PAGE);
		queue.kick();
		memory.bytes.fill(9, FREE + PAGE, FREE + 2 * PAGE);
		const before = memory.bytes.slice(FREE, FREE + 2 * PAGE);
		say(VIRTIO_BALLOON_CMD_ID_STOP);
		expect(await asked).toBe(2 * PAGE);
		expect(memory.bytes.slice(FREE, FREE + 2 * PAGE)).toEqual(before);
		expect(balloon.isReturned(FREE)).toBe(false);
	});

	it("count only with the number that was asked with", async () => {
		const { balloon, command, say, hint } = setUp();
		// Nobody has asked.
		say(2);
		hint(FREE, PAGE);
		say(VIRTIO_BALLOON_CMD_ID_STOP);
		expect([command(), balloon.hintedBytes]).toEqual([
			VIRTIO_BALLOON_CMD_ID_STOP,
			0,
		]);
		const asked = balloon.requestHints();
		// Before any number, with a wrong one, and after another.
		hint(FREE, PAGE);
		say(command() + 1);
		hint(FREE + PAGE, PAGE);
		say(VIRTIO_BALLOON_CMD_ID_STOP);
		expect(balloon.hintedBytes).toBe(0);
		say(command());
		hint(FREE + 2 * PAGE, PAGE);
		say(VIRTIO_BALLOON_CMD_ID_DONE);
		hint(FREE + 3 * PAGE, PAGE);
		say(command());
		say(VIRTIO_BALLOON_CMD_ID_STOP);
		expect(await asked).toBe(PAGE);
	});

	it("have a new number in each round, which ends with the driver's STOP and not before", async () => {
		const { balloon, command, say, hint } = setUp();
		const rounds = new Set<number>();
		for (let round = 0; round < 5; round++) {
			const asked = [balloon.requestHints()];
			const number = command();
			// Who asks meanwhile waits for the same answer.
			asked.push(balloon.requestHints());
			expect(command()).toBe(number);
			rounds.add(number);
			say(number);
			hint(FREE, round * PAGE);
			say(VIRTIO_BALLOON_CMD_ID_STOP);
			// Hints of earlier rounds are forgotten.
			expect(await Promise.all(asked)).toEqual([round * PAGE, round * PAGE]);
		}
		expect(rounds.size).toBe(5);
	});

	it("end with a driver that starts over, and are not expected of one without them", async () => {
		await expect(new MemoryBalloon().requestHints()).rejects.toThrow(
			"no guest",
		);
		const silent = setUp([VIRTIO_BALLOON_F_STATS_VQ]);
		await expect(silent.balloon.requestHints()).rejects.toThrow("no hints");
		const { balloon, driver, device, command, say, hint } = setUp();
		const asked = balloon.requestHints();
		const number = command();
		say(number);
		hint(FREE, PAGE);
		device.reset();
		await expect(asked).rejects.toThrow("started over");
		expect(command()).toBe(VIRTIO_BALLOON_CMD_ID_STOP);
		expect(balloon.hintedBytes).toBe(0);
		driver.start({ accept: LINUX });
		// What the old driver had begun is not the new one's.
		hint(FREE, PAGE);
		const again = balloon.requestHints();
		expect(command()).not.toBe(number);
		say(command());
		say(VIRTIO_BALLOON_CMD_ID_STOP);
		expect(await again).toBe(0);
	});

	it("come in the queue that the driver counts as theirs, be it like Linux or the specification (virtio 1.3 §5.5.2)", async () => {
		const HINT_AND_REPORT = LINUX.slice(1);
		for (const { accept, used, hints, reports } of [
			{ accept: LINUX, used: [0, 1, 2, 3, 4], hints: 3, reports: 4 },
			{ accept: HINT_AND_REPORT, used: [0, 1, 2, 3], hints: 2, reports: 3 },
			{ accept: HINT_AND_REPORT, used: [0, 1, 3, 4], hints: 3, reports: 4 },
		]) {
			const { balloon, device, driver, command, say, hint } = setUp();
			driver.negotiate(accept);
			driver.setUpQueues(8);
			for (const unused of [0, 1, 2, 3, 4].filter((i) => !used.includes(i))) {
				device.disableQueue(unused);
			}
			driver.addStatus(4);
			const asked = balloon.requestHints();
			say(command(), hints);
			hint(FREE, PAGE, hints);
			hint(FREE, 2 * PAGE, reports);
			say(VIRTIO_BALLOON_CMD_ID_STOP, hints);
			expect([await asked, balloon.reportedBytes]).toEqual([PAGE, 2 * PAGE]);
		}
	});

	it("make the device ask for a reset when they are neither commands nor memory", () => {
		const short = setUp();
		short.driver.queue(HINTS).send(Uint8Array.of(2, 0, 0));
		expect(short.needsReset()).toBe(true);
		const mixed = setUp();
		mixed.driver.queue(HINTS).send(Uint8Array.of(2, 0, 0, 0), { room: PAGE });
		expect(mixed.needsReset()).toBe(true);
		const greedy = setUp();
		const whole = { address: 0, length: MEMORY_BYTES, flags: 2 };
		greedy.driver.queue(HINTS).offerRaw([whole, whole]);
		greedy.driver.queue(HINTS).kick();
		expect(greedy.needsReset()).toBe(true);
		expect(greedy.balloon.hintedBytes).toBe(0);
	});
});
