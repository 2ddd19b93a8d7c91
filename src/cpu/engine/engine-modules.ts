/**
 * The cold engine's modules as bytes: the short ways, the loop, and handlers for
 * forms. They depend on what the CPU is to do and not on any machine, so they
 * can be generated when they are needed or long before (`prepared-code.ts`).
 *
 * @journey E:479 What the cold engine is made of
 */

import { call, globalGet, i32Const } from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { Kernel } from "../float/kernel.ts";
import type { I32, I64, Semantics, Value } from "../semantics/emitter.ts";
import { RIP } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { ColdEmitter, type Continuation } from "./cold-emitter.ts";
import { ColdLoop, type EmitForm } from "./cold-loop.ts";
import { defineDirectOperations } from "./direct-operations.ts";
import type { ColdForm } from "./form.ts";
import type { InstructionContext } from "./instruction-emitter.ts";
import {
	declareInstructionImports,
	emitFormWith,
} from "./instruction-imports.ts";
import { admitParams, admitRegion } from "./region-cache.ts";
import {
	REGION_LOOP_PARAMS,
	REGION_LOOP_RESULTS,
	regionLoop,
} from "./region-loop.ts";
import { StateEmitter } from "./state-emitter.ts";
import {
	STATUS_JUMP,
	STATUS_NEXT,
	STATUS_REPEAT,
	STATUS_RETRY,
	STATUS_STOP,
} from "./status.ts";
import { defineTlbFill } from "./tlb-fill.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Where meanings come from. */
export interface SemanticsSource {
	semanticsOf(mnemonic: string): Semantics | undefined;
	readonly kernels: ReadonlyMap<string, Kernel>;
}

/** What the code is to do besides executing instructions. */
export interface EngineTraits {
	/** Tells when a branch target has become hot. */
	readonly isHot: boolean;
	/** Arrivals by branch that make code hot; a power of two. */
	readonly hotArrivals: number;
	/** Tells of every store before it is made. */
	readonly isJournaled: boolean;
}

/** Arrivals by branch that make code hot. Powers of two. */
export const HOT_ARRIVALS = {
	cold: 0,
	auto: 16_384,
	hot: 1,
	compare: 256,
} as const;

/** All that the modules depend on, besides the sources. */
export function traitsText(
	{ isHot, hotArrivals, isJournaled }: EngineTraits,
	features: ReadonlySet<string>,
): string {
	const others = [isHot, hotArrivals, isJournaled];
	return [...others, ...[...features].sort()].join(" ");
}

/** Of a handler: its record, and RIP of the page's start. */
const HANDLER_PARAMS = ["i32", "i64"] as const;
const STATUS = ["i32"] as const;
/** Handler numbers, and so table slots, that may be given out. */
export const MOST_HANDLERS = 0x4000;
/** Table slots behind them, for regions. */
export const FIRST_REGION_SLOT = MOST_HANDLERS;
export const MOST_REGIONS = 0x4000;
/** Handlers and regions. */
export const TABLE_SLOTS = MOST_HANDLERS + MOST_REGIONS;

export class EngineModules {
	readonly #source: SemanticsSource;
	readonly #traits: EngineTraits;
	/** Generates the semantics of a form. */
	readonly emitForm: EmitForm;

	constructor(source: SemanticsSource, traits: EngineTraits) {
		this.#source = source;
		this.#traits = traits;
		this.emitForm = emitFormWith((name) => source.semanticsOf(name));
	}

	/** The imports every generated module has, and kernels when they are called. */
	declareImports(module: ModuleBuilder): InstructionContext {
		const { isJournaled } = this.#traits;
		return declareInstructionImports(module, this.#source.kernels, isJournaled);
	}

	/** What generated code asks before it asks TypeScript; exported under the names of what it stands in for. */
	shortWays(): Bytes {
		const module = new ModuleBuilder();
		const context = this.declareImports(module);
		const { translate } = context;
		const slow = { translate, ...fetchImports(module) };
		const ram = module.importGlobal("cpu", "ramBytes", "i32", false);
		const ramBytes = globalGet(ram) as Value as I32;
		const fills = defineTlbFill(module, context, ramBytes, slow);
		const operations = defineDirectOperations(
			...[module, context, fills.fill, context.system],
		);
		for (const ref of [...Object.values(fills), ...operations]) {
			module.exportFunction(ref.name, ref);
		}
		return module.toBytes();
	}

	/** Exports the loop as `run`, the maker of handlers as `make`, and the table `handlers`. */
	loop(inline: readonly ColdForm[]): Bytes {
		const module = new ModuleBuilder();
		const handlerType = module.type(HANDLER_PARAMS, STATUS);
		const base = this.declareImports(module);
		const ask = (name: string, params: number, results: number) =>
			module.importFunction("cpu", name, words(params), words(results));
		const make = ask("make", 0, 0);
		const hot = ask("hot", 5, 0);
		const imports = {
			resolve: ask("resolve", 0, 1),
			deliver: ask("deliver", 0, 1),
			fill: ask("fill", 2, 1),
			fillWide: ask("fillWide", 3, 1),
			...fetchImports(module),
			misplaced: ask("misplaced", 1, 0),
		};
		const table = module.defineTable(TABLE_SLOTS, TABLE_SLOTS);
		const run = module.declareFunction([], STATUS, "run");
		const loopRef = () =>
			module.declareFunction(REGION_LOOP_PARAMS, REGION_LOOP_RESULTS);
		const admitRef = (width: 32 | 64) =>
			module.declareFunction(admitParams(width), STATUS);
		const { isHot, hotArrivals } = this.#traits;
		const context = {
			...{ ...base, ...imports, handlerType, hotArrivals },
			hot: isHot ? hot : undefined,
			admit: { 32: admitRef(32), 64: admitRef(64) },
			regionLoop: { 32: loopRef(), 64: loopRef() },
		};
		for (const width of [32, 64] as const) {
			const { admit, regionLoop: loops } = context;
			module.defineFunction(admit[width], admitRegion(context, width));
			module.defineFunction(loops[width], regionLoop(context, width));
		}
		const loopCode = new FunctionBuilder([], STATUS);
		const loop = new ColdLoop(loopCode, context);
		loop.emit(inline, (e, form) => this.emitForm(e, form));
		module.defineFunction(run, loopCode);
		const maker = module.declareFunction(HANDLER_PARAMS, STATUS, "make");
		const makerCode = new FunctionBuilder(HANDLER_PARAMS, STATUS);
		makerCode.evaluate(call(make));
		makerCode.return(i32Const(STATUS_RETRY));
		module.defineFunction(maker, makerCode);
		module.exportFunction("run", run);
		module.exportFunction("make", maker);
		module.exportTable("handlers", table);
		return module.toBytes();
	}

	/** Puts an out-of-line handler for each form into the table, at its number. */
	handlers(forms: readonly ColdForm[]): Bytes {
		const module = new ModuleBuilder();
		const context = this.declareImports(module);
		module.importTable("cpu", "handlers", { min: TABLE_SLOTS });
		// Bodies first: kernels are imported by what calls them.
		const bodies = forms.map((form) => this.#handlerBody(form, context));
		const refs = bodies.map((body) => {
			const ref = module.declareFunction(HANDLER_PARAMS, STATUS);
			module.defineFunction(ref, body);
			return ref;
		});
		// Numbers are given out in order, and so are these.
		module.element(forms[0]?.handler ?? 0, refs);
		return module.toBytes();
	}

	#handlerBody(form: ColdForm, context: InstructionContext): FunctionBuilder {
		const code = new FunctionBuilder(HANDLER_PARAMS, STATUS);
		const e = new ColdEmitter(code, context, form, outOfLine(code, context));
		this.emitForm(e, form);
		code.return(i32Const(STATUS_NEXT));
		return code;
	}
}

function words(count: number): "i32"[] {
	return new Array(count).fill("i32");
}

/** Questions about where code is mapped, for 32-bit and for 64-bit addresses. */
function fetchImports(module: ModuleBuilder) {
	const ask = (name: string, params: number) =>
		module.importFunction("cpu", name, words(params), STATUS);
	return {
		fetchPage: ask("fetchPage", 2),
		fetchWidePage: ask("fetchWidePage", 3),
	};
}

/** How an out-of-line handler goes on: by its result. */
function outOfLine(
	code: FunctionBuilder,
	context: InstructionContext,
): Continuation {
	const state = new StateEmitter(code, context);
	const end = (status: number) => code.return(i32Const(status));
	const jump = (target: I64) => {
		state.writeState(RIP, target);
		end(STATUS_JUMP);
	};
	return {
		record: code.param(0) as Continuation["record"],
		ripPage: code.param(1) as Continuation["ripPage"],
		bail: undefined,
		jump,
		jumpRelative: jump,
		repeat: () => end(STATUS_REPEAT),
		stop: () => end(STATUS_STOP),
		leave: (status) => code.return(expr(status)),
	};
}
