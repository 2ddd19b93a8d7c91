/**
 * `npm run bench -- --network`: two guests of one engine, each in a process of
 * its own, send each other bytes and echo requests: ours by way of their switch,
 * QEMU's over a socket, both with the default guest and virtio. v86 has no
 * virtio network card. Relies on the session driver of the boot tests;
 * `scripts/bench.ts` relies on it.
 */

import { createServer } from "node:net";
import { join } from "node:path";
import { commandFor } from "../../test/boot/engines.ts";
import { GuestSession, SessionError } from "../../test/boot/session.ts";
import { type BenchEngine, driverName, type Sample } from "./measure.ts";
import { GUEST, GUEST_PROMPT } from "./start.ts";
import { NO_SCRIPT, type Workload } from "./workloads.ts";

const STREAM_MIB = 64;
const ECHOES = 50;
const PATIENCE = { idleSeconds: 120, totalSeconds: 300 };
const MEMORY_MIB = 128;
const SERVER = "10.0.0.1";
const CLIENT = "10.0.0.2";
const PORT = 5000;

/** What the table has; the scripts are below, for there are two guests. */
const STREAM = {
	name: "network-stream",
	about: `${STREAM_MIB} MiB from one guest to another, by TCP`,
	...NO_SCRIPT,
} as const;
const ECHO = {
	name: "network-echo",
	about: "a ping to the other guest and back, on average",
	...NO_SCRIPT,
} as const;
export const NETWORK_WORKLOADS: readonly Workload[] = [STREAM, ECHO];

/** One pair of guests, from booting to the last answer. */
export async function measureNetwork(
	engine: BenchEngine,
	workloads: readonly Workload[],
): Promise<Sample[]> {
	const [first, second] = await commandsOf(engine);
	// The one that listens must be there before the other calls.
	const server = new GuestSession(first);
	const guests = [server];
	try {
		await server.shell(PATIENCE, GUEST_PROMPT);
		const client = new GuestSession(second);
		guests.push(client);
		await client.shell(PATIENCE, GUEST_PROMPT);
		const samples: Sample[] = [];
		for (const { name } of workloads) {
			samples.push(
				name === STREAM.name
					? await measureStream(engine, server, client)
					: await measureEcho(engine, client),
			);
		}
		return samples;
	} catch (error) {
		if (!(error instanceof SessionError)) throw error;
		return workloads
			.slice(0, 1)
			.map(({ name }) => ({ engine, workload: name, failure: error.message }));
	} finally {
		await Promise.all(guests.map((guest) => guest.close()));
	}
}

async function commandsOf(engine: BenchEngine): Promise<[string[], string[]]> {
	const guest = (address: string, options: readonly string[]) =>
		commandFor(driverName(engine), {
			kernel: join(GUEST, "vmlinuz"),
			initrd: join(GUEST, "initramfs.cpio.gz"),
			arguments: ["quiet", "no_timer_check", `address=${address}/24`],
			memoryMiB: MEMORY_MIB,
			options,
		});
	if (engine === "qemu") {
		const at = `127.0.0.1:${await freePort()}`;
		const device = (how: string, last: number) => [
			...["-netdev", `socket,id=net,${how}=${at}`],
			...["-device", `virtio-net-pci,netdev=net,mac=02:00:00:00:00:0${last}`],
		];
		return [
			[...guest(SERVER, []), ...device("listen", 1)],
			[...guest(CLIENT, []), ...device("connect", 2)],
		];
	}
	const net = ["--net", `switch:bench-${process.pid}`];
	return [guest(SERVER, net), guest(CLIENT, net)];
}

async function measureStream(
	engine: BenchEngine,
	server: GuestSession,
	client: GuestSession,
): Promise<Sample> {
	const about = { engine, workload: STREAM.name };
	await server.run(`nc -l -p ${PORT} | wc -c > /tmp/received &`, PATIENCE);
	const send = `dd if=/dev/zero bs=64k count=${STREAM_MIB * 16} 2>/dev/null`;
	const script = `${send} | nc ${SERVER} ${PORT}`;
	const { seconds } = await client.timed(script, PATIENCE);
	const { output } = await server.run("wait; cat /tmp/received", PATIENCE);
	const received = Number(output);
	if (received !== STREAM_MIB << 20) {
		return { ...about, failure: `${output.trim()} bytes arrived` };
	}
	return { ...about, value: seconds, output };
}

async function measureEcho(
	engine: BenchEngine,
	client: GuestSession,
): Promise<Sample> {
	const about = { engine, workload: ECHO.name };
	const script = `ping -q -c ${ECHOES} -i 0.05 ${SERVER}`;
	const { output } = await client.run(script, PATIENCE);
	const average = /min\/avg\/max = [\d.]+\/([\d.]+)\//.exec(output)?.[1];
	if (!output.includes(" 0% packet loss") || average === undefined) {
		return { ...about, failure: output };
	}
	return { ...about, value: Number(average) / 1000, output: "" };
}

/** One that nobody uses now. */
function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = createServer();
		server.once("error", reject);
		server.listen(0, "127.0.0.1", () => {
			const address = server.address();
			const port = typeof address === "object" ? (address?.port ?? 0) : 0;
			server.close(() => resolve(port));
		});
	});
}
