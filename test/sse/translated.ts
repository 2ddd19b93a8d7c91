/**
 * One SSE instruction as our CPU executes it: its cold handler alone, compiled
 * from the semantics, over a state of its own.
 */

import { decode } from "../../src/cpu/decode/decoder.ts";
import type { Instruction } from "../../src/cpu/decode/instruction.ts";
import { ALL_FEATURES } from "../../src/cpu/decode/opcode-table.ts";
import { expr } from "../../src/cpu/engine/arithmetic-emitter.ts";
import {
	ColdEmitter,
	type Continuation,
} from "../../src/cpu/engine/cold-emitter.ts";
import { addressingOf, formKey } from "../../src/cpu/engine/form.ts";
import type { InstructionContext } from "../../src/cpu/engine/instruction-emitter.ts";
import {
	importedKernels,
	KernelModule,
} from "../../src/cpu/engine/kernel-module.ts";
import { writeRecord } from "../../src/cpu/engine/record.ts";
import { StateEmitter } from "../../src/cpu/engine/state-emitter.ts";
import { KERNELS } from "../../src/cpu/float/index.ts";
import { STATE_BASE } from "../../src/cpu/memory-layout.ts";
import { MODE_FLAT, makeMode } from "../../src/cpu/mode.ts";
import type { I32 } from "../../src/cpu/semantics/emitter.ts";
import { semanticsOf } from "../../src/cpu/semantics/index.ts";
import { i32Const, localGet } from "../../src/wasm/expression.ts";
import { FunctionBuilder } from "../../src/wasm/function-builder.ts";
import { ModuleBuilder } from "../../src/wasm/module-builder.ts";

/** State of one vCPU and a record behind it. */
export const memory = new WebAssembly.Memory({ initial: 2 });
const RECORD_AT = 0xf000;
const HANDLER = 5;
const kernels = new KernelModule(memory, KERNELS);

/** Runs the instruction once on the state in `memory`; the engine's status. */
export type Handler = () => number;

type Compiled = (record: number, rip: bigint) => number;
const MODE = makeMode(64, 64, false) | MODE_FLAT;
/** Handlers by form: immediates are the record's business. */
const compiled = new Map<number, Compiled>();

/** The handler of the instruction in `code` (64-bit mode). */
export function translate(code: Uint8Array): Handler {
	const bytes = new Uint8Array(32);
	bytes.set(code);
	const mode = { codeSize: 64, features: ALL_FEATURES } as const;
	const instruction = decode(bytes, 0, bytes.length, mode);
	if (typeof instruction === "string") throw new Error(instruction);
	if (instruction.lengthBytes !== code.length) throw new Error("length");
	const key = formKey(instruction, MODE);
	const handler = compiled.get(key) ?? compile(instruction);
	compiled.set(key, handler);
	const words = new Int32Array(memory.buffer);
	return () => {
		writeRecord(words, RECORD_AT, HANDLER, 0, instruction);
		return handler(RECORD_AT, 0n);
	};
}

function compile(instruction: Instruction): Compiled {
	const semantics = semanticsOf(instruction.row.mnemonic);
	if (semantics === undefined) throw new Error("no semantics");
	const module = new ModuleBuilder();
	module.importMemory("cpu", "memory", { minPages: 1 });
	const builder = new FunctionBuilder(["i32", "i64"], ["i32"]);
	const form = {
		handler: HANDLER,
		example: instruction,
		mode: MODE,
		addressing: addressingOf(instruction, MODE),
	};
	const context = declareImports(module);
	const e = new ColdEmitter(builder, context, form, continuation(builder));
	semantics(e, e.form());
	builder.return(i32Const(0));
	const ref = module.declareFunction(["i32", "i64"], ["i32"], "handler");
	module.defineFunction(ref, builder);
	module.exportFunction("handler", ref);
	const imports = {
		cpu: { memory, translate: () => 0, commit: () => {} },
		kernel: kernels.functions([...KERNELS.keys()]),
	};
	const wasm = new WebAssembly.Module(module.toBytes());
	const { exports } = new WebAssembly.Instance(wasm, imports);
	return exports.handler as Compiled;
}

/** Register instructions call kernels only; the rest must be there and does nothing. */
function declareImports(module: ModuleBuilder): InstructionContext {
	const four = ["i32", "i32", "i32", "i32"] as const;
	const nothing = module.importFunction("cpu", "translate", four, ["i32"]);
	return {
		stateBase: STATE_BASE,
		translate: nothing,
		checkSegment: nothing,
		system: nothing,
		writeAcross: () => nothing,
		commit: module.importFunction("cpu", "commit", [], []),
		kernel: importedKernels(module, KERNELS),
	};
}

/** The status is 0 at the end, something else after a fault. */
function continuation(builder: FunctionBuilder): Continuation {
	const end = () => builder.return(i32Const(0));
	return {
		record: builder.param(0) as Continuation["record"],
		ripPage: builder.param(1) as Continuation["ripPage"],
		bail: undefined,
		jump: end,
		jumpRelative: end,
		repeat: end,
		stop: end,
		leave: (status) => builder.return(expr(status)),
	};
}

const stateCode = flagAccess();

/** The arithmetic flags as PUSHF would show them, IF set. */
export function flags(): number {
	// Bit 1, always set, belongs to the part that is not lazy.
	return stateCode.read() | 2;
}

export function setFlags(image: number): void {
	stateCode.write(image);
}

/** The lazy flags' own code, so that this file knows nothing of their form. */
function flagAccess(): { read(): number; write(image: number): void } {
	const module = new ModuleBuilder();
	module.importMemory("cpu", "memory", { minPages: 1 });
	const context = {
		stateBase: STATE_BASE,
		kernel: () => {
			throw new Error("no kernels here");
		},
	};
	const read = new FunctionBuilder([], ["i32"]);
	read.return(expr(new StateEmitter(read, context).readEflags()));
	const write = new FunctionBuilder(["i32"], []);
	const e = new StateEmitter(write, context);
	e.writeEflags(localGet(write.param(0)) as unknown as I32, e.i32(-1));
	const readRef = module.declareFunction([], ["i32"], "read");
	const writeRef = module.declareFunction(["i32"], [], "write");
	module.defineFunction(readRef, read);
	module.defineFunction(writeRef, write);
	module.exportFunction("read", readRef);
	module.exportFunction("write", writeRef);
	const compiled = new WebAssembly.Module(module.toBytes());
	const { exports } = new WebAssembly.Instance(compiled, { cpu: { memory } });
	return exports as unknown as ReturnType<typeof flagAccess>;
}
