/**
 * Hot code asks once on each way through a region whether SSE and the x87 are
 * switched on. Here they are switched off when it has been hot for long, and
 * every way to the instruction has to find that out.
 */
import { describe, expect, it } from "vitest";
import { CR0, CR4, RIP } from "../../src/cpu/state.ts";
import { FlatMachine } from "../support/flat-machine.ts";
import { bytes, CODE, dword, RAX, RCX, RDX } from "../support/wide-machine.ts";

const UD = 6;
const NM = 7;
const CR0_EM = 1n << 2n;
const CR0_TS = 1n << 3n;
const CR4_OSFXSR = 1n << 9n;
const OFTEN = 20_000;

/** Instructions of three bytes or two, filled up with NOPs to four. */
const ADD_SSE = "0f58c1 90"; // addps xmm0, xmm1
const MOVE_SSE = "0f28d1 90"; // movaps xmm2, xmm1
const X87 = "d9e8 ddd8"; // fld1; fstp st(0)

/** ECX turns: `first` if EDX is not zero, then `second`. */
function loopOf(first: string, second: string): string {
	// test edx, edx; jz +4; first; second; dec ecx; jnz back; hlt
	return `85d2 7404 ${first} ${second} ffc9 75f0 f4`;
}
const FIRST = 4;
const SECOND = 8;

class Loop {
	readonly machine: FlatMachine;
	readonly code: bigint;

	constructor(width: 32 | 64, code: string) {
		this.machine = new FlatMachine({ width, engine: "auto", hotArrivals: 64 });
		this.code = width === 64 ? 0xffff_ffff_8140_0000n : 0x40_0000n;
		this.machine.map(this.code, CODE);
		this.machine.cpu.memory.write(CODE, bytes(code));
	}

	run(turns: number, edx: number): void {
		const { machine } = this;
		machine.start(this.code, this.code + 0x800n);
		machine.setRegister(RCX, BigInt(turns));
		machine.setRegister(RDX, BigInt(edx));
		while (machine.run(1000) === "budget");
	}

	/** Both ways, for long. */
	heat(): void {
		this.run(OFTEN, 1);
		this.run(OFTEN, 0);
		const { statistics } = this.machine.cpu;
		const share = statistics.hotRetired / this.machine.cpu.retiredCount();
		expect(share).toBeGreaterThan(0.7);
	}

	set(register: typeof CR0, on: bigint, off: bigint): void {
		const { cpu } = this.machine;
		cpu.state.setBig(register, (cpu.state.getBig(register) | on) & ~off);
		cpu.controlChanged();
	}

	/** Turns that are left. */
	get left(): number {
		return Number(BigInt.asUintN(32, this.machine.register(RCX)));
	}

	/** Vector and place of the fault that ended the last run, in its first turn. */
	get fault(): readonly unknown[] {
		const { fault, cpu } = this.machine;
		const distance = cpu.state.getBig(RIP) - this.code;
		expect(this.left).toBe(OFTEN);
		return [fault?.vector, Number(BigInt.asIntN(32, distance))];
	}
}

for (const width of [32, 64] as const) {
	describe(`${width}-bit code`, () => {
		it.each([
			["CR0.TS is set", CR0, CR0_TS, 0n, NM],
			["CR0.EM is set", CR0, CR0_EM, 0n, UD],
			["CR4.OSFXSR is clear", CR4, 0n, CR4_OSFXSR, UD],
		])("SSE faults on both ways to it when %s", (_, field, on, off, vector) => {
			const loop = new Loop(width, loopOf(MOVE_SSE, ADD_SSE));
			loop.heat();
			loop.set(field, on, off);
			loop.run(OFTEN, 1);
			expect(loop.fault).toEqual([vector, FIRST]);
			loop.run(OFTEN, 0);
			expect(loop.fault).toEqual([vector, SECOND]);
		});

		it.each([
			["CR0.TS", CR0_TS],
			["CR0.EM", CR0_EM],
		])("the x87 faults on both ways to it when %s is set", (_, bit) => {
			const loop = new Loop(width, loopOf(X87, X87));
			loop.heat();
			loop.set(CR0, bit, 0n);
			loop.run(OFTEN, 1);
			expect(loop.fault).toEqual([NM, FIRST]);
			loop.run(OFTEN, 0);
			expect(loop.fault).toEqual([NM, SECOND]);
		});

		it("both go on when they are switched on again", () => {
			const loop = new Loop(width, loopOf(X87, ADD_SSE));
			loop.heat();
			loop.set(CR0, CR0_TS, 0n);
			loop.run(OFTEN, 1);
			expect(loop.fault).toEqual([NM, FIRST]);
			loop.set(CR0, 0n, CR0_TS);
			loop.run(OFTEN, 1);
			expect(loop.machine.fault).toBeUndefined();
			expect(loop.left).toBe(0);
		});

		it("the x87 does not answer for SSE, nor SSE for the x87", () => {
			// One after the other; dec ecx; jnz back; hlt
			const both = (a: string, b: string) => `${a} ${b} ffc9 75f4 f4`;
			const later = new Loop(width, both(X87, ADD_SSE));
			later.heat();
			later.set(CR4, 0n, CR4_OSFXSR);
			later.run(OFTEN, 0);
			expect(later.fault).toEqual([UD, 4]);
			const sooner = new Loop(width, both(ADD_SSE, X87));
			sooner.heat();
			sooner.set(CR0, CR0_TS, 0n);
			sooner.run(OFTEN, 0);
			expect(sooner.fault).toEqual([NM, 0]);
		});
	});
}

describe("XMM registers that a region keeps", () => {
	it.each([32, 64] as const)(
		"are in the state behind it, in %d-bit code",
		(width) => {
			// mov eax, 1; movd xmm1, eax; pxor xmm0, xmm0
			const start = `b8${dword(1)} 660f6ec8 660fefc0`;
			// paddd xmm0, xmm1; movd eax, xmm0; dec ecx; jnz back; hlt
			const body = "660ffec1 660f7ec0 ffc9 75f4 f4";
			const loop = new Loop(width, `${start} ${body}`);
			for (let i = 0; i < 5; i++) {
				loop.run(OFTEN + i, 0);
				expect(loop.machine.register(RAX)).toBe(BigInt(OFTEN + i));
			}
		},
	);
});
