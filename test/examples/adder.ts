/**
 * A device of one's own: an adding machine. The driver sends numbers, 32 bits
 * each, little-endian, and gets their sum. The configuration space says how many
 * sums have been made; writing zero there starts counting again.
 */

import type { DeviceModel, DevicePort } from "../../src/index.ts";

/** No device that anybody has heard of: the highest device type there can be. */
const DEVICE_ID = 63;
/** A feature of the device's own: sums that overflow are capped, not wrapped. */
const ADDER_F_SATURATE = 0;
const MOST_NUMBERS = 1024;

export class Adder implements DeviceModel {
	readonly deviceId = DEVICE_ID;
	readonly features = 1n << BigInt(ADDER_F_SATURATE);
	readonly queueSizes = [16];
	/** Number of sums, 32 bits. */
	readonly config = new Uint8Array(4);
	#port!: DevicePort;

	connect(port: DevicePort): void {
		this.#port = port;
	}

	kicked(queueIndex: number): void {
		const queue = this.#port.queue(queueIndex);
		for (let chain = queue?.pop(); chain; chain = queue?.pop()) {
			const { readable, writable } = chain;
			const bytes = readable.lengthBytes;
			if (
				bytes % 4 !== 0 ||
				bytes > MOST_NUMBERS * 4 ||
				writable.lengthBytes < 4
			) {
				this.#port.fail("no numbers, too many, or no room for their sum");
				return;
			}
			const sum = this.#add(readable.read(0, bytes));
			queue?.push(chain, writable.write(0, sum));
		}
	}

	reset(): void {
		this.config.fill(0);
	}

	writeConfig(): void {
		this.config.fill(0);
	}

	#add(numbers: Uint8Array): Uint8Array {
		const view = new DataView(numbers.buffer, numbers.byteOffset);
		let sum = 0;
		for (let at = 0; at < numbers.length; at += 4) {
			sum += view.getUint32(at, true);
		}
		const saturates = this.#port.negotiated(ADDER_F_SATURATE);
		const answer = new DataView(new ArrayBuffer(4));
		answer.setUint32(0, saturates ? Math.min(sum, 2 ** 32 - 1) : sum, true);
		const sums = new DataView(this.config.buffer);
		sums.setUint32(0, sums.getUint32(0, true) + 1, true);
		this.#port.configChanged();
		return new Uint8Array(answer.buffer);
	}
}
