/**
 * The socket device (virtio 1.3 §5.10): stream connections between programs in
 * the guest and whoever runs it, without a network and its addresses. Either
 * side can listen, either can connect.
 *
 * The device keeps the table of connections (see D:205) and carries packets.
 * What it owes the guest (answers, data, credit) stays with the connections
 * until the driver has a buffer for it; only RST, which outlives its
 * connection, is kept here. When too many of them wait, the device stops
 * reading, and so a guest that does not read cannot make it grow.
 *
 * Relies on a `VsockBackend`; the machine makes it.
 *
 * @journey D:210 Sockets
 */

import { LguestError } from "../../errors.ts";
import type {
	Completion,
	VsockBackend,
	VsockConnection,
	VsockPort,
	VsockReceiver,
} from "../backends.ts";
import { featureSet, VIRTIO_ID_VSOCK } from "../constants.ts";
import type { DescriptorChain } from "../descriptor-chain.ts";
import type { DeviceModel, DevicePort } from "../device-model.ts";
import { Connection, RECEIVE_BUFFER_BYTES } from "./vsock-connection.ts";
import {
	parseVsockHeader,
	VIRTIO_VSOCK_OP_REQUEST,
	VIRTIO_VSOCK_OP_RST,
	VIRTIO_VSOCK_OP_RW,
	VIRTIO_VSOCK_TYPE_STREAM,
	VMADDR_CID_HOST,
	VSOCK_HEADER_BYTES,
	type VsockHeader,
	writeVsockHeader,
} from "./vsock-packet.ts";

/** Feature bits (§5.10.3). */
export const VIRTIO_VSOCK_F_STREAM = 0;

/** The one event there is (§5.10.6.8). */
const VIRTIO_VSOCK_EVENT_TRANSPORT_RESET = 0;
const EVENT_BYTES = 4;

const RECEIVE = 0;
const TRANSMIT = 1;
const EVENT = 2;
const QUEUE_SIZE = 128;

/** Connections at a time, those included that a slow reader still empties. */
const MOST_CONNECTIONS = 512;
/** RSTs that wait for a buffer. */
const MOST_REPLIES = 256;
/** Ports of ours that nobody chose come from here up. */
const FIRST_FREE_PORT = 0x4000_0000;
/** Any port, in `bind`; so nobody has it. */
const VMADDR_PORT_ANY = 0xffff_ffff;

/** What a guest is called unless somebody says otherwise. */
export const DEFAULT_GUEST_CID = 3;
const HIGHEST_CID = 0xffff_fffe;

/** Whether a guest can have the context id (§5.10.4). */
export function isGuestCid(cid: number): boolean {
	return Number.isInteger(cid) && cid > VMADDR_CID_HOST && cid <= HIGHEST_CID;
}

/** A socket device. */
export class Vsock implements DeviceModel {
	readonly deviceId = VIRTIO_ID_VSOCK;
	readonly features = featureSet(VIRTIO_VSOCK_F_STREAM);
	readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE];
	/** guest_cid (8). */
	readonly config = new Uint8Array(8);
	readonly #backend: VsockBackend;
	#port!: DevicePort;
	#started = false;
	/** By `keyOf`. */
	readonly #connections = new Map<string, Connection>();
	/** Out of the table; their readers have not got everything yet. */
	readonly #draining = new Set<Connection>();
	/** With something to send, in the order in which they may. */
	readonly #ready = new Set<Connection>();
	readonly #replies: Uint8Array[] = [];
	#nextFreePort = FIRST_FREE_PORT;
	#resetPending = false;
	/** Connections on which the backend has yet to decide. */
	#undecided = 0;
	#onDecided: (() => void)[] = [];

	/** `guestCid` must pass `isGuestCid`. */
	constructor(backend: VsockBackend, guestCid = DEFAULT_GUEST_CID) {
		this.#backend = backend;
		this.#setCid(guestCid);
	}

	connect(port: DevicePort): void {
		this.#port = port;
		this.#backend.attach(this.#face());
	}

	start(): void {
		this.#started = true;
	}

	kicked(queueIndex: number): void {
		if (queueIndex === RECEIVE) this.#send();
		else if (queueIndex === EVENT) this.#sendEvent();
		// Room for replies may be new, too.
		this.#takePackets();
	}

	reset(): void {
		this.#started = false;
		this.#resetPending = false;
		this.#dropAll("the guest's driver has started over");
	}

	/** What a connection's bytes take outside is nobody's wait; see `settle`. */
	get busy(): boolean {
		return this.#undecided > 0;
	}

	/**
	 * Resolves when the backend has decided on all connections. Not when all data
	 * are read: that may be never, and the guest must run on.
	 */
	settle(): Completion {
		if (this.#undecided === 0) return undefined;
		return new Promise((resolve) => {
			this.#onDecided.push(resolve);
		});
	}

	#face(): VsockPort {
		return {
			connect: (guestPort, receiver) => this.#connectTo(guestPort, receiver),
			resetTransport: (guestCid) => this.#resetTransport(guestCid),
		};
	}

	async #connectTo(
		guestPort: number,
		receiver: VsockReceiver,
	): Promise<VsockConnection> {
		const refused = (why: string) =>
			new LguestError(`There is no connection to port ${guestPort}: ${why}.`);
		if (!this.#started) throw refused("the guest has no vsock driver yet");
		if (!this.#makeRoom()) throw refused("there are too many already");
		const port = this.#freePort(guestPort);
		const connection = this.#add({ port, guestPort }, "us");
		connection.attach(receiver);
		const refusal = await new Promise<string | undefined>((resolve) => {
			connection.onAnswer = resolve;
			this.#wantsToSend(connection);
		});
		if (refusal !== undefined) throw refused(refusal);
		return connection;
	}

	#freePort(guestPort: number): number {
		for (;;) {
			const port = this.#nextFreePort++;
			if (this.#nextFreePort === VMADDR_PORT_ANY) {
				this.#nextFreePort = FIRST_FREE_PORT;
			}
			if (!this.#connections.has(keyOf({ port, guestPort }))) return port;
		}
	}

	#resetTransport(guestCid: number | undefined): void {
		if (guestCid !== undefined) this.#setCid(guestCid);
		this.#dropAll("the transport was reset");
		// The event says that it all happened; single RSTs would say it again.
		this.#replies.length = 0;
		this.#resetPending = this.#started;
		this.#sendEvent();
	}

	#setCid(cid: number): void {
		if (!isGuestCid(cid)) throw new RangeError(`context id ${cid} is reserved`);
		new DataView(this.config.buffer).setBigUint64(0, BigInt(cid), true);
	}

	get #cid(): bigint {
		return new DataView(this.config.buffer).getBigUint64(0, true);
	}

	#dropAll(reason: string): void {
		for (const connection of this.#connections.values()) {
			connection.abandon(reason, false);
		}
		for (const connection of this.#draining) connection.cut(reason);
		this.#ready.clear();
		this.#replies.length = 0;
	}

	#sendEvent(): void {
		if (!this.#resetPending) return;
		const queue = this.#port.queue(EVENT);
		const chain = queue?.pop();
		if (chain === undefined) return;
		if (chain.writable.lengthBytes < EVENT_BYTES) {
			this.#port.fail("a vsock event buffer that is too small");
			return;
		}
		this.#resetPending = false;
		const event = new Uint8Array(EVENT_BYTES);
		event[0] = VIRTIO_VSOCK_EVENT_TRANSPORT_RESET;
		queue?.push(chain, chain.writable.write(0, event));
	}

	/** From the driver, as long as there is room for what it makes us answer. */
	#takePackets(): void {
		const queue = this.#port.queue(TRANSMIT);
		while (queue !== undefined && this.#replies.length < MOST_REPLIES) {
			const chain = queue.pop();
			if (chain === undefined) return;
			const packet = readPacket(chain);
			if (packet === undefined) {
				this.#port.fail("a vsock packet that is shorter than it says");
				return;
			}
			queue.push(chain, 0);
			this.#handle(packet.header, packet.data);
		}
	}

	#handle(header: VsockHeader, data: Uint8Array): void {
		if (!this.#isForUs(header)) {
			this.#refuse(header);
			return;
		}
		const ports = {
			port: header.destinationPort,
			guestPort: header.sourcePort,
		};
		const connection = this.#connections.get(keyOf(ports));
		if (connection !== undefined) connection.handle(header, data);
		else if (header.op !== VIRTIO_VSOCK_OP_REQUEST) this.#refuse(header);
		else if (this.#makeRoom()) this.#offer(ports, header);
		else this.#refuse(header);
	}

	#isForUs(header: VsockHeader): boolean {
		return (
			header.type === VIRTIO_VSOCK_TYPE_STREAM &&
			header.sourceCid === this.#cid &&
			header.destinationCid === BigInt(VMADDR_CID_HOST)
		);
	}

	/** Asks the backend about a connection that the guest wants. */
	#offer(ports: Ports, header: VsockHeader): void {
		const connection = this.#add(ports, "guest");
		connection.learnCredit(header);
		const decided = (receiver: VsockReceiver | undefined) => {
			if (receiver === undefined) connection.abandon("it was refused", true);
			else connection.accept(receiver);
		};
		let answer: ReturnType<VsockBackend["accept"]>;
		try {
			answer = this.#backend.accept(connection);
		} catch {
			answer = undefined;
		}
		if (!(answer instanceof Promise)) {
			decided(answer);
			return;
		}
		this.#undecided++;
		answer.then(decided, () => decided(undefined)).then(() => this.#decided());
	}

	#decided(): void {
		this.#undecided--;
		if (this.#undecided > 0) return;
		for (const resolve of this.#onDecided.splice(0)) resolve();
	}

	#add(ports: Ports, by: "us" | "guest"): Connection {
		const connection: Connection = new Connection(ports, by, {
			ready: () => this.#wantsToSend(connection),
			gone: (tellGuest) => {
				this.#connections.delete(keyOf(ports));
				this.#ready.delete(connection);
				this.#draining.add(connection);
				if (tellGuest) this.#reply(this.#headerFor(connection));
			},
			finished: () => this.#draining.delete(connection),
		});
		this.#connections.set(keyOf(ports), connection);
		return connection;
	}

	/** False when there are too many, none of which has been through for long. */
	#makeRoom(): boolean {
		const inUse = this.#connections.size + this.#draining.size;
		if (inUse < MOST_CONNECTIONS) return true;
		for (const connection of this.#connections.values()) {
			if (!connection.isLingering) continue;
			connection.evict();
			return true;
		}
		return false;
	}

	/** RST, to a packet that belongs to no connection; never to another RST. */
	#refuse(header: VsockHeader): void {
		if (header.op === VIRTIO_VSOCK_OP_RST) return;
		this.#reply({
			...header,
			sourceCid: header.destinationCid,
			destinationCid: header.sourceCid,
			sourcePort: header.destinationPort,
			destinationPort: header.sourcePort,
			bufferBytes: 0,
			forwardedCount: 0,
		});
	}

	#reply(header: Omit<VsockHeader, "op" | "lengthBytes" | "flags">): void {
		const rst = { op: VIRTIO_VSOCK_OP_RST, lengthBytes: 0, flags: 0 };
		this.#replies.push(writeVsockHeader({ ...header, ...rst }));
		this.#send();
	}

	#headerFor(connection: Connection) {
		return {
			sourceCid: BigInt(VMADDR_CID_HOST),
			destinationCid: this.#cid,
			sourcePort: connection.port,
			destinationPort: connection.guestPort,
			type: VIRTIO_VSOCK_TYPE_STREAM,
			...connection.credit,
		};
	}

	#wantsToSend(connection: Connection): void {
		if (connection.hasWork) this.#ready.add(connection);
		this.#send();
	}

	/** To the driver, as far as it has buffers: each connection in its turn. */
	#send(): void {
		const queue = this.#port.queue(RECEIVE);
		while (queue !== undefined) {
			const connection = this.#nextReady();
			if (this.#replies.length === 0 && connection === undefined) return;
			const chain = queue.pop();
			if (chain === undefined) return;
			const roomBytes = chain.writable.lengthBytes - VSOCK_HEADER_BYTES;
			if (roomBytes <= 0 || chain.readable.lengthBytes > 0) {
				this.#port.fail("a vsock buffer that holds no packet");
				return;
			}
			const packet =
				this.#replies.shift() ?? this.#packetOf(connection, roomBytes);
			queue.push(chain, chain.writable.write(0, packet));
		}
	}

	#nextReady(): Connection | undefined {
		for (const connection of this.#ready) {
			if (connection.hasWork) return connection;
			this.#ready.delete(connection);
		}
		return undefined;
	}

	#packetOf(
		connection: Connection | undefined,
		roomBytes: number,
	): Uint8Array<ArrayBuffer> {
		const packet = connection?.next(roomBytes);
		if (connection === undefined || packet === undefined) {
			throw new Error("a connection had something to send, and then had not");
		}
		const { op, flags, data } = packet;
		const bytes = writeVsockHeader({
			...this.#headerFor(connection),
			...{ op, flags, lengthBytes: data.length },
		});
		bytes.set(data, VSOCK_HEADER_BYTES);
		// To the end of the line.
		this.#ready.delete(connection);
		if (connection.hasWork) this.#ready.add(connection);
		return bytes;
	}
}

interface Ports {
	readonly port: number;
	readonly guestPort: number;
}

function keyOf({ port, guestPort }: Ports): string {
	return `${port}:${guestPort}`;
}

/** Undefined when the buffer does not hold what its header says. */
function readPacket({ readable, writable }: DescriptorChain) {
	if (readable.lengthBytes < VSOCK_HEADER_BYTES || writable.lengthBytes > 0) {
		return undefined;
	}
	const header = parseVsockHeader(readable.read(0, VSOCK_HEADER_BYTES));
	// Only data have data; a length elsewhere means nothing.
	const dataBytes = header.op === VIRTIO_VSOCK_OP_RW ? header.lengthBytes : 0;
	if (dataBytes > readable.lengthBytes - VSOCK_HEADER_BYTES) return undefined;
	// More than a connection may hold is refused there, unread.
	const most = Math.min(dataBytes, RECEIVE_BUFFER_BYTES + 1);
	return { header, data: readable.read(VSOCK_HEADER_BYTES, most) };
}
