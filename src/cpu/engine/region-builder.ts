/**
 * Generates one region as a WebAssembly function:
 * (record, RIP of the page's start) → status.
 *
 * Registers and flags are loaded into locals on entry. Every way out notes
 * where to go on and branches to one shared exit, which stores what the region
 * may have changed. A block takes its instructions from the budget at once;
 * when they are more than is left, the cold engine runs the rest one by one.
 *
 * @journey E:740 A region, written
 */

import { localGet } from "../../wasm/expression.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import { type Exits, structure } from "../../wasm/structurer.ts";
import type { Mode } from "../mode.ts";
import type { I32, I64, Value } from "../semantics/emitter.ts";
import {
	BUDGET,
	FLAG_AUX,
	FLAG_RESULT,
	GPR,
	REGION_EXIT,
	RIP,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import type { EmitForm } from "./cold-loop.ts";
import { addressingOf } from "./form.ts";
import { HotEmitter } from "./hot-emitter.ts";
import { HotRegisters, type PendingFlags } from "./hot-registers.ts";
import type { InstructionContext } from "./instruction-emitter.ts";
import { RECORD_BYTES, writeRecord } from "./record.ts";
import type { BlockEnd, RegionBlock, RegionInstruction } from "./region.ts";
import { StateEmitter } from "./state-emitter.ts";
import { STATUS_COLD, STATUS_JUMP } from "./status.ts";

/** An instruction as left in the middle of a block. */
interface Bail {
	readonly emitter: HotEmitter;
	readonly pending: PendingFlags | undefined;
	readonly instruction: RegionInstruction;
	/** Instructions of the block from this one on: not executed. */
	readonly left: number;
}

export class RegionBuilder {
	readonly #code = new FunctionBuilder(["i32", "i64"], ["i32"]);
	readonly #context: InstructionContext;
	readonly #e: StateEmitter;
	readonly #mode: Mode;
	readonly #blocks: readonly RegionBlock[];
	readonly #emitForm: EmitForm;
	readonly #registers: HotRegisters;
	readonly #ripPage: Local<"i64">;
	readonly #budget: Local<"i32">;
	readonly #target: Local<"i64">;
	readonly #status: Local<"i32">;
	readonly #exitRecord: Local<"i32">;
	#exit: Label | undefined;

	constructor(
		context: InstructionContext,
		mode: Mode,
		blocks: readonly RegionBlock[],
		emitForm: EmitForm,
	) {
		this.#context = context;
		this.#mode = mode;
		this.#blocks = blocks;
		this.#emitForm = emitForm;
		this.#e = new StateEmitter(this.#code, context);
		this.#ripPage = this.#code.param(1) as Local<"i64">;
		this.#registers = new HotRegisters(this.#code);
		this.#budget = this.#code.local("i32");
		this.#target = this.#code.local("i64");
		this.#status = this.#code.local("i32");
		this.#exitRecord = this.#code.local("i32");
	}

	build(): FunctionBuilder {
		const code = this.#code;
		this.#loadRegisters();
		code.block((exit) => {
			this.#exit = exit;
			const graph = this.#graph();
			structure(graph, code, (node, exits) => this.#emitNode(node, exits));
		});
		this.#storeRegisters();
		code.return(localGet(this.#status));
		return code;
	}

	/** Blocks are nodes by index; behind them one node for each way out by address. */
	readonly #outside: number[] = [];

	#graph(): { entry: number; successors: number[][] } {
		const index = new Map(this.#blocks.map(({ offset }, i) => [offset, i]));
		const nodeOf = (offset: number): number => {
			const known = index.get(offset);
			if (known !== undefined) return known;
			const node = this.#blocks.length + this.#outside.length;
			this.#outside.push(offset);
			index.set(offset, node);
			return node;
		};
		const successors = this.#blocks.map(({ end }) =>
			addressesOf(end).map(nodeOf),
		);
		for (const _ of this.#outside) successors.push([]);
		return { entry: 0, successors };
	}

	#emitNode(node: number, exits: Exits): void {
		const block = this.#blocks[node];
		if (block === undefined) {
			const offset = this.#outside[node - this.#blocks.length] as number;
			this.#leaveTo(offset);
		} else this.#emitBlock(block, exits);
	}

	#emitBlock(block: RegionBlock, exits: Exits): void {
		const code = this.#code;
		const mark = code.mark();
		const taken = code.local("i32");
		this.#takeBudget(block);
		const bails: Bail[] = [];
		const { instructions } = block;
		code.block((done) => {
			const labels: Label[] = [];
			const nest = (index: number): void => {
				if (index < 0) {
					this.#emitInstructions(block, labels, bails, taken);
					code.br(done);
					return;
				}
				code.block((label) => {
					labels[index] = label;
					nest(index - 1);
				});
				this.#emitBail(bails[index] as Bail);
			};
			nest(instructions.length - 1);
		});
		this.#emitEnd(block.end, exits, taken);
		code.releaseTo(mark);
	}

	/** Leaves before the block's first instruction when the budget is too small for it. */
	#takeBudget({ instructions }: RegionBlock): void {
		const first = instructions[0];
		if (first === undefined) return;
		const e = this.#e;
		const count = e.i32(instructions.length);
		const budget = this.#get(this.#budget) as I32;
		this.#code.if(expr(e.ltU(budget, count)), () =>
			this.#leaveCold(first.record),
		);
		this.#code.set(this.#budget, expr(e.sub(budget, count)));
	}

	#emitInstructions(
		{ instructions, end }: RegionBlock,
		labels: readonly Label[],
		bails: Bail[],
		taken: Local<"i32">,
	): void {
		for (const [i, instruction] of instructions.entries()) {
			const pending = this.#registers.pending;
			const isLast = i === instructions.length - 1;
			const isConditional = isLast && end.kind === "conditional";
			const bail = labels[i] as Label;
			const emitter = this.#emitter(instruction, bail, isConditional);
			bails[i] = {
				emitter,
				pending,
				instruction,
				left: instructions.length - i,
			};
			this.#emitForm(emitter, this.#form(instruction));
			if (emitter.taken) this.#code.set(taken, expr(emitter.taken));
		}
		const last = bails.at(-1);
		last?.emitter.settleFlags();
	}

	#emitter(
		instruction: RegionInstruction,
		bail: Label,
		isConditional: boolean,
	): HotEmitter {
		const record = new DataView(new ArrayBuffer(RECORD_BYTES));
		writeRecord(record, 0, 0, instruction.offset, instruction.instruction);
		return new HotEmitter(this.#code, this.#context, {
			form: this.#form(instruction),
			record,
			registers: this.#registers,
			ripPage: this.#ripPage,
			bail,
			target: this.#target,
			isConditional,
		});
	}

	#form({ instruction }: RegionInstruction) {
		const mode = this.#mode;
		const addressing = addressingOf(instruction, mode);
		return { handler: 0, example: instruction, mode, addressing };
	}

	/** The instruction was not executed: gives its budget back and leaves. */
	#emitBail({ emitter, pending, instruction, left }: Bail): void {
		emitter.settle(pending);
		const e = this.#e;
		const budget = this.#get(this.#budget) as I32;
		this.#code.set(this.#budget, expr(e.add(budget, e.i32(left))));
		this.#leaveCold(instruction.record);
	}

	#emitEnd(end: BlockEnd, exits: Exits, taken: Local<"i32">): void {
		switch (end.kind) {
			case "conditional":
				if (end.target === end.next) exits.goto(0);
				else exits.branch(localGet(taken));
				break;
			case "fall":
			case "relative":
				exits.goto(0);
				break;
			case "dynamic":
				this.#leave(STATUS_JUMP);
				break;
			case "cold":
				this.#leaveCold(end.record);
		}
	}

	/** Goes on at an offset of the page (or beyond it) through the loop. */
	#leaveTo(offset: number): void {
		const e = this.#e;
		const page = this.#get(this.#ripPage) as I64;
		const target = e.wrap(e.add(page, e.i64(offset)));
		this.#code.set(this.#target, expr(e.extendU(target)));
		this.#leave(STATUS_JUMP);
	}

	#leaveCold(record: number): void {
		this.#code.set(this.#exitRecord, expr(this.#e.i32(record)));
		this.#leave(STATUS_COLD);
	}

	#leave(status: number): void {
		this.#code.set(this.#status, expr(this.#e.i32(status)));
		this.#code.br(this.#exit as Label);
	}

	#loadRegisters(): void {
		const e = this.#e;
		const { general, flagResult, flagAux } = this.#registers;
		for (const [i, local] of general.entries()) {
			this.#code.set(local, expr(e.readState(GPR, i, 0, 4)));
		}
		this.#code.set(flagResult, expr(e.readState(FLAG_RESULT)));
		this.#code.set(flagAux, expr(e.readState(FLAG_AUX)));
		this.#code.set(this.#budget, expr(e.readState(BUDGET)));
	}

	#storeRegisters(): void {
		const e = this.#e;
		const { general, written, flagResult, flagAux } = this.#registers;
		for (const i of written) {
			const value = this.#get(general[i] as Local<"i32">) as I32;
			e.writeState(GPR, e.extendU(value), i);
		}
		e.writeState(FLAG_RESULT, this.#get(flagResult));
		e.writeState(FLAG_AUX, this.#get(flagAux));
		e.writeState(BUDGET, this.#get(this.#budget));
		e.writeState(RIP, this.#get(this.#target));
		e.writeState(REGION_EXIT, this.#get(this.#exitRecord));
	}

	#get(local: Local): Value {
		return localGet(local) as Value;
	}
}

/** Page offsets that a block goes on at, in the structurer's order: taken first. */
function addressesOf(end: BlockEnd): number[] {
	switch (end.kind) {
		case "fall":
			return [end.next];
		case "relative":
			return [end.target];
		case "conditional":
			return end.target === end.next ? [end.next] : [end.target, end.next];
		default:
			return [];
	}
}
