/**
 * The cold engine: gives forms their handler numbers, generates the loop, and
 * makes an out-of-line handler the first time its form is executed.
 *
 * Thousands of forms exist and a guest uses hundreds, so nothing is generated
 * before it is needed; a table slot holds the maker until then.
 *
 * @journey E:480 Handlers on demand
 */

import { call, i32Const } from "../../wasm/expression.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { Instruction } from "../decode/instruction.ts";
import type { Kernel } from "../float/kernel.ts";
import type { Mode } from "../mode.ts";
import type { I64, Semantics } from "../semantics/emitter.ts";
import { RIP } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { ColdEmitter, type Continuation } from "./cold-emitter.ts";
import { ColdLoop, type EmitForm } from "./cold-loop.ts";
import { defineDirectOperations } from "./direct-operations.ts";
import { addressingOf, type ColdForm, formKey } from "./form.ts";
import type { SampleForm } from "./form-samples.ts";
import type { InstructionContext } from "./instruction-emitter.ts";
import {
	declareInstructionImports,
	emitFormWith,
} from "./instruction-imports.ts";
import { KernelModule } from "./kernel-module.ts";
import { PSEUDO_HANDLERS } from "./record.ts";
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

/** What generated code calls in TypeScript. */
export interface EngineImports {
	translate(low: number, high: number, bytes: number, intent: number): number;
	checkSegment(
		segment: number,
		offset: number,
		bytes: number,
		intent: number,
	): number;
	commit(): void;
	system(operation: number, a: number, b: number, c: number): number;
	resolve(): number;
	/** A branch target has become hot; undefined = the cold engine alone. See `LoopContext`. */
	readonly hot:
		| ((
				low: number,
				high: number,
				exit: number,
				pageLow: number,
				pageHigh: number,
		  ) => void)
		| undefined;
	/** The region in a table slot was come to where its pages are not all in place. */
	misplaced(slot: number): void;
	/** Arrivals by branch that make code hot; a power of two. */
	readonly hotArrivals: number;
	/** Whether a linear page is mapped to a host page for fetching; enters it in the TLB. */
	fetchPage(linear: number, host: number): number;
	/** The same for 64-bit code, by the halves of the linear address. */
	fetchWidePage(low: number, high: number, host: number): number;
	/** Size of guest RAM. */
	readonly ramBytes: number;
	/** Told of every store that generated code makes, before it does; undefined = nobody is. */
	readonly journal?: ((host: number, bytes: number) => void) | undefined;
}

/** Where meanings come from. */
export interface SemanticsSource {
	semanticsOf(mnemonic: string): Semantics | undefined;
	readonly kernels: ReadonlyMap<string, Kernel>;
}

/** What `tlb-fill.ts` and `direct-operations.ts` generate, as imports of everything else. */
type ShortWays = Pick<
	EngineImports,
	"translate" | "fetchPage" | "fetchWidePage" | "system"
> & {
	fill(): number;
	readAcross(): number;
	readAcrossWide(): number;
	fillWide(): number;
};

const I32 = "i32" as const;
const I64T = "i64" as const;
/** Handler numbers, and so table slots, that may be given out. */
const MOST_HANDLERS = 0x4000;
/** Table slots behind them, for regions. */
export const FIRST_REGION_SLOT = MOST_HANDLERS;
export const MOST_REGIONS = 0x4000;
/** A test program has had all it needs by then; a system has hardly begun. */
const MAKINGS_OF_A_SYSTEM = 12;
/** Handlers and regions. */
export const TABLE_SLOTS = MOST_HANDLERS + MOST_REGIONS;

export class ColdEngine {
	readonly #memory: WebAssembly.Memory;
	readonly #imports: EngineImports & ShortWays;
	readonly #source: SemanticsSource;
	readonly #handlers = new Map<number, ColdForm>();
	readonly #byNumber: ColdForm[] = [];
	/** How many of them, from the first, have an out-of-line handler. */
	#madeCount = 0;
	readonly #inlineCount: number;
	/** How often handlers have been made. */
	#makings = 0;
	readonly #usual: () => readonly SampleForm[];
	readonly #mostHandlers: number;
	readonly #maker: () => number;
	readonly #kernels: KernelModule;
	readonly #isJournaled: boolean;
	readonly table: WebAssembly.Table;
	readonly #run: () => number;

	constructor(
		memory: WebAssembly.Memory,
		imports: EngineImports,
		source: SemanticsSource,
		inline: readonly SampleForm[],
		usual: () => readonly SampleForm[],
		mostHandlers = MOST_HANDLERS,
	) {
		this.#usual = usual;
		this.#mostHandlers = mostHandlers;
		this.#memory = memory;
		this.#source = source;
		this.emitForm = emitFormWith((name) => source.semanticsOf(name));
		this.#kernels = new KernelModule(memory, source.kernels);
		this.#isJournaled = imports.journal !== undefined;
		// From here on, generated code asks the short way first.
		this.#imports = { ...imports, ...this.#compileShortWays(imports) };
		for (const { instruction, mode } of inline) {
			this.handlerFor(instruction, mode);
		}
		this.#inlineCount = this.#byNumber.length;
		const exports = this.#instantiateLoop(this.#byNumber.slice());
		this.#run = exports.run as () => number;
		this.table = exports.handlers as WebAssembly.Table;
		this.#maker = exports.make as () => number;
		for (let i = 0; i < MOST_HANDLERS; i++) this.table.set(i, this.#maker);
	}

	/** Runs from RIP in the state until the budget ends or something happens; see `status.ts`. */
	run(): number {
		return this.#run();
	}

	/** Forms known so far, for statistics and profiles. */
	get forms(): readonly ColdForm[] {
		return this.#byNumber;
	}

	/** The handler number of an instruction's form. */
	handlerFor(instruction: Instruction, mode: Mode): number {
		const key = formKey(instruction, mode);
		const known = this.#handlers.get(key);
		if (known !== undefined) return known.handler;
		const handler = PSEUDO_HANDLERS + this.#byNumber.length;
		if (handler >= this.#mostHandlers) throw new Error("too many forms");
		const addressing = addressingOf(instruction, mode);
		const form = { handler, example: instruction, mode, addressing };
		this.#handlers.set(key, form);
		this.#byNumber.push(form);
		return handler;
	}

	/**
	 * Sees to it that `count` more forms can have numbers, by forgetting all but
	 * the inline ones when it must: no sane guest has that many, a hostile one
	 * can. True = it did, and every record names a handler that is no more.
	 */
	makeRoom(count: number): boolean {
		const used = PSEUDO_HANDLERS + this.#byNumber.length;
		if (used + count <= this.#mostHandlers) return false;
		for (const { handler, example, mode } of this.#byNumber.splice(
			this.#inlineCount,
		)) {
			this.#handlers.delete(formKey(example, mode));
			this.table.set(handler, this.#maker);
		}
		this.#madeCount = Math.min(this.#madeCount, this.#inlineCount);
		return true;
	}

	#compileShortWays(imports: EngineImports): ShortWays {
		const module = new ModuleBuilder();
		const context = this.declareImports(module);
		const { translate } = context;
		const slow = { translate, ...fetchImports(module) };
		const fills = defineTlbFill(module, context, imports.ramBytes, slow);
		const system = defineDirectOperations(
			...[module, context, fills.fill, context.system],
		);
		for (const ref of [...Object.values(fills), system]) {
			module.exportFunction(ref.name, ref);
		}
		const { exports } = new WebAssembly.Instance(compile(module), {
			cpu: { memory: this.#memory, ...imports },
		} as unknown as WebAssembly.Imports);
		return exports as unknown as ShortWays;
	}

	/** Generates every out-of-line handler that has a number and no code yet. */
	#make(): void {
		if (++this.#makings === MAKINGS_OF_A_SYSTEM) this.#expectUsual();
		const missing = this.#byNumber.slice(this.#madeCount);
		const exports = this.#compile(missing);
		for (const { handler } of missing) {
			this.table.set(handler, exports[handler] as () => number);
		}
		this.#madeCount = this.#byNumber.length;
	}

	/** Gives numbers to the forms that it will need, if there is room. */
	#expectUsual(): void {
		const forms = this.#usual();
		const used = PSEUDO_HANDLERS + this.#byNumber.length;
		if (used + forms.length > this.#mostHandlers) return;
		for (const { instruction, mode } of forms) {
			this.handlerFor(instruction, mode);
		}
	}

	/** A module with one function for each form, by handler number. */
	#compile(forms: readonly ColdForm[]): WebAssembly.Exports {
		const module = new ModuleBuilder();
		const context = this.declareImports(module);
		// Bodies first: kernels are imported by what calls them.
		const bodies = forms.map((form) => this.#handlerBody(form, context));
		for (const [i, { handler }] of forms.entries()) {
			const ref = module.declareFunction([I32, I64T], [I32]);
			module.defineFunction(ref, bodies[i] as FunctionBuilder);
			module.exportFunction(String(handler), ref);
		}
		return this.instantiate(compile(module)).exports;
	}

	#handlerBody(form: ColdForm, context: InstructionContext): FunctionBuilder {
		const code = new FunctionBuilder([I32, I64T], [I32]);
		const e = new ColdEmitter(code, context, form, outOfLine(code, context));
		this.emitForm(e, form);
		code.return(i32Const(STATUS_NEXT));
		return code;
	}

	/** Generates the semantics of a form. */
	readonly emitForm: EmitForm;

	#instantiateLoop(forms: readonly ColdForm[]): WebAssembly.Exports {
		const module = new ModuleBuilder();
		const handlerType = module.type([I32, I64T], [I32]);
		const base = this.declareImports(module);
		const resolve = module.importFunction("cpu", "resolve", [], [I32]);
		const make = module.importFunction("cpu", "make", [], []);
		const fill = module.importFunction("cpu", "fill", [I32, I32], [I32]);
		const fillWide = module.importFunction(
			...["cpu", "fillWide"],
			[I32, I32, I32],
			[I32],
		);
		const hot = module.importFunction(
			...["cpu", "hot"],
			[I32, I32, I32, I32, I32],
			[],
		);
		const fetches = fetchImports(module);
		const misplaced = module.importFunction("cpu", "misplaced", [I32], []);
		const table = module.defineTable(TABLE_SLOTS, TABLE_SLOTS);
		const run = module.declareFunction([], [I32], "run");
		const loopRef = () =>
			module.declareFunction(REGION_LOOP_PARAMS, REGION_LOOP_RESULTS);
		const admitRef = (width: 32 | 64) =>
			module.declareFunction(admitParams(width), [I32]);
		const context = {
			...base,
			resolve,
			fill,
			fillWide,
			hot: this.#imports.hot && hot,
			hotArrivals: this.#imports.hotArrivals,
			handlerType,
			...fetches,
			misplaced,
			admit: { 32: admitRef(32), 64: admitRef(64) },
			regionLoop: { 32: loopRef(), 64: loopRef() },
		};
		for (const width of [32, 64] as const) {
			const { admit, regionLoop: loops } = context;
			module.defineFunction(admit[width], admitRegion(context, width));
			module.defineFunction(loops[width], regionLoop(context, width));
		}
		const loopCode = new FunctionBuilder([], [I32]);
		const loop = new ColdLoop(loopCode, context);
		loop.emit(forms, (e, form) => this.emitForm(e, form));
		module.defineFunction(run, loopCode);
		const maker = module.declareFunction([I32, I64T], [I32], "make");
		const makerCode = new FunctionBuilder([I32, I64T], [I32]);
		makerCode.evaluate(call(make));
		makerCode.return(i32Const(STATUS_RETRY));
		module.defineFunction(maker, makerCode);
		module.exportFunction("run", run);
		module.exportFunction("make", maker);
		module.exportTable("handlers", table);
		return this.instantiate(compile(module)).exports;
	}

	/** The imports every generated module has, and kernels when they are called. */
	declareImports(module: ModuleBuilder): InstructionContext {
		const { kernels } = this.#source;
		return declareInstructionImports(module, kernels, this.#isJournaled);
	}

	/** Nothing enters the region in that slot any more: its module may go. */
	clearRegion(slot: number): void {
		this.table.set(slot, null);
	}

	/** Compiles a module whose imports `declareImports` has declared. */
	instantiate(
		compiled: WebAssembly.Module,
		more: WebAssembly.ModuleImports = {},
	): WebAssembly.Instance {
		const kernels = this.#kernels;
		const imports = {
			cpu: {
				memory: this.#memory,
				...this.#imports,
				...more,
				hot: this.#imports.hot ?? (() => {}),
				make: () => this.#make(),
			},
			// Asked for by modules that import one; many a guest never has any.
			get kernel() {
				return kernels.functions(kernelsOf(compiled));
			},
		};
		return new WebAssembly.Instance(
			compiled,
			imports as unknown as WebAssembly.Imports,
		);
	}
}

/** Questions about where code is mapped, for 32-bit and for 64-bit addresses. */
function fetchImports(module: ModuleBuilder) {
	const ask = (name: string, params: readonly "i32"[]) =>
		module.importFunction("cpu", name, params, [I32]);
	return {
		fetchPage: ask("fetchPage", [I32, I32]),
		fetchWidePage: ask("fetchWidePage", [I32, I32, I32]),
	};
}

/** Names of the kernels that a module imports. */
function kernelsOf(compiled: WebAssembly.Module): string[] {
	return WebAssembly.Module.imports(compiled)
		.filter(({ module }) => module === "kernel")
		.map(({ name }) => name);
}

/** The engine's own modules are small, and needed at once. */
export function compile(module: ModuleBuilder): WebAssembly.Module {
	return new WebAssembly.Module(module.toBytes());
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
