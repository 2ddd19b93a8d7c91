/**
 * The two cascaded 8259A interrupt controllers of the PC: they remember which
 * devices asked for attention, apply masks and priorities, and hand the CPU
 * one vector at a time.
 *
 * Relies on the bus contract only. Every device with an interrupt holds one of
 * our lines; the machine asks `pending` between instructions and `acknowledge`s.
 * Source for the rules: Intel 8259A data sheet (order number 231468); ELCR as
 * in the PIIX3 data sheet, "Edge/Level Control Registers".
 *
 * @journey P:310 Who interrupts: the 8259 pair
 */

import type { AccessSize, BusDevice, InterruptLine, PortBus } from "./bus.ts";

const ICW1 = 0x10;
const ICW1_IC4 = 0x01;
const ICW1_SNGL = 0x02;
const ICW1_LTIM = 0x08;
const ICW4_AEOI = 0x02;
const ICW4_SFNM = 0x10;
const OCW3 = 0x08;
const OCW3_RIS = 0x01;
const OCW3_RR = 0x02;
const OCW3_P = 0x04;
const OCW3_SMM = 0x20;
const OCW3_ESMM = 0x40;

/** OCW2 bits 7..5: R (rotate), SL (use the level in bits 2..0), EOI. */
const OCW2_ROTATE = 0x80;
const OCW2_SL = 0x40;
const OCW2_EOI = 0x20;

/** The master input that the slave's INT output drives. */
const CASCADE = 2;

/** Which initialization command word the data port expects; 0 = none, OCW1. */
type InitStep = 0 | 2 | 3 | 4;

/**
 * One 8259A. All fields are the chip's visible or hidden registers, plain so
 * that a snapshot can list them. Bit n of every mask is input IRn.
 */
export class Pic8259 {
	/** Input pins as driven now. */
	pins = 0;
	/** Interrupt request register. */
	irr = 0;
	/** In-service register. */
	isr = 0;
	/** Interrupt mask register. */
	imr = 0;
	/** Edge/level control: 1 = level. Only bits in `elcrMask` can be set. */
	elcr = 0;
	readonly elcrMask: number;
	/** ICW2: the vector of IR0. */
	vectorBase = 0;
	/** The input with the lowest priority; the next one up (mod 8) is highest. */
	lowestPriority = 7;
	initStep: InitStep = 0;
	needsIcw4 = false;
	single = false;
	levelTriggered = false;
	autoEoi = false;
	rotateOnAutoEoi = false;
	specialMask = false;
	specialFullyNested = false;
	readsIsr = false;
	/** A poll command waits for its read. */
	polling = false;

	/** The input a slave is soldered to, or -1. */
	readonly cascade: number;

	constructor(elcrMask: number, cascade = -1) {
		this.elcrMask = elcrMask;
		this.cascade = cascade;
	}

	/**
	 * Edge mode latches a rising edge, and the request lives while the pin stays
	 * high: a device that withdraws before INTA leaves nothing (data sheet,
	 * "Edge and Level Triggered Modes").
	 */
	setPin(input: number, level: boolean): void {
		const bit = 1 << input;
		const wasHigh = (this.pins & bit) !== 0;
		if (level) {
			this.pins |= bit;
			if (!wasHigh || this.#isLevel(bit)) this.irr |= bit;
		} else {
			this.pins &= ~bit;
			this.irr &= ~bit;
		}
	}

	/** The input that INT announces, or -1 when INT is low. */
	highestRequest(): number {
		const request = this.irr & ~this.imr;
		if (request === 0 || this.initStep !== 0) return -1;
		const input = this.#highest(request);
		const served = this.#highest(this.#blockingService());
		if (served < 0) return input;
		// Special fully nested: a slave in service may interrupt itself, because it
		// only asks again for something more urgent of its own.
		if (input === served && this.specialFullyNested && input === this.cascade) {
			return input;
		}
		return this.#rank(input) < this.#rank(served) ? input : -1;
	}

	/** The INTA sequence for `input`: moves it from requested to in service. */
	serve(input: number): void {
		const bit = 1 << input;
		if (!this.#isLevel(bit)) this.irr &= ~bit;
		if (!this.autoEoi) this.isr |= bit;
		else if (this.rotateOnAutoEoi) this.lowestPriority = input;
	}

	readCommand(): number {
		if (this.polling) return this.#poll();
		return this.readsIsr ? this.isr : this.irr;
	}

	readData(): number {
		return this.polling ? this.#poll() : this.imr;
	}

	writeCommand(value: number): void {
		if (value & ICW1) this.#initialize(value);
		else if (value & OCW3) this.#writeOcw3(value);
		else this.#writeOcw2(value);
	}

	writeData(value: number): void {
		switch (this.initStep) {
			case 0:
				this.imr = value;
				return;
			case 2:
				this.vectorBase = value & 0xf8;
				this.initStep = this.single ? (this.needsIcw4 ? 4 : 0) : 3;
				return;
			case 3:
				// ICW3 tells the chips how they are wired; on a PC that is soldered.
				this.initStep = this.needsIcw4 ? 4 : 0;
				return;
			case 4:
				this.autoEoi = (value & ICW4_AEOI) !== 0;
				this.specialFullyNested = (value & ICW4_SFNM) !== 0;
				this.initStep = 0;
		}
	}

	/** A pin that is high when its trigger becomes level requests at once. */
	writeElcr(value: number): void {
		this.elcr = value & this.elcrMask;
		this.irr |= this.pins & this.#levelMask();
	}

	#initialize(icw1: number): void {
		this.needsIcw4 = (icw1 & ICW1_IC4) !== 0;
		this.single = (icw1 & ICW1_SNGL) !== 0;
		this.levelTriggered = (icw1 & ICW1_LTIM) !== 0;
		this.imr = 0;
		this.isr = 0;
		this.lowestPriority = 7;
		this.specialMask = false;
		this.readsIsr = false;
		this.polling = false;
		// ICW4 left out means all its functions are zero.
		this.autoEoi = false;
		this.rotateOnAutoEoi = false;
		this.specialFullyNested = false;
		this.initStep = 2;
		// The edge sense is reset: a pin that is already high must fall and rise.
		this.irr = this.pins & this.#levelMask();
	}

	#writeOcw3(value: number): void {
		if (value & OCW3_ESMM) this.specialMask = (value & OCW3_SMM) !== 0;
		if (value & OCW3_P) this.polling = true;
		else if (value & OCW3_RR) this.readsIsr = (value & OCW3_RIS) !== 0;
	}

	#writeOcw2(value: number): void {
		const rotate = (value & OCW2_ROTATE) !== 0;
		const level = value & 7;
		if (value & OCW2_EOI) {
			const input =
				value & OCW2_SL ? level : this.#highest(this.#blockingService());
			if (input < 0) return;
			this.isr &= ~(1 << input);
			if (rotate) this.lowestPriority = input;
		} else if (value & OCW2_SL) {
			if (rotate) this.lowestPriority = level;
		} else {
			this.rotateOnAutoEoi = rotate;
		}
	}

	/** Poll: the read is the INTA, and the byte says whether there was a request. */
	#poll(): number {
		this.polling = false;
		const input = this.highestRequest();
		if (input < 0) return 0;
		this.serve(input);
		return 0x80 | input;
	}

	/** In special mask mode a masked level in service blocks nobody, and EOI passes it by. */
	#blockingService(): number {
		return this.specialMask ? this.isr & ~this.imr : this.isr;
	}

	#levelMask(): number {
		return this.levelTriggered ? 0xff : this.elcr;
	}

	#isLevel(bit: number): boolean {
		return (this.#levelMask() & bit) !== 0;
	}

	/** 0 = most urgent. */
	#rank(input: number): number {
		return (input - this.lowestPriority - 1) & 7;
	}

	/** The most urgent input in `mask`, or -1. */
	#highest(mask: number): number {
		for (let rank = 0; rank < 8; rank++) {
			const input = (this.lowestPriority + 1 + rank) & 7;
			if (mask & (1 << input)) return input;
		}
		return -1;
	}
}

/** Master at 0x20, slave at 0xA0, the slave's INT wired to master IR2, ELCR at 0x4D0. */
export class PicPair {
	/** IRQ 0, 1 and the cascade are edge-triggered for ever; so are 8 and 13. */
	readonly master = new Pic8259(0xf8, CASCADE);
	readonly slave = new Pic8259(0xde);
	/** Tells the machine that the INTR pin went up or down. */
	onIntr: (level: boolean) => void = () => {};
	/** How many of a line's drivers hold it high: lines are wired-OR. */
	readonly #drivers = new Uint16Array(16);
	#intr = false;

	/**
	 * A new driver for IRQ `n`. Drivers of one IRQ are OR-ed, so devices can
	 * share. IRQ 2 is the cascade: no device can have it.
	 */
	line(n: number): InterruptLine {
		if (!Number.isInteger(n) || n < 0 || n > 15 || n === CASCADE) {
			throw new RangeError(`the PC has no interrupt line ${n} for devices`);
		}
		let driven = false;
		return {
			set: (level: boolean): void => {
				if (level === driven) return;
				driven = level;
				this.#drive(n, level ? 1 : -1);
			},
		};
	}

	/** What firmware does for the ACPI interrupt: no kernel sets it without an APIC. */
	makeLevelTriggered(n: number): void {
		this.#setTrigger(n, true);
	}

	/** As all inputs are at first. */
	makeEdgeTriggered(n: number): void {
		this.#setTrigger(n, false);
	}

	#setTrigger(n: number, isLevel: boolean): void {
		const chip = n < 8 ? this.master : this.slave;
		const bit = 1 << (n & 7);
		chip.writeElcr(isLevel ? chip.elcr | bit : chip.elcr & ~bit);
		this.#update();
	}

	/** The INTR pin. */
	pending(): boolean {
		return this.#intr;
	}

	/**
	 * The CPU's INTA cycles; the answer is the vector. A request that went away
	 * in between makes the chip answer IR7 without in-service bit: the spurious
	 * interrupt that Linux checks for by reading ISR.
	 */
	acknowledge(): number {
		const input = this.master.highestRequest();
		let vector: number;
		if (input < 0) {
			vector = this.master.vectorBase + 7;
		} else {
			this.master.serve(input);
			vector =
				input === CASCADE
					? this.#acknowledgeSlave()
					: this.master.vectorBase + input;
		}
		this.#update();
		return vector;
	}

	/** Puts both chips and the ELCR on the bus. */
	attach(ports: PortBus): void {
		ports.register(0x20, 2, this.#chipPorts(this.master));
		ports.register(0xa0, 2, this.#chipPorts(this.slave));
		ports.register(0x4d0, 2, this.#elcrPorts());
	}

	#acknowledgeSlave(): number {
		const input = this.slave.highestRequest();
		if (input >= 0) this.slave.serve(input);
		// INT falls with INTA even if another request waits, so that the master,
		// which listens for edges, sees that one rise.
		this.master.setPin(CASCADE, false);
		return this.slave.vectorBase + (input < 0 ? 7 : input);
	}

	#afterPoll(chip: Pic8259): void {
		if (chip === this.slave) this.master.setPin(CASCADE, false);
		this.#update();
	}

	#drive(n: number, change: number): void {
		const before = this.#drivers[n] ?? 0;
		const after = before + change;
		this.#drivers[n] = after;
		if (before !== 0 && after !== 0) return;
		const chip = n < 8 ? this.master : this.slave;
		chip.setPin(n & 7, after !== 0);
		this.#update();
	}

	#update(): void {
		this.master.setPin(CASCADE, this.slave.highestRequest() >= 0);
		const intr = this.master.highestRequest() >= 0;
		if (intr === this.#intr) return;
		this.#intr = intr;
		this.onIntr(intr);
	}

	#chipPorts(chip: Pic8259): BusDevice {
		return {
			read: (offset: number, _size: AccessSize): number => {
				const polled = chip.polling;
				const value = offset === 0 ? chip.readCommand() : chip.readData();
				if (polled) this.#afterPoll(chip);
				return value;
			},
			write: (offset: number, _size: AccessSize, value: number): void => {
				if (offset === 0) chip.writeCommand(value);
				else chip.writeData(value);
				this.#update();
			},
		};
	}

	#elcrPorts(): BusDevice {
		const chipAt = (offset: number) =>
			offset === 0 ? this.master : this.slave;
		return {
			read: (offset: number) => chipAt(offset).elcr,
			write: (offset: number, _size: AccessSize, value: number): void => {
				chipAt(offset).writeElcr(value);
				this.#update();
			},
		};
	}
}
