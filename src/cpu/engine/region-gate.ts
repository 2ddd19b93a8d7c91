/**
 * The way from the cold loop to a region by way of TypeScript, and on: regions
 * take a 64-bit number, of which TypeScript would have to make an object.
 *
 * @journey E:752 A gate before regions
 */

import {
	call,
	callIndirect,
	i64ConstParts,
	localGet,
	op,
} from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { FunctionRef, FunctionType } from "../../wasm/references.ts";

const I32 = "i32" as const;
const I64 = "i64" as const;

/** What a region is called with: its record, and the halves of its page's RIP. */
export type RegionCall = (record: number, low: number, high: number) => number;

export interface RegionGate {
	/** In the engine's table in place of any region: calls `enter`. */
	readonly gate: () => number;
	/** The regions, by the same slots. */
	readonly regions: WebAssembly.Table;
	/** Calls the region in a slot of `regions`. */
	run(slot: number, ...args: Parameters<RegionCall>): number;
}

/** `enter` decides what a call of the gate does. */
export function makeRegionGate(slots: number, enter: RegionCall): RegionGate {
	const module = new ModuleBuilder();
	const ref = module.importFunction("gate", "enter", [I32, I32, I32], [I32]);
	module.exportTable("regions", module.defineTable(slots, slots));
	const gate = module.declareFunction([I32, I64], [I32]);
	module.defineFunction(gate, gateBody(ref));
	module.exportFunction("gate", gate);
	const run = module.declareFunction([I32, I32, I32, I32], [I32]);
	module.defineFunction(run, runBody(gate.type));
	module.exportFunction("run", run);
	const { exports } = new WebAssembly.Instance(
		new WebAssembly.Module(module.toBytes()),
		{ gate: { enter } },
	);
	return exports as unknown as RegionGate;
}

/** (record, RIP of the page's start) → status, by way of TypeScript. */
function gateBody(enter: FunctionRef): FunctionBuilder {
	const code = new FunctionBuilder([I32, I64], [I32]);
	const page = localGet(code.param(1));
	const high = op("i64.shr_u", page, i64ConstParts(32, 0));
	const halves = [page, high].map((half) => op("i32.wrap_i64", half));
	code.return(call(enter, localGet(code.param(0)), ...halves));
	return code;
}

/** (slot, record, low, high) → status of the region. */
function runBody(region: FunctionType): FunctionBuilder {
	const code = new FunctionBuilder([I32, I32, I32, I32], [I32]);
	const param = (index: number) => localGet(code.param(index));
	const high = op("i64.extend_i32_u", param(3));
	const page = op(
		"i64.or",
		op("i64.extend_i32_u", param(2)),
		op("i64.shl", high, i64ConstParts(32, 0)),
	);
	code.return(callIndirect(region, param(0), param(1), page));
	return code;
}
