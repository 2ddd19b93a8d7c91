/**
 * Collects types, imports, functions, tables, globals and exports, and writes
 * them as a WebAssembly module. Relies on the byte writer and on function
 * builders for the bodies; the engines make every piece of generated code a
 * module of its own through it, and compile the bytes it returns.
 *
 * @journey P:238 A module from parts
 * A module is a list of sections in a fixed order, each a list of entries
 * which name each other by index. Imports come first in every index space, so
 * they must be known before anything is declared; bodies may come last, so
 * functions may call each other in circles.
 */
import { ByteWriter } from "./byte-writer.ts";
import type { Expression } from "./expression.ts";
import { checkType } from "./expression.ts";
import { ExpressionEncoder } from "./expression-encoder.ts";
import { isLeaf } from "./expression-node.ts";
import type { FunctionBuilder } from "./function-builder.ts";
import type { ValueType } from "./opcodes.ts";
import { CONTROL_OPCODES, VALUE_TYPE_CODES } from "./opcodes.ts";
import type {
	FunctionRef,
	FunctionType,
	GlobalRef,
	TableRef,
} from "./references.ts";

/** Section numbers of the binary format ("Modules", "Sections"). */
const SECTION = {
	custom: 0,
	type: 1,
	import: 2,
	function: 3,
	table: 4,
	global: 6,
	export: 7,
	element: 9,
	code: 10,
} as const;

/** What an import or export is ("Import Section"). */
const EXTERNAL = { function: 0, table: 1, memory: 2, global: 3 } as const;

const HEADER = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);
const FUNCTION_TYPE = 0x60;
const FUNCREF = 0x70;
const LIMITS_HAS_MAXIMUM = 0x01;
const LIMITS_SHARED = 0x02;
/** Subsection of the "name" custom section which holds function names. */
const FUNCTION_NAMES = 1;
/** The custom section in front of the code ("Branch Hinting" proposal), the size of a hint and what it says. */
const BRANCH_HINTS = "metadata.code.branch_hint";
const HINT_BYTES = 1;
const HINT_UNLIKELY = 0;

/** What a body has besides its code, nearly always: size, locals, end. */
const BODY_EXTRA_BYTES = 32;

/** Sizes of an imported memory, in WebAssembly pages of 64 KiB. */
export interface MemoryLimits {
	readonly minPages: number;
	readonly maxPages?: number;
	/** A shared memory must say its maximum. */
	readonly shared?: boolean;
}

/** Entries of one section: how many, and their bytes. */
class Section {
	count = 0;
	readonly content: ByteWriter;

	constructor(capacity = 64) {
		this.content = new ByteWriter(capacity);
	}

	/** The writer, positioned at a new entry. */
	next(): ByteWriter {
		this.count++;
		return this.content;
	}
}

/** One module under construction; `toBytes` ends it. */
export class ModuleBuilder {
	readonly #types = new Map<string, FunctionType>();
	readonly #typeSection = new Section();
	readonly #imports = new Section();
	readonly #tables = new Section();
	readonly #globals = new Section();
	readonly #exports = new Section();
	readonly #elements = new Section();
	readonly #functions: FunctionRef[] = [];
	readonly #bodies = new Map<FunctionRef, FunctionBuilder>();
	readonly #withNames: boolean;
	#importedFunctions = 0;
	#tableCount = 0;
	#globalCount = 0;

	/** Names cost bytes, and show up in profiles and stack traces. */
	constructor(options: { readonly names?: boolean } = {}) {
		this.#withNames = options.names ?? false;
	}

	/** The type with this signature, added to the module if it is new. */
	type(
		params: readonly ValueType[],
		results: readonly ValueType[],
	): FunctionType {
		const key = `${params.join()}>${results.join()}`;
		const known = this.#types.get(key);
		if (known !== undefined) return known;
		const type = { index: this.#types.size, params, results };
		this.#types.set(key, type);
		const entry = this.#typeSection.next();
		entry.byte(FUNCTION_TYPE);
		writeTypes(entry, params);
		writeTypes(entry, results);
		return type;
	}

	/** To be called before the first `declareFunction`: imports come first. */
	importFunction(
		module: string,
		name: string,
		params: readonly ValueType[],
		results: readonly ValueType[],
	): FunctionRef {
		if (this.#functions.length > this.#importedFunctions) {
			throw new Error(`import ${module}.${name} after a declared function`);
		}
		const ref = this.#newFunction(params, results, name);
		this.#importedFunctions++;
		this.#importEntry(module, name, EXTERNAL.function).u32(ref.type.index);
		return ref;
	}

	/** The module's one memory. */
	importMemory(module: string, name: string, limits: MemoryLimits): void {
		if (limits.shared && limits.maxPages === undefined) {
			throw new Error(`import ${module}.${name}: shared without maximum`);
		}
		const entry = this.#importEntry(module, name, EXTERNAL.memory);
		const flags = limits.shared ? LIMITS_SHARED : 0;
		writeLimits(entry, flags, limits.minPages, limits.maxPages);
	}

	/** A table of functions; the module's first is the one for calls. */
	importTable(
		module: string,
		name: string,
		limits: { readonly min: number; readonly max?: number },
	): TableRef {
		if (this.#tables.count > 0) {
			throw new Error(`import ${module}.${name} after a defined table`);
		}
		const entry = this.#importEntry(module, name, EXTERNAL.table);
		entry.byte(FUNCREF);
		writeLimits(entry, 0, limits.min, limits.max);
		return { index: this.#tableCount++ };
	}

	/** To be called before the first `defineGlobal`. */
	importGlobal<T extends ValueType>(
		module: string,
		name: string,
		type: T,
		mutable: boolean,
	): GlobalRef<T> {
		if (this.#globals.count > 0) {
			throw new Error(`import ${module}.${name} after a defined global`);
		}
		const entry = this.#importEntry(module, name, EXTERNAL.global);
		writeGlobalType(entry, type, mutable);
		return { index: this.#globalCount++, type, mutable, imported: true };
	}

	/** A table of the module's own. */
	defineTable(min: number, max?: number): TableRef {
		const entry = this.#tables.next();
		entry.byte(FUNCREF);
		writeLimits(entry, 0, min, max);
		return { index: this.#tableCount++ };
	}

	/** `initial`: a constant, or an imported constant global. */
	defineGlobal<T extends ValueType>(
		type: T,
		mutable: boolean,
		initial: Expression,
	): GlobalRef<T> {
		checkType("global", type, initial);
		const entry = this.#globals.next();
		writeGlobalType(entry, type, mutable);
		writeInitializer(entry, initial);
		return { index: this.#globalCount++, type, mutable, imported: false };
	}

	/** Makes a function callable before its body exists. */
	declareFunction(
		params: readonly ValueType[],
		results: readonly ValueType[],
		name?: string,
	): FunctionRef {
		const index = this.#functions.length;
		return this.#newFunction(params, results, name ?? `function${index}`);
	}

	/** The body is read by `toBytes`, so it may still grow until then. */
	defineFunction(ref: FunctionRef, body: FunctionBuilder): void {
		if (this.#functions[ref.index] !== ref || this.#bodies.has(ref)) {
			throw new Error(`${ref.name}: not declared here, or defined already`);
		}
		if (ref.index < this.#importedFunctions) {
			throw new Error(`${ref.name}: an import has no body`);
		}
		if (this.type(body.params, body.results) !== ref.type) {
			throw new Error(`${ref.name}: body and declaration differ in type`);
		}
		this.#bodies.set(ref, body);
	}

	/** Also possible for imports, which are then passed on. */
	exportFunction(name: string, ref: FunctionRef): void {
		this.#exportEntry(name, EXTERNAL.function, ref.index);
	}

	/** Lets others put functions into the table, or call through it. */
	exportTable(name: string, table: TableRef): void {
		this.#exportEntry(name, EXTERNAL.table, table.index);
	}

	/** Lets others read the global and, if it is mutable, write it. */
	exportGlobal(name: string, global: GlobalRef): void {
		this.#exportEntry(name, EXTERNAL.global, global.index);
	}

	/**
	 * Fills table 0 from `tableOffset` on when the module is instantiated. An
	 * offset in an imported constant global lets one module fit any free place.
	 */
	element(
		tableOffset: number | Expression<"i32">,
		refs: readonly FunctionRef[],
	): void {
		const entry = this.#elements.next();
		// Kind 0: active, table 0, a list of function indices.
		entry.u32(0);
		if (typeof tableOffset === "number") {
			entry.byte(CONTROL_OPCODES["i32.const"]);
			entry.s32(tableOffset);
			entry.byte(CONTROL_OPCODES.end);
		} else {
			writeInitializer(entry, tableOffset);
		}
		entry.u32(refs.length);
		for (const ref of refs) entry.u32(ref.index);
	}

	/** The finished module; throws if a declared function has no body. */
	toBytes(): Uint8Array<ArrayBuffer> {
		const declared = this.#functions.slice(this.#importedFunctions);
		const functions = new Section();
		const bodies = declared.map((ref) => {
			const body = this.#bodies.get(ref);
			if (body === undefined) throw new Error(`${ref.name}: no body`);
			functions.next().u32(ref.type.index);
			return body;
		});
		const codeBytes = bodies.reduce(
			(sum, { codeLength }) => sum + codeLength + BODY_EXTRA_BYTES,
			0,
		);
		const code = new Section(codeBytes);
		const rare = bodies.map((body) => body.encodeBody(code.next()));
		const module = new ByteWriter(code.content.length + 1024);
		module.raw(HEADER);
		writeSection(module, SECTION.type, this.#typeSection);
		writeSection(module, SECTION.import, this.#imports);
		writeSection(module, SECTION.function, functions);
		writeSection(module, SECTION.table, this.#tables);
		writeSection(module, SECTION.global, this.#globals);
		writeSection(module, SECTION.export, this.#exports);
		writeSection(module, SECTION.element, this.#elements);
		writeBranchHints(module, this.#importedFunctions, rare);
		writeSection(module, SECTION.code, code);
		if (this.#withNames) writeNames(module, this.#functions);
		return module.toBytes();
	}

	#newFunction(
		params: readonly ValueType[],
		results: readonly ValueType[],
		name: string,
	): FunctionRef {
		const type = this.type(params, results);
		const ref: FunctionRef = { index: this.#functions.length, type, name };
		this.#functions.push(ref);
		return ref;
	}

	#importEntry(module: string, name: string, kind: number): ByteWriter {
		const entry = this.#imports.next();
		entry.name(module);
		entry.name(name);
		entry.byte(kind);
		return entry;
	}

	#exportEntry(name: string, kind: number, index: number): void {
		const entry = this.#exports.next();
		entry.name(name);
		entry.byte(kind);
		entry.u32(index);
	}
}

function writeTypes(writer: ByteWriter, types: readonly ValueType[]): void {
	writer.u32(types.length);
	for (const type of types) writer.byte(VALUE_TYPE_CODES[type]);
}

function writeLimits(
	writer: ByteWriter,
	flags: number,
	min: number,
	max: number | undefined,
): void {
	writer.byte(max === undefined ? flags : flags | LIMITS_HAS_MAXIMUM);
	writer.u32(min);
	if (max !== undefined) writer.u32(max);
}

function writeGlobalType(
	writer: ByteWriter,
	type: ValueType,
	mutable: boolean,
): void {
	writer.byte(VALUE_TYPE_CODES[type]);
	writer.byte(mutable ? 1 : 0);
}

function writeInitializer(writer: ByteWriter, value: Expression): void {
	if (!isLeaf(value) || value.kind === "local.get") {
		throw new Error(`an initial value must be constant, not ${value.kind}`);
	}
	new ExpressionEncoder(writer, undefined).encode(value);
	writer.byte(CONTROL_OPCODES.end);
}

function writeSection(
	module: ByteWriter,
	number: number,
	section: Section,
): void {
	if (section.count === 0) return;
	const count = new ByteWriter(8);
	count.u32(section.count);
	module.byte(number);
	module.u32(count.length + section.content.length);
	module.raw(count.view());
	module.raw(section.content.view());
}

function writeNames(
	module: ByteWriter,
	functions: readonly FunctionRef[],
): void {
	const names = new ByteWriter();
	names.u32(functions.length);
	for (const { index, name } of functions) {
		names.u32(index);
		names.name(name);
	}
	const section = new ByteWriter(names.length + 16);
	section.name("name");
	section.byte(FUNCTION_NAMES);
	section.sized(names);
	module.byte(SECTION.custom);
	module.sized(section);
}

/** `rare`: of each function from number `first` on, where in its body branches are that are rarely taken. */
function writeBranchHints(
	module: ByteWriter,
	first: number,
	rare: readonly (readonly number[])[],
): void {
	const count = rare.filter(({ length }) => length > 0).length;
	if (count === 0) return;
	const section = new ByteWriter(1024);
	section.name(BRANCH_HINTS);
	section.u32(count);
	for (const [i, offsets] of rare.entries()) {
		if (offsets.length === 0) continue;
		section.u32(first + i);
		section.u32(offsets.length);
		for (const offset of offsets) {
			section.u32(offset);
			section.u32(HINT_BYTES);
			section.byte(HINT_UNLIKELY);
		}
	}
	module.byte(SECTION.custom);
	module.sized(section);
}
