/**
 * Walks an expression tree and writes its instructions, operands first. Relies
 * on the node shapes and the opcode tables; the function builder calls it for
 * every statement, the module builder for global initialisers.
 *
 * @journey P:232 From tree to stack
 * The whole mystery of compiling expressions for a stack machine: write the
 * operands, left to right, then the instruction. The order is visible to
 * whoever puts a `tee` or a call into a tree; for `select` the condition comes
 * last, for an indirect call the table index does.
 */
import type { ByteWriter } from "./byte-writer.ts";
import type { Expression, ExpressionNode } from "./expression-node.ts";
import { nodeOf } from "./expression-node.ts";
import type { Locals } from "./locals.ts";
import { CONTROL_OPCODES, PREFIXED_OPCODES } from "./opcodes.ts";

/**
 * Every access is declared unaligned: x86 promises no alignment, and engines
 * ignore the hint on the machines we care about.
 */
const ALIGNMENT_HINT = 0;

/** Writes trees of one function; `locals` undefined admits no local at all. */
export class ExpressionEncoder {
	readonly #writer: ByteWriter;
	readonly #locals: Locals | undefined;

	constructor(writer: ByteWriter, locals: Locals | undefined) {
		this.#writer = writer;
		this.#locals = locals;
	}

	/** Writes the code which leaves the tree's value on the stack. */
	encode(expression: Expression): void {
		const node = nodeOf(expression);
		const writer = this.#writer;
		switch (node.kind) {
			case "local.get":
				this.#locals?.check(node.local);
				writer.byte(CONTROL_OPCODES["local.get"]);
				writer.u32(node.local.index);
				return;
			case "i32.const":
				writer.byte(CONTROL_OPCODES["i32.const"]);
				writer.s32(node.value);
				return;
			case "op":
				this.encodeAll(node.args);
				writer.code(node.op.code);
				return;
			case "load":
				this.encode(node.address);
				this.memoryAccess(node.op.code, node.offset);
				return;
			case "local.tee":
				this.encode(node.value);
				this.#locals?.check(node.local);
				writer.byte(CONTROL_OPCODES["local.tee"]);
				writer.u32(node.local.index);
				return;
			case "select":
				this.encode(node.ifTrue);
				this.encode(node.ifFalse);
				this.encode(node.condition);
				writer.byte(CONTROL_OPCODES.select);
				return;
			default:
				this.#encodeRarer(node);
		}
	}

	/** Operands in order. */
	encodeAll(args: readonly Expression[]): void {
		for (let i = 0; i < args.length; i++) this.encode(args[i] as Expression);
	}

	/** The instruction and its memory operand; shared with the stores. */
	memoryAccess(code: readonly number[], offset: number): void {
		this.#writer.code(code);
		this.#writer.u32(ALIGNMENT_HINT);
		this.#writer.u32(offset);
	}

	/** Kept apart so that the frequent cases stay small enough to inline. */
	#encodeRarer(node: ExpressionNode): void {
		const writer = this.#writer;
		switch (node.kind) {
			case "i64.const":
				writer.byte(CONTROL_OPCODES["i64.const"]);
				writer.s64(node.low, node.high);
				return;
			case "f32.const":
				writer.byte(CONTROL_OPCODES["f32.const"]);
				writer.f32(node.value);
				return;
			case "f64.const":
				writer.byte(CONTROL_OPCODES["f64.const"]);
				writer.f64(node.value);
				return;
			case "v128.const":
				writer.code(PREFIXED_OPCODES["v128.const"]);
				writer.raw(node.bytes);
				return;
			case "global.get":
				writer.byte(CONTROL_OPCODES["global.get"]);
				writer.u32(node.global.index);
				return;
			case "call":
				this.encodeAll(node.args);
				writer.byte(CONTROL_OPCODES.call);
				writer.u32(node.target.index);
				return;
			case "call_indirect":
				this.encodeAll(node.args);
				this.encode(node.tableIndex);
				writer.byte(CONTROL_OPCODES.call_indirect);
				writer.u32(node.signature.index);
				writer.u32(0);
				return;
			default:
				this.#encodeVector(node);
		}
	}

	#encodeVector(node: ExpressionNode): void {
		const writer = this.#writer;
		switch (node.kind) {
			case "lane":
				this.encodeAll(node.args);
				writer.code(node.op.code);
				writer.byte(node.laneIndex);
				return;
			case "load.lane":
				this.encode(node.address);
				this.encode(node.vector);
				this.memoryAccess(node.op.code, node.offset);
				writer.byte(node.laneIndex);
				return;
			case "shuffle":
				this.encode(node.left);
				this.encode(node.right);
				writer.code(PREFIXED_OPCODES["i8x16.shuffle"]);
				writer.raw(node.lanes);
				return;
			default:
				throw new Error(`not an expression: ${node.kind}`);
		}
	}
}
