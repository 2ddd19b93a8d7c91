import { describe, expect, it, vi } from "vitest";
import { borderImports, notedFault } from "./border.ts";
import { STATUS_FAULT, STATUS_JUMP } from "./engine/status.ts";
import {
	raise,
	VECTOR_GP,
	VECTOR_PF,
	VECTOR_SS,
	VECTOR_UD,
} from "./exceptions.ts";
import type { InstructionFetch } from "./instruction-fetch.ts";
import { RAM_BASE } from "./memory-layout.ts";
import type { Mmu } from "./mmu/mmu.ts";
import { makeMode } from "./mode.ts";
import { MODE, STATE_BYTES, segmentOffset } from "./state.ts";
import { StateView } from "./state-view.ts";

const SS = 2;
const DS = 3;
const WRITE = 1;

/** A border whose other side does what a test wants. */
function setUp(codeSize: 32 | 64 = 32) {
	const state = new StateView(new ArrayBuffer(STATE_BYTES), 0);
	state.set32(MODE, makeMode(codeSize, 32, true));
	const mmu = { translate: vi.fn(() => 0x5000), commit: vi.fn() };
	const fetch = { tryPhysical: vi.fn(), record: vi.fn(() => 0x700) };
	const operate = vi.fn(() => STATUS_JUMP);
	const imports = borderImports(
		state,
		mmu as unknown as Mmu,
		fetch as unknown as InstructionFetch,
		operate as never,
	);
	return { state, mmu, fetch, operate, imports };
}

describe("the border", () => {
	it("hands on what the other side answers", () => {
		const { imports, mmu, operate, fetch } = setUp();
		const intent = (segmentOffset(DS) << 2) | WRITE;
		expect(imports.translate(-4096, 0, 4, intent)).toBe(0x5000);
		expect(mmu.translate).toHaveBeenCalledWith(0xffff_f000, 4, WRITE);
		expect(imports.system(7, 1, 2, 3)).toBe(STATUS_JUMP);
		expect(operate).toHaveBeenCalledWith(7, 1, 2, 3);
		expect(imports.resolve()).toBe(0x700);
		imports.commit();
		expect([mmu.commit, fetch.record].map((f) => f.mock.calls)).toEqual([
			[[]],
			[[]],
		]);
	});

	it("answers for everything that raises, and notes what it was", () => {
		const { state, imports, mmu, fetch, operate } = setUp();
		const raises = (vector: number, code?: number) => () => raise(vector, code);
		mmu.translate.mockImplementation(raises(VECTOR_PF, 7));
		expect(imports.translate(0, 0, 4, WRITE)).toBe(0);
		expect(notedFault(state)).toMatchObject({
			vector: VECTOR_PF,
			errorCode: 7,
		});
		// One without an error code, after one with: nothing is left of that.
		operate.mockImplementation(raises(VECTOR_UD));
		expect(imports.system(1, 0, 0, 0)).toBe(STATUS_FAULT);
		expect(notedFault(state)).toMatchObject({
			...{ vector: VECTOR_UD, errorCode: undefined },
		});
		// An error code of nought is one.
		fetch.record.mockImplementation(raises(VECTOR_GP, 0));
		expect(imports.resolve()).toBe(0);
		expect(notedFault(state)).toMatchObject({
			vector: VECTOR_GP,
			errorCode: 0,
		});
	});

	it("raises at the ends of linear space by itself, by the segment's own vector", () => {
		const { state, imports, mmu } = setUp();
		for (const [segment, vector] of [
			[DS, VECTOR_GP],
			[SS, VECTOR_SS],
		] as const) {
			const intent = segmentOffset(segment) << 2;
			expect(imports.translate(-2, 0, 4, intent)).toBe(0);
			expect(notedFault(state)).toMatchObject({ vector, errorCode: 0 });
		}
		// Where the limit was checked, it may wrap round.
		expect(imports.translate(-2, 0, 4, 0)).toBe(0x5000);
		expect(mmu.translate).toHaveBeenCalledOnce();
	});

	it("takes both halves of an address in 64-bit mode alone", () => {
		const intent = segmentOffset(DS) << 2;
		const long = setUp(64);
		long.imports.translate(0x1000, 0x12, 4, intent);
		expect(long.mmu.translate).toHaveBeenCalledWith(0x12_0000_1000, 4, 0);
		expect(long.imports.translate(0, 0x8000, 4, intent)).toBe(0);
		expect(notedFault(long.state).vector).toBe(VECTOR_GP);
		const { imports, mmu } = setUp(32);
		imports.translate(0x1000, 0x12, 4, intent);
		expect(mmu.translate).toHaveBeenCalledWith(0x1000, 4, 0);
	});

	it("refuses what a segment does not allow", () => {
		const { state, imports } = setUp();
		// A register that was never loaded allows nothing.
		expect(imports.checkSegment(segmentOffset(SS), 0, 4, WRITE)).toBe(0);
		expect(notedFault(state)).toMatchObject({
			vector: VECTOR_SS,
			errorCode: 0,
		});
	});

	it("knows whether code is still where it was, without a fault if not", () => {
		const { state, imports, fetch } = setUp();
		state.set32(MODE, 0);
		fetch.tryPhysical.mockReturnValue(0x3000);
		expect(imports.fetchPage(-4096, RAM_BASE + 0x3000)).toBe(1);
		expect(fetch.tryPhysical).toHaveBeenCalledWith(0xffff_f000);
		expect(imports.fetchPage(0, RAM_BASE + 0x4000)).toBe(0);
		fetch.tryPhysical.mockReturnValue(undefined);
		expect(imports.fetchPage(0, RAM_BASE)).toBe(0);
		expect(notedFault(state)).toMatchObject({
			vector: 0,
			errorCode: undefined,
		});
	});

	it("lets our own mistakes through, which are no guest's faults", () => {
		const { imports, mmu, operate, fetch } = setUp();
		const mistake = () => {
			throw new TypeError("ours");
		};
		mmu.translate.mockImplementation(mistake);
		operate.mockImplementation(mistake);
		fetch.record.mockImplementation(mistake);
		expect(() => imports.translate(0, 0, 4, 0)).toThrow(TypeError);
		expect(() => imports.system(0, 0, 0, 0)).toThrow(TypeError);
		expect(() => imports.resolve()).toThrow(TypeError);
	});
});
