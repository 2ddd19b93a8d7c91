/**
 * Time and chance, the two things that would make every run different, enter
 * the program here and nowhere else.
 *
 * There are two clocks. The *wall* clock is what a person at a terminal wants.
 * The *virtual* clock counts instructions: a run under it is the same run every
 * time, bit for bit, as long as nothing comes in from outside.
 *
 * Relies on `performance`, `Date`, `crypto` and the timer queue; the run loop,
 * the chips and the CPU's TSC rely on it.
 *
 * @journey H:115 What time is it?
 */

import type { DeviceClock } from "../chipset/bus.ts";
import type { Alarm } from "./alarm.ts";
import { TimerQueue } from "./timer-queue.ts";

/** The names on the command line. */
export type ClockKind = "wall" | "virtual";

/** What the machine wants to know of time; `DeviceClock` is the chips' part of it. */
export interface MachineClock extends DeviceClock {
	/** Called when someone asks for a deadline within the slice that is running. */
	onSooner: () => void;
	/** How many instructions to run before looking at the clock again. */
	nextSlice(): number;
	/** The slice is over; `retired` of its instructions were executed. */
	sliceEnded(retired: number): void;
	/** Calls every timer whose time has come. */
	runDue(): void;
	/** Lets time pass until the next deadline or until the alarm rings. */
	idle(alarm: Alarm): Promise<void>;
	/** Whether the embedder has waited for its turn long enough. */
	breathDue(): boolean;
	/** The embedder has just had its turn. */
	breathed(): void;
	/** Stands still until `resume`: the guest is paused. */
	pause(): void;
	resume(): void;
	/** Time passes whatever the guest does; else by its instructions. */
	readonly isReal: boolean;
	/** Ticks of `TSC_HZ`: a whole number below 2^53, which is months. */
	timeStampCounter(): number;
	/** Seconds since 1970 UTC, for the battery clock. */
	wallSeconds(): number;
	/** 32 random bits. */
	random(): number;
	/** Forgets all timers: the chips are built anew. */
	clearTimers(): void;
}

/** The rate at which the time-stamp counter counts, under either clock. */
export const TSC_HZ = 1e9;

/**
 * How long a stay in generated code should be. Long enough that what surrounds
 * it costs nothing; short enough that a timer set meanwhile is hardly late and
 * that the JavaScript engine can replace the code by its optimised version,
 * which it does only between calls.
 */
const SLICE_MS = 1;
/** How long output, keys and signals may have to wait. */
const BREATH_MS = 10;

const FIRST_SLICE = 20_000;
const SHORTEST_SLICE = 1_000;
const LONGEST_SLICE = 2_000_000;
const NS_PER_MS = 1e6;

/** Measures the CPU's speed to translate between time and instructions. */
class Pace {
	/** Instructions per nanosecond, as of late. */
	#rate = FIRST_SLICE / (SLICE_MS * NS_PER_MS);
	#sliceStarted = 0;

	/** Instructions that take about `ns`, within reason. */
	instructionsIn(ns: number): number {
		this.#sliceStarted = performance.now();
		const wanted = Math.min(ns, SLICE_MS * NS_PER_MS) * this.#rate;
		return clamp(Math.ceil(wanted), SHORTEST_SLICE, LONGEST_SLICE);
	}

	/** Very short slices say little, and would be divided by almost nothing. */
	sliceEnded(retired: number): void {
		const ns = (performance.now() - this.#sliceStarted) * NS_PER_MS;
		if (retired < SHORTEST_SLICE || ns <= 0) return;
		this.#rate = 0.75 * this.#rate + 0.25 * (retired / ns);
	}
}

function clamp(value: number, low: number, high: number): number {
	return Math.max(low, Math.min(high, value));
}

/** What both clocks do alike. */
abstract class TimedClock {
	onSooner: () => void = () => {};
	protected readonly timers = new TimerQueue();
	/** Until when the CPU runs without looking here. */
	protected sliceEndNs = 0;
	#lastBreath = performance.now();

	abstract nowNs(): number;

	schedule(
		owner: object,
		deadlineNs: number | undefined,
		callback?: () => void,
	): void {
		this.timers.schedule(owner, deadlineNs, callback);
		if (this.timers.earliestNs < this.sliceEndNs) this.onSooner();
	}

	sliceEnded(_retired: number): void {
		this.sliceEndNs = 0;
	}

	runDue(): void {
		this.timers.runDue(this.nowNs());
	}

	breathDue(): boolean {
		return performance.now() - this.#lastBreath >= BREATH_MS;
	}

	breathed(): void {
		this.#lastBreath = performance.now();
	}

	/** Time that is counted in instructions stands still by itself. */
	pause(): void {}

	resume(): void {}

	timeStampCounter(): number {
		return Math.floor(this.nowNs() * (TSC_HZ / 1e9));
	}

	clearTimers(): void {
		this.timers.clear();
	}
}

/** Guest time is the embedder's time. */
export class WallClock extends TimedClock implements MachineClock {
	readonly isReal = true;
	readonly #pace = new Pace();
	/** Moves when the guest was paused, so that it does not notice. */
	#startedMs = performance.now();
	/** Moves along: the date goes on. */
	#startedSeconds = Date.now() / 1000;
	#pausedMs: number | undefined;
	readonly #randomWords = new Uint32Array(64);
	#randomWordsLeft = 0;

	nowNs(): number {
		return Math.floor((performance.now() - this.#startedMs) * NS_PER_MS);
	}

	nextSlice(): number {
		const now = this.nowNs();
		const untilDue = Math.max(0, this.timers.earliestNs - now);
		this.sliceEndNs = now + Math.min(untilDue, SLICE_MS * NS_PER_MS);
		return this.#pace.instructionsIn(untilDue);
	}

	override sliceEnded(retired: number): void {
		super.sliceEnded(retired);
		this.#pace.sliceEnded(retired);
	}

	override pause(): void {
		this.#pausedMs ??= performance.now();
	}

	override resume(): void {
		if (this.#pausedMs === undefined) return;
		const pauseMs = performance.now() - this.#pausedMs;
		this.#pausedMs = undefined;
		this.#startedMs += pauseMs;
		this.#startedSeconds += pauseMs / 1000;
	}

	/** Timers have milliseconds; rounding up makes a tick late, never a busy loop. */
	async idle(alarm: Alarm): Promise<void> {
		const ns = this.timers.earliestNs - this.nowNs();
		if (ns <= 0) return;
		await alarm.sleep(Math.ceil(ns / NS_PER_MS));
		this.breathed();
	}

	/** Not offset by what the system's clock is set to later: chips need steady time. */
	wallSeconds(): number {
		return this.#startedSeconds + this.nowNs() / 1e9;
	}

	/** A guest seeds its own generator, and so its keys, from this. */
	random(): number {
		if (this.#randomWordsLeft === 0) {
			crypto.getRandomValues(this.#randomWords);
			this.#randomWordsLeft = this.#randomWords.length;
		}
		this.#randomWordsLeft--;
		return this.#randomWords[this.#randomWordsLeft] ?? 0;
	}
}

/**
 * In instructions. Under the virtual clock a slice must not depend on how fast
 * we are, for where it ends, keys are offered: a session typed from a file is to
 * be the same every time.
 */
const VIRTUAL_SLICE = 100_000;

/** One instruction of virtual time: the guest believes in a 500 MIPS machine. */
export const NS_PER_INSTRUCTION = 2;

/** 2025-01-01 00:00:00 UTC: when every virtual machine is switched on. */
const VIRTUAL_EPOCH_SECONDS = 1_735_689_600;

/** What a virtual clock stands on. */
export interface VirtualClockOptions {
	/** Instructions retired so far, exact even inside a slice. */
	readonly retired: () => number;
	/**
	 * Whether idle time should pass as slowly as real time. Somebody may be about
	 * to type; without that, racing ahead costs a CPU and shows nobody anything.
	 */
	readonly paced: () => boolean;
	/** Chooses among equally reproducible random sequences. */
	readonly seed?: number;
}

/** Guest time is instructions, plus the time it spent waiting for its own timers. */
export class VirtualClock extends TimedClock implements MachineClock {
	readonly isReal = false;
	readonly #options: VirtualClockOptions;
	/** Time that passed while the guest was halted. */
	#skippedNs = 0;
	#randomState: number;

	constructor(options: VirtualClockOptions) {
		super();
		this.#options = options;
		this.#randomState = options.seed ?? 0;
	}

	nowNs(): number {
		return this.#skippedNs + this.#options.retired() * NS_PER_INSTRUCTION;
	}

	/** Exact to the instruction: the slice ends where the deadline is. */
	nextSlice(): number {
		const now = this.nowNs();
		const untilDue = Math.max(0, this.timers.earliestNs - now);
		const exact = Math.max(1, Math.ceil(untilDue / NS_PER_INSTRUCTION));
		const slice = Math.min(exact, VIRTUAL_SLICE);
		this.sliceEndNs = now + slice * NS_PER_INSTRUCTION;
		return slice;
	}

	async idle(alarm: Alarm): Promise<void> {
		const ns = this.timers.earliestNs - this.nowNs();
		if (ns <= 0) return;
		if (ns < Number.POSITIVE_INFINITY && !this.#options.paced()) {
			this.#skippedNs += ns;
			return;
		}
		const before = performance.now();
		await alarm.sleep(Math.ceil(ns / NS_PER_MS));
		this.breathed();
		const slept = Math.floor((performance.now() - before) * NS_PER_MS);
		this.#skippedNs += Math.min(ns, slept);
	}

	wallSeconds(): number {
		return VIRTUAL_EPOCH_SECONDS + this.nowNs() / 1e9;
	}

	/** Mulberry32, by Tommy Ettinger: small, seedable and good enough for a replay. */
	random(): number {
		this.#randomState = (this.#randomState + 0x6d2b79f5) | 0;
		let mixed = this.#randomState;
		mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return (mixed ^ (mixed >>> 14)) >>> 0;
	}
}

/** Seconds of real time since it was made: for statistics, never for a guest. */
export class Stopwatch {
	readonly #startedMs = performance.now();

	seconds(): number {
		return (performance.now() - this.#startedMs) / 1000;
	}
}
