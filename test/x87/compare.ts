/**
 * Finds where our results and the processor's differ, and tells it readably.
 *
 * @journey M:752 Spot the difference
 */

import { type Batch, CASE_BYTES, IMAGE_BYTES, RESULT_BYTES } from "./case.ts";

/** Cases that differ, the first few described. */
export interface Verdict {
	readonly differing: number;
	readonly examples: readonly string[];
}

const MOST_EXAMPLES = 5;
const SIGNAL_AT = IMAGE_BYTES + 16;

/**
 * Compares the results of a batch with `ask()`, the processor's. What differs
 * is asked again: a switch of tasks between two instructions makes the kernel
 * save and restore the x87, and AMD's FXSAVE forgets the last instruction then.
 */
export function compareResults(
	batch: Batch,
	ours: Uint8Array,
	ask: () => Uint8Array,
): Verdict {
	const first = compareOnce(batch, ours, ask());
	return first.differing === 0 ? first : compareOnce(batch, ours, ask());
}

function compareOnce(
	batch: Batch,
	ours: Uint8Array,
	theirs: Uint8Array,
): Verdict {
	const bytes = RESULT_BYTES + batch.memoryBytes;
	let differing = 0;
	const examples: string[] = [];
	for (let i = 0; i < batch.count; i++) {
		const a = new DataView(ours.buffer, ours.byteOffset + i * bytes, bytes);
		const b = new DataView(theirs.buffer, theirs.byteOffset + i * bytes, bytes);
		if (same(a, b, bytes)) continue;
		differing++;
		if (examples.length < MOST_EXAMPLES) {
			examples.push(describeCase(batch, i, a, b));
		}
	}
	return { differing, examples };
}

/** MXCSR_MASK and reserved bytes behind the registers do not count. */
function compared(offset: number): boolean {
	if (offset >= 28 && offset < 32) return false;
	const inRegister = offset >= 32 && offset < IMAGE_BYTES;
	return !(inRegister && (offset & 15) >= 10);
}

function same(a: DataView, b: DataView, bytes: number): boolean {
	const signal = a.getUint8(SIGNAL_AT);
	if (signal !== b.getUint8(SIGNAL_AT)) return false;
	if (signal !== 0) return true;
	for (let i = 0; i < bytes; i++) {
		if (compared(i) && a.getUint8(i) !== b.getUint8(i)) return false;
	}
	return true;
}

function hex(value: number | bigint, digits: number): string {
	return value.toString(16).padStart(digits, "0");
}

function describe(view: DataView, memoryAt: number): string {
	const registers = [0, 1, 2, 7].map((i) => {
		const se = hex(view.getUint16(40 + 16 * i, true), 4);
		return `st${i}=${se}:${hex(view.getBigUint64(32 + 16 * i, true), 16)}`;
	});
	const memory = [];
	for (let i = memoryAt; i < view.byteLength; i++) {
		memory.push(hex(view.getUint8(i), 2));
	}
	return [
		`cw=${hex(view.getUint16(0, true), 4)}`,
		`sw=${hex(view.getUint16(2, true), 4)}`,
		`tags=${hex(view.getUint8(4), 2)}`,
		`op=${hex(view.getUint16(6, true), 3)}`,
		`ip=${hex(view.getBigUint64(8, true), 1)}`,
		`dp=${hex(view.getBigUint64(16, true), 1)}`,
		...registers,
		`rax=${hex(view.getBigUint64(IMAGE_BYTES, true), 1)}`,
		`fl=${hex(view.getBigUint64(IMAGE_BYTES + 8, true), 1)}`,
		...(memory.length > 0 ? [`mem=${memory.join("")}`] : []),
	].join(" ");
}

function describeCase(
	batch: Batch,
	i: number,
	ours: DataView,
	theirs: DataView,
): string {
	const bytes = CASE_BYTES + batch.memoryBytes;
	const { cases } = batch;
	const input = new DataView(cases.buffer, cases.byteOffset + i * bytes, bytes);
	const signal = (view: DataView) => `signal ${view.getUint8(SIGNAL_AT)}`;
	return [
		`in:     ${describe(input, CASE_BYTES)}`,
		`ours:   ${describe(ours, RESULT_BYTES)} ${signal(ours)}`,
		`theirs: ${describe(theirs, RESULT_BYTES)} ${signal(theirs)}`,
	].join("\n");
}
