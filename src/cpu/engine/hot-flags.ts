/**
 * The arithmetic flags inside a region. Most are overwritten before anybody
 * reads them, so an instruction that sets them only leaves a note of its
 * operation in locals. While a block is generated what it says is known
 * (`PendingFlags`); between blocks it may be any:
 *
 * | local | meaning |
 * | --- | --- |
 * | kind | 0: the flag words are right; else the operation and its width, and what `COUNT_BITS` says |
 * | a, b, result | operands and result of the operation |
 * | carry kind, a, result | INC and DEC keep CF: the operation that set it |
 * | words | FLAG_RESULT and FLAG_AUX, as in `flags.ts` |
 *
 * Moving locals is almost free, computing flags is not. Where a region is left
 * the note becomes flag words: in place what is most frequent, by a function that
 * all regions share, `settle`, the rest.
 *
 * @journey E:724 A note instead of flags
 */

import {
	call,
	type Expression,
	i32Const,
	i64ConstParts,
	localGet,
	op,
	select,
} from "../../wasm/expression.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import type { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { FunctionRef, Local } from "../../wasm/references.ts";
import { AUX_CF_SHIFT } from "../flags.ts";
import type { I32, Integer, Value, ValueType } from "../semantics/emitter.ts";
import {
	type MadeShift,
	type ShiftKind,
	shiftCarry,
} from "../semantics/shift-flags.ts";
import { FLAG_AUX, FLAG_RESULT } from "../state.ts";
import {
	type ArithmeticEmitter,
	expr,
	typeBits,
} from "./arithmetic-emitter.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";

const OPERATIONS = [
	...(["words", "add", "sub", "adc", "sbb", "logic"] as const),
	...(["shl", "shr", "sar", "inc", "dec"] as const),
] as const;
type Operation = (typeof OPERATIONS)[number];
/** Bits of a note's kind below operation and width: a shift's count, or the carry that went into ADC or SBB. */
const COUNT_BITS = 6;
const COUNT_MASK = (1 << COUNT_BITS) - 1;
const SHIFTS: ReadonlySet<Operation> = new Set(["shl", "shr", "sar"]);
/** What comes before most ways out: a comparison, a test, an addition to the stack pointer. */
const USUAL = ["sub", "logic", "add"] as const;
const CARRYING: ReadonlySet<Operation> = new Set(["adc", "sbb"]);

/** An operation whose flags nobody has asked for. */
export interface PendingFlags {
	readonly kind: Exclude<Operation, "words">;
	readonly width: number;
	readonly a: Integer;
	/** Absent where it follows from the others. */
	readonly b: Integer | undefined;
	readonly result: Integer;
	/** Of a shift: by how much, not zero. */
	readonly count?: Integer;
	/** What went into ADC or SBB, 0 or 1. */
	readonly carryIn?: I32;
	/** INC and DEC: what CF is of. */
	readonly carry: FlagState | undefined;
}

/** An operation that sets flags. */
export interface Operands extends Pick<PendingFlags, "kind" | "width" | "a"> {
	/** Absent where it follows from the others. */
	readonly b?: Integer;
	readonly result: Integer;
	/** Of a shift. */
	readonly count?: number;
	/** Of ADC and SBB. */
	readonly carryIn?: I32;
}

/** What is known about the flags at a place in the code. */
export type FlagState =
	/** The note is in the locals. */
	| "saved"
	/** Likewise, and it is of no INC or DEC. */
	| "plain"
	/** The flag words are right; the note's kind need not be. */
	| "words"
	| PendingFlags;

export function isPending(state: FlagState): state is PendingFlags {
	return typeof state === "object";
}

const isStepKind = (kind: Operation): boolean =>
	kind === "inc" || kind === "dec";

const isStep = (state: FlagState): boolean =>
	isPending(state) && isStepKind(state.kind);

function constant(width: number, value: number): Integer {
	return (width === 64
		? i64ConstParts(value, 0)
		: i32Const(value)) as Value as Integer;
}

/** Operation and width. */
function formNumber(kind: Operation, width: number): number {
	return OPERATIONS.indexOf(kind) * 4 + Math.log2(width / 8);
}

function kindNumber({ kind, width, count = 0 }: Operands): number {
	return (formNumber(kind, width) << COUNT_BITS) | count;
}

const FIRST_STEP = formNumber("inc", 8) << COUNT_BITS;

/** The shift that flags are of. */
export function shiftOf(flags: PendingFlags): MadeShift {
	const { kind, width, a: old, count, result } = flags;
	const shift = { kind: kind as ShiftKind, width, old, result };
	return { ...shift, count: count as Integer };
}

export class HotFlags {
	readonly result: Local<"i32">;
	readonly aux: Local<"i32">;
	readonly #code: FunctionBuilder;
	readonly #kind: Local<"i32">;
	readonly #a: Local;
	readonly #b: Local;
	readonly #noted: Local;
	readonly #carryKind: Local<"i32">;
	readonly #carryA: Local;
	readonly #carryNoted: Local;
	readonly #settle: FunctionRef;

	constructor(code: FunctionBuilder, long: boolean, settle: FunctionRef) {
		const type = long ? "i64" : "i32";
		this.#code = code;
		this.#settle = settle;
		this.result = code.local("i32");
		this.aux = code.local("i32");
		this.#kind = code.local("i32");
		this.#a = code.local(type);
		this.#b = code.local(type);
		this.#noted = code.local(type);
		this.#carryKind = code.local("i32");
		this.#carryA = code.local(type);
		this.#carryNoted = code.local(type);
	}

	/** Whether a local holds this flag word. */
	localOf(offset: number): Local<"i32"> | undefined {
		if (offset === FLAG_RESULT.offset) return this.result;
		return offset === FLAG_AUX.offset ? this.aux : undefined;
	}

	/** On entry: the words are right. */
	enter(e: StateEmitter): void {
		this.#code.set(this.result, expr(e.readState(FLAG_RESULT)));
		this.#code.set(this.aux, expr(e.readState(FLAG_AUX)));
		this.#code.set(this.#kind, i32Const(0));
	}

	/** Notes an operation; what is known from here on. */
	note(operands: Operands, before: FlagState): PendingFlags {
		const { kind, width, a, b, count, carryIn, result } = operands;
		const carry = isStepKind(kind) ? this.#saveCarry(before) : undefined;
		if (before === "words" && !isStepKind(kind)) this.#dropWords();
		const number = i32Const(kindNumber(operands));
		const kindNow = carryIn ? op("i32.or", number, expr(carryIn)) : number;
		this.#code.set(this.#kind, kindNow);
		this.#set(this.#noted, result);
		if (b !== undefined || count !== undefined) this.#set(this.#a, a);
		if (b !== undefined) this.#set(this.#b, b);
		const get = (local: Local) => this.#get(local, width);
		return {
			...{ kind, width, a: get(this.#a), b: get(this.#b) },
			...{ result: get(this.#noted), carry },
			...(count !== undefined && { count: constant(width, count) }),
			...(carryIn !== undefined && { carryIn: carryInOf(this.#kind) }),
		};
	}

	/** Nobody reads the words while they are not right: what was computed for them need not be. */
	#dropWords(): void {
		for (const word of [this.result, this.aux]) {
			this.#code.set(word, i32Const(0));
		}
	}

	/** The flag words are right from here on. */
	noteWords(): void {
		this.#code.set(this.#kind, i32Const(0));
	}

	/** Notes in the locals what CF is of, before INC or DEC; the answer goes into their note. */
	#saveCarry(state: FlagState): FlagState {
		if (isStep(state)) return (state as PendingFlags).carry as FlagState;
		const code = this.#code;
		if (isPending(state) || state === "plain") {
			code.set(this.#carryKind, localGet(this.#kind));
			code.set(this.#carryA, localGet(this.#a));
			code.set(this.#carryNoted, localGet(this.#noted));
			if (!isPending(state)) return "saved";
			const a = this.#get(this.#carryA, state.width);
			const result = this.#get(this.#carryNoted, state.width);
			const carryIn = state.carryIn && { carryIn: carryInOf(this.#carryKind) };
			return { ...state, ...carryIn, a, b: undefined, result };
		}
		if (state === "words") {
			code.set(this.#carryKind, i32Const(0));
			return state;
		}
		// Behind another INC the carry's note is there already.
		const step = op("i32.ge_u", localGet(this.#kind), i32Const(FIRST_STEP));
		const choose = (carry: Local, noted: Local) =>
			code.set(carry, select(step, localGet(carry), localGet(noted)));
		choose(this.#carryA, this.#a);
		choose(this.#carryNoted, this.#noted);
		choose(this.#carryKind, this.#kind);
		return "saved";
	}

	/** Turns the saved note into words in the locals. */
	settleToLocals(e: StateEmitter): void {
		this.#code.if(localGet(this.#kind), () => {
			this.#callSettle();
			const words = [FLAG_RESULT, FLAG_AUX].map((field) => {
				const { stateBase } = e.context;
				return e.loadState32(stateBase + field.offset);
			});
			this.#code.set(this.result, expr(words[0] as I32));
			this.#code.set(this.aux, expr(words[1] as I32));
		});
	}

	/** Turns the saved note into words in the state, on the way out. */
	settleToState(e: StateEmitter): void {
		this.#code.if(
			localGet(this.#kind),
			() => this.#settleUsual(e),
			() => {
				e.writeState(FLAG_RESULT, localGet(this.result) as Value);
				e.writeState(FLAG_AUX, localGet(this.aux) as Value);
			},
		);
	}

	/** What most ways out come behind is settled in place, the rest by the function. */
	#settleUsual(e: StateEmitter): void {
		const widths = this.#noted.type === "i64" ? [32, 64] : [32];
		const usual = USUAL.flatMap((kind) =>
			widths.map((width) => ({ kind, width })),
		);
		this.#code.block((done) => {
			for (const { kind, width } of usual) {
				const number = i32Const(formNumber(kind, width) << COUNT_BITS);
				const [a, result] = [this.#a, this.#noted].map((local) =>
					this.#get(local, width),
				) as [Integer, Integer];
				this.#code.if(op("i32.eq", localGet(this.#kind), number), () => {
					const known = { kind, width, a, b: undefined, result };
					computeFlags(e, { ...known, carry: undefined });
					this.#code.br(done);
				});
			}
			this.#callSettle();
		});
	}

	#callSettle(): void {
		const args = [
			this.#kind,
			this.#a,
			this.#noted,
			this.#carryKind,
			this.#carryA,
			this.#carryNoted,
			this.aux,
		];
		this.#code.evaluate(call(this.#settle, ...args.map((a) => localGet(a))));
	}

	/** A value noted at a width, in the type of that width. */
	#get(local: Local, width: number): Integer {
		const value = localGet(local) as Expression;
		if (local.type === "i32" || width === 64) return value as Value as Integer;
		return op("i32.wrap_i64", value) as Value as Integer;
	}

	#set(local: Local, value: Integer): void {
		const fitted =
			local.type === value.type
				? expr(value)
				: (op("i64.extend_i32_u", expr(value as I32)) as Expression);
		this.#code.set(local, fitted);
	}
}

/** What went into the ADC or SBB of a note. */
function carryInOf(kind: Local<"i32">): I32 {
	return op("i32.and", localGet(kind), i32Const(1)) as Value as I32;
}

/** The second operand: b = a - result for SUB, result - a for ADD, less what went in. */
export function secondOperand(
	e: ArithmeticEmitter,
	{ kind, a, b, carryIn, result }: PendingFlags,
): Integer {
	if (b !== undefined) return b;
	const isSum = kind === "add" || kind === "adc";
	const difference = isSum ? e.sub(result, a) : e.sub(a, result);
	if (carryIn === undefined) return difference;
	return e.sub(difference, e.toWidth(typeBits(a) as 32 | 64, carryIn));
}

/** CF of what is no step, 0 or 1. */
export function carryOut(e: ArithmeticEmitter, flags: PendingFlags): I32 {
	const { kind, width, a, result } = flags;
	const u = (value: Integer) => e.zeroExtend(width, value);
	if (kind === "add") return e.ltU(u(result), u(a));
	if (kind === "logic") return e.i32(0);
	if (flags.count !== undefined) return shiftCarry(e, shiftOf(flags));
	if (flags.carryIn === undefined) {
		return e.ltU(u(a), u(secondOperand(e, flags)));
	}
	const [low, high] = kind === "adc" ? [u(result), u(a)] : [u(a), u(result)];
	return e.or(e.ltU(low, high), e.and(e.eq(low, high), flags.carryIn));
}

/** Name, parameters and results of `settle` for code of 32 bits or 64. */
export function settleImport(
	long: boolean,
): readonly [string, ValueType[], ValueType[]] {
	const wide = long ? "i64" : "i32";
	const note = ["i32", wide, wide] as const;
	return [long ? "settle64" : "settle32", [...note, ...note, "i32"], []];
}

/**
 * Adds `settle` to a module: (kind, a, result, carry kind, a,
 * result, old FLAG_AUX) → FLAG_RESULT and FLAG_AUX in the state.
 */
export function defineSettle(
	module: ModuleBuilder,
	context: CodeContext,
	long: boolean,
): FunctionRef {
	const [name, params, results] = settleImport(long);
	const ref = module.declareFunction(params, results, name);
	const code = new FunctionBuilder(params, results);
	const e = new StateEmitter(code, context);
	const value = (index: number) =>
		localGet(code.param(index)) as Value as Integer;
	const widths = long ? [8, 16, 32, 64] : [8, 16, 32];
	/** The note that begins with the parameter `at`. */
	const noted = (kind: PendingFlags["kind"], width: number, at: number) => {
		const narrow = (v: Integer) => (width === 64 ? v : e.wrap(v));
		const [a, result] = [narrow(value(at + 1)), narrow(value(at + 2))];
		const masked = e.and(value(at) as I32, e.i32(COUNT_MASK));
		const count = SHIFTS.has(kind) && {
			count: e.toWidth(width === 64 ? 64 : 32, masked),
		};
		const carryIn = CARRYING.has(kind) && { carryIn: masked };
		return {
			...{ kind, width, a, b: undefined, result, carry: undefined },
			...count,
			...carryIn,
		};
	};
	const aux = code.local("i32");
	code.set(aux, localGet(code.param(6)));
	const all = OPERATIONS.slice(1) as PendingFlags["kind"][];
	const withCarry = all.filter((kind) => !isStepKind(kind));
	// CF, for the steps alone.
	const isStep = op("i32.ge_u", localGet(code.param(0)), i32Const(FIRST_STEP));
	code.if(isStep, () => {
		dispatch(code, code.param(3), withCarry, widths, (kind, width) => {
			const carry = carryOut(e, noted(kind, width, 3));
			code.set(aux, expr(e.shl(carry, e.i32(AUX_CF_SHIFT))));
		});
		e.writeState(FLAG_AUX, localGet(aux) as Value);
	});
	dispatch(code, code.param(0), all, widths, (kind, width) => {
		computeFlags(e, noted(kind, width, 0));
	});
	module.defineFunction(ref, code);
	return ref;
}

/** Runs `body` for the kind that `selector` holds; for none of them, nothing. */
function dispatch(
	code: FunctionBuilder,
	selector: Local,
	kinds: readonly PendingFlags["kind"][],
	widths: readonly number[],
	body: (kind: PendingFlags["kind"], width: number) => void,
): void {
	const cases = kinds.flatMap((kind) =>
		widths.map((width) => ({ kind, width })),
	);
	code.block((done) => {
		const labels: Label[] = [];
		const nest = (index: number): void => {
			const known = cases[index];
			if (known === undefined) {
				const last = formNumber(kinds.at(-1) as Operation, 64);
				const table = Array.from({ length: last + 1 }, (_, number) => {
					const at = cases.findIndex(
						({ kind, width }) => formNumber(kind, width) === number,
					);
					return labels[at] ?? done;
				});
				const form = op("i32.shr_u", localGet(selector), i32Const(COUNT_BITS));
				code.brTable(table, done, form);
				return;
			}
			code.block((label) => {
				labels[index] = label;
				nest(index + 1);
			});
			const mark = code.mark();
			body(known.kind, known.width);
			code.releaseTo(mark);
			code.br(done);
		};
		nest(0);
	});
}

/** Sets the flag words by the rules of `e`; for INC and DEC, CF is in FLAG_AUX. */
export function computeFlags(e: StateEmitter, flags: PendingFlags): void {
	const { kind, width, a, result } = flags;
	const b = () => e.let(secondOperand(e, flags)) as Integer;
	switch (kind) {
		case "add":
		case "adc":
			e.setAddFlags(width, a, b(), result);
			break;
		case "sub":
		case "sbb":
			e.setSubFlags(width, a, b(), result);
			break;
		case "logic":
			e.setLogicFlags(width, result);
			break;
		case "shl":
		case "shr":
		case "sar":
			e.setShiftFlags(shiftOf(flags));
			break;
		case "inc":
			e.setIncFlags(width, result);
			break;
		case "dec":
			e.setDecFlags(width, result);
	}
}
