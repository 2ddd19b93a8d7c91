/**
 * Plays a guest's socket layer on top of a mock driver: sends packets, keeps
 * receive buffers offered, and shows what came. It counts nothing itself: a
 * test says which credit it claims.
 */

import type {
	Completion,
	VsockBackend,
	VsockConnection,
} from "../../src/virtio/backends.ts";
import { VirtioDevice } from "../../src/virtio/device.ts";
import { Vsock } from "../../src/virtio/devices/vsock.ts";
import {
	parseVsockHeader,
	VSOCK_HEADER_BYTES,
	type VsockHeader,
	writeVsockHeader,
} from "../../src/virtio/devices/vsock-packet.ts";
import { MockDriver, room, TestMemory } from "./mock-driver.ts";

export const CID = 42;

/** A packet that came to the guest. */
export interface ArrivedPacket extends VsockHeader {
	readonly data: Uint8Array;
}

/** A guest with a socket device. */
export class VsockGuest {
	readonly model: Vsock;
	readonly device: VirtioDevice;
	readonly driver: MockDriver;
	readonly memory = new TestMemory(32 << 20);

	constructor(backend: VsockBackend, buffers = 16, accept = [0, 29]) {
		this.model = new Vsock(backend, CID);
		this.device = new VirtioDevice(this.model, this.memory);
		this.driver = MockDriver.started(this.device, this.memory, {
			accept,
			queueSize: 64,
		});
		this.offer(buffers);
	}

	/** Makes room for that many packets. */
	offer(buffers: number, dataBytes = 4096): void {
		const queue = this.driver.queue(0);
		for (let i = 0; i < buffers; i++) {
			queue.offer(room(VSOCK_HEADER_BYTES), room(dataBytes));
		}
		queue.kick();
	}

	/** From guest port 1000 to port 1 unless the fields say otherwise. */
	send(op: number, fields: Partial<VsockHeader> = {}, data = ""): void {
		const bytes = new TextEncoder().encode(data);
		this.sendBytes(op, fields, bytes);
	}

	sendBytes(op: number, fields: Partial<VsockHeader>, data: Uint8Array): void {
		const header = {
			sourceCid: BigInt(CID),
			destinationCid: 2n,
			sourcePort: 1000,
			destinationPort: 1,
			lengthBytes: data.length,
			type: 1,
			op,
			flags: 0,
			bufferBytes: 262_144,
			forwardedCount: 0,
			...fields,
		};
		const head = writeVsockHeader({ ...header, lengthBytes: 0 });
		new DataView(head.buffer).setUint32(24, header.lengthBytes, true);
		this.driver.queue(1).send(...(data.length > 0 ? [head, data] : [head]));
	}

	/** What came since the last call; each buffer is offered anew. */
	take(): ArrivedPacket[] {
		const used = this.driver.queue(0).takeUsed();
		const packets = used.map(({ written, writtenBytes }) => ({
			...parseVsockHeader(written),
			data: written.slice(VSOCK_HEADER_BYTES, writtenBytes),
		}));
		this.offer(used.length);
		return packets;
	}

	/** The operations of `take`. */
	ops(): number[] {
		return this.take().map(({ op }) => op);
	}

	status(): number {
		return this.driver.side.readStatus();
	}
}

/** Accepts everything and writes down what happens. */
export class NotingReceiver {
	readonly events: string[] = [];
	bytes = 0;
	/** Set to be slow: resolvers of the pieces that were not taken yet. */
	slow: (() => void)[] | undefined;

	opened({ port }: VsockConnection): void {
		this.events.push(`(open: ${port})`);
	}

	receive(bytes: Uint8Array): Completion {
		this.events.push(new TextDecoder().decode(bytes.subarray(0, 40)));
		this.bytes += bytes.length;
		const { slow } = this;
		if (slow === undefined) return undefined;
		return new Promise((resolve) => {
			slow.push(resolve);
		});
	}

	ended(): void {
		this.events.push("(ended)");
	}

	closed(reason: string | undefined): void {
		this.events.push(`(closed: ${reason ?? "both ended"})`);
	}
}

/** Lets everything that hangs on resolved promises run. */
export const settled = (): Promise<void> =>
	new Promise((resolve) => setImmediate(resolve));
