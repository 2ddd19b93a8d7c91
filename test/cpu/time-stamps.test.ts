/**
 * RDTSC in hot code. Where time passes by itself a region asks for it and goes
 * on; where time is instructions, where the guest keeps it from some of its code,
 * and where all is done twice, the cold engine does it, as exactly as ever.
 */
import { describe, expect, it } from "vitest";
import type { EngineKind } from "../../src/cpu/cpu-options.ts";
import { CPL, CR4, TSC_OFFSET } from "../../src/cpu/state.ts";
import { FlatMachine } from "../support/flat-machine.ts";
import { bytes, CODE, RBX, RCX, RSI } from "../support/wide-machine.ts";

const GP = 13;
const CR4_TSD = 1n << 2n;
const OFTEN = 20_000;
/** rdtsc; add ebx, eax; add esi, edx; dec ecx; jnz back; hlt */
const SUM = "0f31 01c3 01d6 ffc9 75f6 f4";
/** How far time is ahead at each look, in both halves of the counter. */
const STEP = 2 ** 33 + 7;
/** The guest's counter against it, with a carry now and then. */
const OFFSET = 0x3_ffff_f000n;

class Clock {
	looks = 0;
	machine: FlatMachine;
	readonly #code: bigint;

	constructor(width: 32 | 64, engine: EngineKind, isReal = true) {
		this.machine = new FlatMachine({
			...{ width, engine, hotArrivals: 64 },
			bus: {
				timeIsReal: isReal,
				timeStampCounter: () =>
					isReal ? ++this.looks * STEP : this.machine.cpu.retiredCount(),
			},
		});
		this.#code = width === 64 ? 0xffff_ffff_8140_0000n : 0x40_0000n;
		this.machine.map(this.#code, CODE);
		this.machine.cpu.memory.write(CODE, bytes(SUM));
	}

	/** The sums of the halves of so many looks, by the guest. */
	sums(turns: number): (bigint | undefined)[] {
		const { machine } = this;
		machine.start(this.#code, this.#code + 0x800n);
		machine.setRegister(RCX, BigInt(turns));
		machine.setRegister(RBX, 0n);
		machine.setRegister(RSI, 0n);
		while (machine.run(1000) === "budget");
		return [RBX, RSI].map((register) =>
			BigInt.asUintN(32, machine.register(register)),
		);
	}
}

/** Likewise, by what the counter is at each look from `first` on. */
function expectedSums(first: number, turns: number): bigint[] {
	let [low, high] = [0n, 0n];
	for (let look = first; look < first + turns; look++) {
		const value = BigInt(look) * BigInt(STEP) + OFFSET;
		low += BigInt.asUintN(32, value);
		high += value >> 32n;
	}
	return [low, high].map((sum) => BigInt.asUintN(32, sum));
}

describe.each([32, 64] as const)("reading the time, %i-bit", (width) => {
	it.each(["cold", "auto", "hot", "compare"] as const)(
		"is seen once each time: %s",
		(engine) => {
			const clock = new Clock(width, engine);
			clock.machine.cpu.state.setBig(TSC_OFFSET, OFFSET);
			expect(clock.sums(OFTEN)).toEqual(expectedSums(1, OFTEN));
			expect(clock.looks).toBe(OFTEN);
		},
	);

	it("does not leave hot code where time passes by itself", () => {
		const clock = new Clock(width, "auto");
		clock.sums(OFTEN);
		const { hotRetired, regionColdExits } = clock.machine.cpu.statistics;
		expect(hotRetired).toBeGreaterThan(4 * OFTEN);
		expect(regionColdExits).toBeLessThan(OFTEN / 50);
	});

	it.each(["auto", "hot", "compare"] as const)(
		"is exact to the instruction where time is instructions: %s",
		(engine) => {
			const sums = new Clock(width, engine, false).sums(OFTEN);
			expect(sums).toEqual(new Clock(width, "cold", false).sums(OFTEN));
		},
	);

	it("is kept from user code by CR4.TSD, however hot it is", () => {
		const clock = new Clock(width, "auto");
		clock.sums(OFTEN);
		const { machine } = clock;
		const { cpu } = machine;
		const keep = (isKept: boolean) => {
			const others = cpu.state.getBig(CR4) & ~CR4_TSD;
			cpu.state.setBig(CR4, isKept ? others | CR4_TSD : others);
			cpu.controlChanged();
		};
		keep(true);
		clock.sums(10);
		expect(machine.fault).toBeUndefined();
		const { looks } = clock;
		cpu.state.set32(CPL, 3);
		clock.sums(10);
		expect(machine.fault).toMatchObject({ vector: GP, errorCode: 0 });
		expect(clock.looks).toBe(looks);
		cpu.state.set32(CPL, 0);
		keep(false);
		clock.sums(10);
		expect(clock.looks).toBe(looks + 10);
	});
});
