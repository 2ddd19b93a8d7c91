/**
 * What both engines' emitters share beyond state and arithmetic: the memory
 * fast path (segment check, TLB, access), faults, system operations.
 *
 * The engines differ in where operands come from and in how an instruction
 * ends; those are the abstract members.
 *
 * @journey E:450 From effective address to bytes
 */

import { call, load } from "../../wasm/expression.ts";
import type { Label } from "../../wasm/function-builder.ts";
import type { FunctionRef } from "../../wasm/references.ts";
import { RAM_BASE } from "../memory-layout.ts";
import type {
	I32,
	I64,
	Integer,
	SystemName,
	Value,
	Variable,
} from "../semantics/emitter.ts";
import { SYSTEM_OPERATIONS } from "../semantics/system-operations.ts";
import type { Field } from "../state.ts";
import {
	FAULT_ERROR_CODE,
	FAULT_HAS_ERROR_CODE,
	FAULT_VECTOR,
	NEXT_RIP,
	RIP,
	SEGMENT_BASE,
	SEGMENT_LIMIT,
	SEGMENT_READ_SAFE,
	SEGMENT_WRITE_SAFE,
	segmentOffset,
	TLB_READ_MASK,
	TLB_WRITE_MASK,
} from "../state.ts";
import { expr } from "./arithmetic-emitter.ts";
import { type CodeContext, StateEmitter } from "./state-emitter.ts";
import { STATUS_FAULT, STATUS_NEXT } from "./status.ts";
import { emitTlbLookup } from "./tlb-lookup.ts";
import { emitWideLookup } from "./wide-lookup.ts";

/** The functions of the MMU and the system that generated code imports. */
export interface InstructionContext extends CodeContext {
	/**
	 * (linear low, linear high, bytes, intent and unchecked segment) → host
	 * address, or 0 with a fault noted. An address below RAM_BASE is a staging
	 * buffer.
	 */
	readonly translate: FunctionRef;
	/** (segment's state offset, offset, bytes, intent) → 1, or 0 with a fault noted. */
	readonly checkSegment: FunctionRef;
	/** See `across-pages.ts`; few instructions need it. */
	writeAcross(): FunctionRef;
	/** () → what was staged for writing goes to its real place. */
	readonly commit: FunctionRef;
	/** (operation number, a, b, c) → status. */
	readonly system: FunctionRef;
	/** (host address, bytes) → told before a store there, if anybody wants to know. */
	readonly journal?: FunctionRef | undefined;
}

/** "modify" is a write that reads first: devices see both. */
export type Intent = "read" | "write" | "modify";
const INTENTS: readonly Intent[] = ["read", "write", "modify"];
/** How generated code tells the MMU what it intends. */
export const INTENT_READ = INTENTS.indexOf("read");
export const INTENT_MODIFY = INTENTS.indexOf("modify");
/** Bits of the intent; the segment stands above them. */
export const INTENT_BITS = 2;

/** Numbers by which generated code names system operations. */
export const SYSTEM_NUMBERS: ReadonlyMap<string, number> = new Map(
	Object.keys(SYSTEM_OPERATIONS).map((name, number) => [name, number]),
);

const PAGE_BYTES = 4096;
const VECTOR_GP = 13;
const CS = 1;
const FS = 4;

export abstract class InstructionEmitter extends StateEmitter {
	declare readonly context: InstructionContext;
	readonly long: boolean;
	/** CS, DS, ES and SS are flat (always so in 64-bit mode). */
	readonly flat: boolean;

	constructor(
		code: StateEmitter["code"],
		context: InstructionContext,
		long: boolean,
		flat: boolean,
	) {
		super(code, context);
		this.long = long;
		this.flat = flat || long;
	}

	abstract currentRip(): Integer;
	abstract nextRip(): Integer;
	abstract jump(target: Integer): void;
	abstract jumpRelative(): void;
	abstract repeat(): void;
	abstract stop(): void;
	/** Ends the instruction with a status known now, or only at run time. */
	protected abstract leave(status: I32): void;
	/** State offset of the instruction's data segment register, and whether it is flat. */
	protected abstract dataSegment(): { offset: I32; flat: boolean };
	/**
	 * Where code goes whose memory access the fast path cannot do; undefined =
	 * the slow path stands in line.
	 */
	protected readonly bail: Label | undefined = undefined;

	fault(vector: number, errorCode?: I32): void {
		this.#set(FAULT_VECTOR, this.i32(vector));
		this.#set(FAULT_HAS_ERROR_CODE, this.i32(errorCode ? 1 : 0));
		this.#set(FAULT_ERROR_CODE, errorCode ?? this.i32(0));
		this.leave(this.i32(STATUS_FAULT));
	}

	faultIf(condition: I32, vector: number, errorCode?: I32): void {
		this.#ifRarely(condition, () => this.fault(vector, errorCode));
	}

	ensure(_what: string, check: () => void): void {
		check();
	}

	checkTarget(target: Integer): void {
		if (this.long) {
			const sixteen = this.i64(16);
			const address = target as I64;
			const canonical = this.shrS(this.shl(address, sixteen), sixteen);
			const zero = this.i32(0);
			this.faultIf(this.ne(address, canonical), VECTOR_GP, zero);
		} else if (!this.flat) {
			const at = segmentOffset(CS) + SEGMENT_LIMIT;
			const limit = this.stateLoad(this.i32(0), at, 4) as I32;
			const beyond = this.gtU(target as I32, limit);
			this.faultIf(beyond, VECTOR_GP, this.i32(0));
		}
	}

	system(name: SystemName, ...args: readonly I32[]): void {
		const number = SYSTEM_NUMBERS.get(name);
		if (number === undefined) throw new Error(`no system operation ${name}`);
		this.#set(RIP, this.#toI64(this.currentRip()));
		this.#set(NEXT_RIP, this.#toI64(this.nextRip()));
		const zero = this.i32(0);
		const [a = zero, b = zero, c = zero] = args;
		const status = this.let(
			call(
				this.context.system,
				...[this.i32(number), a, b, c].map(expr),
			) as Value as I32,
		);
		this.if(this.ne(status, this.i32(STATUS_NEXT)), () => this.leave(status));
	}

	// Segmented memory

	loadSegment(
		segment: number | "data",
		offset: Integer,
		width: number,
	): Integer {
		const linear = this.linear(segment, offset, width / 8, "read");
		return this.loadLinear(segment, linear, width);
	}

	storeSegment(
		segment: number | "data",
		offset: Integer,
		width: number,
		value: Integer,
	): void {
		const linear = this.linear(segment, offset, width / 8, "write");
		this.storeLinear(segment, linear, width / 8, (address) =>
			this.storeFast(address, width, value),
		);
	}

	prepareStore(
		segment: number | "data",
		offset: Integer,
		width: number,
	): (value: Integer) => void {
		const linear = this.linear(segment, offset, width / 8, "write");
		return this.prepareLinear(segment, linear, width);
	}

	fastAddress(
		segment: number | "data",
		offset: Integer,
		width: number,
		intent: Intent,
	): I32 {
		const result = this.variable(this.i32(0));
		const find = (slow: Label): void => {
			this.#skipUnlessPageIsSafe(segment, offset as I32, intent, slow);
			const linear = this.linearAddress(segment, offset);
			const host = this.let(this.fastHost(linear, width / 8, intent, slow));
			result.set(host);
			const page = this.and(host, this.i32(-PAGE_BYTES));
			this.#tell(intent, page, this.i32(PAGE_BYTES));
		};
		this.code.block(find, "rare");
		return result.get();
	}

	/** Branches to `slow` when a limit, or a wrapping offset, could be met before the page's end. */
	#skipUnlessPageIsSafe(
		segment: number | "data",
		offset: I32,
		intent: Intent,
		slow: Label,
	): void {
		const register = this.#segment(segment);
		if (register.flat) return;
		if (this.long) {
			this.code.br(slow);
			return;
		}
		const safe = this.let(this.#safeLimit(register.offset, intent));
		const page = this.i32(PAGE_BYTES);
		this.code.brIf(slow, expr(this.ltU(safe, page)));
		this.code.brIf(slow, expr(this.gtU(offset, this.sub(safe, page))));
	}

	loadFast(address: I32, width: number): Integer {
		return this.let(this.loadHost(address, width) as Integer);
	}

	storeFast(address: I32, width: number, value: Integer): void {
		const fitted = this.toWidth(width, value);
		const store = STORES[width] as "i32.store";
		this.code.store(store, expr(address), expr(fitted));
	}

	copyFast(to: I32, from: I32, lengthBytes: I32): void {
		this.code.memoryCopy(expr(to), expr(from), expr(lengthBytes));
	}

	fillFast(to: I32, byte: I32, lengthBytes: I32): void {
		this.code.memoryFill(expr(to), expr(byte), expr(lengthBytes));
	}

	linearAddress(segment: number | "data", offset: Integer): Integer {
		const { offset: register, flat } = this.#segment(segment);
		if (flat) return this.let(offset) as Integer;
		const bits = this.long ? 64 : 32;
		const base = this.stateLoad(register, SEGMENT_BASE, bits / 8) as Integer;
		return this.let(this.add(this.toWidth(bits, offset), base)) as Integer;
	}

	// Linear memory, for operands

	/** Linear address of segment:offset after limit and type checks. */
	protected linear(
		segment: number | "data",
		offset: Integer,
		bytes: number,
		intent: Intent,
	): Integer {
		const named = this.let(offset) as Integer;
		const register = this.#segment(segment);
		if (!register.flat && !this.long) {
			this.#checkSegment(register.offset, named as I32, bytes, intent);
		}
		return this.linearAddress(segment, named);
	}

	protected loadLinear(
		segment: number | "data",
		linear: Integer,
		width: number,
	): Integer {
		const host = this.hostAddress(segment, linear, width / 8, "read");
		return this.loadFast(host, width);
	}

	protected loadHost(host: I32, width: number): Value {
		return load(LOADS[width] as "i32.load", expr(host));
	}

	/** Stores with `write(host address)`, staged and committed where need be. */
	protected storeLinear(
		segment: number | "data",
		linear: Integer,
		bytes: number,
		write: (address: I32) => void,
	): void {
		const host = this.hostAddress(segment, linear, bytes, "write");
		write(host);
		this.commit(host);
	}

	/** Checks a write now; the writer returned performs it. */
	protected prepareLinear(
		segment: number | "data",
		linear: Integer,
		width: number,
	): (value: Integer) => void {
		const host = this.hostAddress(segment, linear, width / 8, "write");
		return (value) => {
			this.storeFast(host, width, value);
			this.commit(host);
		};
	}

	/** Hands staged bytes over when `host` is a staging buffer. */
	protected commit(host: I32): void {
		// Without an in-line slow path the address is always RAM.
		if (this.bail !== undefined) return;
		this.#ifRarely(this.ltU(host, this.i32(RAM_BASE)), () =>
			this.code.evaluate(call(this.context.commit)),
		);
	}

	/** Branches to `done` when a write is to two pages, and has been made. */
	protected writeAcross(
		linear: Integer,
		bytes: number,
		value: Integer,
		done: Label,
	): void {
		const [low, high] = this.#halves(linear) as [I32, I32];
		const inPage = this.and(low, this.i32(PAGE_BYTES - 1));
		const isAcross = this.gtU(inPage, this.i32(PAGE_BYTES - bytes));
		this.#ifRarely(isAcross, () => {
			const args = [low, high, this.i32(bytes), this.toWidth(64, value)];
			this.code.brIf(done, call(this.context.writeAcross(), ...args.map(expr)));
		});
	}

	/** Host address of `bytes` bytes at a linear address, faults taken. */
	protected hostAddress(
		segment: number | "data",
		linear: Integer,
		bytes: number,
		intent: Intent,
	): I32 {
		if (this.bail !== undefined) {
			const host = this.let(this.fastHost(linear, bytes, intent, this.bail));
			this.#tell(intent, host, this.i32(bytes));
			return host;
		}
		const host: Variable<"i32"> = this.variable(this.i32(0));
		this.code.block((done) => {
			this.code.block((slow) => {
				host.set(this.fastHost(linear, bytes, intent, slow));
				this.code.br(done);
			}, "rare");
			host.set(this.#translate(segment, linear, bytes, intent));
			this.#ifRarely(this.eqz(host.get()), () =>
				this.leave(this.i32(STATUS_FAULT)),
			);
		});
		const found = host.get();
		this.#tell(intent, found, this.i32(bytes));
		return found;
	}

	/** The TLB fast path: branches to `slow` unless it holds, to `across` where the access ends in the next page; in 64-bit code, to `across` for any reason. */
	protected fastHost(
		linear: Integer,
		bytes: number,
		intent: Intent,
		slow: Label,
		across = slow,
	): I32 {
		if (this.long) return this.#wideHost(linear, bytes, intent, across);
		const address = this.let(this.wrap(linear));
		const mask = () => this.#mask(intent);
		const entry = emitTlbLookup(this.code, this, address, mask, slow);
		if (bytes > 1) {
			const offset = this.and(address, this.i32(PAGE_BYTES - 1));
			const last = this.i32(PAGE_BYTES - bytes);
			this.code.brIf(across, expr(this.gtU(offset, last)));
		}
		return this.add(address, this.and(entry, this.i32(-PAGE_BYTES)));
	}

	/** The same for 64-bit code, wherever in linear space. */
	#wideHost(linear: Integer, bytes: number, intent: Intent, slow: Label): I32 {
		const address = this.let(this.#toI64(linear));
		const low = this.let(this.wrap(address));
		const { distance } = emitWideLookup(
			this.code,
			this,
			{ linear: address, low, bytes },
			() => this.#mask(intent),
			slow,
		);
		return this.add(low, distance);
	}

	/** The bit that an entry must have. */
	#mask(intent: Intent): I32 {
		const mask = intent === "read" ? TLB_READ_MASK : TLB_WRITE_MASK;
		return this.stateLoad(this.i32(0), mask.offset, 4) as I32;
	}

	/** For `--engine compare` alone: see `write-journal.ts`. */
	#tell(intent: Intent, host: I32, bytes: I32): void {
		const { journal } = this.context;
		if (journal === undefined || intent === "read") return;
		this.code.evaluate(call(journal, expr(host), expr(bytes)));
	}

	#translate(
		segment: number | "data",
		linear: Integer,
		bytes: number,
		intent: Intent,
	): I32 {
		const how = this.#intentCode(segment, intent);
		const args = [...this.#halves(linear), this.i32(bytes), how];
		return call(this.context.translate, ...args.map(expr)) as Value as I32;
	}

	/** A linear address as functions take it. */
	#halves(linear: Integer): I32[] {
		const wide = linear.type === "i64";
		const high = wide
			? this.wrap(this.shrU(linear as I64, this.i64(32)))
			: this.i32(0);
		return [this.wrap(linear), high];
	}

	/**
	 * What the MMU is told of an access: the intent, and above it the segment's
	 * state offset where no limit has been checked, so that the end of linear
	 * space still must be.
	 */
	#intentCode(segment: number | "data", intent: Intent): I32 {
		const code = this.i32(INTENTS.indexOf(intent));
		const { offset, flat } = this.#segment(segment);
		if (!flat && !this.long) return code;
		return this.or(code, this.shl(offset, this.i32(INTENT_BITS)));
	}

	#checkSegment(
		segment: I32,
		offset: I32,
		bytes: number,
		intent: Intent,
	): void {
		const outside = this.geU(offset, this.#safeLimit(segment, intent));
		if (this.bail !== undefined) {
			this.code.brIf(this.bail, expr(outside));
			return;
		}
		this.#ifRarely(outside, () => {
			const code = this.i32(INTENTS.indexOf(intent));
			const args = [segment, offset, this.i32(bytes), code];
			const ok = call(this.context.checkSegment, ...args.map(expr));
			this.#ifRarely(this.eqz(ok as Value as I32), () =>
				this.leave(this.i32(STATUS_FAULT)),
			);
		});
	}

	#safeLimit(segment: I32, intent: Intent): I32 {
		const safe = intent === "read" ? SEGMENT_READ_SAFE : SEGMENT_WRITE_SAFE;
		return this.stateLoad(segment, safe, 4) as I32;
	}

	#segment(segment: number | "data"): { offset: I32; flat: boolean } {
		if (segment === "data") return this.dataSegment();
		const flat = this.flat && segment < FS;
		return { offset: this.i32(segmentOffset(segment)), flat };
	}

	#ifRarely(condition: I32, then: () => void): void {
		this.if(condition, then, undefined, "rare");
	}

	#toI64(value: Integer): I64 {
		return this.toWidth(64, value) as I64;
	}

	#set(field: Field, value: Value): void {
		this.writeState(field, value);
	}
}

const LOADS: Readonly<Record<number, string>> = {
	8: "i32.load8_u",
	16: "i32.load16_u",
	32: "i32.load",
	64: "i64.load",
	128: "v128.load",
};
const STORES: Readonly<Record<number, string>> = {
	8: "i32.store8",
	16: "i32.store16",
	32: "i32.store",
	64: "i64.store",
	128: "v128.store",
};
