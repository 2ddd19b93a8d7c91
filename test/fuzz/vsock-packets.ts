/**
 * Vsock packets in any order, from a guest that keeps to the rules of credit or
 * one that does not, while the outside accepts, refuses, writes, dawdles and
 * hangs up. Nothing throws; a guest that is honest about its room is never sent
 * more than fits; each connection is closed once and no more is held than was
 * promised; and after a reset the device works.
 */

import type {
	Completion,
	VsockConnection,
	VsockPort,
	VsockReceiver,
} from "../../src/virtio/backends.ts";
import { RECEIVE_BUFFER_BYTES } from "../../src/virtio/devices/vsock-connection.ts";
import {
	VIRTIO_VSOCK_OP_REQUEST,
	VIRTIO_VSOCK_OP_RESPONSE,
	VIRTIO_VSOCK_OP_RW,
} from "../../src/virtio/devices/vsock-packet.ts";
import { chance, type Random } from "../support/random.ts";
import { settled, VsockGuest } from "../support/vsock-guest.ts";
import type { FuzzTarget } from "./target.ts";

const STEPS = 80;
const PORTS = 3;
const ROOM_BYTES = 5000;

/** A reader in no hurry, who notices what must not be. */
class FuzzReceiver implements VsockReceiver {
	readonly waiting: (() => void)[] = [];
	heldBytes = 0;
	closings = 0;
	readonly #random: Random;

	constructor(random: Random) {
		this.#random = random;
	}

	receive(bytes: Uint8Array): Completion {
		if (this.closings > 0) throw new Error("data behind the end");
		if (chance(this.#random, 3)) return undefined;
		if (chance(this.#random, 20)) return Promise.reject(new Error("no more"));
		this.heldBytes += bytes.length;
		if (this.heldBytes > RECEIVE_BUFFER_BYTES) throw new Error("held too much");
		return new Promise((resolve) => {
			this.waiting.push(() => {
				this.heldBytes -= bytes.length;
				resolve();
			});
		});
	}

	ended(): void {}

	closed(): void {
		this.closings++;
		if (this.closings > 1) throw new Error("closed twice");
	}
}

/** The outside: everything it does is random. */
class FuzzBackend {
	device: VsockPort | undefined;
	readonly connections: VsockConnection[] = [];
	readonly receivers: FuzzReceiver[] = [];
	readonly #random: Random;

	constructor(random: Random) {
		this.#random = random;
	}

	attach(device: VsockPort): void {
		this.device = device;
	}

	accept(connection: VsockConnection) {
		if (chance(this.#random, 8)) return undefined;
		if (chance(this.#random, 20)) throw new Error("not today");
		this.connections.push(connection);
		const receiver = this.newReceiver();
		return chance(this.#random, 2) ? receiver : Promise.resolve(receiver);
	}

	newReceiver(): FuzzReceiver {
		const receiver = new FuzzReceiver(this.#random);
		this.receivers.push(receiver);
		return receiver;
	}
}

/** What an honest guest has got by connection, and has said of it. */
class Accounts {
	readonly #got = new Map<string, number>();

	credit(key: string) {
		return { bufferBytes: ROOM_BYTES, forwardedCount: this.#got.get(key) ?? 0 };
	}

	/** Between two looks no credit is given, so this is all that may have come. */
	take(guest: VsockGuest): { port: number; guestPort: number }[] {
		const came = new Map<string, number>();
		const requests = [];
		for (const packet of guest.take()) {
			const port = packet.sourcePort;
			const guestPort = packet.destinationPort;
			const key = `${port}:${guestPort}`;
			if (packet.op === VIRTIO_VSOCK_OP_REQUEST) {
				requests.push({ port, guestPort });
				this.#got.delete(key);
			}
			if (packet.op === VIRTIO_VSOCK_OP_RESPONSE) this.#got.delete(key);
			if (packet.op !== VIRTIO_VSOCK_OP_RW) continue;
			const sum = (came.get(key) ?? 0) + packet.data.length;
			came.set(key, sum);
			if (sum > ROOM_BYTES) throw new Error("more came than there is room for");
		}
		for (const [key, sum] of came) {
			this.#got.set(key, (this.#got.get(key) ?? 0) + sum);
		}
		return requests;
	}
}

async function run(random: Random): Promise<void> {
	const backend = new FuzzBackend(random);
	const guest = new VsockGuest(backend, random(20));
	const accounts = new Accounts();
	const isHonest = chance(random, 2);
	const asked: { port: number; guestPort: number }[] = [];
	for (let step = 0; step < STEPS; step++) {
		if (chance(random, 2))
			sendSomething(guest, asked, accounts, isHonest, random);
		else actOutside(backend, random);
		if (chance(random, 10)) await settled();
		if (isHonest) asked.push(...accounts.take(guest));
		else guest.take();
	}
	guest.device.reset();
	await settled();
	guest.driver.start({ queueSize: 16 });
	guest.offer(4);
	guest.send(VIRTIO_VSOCK_OP_REQUEST, { sourceCid: BigInt(guestCid(guest)) });
	await settled();
	if (guest.take().length !== 1) throw new Error("no answer after a reset");
}

function guestCid(guest: VsockGuest): number {
	return guest.driver.side.readConfig(0, 1)[0] ?? 0;
}

function sendSomething(
	guest: VsockGuest,
	asked: readonly { port: number; guestPort: number }[],
	accounts: Accounts,
	isHonest: boolean,
	random: Random,
): void {
	const known = asked[random(asked.length + 1)];
	const port = known?.port ?? random(PORTS);
	const guestPort = known?.guestPort ?? random(PORTS);
	const credit = isHonest
		? accounts.credit(`${port}:${guestPort}`)
		: { bufferBytes: random(2 ** 32), forwardedCount: random(2 ** 32) };
	const op = chance(random, 3)
		? VIRTIO_VSOCK_OP_RW
		: chance(random, 3)
			? VIRTIO_VSOCK_OP_REQUEST
			: random(9);
	const fields = {
		...{ destinationPort: port, sourcePort: guestPort, ...credit },
		...{ flags: random(4), type: chance(random, 20) ? random(5) : 1 },
		sourceCid: BigInt(chance(random, 20) ? random(100) : guestCid(guest)),
	};
	const length = random(chance(random, 10) ? 140_000 : 3000);
	const data = op === VIRTIO_VSOCK_OP_RW ? new Uint8Array(length) : NOTHING;
	guest.sendBytes(op, fields, data);
}

const NOTHING = new Uint8Array(0);

function actOutside(backend: FuzzBackend, random: Random): void {
	const { connections, receivers, device } = backend;
	const connection = connections[random(connections.length + 1)];
	switch (random(12)) {
		case 0:
			connection?.end();
			break;
		case 1:
			if (chance(random, 3)) connection?.reset();
			break;
		case 2:
			if (chance(random, 3)) connection?.ignore();
			break;
		case 3:
			if (chance(random, 8)) device?.resetTransport(3 + random(50));
			break;
		case 4:
			device?.connect(random(PORTS), backend.newReceiver()).then(
				(made) => connections.push(made),
				() => {},
			);
			break;
		case 5:
		case 6:
		case 7:
			receivers[random(receivers.length + 1)]?.waiting.shift()?.();
			break;
		default:
			connection?.write(new Uint8Array(random(9000)))?.catch(() => {});
	}
}

export const VSOCK_PACKETS_TARGET: FuzzTarget = {
	name: "vsock-packets",
	about: "packets of the socket device, and what happens outside meanwhile",
	run,
};
