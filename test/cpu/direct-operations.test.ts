/**
 * System operations that generated code carries out by itself
 * (`engine/direct-operations.ts`) against those of `system/`, by running the
 * same instruction on two guests of which one is watched, so that TypeScript
 * does all of it.
 */

import { describe, expect, it } from "vitest";
import {
	CR2,
	EFLAGS,
	FIELDS,
	RIP,
	SYSENTER_CS,
	SYSENTER_EIP,
	SYSENTER_ESP,
} from "../../src/cpu/state.ts";
import { selectorOf } from "../../src/cpu/system/segments.ts";
import {
	CODE,
	descriptor,
	FREE,
	GDT,
	Guest,
	HANDLERS,
	KERNEL_CODE,
	KERNEL_DATA,
	USER_CODE,
	USER_DATA,
} from "../support/guest.ts";
import { type Random, randomFrom } from "../support/random.ts";

const FRAME = 0x7000;
/** MOV to ES, DS, FS and GS from AX. */
const LOADS = [0xc0, 0xd8, 0xe0, 0xe8].map((modrm) => [0x8e, modrm]);
const SYSENTER = [0x0f, 0x34];
const SYSEXIT = [0x0f, 0x35];
const IRET = [0xcf];
const READ_CR2 = [0x0f, 0x20, 0xd0];
/** MOV EBX, [address]: brings its page into the TLB, which starts empty. */
const look = (at: number) => [0x8b, 0x1d, at & 0xff, at >>> 8, 0, 0];
const LOOKS = [...look(GDT), ...look(FRAME)];
const KINDS = [...LOADS, ...LOADS, SYSENTER, SYSEXIT, IRET, IRET, READ_CR2];
/** Differ by who did it. */
const ASIDE = new Set(["direct", "tlbFills"]);
const FS = 4;

/** One instruction and everything it depends on. */
interface Case {
	readonly code: readonly number[];
	readonly user: boolean;
	/** ES, DS, FS and GS are level 3's already. */
	readonly outerData: boolean;
	readonly descriptors: readonly (readonly [number, number])[];
	readonly selector: number;
	readonly fastSelector: number;
	readonly frame: readonly number[];
	readonly eflags: number;
	readonly interrupt: boolean;
}

function randomCase(below: Random): Case {
	const chance = (of: number) => below(1000) < of * 1000;
	const bits = () => below(0x1_0000) * 0x1_0000 + below(0x1_0000);
	const pick = <T>(all: readonly T[]) => all[below(all.length)] as T;
	const oftenFlat = (access: number) => {
		const isOdd = chance(0.3);
		const limit = isOdd ? below(0x10_0000) : 0xf_ffff;
		const base = isOdd && chance(0.5) ? bits() : 0;
		const kind = chance(0.3) ? below(256) : access;
		return descriptor(base, limit, kind, chance(0.2) ? 4 : 0xc);
	};
	const selectors = [
		...[KERNEL_CODE, KERNEL_DATA, USER_CODE, USER_DATA],
		...[FREE, FREE + 8, FREE + 3, FREE + 8 + 3, FREE + 16, FREE + 24 + 3],
		...[0, 3, FREE + 4, 0x1f8, 0x200],
	];
	const selector = () => pick(selectors);
	const isUserFrame = chance(0.6);
	const mostly = (usual: number) => (chance(0.7) ? usual : selector());
	const code = isUserFrame ? USER_CODE : KERNEL_CODE;
	return {
		code: pick(KINDS),
		user: chance(0.4),
		outerData: chance(0.7),
		descriptors: [0x93, 0xf3, 0x9b, 0xf3].map(oftenFlat),
		selector: selector(),
		fastSelector: chance(0.8) ? KERNEL_CODE : selector(),
		frame: [
			...[HANDLERS + 0x400, mostly(code)],
			chance(0.5) ? 0x202 : bits() & 0x3f_7fd7,
			...[0x9000, mostly(USER_DATA)],
		],
		eflags: chance(0.8) ? bits() & 0xcd5 : bits() & 0x4_4fd5,
		interrupt: chance(0.1),
	};
}

/** Runs a case; what can be seen of the processor and of the stacks. */
function outcome(guest: Guest, it: Case): Record<string, string> {
	const { cpu } = guest;
	for (const [i, each] of it.descriptors.entries()) {
		guest.describe(FREE + i * 8, each);
	}
	guest.enter(it.user);
	if (it.outerData) {
		for (const segment of [0, 3, 4, 5]) guest.loadFrom(segment, USER_DATA);
	}
	const { state } = cpu;
	cpu.memory.write(CODE, Uint8Array.from([...LOOKS, ...it.code, 0xf4]));
	for (const [i, word] of it.frame.entries())
		guest.setWord(FRAME + i * 4, word);
	const registers = [it.selector, 0x9100, HANDLERS + 0x410, 4, FRAME];
	for (const [i, value] of registers.entries()) state.setGpr32(i, value);
	state.setWide(SYSENTER_CS, it.fastSelector);
	state.setWide(SYSENTER_ESP, 0x8000);
	state.setWide(SYSENTER_EIP, HANDLERS + 0x420);
	state.setWide(CR2, 0x1234_5678);
	state.set32(EFLAGS, (it.eflags & ~0x8d5) | 2);
	state.setWide(RIP, CODE);
	cpu.setInterruptLine(it.interrupt);
	const stop = guest.resume(4);
	const seen: Record<string, string> = { stop: JSON.stringify(stop) };
	for (const { name, offset, size, count, stride } of FIELDS) {
		if (ASIDE.has(name)) continue;
		const at = state.base + offset;
		const bytes = Array.from({ length: (count - 1) * stride + size }, (_, i) =>
			state.view.getUint8(at + i).toString(16),
		);
		seen[name] = bytes.join(" ");
	}
	cpu.setInterruptLine(false);
	return seen;
}

function watched(): Guest {
	const guest = new Guest("cold");
	guest.cpu.onException = () => false;
	return guest;
}

describe("system operations in generated code", () => {
	it("do what those in TypeScript do, faults and rarities included", () => {
		const random = randomFrom(0x5e6);
		const direct = new Guest("cold");
		const other = watched();
		for (let i = 0; i < 2000; i++) {
			const it = randomCase(random);
			const seen = outcome(direct, it);
			expect(seen, JSON.stringify(it)).toEqual(outcome(other, it));
		}
	});

	it("read descriptors without asking TypeScript once the table's page is known", () => {
		const guest = new Guest("cold");
		const plain: Case = {
			...{ code: [0x8e, 0xe0], user: false, outerData: false },
			...{ selector: USER_DATA, fastSelector: 0, frame: [] },
			...{ descriptors: [], eflags: 0, interrupt: false },
		};
		guest.cpu.mmu.readU32 = () => {
			throw new Error("TypeScript was asked");
		};
		outcome(guest, plain);
		expect(selectorOf(guest.cpu.state, FS)).toBe(USER_DATA);
		guest.cpu.onException = () => false;
		expect(() => outcome(guest, plain)).toThrow("TypeScript was asked");
	});
});
