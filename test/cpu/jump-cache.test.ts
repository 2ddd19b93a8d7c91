/**
 * The jump cache from both sides: entries that TypeScript makes and generated
 * code looks up, where several addresses share a set.
 */
import { describe, expect, it } from "vitest";
import { emitJumpCache, JumpCache } from "../../src/cpu/engine/jump-cache.ts";
import { StateEmitter } from "../../src/cpu/engine/state-emitter.ts";
import {
	CODE_EPOCHS,
	JUMP_CACHE_ENTRIES,
	RAM_BASE,
	STATE_BASE,
	TLB_BASE,
	WASM_PAGE_BYTES,
} from "../../src/cpu/memory-layout.ts";
import type { I32, I64 } from "../../src/cpu/semantics/emitter.ts";
import {
	SEGMENT_LIMIT,
	segmentOffset,
	TLB_EXECUTE_MASK,
} from "../../src/cpu/state.ts";
import { localGet } from "../../src/wasm/expression.ts";
import type { Local } from "../../src/wasm/references.ts";
import { functionOf } from "../support/wasm-function.ts";

const CS = 1;
const EXECUTE = 4;
const WAYS = 4;
const SETS = JUMP_CACHE_ENTRIES / WAYS;
const MISSING = -1;

/** Linear addresses are those of RAM, from its start. */
class Caches {
	readonly cache: JumpCache;
	readonly #find: (...args: (number | bigint)[]) => unknown;

	constructor() {
		const initial = Math.ceil(CODE_EPOCHS / WASM_PAGE_BYTES) + 1;
		const memory = new WebAssembly.Memory({ initial });
		const view = new DataView(memory.buffer);
		view.setUint32(STATE_BASE + segmentOffset(CS) + SEGMENT_LIMIT, -1, true);
		view.setUint32(STATE_BASE + TLB_EXECUTE_MASK.offset, EXECUTE, true);
		// Every page is at RAM_BASE + its address.
		for (let page = 0; page < 0x1000; page++) {
			view.setUint32(TLB_BASE + page * 4, RAM_BASE | EXECUTE, true);
		}
		this.cache = new JumpCache(memory.buffer);
		this.#find = functionOf(
			["i64"],
			["i32"],
			(code) => {
				const kernel = () => {
					throw new Error("no kernels here");
				};
				const e = new StateEmitter(code, { stateBase: STATE_BASE, kernel });
				const target = localGet(code.param(0)) as unknown as I64;
				const record = code.local("i32") as Local<"i32">;
				code.block((slow) => {
					const linear: I32 = e.wrap(target);
					emitJumpCache(code, e, { target, linear }, record, slow);
					code.return(localGet(record));
				});
				code.return(e.i32(MISSING) as never);
			},
			memory,
		);
	}

	enter(linear: number, record: number): void {
		this.cache.enter(RAM_BASE + linear, record);
	}

	find(linear: number): number {
		return this.#find(BigInt(linear)) as number;
	}
}

/** Addresses in different pages that share a set: what differs in the page's number, the offset makes up for. */
function inOneSet(n: number): number {
	const page = (RAM_BASE >>> 12) + n;
	return n * 0x1000 + ((page ^ 0x2a5) & 0xfff);
}

describe("the jump cache", () => {
	it("knows what was entered, and nothing else", () => {
		const on = new Caches();
		on.enter(0x1234, 77);
		expect(on.find(0x1234)).toBe(77);
		expect(on.find(0x1235)).toBe(MISSING);
		expect(on.find(0x1234 + SETS)).toBe(MISSING);
	});

	it("keeps the last four of a set", () => {
		const on = new Caches();
		for (let n = 0; n < 6; n++) on.enter(inOneSet(n), 100 + n);
		const found = [0, 1, 2, 3, 4, 5].map((n) => on.find(inOneSet(n)));
		expect(found).toEqual([MISSING, MISSING, 102, 103, 104, 105]);
	});

	it("keeps what is entered again as the latest, once", () => {
		const on = new Caches();
		for (let n = 0; n < WAYS; n++) on.enter(inOneSet(n), 100 + n);
		on.enter(inOneSet(0), 200);
		on.enter(inOneSet(4), 104);
		const found = [0, 1, 2, 3, 4].map((n) => on.find(inOneSet(n)));
		expect(found).toEqual([200, MISSING, 102, 103, 104]);
		for (let n = 5; n < 8; n++) on.enter(inOneSet(n), 100 + n);
		expect(on.find(inOneSet(0))).toBe(MISSING);
	});

	it("lets nobody go for what it has already", () => {
		const on = new Caches();
		for (let n = 0; n < WAYS; n++) on.enter(inOneSet(n), 100 + n);
		on.enter(inOneSet(2), 202);
		const found = [0, 1, 2, 3].map((n) => on.find(inOneSet(n)));
		expect(found).toEqual([100, 101, 202, 103]);
	});

	it("leaves other sets alone", () => {
		const on = new Caches();
		const neighbours = [inOneSet(0) - 1, inOneSet(0) + 1];
		for (const [i, at] of neighbours.entries()) on.enter(at, 300 + i);
		for (let n = 0; n < 6; n++) on.enter(inOneSet(n), 100 + n);
		expect(neighbours.map((at) => on.find(at))).toEqual([300, 301]);
	});

	it("knows nothing when it has been cleared", () => {
		const on = new Caches();
		for (let n = 0; n < WAYS; n++) on.enter(inOneSet(n), 100 + n);
		on.cache.clear();
		for (let n = 0; n < WAYS; n++) expect(on.find(inOneSet(n))).toBe(MISSING);
	});
});
