import { describe, expect, it } from "vitest";
import { FakeDisk } from "../../test/support/fake-disk.ts";
import { EdgeLatch, LguestSide } from "../../test/support/lguest-side.ts";
import { MmioSide } from "../../test/support/mmio-side.ts";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../test/support/mock-driver.ts";
import { MemoryDisk } from "../virtio/memory-disk.ts";
import { VirtualClock } from "./clock.ts";
import { Pc } from "./pc.ts";
import { makeModels, type VirtioOptions, VirtioSlots } from "./virtio-slots.ts";

const BASE = 0xfeb00000;

function setUp(asked: VirtioOptions, bytesAboveRam = 0) {
	const memory = new TestMemory((1 << 20) + bytesAboveRam);
	const log: string[] = [];
	const clock = new VirtualClock({ retired: () => 0, paced: () => false });
	const ignore = () => {};
	const board = new Pc({
		clock,
		memory,
		memoryBytes: memory.sizeBytes,
		wires: {
			onInterruptLine: ignore,
			onNmi: ignore,
			onApicEnable: ignore,
			tscOffset: () => 0n,
			onReset: ignore,
			onPowerOff: ignore,
			onDebugExit: ignore,
		},
	});
	const fillRandom = (target: Uint8Array) => {
		target.fill(7);
	};
	const options = { transport: "mmio", ...asked } as const;
	const models = makeModels(options, {
		...{ fillRandom, memory, inOrder: false },
	});
	const ramBytes = memory.sizeBytes - bytesAboveRam;
	const place = { memory, ramBytes };
	const slots = new VirtioSlots(board, place, models, options, {
		wake: () => log.push("wake"),
		busy: () => log.push("busy"),
		onDevice: () => {},
	});
	const driver = (index: number) =>
		new MockDriver(new MmioSide(board.mmio, BASE + index * 0x1000), memory);
	const request = (irq: number) =>
		((irq < 8 ? board.pic.master : board.pic.slave).irr >> (irq & 7)) & 1;
	return { memory, board, slots, log, driver, request, ramBytes };
}

describe("the virtio slots", () => {
	it("give each device its registers and its interrupt, and wake the loop", () => {
		const { driver, request, log } = setUp({
			disks: [{ backend: new MemoryDisk(1 << 20) }],
			entropy: true,
		});
		const rng = driver(1);
		rng.start();
		expect([...rng.queue().exchange(room(4))]).toEqual([7, 7, 7, 7]);
		expect([request(5), request(10)]).toEqual([0, 1]);
		expect(log).toEqual(["wake"]);
		rng.side.takeInterrupts();
		expect(request(10)).toBe(0);
	});

	it("have more devices than interrupts share one, which stays up while any needs it", () => {
		const disks = Array.from({ length: 8 }, () => ({
			backend: new MemoryDisk(1 << 20),
		}));
		const { driver, request } = setUp({ disks, entropy: true });
		const [first, ninth] = [driver(0), driver(8)];
		first.start();
		ninth.start();
		first.queue().exchange(new Uint8Array(16), room(512), room(1));
		ninth.queue().exchange(room(4));
		expect(request(5)).toBe(1);
		first.side.takeInterrupts();
		expect(request(5)).toBe(1);
		ninth.side.takeInterrupts();
		expect(request(5)).toBe(0);
	});

	it("know when a backend is at work, and end only when none is", async () => {
		const disk = new FakeDisk(1 << 20);
		const { slots, driver, log } = setUp({ disks: [{ backend: disk }] });
		const guest = driver(0);
		guest.start();
		guest.queue().send(new Uint8Array(16), room(512), room(1));
		expect(slots.busy).toBe(true);
		expect(log).toEqual(["busy"]);
		let retired = false;
		const end = slots.retire().then(() => {
			retired = true;
		});
		await Promise.resolve();
		expect(retired).toBe(false);
		await disk.succeedAll();
		await end;
		expect(slots.busy).toBe(false);
		expect(guest.side.readStatus()).toBe(0);
	});

	it("speak the registers that are asked for", () => {
		const options = { entropy: true } as const;
		const modern = setUp(options).driver(0);
		const legacy = setUp({ ...options, transport: "mmio-legacy" }).driver(0);
		const split = setUp({ ...options, packedRings: false }).driver(0);
		expect([modern, legacy].map(({ side }) => side.isLegacy)).toEqual([
			false,
			true,
		]);
		const packed = (driver: MockDriver) =>
			(driver.side.readFeatures() >> 34n) & 1n;
		expect([modern, legacy, split].map(packed)).toEqual([1n, 0n, 0n]);
	});

	it("on the lguest bus, interrupt by edges that queues may share", () => {
		const disks = Array.from({ length: 8 }, () => ({
			backend: new MemoryDisk(1 << 20),
		}));
		const { slots, board, memory, request, log, ramBytes } = setUp(
			{ disks, entropy: true, transport: "lguest" },
			1 << 20,
		);
		const bus = { notify: slots.notify.bind(slots) };
		const latch = new EdgeLatch();
		const sideAt = (address: number) =>
			new LguestSide(bus, memory, latch, address, false);
		const sides = [sideAt(ramBytes)];
		for (let i = 1; i < 9; i++) sides.push(sideAt(sides.at(-1)?.end ?? 0));
		const [first, ninth] = [sides[0], sides[8]].map((side) => {
			const driver = new MockDriver(side as LguestSide, memory);
			driver.start();
			return driver;
		});
		board.ports.write(0x21, 1, 0);
		first?.queue().exchange(new Uint8Array(16), room(512), room(1));
		expect(request(5)).toBe(1);
		expect(log).toEqual(["wake"]);
		// As the CPU takes it; nobody tells the device.
		board.pic.master.serve(5);
		expect(request(5)).toBe(0);
		ninth?.queue().exchange(room(4));
		expect(request(5)).toBe(1);
		expect(slots.notify(0x1234, 0)).toBe(false);
	});

	it("hear no NOTIFY where there is no descriptor page", () => {
		expect(setUp({ entropy: true }).slots.notify(0, 0)).toBe(false);
	});
});
