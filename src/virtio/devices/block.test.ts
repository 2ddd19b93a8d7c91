import { describe, expect, it } from "vitest";
import { FakeDisk } from "../../../test/support/fake-disk.ts";
import {
	MockDriver,
	type Piece,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import type { BlockBackend, Completion } from "../backends.ts";
import {
	VIRTIO_CONFIG_S_NEEDS_RESET,
	VIRTIO_F_INDIRECT_DESC,
} from "../constants.ts";
import { VirtioDevice } from "../device.ts";
import { MemoryDisk, OverlayDisk } from "../memory-disk.ts";
import { Block } from "./block.ts";
import {
	VIRTIO_BLK_F_CONFIG_WCE,
	VIRTIO_BLK_F_DISCARD,
	VIRTIO_BLK_F_FLUSH,
	VIRTIO_BLK_F_RO,
	VIRTIO_BLK_F_WRITE_ZEROES,
} from "./block-request.ts";

const IN = 0;
const OUT = 1;
const FLUSH = 4;
const GET_ID = 8;
const DISCARD = 11;
const WRITE_ZEROES = 13;
const OK = 0;
const IOERR = 1;
const UNSUPP = 2;
const SIZE = 1 << 20;

function header(type: number, sector: number): Uint8Array {
	const bytes = new Uint8Array(16);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, type, true);
	view.setBigUint64(8, BigInt(sector), true);
	return bytes;
}

function segment(sector: number, sectors: number, flags = 0): Uint8Array {
	const bytes = new Uint8Array(16);
	const view = new DataView(bytes.buffer);
	view.setBigUint64(0, BigInt(sector), true);
	view.setUint32(8, sectors, true);
	view.setUint32(12, flags, true);
	return bytes;
}

const filled = (length: number, value: number) =>
	new Uint8Array(length).fill(value);

const ALL = [
	VIRTIO_BLK_F_FLUSH,
	VIRTIO_BLK_F_CONFIG_WCE,
	VIRTIO_BLK_F_DISCARD,
	VIRTIO_BLK_F_WRITE_ZEROES,
	VIRTIO_F_INDIRECT_DESC,
];

/** No piece lies right behind another, as in a guest that has run for a while. */
class ScatteredMemory extends TestMemory {
	override allocate(lengthBytes: number, alignBytes?: number): number {
		super.allocate(16);
		return super.allocate(lengthBytes, alignBytes);
	}
}

function setUp(
	backend: BlockBackend,
	accept: readonly number[] = ALL,
	memory: TestMemory = new ScatteredMemory(8 << 20),
) {
	const block = new Block(backend, "lguest-disk-0");
	const device = new VirtioDevice(block, memory);
	const driver = MockDriver.started(device, memory, { accept, queueSize: 256 });
	const queue = driver.queue();
	/** Sends a request; its last written byte is the status. */
	const ask = (type: number, sector: number, ...pieces: Piece[]) =>
		queue.exchange(header(type, sector), ...pieces, room(1));
	const status = (...args: Parameters<typeof ask>) => ask(...args).at(-1);
	const send = (type: number, sector: number, ...pieces: Piece[]) =>
		queue.send(header(type, sector), ...pieces, room(1));
	return { memory, block, device, driver, queue, ask, status, send };
}

describe("the block device", () => {
	it("reads what was written, at once from a disk in memory", () => {
		const { ask, status } = setUp(new MemoryDisk(SIZE));
		expect(status(OUT, 3, filled(1024, 0xab))).toBe(OK);
		const answer = ask(IN, 2, room(2048));
		expect(answer.subarray(0, 512)).toEqual(filled(512, 0));
		expect(answer.subarray(512, 1536)).toEqual(filled(1024, 0xab));
		expect(answer.subarray(1536, 2048)).toEqual(filled(512, 0));
		expect(answer.at(-1)).toBe(OK);
	});

	it("does not care how a request is cut (virtio 1.3 §2.7.4.1)", () => {
		const { queue } = setUp(new MemoryDisk(SIZE));
		const head = header(OUT, 0);
		const pieces = [head.subarray(0, 3), head.subarray(3), filled(200, 7)];
		queue.exchange(...pieces, filled(312, 8), room(1));
		// Data and status in one piece.
		const answer = queue.exchange(header(IN, 0), room(100), room(413));
		expect(answer[199]).toBe(7);
		expect(answer[200]).toBe(8);
		expect(answer[512]).toBe(OK);
	});

	it("moves a request larger than what it holds at a time", () => {
		const { ask, status } = setUp(new MemoryDisk(4 << 20));
		const data = Uint8Array.from({ length: 1 << 20 }, (_, i) => i >> 12);
		expect(status(OUT, 8, data)).toBe(OK);
		const answer = ask(IN, 8, room(1 << 20));
		expect(Buffer.compare(answer.subarray(0, 1 << 20), data)).toBe(0);
	});

	it("says how large it is, what it likes, and who it is", () => {
		const { driver, ask } = setUp(new MemoryDisk(SIZE));
		const view = new DataView(driver.side.readConfig(0, 60).buffer);
		expect(view.getBigUint64(0, true)).toBe(2048n);
		expect(view.getUint32(20, true)).toBe(512);
		// Physical blocks of 2^3 sectors: 4096 bytes.
		expect(view.getUint8(24)).toBe(3);
		expect([...driver.side.readConfig(33, 1)]).toEqual([0]);
		expect([...driver.side.readConfig(57, 3)]).toEqual([0, 0, 0]);
		const id = ask(GET_ID, 0, room(20));
		expect(new TextDecoder().decode(id)).toBe(`lguest-disk-0${"\0".repeat(8)}`);
	});

	it("refuses what lies outside the disk, or is no whole sector", () => {
		const { status } = setUp(new MemoryDisk(SIZE));
		expect(status(IN, 2048, room(512))).toBe(IOERR);
		expect(status(IN, 2047, room(1024))).toBe(IOERR);
		expect(status(OUT, 2 ** 52, filled(512, 1))).toBe(IOERR);
		expect(status(IN, 0, room(511))).toBe(IOERR);
		expect(status(IN, 2047, room(512))).toBe(OK);
	});

	it("answers unknown types with UNSUPP (virtio 1.3 §5.2.6)", () => {
		const { status } = setUp(new MemoryDisk(SIZE));
		for (const type of [2, 10, 14, 16, 0xffffffff]) {
			expect(status(type, 0)).toBe(UNSUPP);
		}
	});

	it("asks for a reset when there is no header, or no room for a status", () => {
		for (const pieces of [
			[room(1)],
			[header(IN, 0)],
			[filled(15, 0), room(1)],
		]) {
			const { driver, queue } = setUp(new MemoryDisk(SIZE));
			queue.send(...pieces);
			expect(driver.side.readStatus() & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(
				0,
			);
		}
	});

	it("fails writes to a read-only disk without a trace (virtio 1.3 §5.2.6.2)", () => {
		const disk = MemoryDisk.from(filled(SIZE, 1), { readOnly: true });
		const { driver, status, ask } = setUp(disk, [...ALL, VIRTIO_BLK_F_RO]);
		const features = driver.side.readFeatures();
		expect((features >> BigInt(VIRTIO_BLK_F_RO)) & 1n).toBe(1n);
		expect((features >> BigInt(VIRTIO_BLK_F_DISCARD)) & 1n).toBe(0n);
		expect(status(OUT, 0, filled(512, 9))).toBe(IOERR);
		expect(status(WRITE_ZEROES, 0, segment(0, 8))).toBe(UNSUPP);
		expect(ask(IN, 0, room(512))[0]).toBe(1);
	});
});

/** A disk in memory that has as much at hand as it is told. */
class HandyDisk extends MemoryDisk {
	readonly log: string[] = [];
	handyBytes = Number.POSITIVE_INFINITY;
	/** Times that it was asked for what is not there. */
	refusals = 0;

	override readNow(offset: number, targets: readonly Uint8Array[]): boolean {
		return this.#now("read", offset, targets, (at, target) =>
			super.read(at, target),
		);
	}

	override writeNow(offset: number, sources: readonly Uint8Array[]): boolean {
		return this.#now("write", offset, sources, (at, source) =>
			super.write(at, source),
		);
	}

	override read(offset: number, target: Uint8Array): Completion {
		this.log.push(`later: read ${offset}+${target.length}`);
		return Promise.resolve(super.read(offset, target));
	}

	override write(offset: number, source: Uint8Array): Completion {
		this.log.push(`later: write ${offset}+${source.length}`);
		return Promise.resolve(super.write(offset, source));
	}

	#now(
		what: string,
		offset: number,
		parts: readonly Uint8Array[],
		move: (at: number, part: Uint8Array) => void,
	): boolean {
		const sizes = parts.map(({ length }) => length);
		const bytes = sizes.reduce((sum, size) => sum + size, 0);
		if (this.handyBytes < bytes) {
			this.refusals++;
			return false;
		}
		this.handyBytes -= bytes;
		this.log.push(`${what} ${[offset, ...sizes].join("+")}`);
		let at = offset;
		for (const part of parts) {
			move(at, part);
			at += part.length;
		}
		return true;
	}
}

describe("what a disk has at hand", () => {
	const settled = () => new Promise((resolve) => setTimeout(resolve));

	it("is moved at once, by one call for all pieces of memory", () => {
		const disk = new HandyDisk(SIZE);
		const { ask, status } = setUp(disk);
		expect(status(OUT, 8, filled(4096, 7), filled(20480, 8))).toBe(OK);
		const answer = ask(IN, 8, room(4096), room(20480));
		expect(answer[4095]).toBe(7);
		expect(answer[4096]).toBe(8);
		expect(answer.at(-1)).toBe(OK);
		expect(disk.log).toEqual(["write 4096+4096+20480", "read 4096+4096+20480"]);
	});

	it("is one piece where pieces lie side by side", () => {
		const disk = new HandyDisk(SIZE);
		const { ask } = setUp(disk, ALL, new TestMemory(8 << 20));
		expect(ask(IN, 0, room(4096), room(20480)).at(-1)).toBe(OK);
		expect(disk.log).toEqual(["read 0+24576"]);
	});

	const pieces = Array.from({ length: 16 }, (_, i) => filled(40_960, i));
	const PIECES_BYTES = 16 * 40_960;

	it("is moved by one call, however much it is", () => {
		const disk = new HandyDisk(SIZE);
		const { ask, status } = setUp(disk);
		expect(status(OUT, 0, ...pieces)).toBe(OK);
		const answer = ask(IN, 0, ...pieces.map(() => room(40_960)));
		const found = pieces.map((_, i) => answer[i * 40_960]);
		expect(found).toEqual([...pieces.keys()]);
		expect(answer.at(-1)).toBe(OK);
		const whole = ["0", ...pieces.map(() => "40960")].join("+");
		expect(disk.log).toEqual([`write ${whole}`, `read ${whole}`]);
	});

	it("is moved half a MiB at a time where it is not all there", async () => {
		const disk = new HandyDisk(SIZE);
		const { send, queue } = setUp(disk);
		disk.handyBytes = PIECES_BYTES - 512;
		send(IN, 0, ...pieces.map(() => room(40_960)));
		await settled();
		expect(queue.takeUsed()[0]?.written?.at(-1)).toBe(OK);
		const first = Array.from({ length: 12 }, () => "40960").join("+");
		const rest = PIECES_BYTES - (1 << 19);
		expect(disk.log).toEqual([
			`read 0+${first}+32768`,
			`later: read 524288+${rest}`,
		]);
	});

	it("is asked for where it is not, and nothing is said to be written", async () => {
		const disk = new HandyDisk(SIZE);
		disk.handyBytes = 0;
		const { memory, send } = setUp(disk);
		const told: number[] = [];
		memory.onWrite = (_, bytes) => told.push(bytes);
		send(IN, 0, room(4096));
		expect(disk.refusals).toBe(1);
		expect(told).not.toContain(4096);
		await settled();
		expect(told).toContain(4096);
	});

	it("is told of as written, piece by piece", () => {
		const { memory, ask } = setUp(new HandyDisk(SIZE));
		const told: number[] = [];
		memory.onWrite = (_, bytes) => told.push(bytes);
		ask(IN, 0, room(1024), room(20480));
		expect(told).toEqual(expect.arrayContaining([1024, 20480]));
	});

	it.each([
		["pieces", [filled(4096, 1), filled(4096, 2), filled(20480, 3)]],
		["crumbs", Array.from({ length: 2048 / 16 - 28 }, () => filled(8192, 4))],
	])("may be less than what is wanted: %s", async (_name, pieces) => {
		for (const handyBytes of [0, 4096, 8192, 1 << 19]) {
			const disk = new HandyDisk(SIZE);
			const { send, queue } = setUp(disk);
			disk.handyBytes = handyBytes;
			send(OUT, 0, ...pieces);
			await settled();
			expect(queue.takeUsed()[0]?.written).toEqual(Uint8Array.of(OK));
			disk.handyBytes = handyBytes;
			send(IN, 0, ...pieces.map(({ length }) => room(length)));
			await settled();
			const expected = Buffer.concat([...pieces, Uint8Array.of(OK)]);
			const [used] = queue.takeUsed();
			expect(Buffer.compare(used?.written ?? Buffer.of(), expected)).toBe(0);
			expect(used?.writtenBytes).toBe(expected.length);
		}
	});

	it("comes with the errors of the disk", () => {
		const disk = new HandyDisk(SIZE);
		disk.readNow = disk.writeNow = () => {
			throw new Error("not today");
		};
		const { status } = setUp(disk);
		expect(status(IN, 0, room(512))).toBe(IOERR);
		expect(status(OUT, 0, filled(512, 1))).toBe(IOERR);
	});
});

describe("discard and write-zeroes", () => {
	it("clear ranges, and only those", () => {
		const disk = new FakeDisk(SIZE);
		const { send } = setUp(disk);
		send(WRITE_ZEROES, 0, segment(1, 2, 1), segment(8, 1));
		expect(disk.log).toEqual(["zero 512+1024 unmap"]);
		send(DISCARD, 0, segment(0, 2048));
		expect(disk.log[1]).toBe("discard 0+1048576");
	});

	it("make reads return zeroes (virtio 1.3 §5.2.6.2)", () => {
		const { ask, status } = setUp(new MemoryDisk(SIZE));
		status(OUT, 0, filled(4096, 5));
		expect(status(WRITE_ZEROES, 0, segment(1, 2), segment(5, 1))).toBe(OK);
		const sectors = ask(IN, 0, room(4096));
		const first = Array.from({ length: 8 }, (_, i) => sectors[i * 512]);
		expect(first).toEqual([5, 0, 0, 5, 5, 0, 5, 5]);
	});

	it("refuse unknown flags, and unmap for discard (virtio 1.3 §5.2.6.2)", () => {
		const { status } = setUp(new MemoryDisk(SIZE));
		expect(status(WRITE_ZEROES, 0, segment(0, 1, 2))).toBe(UNSUPP);
		expect(status(DISCARD, 0, segment(0, 1, 0x80000000))).toBe(UNSUPP);
		expect(status(DISCARD, 0, segment(0, 1, 1))).toBe(UNSUPP);
	});

	it("refuse ranges outside, torn segments and too many of them", () => {
		const { status } = setUp(new MemoryDisk(SIZE));
		expect(status(WRITE_ZEROES, 0, segment(2047, 2))).toBe(IOERR);
		expect(status(DISCARD, 0, segment(0, 0xffffffff))).toBe(IOERR);
		expect(status(DISCARD, 0)).toBe(IOERR);
		expect(status(DISCARD, 0, filled(17, 0))).toBe(IOERR);
		const many = Array.from({ length: 17 }, () => segment(0, 1));
		expect(status(DISCARD, 0, ...many)).toBe(IOERR);
		expect(status(DISCARD, 0, ...many.slice(1))).toBe(OK);
	});

	it("are offered as far as the disk can do them", () => {
		const plain = new MemoryDisk(SIZE);
		const features = (disk: BlockBackend) =>
			setUp(disk).driver.side.readFeatures();
		const has = (set: bigint, bit: number) =>
			((set >> BigInt(bit)) & 1n) === 1n;
		expect(has(features(plain), VIRTIO_BLK_F_DISCARD)).toBe(true);
		const { driver } = setUp(new OverlayDisk(plain));
		expect(has(driver.side.readFeatures(), VIRTIO_BLK_F_DISCARD)).toBe(false);
		expect(has(driver.side.readFeatures(), VIRTIO_BLK_F_WRITE_ZEROES)).toBe(
			true,
		);
		expect([...driver.side.readConfig(56, 1)]).toEqual([0]);
	});

	it("are unsupported unless negotiated", () => {
		const { status } = setUp(new MemoryDisk(SIZE), []);
		expect(status(DISCARD, 0, segment(0, 1))).toBe(UNSUPP);
		expect(status(WRITE_ZEROES, 0, segment(0, 1))).toBe(UNSUPP);
	});
});

describe("the write cache", () => {
	const write = (accept: readonly number[], writeback?: number) => {
		const disk = new FakeDisk(SIZE);
		const { send, driver, queue } = setUp(disk, accept);
		if (writeback !== undefined) {
			driver.side.writeConfig(32, Uint8Array.of(writeback));
		}
		send(OUT, 0, filled(512, 1));
		return { disk, queue, driver };
	};

	it("is left to flushes when the driver can flush", async () => {
		const { disk, queue } = write([VIRTIO_BLK_F_FLUSH]);
		await disk.succeedAll();
		expect(disk.log).toEqual(["write 0+512"]);
		expect(queue.takeUsed()).toHaveLength(1);
	});

	it("is written through before completion when the driver cannot (virtio 1.3 §5.2.6.2)", async () => {
		const { disk, queue } = write([]);
		await disk.pending[0]?.succeed();
		expect(disk.log).toEqual(["write 0+512", "flush"]);
		expect(queue.takeUsed()).toEqual([]);
		await disk.succeedAll();
		expect(queue.takeUsed()).toHaveLength(1);
	});

	it("is written through when the driver switches it off", async () => {
		const both = [VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE];
		const off = write(both, 0);
		await off.disk.succeedAll();
		expect(off.disk.log).toContain("flush");
		expect([...off.driver.side.readConfig(32, 1)]).toEqual([0]);
		const on = write(both, 1);
		await on.disk.succeedAll();
		expect(on.disk.log).not.toContain("flush");
	});

	it("starts switched off for a driver that can switch but not flush (virtio 1.3 §5.2.5.2)", () => {
		const { driver } = write([VIRTIO_BLK_F_CONFIG_WCE]);
		expect([...driver.side.readConfig(32, 1)]).toEqual([0]);
	});

	it("cannot be switched by a driver that did not say it would", () => {
		const { driver } = write([VIRTIO_BLK_F_FLUSH], 0);
		expect([...driver.side.readConfig(32, 1)]).toEqual([1]);
	});

	it("flushes when asked", async () => {
		const disk = new FakeDisk(SIZE);
		const { send, queue } = setUp(disk);
		send(FLUSH, 0);
		expect(queue.takeUsed()).toEqual([]);
		await disk.succeedAll();
		expect(queue.takeUsed()[0]?.written).toEqual(Uint8Array.of(OK));
	});
});

describe("a slow disk", () => {
	it("has requests finish in the order it likes", async () => {
		const disk = new FakeDisk(SIZE);
		const { send, queue } = setUp(disk);
		const first = send(IN, 0, room(512));
		const second = send(IN, 8, room(512));
		await disk.pending[1]?.succeed();
		expect(queue.takeUsed().map(({ id }) => id)).toEqual([second]);
		await disk.succeedAll();
		expect(queue.takeUsed().map(({ id }) => id)).toEqual([first]);
	});

	it("gets a bounded number of requests at a time, and all in the end", async () => {
		const disk = new FakeDisk(SIZE);
		const { queue } = setUp(disk);
		for (let i = 0; i < 40; i++) queue.offer(header(IN, i), room(512), room(1));
		queue.kick();
		expect(disk.pending).toHaveLength(16);
		await disk.succeedAll();
		expect(queue.takeUsed()).toHaveLength(40);
	});

	it("turns failures into an I/O error, whenever they come", async () => {
		const disk = new FakeDisk(4 << 20);
		const { send, queue } = setUp(disk);
		send(IN, 0, room(1024 * 1024));
		await disk.pending[0]?.succeed();
		await disk.pending[0]?.fail();
		const [used] = queue.takeUsed();
		expect(used?.written.at(-1)).toBe(IOERR);
		// Only what was read counts (virtio 1.3 §2.7.8.2).
		expect(used?.writtenBytes).toBe(512 * 1024);
	});

	it("gives each of many large reads its own data, in any order", async () => {
		const disk = new FakeDisk(4 << 20);
		const sizes = [512, 64, 40, 512, 33].map((kib) => kib * 1024);
		sizes.forEach((size, index) => {
			disk.contents.write(index << 19, filled(size, index + 1));
		});
		const { send, queue } = setUp(disk);
		for (let round = 0; round < 3; round++) {
			const ids = sizes.map((size, index) => send(IN, index << 10, room(size)));
			// All have been read before the first is given to the driver.
			await Promise.all(
				[...disk.pending].reverse().map((call) => call.succeed()),
			);
			const used = queue.takeUsed();
			sizes.forEach((size, index) => {
				const one = used.find(({ id }) => id === ids[index]);
				const wanted = [...filled(size, index + 1), OK];
				expect(
					Buffer.compare(one?.written ?? Buffer.of(), Buffer.from(wanted)),
				).toBe(0);
			});
		}
	});

	it("turns a backend that throws into an I/O error", () => {
		const disk = new MemoryDisk(SIZE);
		disk.flush = () => {
			throw new Error("not today");
		};
		const { status } = setUp(disk);
		expect(status(FLUSH, 0)).toBe(IOERR);
	});

	it("finishes old requests before it takes new ones after a reset", async () => {
		const disk = new FakeDisk(SIZE);
		const { send, driver, block } = setUp(disk);
		send(OUT, 0, filled(512, 1));
		driver.start({ accept: ALL, queueSize: 256 });
		const queue = driver.queue();
		queue.send(header(OUT, 0), filled(512, 2), room(1));
		expect(disk.log).toEqual(["write 0+512"]);
		let settled = false;
		block.settle()?.then(() => {
			settled = true;
		});
		await disk.pending[0]?.succeed();
		expect(settled).toBe(true);
		expect(disk.log).toEqual(["write 0+512", "write 0+512"]);
		await disk.succeedAll();
		expect(queue.takeUsed()).toHaveLength(1);
		const sector = new Uint8Array(512);
		disk.contents.read(0, sector);
		expect(sector[0]).toBe(2);
	});

	it("is given no further piece of a request that a reset took away", async () => {
		const disk = new FakeDisk(4 << 20);
		const { send, device } = setUp(disk);
		send(OUT, 0, filled(1024 * 1024, 1));
		device.reset();
		await disk.succeedAll();
		expect(disk.log).toEqual(["write 0+524288"]);
	});
});
