import { describe, expect, it } from "vitest";
import {
	DirectSide,
	MockDriver,
	type MockPackedQueue,
	type MockSplitQueue,
	room,
	TestMemory,
} from "../../test/support/mock-driver.ts";
import {
	VIRTIO_CONFIG_S_NEEDS_RESET,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED,
	VIRTQ_DESC_F_INDIRECT,
	VIRTQ_DESC_F_NEXT,
	VIRTQ_DESC_F_WRITE,
} from "./constants.ts";
import type { DescriptorChain } from "./descriptor-chain.ts";
import { VirtioDevice } from "./device.ts";
import type { DeviceModel, DevicePort } from "./device-model.ts";
import { legacyPlacement, passedEvent } from "./virtqueue.ts";

/** Gives back what it reads, in upper case, or keeps buffers for later. */
class Shouter implements DeviceModel {
	readonly deviceId = 0x42;
	readonly features = 0n;
	readonly queueSizes = [256];
	readonly config = new Uint8Array(0);
	keep = false;
	readonly kept: DescriptorChain[] = [];
	kicks = 0;
	port!: DevicePort;

	connect(port: DevicePort): void {
		this.port = port;
	}

	kicked(index: number): void {
		this.kicks++;
		const queue = this.port.queue(index);
		for (let chain = queue?.pop(); chain; chain = queue?.pop()) {
			this.kept.push(chain);
		}
		if (!this.keep) this.answerAll();
	}

	answerAll(): void {
		for (const chain of this.kept.splice(0)) this.answer(chain);
	}

	answer(chain: DescriptorChain): void {
		const said = new TextDecoder().decode(chain.readable.read(0, 1000));
		const answer = new TextEncoder().encode(said.toUpperCase());
		this.port.queue(0)?.push(chain, chain.writable.write(0, answer));
	}

	reset(): void {
		this.kept.length = 0;
	}
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined) => new TextDecoder().decode(data);

function setUp(accept: readonly number[], queueSize = 8, memoryMiB = 1) {
	const memory = new TestMemory(memoryMiB << 20);
	const shouter = new Shouter();
	const failures: string[] = [];
	const device = new VirtioDevice(shouter, memory, {
		onFailure: (reason) => failures.push(reason),
	});
	const driver = MockDriver.started(device, memory, { accept, queueSize });
	return { memory, shouter, device, driver, queue: driver.queue(), failures };
}

const RINGS = [
	{ name: "split", accept: [] },
	{ name: "split, indirect", accept: [VIRTIO_F_INDIRECT_DESC] },
	{ name: "split, event index", accept: [VIRTIO_F_EVENT_IDX] },
	{ name: "packed", accept: [VIRTIO_F_RING_PACKED] },
	{
		name: "packed, indirect",
		accept: [VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC],
	},
	{
		name: "packed, event index",
		accept: [VIRTIO_F_RING_PACKED, VIRTIO_F_EVENT_IDX],
	},
];

for (const { name, accept } of RINGS) {
	describe(`a virtqueue (${name})`, () => {
		it("gives a buffer's bytes to the device and back, however it is cut (virtio 1.3 §2.7.4)", () => {
			const { queue } = setUp(accept);
			const whole = queue.exchange(bytes("hello"), room(5));
			expect(text(whole)).toBe("HELLO");
			const cut = queue.exchange(
				bytes("he"),
				bytes("llo"),
				room(1),
				room(2),
				room(3),
			);
			expect(text(cut)).toBe("HELLO\0");
		});

		it("says how many bytes it wrote (virtio 1.3 §2.7.8.2)", () => {
			const { queue } = setUp(accept);
			queue.send(bytes("abc"), room(100));
			expect(queue.takeUsed()[0]?.writtenBytes).toBe(3);
		});

		it("goes around the ring many times", () => {
			const { queue } = setUp(accept, 4);
			for (let round = 0; round < 100; round++) {
				const said = `round ${round}`;
				const answer = queue.exchange(bytes(said), room(said.length));
				expect(text(answer)).toBe(said.toUpperCase());
			}
		});

		it("takes buffers back in any order", () => {
			const { queue, shouter } = setUp(accept);
			shouter.keep = true;
			const ids = ["a", "b", "c"].map((said) =>
				queue.send(bytes(said), room(1)),
			);
			expect(queue.takeUsed()).toEqual([]);
			for (const chain of [...shouter.kept].reverse()) shouter.answer(chain);
			const used = queue.takeUsed();
			expect(used.map(({ id }) => id)).toEqual(ids.reverse());
			expect(used.map(({ written }) => text(written))).toEqual(["C", "B", "A"]);
		});

		it("interrupts for a used buffer unless the driver asked for silence", () => {
			const { queue, driver } = setUp(accept);
			queue.wantInterrupts(true);
			queue.exchange(bytes("a"), room(1));
			expect(driver.side.takeInterrupts().queue).toBe(true);
			queue.wantInterrupts(false);
			queue.exchange(bytes("a"), room(1));
			expect(driver.side.takeInterrupts().queue).toBe(false);
			queue.wantInterrupts(true);
			queue.exchange(bytes("a"), room(1));
			expect(driver.side.takeInterrupts().queue).toBe(true);
		});

		it("wants kicks unless the device does not", () => {
			const { queue, shouter } = setUp(accept);
			queue.exchange(bytes("a"), room(1));
			queue.offer(bytes("b"), room(1));
			expect(queue.kickWanted()).toBe(true);
			queue.kick();
			shouter.port.queue(0)?.setKicksWanted(false);
			queue.send(bytes("c"), room(1));
			queue.offer(bytes("d"), room(1));
			expect(queue.kickWanted()).toBe(false);
			shouter.port.queue(0)?.setKicksWanted(true);
			queue.kick();
			queue.offer(bytes("e"), room(1));
			expect(queue.kickWanted()).toBe(true);
		});

		it("neither gives buffers nor touches memory after a reset in flight (virtio 1.3 §2.4.1)", () => {
			const { queue, shouter, device, memory } = setUp(accept);
			shouter.keep = true;
			queue.send(bytes("abc"), room(3));
			const [chain] = shouter.kept;
			device.reset();
			const before = memory.read(0, memory.sizeBytes);
			expect(chain?.alive).toBe(false);
			if (chain !== undefined) shouter.answer(chain);
			expect(chain?.writable.write(0, bytes("late"))).toBe(0);
			expect(Buffer.compare(memory.bytes, before)).toBe(0);
		});

		it("is not disturbed by kicks without buffers (virtio 1.3 §2.7.10.1)", () => {
			const { queue, shouter } = setUp(accept);
			for (let i = 0; i < 3; i++) queue.kick();
			expect(text(queue.exchange(bytes("a"), room(1)))).toBe("A");
			queue.kick();
			expect(queue.takeUsed()).toEqual([]);
			expect(shouter.kept).toEqual([]);
		});

		it("leaves everything but its own areas and writable buffers alone (virtio 1.3 §2.7.5.1, §2.8.5.1)", () => {
			const { queue, memory } = setUp(accept, 8);
			const { deviceArea, descriptorArea } = queue.placement;
			queue.offer(bytes("read only"), room(9));
			const packed = accept.includes(VIRTIO_F_RING_PACKED);
			const before = memory.read(0, memory.sizeBytes);
			queue.kick();
			const [used] = queue.takeUsed();
			expect(text(used?.written)).toBe("READ ONLY");
			const changed = [...memory.bytes.keys()].filter(
				(at) => memory.bytes[at] !== before[at],
			);
			const own = packed
				? // One descriptor is written over; the others stay.
					[descriptorArea, descriptorArea + 16]
				: [deviceArea, deviceArea + 6 + 8 * 8];
			const foreign = changed.filter(
				(at) =>
					!(at >= (own[0] ?? 0) && at < (own[1] ?? 0)) &&
					!"READ ONLY".includes(String.fromCharCode(memory.bytes[at] ?? 0)),
			);
			expect(changed.length).toBeGreaterThan(8);
			expect(Buffer.from(memory.bytes).includes("read only")).toBe(true);
			expect(foreign).toEqual([]);
		});

		it("breaks the device when a buffer is outside memory", () => {
			const { queue, driver, failures, memory } = setUp(accept);
			for (const address of [memory.sizeBytes - 1, 2 ** 40, 2 ** 60]) {
				driver.start({ accept });
				driver.queue().offerRaw([{ address, length: 2, flags: 0 }]);
				driver.queue().kick();
				expect(driver.side.readStatus() & VIRTIO_CONFIG_S_NEEDS_RESET).toBe(
					VIRTIO_CONFIG_S_NEEDS_RESET,
				);
				expect(driver.side.takeInterrupts().config).toBe(true);
			}
			expect(failures).toHaveLength(3);
			expect(failures[0]).toContain("outside guest memory");
			expect(queue.takeUsed()).toEqual([]);
		});

		it("breaks the device when readable follows writable (virtio 1.3 §2.7.4.2)", () => {
			const { queue, failures, shouter, memory } = setUp(accept);
			const address = memory.allocate(4);
			queue.offerRaw([
				{ address, length: 2, flags: VIRTQ_DESC_F_WRITE },
				{ address, length: 2, flags: 0 },
			]);
			queue.kick();
			expect(failures[0]).toContain("readable descriptor follows");
			expect(shouter.kept).toEqual([]);
		});

		it("breaks the device when a chain is longer than 4 GiB", () => {
			for (const [pieces, broken] of [
				[128, 0],
				[129, 1],
			] as const) {
				const { queue, failures, memory, shouter } = setUp(accept, 256, 32);
				shouter.keep = true;
				const whole = { address: 0, length: memory.sizeBytes, flags: 0 };
				queue.offerRaw(Array.from({ length: pieces }, () => whole));
				queue.kick();
				expect(failures).toHaveLength(broken);
			}
		});

		it("works again after the reset that it asked for", () => {
			const { queue, driver, failures } = setUp(accept);
			queue.offerRaw([{ address: 2 ** 40, length: 1, flags: 0 }]);
			queue.kick();
			expect(failures).toHaveLength(1);
			driver.start({ accept });
			const answer = driver.queue().exchange(bytes("again"), room(5));
			expect(text(answer)).toBe("AGAIN");
		});
	});
}

describe("a split virtqueue", () => {
	it("heeds the event index alone when that was negotiated (virtio 1.3 §2.7.7.2)", () => {
		const { queue, memory, driver } = setUp([VIRTIO_F_EVENT_IDX]);
		const { driverArea, deviceArea, size } = queue.placement;
		// Flag 1 would mean "no interrupts".
		memory.writeU16(driverArea, 1);
		const usedEvent = driverArea + 4 + 2 * size;
		memory.writeU16(usedEvent, 2);
		const interrupts = [0, 1, 2, 3].map(() => {
			queue.exchange(bytes("a"), room(1));
			return driver.side.takeInterrupts().queue;
		});
		expect(interrupts).toEqual([false, false, true, false]);
		expect(memory.readU16(deviceArea)).toBe(0);
	});

	it("refuses more available buffers than it has entries", () => {
		const { queue, memory, failures, shouter } = setUp([]);
		memory.writeU16(queue.placement.driverArea + 2, 9);
		queue.kick();
		expect(failures[0]).toContain("more buffers are available");
		expect(shouter.kept).toEqual([]);
	});

	it("refuses buffers offered again and again while the device has them all", () => {
		const { queue, shouter, failures } = setUp([]);
		shouter.keep = true;
		const split = queue as MockSplitQueue;
		const head = split.send(bytes("x"), room(1));
		for (let i = 0; i < 7; i++) split.offerHead(head);
		queue.kick();
		expect(failures).toEqual([]);
		split.offerHead(head);
		queue.kick();
		expect(failures[0]).toContain("more buffers are available");
	});

	it("refuses a head and a next outside the table", () => {
		for (const index of [8, 0xffff]) {
			const { queue, failures } = setUp([]);
			(queue as MockSplitQueue).offerHead(index);
			queue.kick();
			expect(failures[0]).toContain(`descriptor ${index} in a table of 8`);
		}
	});

	it("ends a loop of descriptors", () => {
		const { queue, memory, failures } = setUp([]);
		const at = queue.placement.descriptorArea;
		memory.writeU64(at, 0x1000n);
		memory.writeU32(at + 8, 1);
		memory.writeU16(at + 12, VIRTQ_DESC_F_NEXT);
		memory.writeU16(at + 14, 0);
		(queue as MockSplitQueue).offerHead(0);
		queue.kick();
		expect(failures[0]).toContain("loops");
	});

	it("takes direct descriptors before an indirect one (virtio 1.3 §2.7.5.3.2)", () => {
		const { queue, memory } = setUp([VIRTIO_F_INDIRECT_DESC]);
		const at = queue.placement.descriptorArea;
		const data = memory.allocate(16);
		memory.write(data, bytes("xyz"));
		const table = memory.allocate(16);
		memory.writeU64(table, BigInt(data + 8));
		memory.writeU32(table + 8, 3);
		memory.writeU16(table + 12, VIRTQ_DESC_F_WRITE);
		memory.writeU64(at, BigInt(data));
		memory.writeU32(at + 8, 3);
		memory.writeU16(at + 12, VIRTQ_DESC_F_NEXT);
		memory.writeU16(at + 14, 5);
		memory.writeU64(at + 80, BigInt(table));
		memory.writeU32(at + 88, 16);
		// The WRITE flag of an indirect descriptor means nothing (§2.7.5.3.2).
		memory.writeU16(at + 92, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE);
		(queue as MockSplitQueue).offerHead(0);
		queue.kick();
		expect(text(memory.read(data + 8, 3))).toBe("XYZ");
	});

	it("refuses indirect descriptors that were not negotiated, are nested, chained, empty or elsewhere", () => {
		const cases = [
			{ accept: [], length: 16, flags: 4, inner: 0, say: "without VIRTIO_F" },
			{ length: 16, flags: 4, inner: 4, say: "in an indirect table" },
			{ length: 16, flags: 5, inner: 0, say: "with VIRTQ_DESC_F_NEXT" },
			{ length: 0, flags: 4, inner: 0, say: "table of 0 bytes" },
			{ length: 17, flags: 4, inner: 0, say: "table of 17 bytes" },
			{ length: 16, flags: 4, inner: 0, far: true, say: "outside guest" },
		];
		for (const { accept, length, flags, inner, far, say } of cases) {
			const used = accept ?? [VIRTIO_F_INDIRECT_DESC];
			const { queue, memory, failures } = setUp(used);
			const at = queue.placement.descriptorArea;
			const table = memory.allocate(32);
			memory.writeU16(table + 12, inner);
			memory.writeU64(at, BigInt(far ? memory.sizeBytes : table));
			memory.writeU32(at + 8, length);
			memory.writeU16(at + 12, flags);
			(queue as MockSplitQueue).offerHead(0);
			queue.kick();
			expect(failures[0]).toContain(say);
		}
	});

	it("refuses sizes that are no power of two and parts outside memory or unaligned", () => {
		const good = legacyPlacement(0x1000, 8, 4);
		const cases = [
			{ ...good, size: 7 },
			{ ...good, size: 0 },
			{ ...good, size: 512 },
			{ ...good, descriptorArea: 0x1008 },
			{ ...good, driverArea: 0x1001 },
			{ ...good, deviceArea: 0x1002 },
			{ ...good, deviceArea: (1 << 20) - 60 },
			{ ...good, descriptorArea: 2 ** 50 },
		];
		for (const placement of cases) {
			const memory = new TestMemory();
			const failures: string[] = [];
			const device = new VirtioDevice(new Shouter(), memory, {
				onFailure: (reason) => failures.push(reason),
			});
			const driver = new MockDriver(new DirectSide(device), memory);
			driver.negotiate([]);
			driver.side.enableQueue(0, placement);
			driver.addStatus(4);
			driver.side.kick(0);
			expect(failures).toHaveLength(1);
		}
	});

	it("lays legacy rings out in whole pages (virtio 1.3 §2.7.2)", () => {
		expect(legacyPlacement(0x10000, 256, 4096)).toEqual({
			size: 256,
			descriptorArea: 0x10000,
			driverArea: 0x11000,
			deviceArea: 0x12000,
		});
		expect(legacyPlacement(0x10000, 128, 4096).deviceArea).toBe(0x11000);
	});
});

describe("a packed virtqueue", () => {
	it("interrupts exactly at the descriptor the driver named", () => {
		const { queue, driver } = setUp([VIRTIO_F_RING_PACKED, VIRTIO_F_EVENT_IDX]);
		const packed = queue as MockPackedQueue;
		packed.wantInterruptAt(3, true);
		const interrupts = [1, 2, 3, 4, 5].map(() => {
			// One descriptor each.
			queue.send(bytes("a"));
			return driver.side.takeInterrupts().queue;
		});
		expect(interrupts).toEqual([false, false, false, true, false]);
		packed.wantInterruptAt(0, false);
		const next = [6, 7, 8, 9, 10].map(() => {
			queue.send(bytes("a"));
			return driver.side.takeInterrupts().queue;
		});
		expect(next).toEqual([false, false, false, true, false]);
	});

	it("refuses a chain that never ends", () => {
		const { queue, memory, failures } = setUp([VIRTIO_F_RING_PACKED]);
		for (let i = 0; i < 8; i++) {
			const at = queue.placement.descriptorArea + 16 * i;
			memory.writeU16(at + 14, VIRTQ_DESC_F_NEXT | 0x80);
		}
		queue.kick();
		expect(failures[0]).toContain("longer than what is free");
	});

	it("refuses indirect descriptors in chains", () => {
		const { queue, memory, failures } = setUp([
			VIRTIO_F_RING_PACKED,
			VIRTIO_F_INDIRECT_DESC,
		]);
		const at = queue.placement.descriptorArea;
		memory.writeU64(at, BigInt(memory.allocate(16)));
		memory.writeU32(at + 8, 16);
		memory.writeU16(at + 14, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT | 0x80);
		queue.kick();
		expect(failures[0]).toContain("in a chain");
	});

	it("ignores all flags but WRITE in an indirect table (virtio 1.3 §2.8.7)", () => {
		const { queue, memory } = setUp([
			VIRTIO_F_RING_PACKED,
			VIRTIO_F_INDIRECT_DESC,
		]);
		const at = queue.placement.descriptorArea;
		const table = memory.allocate(32);
		const data = memory.allocate(16);
		memory.write(data, bytes("ok"));
		const strange = VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT;
		memory.writeU64(table, BigInt(data));
		memory.writeU32(table + 8, 2);
		memory.writeU16(table + 14, strange);
		memory.writeU64(table + 16, BigInt(data + 8));
		memory.writeU32(table + 24, 2);
		memory.writeU16(table + 30, strange | VIRTQ_DESC_F_WRITE);
		memory.writeU64(at, BigInt(table));
		memory.writeU32(at + 8, 32);
		memory.writeU16(at + 14, VIRTQ_DESC_F_INDIRECT | 0x80);
		queue.kick();
		expect(text(memory.read(data + 8, 2))).toBe("OK");
	});

	it("has any size up to 32768 (virtio 1.3 §2.8.10.1)", () => {
		const { queue } = setUp([VIRTIO_F_RING_PACKED], 7);
		expect(queue.placement.size).toBe(7);
		for (let i = 0; i < 30; i++) {
			expect(text(queue.exchange(bytes("odd"), room(3)))).toBe("ODD");
		}
	});
});

describe("passedEvent", () => {
	it("counts modulo 2^16 (virtio 1.3 §2.7.10)", () => {
		expect(passedEvent(5, 6, 5)).toBe(true);
		expect(passedEvent(5, 5, 4)).toBe(false);
		expect(passedEvent(0xffff, 0, 0xffff)).toBe(true);
		expect(passedEvent(0xfffe, 2, 0xfff0)).toBe(true);
		expect(passedEvent(2, 2, 0xfff0)).toBe(false);
	});
});
