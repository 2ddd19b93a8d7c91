/**
 * The 9p device: a directory of the outside, by messages of 9P2000.L through
 * one queue. Version 1.3 of the specification reserves its number (§5) and says
 * no more; feature, configuration and queue are as Linux's net/9p/trans_virtio.c
 * has them.
 *
 * Many requests are under way at a time and end in any order, except in virtual
 * time, where what a file system takes must not show.
 *
 * Relies on the session and through it on a `FileSystemBackend`; the machine
 * makes it.
 *
 * @journey D:240 The share
 */

import type { Completion } from "../backends.ts";
import { featureSet, VIRTIO_ID_9P } from "../constants.ts";
import type { DescriptorChain } from "../descriptor-chain.ts";
import type { DeviceModel, DevicePort } from "../device-model.ts";
import type { FileSystemBackend } from "../file-system.ts";
import type { Virtqueue } from "../virtqueue.ts";
import { HEADER_BYTES } from "./nine-p/message.ts";
import { NinePSession } from "./nine-p/session.ts";

/** The configuration holds a tag by which the guest mounts the share. */
export const VIRTIO_9P_MOUNT_TAG = 0;

const QUEUE_SIZE = 128;
/** Requests at work, each with a message of up to half a megabyte. */
const MOST_UNDER_WAY = 32;
/** Room for RLERROR, the shortest answer there may be to anything. */
const LEAST_REPLY_BYTES = HEADER_BYTES + 4;

/** Linux takes tags up to this (fs/9p: it must fit a page of sysfs). */
export const MOST_TAG_BYTES = 255;

/** One share. */
export class NineP implements DeviceModel {
	readonly deviceId = VIRTIO_ID_9P;
	readonly features = featureSet(VIRTIO_9P_MOUNT_TAG);
	readonly queueSizes = [QUEUE_SIZE];
	/** tag_len (2), tag. */
	readonly config: Uint8Array;
	readonly #backend: FileSystemBackend;
	readonly #inOrder: boolean;
	#port!: DevicePort;
	#session: NinePSession;
	#underWay = 0;
	/** Replies go out behind this one where order matters. */
	#lastReply: Promise<unknown> = Promise.resolve();
	/** Sessions that are over but still hold something. */
	#ending = 0;
	#onIdle: (() => void)[] = [];

	/** `tag` has at most `MOST_TAG_BYTES` bytes. */
	constructor(backend: FileSystemBackend, tag: string, inOrder = false) {
		this.#backend = backend;
		this.#inOrder = inOrder;
		this.#session = new NinePSession(backend);
		const bytes = new TextEncoder().encode(tag);
		this.config = new Uint8Array(2 + bytes.length);
		new DataView(this.config.buffer).setUint16(0, bytes.length, true);
		this.config.set(bytes, 2);
	}

	connect(port: DevicePort): void {
		this.#port = port;
	}

	kicked(): void {
		const queue = this.#port.queue(0);
		while (queue !== undefined && this.#underWay < MOST_UNDER_WAY) {
			const chain = queue.pop();
			if (chain === undefined) return;
			const message = readMessage(chain, this.#session.messageBytes);
			if (message === undefined) {
				this.#port.fail("a 9p buffer that holds no message, or no answer");
				return;
			}
			this.#serve(queue, chain, message);
		}
	}

	/** What is under way ends, and is answered to nobody. */
	reset(): void {
		const session = this.#session;
		this.#session = new NinePSession(this.#backend);
		this.#ending++;
		session.end().finally(() => {
			this.#ending--;
			this.#idle();
		});
	}

	get busy(): boolean {
		return this.#underWay > 0;
	}

	settle(): Completion {
		if (this.#underWay === 0 && this.#ending === 0) return undefined;
		return new Promise((resolve) => {
			this.#onIdle.push(resolve);
		});
	}

	#serve(queue: Virtqueue, chain: DescriptorChain, message: Uint8Array): void {
		this.#underWay++;
		const { writable } = chain;
		const answering = this.#session.answer(message, writable.lengthBytes);
		const before = this.#inOrder ? this.#lastReply : undefined;
		this.#lastReply = Promise.all([answering, before]).then(([reply]) => {
			queue.push(chain, writable.write(0, reply));
			this.#underWay--;
			this.#idle();
			this.kicked();
		});
	}

	#idle(): void {
		if (this.#underWay > 0 || this.#ending > 0) return;
		for (const resolve of this.#onIdle.splice(0)) resolve();
	}
}

/** Undefined when the buffer is no request with room for an answer. */
function readMessage(
	{ readable, writable }: DescriptorChain,
	mostBytes: number,
): Uint8Array | undefined {
	if (readable.lengthBytes < HEADER_BYTES) return undefined;
	if (writable.lengthBytes < LEAST_REPLY_BYTES) return undefined;
	const header = readable.read(0, HEADER_BYTES);
	const size = new DataView(header.buffer).getUint32(0, true);
	if (size < HEADER_BYTES || size > readable.lengthBytes || size > mostBytes) {
		return undefined;
	}
	return readable.read(0, size);
}
