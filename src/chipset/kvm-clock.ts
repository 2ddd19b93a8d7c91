/**
 * The clock that hypervisors have agreed on (Linux 6.1,
 * `Documentation/virt/kvm/x86/msr.rst` and `asm/pvclock-abi.h`): the guest
 * names a place in its memory, and finds there how to make nanoseconds of its
 * time-stamp counter. Told the rate, it has nothing to measure, and reading the
 * time costs it no exit.
 *
 * | Offset | Width | System time                                             |
 * | ------ | ----- | ------------------------------------------------------- |
 * | 0      | 4     | version, odd while the rest is being written            |
 * | 8      | 8     | time-stamp counter at which this was true               |
 * | 16     | 8     | nanoseconds since the machine started, then             |
 * | 24     | 4     | multiplier of a tick, as a fraction of 2^32             |
 * | 28     | 1     | power of two that a tick is multiplied by before        |
 * | 29     | 1     | flags: bit 0, all processors' counters agree            |
 *
 * The wall clock is three words: version, seconds and nanoseconds since 1970 at
 * the machine's start. The counter never changes its rate, so what is written
 * once stays true until the guest moves the counter.
 *
 * Relies on guest memory and the machine's clock; the board passes the
 * registers on.
 *
 * @journey P:332 What time it is, without asking
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import { ticksAt } from "./clock-ticks.ts";

const MSR_WALL_CLOCK = 0x11;
const MSR_SYSTEM_TIME = 0x12;
const MSR_WALL_CLOCK_NEW = 0x4b56_4d00;
const MSR_SYSTEM_TIME_NEW = 0x4b56_4d01;

const ENABLED = 1;
const SYSTEM_TIME_BYTES = 32;
const WALL_CLOCK_BYTES = 12;
const FLAG_STABLE = 1;
const NS_PER_SECOND = 1e9;

/** What the clock is made of. */
export interface KvmClockOptions {
	readonly memory: GuestMemory;
	readonly nowNs: () => number;
	/** Seconds since 1970 UTC. */
	readonly wallSeconds: () => number;
	/** Ticks per second of the time-stamp counter. */
	readonly frequencyHz: number;
	/** What the guest has moved its time-stamp counter by. */
	readonly tscOffset: () => bigint;
}

/** One processor's. */
export class KvmClock {
	/** The registers as written: an address, and bit 0 of the first. */
	systemTime = 0n;
	wallClock = 0n;
	readonly #options: KvmClockOptions;
	#version = 0;

	constructor(options: KvmClockOptions) {
		this.#options = options;
	}

	/** Undefined when the number is none of its own. */
	readMsr(number: number): bigint | undefined {
		switch (number) {
			case MSR_SYSTEM_TIME:
			case MSR_SYSTEM_TIME_NEW:
				return this.systemTime;
			case MSR_WALL_CLOCK:
			case MSR_WALL_CLOCK_NEW:
				return this.wallClock;
			default:
				return undefined;
		}
	}

	/** False when the number is none of its own. */
	writeMsr(number: number, value: bigint): boolean {
		switch (number) {
			case MSR_SYSTEM_TIME:
			case MSR_SYSTEM_TIME_NEW:
				this.systemTime = value;
				this.publish();
				return true;
			case MSR_WALL_CLOCK:
			case MSR_WALL_CLOCK_NEW:
				this.wallClock = value;
				this.#writeWallClock();
				return true;
			default:
				return false;
		}
	}

	/** Writes the system time anew: the guest asked, or moved its counter. */
	publish(): void {
		const { memory, nowNs, frequencyHz, tscOffset } = this.#options;
		if ((this.systemTime & BigInt(ENABLED)) === 0n) return;
		const at = Number(this.systemTime) - ENABLED;
		if (!memory.contains(at, SYSTEM_TIME_BYTES)) return;
		const now = nowNs();
		const counter = BigInt(ticksAt(now, frequencyHz)) + tscOffset();
		const { multiplier, shift } = tickScale(frequencyHz);
		const bytes = new Uint8Array(SYSTEM_TIME_BYTES);
		const view = new DataView(bytes.buffer);
		view.setUint32(0, this.#nextVersion(), true);
		view.setBigUint64(8, BigInt.asUintN(64, counter), true);
		view.setBigUint64(16, BigInt(now), true);
		view.setUint32(24, multiplier, true);
		view.setInt8(28, shift);
		view.setUint8(29, FLAG_STABLE);
		memory.write(at, bytes);
	}

	/** When the machine was switched on. */
	#writeWallClock(): void {
		const { memory, nowNs, wallSeconds } = this.#options;
		const at = Number(this.wallClock);
		if (!memory.contains(at, WALL_CLOCK_BYTES)) return;
		const start = wallSeconds() - nowNs() / NS_PER_SECOND;
		const seconds = Math.floor(start);
		const nanoseconds = Math.floor((start - seconds) * NS_PER_SECOND);
		const bytes = new Uint8Array(WALL_CLOCK_BYTES);
		const view = new DataView(bytes.buffer);
		view.setUint32(0, this.#nextVersion(), true);
		view.setUint32(4, seconds % 2 ** 32, true);
		view.setUint32(8, nanoseconds, true);
		memory.write(at, bytes);
	}

	/** No guest runs while we write, so none ever sees an odd version. */
	#nextVersion(): number {
		this.#version = (this.#version + 2) >>> 0;
		return this.#version;
	}
}

/** `ticks * 2^shift * multiplier / 2^32` is nanoseconds, with all bits used. */
export function tickScale(frequencyHz: number): {
	multiplier: number;
	shift: number;
} {
	let scaled = NS_PER_SECOND / frequencyHz;
	let shift = 0;
	for (; scaled >= 1; scaled /= 2) shift++;
	for (; scaled < 0.5; scaled *= 2) shift--;
	return { multiplier: Math.floor(scaled * 2 ** 32), shift };
}
