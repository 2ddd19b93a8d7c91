/**
 * The `pc` machine's board: every chip of a small PC, the wires between them,
 * and the buses the CPU sees them on. A reset throws the board away and makes
 * a new one, so that no chip needs a reset of its own.
 *
 * Relies on the chipset; the machine puts a CPU and memory beside it.
 *
 * @journey H:105 The board
 */

import { TIMER_GSI } from "../chipset/acpi-madt.ts";
import type { PciRoute } from "../chipset/acpi-pci.ts";
import { ACPI_SCI_IRQ, AcpiPm } from "../chipset/acpi-pm.ts";
import {
	BusConflictError,
	type InterruptLine,
	MmioBus,
	PortBus,
} from "../chipset/bus.ts";
import { DebugExit } from "../chipset/debug-exit.ts";
import { I8042 } from "../chipset/i8042.ts";
import { decodeMsi } from "../chipset/interrupt-message.ts";
import { IO_APIC_ADDRESS, IO_APIC_BYTES, IoApic } from "../chipset/io-apic.ts";
import { KvmClock } from "../chipset/kvm-clock.ts";
import { LegacyPorts } from "../chipset/legacy-ports.ts";
import {
	LocalApic,
	MSR_APIC_BASE,
	MSR_TSC_DEADLINE,
} from "../chipset/local-apic.ts";
import { PciRoot, pciLine } from "../chipset/pci-root.ts";
import { PicPair } from "../chipset/pic-8259.ts";
import { Pit8254 } from "../chipset/pit-8254.ts";
import { A20Gate, Port92 } from "../chipset/port-92.ts";
import { ResetControl } from "../chipset/reset-control.ts";
import { RtcCmos } from "../chipset/rtc-cmos.ts";
import { Uart16550 } from "../chipset/uart-16550.ts";
import type { AccessSize, CpuBus } from "../cpu/index.ts";
import { UsageError } from "../errors.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { type MachineClock, TSC_HZ } from "./clock.ts";

/** The wires that leave the board. */
export interface PcWires {
	/** The INTR pin of the CPU. */
	readonly onInterruptLine: (level: boolean) => void;
	/** Its NMI pin. */
	readonly onNmi: () => void;
	/** The guest switched the local APIC on or off. */
	readonly onApicEnable: (enabled: boolean) => void;
	/** What the guest has moved its time-stamp counter by. */
	readonly tscOffset: () => bigint;
	/** The keyboard controller, port 0x92 or port 0xCF9 pulses reset. */
	readonly onReset: () => void;
	/** The guest switches itself off. */
	readonly onPowerOff: () => void;
	/** A test image has come to its verdict. */
	readonly onDebugExit: (value: number) => void;
}

/** What differs between boards. */
export interface PcOptions {
	readonly clock: MachineClock;
	readonly memory: GuestMemory;
	/** RAM, which the battery-backed memory tells. */
	readonly memoryBytes: number;
	readonly wires: PcWires;
	/** Puts a debug exit at this port. */
	readonly debugExitPort?: number;
}

/** IRQ numbers of the PC/AT. */
const IRQ_TIMER = 0;
const IRQ_KEYBOARD = 1;
const IRQ_COM1 = 4;
const IRQ_RTC = 8;

/** What a PC without old cards has free, for level-triggered devices. */
export const FREE_IRQS = [5, 10, 11, 3, 7, 6, 14, 15] as const;
/** The IOAPIC's inputs behind those of the 8259 pair. */
const FIRST_PCI_GSI = 16;

/** PCI has as many lines as there are free IRQs. */
function irqOfPciLine(line: number): number {
	return FREE_IRQS[line % FREE_IRQS.length] ?? 0;
}

function both(first: InterruptLine, second: InterruptLine): InterruptLine {
	return {
		set: (level) => {
			first.set(level);
			second.set(level);
		},
	};
}

const PORT_COUNT = 0x1_0000;
const DEBUG_EXIT_BYTES = 4;

/** Chips are public: a debugger may look at them, and tests do. */
export class Pc {
	readonly ports = new PortBus();
	readonly mmio = new MmioBus();
	readonly pic = new PicPair();
	readonly ioApic: IoApic;
	readonly localApic: LocalApic;
	readonly kvmClock: KvmClock;
	readonly pci: PciRoot;
	readonly pit: Pit8254;
	readonly rtc: RtcCmos;
	readonly uart: Uart16550;
	readonly acpiPm: AcpiPm;

	constructor(options: PcOptions) {
		const { clock, memory, memoryBytes, wires, debugExitPort } = options;
		const { ports, pic } = this;
		this.ioApic = new IoApic((message) => this.localApic.receive(message));
		this.localApic = this.#makeLocalApic(clock, wires);
		this.kvmClock = new KvmClock({
			memory,
			nowNs: () => clock.nowNs(),
			wallSeconds: () => clock.wallSeconds(),
			frequencyHz: TSC_HZ,
			tscOffset: wires.tscOffset,
		});
		this.mmio.register(IO_APIC_ADDRESS, IO_APIC_BYTES, this.ioApic);
		this.pci = new PciRoot({
			interruptLine: (line) => this.#pciLine(line),
			irqOfLine: irqOfPciLine,
		});
		this.pit = new Pit8254(clock, this.line(IRQ_TIMER));
		this.rtc = new RtcCmos(clock, this.line(IRQ_RTC), {
			wallSeconds: () => clock.wallSeconds(),
			memoryBytes,
		});
		this.uart = new Uart16550(clock, this.line(IRQ_COM1));
		this.acpiPm = new AcpiPm(clock, this.line(ACPI_SCI_IRQ));
		for (const irq of [ACPI_SCI_IRQ, ...FREE_IRQS]) {
			pic.makeLevelTriggered(irq);
		}
		pic.onIntr = (level) => this.localApic.setLint0(level);
		this.localApic.initialize();
		this.acpiPm.onPowerOff = wires.onPowerOff;
		for (const chip of [pic, this.pit, this.rtc, this.acpiPm]) {
			chip.attach(ports);
		}
		this.uart.attach(ports);
		new LegacyPorts().attach(ports);
		this.#attachResets(wires.onReset);
		if (debugExitPort !== undefined) {
			this.#attachDebugExit(debugExitPort, wires.onDebugExit);
		}
	}

	/**
	 * A new driver for an old IRQ. It leads to both interrupt controllers; the
	 * guest masks it at the one that it does not use.
	 */
	line(irq: number): InterruptLine {
		const gsi = irq === IRQ_TIMER ? TIMER_GSI : irq;
		return both(this.pic.line(irq), this.ioApic.input(gsi));
	}

	/** A device has written `data` to `address` to interrupt; nobody else listens. */
	sendMessage(address: number, data: number): void {
		const message = decodeMsi(address, data);
		if (message !== undefined) this.localApic.receive(message);
	}

	/** An IRQ of the 8259 pair, an input of its own at the IOAPIC. */
	#pciLine(line: number): InterruptLine {
		return both(
			this.pic.line(irqOfPciLine(line)),
			this.ioApic.input(FIRST_PCI_GSI + line),
		);
	}

	#makeLocalApic(clock: MachineClock, wires: PcWires): LocalApic {
		return new LocalApic({
			clock,
			frequencyHz: TSC_HZ,
			tscOffset: wires.tscOffset,
			onIntr: wires.onInterruptLine,
			onNmi: wires.onNmi,
			onEndOfInterrupt: (vector) => this.ioApic.endOfInterrupt(vector),
			acknowledgePic: () => this.pic.acknowledge(),
			onEnable: wires.onApicEnable,
		});
	}

	/** Three ways to the same wire, each older than the next. */
	#attachResets(onReset: () => void): void {
		const a20 = new A20Gate();
		const resetControl = new ResetControl();
		resetControl.onReset = onReset;
		// Its port lies among those of the PCI root.
		this.pci.attach(this.ports, this.mmio, resetControl);
		const chips = [new I8042(this.line(IRQ_KEYBOARD), a20), new Port92(a20)];
		for (const chip of chips) {
			chip.onReset = onReset;
			chip.attach(this.ports);
		}
	}

	/** Where the pins of PCI cards lead, for the machine's description. */
	pciRoutes(): PciRoute[] {
		return this.pci.pins().map(({ device, pin }) => {
			const line = pciLine(device, pin);
			return {
				...{ device, pin },
				irq: irqOfPciLine(line),
				gsi: FIRST_PCI_GSI + line,
			};
		});
	}

	#attachDebugExit(port: number, onExit: (value: number) => void): void {
		const exit = new DebugExit();
		exit.onExit = onExit;
		const room = Math.min(DEBUG_EXIT_BYTES, PORT_COUNT - port);
		try {
			exit.attach(this.ports, port, room === 3 ? 2 : (room as AccessSize));
		} catch (error) {
			if (!(error instanceof BusConflictError)) throw error;
			throw new UsageError(
				`Port 0x${port.toString(16)} cannot be the debug exit: the machine has a device there.`,
				{ hint: "Test images commonly use 0xf4 or 0x501.", cause: error },
			);
		}
	}
}

/**
 * What the CPU is wired to. It outlives the board: after a reset, the same CPU
 * finds itself on a new one.
 */
export class PcBus implements CpuBus {
	readonly #clock: MachineClock;
	/** Set before the first instruction: a board can only be made after the CPU. */
	#pc!: Pc;

	constructor(clock: MachineClock) {
		this.#clock = clock;
	}

	/** Moves the CPU to a (new) board. */
	plugInto(pc: Pc): void {
		this.#pc = pc;
	}

	readPort(port: number, size: AccessSize): number {
		return this.#pc.ports.read(port, size);
	}

	writePort(port: number, size: AccessSize, value: number): void {
		this.#pc.ports.write(port, size, value);
	}

	/** The local APIC is the processor's own: its accesses never reach the bus. */
	readPhysical(address: number, size: AccessSize): number {
		const { localApic, mmio } = this.#pc;
		return localApic.answersAt(address)
			? localApic.read(address - localApic.address, size)
			: mmio.read(address, size);
	}

	writePhysical(address: number, size: AccessSize, value: number): void {
		const { localApic, mmio } = this.#pc;
		if (localApic.answersAt(address)) {
			localApic.write(address - localApic.address, size, value);
		} else mmio.write(address, size, value);
	}

	acknowledgeInterrupt(): number {
		return this.#pc.localApic.acknowledge();
	}

	timeStampMoved(): void {
		this.#pc.localApic.timer.timeStampMoved();
		this.#pc.kvmClock.publish();
	}

	readMsr(number: number): bigint | undefined {
		const { localApic, kvmClock } = this.#pc;
		switch (number) {
			case MSR_APIC_BASE:
				return BigInt(localApic.base >>> 0);
			case MSR_TSC_DEADLINE:
				return localApic.timer.deadline;
			default:
				return kvmClock.readMsr(number);
		}
	}

	writeMsr(number: number, value: bigint): boolean {
		const { localApic, kvmClock } = this.#pc;
		switch (number) {
			case MSR_APIC_BASE:
				return localApic.writeBase(value);
			case MSR_TSC_DEADLINE:
				localApic.timer.writeDeadline(value);
				return true;
			default:
				return kvmClock.writeMsr(number, value);
		}
	}

	get timeIsReal(): boolean {
		return this.#clock.isReal;
	}

	timeStampCounter(): number {
		return this.#clock.timeStampCounter();
	}

	random(): number {
		return this.#clock.random();
	}
}
