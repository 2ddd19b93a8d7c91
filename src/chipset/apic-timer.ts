/**
 * The local APIC's timer (Intel SDM vol. 3, "APIC Timer"): once after a count,
 * again and again, or when the time-stamp counter reaches a deadline. The
 * count goes down at the counter's rate, divided.
 *
 * Nothing counts here either: a deadline is asked for, and the count is
 * computed when somebody reads it.
 *
 * Relies on the device clock; the local APIC relies on it.
 *
 * @journey P:313 One alarm at a time
 */

import type { DeviceClock } from "./bus.ts";
import { nsOfTick, ticksAt } from "./clock-ticks.ts";

export const TIMER_ONE_SHOT = 0;
export const TIMER_PERIODIC = 1;
export const TIMER_TSC_DEADLINE = 2;

/**
 * A shorter period would be nothing but interrupts. The guest gets them late,
 * as from a processor that is busy with something more urgent.
 */
const SHORTEST_PERIOD_NS = 20_000;

/** What the timer needs of its surroundings. */
export interface ApicTimerOptions {
	readonly clock: DeviceClock;
	/** Ticks per second, of the undivided count and of the time-stamp counter. */
	readonly frequencyHz: number;
	/** What the guest has moved its time-stamp counter by. */
	readonly tscOffset: () => bigint;
	/** The time has come. */
	readonly onExpiry: () => void;
}

/** Registers as plain fields; the local APIC knows where they are. */
export class ApicTimer {
	mode = TIMER_ONE_SHOT;
	initialCount = 0;
	/** The register's bits: 0 to 2 in bits 0, 1 and 3. */
	divideConfiguration = 0;
	/** IA32_TSC_DEADLINE; 0 = not armed. */
	deadline = 0n;
	/** When the present count began. */
	startNs = 0;
	/** From a write of the initial count to the end of a single count. */
	isCounting = false;
	readonly #options: ApicTimerOptions;

	constructor(options: ApicTimerOptions) {
		this.#options = options;
	}

	/** A new mode from the LVT. Between deadlines and counts the timer stops. */
	setMode(mode: number): void {
		if (mode === this.mode) return;
		const wasDeadline = this.mode === TIMER_TSC_DEADLINE;
		this.mode = mode;
		if (!wasDeadline && mode !== TIMER_TSC_DEADLINE) return;
		this.initialCount = 0;
		this.isCounting = false;
		this.deadline = 0n;
		this.#cancel();
	}

	/** Starts to count; 0 stops. Without effect while a deadline is waited for. */
	writeInitialCount(count: number): void {
		if (this.mode === TIMER_TSC_DEADLINE) return;
		this.initialCount = count;
		this.isCounting = count !== 0;
		this.startNs = this.#options.clock.nowNs();
		if (count === 0) this.#cancel();
		else this.#expectCount(this.startNs + this.#periodNs());
	}

	/** The rest of the count goes on at the new rate. */
	writeDivideConfiguration(value: number): void {
		const left = this.currentCount();
		this.divideConfiguration = value & 0xb;
		if (left === 0) return;
		const now = this.#options.clock.nowNs();
		this.startNs = now - this.#countNs(this.initialCount - left);
		this.#expectCount(now + this.#countNs(left));
	}

	currentCount(): number {
		if (!this.isCounting) return 0;
		const passed = this.#options.clock.nowNs() - this.startNs;
		const counts = Math.floor(
			ticksAt(passed, this.#options.frequencyHz) / this.#divisor(),
		);
		if (this.mode === TIMER_PERIODIC) {
			return this.initialCount - (counts % this.initialCount);
		}
		return Math.max(0, this.initialCount - counts);
	}

	/** IA32_TSC_DEADLINE: 0 disarms, and so does any other mode. */
	writeDeadline(deadline: bigint): void {
		if (this.mode !== TIMER_TSC_DEADLINE) return;
		this.deadline = deadline;
		if (deadline === 0n) this.#cancel();
		else this.#expectDeadline();
	}

	/** The guest has moved the counter: the same deadline is at another time. */
	timeStampMoved(): void {
		if (this.deadline !== 0n) this.#expectDeadline();
	}

	/** As after RESET. */
	reset(): void {
		this.mode = TIMER_ONE_SHOT;
		this.initialCount = 0;
		this.isCounting = false;
		this.divideConfiguration = 0;
		this.deadline = 0n;
		this.#cancel();
	}

	/** 2, 4, … 128, and 1 for all bits set. */
	#divisor(): number {
		const bits = this.divideConfiguration;
		const exponent = (bits & 3) | ((bits & 8) >> 1);
		return exponent === 7 ? 1 : 2 << exponent;
	}

	#countNs(count: number): number {
		return nsOfTick(count * this.#divisor(), this.#options.frequencyHz);
	}

	#periodNs(): number {
		const ns = this.#countNs(this.initialCount);
		return this.mode === TIMER_PERIODIC ? Math.max(ns, SHORTEST_PERIOD_NS) : ns;
	}

	#expectCount(deadlineNs: number): void {
		const { clock, onExpiry } = this.#options;
		clock.schedule(this, deadlineNs, () => {
			if (this.mode === TIMER_PERIODIC) this.#again();
			else this.isCounting = false;
			onExpiry();
		});
	}

	/** Periods that passed while nobody looked are one interrupt. */
	#again(): void {
		const period = this.#periodNs();
		const passed = this.#options.clock.nowNs() - this.startNs;
		this.startNs += Math.max(1, Math.floor(passed / period)) * period;
		this.#expectCount(this.startNs + period);
	}

	/** A deadline that has passed is due at once. */
	#expectDeadline(): void {
		const { clock, frequencyHz, tscOffset } = this.#options;
		const ticks = ticksAt(clock.nowNs(), frequencyHz);
		const counter = BigInt.asUintN(64, BigInt(ticks) + tscOffset());
		const reached = () => {
			this.#cancel();
			this.deadline = 0n;
			this.#options.onExpiry();
		};
		if (this.deadline <= counter) {
			reached();
			return;
		}
		const left = Number(this.deadline - counter);
		clock.schedule(this, nsOfTick(ticks + left, frequencyHz), reached);
	}

	#cancel(): void {
		this.#options.clock.schedule(this, undefined);
	}
}
