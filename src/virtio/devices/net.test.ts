import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import { VIRTIO_CONFIG_S_NEEDS_RESET } from "../constants.ts";
import { VirtioDevice } from "../device.ts";
import type { FrameOffload } from "../frame-offload.ts";
import { Net } from "./net.ts";
import {
	VIRTIO_NET_F_CSUM,
	VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
	VIRTIO_NET_F_CTRL_MAC_ADDR,
	VIRTIO_NET_F_CTRL_RX,
	VIRTIO_NET_F_CTRL_RX_EXTRA,
	VIRTIO_NET_F_CTRL_VLAN,
	VIRTIO_NET_F_CTRL_VQ,
	VIRTIO_NET_F_GUEST_ANNOUNCE,
	VIRTIO_NET_F_GUEST_CSUM,
	VIRTIO_NET_F_GUEST_TSO4,
	VIRTIO_NET_F_HOST_TSO4,
	VIRTIO_NET_F_MAC,
	VIRTIO_NET_F_MRG_RXBUF,
	VIRTIO_NET_F_STATUS,
} from "./net-header.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 7);
const BASE = [VIRTIO_NET_F_CSUM, VIRTIO_NET_F_MAC, VIRTIO_NET_F_STATUS];
const MERGED = [...BASE, VIRTIO_NET_F_MRG_RXBUF];

function setUp(accept: readonly number[] = MERGED, legacy = false) {
	const memory = new TestMemory(8 << 20);
	const sent: Uint8Array[] = [];
	const backend = {
		send: (frame: Uint8Array) => {
			sent.push(frame);
		},
		onFrame: (_frame: Uint8Array, _offload?: FrameOffload) => {},
	};
	const net = new Net(backend, MAC);
	const device = new VirtioDevice(net, memory, { legacy });
	const driver = MockDriver.started(device, memory, { accept, queueSize: 64 });
	const [rx, tx] = [driver.queue(0), driver.queue(1)];
	return { memory, sent, backend, net, device, driver, rx, tx };
}

const frame = (length: number) =>
	Uint8Array.from({ length }, (_, index) => index % 251);
const header = (...bytes: number[]) => {
	const all = new Uint8Array(12);
	all.set(bytes);
	return all;
};

describe("the network device", () => {
	it("has its address and a carrier", () => {
		const { driver } = setUp();
		expect([...driver.side.readConfig(0, 8)]).toEqual([...MAC, 1, 0]);
	});

	it("sends frames without their header, however they are cut", () => {
		const { sent, tx } = setUp();
		tx.send(header(), frame(60));
		const head = header();
		const body = frame(1514);
		tx.send(
			head.subarray(0, 5),
			head.subarray(5),
			body.subarray(0, 20),
			body.subarray(20),
		);
		expect(tx.takeUsed()).toHaveLength(2);
		expect(sent).toEqual([frame(60), frame(1514)]);
	});

	it("puts in the checksum that was left to it (virtio 1.3 §5.1.6.2)", () => {
		const { sent, tx } = setUp();
		// From byte 14 the words 0x0102, 0 (the sum's place) and 0xff00, odd end 0x7f.
		const body = new Uint8Array(19);
		body.set([0x01, 0x02, 0, 0, 0xff], 14);
		tx.send(header(1, 0, 0, 0, 0, 0, 14, 0, 2, 0), body);
		// 0x0102 + 0xff00 = 0x10002, folded 0x0003, inverted 0xfffc.
		expect([...(sent[0] ?? []).subarray(14)]).toEqual([1, 2, 0xff, 0xfc, 0xff]);
	});

	it("writes a checksum of zero as all ones, which UDP takes for a checksum", () => {
		const { sent, tx } = setUp();
		const body = new Uint8Array(18);
		body.set([0xff, 0xff], 14);
		tx.send(header(1, 0, 0, 0, 0, 0, 14, 0, 2, 0), body);
		expect([...(sent[0] ?? []).subarray(16)]).toEqual([0xff, 0xff]);
	});

	it("leaves frames alone whose flag is clear, and ignores unknown flags", () => {
		const { sent, tx } = setUp();
		tx.send(header(0xfe, 0, 0, 0, 0, 0, 14, 0, 2, 0), frame(60));
		expect(sent).toEqual([frame(60)]);
	});

	it("drops frames that are too short, too long, or summed beyond their end", () => {
		const { sent, tx, net, driver } = setUp();
		tx.send(header(), frame(13));
		tx.send(header(), frame(1519));
		tx.send(header(1, 0, 0, 0, 0, 0, 60, 0, 0, 0), frame(60));
		tx.send(header(1, 0, 0, 0, 0, 0, 14, 0, 45, 0), frame(60));
		expect(sent).toEqual([]);
		expect(net.dropped).toBe(4);
		expect(tx.takeUsed()).toHaveLength(4);
		expect(driver.side.readStatus() & VIRTIO_CONFIG_S_NEEDS_RESET).toBe(0);
	});

	it("gives each frame to a buffer, header first, with no flags and a count of one", () => {
		for (const accept of [BASE, MERGED]) {
			const { rx, backend } = setUp(accept);
			rx.send(room(1530));
			backend.onFrame(frame(100));
			const [used] = rx.takeUsed();
			expect(used?.writtenBytes).toBe(112);
			const expected = header(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0);
			expect(used?.written.subarray(0, 12)).toEqual(expected);
			expect(used?.written.subarray(12, 112)).toEqual(frame(100));
		}
	});

	it("spreads a frame over as many buffers as it needs, all full but the last (virtio 1.3 §5.1.6.4.1)", () => {
		const { rx, backend } = setUp();
		for (let i = 0; i < 3; i++) rx.send(room(50));
		backend.onFrame(frame(100));
		const used = rx.takeUsed();
		expect(used.map(({ writtenBytes }) => writtenBytes)).toEqual([50, 50, 12]);
		expect(used[0]?.written[10]).toBe(3);
	});

	it("has frames wait for buffers, but not more than it cares to hold", () => {
		const { rx, backend, net } = setUp();
		for (let i = 0; i < 300; i++) backend.onFrame(frame(60));
		expect(net.dropped).toBe(44);
		for (let i = 0; i < 10; i++) rx.offer(room(100));
		rx.kick();
		expect(rx.takeUsed()).toHaveLength(10);
	});

	it("keeps buffers for a frame that needs more, and loses none of them", () => {
		const { rx, backend } = setUp();
		rx.send(room(50));
		backend.onFrame(frame(100));
		expect(rx.takeUsed()).toEqual([]);
		rx.send(room(100));
		expect(rx.takeUsed().map((u) => u.writtenBytes)).toEqual([50, 62]);
	});

	it("drops a frame that may not be cut and does not fit; the buffer serves the next", () => {
		const { rx, backend, net } = setUp(BASE);
		rx.send(room(80));
		backend.onFrame(frame(100));
		expect(rx.takeUsed()).toEqual([]);
		expect(net.dropped).toBe(1);
		backend.onFrame(frame(60));
		expect(rx.takeUsed()[0]?.writtenBytes).toBe(72);
	});

	it("has the short header of legacy drivers that do not merge", () => {
		const short = setUp(BASE, true);
		short.tx.send(new Uint8Array(10), frame(60));
		expect(short.sent).toEqual([frame(60)]);
		short.rx.send(room(1530));
		short.backend.onFrame(frame(60));
		expect(short.rx.takeUsed()[0]?.writtenBytes).toBe(70);
		const merged = setUp(MERGED, true);
		merged.tx.send(header(), frame(60));
		expect(merged.sent).toEqual([frame(60)]);
	});

	it("hears nothing before DRIVER_OK and forgets what waited at a reset", () => {
		const { device, backend, driver } = setUp();
		backend.onFrame(frame(60));
		device.reset();
		backend.onFrame(frame(60));
		driver.start({ accept: MERGED, queueSize: 64 });
		const rx = driver.queue(0);
		rx.send(room(100));
		expect(rx.takeUsed()).toEqual([]);
	});

	it("asks for a reset when buffers go the wrong way or are too small", () => {
		for (const [queue, piece] of [
			[1, header().subarray(1)],
			[1, room(100)],
			[0, new Uint8Array(100)],
			[0, room(11)],
		] as const) {
			const { driver, backend } = setUp();
			driver.queue(queue).send(piece);
			backend.onFrame(frame(60));
			const status = driver.side.readStatus();
			expect(status & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
		}
	});
});

const LARGE = [
	...[...MERGED, VIRTIO_NET_F_GUEST_CSUM],
	...[VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4],
];
/** A large frame of TCP over IPv4, and what Linux makes of it. */
const [CAPTURED] = JSON.parse(
	readFileSync("test/support/segmented-frames.json", "utf8"),
) as { header: string; frame: string; plain: string[] }[];
const bytesOf = (hex = "") => new Uint8Array(Buffer.from(hex, "hex"));
const largeHeader = () => {
	const all = header(...bytesOf(CAPTURED?.header));
	// Congestion is for those who negotiated it.
	all[1] = 1;
	return all;
};
const largeFrame = () => bytesOf(CAPTURED?.frame);
const plainFrames = () => CAPTURED?.plain.map(bytesOf) ?? [];

describe("large frames", () => {
	it("go on as they are to those who take them, and plain to those who do not", () => {
		const { sent, tx, backend } = setUp(LARGE);
		tx.send(largeHeader(), largeFrame());
		expect(sent).toEqual(plainFrames());
		const asTheyAre: unknown[] = [];
		Object.assign(backend, {
			takesOffloads: true,
			send: (one: Uint8Array, offload: unknown) => asTheyAre.push(one, offload),
		});
		tx.send(largeHeader(), largeFrame());
		expect(asTheyAre).toEqual([
			largeFrame(),
			{
				...{ checksumStart: 34, checksumOffset: 16 },
				segments: { kind: "tcp4", payloadBytes: 300, ecn: false },
			},
		]);
	});

	it("are dropped when they were not negotiated", () => {
		const { sent, tx, net } = setUp(MERGED);
		tx.send(largeHeader(), largeFrame());
		expect(sent).toEqual([]);
		expect(net.dropped).toBe(1);
	});

	it("reach a driver that takes them whole, any other in pieces", () => {
		const offload = {
			...{ checksumStart: 34, checksumOffset: 16 },
			segments: { kind: "tcp4", payloadBytes: 300, ecn: false },
		} as const;
		const whole = setUp(LARGE);
		whole.rx.send(room(2000));
		whole.backend.onFrame(largeFrame(), offload);
		const [used] = whole.rx.takeUsed();
		expect(used?.written.subarray(0, 10)).toEqual(
			Uint8Array.of(1, 1, 66, 0, 44, 1, 34, 0, 16, 0),
		);
		expect(used?.written.subarray(12, used.writtenBytes)).toEqual(largeFrame());
		const pieces = setUp(MERGED);
		for (let i = 0; i < 8; i++) pieces.rx.send(room(2000));
		pieces.backend.onFrame(largeFrame(), offload);
		const frames = pieces.rx
			.takeUsed()
			.map(({ written, writtenBytes }) => written.subarray(12, writtenBytes));
		expect(frames).toEqual(plainFrames());
	});

	it("are dropped when a whole queue of buffers is too small for them, and hold up nothing", () => {
		const { rx, backend, net } = setUp(MERGED);
		for (let i = 0; i < 64; i++) rx.offer(room(12));
		rx.kick();
		backend.onFrame(frame(1000));
		expect(net.dropped).toBe(1);
		backend.onFrame(frame(60));
		expect(rx.takeUsed()).toHaveLength(64);
	});
});

describe("the control queue", () => {
	const FEATURES = [
		...[...MERGED, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX],
		...[VIRTIO_NET_F_CTRL_RX_EXTRA, VIRTIO_NET_F_CTRL_VLAN],
		...[VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS],
		...[VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_GUEST_CSUM],
	];

	function controlled(features: readonly number[] = FEATURES) {
		const all = setUp(features);
		const queue = all.driver.queue(2);
		return {
			...all,
			order: (...bytes: number[]): number | undefined => {
				queue.send(Uint8Array.from(bytes), room(1));
				return queue.takeUsed()[0]?.written[0];
			},
			/** How many frames to this address the driver gets. */
			hears: (...start: number[]): boolean => {
				const sample = frame(60);
				sample.set(start);
				all.rx.offer(room(100));
				all.rx.kick();
				all.backend.onFrame(sample);
				return all.rx.takeUsed().length === 1;
			},
		};
	}
	const FOREIGN = [2, 9, 9, 9, 9, 9];
	const GROUP = [1, 0, 0x5e, 0, 0, 1];
	const EVERYBODY = [255, 255, 255, 255, 255, 255];

	it("lets everything through until the driver says what it wants", () => {
		const { order, hears } = controlled();
		expect(hears(...FOREIGN)).toBe(true);
		expect(order(0, 0, 0)).toBe(0);
		expect(hears(...FOREIGN)).toBe(false);
		expect(hears(...MAC)).toBe(true);
		expect(hears(...GROUP)).toBe(false);
		expect(hears(...EVERYBODY)).toBe(true);
	});

	it("has modes for all multicast, all unicast, and none of each", () => {
		const { order, hears } = controlled();
		order(0, 0, 0);
		expect([order(0, 1, 1), hears(...GROUP)]).toEqual([0, true]);
		expect([order(0, 2, 1), hears(...FOREIGN)]).toEqual([0, true]);
		expect([order(0, 3, 1), hears(...GROUP)]).toEqual([0, false]);
		expect([order(0, 4, 1), hears(...MAC)]).toEqual([0, false]);
		expect([order(0, 5, 1), hears(...EVERYBODY)]).toEqual([0, false]);
		expect(order(0, 6, 1)).toBe(1);
	});

	it("takes tables of addresses, and refuses crooked ones", () => {
		const { order, hears } = controlled();
		order(0, 0, 0);
		const table = [1, 0, 0, 0, ...FOREIGN, 1, 0, 0, 0, ...GROUP];
		expect(order(1, 0, ...table)).toBe(0);
		expect([hears(...FOREIGN), hears(...GROUP)]).toEqual([true, true]);
		expect(order(1, 0, ...table.slice(1))).toBe(1);
		expect(order(1, 0, 255, 255, 255, 255)).toBe(1);
	});

	it("changes the address, until a reset", () => {
		const { order, hears, driver, device } = controlled();
		order(0, 0, 0);
		expect(order(1, 1, ...FOREIGN)).toBe(0);
		expect([...driver.side.readConfig(0, 6)]).toEqual(FOREIGN);
		expect([hears(...FOREIGN), hears(...MAC)]).toEqual([true, false]);
		device.reset();
		expect([...driver.side.readConfig(0, 6)]).toEqual([...MAC]);
	});

	it("lets only those VLANs through that were added", () => {
		const { order, hears } = controlled();
		const tagged = [...MAC, 2, 0, 0, 0, 0, 9, 0x81, 0, 0, 100];
		expect(hears(...tagged)).toBe(false);
		expect([order(2, 0, 100, 0), hears(...tagged)]).toEqual([0, true]);
		expect([order(2, 1, 100, 0), hears(...tagged)]).toEqual([0, false]);
		expect(order(2, 0, 0, 16)).toBe(1);
	});

	it("switches guest offloads, but only those that were negotiated", () => {
		const { order, backend, rx } = controlled();
		const flagsOfNext = () => {
			rx.send(room(100));
			backend.onFrame(frame(60), { checksumStart: 14, checksumOffset: 2 });
			return rx.takeUsed()[0]?.written[0];
		};
		expect(flagsOfNext()).toBe(1);
		expect(order(5, 0, 0, 0, 0, 0, 0, 0, 0, 0)).toBe(0);
		expect(flagsOfNext()).toBe(0);
		const tso4 = 1 << VIRTIO_NET_F_GUEST_TSO4;
		expect(order(5, 0, tso4, 0, 0, 0, 0, 0, 0, 0)).toBe(1);
	});

	it("refuses what was not negotiated and what nobody knows", () => {
		const { order } = controlled([...MERGED, VIRTIO_NET_F_CTRL_VQ]);
		for (const bytes of [
			...[
				[0, 0, 1],
				[0, 2, 1],
				[1, 1, ...MAC],
				[1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
			],
			...[
				[2, 0, 1, 0],
				[3, 0],
				[5, 0, 0, 0, 0, 0, 0, 0, 0, 0],
				[99, 0],
			],
		]) {
			expect(order(...bytes)).toBe(1);
		}
	});

	it("asks for a reset when an order has no room for an answer", () => {
		const { driver } = controlled();
		driver.queue(2).send(Uint8Array.of(0, 0, 0));
		const status = driver.side.readStatus();
		expect(status & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
	});

	it("is left out, with all that needs it, where queues are few", () => {
		const backend = { send: () => {}, onFrame: () => {} };
		const { features, queueSizes } = new Net(backend, MAC, { control: false });
		expect(queueSizes).toHaveLength(2);
		for (const bit of [
			...[VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX],
			...[VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_MAC_ADDR],
			...[VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_GUEST_ANNOUNCE],
		]) {
			expect(features & (1n << BigInt(bit))).toBe(0n);
		}
		expect(features & (1n << BigInt(VIRTIO_NET_F_HOST_TSO4))).not.toBe(0n);
	});

	it("asks the driver to announce itself when the cable is plugged in again", () => {
		const { order, backend, driver } = controlled();
		const link = backend as { linkUp?: boolean; onLinkChange?: () => void };
		link.linkUp = false;
		link.onLinkChange?.();
		expect(driver.side.readConfig(6, 1)[0]).toBe(0);
		link.linkUp = true;
		link.onLinkChange?.();
		expect(driver.side.readConfig(6, 1)[0]).toBe(3);
		expect(order(3, 0)).toBe(0);
		expect(driver.side.readConfig(6, 1)[0]).toBe(1);
	});
});

describe("a cable with longer frames", () => {
	it("says so, and lets them through", () => {
		const memory = new TestMemory(8 << 20);
		const sent: Uint8Array[] = [];
		const backend = {
			mtuBytes: 9000,
			send: (one: Uint8Array) => {
				sent.push(one);
			},
			onFrame: () => {},
		};
		const device = new VirtioDevice(new Net(backend, MAC), memory);
		const driver = MockDriver.started(device, memory, { accept: MERGED });
		expect([...driver.side.readConfig(10, 2)]).toEqual([0x28, 0x23]);
		driver.queue(1).send(header(), frame(9014));
		expect(sent).toEqual([frame(9014)]);
	});
});
