/**
 * What a region keeps in WebAssembly locals instead of memory: the general
 * registers and the lazy flags, plus flags that are not even computed yet.
 *
 * @journey E:720 State that stays in registers
 */

import type { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import type { Integer } from "../semantics/emitter.ts";
import { FLAG_AUX, FLAG_RESULT, GPR } from "../state.ts";

/** An operation whose flags nobody has asked for; all its values are temporaries. */
export interface PendingFlags {
	readonly kind: "add" | "sub" | "logic" | "inc" | "dec";
	readonly width: number;
	readonly a: Integer;
	readonly b: Integer;
	readonly result: Integer;
	/** Result is exactly a - b: conditions compare a with b. */
	readonly isPlain: boolean;
}

const REGISTERS = 8;

export class HotRegisters {
	/** By encoding number. */
	readonly general: readonly Local<"i32">[];
	readonly flagResult: Local<"i32">;
	readonly flagAux: Local<"i32">;
	/** Registers that some instruction of the region writes. */
	readonly written = new Set<number>();
	pending: PendingFlags | undefined;

	constructor(code: FunctionBuilder) {
		this.general = Array.from({ length: REGISTERS }, () => code.local("i32"));
		this.flagResult = code.local("i32");
		this.flagAux = code.local("i32");
	}

	/** Register number of a state offset, or -1. */
	static indexOf(offset: number): number {
		const index = (offset - GPR.offset) >> 3;
		return offset >= GPR.offset && index < REGISTERS ? index : -1;
	}

	/** The local that stands for a flag word, if `offset` is one. */
	flagLocal(offset: number): Local<"i32"> | undefined {
		if (offset === FLAG_RESULT.offset) return this.flagResult;
		return offset === FLAG_AUX.offset ? this.flagAux : undefined;
	}
}
