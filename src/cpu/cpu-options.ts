/**
 * What a CPU is asked for, and what it says of itself: options, engines by name,
 * reasons for coming back, counters.
 *
 * @journey S:101 What to ask of it
 */

import type { CpuBus } from "./bus.ts";
import type { RegionService } from "./engine/compile-regions.ts";
import type { CpuIdentityOptions } from "./system/cpuid.ts";

/** Why `run` came back. */
export type ExitReason =
	/** The budget is used up, or exceptions alone keep the processor busy. */
	| "budget"
	/** HLT, and no interrupt to wake it: time may pass. */
	| "halt"
	/** An exception during the delivery of a double fault: the CPU stops. */
	| "triple-fault"
	/** `requestExit` was called. */
	| "requested";

/**
 * "cold" interprets; "auto" also compiles what is hot; "hot" compiles every
 * branch target at once, and "compare" does all that compiled code does once
 * more with the interpreter, and compares: both are for tests.
 */
export type EngineKind = (typeof ENGINE_KINDS)[number];
export const ENGINE_KINDS = ["auto", "cold", "hot", "compare"] as const;

export interface CpuOptions {
	readonly memoryBytes: number;
	readonly bus: CpuBus;
	readonly identity?: CpuIdentityOptions;
	/** Default "cold". */
	readonly engine?: EngineKind;
	/** Arrivals by branch that make code hot, a power of two; default: what pays. */
	readonly hotArrivals?: number;
	/** Opcode-table features that decode; default: what CPUID reports, and hints. */
	readonly decodedFeatures?: ReadonlySet<string>;
	/** Compiles regions in another thread; default: beside the guest. */
	readonly regionService?: RegionService;
}

/** Counters for `--stats`. */
export interface CpuStatistics {
	readonly tlbMisses: number;
	/** Misses that generated code filled by itself; not among those above. */
	readonly tlbFills: number;
	readonly codePagesDecoded: number;
	readonly instructionsDecoded: number;
	readonly codeInvalidations: number;
	readonly arenaResets: number;
	/** Kinds of instructions that the cold engine tells apart, and those whose code was prepared. */
	readonly forms: number;
	readonly formsPrepared: number;
	/** Instructions retired in regions. */
	readonly hotRetired: number;
	/** Times regions were entered, and left before an instruction for the cold engine. */
	readonly regionEntries: number;
	readonly regionColdExits: number;
	/** Regions compiled, and those in use now. */
	readonly regions: number;
	readonly regionsLive: number;
	/** Regions that went because nobody was seen in them any more. */
	readonly regionEvictions: number;
	/** Of the modules that regions are still entered in. */
	readonly regionWasmLiveBytes: number;
	/** Stays in regions that `--engine compare` has compared. */
	readonly regionsCompared?: number;
	readonly regionModules?: number;
	readonly regionWasmBytes?: number;
	readonly regionInstructions?: number;
}
