import { execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	afterEach,
	beforeEach,
	describe,
	expect,
	it,
	onTestFinished,
} from "vitest";
import type { NetBackend } from "../../index.ts";
import { FrameStream } from "./frame-stream.ts";
import { SharedSwitch } from "./shared-switch.ts";
import { StreamNetwork } from "./stream-network.ts";
import { TapNetwork } from "./tap-network.ts";

let folder: string;

beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "lguest-net-"));
	process.env.XDG_RUNTIME_DIR = folder;
});

afterEach(() => {
	rmSync(folder, { recursive: true, force: true });
});

/** A broadcast from station `from`, so long. */
function broadcast(from: number, length = 60): Uint8Array {
	const frame = new Uint8Array(length);
	frame.fill(255, 0, 6);
	frame.set([2, 0, 0, 0, 0, from], 6);
	return frame;
}

function nextFrame(backend: NetBackend): Promise<Uint8Array> {
	return new Promise((resolve) => {
		backend.onFrame = resolve;
	});
}

async function until(condition: () => boolean): Promise<void> {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function closing<One extends { close(): Promise<void> }>(one: One): One {
	onTestFinished(() => one.close());
	return one;
}

describe("a network behind a socket", () => {
	it("sends and receives frames with their length before them", async () => {
		const path = join(folder, "net");
		const got: Buffer[] = [];
		let peer: Socket | undefined;
		const server = createServer((socket) => {
			peer = socket.on("data", (chunk: Buffer) => got.push(chunk));
		});
		await new Promise<void>((resolve) => server.listen(path, resolve));
		onTestFinished(() => {
			server.close();
		});
		const network = closing(await StreamNetwork.open(path));
		network.send(broadcast(1));
		await until(() => Buffer.concat(got).length === 64);
		expect([...Buffer.concat(got).subarray(0, 4)]).toEqual([0, 0, 0, 60]);
		const frames: Uint8Array[] = [];
		network.onFrame = (frame) => frames.push(frame);
		const message = Buffer.concat([Buffer.of(0, 0, 0, 60), broadcast(2)]);
		// In pieces, and two in one.
		peer?.write(message.subarray(0, 2));
		await new Promise((resolve) => setTimeout(resolve, 20));
		peer?.write(Buffer.concat([message.subarray(2), message]));
		await until(() => frames.length === 2);
		expect(frames).toEqual([broadcast(2), broadcast(2)]);
	});

	it("is out of order while nobody listens, and works when somebody does again", async () => {
		const path = join(folder, "net");
		const sockets: Socket[] = [];
		const listen = () =>
			new Promise<ReturnType<typeof createServer>>((resolve) => {
				const server = createServer((socket) => sockets.push(socket));
				server.listen(path, () => resolve(server));
			});
		const server = await listen();
		const network = closing(await StreamNetwork.open(path));
		const states: boolean[] = [];
		network.onLinkChange = () => states.push(network.linkUp);
		await until(() => sockets.length === 1);
		sockets[0]?.destroy();
		server.close();
		await until(() => states.length === 1);
		const again = await listen();
		await until(() => states.length === 2);
		again.close();
		expect(states).toEqual([false, true]);
	});

	it("hangs up on those who speak something else", async () => {
		const path = join(folder, "net");
		let closed = false;
		const server = createServer((socket) => {
			socket
				.on("error", () => {})
				.on("close", () => {
					closed = true;
				});
			const stream = new FrameStream(socket, { hasHeaders: false });
			stream.onFrame = () => {};
		});
		await new Promise<void>((resolve) => server.listen(path, resolve));
		const { connectTo } = await import("./stream-network.ts");
		const socket = await connectTo(path);
		socket.on("error", () => {}).write("GET / HTTP/1.1\r\n\r\n");
		await until(() => closed);
		server.close();
		expect(socket.destroyed || closed).toBe(true);
	});

	it("says so when nobody listens at the start", async () => {
		await expect(StreamNetwork.open(join(folder, "none"))).rejects.toThrow(
			"Nobody listens on the network socket",
		);
	});
});

describe("a switch by name", () => {
	it("joins those who name it, with what is left to do to a frame", async () => {
		const [one, two, three] = [
			closing(await SharedSwitch.open("s")),
			closing(await SharedSwitch.open("s")),
			closing(await SharedSwitch.open("s")),
		];
		const other = closing(await SharedSwitch.open("t"));
		other.onFrame = () => {
			throw new Error("a frame on the wrong switch");
		};
		const offload = {
			...{ checksumStart: 34, checksumOffset: 16 },
			segments: { kind: "tcp4", payloadBytes: 1448, ecn: false },
		} as const;
		for (const [from, ...to] of [
			[one, two, three],
			[two, one, three],
		] as const) {
			const arrivals = to.map(
				(station) =>
					new Promise((resolve) => {
						station.onFrame = (frame, left) => resolve([frame, left]);
					}),
			);
			from.send(broadcast(1, 5000), offload);
			for (const arrival of await Promise.all(arrivals)) {
				expect(arrival).toEqual([broadcast(1, 5000), offload]);
			}
		}
	});

	it("is taken over when the process that has it is killed", async () => {
		// The built one: old Nodes run no TypeScript.
		const module = new URL(
			"../../../dist/node/net/shared-switch.js",
			import.meta.url,
		);
		const program = `
			import { SharedSwitch } from ${JSON.stringify(module.href)};
			await SharedSwitch.open("heir");
			console.log("ready");
			setInterval(() => {}, 1000);`;
		const host = spawn(process.execPath, [
			...["--input-type=module", "-e", program],
		]);
		await new Promise((resolve, reject) => {
			host.stdout.once("data", resolve);
			host.once("exit", () => reject(new Error("the host is not built")));
		});
		const [one, two] = [
			closing(await SharedSwitch.open("heir")),
			closing(await SharedSwitch.open("heir")),
		];
		const states: boolean[] = [];
		one.onLinkChange = () => states.push(one.linkUp);
		two.onLinkChange = () => states.push(two.linkUp);
		host.kill("SIGKILL");
		await until(() => states.filter((up) => up).length === 2);
		// Ethernet loses frames: the new host may not know the other one's port yet.
		const arrival = nextFrame(two);
		const again = setInterval(() => one.send(broadcast(1)), 20);
		onTestFinished(() => clearInterval(again));
		expect(await arrival).toEqual(broadcast(1));
	}, 60_000);
});

/** A pair of interfaces with a macvtap on one of them, where we may make that. */
function macvtap(): { tap: string; far: string } | undefined {
	const ip = (...args: string[]) =>
		execFileSync("ip", args, { stdio: "pipe", encoding: "utf8" });
	const id = process.pid.toString(36);
	const [near, far, tap] = [`lga${id}`, `lgb${id}`, `lgt${id}`];
	try {
		ip("link", "add", near, "type", "veth", "peer", "name", far);
	} catch {
		return undefined;
	}
	onTestFinished(() => {
		ip("link", "del", near);
	});
	try {
		ip(
			"link",
			"add",
			"link",
			near,
			"name",
			tap,
			"type",
			"macvtap",
			"mode",
			"bridge",
		);
	} catch {
		return undefined;
	}
	for (const name of [near, far, tap]) ip("link", "set", name, "up");
	return { tap, far };
}

describe("a network of this machine's", () => {
	it("sends frames out on a macvtap interface, and gets those that come in", async ({
		skip,
	}) => {
		const made = macvtap();
		if (made === undefined) skip("this machine makes no macvtap");
		const { tap, far } = made as { tap: string; far: string };
		const sent = `/sys/class/net/${far}/statistics/rx_packets`;
		const count = () =>
			Number(execFileSync("cat", [sent], { encoding: "utf8" }));
		const network = closing(await TapNetwork.open(tap));
		expect(network.mac.length).toBe(6);
		const before = count();
		const arrival = nextFrame(network);
		// Whoever looks for an address asks everybody.
		execFileSync("ip", ["addr", "add", "10.213.7.1/24", "dev", far]);
		const socket = createSocket("udp4");
		socket.on("error", () => {}).send("anybody?", 9, "10.213.7.2");
		expect((await arrival).length).toBeGreaterThanOrEqual(42);
		socket.close();
		for (let i = 0; i < 50; i++) network.send(broadcast(9));
		await until(() => count() >= before + 50);
	}, 60_000);

	it("says what is the matter with an interface that is no macvtap, or is not there", async () => {
		await expect(TapNetwork.open("lo")).rejects.toThrow("is no macvtap");
		await expect(TapNetwork.open("nobody0")).rejects.toThrow(
			"There is no network interface nobody0.",
		);
	});
});
