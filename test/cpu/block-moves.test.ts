/**
 * REP MOVS in both directions against moving one element after the other: runs
 * within pages, over their ends, and into each other's way.
 */
import { describe, expect, it } from "vitest";
import { ECX, EDI, ESI } from "../support/assembler.ts";
import { code, DATA, Guest } from "../support/guest.ts";
import { type Random, randomFrom } from "../support/random.ts";

const SPAN = 0x4000;
const MOVES = 300;

/** By bytes of an element: the instruction. */
const REP_MOVS = { 1: "f3 a4", 2: "66 f3 a5", 4: "f3 a5" } as const;
type ElementBytes = keyof typeof REP_MOVS;
const SIZES = Object.keys(REP_MOVS).map(Number) as ElementBytes[];

interface Move {
	readonly size: ElementBytes;
	readonly down: boolean;
	readonly count: number;
	/** Offsets of the first element. */
	readonly from: number;
	readonly to: number;
}

/** What a processor does that moves one element at a time. */
function moveSlowly(bytes: Uint8Array, move: Move): void {
	const { size, down, count } = move;
	for (let i = 0; i < count; i++) {
		const at = i * (down ? -size : size);
		const element = bytes.slice(move.from + at, move.from + at + size);
		bytes.set(element, move.to + at);
	}
}

function randomMove(random: Random): Move {
	const size = SIZES[random(SIZES.length)] as ElementBytes;
	const down = random(2) === 1;
	const count = random(3) === 0 ? random(6) : random(0x1200 / size);
	const room = SPAN - count * size - 64;
	const near = random(room);
	// Half of them overlap, some by less than an element.
	const far = random(2) === 0 ? random(room) : near + random(41) - 20;
	const start = (offset: number) =>
		Math.min(Math.max(offset, 0), room) + 32 + (down ? count * size : 0);
	return { size, down, count, from: start(near), to: start(far) };
}

for (const engine of ["cold", "hot"] as const) {
	describe(`REP MOVS, ${engine} engine`, () => {
		it("leaves memory and registers as moves of single elements do", () => {
			const random = randomFrom(engine === "cold" ? 11 : 12);
			const guest = new Guest(engine);
			const memory = guest.cpu.memory.bytes.subarray(DATA, DATA + SPAN);
			for (let i = 0; i < SPAN; i++) memory[i] = random(256);
			for (let i = 0; i < MOVES; i++) {
				const move = randomMove(random);
				const expected = memory.slice();
				moveSlowly(expected, move);
				const { state } = guest.cpu;
				state.setGpr32(ESI, DATA + move.from);
				state.setGpr32(EDI, DATA + move.to);
				state.setGpr32(ECX, move.count);
				const direction = move.down ? "fd" : "fc";
				guest.run(code().hex(`${direction} ${REP_MOVS[move.size]} f4`));
				expect(Buffer.compare(memory, expected), JSON.stringify(move)).toBe(0);
				const bytes = move.count * (move.down ? -move.size : move.size);
				const registers = [ESI, EDI, ECX].map((r) => state.gpr32(r));
				expect(registers).toEqual([
					DATA + move.from + bytes,
					DATA + move.to + bytes,
					0,
				]);
			}
		});

		it("is done by runs in both directions", () => {
			for (const direction of ["fc", "fd"]) {
				const guest = new Guest(engine);
				const { state } = guest.cpu;
				for (const [register, at] of [
					[ESI, DATA + 0x1ffc],
					[EDI, DATA + 0x3ffc],
				] as const) {
					state.setGpr32(register, at - (direction === "fc" ? 0x1ffc : 0));
				}
				state.setGpr32(ECX, 0x800);
				const before = guest.cpu.retiredCount();
				guest.run(code().hex(`${direction} f3 a5 f4`));
				expect(guest.cpu.retiredCount() - before).toBeLessThan(10);
			}
		});
	});
}
