/**
 * What executes a CPU's code, as its `EngineKind` asks: the cold engine, beside
 * it the hot one, and for tests the comparison of both.
 *
 * Relies on both engines; `cpu.ts` relies on it.
 *
 * @journey S:103 Engines, put together
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import { borderImports, type Operate } from "./border.ts";
import type { CpuOptions, CpuStatistics, EngineKind } from "./cpu-options.ts";
import type { Instruction } from "./decode/instruction.ts";
import type { CodeCache } from "./engine/code-cache.ts";
import {
	ColdEngine,
	type EngineImports,
	engineTraits,
} from "./engine/cold-engine.ts";
import { HOT_ARRIVALS } from "./engine/engine-modules.ts";
import { HotEngine } from "./engine/hot-engine.ts";
import { inlineForms } from "./engine/inline-forms.ts";
import { preparedCode } from "./engine/prepared-code.ts";
import { RegionComparer } from "./engine/region-comparer.ts";
import type { Status } from "./engine/status.ts";
import { usualForms } from "./engine/usual-forms.ts";
import { WriteJournal } from "./engine/write-journal.ts";
import { KERNELS } from "./float/index.ts";
import type { InstructionFetch } from "./instruction-fetch.ts";
import { linear48 } from "./mmu/linear-address.ts";
import type { Mmu } from "./mmu/mmu.ts";
import type { Mode } from "./mode.ts";
import { semanticsOf } from "./semantics/index.ts";
import {
	HOT_RETIRED,
	MODE,
	REGION_COLD_EXITS,
	REGION_ENTRIES,
} from "./state.ts";
import type { StateView } from "./state-view.ts";

/** The parts of a CPU that its engines work on. */
export interface EngineParts {
	/** The whole memory, and guest RAM in it. */
	readonly memory: WebAssembly.Memory;
	readonly ram: GuestMemory;
	readonly state: StateView;
	readonly mmu: Mmu;
	readonly code: CodeCache;
	readonly fetch: InstructionFetch;
	/** Opcode-table features that decode. */
	readonly features: ReadonlySet<string>;
	readonly operate: Operate;
	/** Instructions retired so far. */
	readonly retired: () => number;
}

export class Engines {
	readonly #state: StateView;
	readonly #cold: ColdEngine;
	readonly #hot: HotEngine | undefined;
	readonly #comparer: RegionComparer | undefined;

	constructor(parts: EngineParts, options: CpuOptions) {
		const { memory, ram, state, code, fetch, features } = parts;
		const { engine = "cold", hotArrivals, regionService } = options;
		this.#state = state;
		const journal =
			engine === "compare" ? new WriteJournal(memory.buffer) : undefined;
		const imports = this.#imports(parts, engine, hotArrivals, journal);
		this.#cold = new ColdEngine(
			...[memory, imports, { semanticsOf, kernels: KERNELS }],
			{
				inline: () => inlineForms(features),
				usual: () => usualForms(features),
				prepared: preparedCode(engineTraits(imports), features),
			},
		);
		this.#comparer = journal && this.#makeComparer(parts, journal);
		if (engine !== "cold") {
			this.#hot = new HotEngine({
				...{ cold: this.#cold, code, ram, features },
				fetch: (linear) => fetch.tryPhysical(linear),
				// Journaled regions are made here.
				service: journal ? undefined : regionService,
				// Whoever wants code hot early wants it soon.
				batchTurns: engine === "hot" || hotArrivals ? 1 : undefined,
				entrance: this.#comparer?.entrance,
			});
		}
		code.makeRoomForForms = (count) => this.#cold.makeRoom(count);
	}

	/** Number of the handler for an instruction's form. */
	handlerFor(instruction: Instruction, mode: Mode): number {
		return this.#cold.handlerFor(instruction, mode);
	}

	/** A stay in generated code. */
	run(): Status {
		return this.#cold.run();
	}

	/** Between stays: what has become hot is compiled. */
	takeTurn(): void {
		this.#hot?.takeTurn();
	}

	/** As if a linear address had been arrived at often. */
	warmUp(rip: number): void {
		this.#hot?.arrived(rip, this.#state.get32(MODE), 0, 0);
	}

	get statistics() {
		const counted = (field: typeof HOT_RETIRED) =>
			Number(this.#state.getBig(field));
		return {
			forms: this.#cold.formCount,
			formsPrepared: this.#cold.preparedCount,
			hotRetired: counted(HOT_RETIRED),
			regionEntries: counted(REGION_ENTRIES),
			regionColdExits: counted(REGION_COLD_EXITS),
			regions: 0,
			regionsLive: 0,
			regionEvictions: 0,
			regionWasmLiveBytes: 0,
			...(this.#comparer && { regionsCompared: this.#comparer.compared }),
			...this.#hot?.statistics,
		} satisfies Partial<CpuStatistics>;
	}

	#makeComparer(
		{ mmu, state, code, retired }: EngineParts,
		journal: WriteJournal,
	): RegionComparer {
		mmu.onStore = (host, bytes) => journal.note(host, bytes);
		return new RegionComparer({
			...{ state, journal, retired },
			runCold: () => this.#cold.run(),
			forgotten: () => code.resets,
		});
	}

	#imports(
		{ state, mmu, fetch, operate, ram }: EngineParts,
		engine: EngineKind,
		hotArrivals: number = HOT_ARRIVALS[engine],
		journal?: WriteJournal,
	): EngineImports {
		const becameHot = (
			low: number,
			high: number,
			exit: number,
			pageLow: number,
			pageHigh: number,
		) => {
			if (this.#comparer?.isRepeating) return;
			const page = linear48(pageLow, pageHigh);
			const rip = linear48(low, high);
			this.#hot?.arrived(rip, state.get32(MODE), exit, page);
			if (engine === "hot") this.#hot?.compileWanted();
		};
		return {
			...borderImports(state, mmu, fetch, operate),
			hot: engine === "cold" ? undefined : becameHot,
			misplaced: (slot) => this.#hot?.misplaced(slot),
			hotArrivals,
			ramBytes: ram.sizeBytes,
			journal: journal && ((host, bytes) => journal.note(host, bytes)),
		};
	}
}
