/**
 * Page faults that generated code brings to their handler by itself
 * (`engine/page-fault-delivery.ts`) against what `system/interrupts.ts` does with
 * them, by the same fault of two guests of which one is watched, so that
 * TypeScript does all of it.
 */

import { describe, expect, it } from "vitest";
import type { EngineKind } from "../../src/cpu/cpu-options.ts";
import {
	CR0,
	CR2,
	DELIVERED_AT,
	EFLAGS,
	FIELDS,
	IDTR_LIMIT,
	RIP,
	TR,
} from "../../src/cpu/state.ts";
import {
	CODE,
	descriptor,
	FREE,
	Guest,
	gate,
	HANDLERS,
	KERNEL_CODE,
	KERNEL_DATA,
	KERNEL_STACK,
	PAGE_TABLES,
	TASK,
	TASK_2,
	TSS,
	TSS_2,
	USER_CODE,
	USER_DATA,
} from "../support/guest.ts";
import { type Random, randomFrom } from "../support/random.ts";

const PF = 14;
const HANDLER = HANDLERS + PF * 16;
const ABSENT = 0x40_0000;
const READ_ONLY = 0x7_0000;
/** Level 3 may not look at it. */
const SUPERVISOR_ONLY = 0x7_1000;
/** Where the page is that lies behind the stack's. */
const ELSEWHERE = 0xb000;
const PAGE_TABLE = PAGE_TABLES + 0x1000;
const RSP = 4;
/** By what a fault is raised; EAX = where. */
const CAUSES = [
	[0x8b, 0x18], // mov ebx, [eax]
	[0x89, 0x18], // mov [eax], ebx
	[0xff, 0x00], // inc dword [eax]
	[0xff, 0xe0], // jmp eax
	[0x01, 0xdb, 0x8b, 0x18], // add ebx, ebx: flags; mov ebx, [eax]
];
/** Differ by who did it. */
const ASIDE = new Set(["direct", "tlbFills", "deliveredAt"]);
/** What may be written: tables, stacks, TSS; and page tables. */
const SEEN = [
	[0x1000, 0xb000],
	[0x7_0000, 0x2000],
	[PAGE_TABLES, 0x2000],
] as const;

interface Case {
	readonly cause: readonly number[];
	readonly where: number;
	readonly user: boolean;
	readonly gate: readonly [number, number];
	readonly odd: readonly (readonly [number, number])[];
	readonly kernelStack: number;
	readonly stackSelector: number;
	readonly taskLimit: number;
	readonly tableLimit: number;
	readonly eflags: number;
	readonly isPending: boolean;
	readonly budget: number;
}

const USUAL_GATE = gate(KERNEL_CODE, HANDLER, 0x8e);
const USUAL: Case = {
	...{ cause: [0x8b, 0x18], where: ABSENT, user: true, gate: USUAL_GATE },
	...{ odd: [], kernelStack: KERNEL_STACK, stackSelector: KERNEL_DATA },
	...{ taskLimit: 0x67, tableLimit: 0x7ff, eflags: 0x200 },
	...{ isPending: false, budget: 4 },
};

function randomCase(below: Random): Case {
	const chance = (of: number) => below(1000) < of * 1000;
	const pick = <T>(all: readonly T[]) => all[below(all.length)] as T;
	const mostly = <T>(usual: T, others: readonly T[]) =>
		chance(0.8) ? usual : pick(others);
	const codes = [USER_CODE, KERNEL_CODE + 3, FREE, FREE + 8, 0, 4, 0x1f8];
	const stacks = [
		USER_DATA,
		KERNEL_DATA + 3,
		FREE + 16,
		FREE + 24,
		0,
		4,
		0x1f8,
	];
	const selector = mostly(KERNEL_CODE, codes);
	const access = mostly(0x8e, [0x8f, 0xee, 0xef, 0x86, 0x87, 0x0e, 0x8c]);
	return {
		cause: pick(CAUSES),
		where: pick([ABSENT, READ_ONLY, SUPERVISOR_ONLY]),
		user: chance(0.6),
		gate: chance(0.03)
			? gate(TASK_2, 0, 0x85)
			: gate(selector, HANDLER, access),
		odd: [0x9b, 0x9f, 0x93, 0x97].map((kind) =>
			descriptor(
				chance(0.5) ? below(0x1000) : 0,
				chance(0.3) ? 0x200 : 0xf_ffff,
				chance(0.2) ? below(256) : kind,
				chance(0.2) ? 4 : 0xc,
			),
		),
		kernelStack: mostly(KERNEL_STACK, [
			...[KERNEL_STACK + 8, KERNEL_STACK + 20, KERNEL_STACK + 24],
			...[READ_ONLY + 0x800, ABSENT + 0x800, ABSENT + 4, 8, 0],
		]),
		stackSelector: mostly(KERNEL_DATA, stacks),
		taskLimit: mostly(0x67, [0, 8, 9, 10, 11, 12]),
		tableLimit: chance(0.05) ? PF * 8 + below(9) : 0x7ff,
		eflags: chance(0.8) ? below(0x1000) & 0xed5 : below(0x8_0000) & 0x4_4ed5,
		isPending: chance(0.1),
		budget: 1 + below(4),
	};
}

/** A guest whose first 4 MiB are mapped as they are, but for a page behind the stack's. */
function pagedGuest(engine: EngineKind = "cold"): Guest {
	const guest = new Guest(engine);
	guest.setWord(PAGE_TABLES, PAGE_TABLE | 7);
	for (let page = 0; page < 1024; page++) {
		const at = page * 0x1000;
		const rights = at === READ_ONLY ? 5 : at === SUPERVISOR_ONLY ? 3 : 7;
		guest.setWord(PAGE_TABLE + page * 4, at | rights);
	}
	guest.setWord(PAGE_TABLE + (KERNEL_STACK >>> 12) * 4, ELSEWHERE | 7);
	guest.page(PAGE_TABLES);
	return guest;
}

/** Runs a case; what can be seen of the processor and of memory. */
function outcome(guest: Guest, it: Case): Record<string, string> {
	const { cpu } = guest;
	const { state } = cpu;
	guest.describe(TASK, descriptor(TSS, it.taskLimit, 0x8b));
	guest.describe(TASK_2, descriptor(TSS_2, 0x67, 0x89));
	guest.prepareTask(TSS_2, HANDLER, PAGE_TABLES);
	for (const [i, each] of it.odd.entries()) guest.describe(FREE + i * 8, each);
	guest.handle(PF, it.gate);
	guest.loadFrom(TR, TASK);
	guest.setWord(TSS + 4, it.kernelStack);
	guest.setWord(TSS + 8, it.stackSelector);
	state.set32(IDTR_LIMIT, it.tableLimit);
	guest.enter(it.user);
	if (!it.user) state.setGpr32(RSP, it.kernelStack);
	cpu.memory.write(CODE, Uint8Array.from([...it.cause, 0xf4]));
	state.setGpr32(0, it.where);
	state.setGpr32(3, 0x8000_0001);
	state.setWide(CR0, (state.get32(CR0) & ~8) >>> 0);
	state.setWide(CR2, 0x1234_5678);
	state.set32(EFLAGS, (it.eflags & ~0x8d5) | 2);
	state.setWide(RIP, CODE);
	cpu.setInterruptLine(it.isPending);
	const stop = guest.resume(it.budget);
	cpu.setInterruptLine(false);
	const seen: Record<string, string> = { stop: JSON.stringify(stop) };
	for (const { name, offset, size, count, stride } of FIELDS) {
		if (ASIDE.has(name)) continue;
		const bytes = (count - 1) * stride + size;
		const { buffer } = state.view;
		const field = Buffer.from(buffer, state.base + offset, bytes);
		seen[name] = field.toString("hex");
	}
	for (const [at, bytes] of SEEN) {
		const memory = Buffer.from(cpu.memory.read(at, bytes));
		seen[at.toString(16)] = memory.toString("base64");
	}
	return seen;
}

describe("a page fault", () => {
	it("comes to its handler as by TypeScript, in every case", () => {
		const random = randomFrom(0xfa17);
		const direct = pagedGuest();
		const watched = pagedGuest();
		watched.cpu.onException = () => false;
		for (let i = 0; i < 3000; i++) {
			const it = randomCase(random);
			const seen = outcome(direct, it);
			expect(seen, JSON.stringify(it)).toEqual(outcome(watched, it));
		}
	});

	it.each([
		["level 3", { user: true }],
		["level 0", { user: false }],
		["level 3, by a trap gate", { gate: gate(KERNEL_CODE, HANDLER, 0x8f) }],
	])("comes there without asking TypeScript: from %s", (_name, kind) => {
		const guest = pagedGuest();
		const it = { ...USUAL, ...kind };
		const { stop } = outcome(guest, it);
		guest.cpu.mmu.writeU32 = () => {
			throw new Error("TypeScript was asked");
		};
		expect(outcome(guest, it).stop).toBe(stop);
		expect(JSON.parse(stop as string).vector).toBe(PF);
		guest.cpu.onException = () => false;
		expect(() => outcome(guest, it)).toThrow("TypeScript was asked");
	});

	it("of what stands behind a region is not the region's", () => {
		const guest = pagedGuest("compare");
		// dec ecx; jz +2; jmp eax; jmp edx
		const loop = [0x49, 0x74, 0x02, 0xff, 0xe0, 0xff, 0xe2];
		const { state } = guest.cpu;
		// The first one marks pages as accessed, which is TypeScript's.
		outcome(guest, USUAL);
		outcome(guest, USUAL);
		expect(state.get32(DELIVERED_AT)).not.toBe(0);
		state.setGpr32(1, 10);
		state.setGpr32(2, CODE);
		outcome(guest, { ...USUAL, cause: loop, where: CODE });
		for (let i = 0; i < 40; i++) guest.resume(1000);
		state.setGpr32(1, 100);
		state.setGpr32(2, ABSENT);
		expect(guest.resume(1000).vector).toBe(PF);
		expect(guest.cpu.statistics.regionsCompared).toBeGreaterThan(0);
	});

	it("whose handler faults again and again uses its turn up, and no more", () => {
		const guest = pagedGuest();
		const { cpu } = guest;
		outcome(guest, { ...USUAL, gate: gate(KERNEL_CODE, ABSENT, 0x8e) });
		cpu.state.setGpr32(RSP, KERNEL_STACK);
		cpu.state.setWide(RIP, ABSENT);
		const before = cpu.retiredCount();
		expect(cpu.run(1000)).toBe("budget");
		expect(cpu.retiredCount()).toBe(before);
	});
});
