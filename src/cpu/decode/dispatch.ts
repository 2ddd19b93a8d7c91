/**
 * From opcode bytes to the row: one array of slots per opcode map, one slot
 * per opcode, and in a slot one short list of candidates for each combination
 * of mandatory prefix, register-or-memory and ModR/M reg field. Slots and lists
 * are made when first used, because a guest meets only a part of the table.
 *
 * Relies on `opcode-table.ts`; the decoder relies on it.
 *
 * @journey E:132 Finding the row
 */

import { type DecodePlan, planOf } from "./decode-plan.ts";
import type { OpcodeMap, OpcodeRow } from "./instruction.ts";
import { OPCODE_TABLE } from "./opcode-table.ts";

/** Mandatory-prefix classes; F2 and F3 hide a 66 beside them. */
export const PrefixClass = { NONE: 0, P66: 1, PF3: 2, PF2: 3 } as const;

/** Opcode maps as indexes into `Dispatch`. */
export const MapIndex = { ONE_BYTE: 0, M0F: 1, M0F38: 2, M0F3A: 3 } as const;

const MAPS: readonly OpcodeMap[] = ["1", "0f", "0f38", "0f3a"];
const PREFIXES = ["np", "66", "f3", "f2"];
/** Combinations of prefix class, register or memory, and reg field. */
const KEYS = 64;

/** What one opcode byte can be. */
export class OpcodeSlot {
	readonly hasModrm: boolean;
	/** No row at all has this opcode. */
	readonly isEmpty: boolean;
	readonly #rows: readonly OpcodeRow[];
	readonly #candidates = new Array<readonly DecodePlan[] | undefined>(KEYS);

	constructor(rows: readonly OpcodeRow[]) {
		this.#rows = rows;
		this.isEmpty = rows.length === 0;
		this.hasModrm = rows.some((row) => row.hasModrm);
	}

	/** By prefix class << 4 | (mod is 3) << 3 | reg; the first that fits wins. */
	candidates(key: number): readonly DecodePlan[] {
		return this.#candidates[key] ?? this.#find(key);
	}

	/** Of the keys, few are ever met. */
	#find(key: number): readonly DecodePlan[] {
		const found = this.#rows.filter((row) => fits(row, key)).map(planOf);
		this.#candidates[key] = found;
		return found;
	}
}

/** The table as one mode (64-bit or not) and one set of features see it. */
export class Dispatch {
	readonly #rows: OpcodeRow[][] = [];
	readonly #slots: (OpcodeSlot | undefined)[] = new Array(4 * 256).fill(
		undefined,
	);

	constructor(is64: boolean, features: ReadonlySet<string>) {
		for (let i = 0; i < 4 * 256; i++) this.#rows.push([]);
		for (const row of OPCODE_TABLE) {
			const excluded = is64 ? row.invalidIn64 : row.only64;
			if (!excluded && features.has(row.feature)) this.#add(row);
		}
	}

	#add(row: OpcodeRow): void {
		const first = (MAPS.indexOf(row.map) << 8) | row.opcode;
		const count = namesRegister(row) ? 8 : 1;
		for (let i = 0; i < count; i++) this.#rows[first + i]?.push(row);
	}

	/** The slot of an opcode; `undefined` never: unknown opcodes have empty slots. */
	slot(map: number, opcode: number): OpcodeSlot {
		const index = (map << 8) | opcode;
		return this.#slots[index] ?? this.#fill(index);
	}

	#fill(index: number): OpcodeSlot {
		const slot = new OpcodeSlot(this.#rows[index] ?? []);
		this.#slots[index] = slot;
		return slot;
	}
}

/** Z operands: the opcode's low three bits are a register number. */
function namesRegister(row: OpcodeRow): boolean {
	return row.operands.some((spec) => spec.startsWith("Z"));
}

function fits(row: OpcodeRow, key: number): boolean {
	const { prefix, mod, extension } = row;
	const isRegister = (key & 8) !== 0;
	return (
		(prefix === undefined || prefix === PREFIXES[key >> 4]) &&
		(mod === undefined || (mod === "register") === isRegister) &&
		(extension === undefined || extension === (key & 7))
	);
}
