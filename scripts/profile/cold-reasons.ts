/**
 * Why code is never compiled: the instruction that a CPU is at, put to the
 * hot engine's own test of what a region can contain.
 *
 * @journey M:815 What regions cannot contain
 */

import type { Cpu } from "../../src/cpu/cpu.ts";
import { decode } from "../../src/cpu/decode/decoder.ts";
import { disassemble } from "../../src/cpu/decode/disassembler.ts";
import { decodedFeatures } from "../../src/cpu/decoded-features.ts";
import {
	declareInstructionImports,
	emitFormWith,
} from "../../src/cpu/engine/instruction-imports.ts";
import { RegionGenerator } from "../../src/cpu/engine/region-generator.ts";
import { KERNELS } from "../../src/cpu/float/index.ts";
import { MODE_FLAT, modeCodeSize, modeStackSize } from "../../src/cpu/mode.ts";
import { semanticsOf } from "../../src/cpu/semantics/index.ts";
import { MODE, RIP } from "../../src/cpu/state.ts";

const PAGE = 4096;

export class ColdReasons {
	readonly #cpu: Cpu;
	readonly #features: ReadonlySet<string>;
	readonly #regions = new RegionGenerator({
		emitForm: emitFormWith(semanticsOf),
		declareImports: (module) => declareInstructionImports(module, KERNELS),
	});

	constructor(cpu: Cpu) {
		this.#cpu = cpu;
		this.#features = decodedFeatures(cpu.cpuid);
	}

	/** Of the instruction that comes next; undefined = it can be compiled, or is not there. */
	here(): string | undefined {
		const { state, memory, mmu } = this.#cpu;
		const mode = state.get32(MODE);
		const codeSize = modeCodeSize(mode);
		const isFlat = (mode & MODE_FLAT) !== 0 && modeStackSize(mode) === 32;
		if (codeSize === 16) return "16-bit code";
		if (codeSize === 32 && !isFlat) return "segments that are not flat";
		const physical = mmu.tryFetchAddress(Number(state.getBig(RIP)));
		if (physical < 0 || physical >= memory.sizeBytes) return undefined;
		const room = PAGE - (physical % PAGE);
		const decodeMode = { codeSize, features: this.#features } as const;
		const instruction = decode(memory.bytes, physical, room, decodeMode);
		if (typeof instruction === "string") return undefined;
		if (this.#regions.accepts(instruction, mode)) return undefined;
		return disassemble(instruction).split(" ")[0];
	}
}
