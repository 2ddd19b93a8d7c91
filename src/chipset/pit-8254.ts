/**
 * The PC's interval timer: three 8254 counters at ports 0x40 to 0x43 and the
 * system control port 0x61 that gates counter 2. Counter 0 is the tick of a
 * kernel without anything better; counter 2 is what Linux calibrates the TSC by.
 *
 * Relies on the bus contract (time comes from `DeviceClock`) and on the
 * counters; the machine attaches it and wires IRQ 0.
 *
 * @journey P:325 The heartbeat
 */

import type { AccessSize, DeviceClock, InterruptLine, PortBus } from "./bus.ts";
import { nsOfTick, ticksAt } from "./clock-ticks.ts";
import { PitChannel } from "./pit-channel.ts";

/** The PC's timer crystal: 14.31818 MHz / 12. */
export const PIT_FREQUENCY_HZ = 1193182;

/** Port 0x61 bits (Intel ICH "NMI Status and Control"); 6 and 7 never report an error. */
const PORT61_GATE2 = 0x01;
const PORT61_WRITABLE = 0x0f;
const PORT61_REFRESH = 0x10;
const PORT61_OUT2 = 0x20;

/** Memory refresh toggles bit 4 every 15 µs: 18 ticks. Old kernels time by it. */
const REFRESH_TICKS = 18;

/** Three counters; the speaker itself is not there, only its gate and OUT2. */
export class Pit8254 {
	/** Gates 0 and 1 are tied high; gate 2 is bit 0 of port 0x61. */
	readonly channels: readonly [PitChannel, PitChannel, PitChannel] = [
		new PitChannel(true),
		new PitChannel(true),
		new PitChannel(false),
	];
	/** What the guest last wrote to the low bits of port 0x61. */
	port61 = 0;
	/** The rising edge of OUT 0 that the clock will wake us for. */
	nextRise: number | undefined;
	readonly #clock: DeviceClock;
	readonly #irq0: InterruptLine;

	constructor(clock: DeviceClock, irq0: InterruptLine) {
		this.#clock = clock;
		this.#irq0 = irq0;
	}

	attach(ports: PortBus): void {
		ports.register(0x40, 4, {
			read: (offset) => this.#read(offset),
			write: (offset, _size, value) => this.#write(offset, value),
		});
		ports.register(0x61, 1, {
			read: () => this.#readPort61(),
			write: (_offset: number, _size: AccessSize, value: number): void => {
				this.port61 = value & PORT61_WRITABLE;
				const gate = (value & PORT61_GATE2) !== 0;
				this.channels[2].setGate(gate, this.#now());
			},
		});
	}

	#now(): number {
		return ticksAt(this.#clock.nowNs(), PIT_FREQUENCY_HZ);
	}

	#read(offset: number): number {
		const channel = this.channels[offset];
		// The control register cannot be read: nothing drives the bus.
		if (channel === undefined) return 0xff;
		if (offset === 0) this.#deliverDueTick();
		return channel.read(this.#now());
	}

	#write(offset: number, value: number): void {
		const channel = this.channels[offset];
		if (channel === undefined) this.#writeControl(value);
		else if (offset === 0)
			this.#changeChannel0((now) => channel.write(value, now));
		else channel.write(value, this.#now());
	}

	/** Control word: counter, access and mode, BCD; access 0 latches, counter 3 reads back. */
	#writeControl(value: number): void {
		const select = value >> 6;
		const channel = this.channels[select];
		const access = (value >> 4) & 3;
		if (channel === undefined) {
			this.#readBack(value);
		} else if (access === 0) {
			channel.latchCount(this.#now());
		} else {
			const program = () =>
				channel.program((value >> 1) & 7, access, (value & 1) !== 0);
			if (select === 0) this.#changeChannel0(program);
			else program();
		}
	}

	/** The read-back command: its count and status bits are active low. */
	#readBack(value: number): void {
		const now = this.#now();
		for (const [index, channel] of this.channels.entries()) {
			if ((value & (2 << index)) === 0) continue;
			if ((value & 0x20) === 0) channel.latchCount(now);
			if ((value & 0x10) === 0) channel.latchStatus(now);
		}
	}

	#readPort61(): number {
		const now = this.#now();
		this.channels[2].settle(now);
		const refresh = Math.floor(now / REFRESH_TICKS) & 1;
		return (
			this.port61 |
			(refresh ? PORT61_REFRESH : 0) |
			(this.channels[2].out(now) ? PORT61_OUT2 : 0)
		);
	}

	/** Any change of counter 0: what was due before it still happens. */
	#changeChannel0(change: (now: number) => void): void {
		this.#deliverDueTick();
		const now = this.#now();
		change(now);
		// OUT goes low when mode 0 is set and high when any other mode is: that
		// edge is real, and so is the interrupt it makes.
		this.#irq0.set(this.channels[0].out(now));
		this.#scheduleNext(now);
	}

	/**
	 * A rising edge of OUT 0. However many edges went by since we last looked
	 * (the process slept, the clock jumped), the 8259 could have latched one: so
	 * the guest gets one, and the next falls on the tick it always would have.
	 */
	#deliverDueTick(): void {
		const now = this.#now();
		if (this.nextRise === undefined || now < this.nextRise) return;
		this.channels[0].settle(now);
		this.#irq0.set(false);
		this.#irq0.set(true);
		this.#scheduleNext(now);
	}

	#scheduleNext(now: number): void {
		this.nextRise = this.channels[0].nextRise(now);
		if (this.nextRise === undefined) {
			this.#clock.schedule(this, undefined);
			return;
		}
		this.#clock.schedule(this, nsOfTick(this.nextRise, PIT_FREQUENCY_HZ), () =>
			this.#wake(),
		);
	}

	/** The clock may call early: then the same edge is still ahead. */
	#wake(): void {
		this.#deliverDueTick();
		this.#scheduleNext(this.#now());
	}
}
