/**
 * The entropy device (virtio 1.3 §5.4), the smallest there is: the driver
 * offers empty buffers, the device fills them. A good first read, and the
 * pattern for a device of one's own.
 *
 * Relies on the device contract and on an `EntropySource`; the machine makes
 * it.
 *
 * @journey D:150 Dice
 */

import type { EntropySource } from "../backends.ts";
import { VIRTIO_ID_RNG } from "../constants.ts";
import type { DeviceModel, DevicePort } from "../device-model.ts";

/**
 * Most bytes for one buffer. A driver may get less than it has room for
 * (§5.4.6.1), and must not make us work for a chain that repeats all its memory.
 */
const MOST_BYTES = 4096;

/** One queue, no configuration, no features. */
export class Entropy implements DeviceModel {
	readonly deviceId = VIRTIO_ID_RNG;
	readonly features = 0n;
	readonly queueSizes = [64];
	readonly config = new Uint8Array(0);
	readonly #source: EntropySource;
	#port!: DevicePort;

	constructor(source: EntropySource) {
		this.#source = source;
	}

	connect(port: DevicePort): void {
		this.#port = port;
	}

	kicked(queueIndex: number): void {
		const queue = this.#port.queue(queueIndex);
		for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) {
			const { readable, writable } = chain;
			if (readable.lengthBytes > 0 || writable.lengthBytes === 0) {
				this.#port.fail("an entropy buffer that cannot be filled");
				return;
			}
			const bytes = new Uint8Array(Math.min(MOST_BYTES, writable.lengthBytes));
			this.#source.fill(bytes);
			queue?.push(chain, writable.write(0, bytes));
		}
	}

	reset(): void {}
}
