/**
 * The locals of one function under construction: parameters first, then
 * variables, whose slots are used again once released. Relies on the reference
 * shapes; the function builder owns one, and the encoder asks it whether a
 * local that some tree mentions is still what it was.
 *
 * @journey P:230 Locals come and go
 * An interpreter for all of x86 is one function of which every handler wants
 * three temporaries. Compilers of WebAssembly pay for each local, so handlers
 * give theirs back. Each allocation is a new object even when its slot is not,
 * and that is how a tree kept too long is caught instead of miscomputed.
 */

import type { ByteWriter } from "./byte-writer.ts";
import type { ValueType } from "./opcodes.ts";
import { VALUE_TYPE_CODES } from "./opcodes.ts";
import type { Local } from "./references.ts";

/** How many allocations there had been: what `releaseTo` goes back to. */
export type LocalsMark = number;

/** Hands out indices in the order of first use, which declares them in runs. */
export class Locals {
	readonly #parameterCount: number;
	/** By index: the type of the slot, for ever. */
	readonly #types: ValueType[] = [];
	/** By index: the local living in the slot; undefined while it is free. */
	readonly #living: (Local | undefined)[] = [];
	readonly #free = new Map<ValueType, number[]>();
	/** Everything allocated since the start or the mark last returned to. */
	readonly #allocated: Local[] = [];

	constructor(params: readonly ValueType[]) {
		this.#parameterCount = params.length;
		for (const type of params) this.#occupy(this.#newSlot(type), type);
	}

	/** Parameter number `index`, which cannot be released. */
	param(index: number): Local {
		const local = this.#living[index];
		if (local === undefined || index >= this.#parameterCount) {
			throw new Error(`there is no parameter ${index}`);
		}
		return local;
	}

	/** A variable; its value is whatever the slot's last user left there. */
	allocate<T extends ValueType>(type: T): Local<T> {
		const index = this.#free.get(type)?.pop() ?? this.#newSlot(type);
		const local = this.#occupy(index, type);
		this.#allocated.push(local);
		return local;
	}

	/** A variable that no scope's end releases. */
	allocateLasting<T extends ValueType>(type: T): Local<T> {
		return this.#occupy(this.#newSlot(type), type);
	}

	/** Gives the slot back before its scope ends. */
	release(local: Local): void {
		this.check(local);
		if (local.index < this.#parameterCount) {
			throw new Error(`parameter ${local.index} cannot be released`);
		}
		this.#living[local.index] = undefined;
		const free = this.#free.get(local.type);
		if (free === undefined) this.#free.set(local.type, [local.index]);
		else free.push(local.index);
	}

	/** Opens a scope: remember the answer for {@link releaseTo}. */
	mark(): LocalsMark {
		return this.#allocated.length;
	}

	/** Releases what was allocated since the mark and is not released yet. */
	releaseTo(mark: LocalsMark): void {
		if (mark > this.#allocated.length) {
			throw new Error("releaseTo: the mark's scope has ended already");
		}
		while (this.#allocated.length > mark) {
			const local = this.#allocated.pop() as Local;
			if (this.#living[local.index] === local) this.release(local);
		}
	}

	/** Throws if the local was released, or belongs to another function. */
	check(local: Local): void {
		if (this.#living[local.index] !== local) {
			throw new Error(
				`local ${local.index} (${local.type}) is released or not of this function`,
			);
		}
	}

	/** Slots beyond the parameters. */
	get variableCount(): number {
		return this.#types.length - this.#parameterCount;
	}

	/** Writes the declarations: neighbours of one type make one run. */
	encodeDeclarations(writer: ByteWriter): void {
		const runs: { type: ValueType; count: number }[] = [];
		for (const type of this.#types.slice(this.#parameterCount)) {
			const last = runs[runs.length - 1];
			if (last?.type === type) last.count++;
			else runs.push({ type, count: 1 });
		}
		writer.u32(runs.length);
		for (const { type, count } of runs) {
			writer.u32(count);
			writer.byte(VALUE_TYPE_CODES[type]);
		}
	}

	#newSlot(type: ValueType): number {
		return this.#types.push(type) - 1;
	}

	#occupy<T extends ValueType>(index: number, type: T): Local<T> {
		const local: Local<T> = { index, type };
		this.#living[index] = local;
		return local;
	}
}
