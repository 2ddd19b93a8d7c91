/**
 * The battery clock and its CMOS RAM at ports 0x70 and 0x71: the date a kernel
 * starts from, IRQ 8 by alarm, period or second, and the memory size where a
 * BIOS would have left it.
 *
 * Relies on the bus contract and on an injected wall time, so that a replayed
 * run sees the same dates. Rules from the Motorola MC146818 data sheet.
 *
 * @journey P:330 What time it is
 */

import type { AccessSize, DeviceClock, InterruptLine, PortBus } from "./bus.ts";
import { nsOfTick, ticksAt } from "./clock-ticks.ts";
import {
	decodeField,
	encodeField,
	epochSecondsOf,
	fieldsOf,
	RTC_FIELD_REGISTERS,
	type RtcFields,
	type RtcFormat,
} from "./rtc-time.ts";

const RTC_REG_A = 0x0a;
const RTC_REG_B = 0x0b;
const RTC_REG_C = 0x0c;
const RTC_REG_D = 0x0d;
const ALARM_SECONDS = 0x01;
const ALARM_MINUTES = 0x03;
const ALARM_HOURS = 0x05;

const REG_A_UIP = 0x80;
const REG_A_DIVIDER = 0x70;
const DIVIDER_32KHZ = 0x20;
const REG_B_SET = 0x80;
const REG_B_DM = 0x04;
const REG_B_24H = 0x02;
/** PIE, AIE and UIE in B are PF, AF and UF in C. */
const PF = 0x40;
const AF = 0x20;
const UF = 0x10;
const INTERRUPTS = PF | AF | UF;
const REG_C_IRQF = 0x80;
const REG_D_VRT = 0x80;

/** An alarm byte with both top bits set matches everything. */
const ALARM_ANY = 0xc0;

const CRYSTAL_HZ = 32768;
const DAY_SECONDS = 86400;
/** UIP rises 244 µs before the update, which then takes 1984 µs. */
const UIP_SECONDS = 0.002228;

/** What the machine must tell the clock. */
export interface RtcOptions {
	/** Seconds since 1970 UTC, with a fraction; must advance as `DeviceClock` does. */
	readonly wallSeconds: () => number;
	/** RAM size, for the bytes where a BIOS reports it. */
	readonly memoryBytes: number;
}

/** `ram` holds everything but the running time, which is wall time plus an offset. */
export class RtcCmos {
	readonly ram = new Uint8Array(128);
	index = 0;
	/** What the guest's setting of the clock added to wall time. */
	offsetSeconds = 0;
	/** The calendar while register B's SET bit holds it still. */
	held: RtcFields | undefined;
	/** Up to here update and alarm flags have been computed. */
	lastSecond: number;
	/** Up to here, in 32.768 kHz ticks, the periodic flag has been computed. */
	lastTick = 0;
	readonly #clock: DeviceClock;
	readonly #irq8: InterruptLine;
	readonly #wallSeconds: () => number;

	constructor(clock: DeviceClock, irq8: InterruptLine, options: RtcOptions) {
		this.#clock = clock;
		this.#irq8 = irq8;
		this.#wallSeconds = options.wallSeconds;
		this.ram[RTC_REG_A] = 0x26;
		this.ram[RTC_REG_B] = REG_B_24H;
		writeFirmwareBytes(this.ram, options.memoryBytes);
		this.lastSecond = Math.floor(this.#time());
		this.lastTick = this.#tick();
	}

	attach(ports: PortBus): void {
		ports.register(0x70, 2, {
			// The index cannot be read back; its bit 7 would mask NMI, and is ignored.
			read: (offset) => (offset === 0 ? 0xff : this.#read(this.index)),
			write: (offset: number, _size: AccessSize, value: number): void => {
				if (offset === 0) this.index = value & 0x7f;
				else this.#write(this.index, value);
			},
		});
	}

	#read(register: number): number {
		const field = RTC_FIELD_REGISTERS.get(register);
		if (field !== undefined) {
			return encodeField(field, this.#fields()[field], this.#format());
		}
		switch (register) {
			case RTC_REG_A:
				return this.#byte(RTC_REG_A) | (this.#updating() ? REG_A_UIP : 0);
			case RTC_REG_C:
				return this.#readFlags();
			case RTC_REG_D:
				return REG_D_VRT;
			default:
				return this.#byte(register);
		}
	}

	#write(register: number, value: number): void {
		const field = RTC_FIELD_REGISTERS.get(register);
		if (field !== undefined) {
			this.#writeField(field, value);
			return;
		}
		switch (register) {
			case RTC_REG_A:
				this.#collectFlags();
				this.ram[RTC_REG_A] = value & ~REG_A_UIP;
				break;
			case RTC_REG_B:
				this.#writeRegisterB(value);
				break;
			case RTC_REG_C:
			case RTC_REG_D:
				return;
			default:
				this.ram[register] = value;
		}
		this.#update();
	}

	#byte(register: number): number {
		return this.ram[register] ?? 0;
	}

	#time(): number {
		return this.#wallSeconds() + this.offsetSeconds;
	}

	#tick(): number {
		return ticksAt(this.#clock.nowNs(), CRYSTAL_HZ);
	}

	#format(): RtcFormat {
		const b = this.#byte(RTC_REG_B);
		return { binary: (b & REG_B_DM) !== 0, hours24: (b & REG_B_24H) !== 0 };
	}

	#fields(): RtcFields {
		return this.held ?? fieldsOf(Math.floor(this.#time()));
	}

	#writeField(field: keyof RtcFields, byte: number): void {
		const fields = this.#fields();
		fields[field] = decodeField(field, byte, this.#format());
		if (this.held === undefined) this.#setTime(fields);
	}

	/** The new second begins where the old one would have: the fraction is kept. */
	#setTime(fields: RtcFields): void {
		const before = Math.floor(this.#time());
		const after = epochSecondsOf(fields);
		if (!Number.isFinite(after)) return;
		this.offsetSeconds += after - before;
		this.lastSecond = after;
	}

	/** SET stops the calendar so that the guest can write it in peace, and clears UIE. */
	#writeRegisterB(value: number): void {
		this.#collectFlags();
		const set = (value & REG_B_SET) !== 0;
		if (set && this.held === undefined) {
			this.held = this.#fields();
		} else if (!set && this.held !== undefined) {
			const fields = this.held;
			this.held = undefined;
			this.#setTime(fields);
		}
		this.ram[RTC_REG_B] = set ? value & ~UF : value;
	}

	/** Linux reads the date only while this is clear, and once more to be sure. */
	#updating(): boolean {
		if (this.#stopped()) return false;
		const time = this.#time();
		return time - Math.floor(time) >= 1 - UIP_SECONDS;
	}

	#stopped(): boolean {
		const divider = this.#byte(RTC_REG_A) & REG_A_DIVIDER;
		return this.held !== undefined || divider !== DIVIDER_32KHZ;
	}

	/** Reading C acknowledges everything. */
	#readFlags(): number {
		this.#collectFlags();
		const flags = this.#byte(RTC_REG_C);
		const irqf = flags & this.#byte(RTC_REG_B) & INTERRUPTS ? REG_C_IRQF : 0;
		this.ram[RTC_REG_C] = 0;
		this.#update();
		return flags | irqf;
	}

	/** Sets in C what happened since we last looked: once, however often it did. */
	#collectFlags(): void {
		const tick = this.#tick();
		const period = this.#periodTicks();
		if (
			period > 0 &&
			Math.floor(tick / period) > Math.floor(this.lastTick / period)
		) {
			this.#raise(PF);
		}
		this.lastTick = tick;
		const second = Math.floor(this.#time());
		if (!this.#stopped() && second > this.lastSecond) {
			this.#raise(UF);
			if (this.#alarmBetween(this.lastSecond + 1, second)) this.#raise(AF);
		}
		this.lastSecond = second;
	}

	#raise(flag: number): void {
		this.ram[RTC_REG_C] = this.#byte(RTC_REG_C) | flag;
	}

	/** An alarm comes once a day at least or never, so a day's seconds decide. */
	#alarmBetween(first: number, last: number): boolean {
		const from = Math.max(first, last - DAY_SECONDS + 1);
		const seconds = this.#alarmField("seconds", ALARM_SECONDS);
		const minutes = this.#alarmField("minutes", ALARM_MINUTES);
		const hours = this.#alarmField("hours", ALARM_HOURS);
		for (let second = from; second <= last; second++) {
			const ofDay = second % DAY_SECONDS;
			if (seconds >= 0 && ofDay % 60 !== seconds) continue;
			if (minutes >= 0 && Math.floor(ofDay / 60) % 60 !== minutes) continue;
			if (hours < 0 || Math.floor(ofDay / 3600) === hours) return true;
		}
		return false;
	}

	/** -1 = any. */
	#alarmField(field: keyof RtcFields, register: number): number {
		const byte = this.#byte(register);
		const any = (byte & ALARM_ANY) === ALARM_ANY;
		return any ? -1 : decodeField(field, byte, this.#format());
	}

	/** Register A's rate, in ticks of 32.768 kHz; rates 1 and 2 repeat 8 and 9. */
	#periodTicks(): number {
		const rate = this.#byte(RTC_REG_A) & 0x0f;
		if (rate === 0) return 0;
		return 1 << ((rate < 3 ? rate + 7 : rate) - 1);
	}

	#update(): void {
		const wanted = this.#byte(RTC_REG_B) & INTERRUPTS;
		this.#irq8.set((this.#byte(RTC_REG_C) & wanted) !== 0);
		this.#schedule(wanted & ~this.#byte(RTC_REG_C));
	}

	/** Wakes us for the first event that would raise a flag in `missing`. */
	#schedule(missing: number): void {
		let deadline = Number.POSITIVE_INFINITY;
		const period = this.#periodTicks();
		if (missing & PF && period > 0) {
			const next = (Math.floor(this.lastTick / period) + 1) * period;
			deadline = nsOfTick(next, CRYSTAL_HZ);
		}
		if (missing & (UF | AF) && !this.#stopped()) {
			deadline = Math.min(deadline, this.#nextSecondNs());
		}
		if (deadline === Number.POSITIVE_INFINITY) {
			this.#clock.schedule(this, undefined);
			return;
		}
		this.#clock.schedule(this, deadline, () => {
			this.#collectFlags();
			this.#update();
		});
	}

	/** Never less than a microsecond ahead: wall seconds are only that precise. */
	#nextSecondNs(): number {
		const rest = this.lastSecond + 1 - this.#time();
		return this.#clock.nowNs() + Math.max(1000, Math.ceil(rest * 1e9));
	}
}

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** What a BIOS leaves in CMOS and old software reads there. */
function writeFirmwareBytes(ram: Uint8Array, memoryBytes: number): void {
	const put16 = (low: number, high: number, value: number): void => {
		const capped = Math.min(0xffff, Math.max(0, Math.floor(value)));
		ram[low] = capped & 0xff;
		ram[high] = capped >> 8;
	};
	// Equipment: a coprocessor, no floppy, no display.
	ram[0x14] = 0x02;
	put16(0x15, 0x16, Math.min(640, memoryBytes / KIB));
	const extendedKib = (memoryBytes - MIB) / KIB;
	put16(0x17, 0x18, extendedKib);
	put16(0x30, 0x31, extendedKib);
	const below4GiB = Math.min(memoryBytes, 4 * GIB);
	put16(0x34, 0x35, (below4GiB - 16 * MIB) / (64 * KIB));
	const sum = ram.subarray(0x10, 0x2e).reduce((total, byte) => total + byte, 0);
	ram[0x2e] = sum >> 8;
	ram[0x2f] = sum & 0xff;
}
