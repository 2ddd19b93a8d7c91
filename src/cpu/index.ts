/**
 * The CPU as the rest of the project sees it: `Cpu`, the bus it stands on, and
 * its state by name. Everything else in this folder is its own business.
 *
 * @journey E:100 The CPU's only face
 */

export type { AccessSize, CpuBus } from "./bus.ts";
export { Cpu } from "./cpu.ts";
export {
	type CpuOptions,
	type CpuStatistics,
	ENGINE_KINDS,
	type EngineKind,
	type ExitReason,
} from "./cpu-options.ts";
export {
	compileRegions,
	type RegionRequest,
	type RegionResponse,
	type RegionService,
} from "./engine/compile-regions.ts";
export { asFault, GuestFault, raise } from "./exceptions.ts";
export { readEflags, writeEflags } from "./flags.ts";
export * as fields from "./state.ts";
export { StateView } from "./state-view.ts";
export type { CpuidLeaf } from "./system/cpuid.ts";
export {
	setNullSegment,
	setSegment,
	setSegmentFromDescriptor,
} from "./system/segments.ts";
export type { Supervisor } from "./system/supervisor.ts";
