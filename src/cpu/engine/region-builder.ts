/**
 * Generates one region as a WebAssembly function:
 * (record, RIP of the page's start) → status.
 *
 * What the region uses is loaded into locals on entry. Every way out notes
 * where to go on and branches to one shared exit, which stores what the region
 * may have changed. Most of them give an instruction back to the cold engine, so
 * those share one more step before it, and are a number each (`cold-exit.ts`).
 * Blocks count their instructions off the budget; whether enough is left is asked
 * on entry and where loops begin again, for the region as a whole: when it is
 * not, the cold engine does the last few one by one.
 *
 * @journey E:740 A region, written
 */

import { i32Const, load, localGet } from "../../wasm/expression.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import type { Local } from "../../wasm/references.ts";
import { type Exits, structure } from "../../wasm/structurer.ts";
import type { OpcodeRow } from "../decode/instruction.ts";
import { type Mode, modeCodeSize } from "../mode.ts";
import type { I32, I64, Integer, Value } from "../semantics/emitter.ts";
import { BUDGET, GPR, REGION_EXIT, RIP, XMM } from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { packColdExit, pageDistance, unpackColdExit } from "./cold-exit.ts";
import type { EmitForm } from "./cold-loop.ts";
import { nodesBehindSteps } from "./flag-flow.ts";
import { addressingOf } from "./form.ts";
import { HotEmitter, type RegionContext } from "./hot-emitter.ts";
import { type FlagState, HotFlags } from "./hot-flags.ts";
import { HotRegisters } from "./hot-registers.ts";
import { RECORD_BYTES, RECORD_PAGE_OFFSET, writeRecord } from "./record.ts";
import type { RegionBlock, RegionInstruction, RegionShape } from "./region.ts";
import { type RegionGraph, regionGraph } from "./region-graph.ts";
import { StateEmitter } from "./state-emitter.ts";
import { STATUS_COLD, STATUS_JUMP, STATUS_STOP } from "./status.ts";
import {
	loopsOf,
	nodesOfSmallLoops,
	scatteredMemos,
	steadyBases,
} from "./steady-bases.ts";

const PAGE = 4096;
/** Code that most instructions come to. */
const USUAL_INSTRUCTION_BYTES = 96;

/** Names a way out by a branch, for learning where it leads: 0 = nobody asks. */
export type NameExit = (offset: number) => number;

/** An instruction as left in the middle of a block. */
interface Bail {
	readonly instruction: RegionInstruction;
	/** Instructions of the block from this one on: not executed. */
	readonly left: number;
}

export class RegionBuilder {
	readonly #code: FunctionBuilder;
	/** Of the instruction being generated. */
	readonly #recordWords = new Int32Array(RECORD_BYTES / 4);
	readonly #record = new DataView(this.#recordWords.buffer);
	readonly #context: RegionContext;
	readonly #e: StateEmitter;
	readonly #mode: Mode;
	readonly #shape: RegionShape;
	readonly #graph: RegionGraph;
	readonly #emitForm: EmitForm;
	readonly #nameExit: NameExit;
	readonly #registers: HotRegisters;
	readonly #flags: HotFlags;
	readonly #long: boolean;
	readonly #ripPage: Local<"i64">;
	readonly #budget: Local<"i32">;
	readonly #target: Local<"i64">;
	readonly #status: Local<"i32">;
	/** Record to go on at, or name of the exit. */
	readonly #exitNote: Local<"i32">;
	readonly #behindSteps: ReadonlySet<number>;
	readonly #steady: readonly number[];
	readonly #scattered: readonly number[];
	readonly #inSmallLoops: ReadonlySet<number>;
	/** The node being generated. */
	#node = 0;
	/** By block: what is known about the flags behind it. */
	readonly #flagsBehind = new Map<number, FlagState>();
	/** By block: the checks made on every way to its end. */
	readonly #ensuredBehind = new Map<number, Set<string>>();
	/** The same, so far. */
	#ensured = new Set<string>();
	#exit: Label | undefined;
	#coldExit: Label | undefined;

	constructor(
		context: RegionContext,
		mode: Mode,
		shape: RegionShape,
		emitForm: EmitForm,
		nameExit: NameExit,
	) {
		const capacity = shape.instructions * USUAL_INSTRUCTION_BYTES + 1024;
		this.#code = new FunctionBuilder(["i32", "i64"], ["i32"], capacity);
		this.#context = context;
		this.#mode = mode;
		this.#shape = shape;
		this.#graph = regionGraph(shape.blocks);
		this.#behindSteps = nodesBehindSteps(this.#graph);
		const loops = loopsOf(this.#graph);
		this.#steady = steadyBases(this.#graph, loops);
		this.#scattered = scatteredMemos(this.#graph, loops);
		this.#inSmallLoops = nodesOfSmallLoops(loops);
		this.#emitForm = emitForm;
		this.#nameExit = nameExit;
		this.#e = new StateEmitter(this.#code, context);
		this.#ripPage = this.#code.param(1) as Local<"i64">;
		this.#long = modeCodeSize(mode) === 64;
		this.#registers = new HotRegisters(
			...([this.#code, this.#long, loadsSegments(shape)] as const),
		);
		this.#flags = new HotFlags(this.#code, this.#long, context.settle);
		this.#budget = this.#code.local("i32");
		this.#target = this.#code.local("i64");
		this.#status = this.#code.local("i32");
		this.#exitNote = this.#code.local("i32");
	}

	build(): FunctionBuilder {
		const code = this.#code;
		code.block((exit) => {
			this.#exit = exit;
			code.block((coldExit) => {
				this.#coldExit = coldExit;
				structure(this.#graph, code, (node, exits) =>
					this.#emitNode(node, exits),
				);
			});
			this.#emitColdExit();
		});
		this.#storeState();
		code.return(localGet(this.#status));
		code.atStart(() => this.#loadState());
		return code;
	}

	#emitNode(node: number, exits: Exits): void {
		const content = this.#graph.nodes[node];
		switch (content?.kind) {
			case "block":
				this.#emitBlock(content.block, node, exits);
				break;
			case "compare":
				this.#emitCompare(content.target, exits);
				break;
			case "leave":
				this.#leaveTo(content.offset, content.from);
				break;
			case "leave-dynamic":
				this.#setNote(this.#nameExit(content.from));
				this.#leave(STATUS_JUMP);
		}
	}

	/** Goes to successor 0 if the dynamic target is the place at `offset`. */
	#emitCompare(offset: number, exits: Exits): void {
		const e = this.#e;
		const target = this.#get(this.#target) as I64;
		const page = this.#get(this.#ripPage) as I64;
		const isThere = this.#long
			? e.eq(e.sub(target, page), e.i64(offset))
			: e.eq(e.sub(e.wrap(target), e.wrap(page)), e.i32(offset));
		exits.branch(expr(isThere));
	}

	#emitBlock(block: RegionBlock, node: number, exits: Exits): void {
		const code = this.#code;
		this.#node = node;
		const mark = code.mark();
		const taken = code.local("i32");
		this.#takeBudget(
			block,
			node === this.#graph.entry || this.#graph.loops.has(node),
		);
		const bails: Bail[] = [];
		const { instructions } = block;
		this.#registers.forgetLowBytes();
		this.#ensured = this.#ensuredBefore(node);
		let behind: FlagState = this.#flagsBefore(node);
		code.block((done) => {
			const labels: Label[] = [];
			const nest = (index: number): void => {
				if (index < 0) {
					behind = this.#emitInstructions(block, labels, bails, taken, behind);
					code.br(done);
					return;
				}
				code.block((label) => {
					labels[index] = label;
					nest(index - 1);
				}, "rare");
				if (labels[index]?.used) this.#emitBail(bails[index] as Bail);
			};
			nest(instructions.length - 1);
		});
		this.#flagsBehind.set(node, behind);
		this.#ensuredBehind.set(node, this.#ensured);
		this.#emitEnd(block, exits, taken);
		code.releaseTo(mark);
	}

	/** What the only block before this one knew; with several, the note is in the locals. */
	#flagsBefore(node: number): FlagState {
		const before = this.#graph.onlyPredecessor[node];
		const known =
			before === undefined ? undefined : this.#flagsBehind.get(before);
		return known ?? (this.#behindSteps.has(node) ? "saved" : "plain");
	}

	/** What the only block before this one ensured; nothing where there are several. */
	#ensuredBefore(node: number): Set<string> {
		const before = this.#graph.onlyPredecessor[node] ?? -1;
		return new Set(this.#ensuredBehind.get(before));
	}

	/** Leaves before a checked block's first instruction when little is left. */
	#takeBudget({ instructions }: RegionBlock, checked: boolean): void {
		const first = instructions[0];
		if (first === undefined) return;
		const e = this.#e;
		const budget = this.#get(this.#budget) as I32;
		if (checked) {
			const most = e.i32(this.#shape.instructions);
			const leave = () => this.#leaveCold(first, 0);
			this.#code.if(expr(e.ltU(budget, most)), leave, undefined, "rare");
		}
		const count = e.i32(instructions.length);
		this.#code.set(this.#budget, expr(e.sub(budget, count)));
	}

	/** What is known about the flags behind the last. */
	#emitInstructions(
		{ instructions, end }: RegionBlock,
		labels: readonly Label[],
		bails: Bail[],
		taken: Local<"i32">,
		before: FlagState,
	): FlagState {
		let flagState = before;
		for (const [i, instruction] of instructions.entries()) {
			const left = instructions.length - i;
			const isConditional = left === 1 && end.kind === "conditional";
			const bail = labels[i] as Label;
			if (instruction.instruction.rep !== "none") flagState = "saved";
			bails[i] = { instruction, left };
			// Temporaries end with their instruction: V8 merges every local at
			// every label, so each costs at each way out.
			const mark = this.#code.mark();
			flagState = this.#emitInstruction(
				instruction,
				{ bail, left, isConditional, flagState },
				taken,
			);
			this.#code.releaseTo(mark);
		}
		return flagState;
	}

	/** REP is a loop of steps; the others run once. */
	#emitInstruction(
		instruction: RegionInstruction,
		place: {
			bail: Label;
			left: number;
			isConditional: boolean;
			flagState: FlagState;
		},
		taken: Local<"i32">,
	): FlagState {
		const { code } = this.#e;
		let flagState = place.flagState;
		const emit = (repeat: () => void) => {
			const emitter = this.#emitter(instruction, place, repeat);
			this.#emitForm(emitter, this.#form(instruction));
			if (emitter.taken) code.set(taken, expr(emitter.taken));
			flagState = emitter.flagState;
		};
		if (instruction.instruction.rep === "none") {
			emit(() => {
				throw new Error("repeats without REP");
			});
			return flagState;
		}
		this.#registers.forgetLowBytes();
		code.loop((again) => {
			emit(() => this.#repeat(instruction, place.left, again));
		});
		return "saved";
	}

	/**
	 * Another step counts as another instruction. What was found to be enough for
	 * the rest of the region must stay so: the last steps of a slice are the cold
	 * engine's.
	 */
	#repeat(instruction: RegionInstruction, left: number, again: Label): void {
		const e = this.#e;
		const budget = this.#get(this.#budget) as I32;
		const most = e.i32(this.#shape.instructions);
		const leave = () => this.#leaveCold(instruction, left - 1);
		this.#code.if(expr(e.leU(budget, most)), leave, undefined, "rare");
		this.#code.set(this.#budget, expr(e.sub(budget, e.i32(1))));
		this.#code.br(again);
	}

	#emitter(
		instruction: RegionInstruction,
		place: {
			bail: Label;
			left: number;
			isConditional: boolean;
			flagState: FlagState;
		},
		repeat: () => void,
	): HotEmitter {
		const record = this.#record;
		const { offset } = instruction;
		const inPage = offset & (PAGE - 1);
		writeRecord(this.#recordWords, 0, 0, inPage, instruction.instruction);
		const behind = place.left - 1;
		return new HotEmitter(this.#code, this.#context, {
			form: this.#form(instruction),
			record,
			distance: offset - inPage,
			steady: this.#steady[this.#node] ?? 0,
			scattered: this.#scattered[this.#node] ?? 0,
			inSmallLoop: this.#inSmallLoops.has(this.#node),
			registers: this.#registers,
			ensured: this.#ensured,
			flags: this.#flags,
			flagState: place.flagState,
			ripPage: this.#ripPage,
			budget: this.#budget,
			behind,
			bail: place.bail,
			target: this.#target,
			isConditional: place.isConditional,
			repeat,
			stop: () => {
				this.#giveBack(behind);
				this.#setTarget(offset + instruction.instruction.lengthBytes);
				this.#leave(STATUS_STOP);
			},
		});
	}

	#form({ instruction }: RegionInstruction) {
		const mode = this.#mode;
		const addressing = addressingOf(instruction, mode);
		return { handler: 0, example: instruction, mode, addressing };
	}

	/** The instruction was not executed: it is the cold engine's. */
	#emitBail({ instruction, left }: Bail): void {
		this.#leaveCold(instruction, left);
	}

	#giveBack(instructions: number): void {
		const e = this.#e;
		const budget = this.#get(this.#budget) as I32;
		this.#code.set(this.#budget, expr(e.add(budget, e.i32(instructions))));
	}

	#emitEnd({ end }: RegionBlock, exits: Exits, taken: Local<"i32">): void {
		switch (end.kind) {
			case "conditional":
				if (end.target === end.next) exits.goto(0);
				else exits.branch(localGet(taken));
				break;
			case "cold":
				this.#leaveCold(end, 0);
				break;
			default:
				exits.goto(0);
		}
	}

	/** Goes on at an offset outside the region, through the loop. */
	#leaveTo(offset: number, from: number): void {
		this.#setTarget(offset);
		this.#setNote(this.#nameExit(from));
		this.#leave(STATUS_JUMP);
	}

	/** Leaves before an instruction, and gives back the budget of those `left` of its block. */
	#leaveCold(
		{ offset, record }: { offset: number; record: number },
		left: number,
	): void {
		const distance = offset - (offset & (PAGE - 1));
		const page = this.#shape.pages.findIndex((p) => p.distance === distance);
		this.#setNote(packColdExit({ record, left, page }));
		this.#code.br(this.#coldExit as Label);
	}

	/** What all those ways out have in common: budget, RIP and record from the number. */
	#emitColdExit(): void {
		const e = this.#e;
		const exit = unpackColdExit(e, this.#get(this.#exitNote) as I32);
		const record = e.let(exit.record);
		const region = localGet(this.#code.param(0));
		const distance = pageDistance(e, region as Value as I32, exit.page);
		const budget = this.#get(this.#budget) as I32;
		this.#code.set(this.#budget, expr(e.add(budget, exit.left)));
		const inPage = load("i32.load16_u", expr(record), RECORD_PAGE_OFFSET);
		const offset = e.extendS(e.add(distance, inPage as I32));
		this.#setTargetAt(offset);
		this.#code.set(this.#exitNote, expr(record));
		this.#code.set(this.#status, i32Const(STATUS_COLD));
	}

	#setTarget(offset: number): void {
		this.#setTargetAt(this.#e.i64(offset));
	}

	#setTargetAt(offset: I64): void {
		const e = this.#e;
		const rip = e.add(this.#get(this.#ripPage) as I64, offset);
		const target = this.#long ? rip : e.extendU(e.wrap(rip));
		this.#code.set(this.#target, expr(target));
	}

	#setNote(note: number): void {
		this.#code.set(this.#exitNote, expr(this.#e.i32(note)));
	}

	#leave(status: number): void {
		this.#code.set(this.#status, expr(this.#e.i32(status)));
		this.#code.br(this.#exit as Label);
	}

	#loadState(): void {
		const e = this.#e;
		const { used, vectors, invariants, notes } = this.#registers;
		const bytes = this.#registers.width / 8;
		for (const index of used) {
			const local = this.#registers.read(index);
			this.#code.set(local, expr(e.readState(GPR, index, 0, bytes)));
		}
		for (const [index, local] of vectors) {
			this.#code.set(local, expr(e.readState(XMM, index)));
		}
		for (const { local, offset, size } of [...invariants, ...notes]) {
			const at = this.#context.stateBase + offset;
			const name = size === 8 ? "i64.load" : NARROW_LOADS[size];
			this.#code.set(local, load(name as "i32.load", expr(e.i32(0)), at));
		}
		this.#flags.enter(e);
		this.#code.set(this.#budget, expr(e.readState(BUDGET)));
	}

	#storeState(): void {
		const e = this.#e;
		for (const index of this.#registers.written) {
			const value = this.#get(this.#registers.read(index)) as Integer;
			e.writeState(GPR, e.toWidth(64, value), index);
		}
		for (const index of this.#registers.vectorsWritten) {
			const value = this.#get(this.#registers.readVector(index));
			e.writeState(XMM, value, index);
		}
		for (const { local, offset, size } of this.#registers.notes) {
			const store = size === 8 ? "i64.store" : "i32.store";
			const at = this.#context.stateBase + offset;
			this.#code.store(store, expr(e.i32(0)), localGet(local), at);
		}
		this.#flags.settleToState(e);
		e.writeState(BUDGET, this.#get(this.#budget));
		e.writeState(RIP, this.#get(this.#target));
		e.writeState(REGION_EXIT, this.#get(this.#exitNote));
	}

	#get(local: Local): Value {
		return localGet(local) as Value;
	}
}

/** Whether some instruction loads a segment register. */
function loadsSegments({ blocks }: RegionShape): boolean {
	return blocks.some(({ instructions }) =>
		instructions.some(({ instruction }) => isSegmentLoad(instruction.row)),
	);
}

/** MOV and POP into one, and LDS to LGS. */
export function isSegmentLoad({ mnemonic, operands }: OpcodeRow): boolean {
	if (FAR_LOADS.has(mnemonic)) return true;
	const isMove = mnemonic === "MOV" || mnemonic === "POP";
	return isMove && SEGMENT_OPERANDS.has(operands[0] ?? "");
}

const FAR_LOADS = new Set(["LDS", "LES", "LFS", "LGS", "LSS"]);
const SEGMENT_OPERANDS = new Set(["Sw", "DS", "ES", "FS", "GS", "SS"]);

const NARROW_LOADS: Readonly<Record<number, string>> = {
	1: "i32.load8_u",
	2: "i32.load16_u",
	4: "i32.load",
};
