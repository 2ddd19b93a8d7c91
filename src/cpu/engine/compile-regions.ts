/**
 * Compiling regions in another thread, so that the guest does not wait for it:
 * what goes there and comes back, and what happens there. Instructions travel
 * as their bytes.
 *
 * The CPU knows a `RegionService`; the embedder has threads and makes one of
 * `compileRegions`. Without a service regions are compiled beside the guest.
 *
 * @journey E:704 Somebody else's time
 */

import type { ModuleBuilder } from "../../wasm/module-builder.ts";
import { decode } from "../decode/decoder.ts";
import type { Instruction } from "../decode/instruction.ts";
import { KERNELS } from "../float/index.ts";
import { type Mode, modeCodeSize } from "../mode.ts";
import { semanticsOf } from "../semantics/index.ts";
import {
	declareInstructionImports,
	emitFormWith,
} from "./instruction-imports.ts";
import type { BlockEnd, RegionPage, RegionShape } from "./region.ts";
import { RegionGenerator, type RegionOrder } from "./region-generator.ts";

/** An instruction on its way. */
interface PackedInstruction {
	readonly offset: number;
	readonly record: number;
	readonly bytes: Uint8Array;
}

interface PackedRegion {
	readonly mode: Mode;
	readonly slot: number;
	readonly pages: readonly RegionPage[];
	readonly instructions: number;
	readonly blocks: readonly {
		readonly offset: number;
		readonly end: BlockEnd;
		readonly targets: readonly number[];
		readonly instructions: readonly PackedInstruction[];
	}[];
}

/** Can be copied to another thread. */
export interface RegionRequest {
	readonly id: number;
	readonly features: readonly string[];
	readonly regions: readonly PackedRegion[];
}

/** Can be copied back. */
export interface RegionResponse {
	readonly id: number;
	readonly module: WebAssembly.Module;
	readonly wasmBytes: number;
	readonly exits: readonly (readonly number[])[];
}

/** What the embedder gives the CPU. */
export interface RegionService {
	/** Sends a request off; answers come in any order, or never. */
	send(request: RegionRequest): void;
	/** Hands out answers that are here; called before the guest runs on. */
	receive(): RegionResponse | undefined;
}

export function packRequest(
	id: number,
	features: ReadonlySet<string>,
	orders: readonly RegionOrder[],
	bytesOf: (shape: RegionShape, offset: number, length: number) => Uint8Array,
): RegionRequest {
	const regions = orders.map(({ mode, slot, shape }) => ({
		...{ mode, slot, pages: shape.pages, instructions: shape.instructions },
		blocks: shape.blocks.map(({ offset, end, targets, instructions }) => ({
			...{ offset, end, targets },
			instructions: instructions.map(({ offset, record, instruction }) => {
				const bytes = bytesOf(shape, offset, instruction.lengthBytes);
				return { offset, record, bytes };
			}),
		})),
	}));
	return { id, features: [...features], regions };
}

let generator: RegionGenerator | undefined;

/** The other thread's part. */
export function compileRegions(request: RegionRequest): RegionResponse {
	generator ??= new RegionGenerator({
		emitForm: emitFormWith(semanticsOf),
		declareImports: (module: ModuleBuilder) =>
			declareInstructionImports(module, KERNELS),
	});
	const features = new Set(request.features);
	const orders = request.regions.map((region) => unpack(region, features));
	const { bytes, exits } = generator.generate(orders);
	const module = new WebAssembly.Module(bytes);
	return { id: request.id, module, wasmBytes: bytes.length, exits };
}

function unpack(
	{ mode, slot, pages, instructions, blocks }: PackedRegion,
	features: ReadonlySet<string>,
): RegionOrder {
	const decodeMode = { codeSize: modeCodeSize(mode), features };
	const unpacked = blocks.map((block) => ({
		...block,
		instructions: block.instructions.map(({ offset, record, bytes }) => {
			const instruction = decode(bytes, 0, bytes.length, decodeMode);
			return { offset, record, instruction: instruction as Instruction };
		}),
	}));
	return { mode, slot, shape: { blocks: unpacked, pages, instructions } };
}
