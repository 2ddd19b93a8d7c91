import { describe, expect, it } from "vitest";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import { VIRTIO_CONFIG_S_NEEDS_RESET } from "../constants.ts";
import { VirtioDevice } from "../device.ts";
import {
	Net,
	VIRTIO_NET_F_CSUM,
	VIRTIO_NET_F_MAC,
	VIRTIO_NET_F_MRG_RXBUF,
	VIRTIO_NET_F_STATUS,
} from "./net.ts";

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
		onFrame: (_frame: Uint8Array) => {},
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
