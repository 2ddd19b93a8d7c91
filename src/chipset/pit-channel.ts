/**
 * One counter of the 8254: six modes, described by formulas over the clock
 * tick rather than by counting. Nothing happens between accesses, so a counter
 * costs nothing while the guest does not look, and it cannot drift.
 *
 * Relies on nothing. `pit-8254.ts` puts three of these behind ports. Rules from
 * the Intel 8254 data sheet (order number 231164), "Mode Definitions".
 *
 * @journey P:320 A counter that nobody counts
 */

export const PIT_ACCESS_LSB = 1;
export const PIT_ACCESS_MSB = 2;
export const PIT_ACCESS_BOTH = 3;

/** Read-back status bits (data sheet, "Status Byte"). */
const STATUS_OUTPUT = 0x80;
const STATUS_NULL_COUNT = 0x40;

/** All methods take the current tick; plain fields are the whole state. */
export class PitChannel {
	mode = 0;
	bcd = false;
	access = PIT_ACCESS_BOTH;
	gate: boolean;
	/** The count in use: 1 to 65536 (or 10000 in BCD). */
	count = 0x10000;
	/** A count was written since the last control word. */
	loaded = false;
	/** Modes 1 and 5: the gate rose since the control word. */
	triggered = false;
	/** Modes 1 and 5: the count that the next trigger loads. */
	armedCount = 0x10000;
	/** The tick at which the counting element holds exactly `count`. */
	startTick = 0;
	/** Ticks counted before a low gate stopped modes 0, 2, 3 or 4, else -1. */
	heldTicks = -1;
	/** Modes 2 and 3: a new count that waits for the end of its (half) period. */
	nextCount = 0;
	/** When `nextCount` takes over, and the `startTick` it then gets. */
	nextCountTick = 0;
	nextStartTick = 0;
	/** The low byte of a two-byte write that is half done, else -1. */
	writeLow = -1;
	/** The next read of an unlatched two-byte counter gives the high byte. */
	readHigh = false;
	/** Latched bytes still to be read (low first), else -1. */
	latchedLow = -1;
	latchedHigh = -1;
	latchedStatus = -1;

	constructor(gate: boolean) {
		this.gate = gate;
	}

	/** A control word for this counter: it stops and waits for a count. */
	program(mode: number, access: number, bcd: boolean): void {
		this.mode = mode > 5 ? mode & 3 : mode;
		this.access = access;
		this.bcd = bcd;
		this.loaded = false;
		this.triggered = false;
		this.heldTicks = -1;
		this.nextCount = 0;
		this.writeLow = -1;
		this.readHigh = false;
		this.latchedLow = -1;
		this.latchedHigh = -1;
		this.latchedStatus = -1;
	}

	/** A byte of a count. */
	write(value: number, now: number): void {
		this.settle(now);
		if (this.access === PIT_ACCESS_LSB) this.#load(value, now);
		else if (this.access === PIT_ACCESS_MSB) this.#load(value << 8, now);
		else if (this.writeLow < 0) {
			this.writeLow = value;
			// Mode 0: the first byte stops the count and OUT goes low at once.
			if (this.mode === 0) this.loaded = false;
		} else {
			const low = this.writeLow;
			this.writeLow = -1;
			this.#load(low | (value << 8), now);
		}
	}

	/** A byte of status or count, in the order the latches ask for. */
	read(now: number): number {
		this.settle(now);
		if (this.latchedStatus >= 0) {
			const status = this.latchedStatus;
			this.latchedStatus = -1;
			return status;
		}
		if (this.latchedLow >= 0) {
			const low = this.latchedLow;
			this.latchedLow = -1;
			return low;
		}
		if (this.latchedHigh >= 0) {
			const high = this.latchedHigh;
			this.latchedHigh = -1;
			return high;
		}
		return this.#readLive(now);
	}

	/** The counter latch command: a second one changes nothing until the first is read. */
	latchCount(now: number): void {
		if (this.latchedLow >= 0 || this.latchedHigh >= 0) return;
		this.settle(now);
		const value = this.counter(now);
		if (this.access !== PIT_ACCESS_MSB) this.latchedLow = value & 0xff;
		if (this.access !== PIT_ACCESS_LSB) this.latchedHigh = value >> 8;
	}

	latchStatus(now: number): void {
		if (this.latchedStatus >= 0) return;
		this.settle(now);
		const nullCount =
			!this.loaded || now < this.startTick || this.nextCount !== 0;
		this.latchedStatus =
			(this.out(now) ? STATUS_OUTPUT : 0) |
			(nullCount ? STATUS_NULL_COUNT : 0) |
			(this.access << 4) |
			(this.mode << 1) |
			(this.bcd ? 1 : 0);
	}

	/** The gate pin: level-sensitive in modes 0, 2, 3, 4, a trigger in 1, 2, 3, 5. */
	setGate(level: boolean, now: number): void {
		if (level === this.gate) return;
		this.settle(now);
		const elapsed = this.#elapsed(now);
		this.gate = level;
		const oneShot = this.mode === 1 || this.mode === 5;
		if (!level) {
			if (!oneShot) this.heldTicks = Math.max(0, elapsed);
		} else if (this.mode === 0 || this.mode === 4) {
			this.startTick = now - this.heldTicks;
			this.heldTicks = -1;
		} else {
			this.#trigger(now);
		}
	}

	/** The OUT pin. */
	out(now: number): boolean {
		const elapsed = this.#elapsed(now);
		const n = this.count;
		switch (this.mode) {
			case 0:
				return this.loaded && elapsed >= n;
			case 1:
				return !this.triggered || elapsed < 0 || elapsed >= n;
			case 2:
				return !this.#runs() || elapsed < 0 || elapsed % n !== n - 1;
			case 3:
				return !this.#runs() || elapsed < 0 || elapsed % n < highHalf(n);
			default:
				return !this.#runs() || elapsed !== n;
		}
	}

	/** What the counting element shows, in the counter's own number system. */
	counter(now: number): number {
		const modulus = this.bcd ? 10000 : 0x10000;
		const value = this.#countDown(now) % modulus;
		const positive = value < 0 ? value + modulus : value;
		return this.bcd ? toBcd4(positive) : positive;
	}

	/** The first tick after `now` at which OUT rises, or undefined if it will not. */
	nextRise(now: number): number | undefined {
		if (!this.#runs() || this.heldTicks >= 0) return undefined;
		const elapsed = now - this.startTick;
		if (this.mode === 2 || this.mode === 3) return this.#nextPeriod(now);
		const rise =
			this.mode === 4 || this.mode === 5 ? this.count + 1 : this.count;
		return elapsed < rise ? this.startTick + rise : undefined;
	}

	/** Lets a deferred count take over if its time has come. */
	settle(now: number): void {
		if (this.nextCount === 0 || now < this.nextCountTick) return;
		this.count = this.nextCount;
		this.startTick = this.nextStartTick;
		this.nextCount = 0;
	}

	#load(raw: number, now: number): void {
		const count = this.#decodeCount(raw);
		this.armedCount = count;
		const wasLoaded = this.loaded;
		this.loaded = true;
		if (this.mode === 1 || this.mode === 5) return;
		const periodic = this.mode === 2 || this.mode === 3;
		if (periodic && wasLoaded && this.gate && now >= this.startTick) {
			this.#deferCount(count, now);
			return;
		}
		this.count = count;
		this.startTick = now + 1;
		this.heldTicks = this.gate ? -1 : 0;
	}

	/** A rising gate loads the counter on the next tick, in modes 1, 2, 3 and 5. */
	#trigger(now: number): void {
		this.count = this.armedCount;
		this.nextCount = 0;
		this.startTick = now + 1;
		this.heldTicks = -1;
		this.triggered = true;
	}

	/**
	 * A count written to a running rate generator waits for the end of the
	 * period; in mode 3, of the half period: if that is a high half, the next
	 * (low) half already has the new length.
	 */
	#deferCount(count: number, now: number): void {
		const periods = Math.floor((now - this.startTick) / this.count);
		const periodStart = this.startTick + periods * this.count;
		const half = periodStart + highHalf(this.count);
		this.nextCount = count;
		if (this.mode === 3 && now < half) {
			this.nextCountTick = half;
			this.nextStartTick = half - highHalf(count);
		} else {
			this.nextCountTick = periodStart + this.count;
			this.nextStartTick = this.nextCountTick;
		}
	}

	/** Modes 2 and 3: the start of the next period, across a deferred count. */
	#nextPeriod(now: number): number {
		const rise = periodAfter(this.startTick, this.count, now);
		if (this.nextCount === 0 || rise <= this.nextCountTick) return rise;
		return periodAfter(this.nextStartTick, this.nextCount, this.nextCountTick);
	}

	/** Whether OUT moves by itself (or would, once the gate lets it). */
	#runs(): boolean {
		if (this.mode === 1 || this.mode === 5)
			return this.loaded && this.triggered;
		if (this.mode === 2 || this.mode === 3) return this.loaded && this.gate;
		return this.loaded;
	}

	#elapsed(now: number): number {
		return this.heldTicks >= 0 ? this.heldTicks : now - this.startTick;
	}

	/** The count before wrapping: negative once a one-shot mode ran past zero. */
	#countDown(now: number): number {
		const n = this.count;
		const elapsed = Math.max(0, this.#elapsed(now));
		if (this.mode === 2) return n - (elapsed % n);
		if (this.mode !== 3) return n - elapsed;
		// Mode 3 counts down by two, twice a period, from the even count below n.
		const phase = elapsed % n;
		const high = highHalf(n);
		return n - (n & 1) - 2 * (phase < high ? phase : phase - high);
	}

	#readLive(now: number): number {
		const value = this.counter(now);
		if (this.access === PIT_ACCESS_LSB) return value & 0xff;
		if (this.access === PIT_ACCESS_MSB) return value >> 8;
		const high = this.readHigh;
		this.readHigh = !high;
		return high ? value >> 8 : value & 0xff;
	}

	/** Zero means the largest count. A count of 1 is illegal in modes 2 and 3: taken as 2. */
	#decodeCount(raw: number): number {
		const value = this.bcd ? fromBcd4(raw) : raw;
		if (value === 0) return this.bcd ? 10000 : 0x10000;
		const least = this.mode === 2 || this.mode === 3 ? 2 : 1;
		return Math.max(value, least);
	}
}

/** Mode 3 keeps OUT high for the longer half of an odd count. */
function highHalf(count: number): number {
	return (count + 1) >> 1;
}

/** The first `start + k * period`, k >= 1, that lies after `now`. */
function periodAfter(start: number, period: number, now: number): number {
	const periods = Math.max(0, Math.floor((now - start) / period));
	return start + (periods + 1) * period;
}

function toBcd4(value: number): number {
	let bcd = 0;
	for (let shift = 0, rest = value; shift < 16; shift += 4) {
		bcd |= (rest % 10) << shift;
		rest = Math.floor(rest / 10);
	}
	return bcd;
}

function fromBcd4(bcd: number): number {
	let value = 0;
	for (let shift = 12; shift >= 0; shift -= 4) {
		value = value * 10 + ((bcd >> shift) & 0xf);
	}
	return value;
}
