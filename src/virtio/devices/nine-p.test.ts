import { describe, expect, it } from "vitest";
import {
	MockDriver,
	room,
	TestMemory,
} from "../../../test/support/mock-driver.ts";
import {
	NinePClient,
	type NinePServer,
} from "../../../test/support/nine-p-client.ts";
import { settled } from "../../../test/support/vsock-guest.ts";
import { VIRTIO_CONFIG_S_NEEDS_RESET } from "../constants.ts";
import { VirtioDevice } from "../device.ts";
import { MemoryFiles } from "../memory-files.ts";
import { P9_TGETATTR, P9_TREAD, P9_TVERSION } from "./nine-p/message.ts";
import { NineP } from "./nine-p.ts";

/** A tree that answers questions about its top when it is told to. */
class SlowFiles extends MemoryFiles {
	readonly waiting: (() => void)[] = [];
	slow = false;

	override async statistics() {
		if (this.slow) {
			await new Promise<void>((resolve) => {
				this.waiting.push(resolve);
			});
		}
		return super.statistics();
	}
}

/** A 9p client behind a driver, whose messages go through the queue. */
function setUp(inOrder = false) {
	const memory = new TestMemory(32 << 20);
	const tree = new SlowFiles();
	const model = new NineP(tree, "hère", inOrder);
	const device = new VirtioDevice(model, memory);
	const driver = MockDriver.started(device, memory, {
		accept: [0],
		queueSize: 128,
	});
	const queue = driver.queue(0);
	const replies = new Map<number, (reply: Uint8Array) => void>();
	const collect = () => {
		for (const { id, written, writtenBytes } of queue.takeUsed()) {
			replies.get(id)?.(written.subarray(0, writtenBytes));
		}
	};
	const server: NinePServer = {
		answer: async (message, roomBytes) => {
			// Cut anywhere: the device must not care.
			const [one, two] = [message.subarray(0, 9), message.subarray(9)];
			const pieces = two.length > 0 ? [one, two] : [one];
			const id = queue.send(...pieces, room(11), room(roomBytes - 11));
			const reply = new Promise<Uint8Array>((resolve) => {
				replies.set(id, resolve);
			});
			await model.settle();
			collect();
			return reply;
		},
	};
	return { memory, tree, model, device, driver, queue, server, collect };
}

const message = (type: number, tag: number, ...body: number[]) =>
	Uint8Array.of(7 + body.length, 0, 0, 0, type, tag, 0, ...body);

const STATFS = 8;

/** Asks a slow tree some questions, and for the order in which it is answered. */
async function askMany(inOrder: boolean): Promise<number[]> {
	const { tree, queue, server, model } = setUp(inOrder);
	await NinePClient.attached(server);
	tree.slow = true;
	const ids = [1, 2, 3].map((tag) =>
		queue.send(message(STATFS, tag, 0, 0, 0, 0), room(100)),
	);
	await settled();
	expect(model.busy).toBe(true);
	const order: number[] = [];
	for (const index of [2, 0, 1]) {
		tree.waiting[index]?.();
		await settled();
		order.push(...queue.takeUsed().map(({ id }) => ids.indexOf(id)));
	}
	return order;
}

describe("the 9p device", () => {
	it("has its tag in the configuration", () => {
		const { driver } = setUp();
		const config = driver.side.readConfig(0, 7);
		expect([...config.subarray(0, 2)]).toEqual([5, 0]);
		expect(new TextDecoder().decode(config.subarray(2))).toBe("hère");
	});

	it("carries messages and replies, however they are cut", async () => {
		const { server, tree } = setUp();
		await tree.write("file", "contents");
		const client = await NinePClient.attached(server);
		const fid = await client.open("file");
		expect(new TextDecoder().decode(await client.read(fid, 0, 100))).toBe(
			"contents",
		);
		const big = new Uint8Array(60_000).fill(7);
		const made = await client.create("", "big");
		expect(await client.write(made, 0, big)).toBe(big.length);
		expect(await client.read(made, 0, 60_000)).toEqual(big);
	});

	it("answers in any order, or in that of the questions if so told", async () => {
		expect(await askMany(false)).toEqual([2, 0, 1]);
		expect(await askMany(true)).toEqual([0, 1, 2]);
	});

	it("works on so many requests at a time and no more", async () => {
		const { tree, queue, server } = setUp();
		await NinePClient.attached(server);
		tree.slow = true;
		for (let tag = 0; tag < 40; tag++) {
			queue.send(message(STATFS, tag, 0, 0, 0, 0), room(100));
		}
		await settled();
		expect(tree.waiting).toHaveLength(32);
		tree.waiting.splice(0, 5).forEach((answer) => {
			answer();
		});
		await settled();
		expect(tree.waiting).toHaveLength(32);
	});

	it("agrees on a size and a version", async () => {
		const { server } = setUp();
		const client = new NinePClient(server);
		expect(await client.version(2 ** 31)).toEqual({
			...{ messageBytes: 512 * 1024, version: "9P2000.L" },
		});
		expect(await client.version(8192, "9P2000.u")).toEqual({
			...{ messageBytes: 8192, version: "unknown" },
		});
		await expect(client.version(4095)).rejects.toMatchObject({ errno: 90 });
	});

	it("says so when a reply does not fit its buffer, and gives no more than was agreed", async () => {
		const { server, tree } = setUp();
		await tree.write("file", new Uint8Array(20_000));
		const client = await NinePClient.attached(server);
		await client.version(8192);
		await client.attach(0);
		const fid = await client.open("file");
		expect(await client.read(fid, 0, 20_000)).toHaveLength(8192 - 11);
		const attributes = client.request(
			P9_TGETATTR,
			(body) => body.u32(0).u64(0n),
			100,
		);
		await expect(attributes).rejects.toMatchObject({ errno: 90 });
	});

	it("answers what it does not know, or what is cut short, with an error", async () => {
		const { server } = setUp();
		const client = await NinePClient.attached(server);
		for (const type of [0, 1, 6, 7, 98, 102, 106, 255]) {
			await expect(client.request(type)).rejects.toMatchObject({ errno: 95 });
		}
		for (const build of [
			() => {},
			(body: { u32(value: number): unknown }) => body.u32(0),
		]) {
			const read = client.request(P9_TREAD, build);
			await expect(read).rejects.toMatchObject({ errno: 22 });
		}
	});

	it("gives no answer to what was under way at a reset, and waits for its end", async () => {
		const { tree, queue, server, device, model, driver } = setUp();
		const client = await NinePClient.attached(server);
		await client.create("", "open");
		tree.slow = true;
		queue.send(message(STATFS, 1, 0, 0, 0, 0), room(100));
		await settled();
		device.reset();
		let idle = false;
		model.settle()?.then(() => {
			idle = true;
		});
		await settled();
		expect(idle).toBe(false);
		tree.waiting[0]?.();
		await settled();
		expect(idle).toBe(true);
		expect(queue.takeUsed()).toEqual([]);
		driver.start({ queueSize: 8 });
		driver
			.queue(0)
			.send(message(P9_TVERSION, 1, 0, 0, 1, 0, 1, 0, 65), room(100));
		await settled();
		expect(driver.queue(0).takeUsed()).toHaveLength(1);
	});

	it("asks for a reset when there is no message, or no room for an answer", () => {
		for (const [bytes, roomBytes] of [
			[Uint8Array.of(6, 0, 0, 0, 100, 0), 100],
			[Uint8Array.of(6, 0, 0, 0, 100, 0, 0), 100],
			[Uint8Array.of(12, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0), 100],
			[Uint8Array.of(0, 0, 0, 255, 100, 0, 0), 100],
			[message(P9_TVERSION, 0), 10],
		] as const) {
			const { driver, queue } = setUp();
			queue.send(bytes, room(roomBytes));
			const status = driver.side.readStatus();
			expect(status & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
		}
	});
});
