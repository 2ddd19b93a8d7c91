/**
 * One virtual CPU: state, MMU, decoded code, engine and system operations put
 * together, and the loop that runs between them.
 *
 * `run` executes up to a budget of instructions and comes back with the reason
 * why it stopped. Interrupts are taken here, between instructions; exceptions
 * too, when generated code or an operation reports one.
 *
 * @journey S:100 In and out of generated code
 */

import { GuestMemory } from "../memory/guest-memory.ts";
import { notedFault } from "./border.ts";
import { breakpointsArmed, instructionBreakpoints } from "./breakpoints.ts";
import type { CpuBus } from "./bus.ts";
import type { CpuOptions, CpuStatistics, ExitReason } from "./cpu-options.ts";
import { DebugWatch } from "./debug-watch.ts";
import { decodedFeatures } from "./decoded-features.ts";
import { CodeCache } from "./engine/code-cache.ts";
import {
	STATUS_BUDGET,
	STATUS_FAULT,
	STATUS_NEXT,
	STATUS_STOP_JUMP,
	type Status,
} from "./engine/status.ts";
import { Engines } from "./engines.ts";
import { asFault, GuestFault, VECTOR_DB } from "./exceptions.ts";
import { EFLAGS_RF, EFLAGS_TF } from "./flags.ts";
import { InstructionFetch } from "./instruction-fetch.ts";
import { InterruptLines } from "./interrupt-lines.ts";
import {
	RAM_BASE,
	STATE_BASE,
	TOUCHED_MAP_BASE,
	WASM_PAGE_BYTES,
} from "./memory-layout.ts";
import { linear48 } from "./mmu/linear-address.ts";
import { Mmu } from "./mmu/mmu.ts";
import { TLB_NEVER } from "./mmu/tlb.ts";
import { makeMode } from "./mode.ts";
import {
	BUDGET,
	CR0,
	DIRECT,
	EFER,
	EFLAGS,
	HALTED,
	LEAVE,
	MODE,
	RIP,
	SHADOW,
	TIME_IS_REAL,
	TLB_FILLS,
	TLB_READ_MASK,
} from "./state.ts";
import { StateView } from "./state-view.ts";
import type { SystemContext } from "./system/context.ts";
import { EFER_LMA } from "./system/control-bits.ts";
import { CpuIdentity } from "./system/cpuid.ts";
import { noteDebugStatus } from "./system/debug-status.ts";
import {
	deliverException,
	deliverHardwareInterrupt,
	HALTED_SHUTDOWN,
} from "./system/exception-delivery.ts";
import { updateMode } from "./system/mode-control.ts";
import { OPERATIONS } from "./system/operations.ts";
import { resetState } from "./system/reset.ts";
import type { Supervisor } from "./system/supervisor.ts";

/**
 * Steps without a retired instruction before `run` comes back early: a handler
 * that faults at once would keep it for ever.
 */
const MOST_IDLE_STEPS = 1000;

export class Cpu implements SystemContext {
	readonly memory: GuestMemory;
	readonly state: StateView;
	readonly mmu: Mmu;
	readonly bus: CpuBus;
	readonly cpuid: CpuIdentity;
	readonly #code: CodeCache;
	readonly #fetch: InstructionFetch;
	readonly #engines: Engines;
	readonly #timeIsReal: boolean;
	readonly #lines: InterruptLines;
	/** Instructions retired before the current budget was given. */
	#retiredBefore = 0;
	#budgetGiven = 0;
	#exitRequested = false;
	readonly #watch: DebugWatch;
	/** An instruction is executed under single-step or breakpoints. */
	#isWatched = false;
	#mode = -1;
	/** What VMCALL and VMMCALL do; set by the machine. */
	hypercall?: () => boolean;
	/**
	 * Sees every exception and software interrupt before the guest does; `true`
	 * keeps it from the guest and lets `run` come back as "requested"
	 * (debuggers, oracles). RIP is the instruction's; NEXT_RIP holds for
	 * software interrupts, whose gate has not been looked at.
	 */
	onException:
		| ((fault: GuestFault, isSoftware: boolean) => boolean)
		| undefined;
	/** Takes every event instead of the guest's gates, if there is one. */
	supervisor: Supervisor | undefined;

	constructor(options: CpuOptions) {
		const { memoryBytes, bus } = options;
		this.cpuid = new CpuIdentity(options.identity);
		const features = options.decodedFeatures ?? decodedFeatures(this.cpuid);
		const pages = Math.ceil((RAM_BASE + memoryBytes) / WASM_PAGE_BYTES);
		const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
		const { buffer } = memory;
		this.memory = new GuestMemory(buffer, RAM_BASE, memoryBytes);
		const ramPages = Math.ceil(memoryBytes / 4096);
		this.memory.touched = new Uint8Array(buffer, TOUCHED_MAP_BASE, ramPages);
		this.state = new StateView(buffer, STATE_BASE);
		this.#watch = new DebugWatch(this.state);
		this.bus = bus;
		// What is done twice and compared must see the same time.
		const isCompared = options.engine === "compare";
		this.#timeIsReal = bus.timeIsReal === true && !isCompared;
		this.#code = new CodeCache(
			buffer,
			this.memory,
			features,
			(instruction, mode) => this.#engines.handlerFor(instruction, mode),
			(physical) => this.mmu.protectPage(physical),
		);
		this.mmu = new Mmu(buffer, this.state, this.memory, bus, this.#code);
		this.#fetch = new InstructionFetch(
			this.state,
			this.mmu,
			this.memory,
			this.#code,
		);
		this.#engines = new Engines(
			{
				...{ memory, ram: this.memory, state: this.state, mmu: this.mmu },
				...{ code: this.#code, fetch: this.#fetch, features },
				operate: (operation, a, b, c) => this.#operate(operation, a, b, c),
				retired: () => this.retiredCount(),
			},
			options,
		);
		this.#lines = new InterruptLines(this.state, () =>
			bus.acknowledgeInterrupt(),
		);
		this.memory.onWrite = (address, bytes) =>
			this.#code.invalidate(address, bytes);
		this.reset();
	}

	/** The state after RESET, between stays in generated code (Intel SDM vol. 3, "Processor State After Reset"). */
	reset(): void {
		resetState(this.state, this.cpuid.query(1, 0)[0]);
		this.state.set32(TIME_IS_REAL, this.#timeIsReal ? 1 : 0);
		this.#code.clear();
		this.controlChanged();
	}

	/** Instructions retired since the start; below 2^53, which is months. */
	retiredCount(): number {
		const left = this.state.get32(BUDGET);
		return this.#retiredBefore + this.#budgetGiven - left;
	}

	get statistics(): CpuStatistics {
		return {
			tlbMisses: this.mmu.misses,
			tlbFills: Number(this.state.getBig(TLB_FILLS)),
			codePagesDecoded: this.#code.pagesDecoded,
			instructionsDecoded: this.#code.instructionsDecoded,
			codeInvalidations: this.#code.invalidations,
			arenaResets: this.#code.resets,
			...this.#engines.statistics,
		};
	}

	/** The interrupt line: while high, interrupts are taken as IF allows. */
	setInterruptLine(level: boolean): void {
		this.#lines.set(level);
	}

	/** A non-maskable interrupt: IF does not keep it out, only another one does. */
	raiseNmi(): void {
		this.#lines.raiseNmi();
	}

	/** Whether an NMI or an interrupt would be taken now, and wake from HLT. */
	interruptPending(): boolean {
		return this.#lines.isDue();
	}

	/** Lets `run` come back at the next opportunity (a device wants the run loop). */
	requestExit(): void {
		this.#exitRequested = true;
		this.state.set32(LEAVE, 1);
	}

	/**
	 * For a supervisor in the middle of an operation: the instruction ends, and
	 * what it changed is looked at before the next.
	 */
	leave(): void {
		this.state.set32(LEAVE, 1);
	}

	/** After state was written from outside (loaders, debuggers): recompute what is derived from it. */
	controlChanged(): void {
		this.mmu.controlRegistersChanged();
		this.#modeChanged();
	}

	/** Has the code at RIP decoded, and compiled before the next `run`, as if it were hot; for tests, which want many regions in one module. */
	warmUp(): void {
		try {
			this.#fetch.record();
		} catch (fault) {
			asFault(fault);
			return;
		}
		const low = this.state.getU32(RIP);
		const high = Number(this.state.getBig(RIP) >> 32n);
		this.#engines.warmUp(linear48(low, high));
	}

	/** Runs at most `budget` instructions. */
	run(budget: number): ExitReason {
		this.#engines.takeTurn();
		this.#grant(budget);
		// A shadow was noted in terms of the last budget.
		if (this.state.get32(SHADOW) === 0) this.state.set32(SHADOW, budget);
		else this.state.set32(SHADOW, NO_SHADOW);
		this.#exitRequested = false;
		this.#noteDirect();
		let idle = 0;
		for (let left = budget; ; ) {
			const reason = this.#step();
			if (reason !== undefined) return reason;
			const now = this.state.get32(BUDGET);
			idle = now === left ? idle + 1 : 0;
			left = now;
			if (idle === MOST_IDLE_STEPS) return "budget";
		}
	}

	/** BUDGET is `budget` from here on, and the count of instructions goes on. */
	#grant(budget: number): void {
		this.#retiredBefore = this.retiredCount();
		this.#budgetGiven = budget;
		this.state.set32(BUDGET, budget);
	}

	/** One stay in generated code with what comes before and after it. */
	#step(): ExitReason | undefined {
		const { state } = this;
		if (state.get32(HALTED) === HALTED_SHUTDOWN) return "triple-fault";
		const shadow = state.get32(SHADOW) === state.get32(BUDGET);
		let one = shadow;
		if (!shadow && this.#lines.isAnyPending) {
			if (this.supervisor !== undefined) one = this.#offerInterrupt();
			else if (!this.#takeInterrupt()) return "triple-fault";
		}
		if (state.get32(HALTED)) return "halt";
		if (this.#exitRequested) return "requested";
		const left = state.get32(BUDGET);
		if (left === 0) return "budget";
		const trap = (state.get32(EFLAGS) & EFLAGS_TF) !== 0;
		const debugging = trap || breakpointsArmed(state);
		if (debugging) return this.#stepDebugged(left, trap);
		if (!one) return this.#handle(this.#engines.run());
		return this.#runOne(left);
	}

	/** Executes exactly one instruction. */
	#runOne(left: number): ExitReason | undefined {
		const { state } = this;
		state.set32(SHADOW, NO_SHADOW);
		this.#grant(1);
		const status = this.#engines.run();
		this.#grant(left - 1 + state.get32(BUDGET));
		// A shadow that this instruction opened was noted in terms of 1.
		if (state.get32(SHADOW) !== NO_SHADOW) {
			state.set32(SHADOW, state.get32(BUDGET));
		}
		return this.#handle(status === STATUS_BUDGET ? STATUS_NEXT : status);
	}

	/** One instruction under single-step or breakpoints. */
	#stepDebugged(left: number, singleStep: boolean): ExitReason | undefined {
		const { state } = this;
		const watch = this.#watch;
		const resume = (state.get32(EFLAGS) & EFLAGS_RF) !== 0;
		const open = !resume && !watch.isHeld;
		if (open && this.#hitsInstructionBreakpoint()) return this.#debugTrap();
		this.mmu.watcher = (linear, bytes, write) =>
			watch.access(linear, bytes, write);
		state.set32(DIRECT, 0);
		this.#isWatched = true;
		watch.begin();
		this.#grant(1);
		const status = this.#engines.run();
		const retired = 1 - state.get32(BUDGET);
		this.#grant(left - retired);
		this.#isWatched = false;
		this.mmu.watcher = undefined;
		if (retired === 0) {
			watch.abandon();
			return this.#handle(status);
		}
		if (resume) state.set32(EFLAGS, state.get32(EFLAGS) & ~EFLAGS_RF);
		// A fault now is the next instruction's: it comes again after the trap.
		const done = status === STATUS_BUDGET || status === STATUS_FAULT;
		const reason = this.#handle(done ? STATUS_NEXT : status);
		const hits = watch.end(singleStep);
		if (reason !== undefined || hits === 0) return reason;
		noteDebugStatus(state, hits);
		return this.#debugTrap();
	}

	/** False beyond the segment's end: there the fetch faults. */
	#hitsInstructionBreakpoint(): boolean {
		const { state } = this;
		try {
			const linear = this.#fetch.linearAddress();
			const hits = instructionBreakpoints(state, linear);
			if (hits !== 0) noteDebugStatus(state, hits);
			return hits !== 0;
		} catch (fault) {
			asFault(fault);
			return false;
		}
	}

	/** A HLT that traps does not wait. */
	#debugTrap(): ExitReason | undefined {
		const { state } = this;
		if (state.get32(HALTED) === HALTED_SHUTDOWN) return "triple-fault";
		state.set32(HALTED, 0);
		return this.#deliver(new GuestFault(VECTOR_DB, undefined));
	}

	#handle(status: Status): ExitReason | undefined {
		switch (status) {
			case STATUS_BUDGET:
				return "budget";
			case STATUS_FAULT:
				return this.#deliver(notedFault(this.state));
			default:
				this.#modeChanged();
				return undefined;
		}
	}

	/** Takes what is pending, if it is due; false = the CPU shut down. */
	#takeInterrupt(): boolean {
		const vector = this.#lines.take();
		if (vector === undefined) return true;
		if (deliverHardwareInterrupt(this, vector) === "shutdown") return false;
		this.#modeChanged();
		return true;
	}

	/** True = one instruction, and then again. */
	#offerInterrupt(): boolean {
		const soon = this.supervisor?.offerInterrupt() ?? false;
		this.#modeChanged();
		return soon;
	}

	#deliver(fault: GuestFault): ExitReason | undefined {
		if (this.onException?.(fault, false)) return "requested";
		if (this.supervisor !== undefined) this.supervisor.exception(fault);
		else if (deliverException(this, fault) === "shutdown")
			return "triple-fault";
		this.#modeChanged();
		return undefined;
	}

	#modeChanged(): void {
		updateMode(this.state);
		this.mmu.alignmentCheck = this.#alignmentCheck();
		const mode = this.state.get32(MODE);
		if (mode !== this.#mode) {
			this.#mode = mode;
			this.#code.clearJumpCache();
		}
		this.#noteDirect();
	}

	/** Whether `direct-operations.ts` may do without this class. */
	#noteDirect(): void {
		const { state } = this;
		const isWatched =
			this.supervisor !== undefined ||
			this.onException !== undefined ||
			(state.get32(TLB_READ_MASK) & TLB_NEVER) !== 0;
		const isPlain =
			this.#mode === FLAT_32 && (state.get32(EFER) & EFER_LMA) === 0;
		state.set32(DIRECT, isPlain && !isWatched ? 1 : 0);
	}

	#alignmentCheck(): boolean {
		const { state } = this;
		const am = state.get32(CR0) & (1 << 18);
		return am !== 0 && (state.get32(EFLAGS) & (1 << 18)) !== 0;
	}

	/** A system operation of generated code; raises the guest's faults. */
	#operate(operation: number, a: number, b: number, c: number): Status {
		if (this.#isWatched) this.#watch.operation(operation, a, b);
		if (operation === OPERATION_INT) {
			if (this.#intercept(a)) return STATUS_STOP_JUMP;
			const jumped = this.supervisor?.softwareInterrupt(a & 0xff);
			if (jumped !== undefined) return jumped ? STATUS_STOP_JUMP : STATUS_NEXT;
		}
		const run = OPERATIONS_BY_NUMBER[operation] as Operation;
		return run(this, a, b, c);
	}

	/** Offers a software interrupt to `onException`. */
	#intercept(vector: number): boolean {
		const fault = new GuestFault(vector, undefined);
		if (!this.onException?.(fault, true)) return false;
		this.#exitRequested = true;
		return true;
	}
}

type Operation = (
	cpu: SystemContext,
	a: number,
	b: number,
	c: number,
) => Status;
/** What 32-bit kernels and programs run in. */
const FLAT_32 = makeMode(32, 32, true);
/** SHADOW when no instruction has opened one. */
const NO_SHADOW = -1;
const OPERATION_INT = Object.keys(OPERATIONS).indexOf("INT");
const OPERATIONS_BY_NUMBER: readonly Operation[] = Object.values(OPERATIONS);
