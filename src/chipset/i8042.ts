/**
 * The keyboard controller without a keyboard: it passes its tests, drives A20,
 * pulses reset, and reports every byte sent to a device as timed out, which
 * makes a driver's probe short and silent.
 *
 * Relies on the bus contract and the A20 gate; the machine wires `onReset`.
 * Rules from IBM's PS/2 Hardware Interface Technical Reference, "Keyboard and
 * Auxiliary Device Controller", and what Linux 6.1's `i8042.c` probes.
 *
 * @journey P:340 The keyboard controller that resets the machine
 */

import type { AccessSize, InterruptLine, PortBus } from "./bus.ts";
import type { A20Gate } from "./port-92.ts";

const STR_OBF = 0x01;
const STR_SYS = 0x04;
const STR_CMDDAT = 0x08;
const STR_UNLOCKED = 0x10;
const STR_TIMEOUT = 0x40;

const CTR_KBDINT = 0x01;
const CTR_SYS = 0x04;
const CTR_KBDDIS = 0x10;
const CTR_AUXDIS = 0x20;
const CTR_XLATE = 0x40;

const CMD_READ_RAM = 0x20;
const CMD_WRITE_RAM = 0x60;
const CMD_AUX_DISABLE = 0xa7;
const CMD_AUX_ENABLE = 0xa8;
const CMD_AUX_TEST = 0xa9;
const CMD_SELF_TEST = 0xaa;
const CMD_KBD_TEST = 0xab;
const CMD_KBD_DISABLE = 0xad;
const CMD_KBD_ENABLE = 0xae;
const CMD_READ_INPUT_PORT = 0xc0;
const CMD_READ_OUTPUT_PORT = 0xd0;
const CMD_WRITE_OUTPUT_PORT = 0xd1;
const CMD_KBD_LOOP = 0xd2;
const CMD_AUX_LOOP = 0xd3;
const CMD_WRITE_AUX = 0xd4;
const CMD_A20_DISABLE = 0xdd;
const CMD_A20_ENABLE = 0xdf;
const CMD_READ_TEST_INPUTS = 0xe0;
/** 0xF0 to 0xFF pulse the output port's bits that are 0 in the low nibble. */
const CMD_PULSE = 0xf0;

const OUTPUT_NOT_RESET = 0x01;
const OUTPUT_A20 = 0x02;

const SELF_TEST_PASSED = 0x55;
/** "Data line stuck low": the answer of a chip whose auxiliary pins go nowhere. */
const AUX_DATA_STUCK = 0x03;
const INPUT_PORT_KEYLOCK_OFF = 0x80;
/** What the controller makes up when a device does not answer. */
const RESEND = 0xfe;

/** Registers as plain fields; `command` waits for its data byte, 0 = none. */
export class I8042 {
	onReset: () => void = () => {};
	/** Command byte and the rest of the controller's 32 bytes of RAM. */
	readonly ram = new Uint8Array(32);
	output = 0;
	outputFull = false;
	timedOut = false;
	lastWriteWasCommand = false;
	command = 0;
	readonly #a20: A20Gate;
	readonly #irq1: InterruptLine;

	constructor(irq1: InterruptLine, a20: A20Gate) {
		this.#irq1 = irq1;
		this.#a20 = a20;
		this.ram[0] = CTR_SYS | CTR_XLATE | CTR_AUXDIS;
	}

	attach(ports: PortBus): void {
		ports.register(0x60, 1, {
			read: () => this.#readData(),
			write: (_offset: number, _size: AccessSize, value: number): void =>
				this.#writeData(value),
		});
		ports.register(0x64, 1, {
			read: () => this.#status(),
			write: (_offset: number, _size: AccessSize, value: number): void =>
				this.#writeCommand(value),
		});
	}

	/** The input buffer is never full: commands take no time. */
	#status(): number {
		return (
			STR_UNLOCKED |
			(this.#controlByte() & CTR_SYS ? STR_SYS : 0) |
			(this.outputFull ? STR_OBF : 0) |
			(this.timedOut ? STR_TIMEOUT : 0) |
			(this.lastWriteWasCommand ? STR_CMDDAT : 0)
		);
	}

	#controlByte(): number {
		return this.ram[0] ?? 0;
	}

	#readData(): number {
		this.outputFull = false;
		this.timedOut = false;
		this.#updateIrq();
		return this.output;
	}

	/** Nothing here ever comes from an auxiliary device, so AUXDATA stays clear. */
	#answer(value: number, timedOut = false): void {
		this.output = value;
		this.outputFull = true;
		this.timedOut = timedOut;
		this.#updateIrq();
	}

	#updateIrq(): void {
		const enabled = (this.#controlByte() & CTR_KBDINT) !== 0;
		this.#irq1.set(this.outputFull && enabled);
	}

	#writeCommand(command: number): void {
		this.lastWriteWasCommand = true;
		this.command = 0;
		if (command >= CMD_PULSE) {
			if ((command & OUTPUT_NOT_RESET) === 0) this.onReset();
		} else if (command >= CMD_READ_RAM && command < CMD_READ_RAM + 32) {
			this.#answer(this.ram[command & 0x1f] ?? 0);
		} else if (takesData(command)) {
			this.command = command;
		} else {
			this.#simpleCommand(command);
		}
	}

	/** Commands that answer; unknown ones are ignored, as the chip does. */
	#simpleCommand(command: number): void {
		switch (command) {
			case CMD_SELF_TEST:
				this.#answer(SELF_TEST_PASSED);
				return;
			case CMD_KBD_TEST:
				this.#answer(0);
				return;
			case CMD_AUX_TEST:
				this.#answer(AUX_DATA_STUCK);
				return;
			case CMD_READ_INPUT_PORT:
				this.#answer(INPUT_PORT_KEYLOCK_OFF);
				return;
			case CMD_READ_OUTPUT_PORT:
				this.#answer(OUTPUT_NOT_RESET | (this.#a20.enabled ? OUTPUT_A20 : 0));
				return;
			case CMD_READ_TEST_INPUTS:
				this.#answer(0);
				return;
			default:
				this.#switchCommand(command);
		}
	}

	/** Commands that only turn something on or off. */
	#switchCommand(command: number): void {
		switch (command) {
			case CMD_AUX_DISABLE:
				this.#setControl(CTR_AUXDIS, true);
				return;
			case CMD_AUX_ENABLE:
				this.#setControl(CTR_AUXDIS, false);
				return;
			case CMD_KBD_DISABLE:
				this.#setControl(CTR_KBDDIS, true);
				return;
			case CMD_KBD_ENABLE:
				this.#setControl(CTR_KBDDIS, false);
				return;
			case CMD_A20_DISABLE:
			case CMD_A20_ENABLE:
				this.#a20.enabled = command === CMD_A20_ENABLE;
		}
	}

	#setControl(bit: number, on: boolean): void {
		const control = this.#controlByte();
		this.ram[0] = on ? control | bit : control & ~bit;
	}

	#writeData(value: number): void {
		const command = this.command;
		this.command = 0;
		this.lastWriteWasCommand = false;
		if (command >= CMD_WRITE_RAM && command < CMD_WRITE_RAM + 32) {
			this.ram[command & 0x1f] = value;
			this.#updateIrq();
			return;
		}
		switch (command) {
			case 0:
				// For the keyboard, and sending enables its interface.
				this.#setControl(CTR_KBDDIS, false);
				this.#answer(RESEND, true);
				return;
			case CMD_WRITE_AUX:
				this.#answer(RESEND, true);
				return;
			case CMD_KBD_LOOP:
			case CMD_AUX_LOOP:
				this.#answer(value);
				return;
			case CMD_WRITE_OUTPUT_PORT:
				this.#a20.enabled = (value & OUTPUT_A20) !== 0;
				if ((value & OUTPUT_NOT_RESET) === 0) this.onReset();
		}
	}
}

function takesData(command: number): boolean {
	const writesRam = command >= CMD_WRITE_RAM && command < CMD_WRITE_RAM + 32;
	return (
		writesRam || (command >= CMD_WRITE_OUTPUT_PORT && command <= CMD_WRITE_AUX)
	);
}
