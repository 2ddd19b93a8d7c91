/**
 * The fixed ACPI hardware: the power management timer, the power button, and
 * the register by which a kernel turns the machine off.
 *
 * It is in ACPI mode from the start (SCI_EN set, no SMI command port), since
 * there is no firmware that could want it otherwise. Relies on the bus
 * contract; `acpi.ts` describes these ports to the guest; the machine wires
 * `onPowerOff`. Rules from the ACPI specification 6.5, "Fixed Hardware".
 *
 * @journey P:360 The off switch
 */

import type {
	AccessSize,
	BusDevice,
	DeviceClock,
	InterruptLine,
	PortBus,
} from "./bus.ts";
import { nsOfTick, ticksAt } from "./clock-ticks.ts";

/**
 * Offsets from the block's base port; the tables are built from the same numbers.
 *
 * The base is free to choose. At this one the timer lies over port 0xA79, which
 * ISA Plug and Play would write to (Plug and Play ISA Specification 1.0a, 2.1).
 * Linux has the timer reserve its ports and so knows that no such cards can be
 * there, instead of waiting a third of a second for answers; what a kernel
 * without ACPI writes there, the timer ignores.
 */
export const ACPI_PM_LAYOUT = {
	base: 0xa70,
	pm1Event: 0,
	pm1Control: 4,
	pmTimer: 8,
	length: 12,
} as const;

/** The IRQ of the system control interrupt: level-triggered, so shareable. */
export const ACPI_SCI_IRQ = 9;

/** What \_S5 puts in SLP_TYP. Zero would be the value of a register never written. */
export const ACPI_SLP_TYP_S5 = 5;

const PM_TIMER_HZ = 3579545;
/** TMR_STS is set when the timer's top bit (31: TMR_VAL_EXT) changes. */
const PM_TIMER_HALF = 2 ** 31;

const TMR_STS = 0x0001;
const PWRBTN_STS = 0x0100;
const STATUS_BITS = TMR_STS | PWRBTN_STS;
/** TMR_EN, GBL_EN, PWRBTN_EN, SLPBTN_EN, RTC_EN. */
const ENABLE_BITS = 0x0721;
const SCI_EN = 0x0001;
/** BM_RLD and SLP_TYP are kept; GBL_RLS and SLP_EN only act. */
const CONTROL_BITS = 0x1c02;
const SLP_TYP_SHIFT = 10;
const SLP_EN_HIGH_BYTE = 0x20;

/** Registers as plain fields, 16 bits each. */
export class AcpiPm implements BusDevice {
	onPowerOff: () => void = () => {};
	status = 0;
	enable = 0;
	control = SCI_EN;
	/** How many times the timer's top bit had changed when we last looked. */
	timerHalves = 0;
	readonly #clock: DeviceClock;
	readonly #sci: InterruptLine;

	constructor(clock: DeviceClock, sci: InterruptLine) {
		this.#clock = clock;
		this.#sci = sci;
		this.timerHalves = this.#halves();
	}

	attach(ports: PortBus): void {
		ports.register(ACPI_PM_LAYOUT.base, ACPI_PM_LAYOUT.length, this, 4);
	}

	/** The user asks the guest to shut down in its own time. */
	pressPowerButton(): void {
		this.status |= PWRBTN_STS;
		this.#update();
	}

	read(offset: number, size: AccessSize): number {
		this.#collectTimer();
		if (offset >= ACPI_PM_LAYOUT.pmTimer) {
			return this.#timer() >>> (8 * (offset - ACPI_PM_LAYOUT.pmTimer));
		}
		const events = (this.status | (this.enable << 16)) >>> 0;
		const word = offset >= ACPI_PM_LAYOUT.pm1Control ? this.control : events;
		const value = word >>> (8 * (offset & 3));
		return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
	}

	/** Every register can be written in bytes; the timer not at all. */
	write(offset: number, size: AccessSize, value: number): void {
		this.#collectTimer();
		for (let i = 0; i < size; i++) {
			this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
		}
		this.#update();
	}

	#writeByte(offset: number, byte: number): void {
		const shift = 8 * (offset & 1);
		const kept = 0xff00 >> shift;
		switch (offset & ~1) {
			case ACPI_PM_LAYOUT.pm1Event:
				// Status bits are cleared by writing ones.
				this.status &= ~(byte << shift);
				return;
			case ACPI_PM_LAYOUT.pm1Event + 2:
				this.enable = ((this.enable & kept) | (byte << shift)) & ENABLE_BITS;
				return;
			case ACPI_PM_LAYOUT.pm1Control:
				this.control =
					(((this.control & kept) | (byte << shift)) & CONTROL_BITS) | SCI_EN;
				if (shift === 8 && byte & SLP_EN_HIGH_BYTE) this.#sleep();
		}
	}

	/** Only S5 is offered; any other type goes nowhere and the guest stays awake. */
	#sleep(): void {
		const type = (this.control >> SLP_TYP_SHIFT) & 7;
		if (type === ACPI_SLP_TYP_S5) this.onPowerOff();
	}

	#ticks(): number {
		return ticksAt(this.#clock.nowNs(), PM_TIMER_HZ);
	}

	#timer(): number {
		return this.#ticks() % 2 ** 32;
	}

	#halves(): number {
		return Math.floor(this.#ticks() / PM_TIMER_HALF);
	}

	#collectTimer(): void {
		const halves = this.#halves();
		if (halves !== this.timerHalves) this.status |= TMR_STS;
		this.timerHalves = halves;
	}

	#update(): void {
		this.#sci.set((this.status & this.enable & STATUS_BITS) !== 0);
		const waits = (this.enable & ~this.status & TMR_STS) !== 0;
		if (!waits) {
			this.#clock.schedule(this, undefined);
			return;
		}
		const next = (this.timerHalves + 1) * PM_TIMER_HALF;
		this.#clock.schedule(this, nsOfTick(next, PM_TIMER_HZ), () => {
			this.#collectTimer();
			this.#update();
		});
	}
}
