/**
 * Every global, besides the language and WebAssembly, that the core may
 * assume: present in Node, in browsers and in their workers. What is not
 * written here the core cannot use; time and randomness are here only in so
 * far as `machine/clock.ts` needs them, everybody else has them injected.
 *
 * Only the core includes this file: `@types/node` and the DOM library bring
 * their own, fuller declarations.
 *
 * @journey P:032 What the core may assume
 */

interface TextEncoder {
	/** Always UTF-8. */
	encode(input?: string): Uint8Array<ArrayBuffer>;
}
declare var TextEncoder: { prototype: TextEncoder; new (): TextEncoder };

interface TextDecoder {
	decode(
		input?: ArrayBufferView | ArrayBuffer,
		options?: { stream?: boolean },
	): string;
}
declare var TextDecoder: {
	prototype: TextDecoder;
	new (
		label?: string,
		options?: { fatal?: boolean; ignoreBOM?: boolean },
	): TextDecoder;
};

/** Bytes from Base64, each a character; throws for what is none. */
declare function atob(data: string): string;

/** Monotonic milliseconds with a fraction; for `machine/clock.ts`. */
declare var performance: { now(): number };

/** An opaque handle: a number in browsers, an object in Node. */
interface UniversalTimer {
	readonly __universalTimer: never;
}
declare function setTimeout(
	callback: () => void,
	delayMs?: number,
): UniversalTimer;
declare function clearTimeout(timer: UniversalTimer | undefined): void;
declare function queueMicrotask(callback: () => void): void;

/** For keys a guest will make; for `machine/clock.ts`. */
declare var crypto: {
	getRandomValues<T extends ArrayBufferView>(array: T): T;
};

interface URL {
	readonly href: string;
}

/** Cancellation, as every platform has it. */
interface AbortSignal {
	readonly aborted: boolean;
	readonly reason: unknown;
	throwIfAborted(): void;
	addEventListener(
		type: "abort",
		listener: () => void,
		options?: { once?: boolean },
	): void;
	removeEventListener(type: "abort", listener: () => void): void;
}

/** As much of web streams as the core uses; embedders see all of them. */
interface ReadableStreamDefaultController<Chunk> {
	readonly desiredSize: number | null;
	enqueue(chunk: Chunk): void;
	close(): void;
	error(reason?: unknown): void;
}
interface ReadableStreamDefaultReader<Chunk> {
	read(): Promise<
		| { readonly done: false; readonly value: Chunk }
		| { readonly done: true; readonly value: Chunk | undefined }
	>;
	cancel(reason?: unknown): Promise<void>;
	releaseLock(): void;
}
interface ReadableStream<Chunk = unknown> {
	readonly locked: boolean;
	getReader(): ReadableStreamDefaultReader<Chunk>;
	cancel(reason?: unknown): Promise<void>;
}
declare var ReadableStream: {
	new <Chunk>(
		source: {
			start?(controller: ReadableStreamDefaultController<Chunk>): void;
			pull?(
				controller: ReadableStreamDefaultController<Chunk>,
			): Promise<void> | void;
			cancel?(reason?: unknown): void;
		},
		strategy?: { highWaterMark?: number; size?(chunk: Chunk): number },
	): ReadableStream<Chunk>;
};

interface WritableStreamDefaultController {
	error(reason?: unknown): void;
}
interface WritableStreamDefaultWriter<Chunk> {
	write(chunk: Chunk): Promise<void>;
	close(): Promise<void>;
	abort(reason?: unknown): Promise<void>;
	releaseLock(): void;
}
interface WritableStream<Chunk = unknown> {
	readonly locked: boolean;
	getWriter(): WritableStreamDefaultWriter<Chunk>;
}
declare var WritableStream: {
	new <Chunk>(
		sink: {
			start?(controller: WritableStreamDefaultController): void;
			write?(chunk: Chunk): Promise<void> | void;
			close?(): Promise<void> | void;
			abort?(reason?: unknown): void;
		},
		strategy?: { highWaterMark?: number },
	): WritableStream<Chunk>;
};
