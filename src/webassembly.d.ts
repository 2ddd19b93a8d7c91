/**
 * The slice of the WebAssembly JavaScript API (W3C, "WebAssembly JavaScript
 * Interface") that the core uses. `lib.es2022` does not have it, and neither
 * does `@types/node` 20, so the core and the Node project include this file;
 * the browser project gets the same names from the DOM library.
 *
 * Declared as interface plus variable, like the DOM library does, so that the
 * two merge where an editor sees both.
 *
 * @journey P:030 The WebAssembly we use
 */

declare namespace WebAssembly {
	type ImportExportKind = "function" | "global" | "memory" | "table" | "tag";
	type TableKind = "anyfunc" | "externref";
	type ValueType =
		| "anyfunc"
		| "externref"
		| "f32"
		| "f64"
		| "i32"
		| "i64"
		| "v128";
	// biome-ignore lint/suspicious/noExplicitAny: exports are untyped by nature
	type ExportValue = any;
	type ImportValue = ExportValue | number;
	type Exports = Record<string, ExportValue>;
	type ModuleImports = Record<string, ImportValue>;
	type Imports = Record<string, ModuleImports>;

	interface MemoryDescriptor {
		/** In pages of 64 KiB. */
		initial: number;
		maximum?: number;
		shared?: boolean;
	}
	interface Memory {
		readonly buffer: ArrayBuffer;
		grow(delta: number): number;
	}
	var Memory: {
		prototype: Memory;
		new (descriptor: MemoryDescriptor): Memory;
	};

	interface TableDescriptor {
		element: TableKind;
		initial: number;
		maximum?: number;
	}
	interface Table {
		readonly length: number;
		// biome-ignore lint/suspicious/noExplicitAny: elements are untyped by nature
		get(index: number): any;
		grow(delta: number, value?: unknown): number;
		set(index: number, value?: unknown): void;
	}
	var Table: {
		prototype: Table;
		new (descriptor: TableDescriptor, value?: unknown): Table;
	};

	interface GlobalDescriptor {
		mutable?: boolean;
		value: ValueType;
	}
	interface Global {
		// biome-ignore lint/suspicious/noExplicitAny: number or bigint by its type
		value: any;
	}
	var Global: {
		prototype: Global;
		new (descriptor: GlobalDescriptor, value?: unknown): Global;
	};

	interface ModuleExportDescriptor {
		kind: ImportExportKind;
		name: string;
	}
	interface ModuleImportDescriptor {
		kind: ImportExportKind;
		module: string;
		name: string;
	}
	// biome-ignore lint/suspicious/noEmptyInterface: opaque by specification
	interface Module {}
	var Module: {
		prototype: Module;
		new (bytes: BufferSource): Module;
		exports(module: Module): ModuleExportDescriptor[];
		imports(module: Module): ModuleImportDescriptor[];
	};

	interface Instance {
		readonly exports: Exports;
	}
	var Instance: {
		prototype: Instance;
		new (module: Module, imports?: Imports): Instance;
	};

	interface CompileError extends Error {}
	var CompileError: {
		prototype: CompileError;
		new (message?: string): CompileError;
	};
	interface LinkError extends Error {}
	var LinkError: {
		prototype: LinkError;
		new (message?: string): LinkError;
	};
	interface RuntimeError extends Error {}
	var RuntimeError: {
		prototype: RuntimeError;
		new (message?: string): RuntimeError;
	};

	function compile(bytes: BufferSource): Promise<Module>;
	function instantiate(module: Module, imports?: Imports): Promise<Instance>;
	function validate(bytes: BufferSource): boolean;

	/** Bytes that do not live in shared memory, as the API demands. */
	type BufferSource = ArrayBufferView<ArrayBuffer> | ArrayBuffer;
}
