/**
 * Writes the body of one function, statement by statement, straight into
 * bytes. Relies on the expression encoder and the locals; the x86 emitters and
 * the structurer write all generated code through it, and the module builder
 * takes the finished body.
 *
 * @journey P:235 Code as a sequence
 * Expressions say what a value is; the calls on this builder say what happens,
 * in the order of the calls. Control flow nests by callback, just as blocks
 * nest in WebAssembly, so an unclosed block cannot be written. There are no
 * jumps to anywhere: a label is the way *out* of a block (or back to the top
 * of a loop), and it dies with the block.
 */
import { ByteWriter } from "./byte-writer.ts";
import { i32Value } from "./constant.ts";
import {
	checkLane,
	checkOffset,
	checkType,
	checkTypes,
	type Expression,
} from "./expression.ts";
import { ExpressionEncoder } from "./expression-encoder.ts";
import { nodeOf } from "./expression-node.ts";
import { Locals, type LocalsMark } from "./locals.ts";
import type {
	MemoryOp,
	StoreLaneOpName,
	StoreOpName,
	ValueType,
} from "./opcodes.ts";
import {
	CONTROL_OPCODES,
	PREFIXED_OPCODES,
	STORE_LANE_OPCODES,
	STORE_OPCODES,
} from "./opcodes.ts";
import type {
	FunctionRef,
	FunctionType,
	GlobalRef,
	Local,
} from "./references.ts";
import { truthOf } from "./simplify.ts";

/** A block's end or a loop's start, as the target of a branch from inside. */
export interface Label {
	/** How many labels were open around it. */
	readonly depth: number;
	/** Branches to it are rarely taken. */
	readonly isRare: boolean;
	/** Whether anything branches to it (so far). */
	used?: boolean;
}

/** How often a way is taken: engines lay what is rare aside, and keep its needs from what is not. */
export type Frequency = "usual" | "rare";

/** The block type of a block that takes nothing and leaves nothing. */
const EMPTY_BLOCK_TYPE = 0x40;

/** One function under construction; good for one module and one function. */
export class FunctionBuilder {
	readonly params: readonly ValueType[];
	readonly results: readonly ValueType[];
	readonly #code: ByteWriter;
	readonly #locals: Locals;
	readonly #encoder: ExpressionEncoder;
	/** Where in the code branches are that are rarely taken. */
	#rare: number[] = [];
	/** Open blocks, outermost first; undefined for an `if`, which has no label. */
	readonly #open: (Label | undefined)[] = [];

	/** `capacity`: bytes of code expected; more cost a copy. */
	constructor(
		params: readonly ValueType[],
		results: readonly ValueType[],
		capacity = 1024,
	) {
		this.#code = new ByteWriter(capacity);
		this.params = params;
		this.results = results;
		this.#locals = new Locals(params);
		this.#encoder = new ExpressionEncoder(this.#code, this.#locals);
	}

	/** Bytes of code so far, for callers which cut overlong functions in two. */
	get codeLength(): number {
		return this.#code.length;
	}

	/** Parameter number `index`. */
	param(index: number): Local {
		return this.#locals.param(index);
	}

	/** A variable with an *arbitrary* value: slots are used again, not zeroed. */
	local<T extends ValueType>(type: T): Local<T> {
		return this.#locals.allocate(type);
	}

	/** A variable that lives to the function's end, whatever scope is open. */
	lasting<T extends ValueType>(type: T): Local<T> {
		return this.#locals.allocateLasting(type);
	}

	/**
	 * Writes code that runs before everything written so far: what a function's
	 * entry has to do is known when its body is. No block may be open.
	 */
	atStart(body: () => void): void {
		if (this.#open.length !== 0) throw new Error("atStart: a block is open");
		const length = this.#code.length;
		const rare = this.#rare;
		this.#rare = [];
		body();
		const added = this.#code.length - length;
		const before = this.#rare.map((at) => at - length);
		this.#rare = [...before, ...rare.map((at) => at + added)];
		this.#code.rotate(length);
	}

	/** Ends a local; emitting a tree which still mentions it throws. */
	release(local: Local): void {
		this.#locals.release(local);
	}

	/** Opens a scope of locals. */
	mark(): LocalsMark {
		return this.#locals.mark();
	}

	/** Releases every local allocated since the mark. */
	releaseTo(mark: LocalsMark): void {
		this.#locals.releaseTo(mark);
	}

	/** Assigns a local; assigning it to itself writes nothing. */
	set(local: Local, value: Expression): void {
		checkType("local.set", local.type, value);
		this.#locals.check(local);
		const node = nodeOf(value);
		if (node.kind === "local.get" && node.local === local) return;
		this.#encoder.encode(value);
		this.#code.byte(CONTROL_OPCODES["local.set"]);
		this.#code.u32(local.index);
	}

	/** Assigns all results of a call, the first to the first local. */
	setResults(locals: readonly Local[], callExpression: Expression): void {
		const node = nodeOf(callExpression);
		const isCall = node.kind === "call" || node.kind === "call_indirect";
		const types = locals.map((local) => local.type);
		if (!isCall || node.results.join() !== types.join()) {
			throw new Error(`setResults: not a call that returns (${types.join()})`);
		}
		this.#encoder.encode(callExpression);
		// The last result is on top of the stack.
		for (const local of [...locals].reverse()) {
			this.#locals.check(local);
			this.#code.byte(CONTROL_OPCODES["local.set"]);
			this.#code.u32(local.index);
		}
	}

	/** Assigns a mutable global. */
	globalSet(global: GlobalRef, value: Expression): void {
		checkType("global.set", global.type, value);
		if (!global.mutable) throw new Error("global.set: the global is constant");
		this.#encoder.encode(value);
		this.#code.byte(CONTROL_OPCODES["global.set"]);
		this.#code.u32(global.index);
	}

	/** Writes memory; `offset` is added without wrapping, as for loads. */
	store(
		name: StoreOpName,
		address: Expression,
		value: Expression,
		offset = 0,
	): void {
		const entry: MemoryOp = STORE_OPCODES[name];
		checkType(name, "i32", address);
		checkType(name, entry.type, value);
		checkOffset(name, offset);
		this.#encoder.encode(address);
		this.#encoder.encode(value);
		this.#encoder.memoryAccess(entry.code, offset);
	}

	/** Writes one lane of a vector to memory. */
	storeLane(
		name: StoreLaneOpName,
		laneIndex: number,
		address: Expression,
		vector: Expression,
		offset = 0,
	): void {
		const entry = STORE_LANE_OPCODES[name];
		checkTypes(name, ["i32", "v128"], [address, vector]);
		checkLane(name, laneIndex, entry.lanes);
		checkOffset(name, offset);
		this.#encoder.encode(address);
		this.#encoder.encode(vector);
		this.#encoder.memoryAccess(entry.code, offset);
		this.#code.byte(laneIndex);
	}

	/** Computes a value for its effects: a trap, a tee, a call. */
	drop(value: Expression): void {
		this.#encoder.encode(value);
		this.#code.byte(CONTROL_OPCODES.drop);
	}

	/** Makes a call for its effects, dropping however many results it has. */
	evaluate(callExpression: Expression): void {
		const node = nodeOf(callExpression);
		if (node.kind !== "call" && node.kind !== "call_indirect") {
			throw new Error(`evaluate: takes a call, got ${node.kind}`);
		}
		this.#encoder.encode(callExpression);
		for (const _ of node.results) this.#code.byte(CONTROL_OPCODES.drop);
	}

	/** Code which a branch to the label leaves at its end, as often as is said. */
	block(body: (label: Label) => void, branches: Frequency = "usual"): void {
		this.#nested(CONTROL_OPCODES.block, body, branches);
	}

	/** Code which a branch to the label starts anew; its end is left as usual. */
	loop(body: (label: Label) => void): void {
		this.#nested(CONTROL_OPCODES.loop, body, "usual");
	}

	/** Of a constant condition, only the side which will run is written; `holds` says how often that is the first. */
	if(
		condition: Expression,
		then: () => void,
		otherwise?: () => void,
		holds: Frequency = "usual",
	): void {
		checkType("if", "i32", condition);
		const known = i32Value(condition);
		if (known !== undefined) {
			if (known !== 0) then();
			else otherwise?.();
			return;
		}
		this.#encoder.encode(truthOf(condition));
		if (holds === "rare") this.#rare.push(this.#code.length);
		this.#code.byte(CONTROL_OPCODES.if);
		this.#code.byte(EMPTY_BLOCK_TYPE);
		this.#open.push(undefined);
		then();
		if (otherwise !== undefined) {
			this.#code.byte(CONTROL_OPCODES.else);
			otherwise();
		}
		this.#close();
	}

	/** Leaves the label's block, or repeats its loop. */
	br(label: Label): void {
		const relativeDepth = this.#relativeDepth(label);
		this.#code.byte(CONTROL_OPCODES.br);
		this.#code.u32(relativeDepth);
	}

	/** Branches if the condition is not zero. */
	brIf(label: Label, condition: Expression): void {
		checkType("br_if", "i32", condition);
		const known = i32Value(condition);
		if (known !== undefined) {
			if (known !== 0) this.br(label);
			return;
		}
		const relativeDepth = this.#relativeDepth(label);
		this.#encoder.encode(truthOf(condition));
		if (label.isRare) this.#rare.push(this.#code.length);
		this.#code.byte(CONTROL_OPCODES.br_if);
		this.#code.u32(relativeDepth);
	}

	/** Branches to `labels[index]`, or to the default beyond their number. */
	brTable(
		labels: readonly Label[],
		defaultLabel: Label,
		index: Expression,
	): void {
		checkType("br_table", "i32", index);
		this.#encoder.encode(index);
		this.#code.byte(CONTROL_OPCODES.br_table);
		this.#code.u32(labels.length);
		for (const label of labels) this.#code.u32(this.#relativeDepth(label));
		this.#code.u32(this.#relativeDepth(defaultLabel));
	}

	/** Leaves the function with these results. */
	return(...values: Expression[]): void {
		checkTypes("return", this.results, values);
		this.#encoder.encodeAll(values);
		this.#code.byte(CONTROL_OPCODES.return);
	}

	/** Leaves the function *before* calling: the stack does not grow. */
	returnCall(target: FunctionRef, ...args: Expression[]): void {
		checkTypes(`return_call ${target.name}`, target.type.params, args);
		this.#checkTailResults(target.type);
		this.#encoder.encodeAll(args);
		this.#code.byte(CONTROL_OPCODES.return_call);
		this.#code.u32(target.index);
	}

	/** Tail call of entry `tableIndex` of table 0. */
	returnCallIndirect(
		signature: FunctionType,
		tableIndex: Expression,
		...args: Expression[]
	): void {
		checkTypes("return_call_indirect", signature.params, args);
		checkType("return_call_indirect index", "i32", tableIndex);
		this.#checkTailResults(signature);
		this.#encoder.encodeAll(args);
		this.#encoder.encode(tableIndex);
		this.#code.byte(CONTROL_OPCODES.return_call_indirect);
		this.#code.u32(signature.index);
		this.#code.u32(0);
	}

	/** Traps: for what the generator can prove never happens. */
	unreachable(): void {
		this.#code.byte(CONTROL_OPCODES.unreachable);
	}

	/** Copies within memory as if through a buffer, like memmove. */
	memoryCopy(
		destination: Expression,
		source: Expression,
		length: Expression,
	): void {
		const args = [destination, source, length];
		checkTypes("memory.copy", ["i32", "i32", "i32"], args);
		this.#encoder.encodeAll(args);
		this.#code.code(PREFIXED_OPCODES["memory.copy"]);
		// Twice memory number 0.
		this.#code.byte(0);
		this.#code.byte(0);
	}

	/** Sets `length` bytes to the low byte of `value`. */
	memoryFill(
		destination: Expression,
		value: Expression,
		length: Expression,
	): void {
		const args = [destination, value, length];
		checkTypes("memory.fill", ["i32", "i32", "i32"], args);
		this.#encoder.encodeAll(args);
		this.#code.code(PREFIXED_OPCODES["memory.fill"]);
		this.#code.byte(0);
	}

	/** Writes declarations and code as the module's code section wants them; returns where from the declarations on rare branches are. */
	encodeBody(writer: ByteWriter): readonly number[] {
		if (this.#open.length !== 0) {
			throw new Error("the function is finished inside one of its blocks");
		}
		const declarations = new ByteWriter(16);
		this.#locals.encodeDeclarations(declarations);
		// Control does not reach the end of a function with results (it would
		// have nothing to return), but only this tells the validator so.
		const isOpenEnded = this.results.length > 0;
		const tailLength = isOpenEnded ? 2 : 1;
		writer.u32(declarations.length + this.#code.length + tailLength);
		writer.raw(declarations.view());
		writer.raw(this.#code.view());
		if (isOpenEnded) writer.byte(CONTROL_OPCODES.unreachable);
		writer.byte(CONTROL_OPCODES.end);
		return this.#rare.map((at) => declarations.length + at);
	}

	#nested(
		opcode: number,
		body: (label: Label) => void,
		branches: Frequency,
	): void {
		const isRare = branches === "rare";
		const label: Label = { depth: this.#open.length, isRare };
		this.#code.byte(opcode);
		this.#code.byte(EMPTY_BLOCK_TYPE);
		this.#open.push(label);
		body(label);
		this.#close();
	}

	#close(): void {
		this.#open.pop();
		this.#code.byte(CONTROL_OPCODES.end);
	}

	#relativeDepth(label: Label): number {
		if (this.#open[label.depth] !== label) {
			throw new Error("branch to a label outside its block");
		}
		label.used = true;
		return this.#open.length - 1 - label.depth;
	}

	#checkTailResults(type: FunctionType): void {
		if (type.results.join() !== this.results.join()) {
			throw new Error(
				`tail call: callee returns (${type.results.join()}), not (${this.results.join()})`,
			);
		}
	}
}
