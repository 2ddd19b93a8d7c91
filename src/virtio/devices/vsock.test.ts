import { describe, expect, it } from "vitest";
import { room } from "../../../test/support/mock-driver.ts";
import {
	CID,
	NotingReceiver,
	settled,
	VsockGuest,
} from "../../../test/support/vsock-guest.ts";
import type {
	VsockBackend,
	VsockConnection,
	VsockPort,
	VsockReceiver,
} from "../backends.ts";
import { VIRTIO_CONFIG_S_NEEDS_RESET } from "../constants.ts";
import { Vsock } from "./vsock.ts";
import { RECEIVE_BUFFER_BYTES } from "./vsock-connection.ts";
import {
	VIRTIO_VSOCK_OP_CREDIT_REQUEST as CREDIT_REQUEST,
	VIRTIO_VSOCK_OP_CREDIT_UPDATE as CREDIT_UPDATE,
	VIRTIO_VSOCK_OP_REQUEST as REQUEST,
	VIRTIO_VSOCK_OP_RESPONSE as RESPONSE,
	VIRTIO_VSOCK_OP_RST as RST,
	VIRTIO_VSOCK_OP_RW as RW,
	VIRTIO_VSOCK_OP_SHUTDOWN as SHUTDOWN,
	VSOCK_HEADER_BYTES,
} from "./vsock-packet.ts";

const RECEIVE_FLAG = 1;
const SEND_FLAG = 2;

/** Accepts on every port but 9, each with a receiver that a test can look at. */
class FakeBackend {
	device!: VsockPort;
	readonly receiver = new NotingReceiver();
	readonly connections: VsockConnection[] = [];
	accept: VsockBackend["accept"] = (connection) => {
		if (connection.port === 9) return undefined;
		this.connections.push(connection);
		return this.receiver;
	};

	attach(device: VsockPort): void {
		this.device = device;
	}
}

function setUp(buffers = 16) {
	const backend = new FakeBackend();
	const guest = new VsockGuest(backend, buffers);
	return { backend, guest, receiver: backend.receiver };
}

/** With a connection that the guest has asked for. */
function setUpOpen(buffers = 16) {
	const made = setUp(buffers);
	made.guest.send(REQUEST);
	made.guest.take();
	const [connection] = made.backend.connections;
	if (connection === undefined) throw new Error("no connection was offered");
	return { ...made, connection };
}

const bytes = (length: number) =>
	Uint8Array.from({ length }, (_, index) => index % 251);

describe("the socket device", () => {
	it("tells the guest its context id, which cannot be a reserved one", () => {
		const { guest } = setUp();
		expect([...guest.driver.side.readConfig(0, 8)]).toEqual([
			...[CID, 0, 0, 0, 0, 0, 0, 0],
		]);
		for (const reserved of [0, 1, 2, 0xffff_ffff, 2 ** 32 + 5, -1, 3.5]) {
			expect(() => new Vsock(new FakeBackend(), reserved)).toThrow("reserved");
		}
	});

	it("answers a connection that the backend takes, and refuses others by RST", () => {
		const { guest, backend } = setUp();
		guest.send(REQUEST, { destinationPort: 7 });
		const [response] = guest.take();
		expect(response).toMatchObject({
			...{ op: RESPONSE, type: 1, sourceCid: 2n, destinationCid: 42n },
			...{ sourcePort: 7, destinationPort: 1000, lengthBytes: 0 },
			...{ bufferBytes: RECEIVE_BUFFER_BYTES, forwardedCount: 0 },
		});
		expect(backend.connections).toMatchObject([{ port: 7, guestPort: 1000 }]);
		guest.send(REQUEST, { destinationPort: 9 });
		expect(guest.take()).toMatchObject([{ op: RST, sourcePort: 9 }]);
	});

	it("lets the backend take its time to decide, and the guest change its mind", async () => {
		const { guest, backend, receiver } = setUp();
		let decide: (receiver: VsockReceiver | undefined) => void = () => {};
		backend.accept = () =>
			new Promise((resolve) => {
				decide = resolve;
			});
		guest.send(REQUEST);
		expect(guest.model.busy).toBe(true);
		const idle = guest.model.settle();
		decide(receiver);
		await idle;
		expect(guest.model.busy).toBe(false);
		expect(guest.ops()).toEqual([RESPONSE]);
		guest.send(REQUEST, { sourcePort: 1001 });
		guest.send(RST, { sourcePort: 1001 });
		decide(receiver);
		await settled();
		expect(guest.ops()).toEqual([]);
		expect(receiver.events).toEqual(["(closed: the guest has reset it)"]);
	});

	it("refuses when the backend fails to decide", async () => {
		const { guest, backend } = setUp();
		backend.accept = () => {
			throw new Error("at once");
		};
		guest.send(REQUEST);
		backend.accept = () => Promise.reject(new Error("later"));
		guest.send(REQUEST);
		await settled();
		expect(guest.ops()).toEqual([RST, RST]);
	});

	it("replies RST to what is of an unknown type, for somebody else or of no connection (virtio 1.3 §5.10.6.4.2)", () => {
		const { guest } = setUp();
		guest.send(REQUEST, { type: 2 });
		guest.send(REQUEST, { destinationCid: 5n });
		guest.send(REQUEST, { sourceCid: 5n });
		guest.send(RW, {}, "hello");
		guest.send(0);
		guest.send(99);
		expect(guest.take().map(({ op, type }) => [op, type])).toEqual([
			...[RST, RST, RST, RST, RST, RST].map((op, i) => [op, i === 0 ? 2 : 1]),
		]);
	});

	it("never replies to RST", () => {
		const { guest } = setUp();
		guest.send(RST);
		guest.send(RST, { type: 7 });
		expect(guest.ops()).toEqual([]);
	});

	it("carries data both ways", async () => {
		const { guest, receiver, connection } = setUpOpen();
		guest.send(RW, {}, "hello");
		guest.send(RW, {}, " world");
		expect(receiver.events).toEqual(["hello", " world"]);
		const sent = connection.write(new TextEncoder().encode("good morning"));
		const [packet] = guest.take();
		expect(new TextDecoder().decode(packet?.data)).toBe("good morning");
		await sent;
	});

	it("cuts what it sends into pieces that fit the driver's buffers", async () => {
		const { guest, connection } = setUpOpen(3);
		const sent = connection.write(bytes(10_000));
		const packets = guest.take();
		expect(packets.map(({ data }) => data.length)).toEqual([4096, 4096, 1808]);
		expect(Buffer.concat(packets.map(({ data }) => data))).toEqual(
			Buffer.from(bytes(10_000)),
		);
		await sent;
	});

	it("sends only what the guest has said it can hold (virtio 1.3 §5.10.6.3.2)", () => {
		const { guest, backend } = setUp();
		guest.send(REQUEST, { bufferBytes: 100 });
		const [connection] = backend.connections;
		connection?.write(bytes(250));
		const first = guest.take();
		expect(first.map(({ op, data }) => [op, data.length])).toEqual([
			...[
				[RESPONSE, 0],
				[RW, 100],
				[CREDIT_REQUEST, 0],
			],
		]);
		guest.send(CREDIT_UPDATE, { bufferBytes: 100, forwardedCount: 60 });
		const second = guest.take();
		expect(second.map(({ op, data }) => [op, data.length])).toEqual([
			...[
				[RW, 60],
				[CREDIT_REQUEST, 0],
			],
		]);
		// The same again is no news, and not asked for again.
		guest.send(CREDIT_UPDATE, { bufferBytes: 100, forwardedCount: 60 });
		expect(guest.ops()).toEqual([]);
		guest.send(CREDIT_UPDATE, { bufferBytes: 200, forwardedCount: 160 });
		expect(guest.take().map(({ data }) => data.length)).toEqual([90]);
	});

	it("does not believe a credit that makes no sense", () => {
		const { guest, connection } = setUpOpen();
		guest.send(CREDIT_UPDATE, { bufferBytes: 100, forwardedCount: 5000 });
		connection.write(bytes(10));
		expect(guest.ops()).toEqual([CREDIT_REQUEST]);
	});

	it("holds the guest back while the receiver is busy, and gives credit as it takes", async () => {
		const { guest, receiver } = setUpOpen();
		receiver.slow = [];
		const half = bytes(RECEIVE_BUFFER_BYTES / 2);
		guest.sendBytes(RW, {}, half);
		guest.sendBytes(RW, {}, half);
		expect(receiver.bytes).toBe(half.length);
		expect(guest.ops()).toEqual([]);
		receiver.slow.shift()?.();
		await settled();
		expect(guest.take()).toMatchObject([
			{ op: CREDIT_UPDATE, forwardedCount: half.length },
		]);
		expect(receiver.bytes).toBe(2 * half.length);
		guest.send(CREDIT_REQUEST);
		expect(guest.take()).toMatchObject([
			{ op: CREDIT_UPDATE, forwardedCount: half.length },
		]);
	});

	it("resets a connection whose guest sends more than it may", async () => {
		const { guest, receiver } = setUpOpen();
		receiver.slow = [];
		guest.sendBytes(RW, {}, bytes(RECEIVE_BUFFER_BYTES));
		guest.sendBytes(RW, {}, bytes(1));
		expect(guest.ops()).toEqual([RST]);
		expect(receiver.events.at(-1)).toBe(
			"(closed: the guest sent more than it may)",
		);
	});

	it("passes a guest's end on, and still writes to it", async () => {
		const { guest, receiver, connection } = setUpOpen();
		guest.send(RW, {}, "the end");
		guest.send(SHUTDOWN, { flags: SEND_FLAG });
		expect(receiver.events).toEqual(["the end", "(ended)"]);
		connection.write(bytes(5));
		connection.end();
		// The second flag says that nothing is expected, either: the guest confirms.
		expect(guest.take().map(({ op, flags }) => [op, flags])).toEqual([
			...[
				[RW, 0],
				[SHUTDOWN, SEND_FLAG | RECEIVE_FLAG],
			],
		]);
		guest.send(RST);
		expect(receiver.events.at(-1)).toBe("(closed: both ended)");
	});

	it("tells the guest of our end behind the last data, and still reads", () => {
		const { guest, receiver, connection } = setUpOpen();
		connection.write(bytes(5));
		connection.end();
		expect(guest.take().map(({ op, flags }) => [op, flags])).toEqual([
			...[
				[RW, 0],
				[SHUTDOWN, SEND_FLAG],
			],
		]);
		guest.send(RW, {}, "still here");
		guest.send(SHUTDOWN, { flags: SEND_FLAG | RECEIVE_FLAG });
		expect(guest.ops()).toEqual([RST]);
		expect(receiver.events).toEqual([
			...["still here", "(ended)", "(closed: both ended)"],
		]);
	});

	it("confirms a guest's close at once, while a slow reader gets everything", async () => {
		const { guest, receiver, connection } = setUpOpen();
		receiver.slow = [];
		guest.send(RW, {}, "one");
		guest.send(RW, {}, "two");
		guest.send(SHUTDOWN, { flags: SEND_FLAG | RECEIVE_FLAG });
		expect(guest.ops()).toEqual([RST]);
		await expect(connection.write(bytes(1))).rejects.toThrow("closed");
		// The guest may use the same ports again.
		guest.send(REQUEST);
		expect(guest.ops()).toEqual([RESPONSE]);
		receiver.slow.shift()?.();
		await settled();
		receiver.slow.shift()?.();
		await settled();
		expect(receiver.events).toEqual([
			...["one", "two", "(ended)", "(closed: the guest has closed it)"],
		]);
	});

	it("fails writes that the guest will not take any more", async () => {
		const { guest, connection } = setUpOpen(0);
		const waiting = connection.write(bytes(10));
		guest.send(SHUTDOWN, { flags: RECEIVE_FLAG });
		await expect(waiting).rejects.toThrow("does not take any more");
		await expect(connection.write(bytes(1))).rejects.toThrow("nothing can be");
		connection.end();
		await expect(connection.write(bytes(1))).rejects.toThrow("ended before");
	});

	it("tells the guest when nobody reads, and throws away what still comes", () => {
		const { guest, receiver, connection } = setUpOpen();
		connection.ignore();
		expect(guest.take()).toMatchObject([{ op: SHUTDOWN, flags: RECEIVE_FLAG }]);
		guest.send(RW, {}, "anybody?");
		expect(receiver.events).toEqual([]);
	});

	it("resets from either side at once", async () => {
		const { guest, receiver, connection } = setUpOpen();
		connection.reset();
		expect(guest.ops()).toEqual([RST]);
		expect(receiver.events).toEqual(["(closed: it was reset from this side)"]);
		const other = setUpOpen();
		other.receiver.slow = [];
		other.guest.send(RW, {}, "one");
		other.guest.send(RST);
		expect(other.receiver.events).toEqual([
			...["one", "(closed: the guest has reset it)"],
		]);
	});

	it("resets a connection whose reader fails", async () => {
		const { guest, backend } = setUp();
		backend.accept = () => ({
			receive: () => Promise.reject(new Error("no")),
			ended: () => {},
			closed: () => {},
		});
		guest.send(REQUEST);
		guest.send(RW, {}, "x");
		await settled();
		expect(guest.ops()).toEqual([RESPONSE, RST]);
	});

	it("connects to a port in the guest", async () => {
		const { guest, backend, receiver } = setUp();
		const connecting = backend.device.connect(77, receiver);
		const [request] = guest.take();
		expect(request).toMatchObject({ op: REQUEST, destinationPort: 77 });
		const reply = {
			sourcePort: 77,
			destinationPort: request?.sourcePort ?? 0,
		};
		guest.send(RESPONSE, reply);
		guest.send(RW, reply, "early");
		const connection = await connecting;
		expect(connection).toMatchObject({ guestPort: 77 });
		expect(receiver.events).toEqual([`(open: ${connection.port})`, "early"]);
		const refused = backend.device.connect(78, receiver);
		const [second] = guest.take();
		expect(second?.sourcePort).not.toBe(request?.sourcePort);
		guest.send(RST, {
			sourcePort: 78,
			destinationPort: second?.sourcePort ?? 0,
		});
		await expect(refused).rejects.toThrow("nobody in the guest listens");
		expect(receiver.events).toHaveLength(2);
	});

	it("connects to nobody before the guest has a driver, or after it is gone", async () => {
		const { guest, backend, receiver } = setUp();
		const connecting = backend.device.connect(77, receiver);
		guest.device.reset();
		await expect(connecting).rejects.toThrow("started over");
		await expect(backend.device.connect(77, receiver)).rejects.toThrow(
			"no vsock driver yet",
		);
	});

	it("treats as broken a connection whose guest answers out of turn", async () => {
		const { guest, backend, receiver } = setUpOpen();
		guest.send(RESPONSE);
		expect(guest.ops()).toEqual([RST]);
		guest.send(REQUEST);
		guest.send(REQUEST);
		expect(guest.ops()).toEqual([RESPONSE, RST]);
		const connecting = backend.device.connect(77, receiver);
		const [request] = guest.take();
		guest.send(RW, {
			sourcePort: 77,
			destinationPort: request?.sourcePort ?? 0,
		});
		await expect(connecting).rejects.toThrow("out of turn");
		expect(guest.ops()).toEqual([RST]);
	});

	it("serves many connections in turn", () => {
		const { guest, backend } = setUp(0);
		for (let i = 0; i < 3; i++) guest.send(REQUEST, { sourcePort: i });
		for (const connection of backend.connections)
			connection.write(bytes(10_000));
		guest.offer(12);
		const packets = guest.take();
		const order = packets.map(({ destinationPort }) => destinationPort);
		expect(order).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
	});

	it("takes packets while the guest reads none, but not for ever (virtio 1.3 §5.10.6.2.2)", () => {
		const { guest } = setUp(0);
		let used = 0;
		for (let i = 0; i < 300; i++) {
			guest.send(RW, { sourcePort: i });
			used += guest.driver.queue(1).takeUsed().length;
			if (used < i + 1) break;
		}
		expect(used).toBe(256);
		guest.offer(10);
		expect(guest.ops()).toHaveLength(10);
		expect(guest.driver.queue(1).takeUsed()).toHaveLength(1);
	});

	it("has a limit of connections, which those only waiting for a farewell do not count against", async () => {
		const { guest, backend } = setUp();
		for (let i = 0; i < 512; i++) {
			guest.send(REQUEST, { sourcePort: i });
			expect(guest.ops()).toEqual([RESPONSE]);
		}
		guest.send(REQUEST, { sourcePort: 600 });
		expect(guest.ops()).toEqual([RST]);
		await expect(backend.device.connect(1, backend.receiver)).rejects.toThrow(
			"too many",
		);
		backend.connections[7]?.end();
		guest.send(SHUTDOWN, { sourcePort: 7, flags: SEND_FLAG });
		guest.take();
		guest.send(REQUEST, { sourcePort: 600 });
		const last = guest.take();
		expect(
			last.map(({ op, destinationPort }) => [op, destinationPort]),
		).toEqual([
			[RST, 7],
			[RESPONSE, 600],
		]);
	});

	it("tells of a transport reset, drops all connections and has another context id", () => {
		const { guest, backend, receiver } = setUpOpen();
		backend.device.resetTransport(50);
		expect(receiver.events).toEqual(["(closed: the transport was reset)"]);
		expect(guest.ops()).toEqual([]);
		// The event waits for its buffer.
		guest.driver.queue(2).send(room(4));
		const [event] = guest.driver.queue(2).takeUsed();
		expect([...(event?.written ?? [])]).toEqual([0, 0, 0, 0]);
		expect(event?.writtenBytes).toBe(4);
		expect(guest.driver.side.readConfig(0, 8)[0]).toBe(50);
		guest.send(REQUEST);
		guest.send(REQUEST, { sourceCid: 50n });
		expect(guest.ops()).toEqual([RST, RESPONSE]);
		guest.driver.queue(2).send(room(4));
		expect(guest.driver.queue(2).takeUsed()).toEqual([]);
	});

	it("closes everything at a reset and is in order afterwards", () => {
		const { guest, receiver } = setUpOpen();
		guest.device.reset();
		expect(receiver.events).toEqual([
			"(closed: the guest's driver has started over)",
		]);
		guest.driver.start({ queueSize: 16 });
		guest.offer(4);
		guest.send(REQUEST);
		expect(guest.ops()).toEqual([RESPONSE]);
	});

	it("asks for a reset when buffers hold no packets", () => {
		for (const [queue, piece] of [
			[0, room(VSOCK_HEADER_BYTES)],
			[0, bytes(100)],
			[1, bytes(VSOCK_HEADER_BYTES - 1)],
			[1, room(100)],
			[2, room(3)],
		] as const) {
			const { guest, backend } = setUp(0);
			guest.driver.queue(queue).send(piece);
			guest.send(REQUEST);
			backend.device.resetTransport();
			guest.send(REQUEST);
			expect(guest.status() & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
		}
		const { guest } = setUp();
		guest.send(RW, { lengthBytes: 10 }, "too short");
		expect(guest.status() & VIRTIO_CONFIG_S_NEEDS_RESET).not.toBe(0);
	});
});
