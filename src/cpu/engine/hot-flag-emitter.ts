/**
 * The hot emitter's half that has flags: they are noted instead of computed
 * (`hot-flags.ts`), and asked of the note where it is known.
 *
 * @journey E:728 Flags that wait
 */

import { integerConstant } from "../../wasm/constant.ts";
import type { FunctionBuilder } from "../../wasm/function-builder.ts";
import { AUX_CF_SHIFT } from "../flags.ts";
import type { Flag, I32, Integer } from "../semantics/emitter.ts";
import type { MadeShift } from "../semantics/shift-flags.ts";
import { FLAG_AUX } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { ColdEmitter, type Continuation } from "./cold-emitter.ts";
import type { ColdForm } from "./form.ts";
import { fusedCondition, fusedFlag } from "./hot-conditions.ts";
import {
	computeFlags,
	type FlagState,
	type HotFlags,
	isPending,
	type Operands,
	type PendingFlags,
} from "./hot-flags.ts";
import type { InstructionContext } from "./instruction-emitter.ts";

const ALL_FLAGS: readonly Flag[] = ["CF", "PF", "AF", "ZF", "SF", "OF"];

/** What is noted of instructions that set flags of a sum or a difference; of the others' the flags are computed. */
const NOTED: Readonly<Record<string, "add" | "adc" | "sub" | "sbb">> = {
	...{ ADD: "add", XADD: "add", ADC: "adc", SBB: "sbb" },
	...{ SUB: "sub", CMP: "sub", NEG: "sub", CMPXCHG: "sub" },
	...{ SCAS: "sub", CMPS: "sub" },
};

/** An instruction, as far as flags are concerned. */
export interface FlagInstruction {
	readonly form: ColdForm;
	readonly flags: HotFlags;
	/** What is known about the flags before it. */
	readonly flagState: FlagState;
}

export abstract class HotFlagEmitter extends ColdEmitter {
	/** What is known about the flags here. */
	flagState: FlagState;
	/** Flag words are being written by the plain rules. */
	protected computing = false;
	readonly #flags: HotFlags;
	readonly #mnemonic: string;
	/** CF as the instruction has read it. */
	#carryRead: Pick<Operands, "carryIn"> = {};

	constructor(
		code: FunctionBuilder,
		context: InstructionContext,
		{ form, flags, flagState }: FlagInstruction,
		continuation: Continuation,
	) {
		super(code, context, form, continuation);
		this.#flags = flags;
		this.#mnemonic = form.example.row.mnemonic;
		this.flagState = flagState;
	}

	override setAddFlags(
		width: number,
		a: Integer,
		b: Integer,
		result: Integer,
	): void {
		if (this.computing) super.setAddFlags(width, a, b, result);
		else if (!this.#noteSum(width, a, b, result)) {
			this.#overwrite(() => super.setAddFlags(width, a, b, result));
		}
	}

	override setSubFlags(
		width: number,
		a: Integer,
		b: Integer,
		result: Integer,
	): void {
		if (this.computing) super.setSubFlags(width, a, b, result);
		else if (!this.#noteSum(width, a, b, result)) {
			this.#overwrite(() => super.setSubFlags(width, a, b, result));
		}
	}

	/** Whether there is a note for what the instruction does. */
	#noteSum(width: number, a: Integer, b: Integer, result: Integer): boolean {
		const kind = NOTED[this.#mnemonic];
		if (kind === undefined) return false;
		const wentIn = kind === "adc" || kind === "sbb" ? this.#carryRead : {};
		this.#note({ kind, width, a, b, result, ...wentIn });
		return true;
	}

	override setLogicFlags(width: number, result: Integer): void {
		if (this.computing) super.setLogicFlags(width, result);
		else this.#note({ kind: "logic", width, a: result, result });
	}

	override setIncFlags(width: number, result: Integer): void {
		if (this.computing) super.setIncFlags(width, result);
		else this.#note({ kind: "inc", width, a: result, result });
	}

	override setDecFlags(width: number, result: Integer): void {
		if (this.computing) super.setDecFlags(width, result);
		else this.#note({ kind: "dec", width, a: result, result });
	}

	override setShiftFlags(shift: MadeShift): void {
		const count = integerConstant(expr(shift.count));
		if (this.computing) super.setShiftFlags(shift);
		else if (count === undefined) {
			this.#overwrite(() => super.setShiftFlags(shift));
		} else {
			const { kind, width, old: a, result } = shift;
			this.#note({ kind, width, a, result, count });
		}
	}

	override setFlagsFrom(
		width: number,
		result: Integer,
		flags: { CF: I32; OF: I32; AF: I32 },
	): void {
		this.#overwrite(() => super.setFlagsFrom(width, result, flags));
	}

	override setFlags(flags: Partial<Record<Flag, I32>>): void {
		const names = Object.keys(flags) as Flag[];
		if (names.every((name) => name === "CF" || name === "OF")) {
			this.settleFlags();
			this.#compute(() => super.setFlags(flags));
			return;
		}
		const all = ALL_FLAGS.map((name) => {
			const value = this.let(flags[name] ?? this.getFlag(name));
			return [name, value] as const;
		});
		const whole = Object.fromEntries(all) as Record<Flag, I32>;
		this.#overwrite(() => super.setFlags(whole));
	}

	override writeEflags(image: I32, mask: I32): void {
		const value = this.let(image);
		const bits = this.let(mask);
		this.#overwrite(() => super.writeEflags(value, bits));
	}

	override getFlag(flag: Flag): I32 {
		const state = this.flagState;
		const known = isPending(state) ? fusedFlag(this, state, flag) : undefined;
		const value = known === undefined ? super.getFlag(flag) : this.let(known);
		if (flag === "CF") this.#carryRead = { carryIn: value };
		return value;
	}

	override condition(code: number): I32 {
		const state = this.flagState;
		const known = isPending(state)
			? fusedCondition(this, state, code >> 1)
			: undefined;
		if (known === undefined) return super.condition(code);
		return this.let(code & 1 ? this.eqz(known) : known);
	}

	/** PUSHF reads them all. */
	override readEflags(): I32 {
		this.settleFlags();
		return super.readEflags();
	}

	/** Computes what is pending into the flag words. */
	settleFlags(): void {
		const state = this.flagState;
		if (state === "words") return;
		if (isPending(state) && this.#carryKnown(state)) {
			this.#overwrite(() => {
				if (isPending(state.carry ?? "words")) {
					const carry = fusedFlag(this, state.carry as PendingFlags, "CF");
					const aux = this.shl(carry as I32, this.i32(AUX_CF_SHIFT));
					this.writeState(FLAG_AUX, aux);
				}
				computeFlags(this, state);
			});
			return;
		}
		this.#flags.settleToLocals(this);
		this.#flags.noteWords();
		this.flagState = "words";
	}

	/** Whether `state` can be computed here, without what only the saved note knows. */
	#carryKnown({ carry }: PendingFlags): boolean {
		return carry !== "saved";
	}

	/** Runs code that replaces both flag words, by the plain rules. */
	#overwrite(write: () => void): void {
		this.#compute(write);
		this.#flags.noteWords();
		this.flagState = "words";
	}

	#compute(write: () => void): void {
		const outer = this.computing;
		this.computing = true;
		write();
		this.computing = outer;
	}

	#note(operands: Operands): void {
		this.flagState = this.#flags.note(operands, this.flagState);
	}
}
