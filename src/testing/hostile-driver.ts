/**
 * A driver that does anything at all: random bytes in rings, descriptors and
 * configuration space, kicks for no reason, requests with nonsense in them.
 * Whatever it does, a device must neither throw nor hang, and be in order again
 * after a reset.
 *
 * Relies on the mock driver; fuzzing and the device cases rely on it.
 *
 * @journey D:370 A driver from hell
 */

import { type MockDriver, room } from "./mock-driver.ts";
import { chance, plausible, type Random } from "./random.ts";

const STEPS = 60;
/** All that a device may offer. */
const FEATURES = Array.from({ length: 64 }, (_, feature) => feature);

/**
 * Starts with some of the features and goes on with one thing after another.
 * `beside` is what can be done besides, such as register accesses.
 */
export function misbehave(
	driver: MockDriver,
	random: Random,
	beside: () => void = () => {},
): void {
	const accept = FEATURES.filter(() => chance(random, 2));
	driver.start({ accept, queueSize: 16 });
	for (let step = 0; step < STEPS; step++) misstep(driver, random, beside);
}

function misstep(driver: MockDriver, random: Random, beside: () => void): void {
	const { memory, side } = driver;
	const queue = driver.queue(random(driver.queues.length));
	switch (random(7)) {
		case 0:
		case 1:
			beside();
			break;
		case 2: {
			// Into the rings, where it hurts.
			const areas = Object.values(queue.placement);
			const at = (areas[1 + random(3)] ?? 0) + random(260);
			if (!memory.contains(at, 2)) break;
			memory.writeU16(at, plausible(random) & 0xffff);
			break;
		}
		case 3:
			queue.offerRaw(
				Array.from({ length: 1 + random(4) }, () => ({
					address: chance(random, 4) ? plausible(random) : random(200_000),
					length: chance(random, 4) ? plausible(random) : random(4096),
					flags: random(4) * 2,
				})),
			);
			break;
		case 4: {
			// A small header, as most devices have one, and then whatever.
			const head = Uint8Array.from({ length: 1 + random(24) }, () =>
				random(random(2) ? 256 : 4),
			);
			queue.send(head, new Uint8Array(random(2000)), room(1 + random(2000)));
			break;
		}
		default:
			side.kick(random(8));
	}
}
