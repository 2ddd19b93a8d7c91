import { describe, expect, it } from "vitest";
import {
	NotingReceiver,
	settled,
	VsockGuest,
} from "../../test/support/vsock-guest.ts";
import {
	VIRTIO_VSOCK_OP_CREDIT_UPDATE as CREDIT_UPDATE,
	VIRTIO_VSOCK_OP_REQUEST as REQUEST,
	VIRTIO_VSOCK_OP_RESPONSE as RESPONSE,
	VIRTIO_VSOCK_OP_RST as RST,
	VIRTIO_VSOCK_OP_RW as RW,
	VIRTIO_VSOCK_OP_SHUTDOWN as SHUTDOWN,
} from "./devices/vsock-packet.ts";
import { VsockHub, type VsockStream } from "./vsock-hub.ts";

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const bytes = (what: string) => new TextEncoder().encode(what);

/** A hub with a stream for which the guest has asked. */
function setUp() {
	const hub = new VsockHub();
	const guest = new VsockGuest(hub);
	const streams: VsockStream[] = [];
	hub.listen(1, (stream) => streams.push(stream));
	guest.send(REQUEST);
	guest.take();
	const [stream] = streams;
	if (stream === undefined) throw new Error("nobody was asked");
	return { hub, guest, stream };
}

describe("the vsock hub", () => {
	it("gives a listener two streams for each connection", async () => {
		const { guest, stream } = setUp();
		expect(stream).toMatchObject({ port: 1, guestPort: 1000 });
		guest.send(RW, {}, "hello");
		guest.send(SHUTDOWN, { flags: 2 });
		const chunks: string[] = [];
		for await (const chunk of stream.readable) chunks.push(text(chunk));
		expect(chunks).toEqual(["hello"]);
		const writer = stream.writable.getWriter();
		await writer.write(bytes("good bye"));
		await writer.close();
		const packets = guest.take();
		expect(packets.map(({ op, data }) => [op, text(data)])).toEqual([
			...[
				[RW, "good bye"],
				[SHUTDOWN, ""],
			],
		]);
		guest.send(RST);
		expect(await stream.closed).toBeUndefined();
	});

	it("refuses where nobody listens, or not any more", () => {
		const hub = new VsockHub();
		const guest = new VsockGuest(hub);
		guest.send(REQUEST);
		const stop = hub.listen(1, () => {});
		expect(() => hub.listen(1, () => {})).toThrow("listens on vsock port 1");
		guest.send(REQUEST);
		stop();
		guest.send(REQUEST, { sourcePort: 1001 });
		expect(guest.ops()).toEqual([RST, RESPONSE, RST]);
	});

	it("asks another backend about ports on which nobody listens", () => {
		const receiver = new NotingReceiver();
		const otherwise = { accept: () => receiver, attach: () => {} };
		const guest = new VsockGuest(new VsockHub({ otherwise }));
		guest.send(REQUEST);
		guest.send(RW, {}, "for you");
		expect(receiver.events).toEqual(["for you"]);
	});

	it("connects to a port in the guest", async () => {
		const hub = new VsockHub();
		await expect(hub.connect(77)).rejects.toThrow("belongs to no guest");
		const guest = new VsockGuest(hub);
		const connecting = hub.connect(77);
		const [request] = guest.take();
		const reply = {
			sourcePort: 77,
			destinationPort: request?.sourcePort ?? 0,
		};
		guest.send(RESPONSE, reply);
		const stream = await connecting;
		guest.send(RW, reply, "ready");
		const { value } = await stream.readable.getReader().read();
		expect(text(value)).toBe("ready");
	});

	it("holds the guest back until the reader reads", async () => {
		const { guest, stream } = setUp();
		const piece = new Uint8Array(64 * 1024);
		guest.sendBytes(RW, {}, piece);
		guest.sendBytes(RW, {}, piece);
		await settled();
		expect(guest.ops()).toEqual([]);
		const reader = stream.readable.getReader();
		await reader.read();
		await reader.read();
		await settled();
		expect(guest.take().at(-1)).toMatchObject({
			...{ op: CREDIT_UPDATE, forwardedCount: 2 * piece.length },
		});
	});

	it("holds the writer back until the guest has what was written", async () => {
		const { guest, stream } = setUp();
		const writer = stream.writable.getWriter();
		let written = false;
		const writing = writer.write(new Uint8Array(300_000)).then(() => {
			written = true;
		});
		let got = 0;
		while (got < 262_144) {
			await settled();
			for (const { data } of guest.take()) got += data.length;
		}
		await settled();
		expect(written).toBe(false);
		guest.send(CREDIT_UPDATE, { forwardedCount: got });
		await writing;
		expect(written).toBe(true);
	});

	it("fails both streams when the connection is lost", async () => {
		const { guest, stream } = setUp();
		guest.send(RST);
		expect(await stream.closed).toBe("the guest has reset it");
		await expect(stream.readable.getReader().read()).rejects.toThrow("lost");
		await expect(stream.writable.getWriter().write(bytes("x"))).rejects.toThrow(
			"lost",
		);
	});

	it("tells the guest when a stream is cancelled, aborted or reset", async () => {
		const cancelled = setUp();
		await cancelled.stream.readable.cancel();
		cancelled.guest.send(RW, {}, "anybody?");
		expect(cancelled.guest.take()).toMatchObject([{ op: SHUTDOWN, flags: 1 }]);
		const aborted = setUp();
		await aborted.stream.writable.abort();
		expect(aborted.guest.ops()).toEqual([RST]);
		const reset = setUp();
		reset.stream.reset();
		expect(reset.guest.ops()).toEqual([RST]);
	});

	it("echoes by a pipe, as its documentation says", async () => {
		const hub = new VsockHub();
		const guest = new VsockGuest(hub);
		hub.listen(1, ({ readable, writable }) => {
			readable.pipeTo(writable);
		});
		guest.send(REQUEST);
		guest.send(RW, {}, "echo");
		guest.send(SHUTDOWN, { flags: 2 });
		for (let i = 0; i < 5; i++) await settled();
		const packets = guest.take();
		expect(packets.map(({ op, data }) => [op, text(data)])).toEqual([
			...[
				[RESPONSE, ""],
				[RW, "echo"],
				[SHUTDOWN, ""],
			],
		]);
	});

	it("passes a transport reset on, with another context id", async () => {
		const { hub, guest, stream } = setUp();
		hub.resetTransport(99);
		expect(await stream.closed).toBe("the transport was reset");
		expect(guest.driver.side.readConfig(0, 1)[0]).toBe(99);
	});
});
