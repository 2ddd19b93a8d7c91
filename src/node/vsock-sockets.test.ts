import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VsockGuest } from "../../test/support/vsock-guest.ts";
import {
	VIRTIO_VSOCK_OP_REQUEST as REQUEST,
	VIRTIO_VSOCK_OP_RESPONSE as RESPONSE,
	VIRTIO_VSOCK_OP_RST as RST,
	VIRTIO_VSOCK_OP_RW as RW,
	VIRTIO_VSOCK_OP_SHUTDOWN as SHUTDOWN,
} from "../virtio/devices/vsock-packet.ts";
import { VsockSockets } from "./vsock-sockets.ts";

let scratch: string;
let path: string;
let sockets: VsockSockets;
let guest: VsockGuest;

beforeEach(async () => {
	scratch = await mkdtemp(join(tmpdir(), "lguest-vsock-"));
	path = join(scratch, "guest");
	sockets = await VsockSockets.open(path);
	guest = new VsockGuest(sockets);
});

afterEach(async () => {
	await sockets.close();
	await rm(scratch, { recursive: true, force: true });
});

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

/** Packets for the guest, as soon as there are `count`. */
async function arrived(count: number) {
	const packets = guest.take();
	while (packets.length < count) {
		await new Promise((resolve) => setTimeout(resolve, 5));
		packets.push(...guest.take());
	}
	return packets;
}

/** Everything a socket has to say, leaving our half of it open. */
function allOf(socket: Socket): Promise<string> {
	return new Promise((resolve) => {
		let all = "";
		socket.on("data", (chunk) => {
			all += String(chunk);
		});
		socket.on("close", () => resolve(all)).on("end", () => resolve(all));
	});
}

/** Somebody outside who listens, and says what was heard when it is over. */
function listen(port: number, answer: string) {
	let server!: Server;
	const heard = new Promise<string>((resolve) => {
		server = createServer({ allowHalfOpen: true }, async (socket) => {
			const all = await allOf(socket);
			socket.end(answer);
			server.close();
			resolve(all);
		});
	});
	const ready = new Promise<void>((resolve) => {
		server.listen(`${path}_${port}`, resolve);
	});
	return { heard, ready };
}

/** The guest's half of a connection from outside. */
async function acceptOutside(requestText: string) {
	const socket = connect({ path, allowHalfOpen: true });
	socket.write(requestText);
	const [request] = await arrived(1);
	const ports = {
		sourcePort: request?.destinationPort ?? 0,
		destinationPort: request?.sourcePort ?? 0,
	};
	guest.send(RESPONSE, ports);
	return { socket, request, ports };
}

describe("vsock on Unix sockets", () => {
	it("puts a guest through to whoever listens on PATH_PORT", async () => {
		const { heard, ready } = listen(1, "good bye");
		await ready;
		guest.send(REQUEST);
		await guest.model.settle();
		guest.send(RW, {}, "hello");
		guest.send(SHUTDOWN, { flags: 2 });
		expect(await heard).toBe("hello");
		const packets = await arrived(3);
		expect(packets.map(({ op, data }) => [op, text(data)])).toEqual([
			...[
				[RESPONSE, ""],
				[RW, "good bye"],
				[SHUTDOWN, ""],
			],
		]);
	});

	it("refuses a guest where nobody listens", async () => {
		guest.send(REQUEST);
		await guest.model.settle();
		expect(guest.ops()).toEqual([RST]);
	});

	it("puts through to a port in the guest, with what was said early", async () => {
		const { socket, request, ports } = await acceptOutside(
			"CONNECT 4242\nearly",
		);
		expect(request).toMatchObject({ op: REQUEST, destinationPort: 4242 });
		// The guest is as quick to speak.
		guest.send(RW, ports, "hello");
		guest.send(SHUTDOWN, { ...ports, flags: 2 });
		socket.end();
		const said = allOf(socket);
		const packets = await arrived(2);
		expect(packets.map(({ op, data }) => [op, text(data)])).toEqual([
			...[
				[RW, "early"],
				[SHUTDOWN, ""],
			],
		]);
		expect(await said).toBe(`OK ${request?.sourcePort}\nhello`);
	});

	it("hangs up on a wrong request, and where the guest does not listen", async () => {
		for (const wrong of ["CONNECT x\n", "HELLO\n", "a".repeat(100)]) {
			const socket = connect({ path });
			socket.on("error", () => {});
			socket.write(wrong);
			expect(await allOf(socket)).toBe("");
		}
		const silent = connect({ path });
		silent.end();
		expect(await allOf(silent)).toBe("");
		const socket = connect({ path });
		socket.write("CONNECT 5\n");
		const [request] = await arrived(1);
		guest.send(RST, {
			sourcePort: 5,
			destinationPort: request?.sourcePort ?? 0,
		});
		expect(await allOf(socket)).toBe("");
	});

	it("resets the connection when the program outside is gone", async () => {
		const { socket, ports } = await acceptOutside("CONNECT 7\n");
		await new Promise((resolve) => socket.once("data", resolve));
		socket.destroy();
		// To us, that looks like an end, until something is sent the other way.
		expect(await arrived(1)).toMatchObject([{ op: SHUTDOWN, flags: 2 }]);
		guest.send(RW, ports, "anybody?");
		expect(await arrived(1)).toMatchObject([{ op: RST }]);
	});

	it("cuts off the program outside when the guest is reset", async () => {
		const { socket } = await acceptOutside("CONNECT 7\n");
		await new Promise((resolve) => socket.once("data", resolve));
		const closed = new Promise((resolve) => socket.once("close", resolve));
		socket.on("error", () => {});
		socket.on("end", () => socket.destroy());
		guest.device.reset();
		await closed;
	});

	it("carries megabytes either way, no faster than the slower side", async () => {
		const { socket, ports } = await acceptOutside("CONNECT 7\n");
		const total = 3 << 20;
		let read = 0;
		socket.on("data", (chunk: Buffer) => {
			read += chunk.length;
		});
		socket.write(new Uint8Array(total));
		let fromOutside = 0;
		let sent = 0;
		let credit = 0;
		for (let round = 0; fromOutside < total || read < total; round++) {
			for (const packet of guest.take()) {
				fromOutside += packet.data.length;
				credit = packet.forwardedCount;
			}
			if (sent < total && sent - credit <= 64 * 1024) {
				const piece = new Uint8Array(64 * 1024);
				guest.sendBytes(RW, { ...ports, forwardedCount: fromOutside }, piece);
				sent += piece.length;
			} else {
				guest.send(6, { ...ports, forwardedCount: fromOutside });
			}
			await new Promise((resolve) => setImmediate(resolve));
			if (round > 50_000) throw new Error("stuck");
		}
		expect(fromOutside).toBe(total);
		expect(read).toBeGreaterThanOrEqual(total);
		socket.destroy();
	});

	it("leaves nothing behind, and takes over what a killed process left", async () => {
		await expect(VsockSockets.open(path)).rejects.toThrow("There is something");
		await sockets.close();
		expect(existsSync(path)).toBe(false);
		await writeFile(path, "not a socket");
		await expect(VsockSockets.open(path)).rejects.toThrow("There is something");
		await rm(path);
		await expect(
			VsockSockets.open(join(scratch, "x".repeat(200))),
		).rejects.toThrow("cannot be made");
		sockets = await VsockSockets.open(path);
	});
});
