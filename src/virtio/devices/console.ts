/**
 * The console device (virtio 1.3 §5.3): one port or many, each a pair of
 * queues. With several, two more queues carry messages about them: which there
 * are, what they are called, who has them open, how large their window is.
 *
 * Relies on `ConsolePortBackend`s; the machine makes it.
 *
 * @journey D:165 Many consoles on one device
 */

import type { Completion, ConsolePortBackend } from "../backends.ts";
import { featureSet, VIRTIO_ID_CONSOLE } from "../constants.ts";
import type { DeviceModel, DevicePort } from "../device-model.ts";
import { ConsolePort } from "./console-port.ts";

// Feature bits (§5.3.3).
export const VIRTIO_CONSOLE_F_SIZE = 0;
export const VIRTIO_CONSOLE_F_MULTIPORT = 1;
export const VIRTIO_CONSOLE_F_EMERG_WRITE = 2;

// Control messages (§5.3.6.2).
export const VIRTIO_CONSOLE_DEVICE_READY = 0;
export const VIRTIO_CONSOLE_DEVICE_ADD = 1;
export const VIRTIO_CONSOLE_PORT_READY = 3;
export const VIRTIO_CONSOLE_CONSOLE_PORT = 4;
export const VIRTIO_CONSOLE_RESIZE = 5;
export const VIRTIO_CONSOLE_PORT_OPEN = 6;
export const VIRTIO_CONSOLE_PORT_NAME = 7;

const CONTROL_RECEIVE = 2;
const CONTROL_TRANSMIT = 3;
const CONTROL_BYTES = 8;
const QUEUE_SIZE = 128;

const CONFIG_BYTES = 12;
const EMERGENCY_WRITE_OFFSET = 8;

/** One port, as the machine's owner describes it. */
export interface ConsolePortOptions {
	readonly backend: ConsolePortBackend;
	/** Guests find the port by it: /dev/virtio-ports/NAME in Linux. */
	readonly name?: string;
	/** Whether it is for a person (hvcN) or for programs (vportNpM). Default: person. */
	readonly console?: boolean;
}

/** Where a port's receive queue is; its transmit queue comes next (§5.3.2). */
function receiveIndexOf(port: number): number {
	return port === 0 ? 0 : 2 + 2 * port;
}

/** Some consoles. */
export class Console implements DeviceModel {
	readonly deviceId = VIRTIO_ID_CONSOLE;
	readonly features: bigint;
	readonly queueSizes: readonly number[];
	readonly config = new Uint8Array(CONFIG_BYTES);
	readonly #options: readonly ConsolePortOptions[];
	readonly #isMultiport: boolean;
	#port!: DevicePort;
	#ports: readonly ConsolePort[] = [];
	/** Messages for which the driver had no buffer yet. */
	readonly #outbox: Uint8Array[] = [];

	/** One nameless console port needs no messages; everything else does. */
	constructor(options: readonly ConsolePortOptions[]) {
		const [first] = options;
		if (first === undefined) throw new RangeError("a console without ports");
		this.#options = options;
		this.#isMultiport =
			options.length > 1 || first.name !== undefined || first.console === false;
		this.features =
			featureSet(VIRTIO_CONSOLE_F_EMERG_WRITE) |
			(first.backend.size === undefined
				? 0n
				: featureSet(VIRTIO_CONSOLE_F_SIZE)) |
			(this.#isMultiport ? featureSet(VIRTIO_CONSOLE_F_MULTIPORT) : 0n);
		const queues = this.#isMultiport ? 2 * (options.length + 1) : 2;
		this.queueSizes = Array.from({ length: queues }, () => QUEUE_SIZE);
		this.#view().setUint32(4, options.length, true); // max_nr_ports
		this.#putSize();
	}

	connect(port: DevicePort): void {
		this.#port = port;
		this.#ports = this.#options.map(({ backend }, index) => {
			const own = new ConsolePort(backend, port, receiveIndexOf(index));
			backend.onInput = () => own.receive();
			backend.onResize = () => this.#resized(index);
			return own;
		});
	}

	/** A driver without messages has its one port open. */
	start(): void {
		if (!this.#hasMessages()) this.#ports[0]?.setOpen(true);
	}

	kicked(queueIndex: number): void {
		if (this.#isMultiport && queueIndex === CONTROL_RECEIVE) {
			this.#sendMessages();
		} else if (this.#isMultiport && queueIndex === CONTROL_TRANSMIT) {
			this.#takeMessages();
		} else {
			const pair = queueIndex >> 1;
			const port = this.#ports[pair === 0 ? 0 : pair - 1];
			if (queueIndex % 2 === 0) port?.receive();
			else port?.transmit();
		}
	}

	reset(): void {
		this.#outbox.length = 0;
		for (const port of this.#ports) port.reset();
	}

	get busy(): boolean {
		return this.#ports.some((port) => port.busy);
	}

	settle(): Completion {
		const waits = this.#ports.map((port) => port.settle());
		return Promise.all(waits).then(() => {});
	}

	/** The only way to print for a guest that has nothing set up (§5.3.5.1). */
	writeConfig(offset: number, bytes: Uint8Array): void {
		if (offset !== EMERGENCY_WRITE_OFFSET) return;
		this.#ports[0]?.backend.write(bytes.slice(0, 1))?.catch(() => {});
	}

	#view(): DataView {
		return new DataView(this.config.buffer);
	}

	#hasMessages(): boolean {
		return this.#port.negotiated(VIRTIO_CONSOLE_F_MULTIPORT);
	}

	#putSize(): void {
		const size = this.#options[0]?.backend.size;
		if (size === undefined) return;
		this.#view().setUint16(0, size.columns, true);
		this.#view().setUint16(2, size.rows, true);
	}

	/** Port 0's size is in the configuration space, every port's in messages. */
	#resized(index: number): void {
		if (index === 0) {
			this.#putSize();
			if (this.#port.negotiated(VIRTIO_CONSOLE_F_SIZE)) {
				this.#port.configChanged();
			}
		}
		if (this.#ports[index]?.ready) this.#tellSize(index);
	}

	#takeMessages(): void {
		const queue = this.#port.queue(CONTROL_TRANSMIT);
		for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) {
			if (chain.readable.lengthBytes < CONTROL_BYTES) {
				this.#port.fail("a console message without its header");
				return;
			}
			const view = new DataView(chain.readable.read(0, CONTROL_BYTES).buffer);
			queue?.push(chain, 0);
			this.#obey(
				view.getUint32(0, true),
				view.getUint16(4, true),
				view.getUint16(6, true),
			);
		}
	}

	#obey(id: number, event: number, value: number): void {
		if (event === VIRTIO_CONSOLE_DEVICE_READY) {
			if (value === 1) this.#announce();
			return;
		}
		const port = this.#ports[id];
		// What a driver says of ports that are not there means nothing.
		if (port === undefined || !port.added) return;
		if (event === VIRTIO_CONSOLE_PORT_READY) {
			port.ready = value === 1;
			if (port.ready) this.#introduce(id);
		} else if (event === VIRTIO_CONSOLE_PORT_OPEN) {
			port.setOpen(value === 1);
		}
	}

	/** Each port once: a second DEVICE_ADD would be for a port that exists. */
	#announce(): void {
		this.#ports.forEach((port, id) => {
			if (port.added) return;
			port.added = true;
			this.#send(id, VIRTIO_CONSOLE_DEVICE_ADD, 0);
		});
	}

	#introduce(id: number): void {
		const options = this.#options[id];
		if (options?.console !== false) {
			this.#send(id, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
		}
		if (options?.name !== undefined) {
			const name = new TextEncoder().encode(options.name);
			this.#send(id, VIRTIO_CONSOLE_PORT_NAME, 1, name);
		}
		this.#tellSize(id);
		this.#send(id, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}

	#tellSize(id: number): void {
		const size = this.#options[id]?.backend.size;
		if (size === undefined) return;
		const body = new Uint8Array(4);
		const view = new DataView(body.buffer);
		view.setUint16(0, size.columns, true);
		view.setUint16(2, size.rows, true);
		this.#send(id, VIRTIO_CONSOLE_RESIZE, 0, body);
	}

	#send(
		id: number,
		event: number,
		value: number,
		body = new Uint8Array(0),
	): void {
		const message = new Uint8Array(CONTROL_BYTES + body.length);
		const view = new DataView(message.buffer);
		view.setUint32(0, id, true);
		view.setUint16(4, event, true);
		view.setUint16(6, value, true);
		message.set(body, CONTROL_BYTES);
		// A newer size replaces one that nobody has read.
		const stale = this.#outbox.findIndex((old) => isSameSubject(old, message));
		if (stale >= 0) this.#outbox.splice(stale, 1);
		this.#outbox.push(message);
		this.#sendMessages();
	}

	#sendMessages(): void {
		if (!this.#hasMessages()) return;
		const queue = this.#port.queue(CONTROL_RECEIVE);
		while (queue !== undefined) {
			const [message] = this.#outbox;
			if (message === undefined) return;
			const chain = queue.pop();
			if (chain === undefined) return;
			if (chain.writable.lengthBytes < message.length) {
				this.#port.fail("a console message buffer that is too small");
				return;
			}
			this.#outbox.shift();
			queue.push(chain, chain.writable.write(0, message));
		}
	}
}

/** Same port, same event: so the outbox is bounded by the number of ports. */
function isSameSubject(one: Uint8Array, other: Uint8Array): boolean {
	return one.subarray(0, 6).every((byte, index) => byte === other[index]);
}
