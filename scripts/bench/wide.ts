/**
 * `npm run bench -- --wide`: guest instructions per second of 64-bit code beside
 * those of the same loops as 32-bit code, both on a bare processor, in rounds
 * that visit every variant. Each result is compared with the machine's own.
 * Relies on `wide-images.ts`; `scripts/bench.ts` relies on it.
 */

import { FlatMachine } from "../../test/support/flat-machine.ts";
import { geometricMean, median, relativeSpread } from "./statistics.ts";
import {
	nativeResult,
	ORDER_ADDRESS,
	VARIANTS,
	type WideVariant,
	wideImage,
} from "./wide-images.ts";

/** A loop of `guests/wide/start.c`, by its number there. */
interface WideLoop {
	readonly name: string;
	readonly about: string;
	/** What takes some fifth of a second. */
	readonly amount: number;
}

export const WIDE_LOOPS: readonly WideLoop[] = [
	{ name: "sieve", about: "byte arrays", amount: 500 },
	{ name: "crc", about: "a table, each step after the last", amount: 2_000 },
	{ name: "hash-table", about: "probing, branches", amount: 12_000_000 },
	{ name: "bits", about: "shifts, scans, byte swaps", amount: 50_000_000 },
	{ name: "division", about: "32-bit division", amount: 2_000_000 },
	{ name: "records", about: "pointers, small calls", amount: 2_000_000 },
	{ name: "quicksort", about: "recursion", amount: 400 },
	{ name: "bytecode", about: "indirect jumps", amount: 60_000_000 },
	{ name: "text", about: "byte by byte", amount: 6_000 },
	{ name: "chase", about: "a list over many pages", amount: 20_000_000 },
	{ name: "xorshift", about: "64-bit arithmetic", amount: 15_000_000 },
	{ name: "matrix", about: "SSE2, packed doubles", amount: 150 },
	{ name: "blend", about: "SSE2, packed bytes and words", amount: 15_000 },
	{ name: "orbit", about: "SSE2, scalar doubles", amount: 4_000_000 },
	{ name: "checksum", about: "SSE2, packed words", amount: 15_000 },
];

const RAM_BYTES = 32 << 20;
const IMAGE_BYTES = 16 << 20;
/** Physical address of the image. */
const IMAGE = 0x20_0000;
/** Short enough for V8 to change to better code; a loop that takes so many has lost its way. */
const SLICE = 2_000_000;
const MOST_SLICES = 10_000;
/** A part of the amount that makes the code hot. */
const WARM_UP = 1;

/** One variant's machine. */
class WideMachine {
	readonly #machine: FlatMachine;
	readonly #variant: WideVariant;

	constructor(variant: WideVariant, image: Uint8Array) {
		const { width, base } = variant;
		this.#variant = variant;
		this.#machine = new FlatMachine({
			...{ width, engine: "auto", memoryBytes: RAM_BYTES },
		});
		this.#machine.map(BigInt(ORDER_ADDRESS), ORDER_ADDRESS);
		this.#machine.mapLarge(base, IMAGE, IMAGE_BYTES);
		this.#machine.cpu.memory.write(IMAGE, image);
	}

	/** Runs a loop; its result, and instructions per second. */
	run(number: number, amount: number): { result: bigint; rate: number } {
		const { cpu } = this.#machine;
		const { base, width } = this.#variant;
		cpu.memory.writeU32(ORDER_ADDRESS, number);
		cpu.memory.writeU32(ORDER_ADDRESS + 4, amount);
		// As behind the call of a function.
		const stack = base + BigInt(IMAGE_BYTES) - BigInt(width / 8);
		this.#machine.start(base, stack);
		const before = cpu.retiredCount();
		const started = process.cpuUsage();
		this.#finish();
		// Of this process: others on the machine do not count.
		const { user, system } = process.cpuUsage(started);
		const seconds = (user + system) / 1e6;
		const result = cpu.memory.readU64(ORDER_ADDRESS + 8);
		return { result, rate: (cpu.retiredCount() - before) / seconds };
	}

	#finish(): void {
		for (let slice = 0; slice < MOST_SLICES; slice++) {
			const reason = this.#machine.run(SLICE);
			if (reason === "halt") return;
			const { fault } = this.#machine;
			if (reason !== "budget") {
				throw new Error(`${this.#variant.name}: ${reason} ${fault?.vector}`);
			}
		}
		throw new Error(`${this.#variant.name}: no end`);
	}

	get statistics() {
		return this.#machine.cpu.statistics;
	}
}

/** Measures and prints; `only` are names of loops. */
export async function benchWide(
	rounds: number,
	only: readonly string[] | undefined,
	say: (line: string) => void,
): Promise<string> {
	const machines: WideMachine[] = [];
	for (const variant of VARIANTS) {
		machines.push(new WideMachine(variant, await wideImage(variant)));
	}
	const rows: Row[] = [];
	for (const [number, { name, amount }] of WIDE_LOOPS.entries()) {
		if (only !== undefined && !only.includes(name)) continue;
		say(name);
		const expected = await nativeResult(number, amount);
		const rates: number[][] = VARIANTS.map(() => []);
		for (const machine of machines) {
			machine.run(number, Math.ceil(amount / WARM_UP));
		}
		for (let round = 0; round < rounds; round++) {
			for (let i = 0; i < machines.length; i++) {
				const at = (i + round) % machines.length;
				const machine = machines[at] as WideMachine;
				const { result, rate } = machine.run(number, amount);
				if (result !== expected) {
					const { name: variant } = VARIANTS[at] as WideVariant;
					throw new Error(`${name}, ${variant}: ${result}, not ${expected}`);
				}
				rates[at]?.push(rate);
			}
		}
		rows.push({ name, rates });
	}
	return format(rows);
}

interface Row {
	readonly name: string;
	/** By variant and round. */
	readonly rates: readonly (readonly number[])[];
}

/** A table of medians, their ratios, and of these the least and the mean. */
function format(rows: readonly Row[]): string {
	const medians = rows.map(({ rates }) => rates.map(median));
	const lines = rows.map(({ name, rates }, i) => {
		const row = medians[i] as readonly number[];
		const spread = Math.max(...rates.map(relativeSpread));
		return [
			name.padEnd(12),
			...row.map((rate) => (rate / 1e6).toFixed(0).padStart(8)),
			...ratiosOf(row).map((ratio) => ratio.toFixed(2).padStart(8)),
			`${(spread * 100).toFixed(0)} %`.padStart(8),
		].join("");
	});
	const [first, ...others] = VARIANTS.map(({ name }) => name);
	const summary = others.map((name, i) => {
		const ratios = medians.map((row) => ratiosOf(row)[i] as number);
		const [least, mean] = [Math.min(...ratios), geometricMean(ratios)];
		return `${name} : ${first}: ${mean.toFixed(2)} (geometric mean), ${least.toFixed(2)} (least)`;
	});
	return [
		`Million guest instructions per second: ${first}; ${others.join("; ")};`,
		`then ratios to ${first}, and the widest spread of a cell's rounds.`,
		...["", ...lines, "", ...summary],
	].join("\n");
}

/** Of every variant but the first to the first. */
function ratiosOf([first = 1, ...others]: readonly number[]): number[] {
	return others.map((other) => other / first);
}
