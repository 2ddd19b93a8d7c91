/**
 * The cold engine: gives forms their handler numbers, and makes an out-of-line
 * handler the first time its form is executed, unless it was prepared.
 *
 * Thousands of forms exist and a guest uses hundreds, so nothing is generated
 * before it is needed; a table slot holds the maker until then.
 *
 * @journey E:480 Handlers on demand
 */

import type { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { Instruction } from "../decode/instruction.ts";
import type { Mode } from "../mode.ts";
import {
	EngineModules,
	MOST_HANDLERS,
	type SemanticsSource,
} from "./engine-modules.ts";
import { addressingOf, type ColdForm, formKey } from "./form.ts";
import type { SampleForm } from "./form-samples.ts";
import type { InstructionContext } from "./instruction-emitter.ts";
import { KernelModule, kernelsOf } from "./kernel-module.ts";
import type { PreparedCode } from "./prepared-code.ts";
import { PSEUDO_HANDLERS } from "./record.ts";

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

/** What the short ways export, as imports of everything else. */
type ShortWays = Pick<
	EngineImports,
	"translate" | "fetchPage" | "fetchWidePage" | "system"
> & {
	deliver(): number;
	fill(): number;
	readAcross(): number;
	readAcrossWide(): number;
	writeAcross(): number;
	findPage(): number;
	findWidePage(): number;
	fillWide(): number;
};

/** What the engine knows of forms before it has met any. */
export interface KnownForms {
	/** Those whose handlers stand in the loop. */
	inline(): readonly SampleForm[];
	/** Those that every system needs. */
	usual(): readonly SampleForm[];
	/** Code for both of them. */
	readonly prepared?: PreparedCode | undefined;
}

/** A test program has had all it needs by then; a system has hardly begun. */
const MAKINGS_OF_A_SYSTEM = 12;

export class ColdEngine {
	readonly #memory: WebAssembly.Memory;
	readonly #imports: EngineImports & ShortWays;
	readonly #modules: EngineModules;
	/** By form key. */
	readonly #numbers = new Map<number, number>();
	/** How many have a number and a handler from the start. */
	readonly preparedCount: number;
	/** All others, in the order of their numbers. */
	readonly #forms: ColdForm[] = [];
	/** How many of them, from the first, stand in the loop. */
	readonly #inlineCount: number;
	/** How many of them, from the first, have an out-of-line handler. */
	#madeCount = 0;
	/** How often handlers have been made. */
	#makings = 0;
	readonly #known: KnownForms;
	readonly #mostHandlers: number;
	readonly #maker: () => number;
	readonly #kernels: KernelModule;
	readonly table: WebAssembly.Table;
	readonly #run: () => number;

	constructor(
		memory: WebAssembly.Memory,
		imports: EngineImports,
		source: SemanticsSource,
		known: KnownForms,
		mostHandlers = MOST_HANDLERS,
	) {
		const { prepared } = known;
		this.#memory = memory;
		this.#known = known;
		this.#mostHandlers = mostHandlers;
		this.#kernels = new KernelModule(
			...[memory, source.kernels, prepared?.kernels],
		);
		this.#modules = new EngineModules(source, engineTraits(imports));
		// From here on, generated code asks the short way first.
		const shortWays = this.#shortWays(imports, prepared);
		this.#imports = { ...imports, ...shortWays };
		this.preparedCount = prepared?.formKeys.length ?? 0;
		this.#inlineCount = this.#numberForms(known);
		const inline = this.#forms.slice();
		const loop = prepared?.loop ?? this.#modules.loop(inline);
		const { exports } = this.instantiate(new WebAssembly.Module(loop));
		this.#run = exports.run as () => number;
		this.table = exports.handlers as WebAssembly.Table;
		this.#maker = exports.make as () => number;
		for (let i = 0; i < MOST_HANDLERS; i++) this.table.set(i, this.#maker);
		if (prepared !== undefined) this.#addHandlers(prepared.handlers);
	}

	/** Runs from RIP in the state until the budget ends or something happens; see `status.ts`. */
	run(): number {
		return this.#run();
	}

	/** Forms that have numbers, for statistics. */
	get formCount(): number {
		return this.preparedCount + this.#forms.length;
	}

	/** The handler number of an instruction's form. */
	handlerFor(instruction: Instruction, mode: Mode): number {
		const key = formKey(instruction, mode);
		const known = this.#numbers.get(key);
		if (known !== undefined) return known;
		const handler = PSEUDO_HANDLERS + this.formCount;
		if (handler >= this.#mostHandlers) throw new Error("too many forms");
		const addressing = addressingOf(instruction, mode);
		this.#forms.push({ handler, example: instruction, mode, addressing });
		this.#numbers.set(key, handler);
		return handler;
	}

	/**
	 * Sees to it that `count` more forms can have numbers, by forgetting all but
	 * the first ones when it must: no sane guest has that many, a hostile one
	 * can. True = it did, and every record names a handler that is no more.
	 */
	makeRoom(count: number): boolean {
		const used = PSEUDO_HANDLERS + this.formCount;
		if (used + count <= this.#mostHandlers) return false;
		for (const { handler, example, mode } of this.#forms.splice(
			this.#inlineCount,
		)) {
			this.#numbers.delete(formKey(example, mode));
			this.table.set(handler, this.#maker);
		}
		this.#madeCount = Math.min(this.#madeCount, this.#inlineCount);
		return true;
	}

	/** Gives the forms that it begins with their numbers; the value is how many are to be in the loop. */
	#numberForms({ prepared, inline }: KnownForms): number {
		if (prepared !== undefined) {
			for (const [i, key] of prepared.formKeys.entries()) {
				this.#numbers.set(key, PSEUDO_HANDLERS + i);
			}
			return 0;
		}
		for (const { instruction, mode } of inline()) {
			this.handlerFor(instruction, mode);
		}
		return this.#forms.length;
	}

	#shortWays(imports: EngineImports, prepared?: PreparedCode): ShortWays {
		const bytes = prepared?.shortWays ?? this.#modules.shortWays();
		const { exports } = new WebAssembly.Instance(
			new WebAssembly.Module(bytes),
			{
				cpu: { memory: this.#memory, ...imports },
			} as unknown as WebAssembly.Imports,
		);
		return exports as unknown as ShortWays;
	}

	/** Generates every out-of-line handler that has a number and no code yet. */
	#make(): void {
		if (++this.#makings === MAKINGS_OF_A_SYSTEM) this.#expectUsual();
		const missing = this.#forms.slice(this.#madeCount);
		this.#addHandlers(this.#modules.handlers(missing));
		this.#madeCount = this.#forms.length;
	}

	#addHandlers(bytes: Uint8Array<ArrayBuffer>): void {
		const { table } = this;
		this.instantiate(new WebAssembly.Module(bytes), { handlers: table });
	}

	/** Gives numbers to the forms that it will need, if there is room. */
	#expectUsual(): void {
		if (this.preparedCount > 0) return;
		const forms = this.#known.usual();
		const used = PSEUDO_HANDLERS + this.formCount;
		if (used + forms.length > this.#mostHandlers) return;
		for (const { instruction, mode } of forms) {
			this.handlerFor(instruction, mode);
		}
	}

	/** What regions are generated with. */
	get emitForm(): EngineModules["emitForm"] {
		return this.#modules.emitForm;
	}

	/** For modules that `instantiate` will get. */
	declareImports(module: ModuleBuilder): InstructionContext {
		return this.#modules.declareImports(module);
	}

	/** Nothing enters the region in that slot any more: its module may go. */
	clearRegion(slot: number): void {
		this.table.set(slot, null);
	}

	/** Instantiates a module whose imports `declareImports` has declared. */
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

/** What code with these imports is to do. */
export function engineTraits({ hot, hotArrivals, journal }: EngineImports) {
	return {
		isHot: hot !== undefined,
		hotArrivals,
		isJournaled: journal !== undefined,
	};
}
