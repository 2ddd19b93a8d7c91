/**
 * The 16550A serial port: the console of a machine without a screen. Bytes go
 * out the moment they are written; bytes come in as fast as the guest reads
 * them, so nothing is ever lost to an overrun from outside.
 *
 * Relies on the bus contract; the machine gives it a line and wires `onTransmit`
 * and `receive` to the embedder's console. Rules from the PC16550D data sheet
 * (National Semiconductor, June 1995) and from what Linux 6.1's
 * `8250_port.c` tests for when it decides what chip it has found.
 *
 * @journey P:335 The serial port
 */

import type {
	AccessSize,
	BusDevice,
	DeviceClock,
	InterruptLine,
	PortBus,
} from "./bus.ts";

const FIFO_SIZE = 16;
const CRYSTAL_HZ = 1843200;

const IER_RDI = 0x01;
const IER_THRI = 0x02;
const IER_RLSI = 0x04;
const IER_MSI = 0x08;

const IIR_MSI = 0x00;
const IIR_NO_INT = 0x01;
const IIR_THRI = 0x02;
const IIR_RDI = 0x04;
const IIR_RLSI = 0x06;
const IIR_TIMEOUT = 0x0c;
const IIR_FIFO_ENABLED = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_CLEAR_RECEIVE = 0x02;
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

const LCR_DLAB = 0x80;

const MCR_OUT2 = 0x08;
const MCR_LOOP = 0x10;
const MCR_WRITABLE = 0x1f;

const LSR_DR = 0x01;
const LSR_OE = 0x02;
const LSR_BI = 0x10;
const LSR_THRE = 0x20;
const LSR_TEMT = 0x40;
const LSR_FIFO_ERROR = 0x80;
const LSR_ERRORS = 0x1e;

export const MSR_CTS = 0x10;
export const MSR_DSR = 0x20;
export const MSR_RI = 0x40;
export const MSR_DCD = 0x80;
/** TERI: only the trailing edge of the ring indicator is a change. */
const MSR_TERI = 0x04;

/** What one received character was worth: byte in bits 0..7, LSR error bits above. */
type ReceivedCharacter = number;
const ERROR_SHIFT = 8;

/** Plain fields are the registers, named as the data sheet names them. */
export class Uart16550 {
	/** A byte left the transmitter. Called for each one: batch in the owner. */
	onTransmit: (byte: number) => void = () => {};
	/**
	 * Now is a good time to offer bytes: the guest began to listen, or it emptied
	 * the FIFO (not before, so that the answer can be a full load) after `receive`
	 * had to refuse something. `settled`: it did so by reading. Otherwise it is
	 * setting the port up, and its next write may clear what it would be given.
	 */
	onReceiveSpace: (settled: boolean) => void = () => {};

	ier = 0;
	fcr = 0;
	lcr = 0;
	mcr = 0;
	scr = 0;
	/** A PC's firmware would leave 9600 baud. Only the receive time-out uses it. */
	divisor = 12;
	/** OE and the errors of the character that came to the top of the FIFO. */
	lsrErrors = 0;
	/** Modem inputs as seen by the guest and their change bits. */
	msr = MSR_CTS | MSR_DSR | MSR_DCD;
	/** What the outside drives on CTS, DSR, RI and DCD. */
	modemInputs = MSR_CTS | MSR_DSR | MSR_DCD;
	/** The transmitter-empty interrupt: latched, for it is cleared by reading IIR. */
	thriPending = false;
	/** Characters wait below the trigger level and the line has gone quiet. */
	timeoutPending = false;
	readonly received: ReceivedCharacter[] = [];
	/** `receive` refused something: tell the owner when there is room. */
	refused = false;

	readonly #clock: DeviceClock;
	readonly #irq: InterruptLine;

	constructor(clock: DeviceClock, irq: InterruptLine) {
		this.#clock = clock;
		this.#irq = irq;
	}

	attach(ports: PortBus, base = 0x3f8): void {
		const device: BusDevice = {
			read: (offset: number) => this.read(offset),
			write: (offset: number, _size: AccessSize, value: number) =>
				this.write(offset, value),
		};
		ports.register(base, 8, device);
	}

	/**
	 * Whether the guest listens by interrupt. A console fed by a pipe should
	 * wait for this: a driver empties the FIFO when it opens the port, and what
	 * was typed before would be gone.
	 */
	get listening(): boolean {
		return (this.ier & IER_RDI) !== 0 && !this.#loopback;
	}

	/** Bytes from outside; returns how many fitted. The rest must be offered again. */
	receive(bytes: Uint8Array): number {
		const room = this.#loopback ? 0 : this.#capacity - this.received.length;
		const accepted = Math.max(0, Math.min(room, bytes.length));
		for (let i = 0; i < accepted; i++) this.#push(bytes[i] ?? 0);
		if (accepted < bytes.length) this.refused = true;
		if (accepted > 0) this.#receivedSome();
		return accepted;
	}

	/** A break from outside (a magic SysRq begins with one); false if there is no room. */
	receiveBreak(): boolean {
		if (this.#loopback || this.received.length >= this.#capacity) return false;
		this.#push(LSR_BI << ERROR_SHIFT);
		this.#receivedSome();
		return true;
	}

	/** Drives CTS, DSR, RI and DCD from outside: the MSR_ bits that are on. */
	setModemInputs(inputs: number): void {
		this.modemInputs = inputs & 0xf0;
		this.#updateModemStatus();
		this.#updateIrq();
	}

	read(offset: number): number {
		const dlab = (this.lcr & LCR_DLAB) !== 0;
		switch (offset) {
			case 0:
				return dlab ? this.divisor & 0xff : this.#readReceiver();
			case 1:
				return dlab ? this.divisor >> 8 : this.ier;
			case 2:
				return this.#readInterruptId();
			case 3:
				return this.lcr;
			case 4:
				return this.mcr;
			case 5:
				return this.#readLineStatus();
			case 6:
				return this.#readModemStatus();
			default:
				return this.scr;
		}
	}

	write(offset: number, value: number): void {
		const dlab = (this.lcr & LCR_DLAB) !== 0;
		switch (offset) {
			case 0:
				if (dlab) this.divisor = (this.divisor & 0xff00) | value;
				else this.#transmit(value);
				return;
			case 1:
				if (dlab) this.divisor = (this.divisor & 0xff) | (value << 8);
				else this.#writeInterruptEnable(value);
				return;
			case 2:
				this.#writeFifoControl(value);
				return;
			case 3:
				this.lcr = value;
				return;
			case 4:
				this.#writeModemControl(value);
				return;
			case 7:
				this.scr = value;
		}
		// LSR and MSR are read-only: their writes are for factory tests.
	}

	get #loopback(): boolean {
		return (this.mcr & MCR_LOOP) !== 0;
	}

	get #fifoEnabled(): boolean {
		return (this.fcr & FCR_ENABLE) !== 0;
	}

	get #capacity(): number {
		return this.#fifoEnabled ? FIFO_SIZE : 1;
	}

	get #triggerLevel(): number {
		return this.#fifoEnabled ? (TRIGGER_LEVELS[this.fcr >> 6] ?? 1) : 1;
	}

	/**
	 * The shifter is infinitely fast: the holding register is full and empty
	 * again within the write, so the interrupt falls and rises.
	 */
	#transmit(value: number): void {
		if (this.thriPending) {
			this.thriPending = false;
			this.#updateIrq();
		}
		if (this.#loopback) this.#loopBack(value);
		else this.onTransmit(value);
		this.thriPending = true;
		this.#updateIrq();
	}

	/** In loopback, nobody holds back: a full receiver overruns. */
	#loopBack(value: number): void {
		if (this.received.length < this.#capacity) this.#push(value);
		else this.lsrErrors |= LSR_OE;
		this.#receivedSome();
	}

	#push(character: ReceivedCharacter): void {
		this.received.push(character);
		if (this.received.length === 1) this.#showTopErrors();
	}

	/** A character's errors appear in LSR when it reaches the top of the FIFO. */
	#showTopErrors(): void {
		this.lsrErrors |= ((this.received[0] ?? 0) >> ERROR_SHIFT) & LSR_ERRORS;
	}

	#receivedSome(): void {
		this.#restartTimeout();
		this.#updateIrq();
	}

	/** Every character received or read starts the quiet time anew. */
	#restartTimeout(): void {
		this.timeoutPending = false;
		const waiting =
			this.#fifoEnabled &&
			this.received.length > 0 &&
			this.received.length < this.#triggerLevel;
		if (!waiting) {
			this.#clock.schedule(this, undefined);
			return;
		}
		const deadline = this.#clock.nowNs() + this.#timeoutNs();
		this.#clock.schedule(this, deadline, () => {
			this.timeoutPending = this.received.length > 0;
			this.#updateIrq();
		});
	}

	/** Four characters of ten bits, sixteen crystal periods times the divisor each. */
	#timeoutNs(): number {
		const bitNs = (16 * Math.max(1, this.divisor) * 1e9) / CRYSTAL_HZ;
		return Math.ceil(4 * 10 * bitNs);
	}

	#readReceiver(): number {
		const character = this.received.shift();
		if (character === undefined) return 0;
		this.#showTopErrors();
		this.#restartTimeout();
		this.#updateIrq();
		this.#offerSpace(true);
		return character & 0xff;
	}

	#offerSpace(settled: boolean): void {
		if (!this.refused || this.received.length > 0 || this.#loopback) return;
		this.refused = false;
		this.onReceiveSpace(settled);
	}

	/** Data sheet, "Interrupt Identification Register": one cause, most urgent first. */
	#interruptId(): number {
		if (this.ier & IER_RLSI && this.lsrErrors !== 0) return IIR_RLSI;
		if (this.ier & IER_RDI) {
			if (this.received.length >= this.#triggerLevel) return IIR_RDI;
			if (this.timeoutPending) return IIR_TIMEOUT;
		}
		if (this.ier & IER_THRI && this.thriPending) return IIR_THRI;
		if (this.ier & IER_MSI && (this.msr & 0x0f) !== 0) return IIR_MSI;
		return IIR_NO_INT;
	}

	/** Reading it as the source clears the transmitter's interrupt, and no other. */
	#readInterruptId(): number {
		const id = this.#interruptId();
		if (id === IIR_THRI) {
			this.thriPending = false;
			this.#updateIrq();
		}
		return id | (this.#fifoEnabled ? IIR_FIFO_ENABLED : 0);
	}

	/**
	 * Enabling the transmitter's interrupt while it is empty raises it at once:
	 * Linux starts every transmission this way, and tests for it at start-up.
	 */
	#writeInterruptEnable(value: number): void {
		const enabled = value & ~this.ier;
		this.ier = value & 0x0f;
		if (enabled & IER_THRI) this.thriPending = true;
		this.#updateIrq();
		if (enabled & IER_RDI) {
			this.refused = true;
			this.#offerSpace(false);
		}
	}

	/** Without bit 0 the other bits are not programmed; changing it empties the FIFOs. */
	#writeFifoControl(value: number): void {
		const changed = ((value ^ this.fcr) & FCR_ENABLE) !== 0;
		this.fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
		const clear = changed || (value & FCR_ENABLE && value & FCR_CLEAR_RECEIVE);
		if (clear) this.received.length = 0;
		this.#restartTimeout();
		this.#updateIrq();
		if (clear) this.#offerSpace(false);
	}

	#writeModemControl(value: number): void {
		this.mcr = value & MCR_WRITABLE;
		this.#updateModemStatus();
		this.#updateIrq();
		this.#offerSpace(false);
	}

	#readLineStatus(): number {
		const status =
			LSR_THRE |
			LSR_TEMT |
			this.lsrErrors |
			(this.received.length > 0 ? LSR_DR : 0) |
			(this.#fifoHasError() ? LSR_FIFO_ERROR : 0);
		if (this.lsrErrors !== 0) {
			// The error has been seen: the character at the top is now a plain one.
			this.lsrErrors = 0;
			if (this.received.length > 0) {
				this.received[0] = (this.received[0] ?? 0) & 0xff;
			}
			this.#updateIrq();
		}
		return status;
	}

	#fifoHasError(): boolean {
		return this.#fifoEnabled && this.received.some((c) => c > 0xff);
	}

	#readModemStatus(): number {
		const status = this.msr;
		if ((status & 0x0f) !== 0) {
			this.msr &= 0xf0;
			this.#updateIrq();
		}
		return status;
	}

	/** In loopback, the four outputs of MCR feed the four inputs of MSR. */
	#updateModemStatus(): void {
		const before = this.msr & 0xf0;
		const after = this.#loopback ? loopedModem(this.mcr) : this.modemInputs;
		let changes = ((before ^ after) >> 4) & ~MSR_TERI;
		if (before & ~after & MSR_RI) changes |= MSR_TERI;
		this.msr = after | (this.msr & 0x0f) | changes;
	}

	/** On a PC, OUT2 connects the chip's interrupt to the bus; loopback forces it off. */
	#updateIrq(): void {
		const connected = (this.mcr & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2;
		this.#irq.set(connected && this.#interruptId() !== IIR_NO_INT);
	}
}

/** DTR → DSR, RTS → CTS, OUT1 → RI, OUT2 → DCD. */
function loopedModem(mcr: number): number {
	return (
		(mcr & 0x01 ? MSR_DSR : 0) |
		(mcr & 0x02 ? MSR_CTS : 0) |
		(mcr & 0x04 ? MSR_RI : 0) |
		(mcr & 0x08 ? MSR_DCD : 0)
	);
}
