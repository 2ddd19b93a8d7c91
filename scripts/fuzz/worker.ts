/**
 * The thread that runs cases for `scripts/fuzz.ts`. It says where it is in
 * shared memory, so that the one outside sees a case that never ends.
 */

import { parentPort, workerData } from "node:worker_threads";
import { FUZZ_TARGETS } from "../../test/fuzz/targets.ts";
import { randomFrom } from "../../test/support/random.ts";

/** What the thread is given. */
export interface FuzzOrder {
	readonly target: string;
	readonly firstSeed: number;
	/** Infinite unless one case is to be repeated. */
	readonly cases: number;
	readonly milliseconds: number;
	/** One 32-bit word: the seed under way. */
	readonly progress: SharedArrayBuffer;
}

/** What it answers at its end. */
export interface FuzzAnswer {
	readonly cases: number;
	readonly finding?: { readonly seed: number; readonly error: string };
}

async function fuzz(order: FuzzOrder): Promise<FuzzAnswer> {
	const target = FUZZ_TARGETS.find(({ name }) => name === order.target);
	if (target === undefined) throw new Error(`no target ${order.target}`);
	const progress = new Int32Array(order.progress);
	const start = performance.now();
	let cases = 0;
	while (
		cases < order.cases &&
		performance.now() - start < order.milliseconds
	) {
		const seed = (order.firstSeed + cases) >>> 0;
		Atomics.store(progress, 0, seed | 0);
		cases++;
		try {
			await target.run(randomFrom(seed));
		} catch (error) {
			return { cases, finding: { seed, error: describe(error) } };
		}
	}
	return { cases };
}

function describe(error: unknown): string {
	return error instanceof Error
		? (error.stack ?? error.message)
		: String(error);
}

parentPort?.postMessage(await fuzz(workerData as FuzzOrder));
