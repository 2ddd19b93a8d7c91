/**
 * One machine: memory, CPU, board, clock and console put together, a kernel
 * put into it, and everything run until the guest ends.
 *
 * Relies on the public faces of the folders beside this one; the embedders
 * (command line, later the page) rely on it through `src/index.ts`.
 *
 * @journey H:100 The machine
 */

import {
	type Compression,
	type Decompressors,
	unpackInitrd,
} from "../boot/compression.ts";
import {
	type KernelFile,
	openKernel,
	placeKernel,
	type RecognisedKernel,
	recogniseKernel,
	requireInitrdRoom,
} from "../boot/kernel-image.ts";
import {
	buildMemoryMap,
	DEVICE_HOLE_ADDRESS,
	E820_RESERVED,
	formatSize,
	type MemoryRange,
} from "../boot/memory-map.ts";
import { writeAcpiTables } from "../chipset/acpi.ts";
import { PCI_ECAM_ADDRESS, PCI_ECAM_BYTES } from "../chipset/pci-root.ts";
import {
	Cpu,
	type EngineKind,
	type ExitReason,
	fields,
	type RegionService,
} from "../cpu/index.ts";
import { UsageError } from "../errors.ts";
import type { MemoryBalloon } from "../virtio/memory-balloon.ts";
import { Alarm } from "./alarm.ts";
import {
	type ClockKind,
	type MachineClock,
	Stopwatch,
	TSC_HZ,
	VirtualClock,
	WallClock,
} from "./clock.ts";
import { type CrashReport, crashReport } from "./crash-report.ts";
import { clearMemory, fillWords } from "./fresh-memory.ts";
import { answerHypercall, lguestLeaf, refuseHypercall } from "./hypercalls.ts";
import { enterInitialState } from "./initial-state.ts";
import { Pause } from "./pause.ts";
import { Pc, PcBus } from "./pc.ts";
import { type CpuEnding, runLoop } from "./run-loop.ts";
import { type ConsoleBackend, SerialConsole } from "./serial-console.ts";
import { transportKind } from "./sockets.ts";
import type { MachineStatistics } from "./statistics.ts";
import {
	type DeviceEvent,
	makeModels,
	type VirtioOptions,
	VirtioSlots,
} from "./virtio-slots.ts";

/** What firmware reads from somewhere. */
export interface BootBytes {
	/** bzImage, vmlinux or multiboot image. */
	readonly kernel: Uint8Array;
	readonly initrd?: Uint8Array;
}

/** What a machine is made of and what it runs. */
export interface MachineOptions extends VirtioOptions, BootBytes {
	readonly memoryBytes: number;
	/**
	 * Reads kernel and initrd again for a restart. Without it they are kept, which
	 * is megabytes.
	 */
	readonly readBootFiles?: () => Promise<BootBytes>;
	/** What to call the kernel; multiboot kernels are told. */
	readonly kernelName?: string;
	/** How the initrd is packed, if it is to be unpacked on this side. */
	readonly initrdPacking?: Compression;
	readonly commandLine?: string;
	/** Default: wall. */
	readonly clock?: ClockKind;
	/** Default: "auto", which interprets and compiles what is hot. */
	readonly engine?: EngineKind;
	/** Compiles hot code in another thread; default: in this one. */
	readonly regionService?: RegionService;
	/** Port by which a test image ends the machine. */
	readonly debugExitPort?: number;
	/** Unpacks kernel and initrd on this side, which is faster than in the guest. */
	readonly unpack?: Decompressors;
	/** The other end of the serial port. */
	readonly console: ConsoleBackend;
	/** Told what happens to devices. */
	readonly onDevice?: (event: DeviceEvent) => void;
	/**
	 * Gives the embedder's event loop a turn. The default takes a millisecond;
	 * every embedder has something better.
	 */
	readonly breathe?: () => Promise<void>;
}

/** Why a machine ended. */
export type EndReason =
	| { readonly kind: "poweroff" }
	| { readonly kind: "debug-exit"; readonly value: number }
	| { readonly kind: "triple-fault"; readonly report: CrashReport }
	/** HLT with interrupts off: nothing could ever wake it. */
	| { readonly kind: "halted-forever" }
	/** `stop` was called. */
	| { readonly kind: "stopped" };

/** What chips and embedder may ask of the run loop; the CPU has two reasons of its own. */
type Ending = Exclude<EndReason, { kind: CpuEnding }> | { kind: "reset" };

const sleepShortly = (): Promise<void> =>
	new Promise((resolve) => {
		setTimeout(resolve, 0);
	});

/** Make one with `Machine.create`, then `run` it once. */
export class Machine {
	readonly cpu: Cpu;
	/** The present board; a reset makes a new one. */
	pc: Pc;
	readonly #options: Omit<MachineOptions, keyof BootBytes>;
	readonly #readBootFiles: () => Promise<BootBytes>;
	readonly #clock: MachineClock;
	readonly #bus: PcBus;
	readonly #console: SerialConsole;
	/** The board's virtio devices. */
	#slots!: VirtioSlots;
	readonly #alarm = new Alarm();
	/** While the guest stands still. */
	#pause: Pause | undefined;
	/** First reason wins. */
	#ending: Ending | undefined;
	#stopwatch: Stopwatch | undefined;
	#wallSeconds = 0;
	#resets = 0;
	readonly #exits: Record<ExitReason, number> = {
		budget: 0,
		halt: 0,
		"triple-fault": 0,
		requested: 0,
	};

	/** Throws `UsageError` for whatever is wrong with the options; the kernel is loaded. */
	static async create(options: MachineOptions): Promise<Machine> {
		const kernel = checkBootFiles(options);
		// While other threads unpack, the CPU's code is generated on this one.
		const files = openFiles(options, kernel);
		const machine = new Machine(options);
		machine.#load(await files);
		return machine;
	}

	private constructor(options: MachineOptions) {
		const { kernel: _, initrd: __, ...others } = options;
		this.#options = others;
		this.#readBootFiles = options.readBootFiles ?? keeping(options);
		this.#clock = this.#makeClock();
		this.#bus = new PcBus(this.#clock);
		this.cpu = makeCpu(options, this.#bus);
		this.cpu.hypercall = () => this.#hypercall();
		this.#clock.onSooner = () => this.cpu.requestExit();
		this.#console = new SerialConsole(options.console);
		this.pc = this.#makeBoard();
		options.console.onInput = () => this.#onInput();
	}

	/** The lguest bus has calls of its own; all others are answered as KVM would. */
	#hypercall(): boolean {
		const { state } = this.cpu;
		const { bytesAboveRam } = transportKind(this.#options.transport);
		const answered =
			bytesAboveRam !== undefined &&
			answerHypercall(state, {
				notify: (address, bytes) => this.#slots.notify(address, bytes),
				shutDown: (kind) => this.#end({ kind }),
			});
		if (!answered) refuseHypercall(state);
		return true;
	}

	/** Runs until the guest ends; resets happen within. */
	async run(): Promise<EndReason> {
		this.#stopwatch = new Stopwatch();
		try {
			for (;;) {
				const ending = await this.#runToEnding();
				if (ending === "triple-fault") {
					return { kind: ending, report: crashReport(this.cpu) };
				}
				if (ending === "halted-forever") return { kind: ending };
				if (ending.kind !== "reset") return ending;
				// Unless someone stopped us while the last output was handed over.
				if (this.#ending?.kind === "reset") await this.#reset();
			}
		} finally {
			this.resume();
			await this.#slots.retire();
			this.#wallSeconds = this.#stopwatch.seconds();
			this.#stopwatch = undefined;
		}
	}

	/** Makes `run` come back soon; safe at any time. */
	stop(): void {
		this.#forgetReset();
		this.#end({ kind: "stopped" });
		this.resume();
		this.#alarm.wake();
	}

	/** Lets the guest stand still, its clock too; resolves when it does. */
	pause(): Promise<void> {
		this.#pause ??= new Pause();
		this.cpu.requestExit();
		this.#alarm.wake();
		return this.#pause.reached;
	}

	/** The guest runs on, as if nothing had been. */
	resume(): void {
		this.#pause?.end();
		this.#pause = undefined;
	}

	/** Asks the guest to shut itself down. */
	pressPowerButton(): void {
		this.pc.acpiPm.pressPowerButton();
		this.#alarm.wake();
	}

	/** By which the guest can be asked for memory, if it was given one. */
	get balloon(): MemoryBalloon | undefined {
		return this.#options.balloon;
	}

	/** Where things stand; at any time. */
	statistics(): MachineStatistics {
		return {
			instructionsRetired: this.cpu.retiredCount(),
			wallSeconds: this.#stopwatch?.seconds() ?? this.#wallSeconds,
			guestSeconds: this.#clock.nowNs() / 1e9,
			exits: { ...this.#exits },
			resets: this.#resets,
			...this.cpu.statistics,
			memory: { guestBytes: this.#options.memoryBytes },
			devices: this.#slots.counters(),
		};
	}

	#runToEnding(): Promise<Ending | CpuEnding> {
		return runLoop<Ending>({
			cpu: {
				run: (budget) => this.cpu.run(budget),
				retiredCount: () => this.cpu.retiredCount(),
				interruptible: () => this.#interruptible(),
				interruptPending: () => this.cpu.interruptPending(),
			},
			clock: this.#clock,
			alarm: this.#alarm,
			feed: () => this.#console.feed(),
			flush: () => this.#console.flush(),
			breathe: () => this.#breathe(),
			ioBusy: () => this.#slots.busy,
			pausing: () => this.#pause !== undefined,
			ending: () => this.#ending,
			onExit: (reason) => {
				this.#exits[reason]++;
			},
		});
	}

	/** In virtual time what a disk takes is no time: its answer is waited for. */
	async #breathe(): Promise<void> {
		const { breathe, clock } = this.#options;
		await (breathe ?? sleepShortly)();
		await this.#standStill();
		if (clock === "virtual") await this.#slots.settle();
	}

	async #standStill(): Promise<void> {
		while (this.#pause !== undefined) {
			this.#clock.pause();
			await this.#pause.stand();
			this.#clock.resume();
		}
	}

	#makeClock(): MachineClock {
		if (this.#options.clock !== "virtual") return new WallClock();
		return new VirtualClock({
			retired: () => this.cpu.retiredCount(),
			paced: () => this.#options.console.inputOpen,
		});
	}

	#makeBoard(): Pc {
		const { memoryBytes, debugExitPort } = this.#options;
		const board = new Pc({
			clock: this.#clock,
			memory: this.cpu.memory,
			memoryBytes,
			...(debugExitPort !== undefined && { debugExitPort }),
			wires: {
				onInterruptLine: (level) => this.cpu.setInterruptLine(level),
				onNmi: () => this.cpu.raiseNmi(),
				onApicEnable: (enabled) => this.cpu.cpuid.showLocalApic(enabled),
				tscOffset: () => this.cpu.state.getBig(fields.TSC_OFFSET),
				onReset: () => this.#end({ kind: "reset" }),
				onPowerOff: () => this.#end({ kind: "poweroff" }),
				onDebugExit: (value) => this.#end({ kind: "debug-exit", value }),
			},
		});
		this.#bus.plugInto(board);
		this.#console.plugInto(board.uart);
		this.#slots = this.#makeSlots(board);
		return board;
	}

	#makeSlots(board: Pc): VirtioSlots {
		const isVirtual = this.#options.clock === "virtual";
		const models = makeModels(this.#options, {
			fillRandom: (target) => fillWords(target, () => this.#clock.random()),
			inOrder: isVirtual,
			memory: this.cpu.memory,
		});
		const { memory } = this.cpu;
		const place = { memory, ramBytes: this.#options.memoryBytes };
		return new VirtioSlots(board, place, models, this.#options, {
			wake: () => this.#alarm.nudge(),
			onDevice: this.#options.onDevice ?? (() => {}),
			// Virtual time must stop at the same instruction every time.
			busy: () => {
				if (isVirtual) this.cpu.requestExit();
			},
		});
	}

	#end(ending: Ending): void {
		this.#ending ??= ending;
		this.cpu.requestExit();
	}

	/** A reset is no end, and must not hide one that comes meanwhile. */
	#forgetReset(): void {
		if (this.#ending?.kind === "reset") this.#ending = undefined;
	}

	/** As a press of the reset button. */
	async #reset(): Promise<void> {
		this.#resets++;
		this.#forgetReset();
		await this.#slots.retire();
		this.#clock.clearTimers();
		this.cpu.setInterruptLine(false);
		this.cpu.cpuid.showLocalApic(true);
		clearMemory(this.cpu.memory);
		this.pc = this.#makeBoard();
		const files = await this.#readBootFiles();
		this.#load(await openFiles({ ...this.#options, ...files }));
	}

	/** Firmware's part: tables, kernel, initrd, and the CPU at the kernel's door. */
	#load({ kernel, initrd }: BootFiles): void {
		const { kernelName, commandLine } = this.#options;
		const { memory } = this.cpu;
		const { rsdpAddress } = writeAcpiTables(memory, {
			devices: this.#slots.acpiDevices,
			pciRoutes: this.pc.pciRoutes(),
		});
		const { cpuState } = placeKernel(memory, kernel, {
			memoryMap: memoryMap(this.#options),
			acpiRsdp: rsdpAddress,
			...(kernelName !== undefined && { kernelName }),
			...(initrd !== undefined && { initrd }),
			...(commandLine !== undefined && { commandLine }),
		});
		enterInitialState(this.cpu, cpuState);
	}

	#onInput(): void {
		this.#console.expectInput();
		this.#alarm.wake();
	}

	#interruptible(): boolean {
		return (this.cpu.state.get32(fields.EFLAGS) & EFLAGS_IF) !== 0;
	}
}

/** What firmware would have read and unpacked. */
interface BootFiles {
	readonly kernel: KernelFile;
	readonly initrd: Uint8Array | undefined;
}

/** Remembers the files as they are: packed. */
function keeping({ kernel, initrd }: BootBytes): () => Promise<BootBytes> {
	return async () => (initrd === undefined ? { kernel } : { kernel, initrd });
}

/** Of the unpacked forms the guest has its own. */
function openFiles(
	options: MachineOptions,
	kernel?: RecognisedKernel,
): Promise<BootFiles> {
	const { initrd, initrdPacking, unpack } = options;
	const both = Promise.all([
		openKernel(options.kernel, options, kernel),
		initrd && initrdPacking && unpack
			? unpackInitrd(initrd, initrdPacking, unpack)
			: initrd,
	]).then(([kernel, initrd]) => ({ kernel, initrd }));
	// Who waits for it learns of it; nobody does if the machine cannot be made.
	both.catch(() => {});
	return both;
}

/** Kernels use configuration space in memory only where the map agrees. */
const RESERVED = [
	{
		address: PCI_ECAM_ADDRESS,
		lengthBytes: PCI_ECAM_BYTES,
		type: E820_RESERVED,
	},
];
const EFLAGS_IF = 1 << 9;
const PAGE_BYTES = 4096;

/** Whatever can be said of the files before anything is made or unpacked. */
function checkBootFiles(options: MachineOptions): RecognisedKernel | undefined {
	const { kernel, initrd, initrdPacking, unpack } = options;
	const map = checkedMemoryMap(options);
	const recognised = recogniseKernel(kernel, options);
	const isPacked = initrdPacking !== undefined && unpack !== undefined;
	if (recognised !== undefined && initrd !== undefined && !isPacked) {
		requireInitrdRoom(recognised, initrd.length, map);
	}
	return recognised;
}

function checkedMemoryMap(options: MachineOptions): MemoryRange[] {
	const { memoryBytes } = options;
	if (memoryBytes % PAGE_BYTES !== 0) {
		throw new UsageError(
			`${memoryBytes} bytes of guest memory are not a multiple of 4 KiB.`,
			{ hint: "Give the size in MiB, for example --memory 256M." },
		);
	}
	// The map has checks of its own, for too little and too much.
	return memoryMap(options);
}

/** RAM, and what the transport has above it, which the guest must leave alone. */
function memoryMap({
	memoryBytes,
	transport,
}: Pick<MachineOptions, "memoryBytes" | "transport">): MemoryRange[] {
	const { bytesAboveRam = 0 } = transportKind(transport);
	const above = { address: memoryBytes, lengthBytes: bytesAboveRam };
	return buildMemoryMap(memoryBytes, {
		reserved: [...RESERVED, { ...above, type: E820_RESERVED }],
		deviceHoleAddress: DEVICE_HOLE_ADDRESS - bytesAboveRam,
	});
}

/** The engine reserves all guest memory at once, and may not get it. */
function makeCpu(options: MachineOptions, bus: PcBus): Cpu {
	const { memoryBytes, transport, engine = "auto", regionService } = options;
	const { bytesAboveRam = 0 } = transportKind(transport);
	try {
		// Told the counter's rate, a guest does not measure it: on a busy computer
		// it would measure wrongly, and then distrust its best clock.
		const identity = {
			tscHz: TSC_HZ,
			localApic: true,
			kvmClock: true,
			...(bytesAboveRam > 0 && {
				hypervisorLeaf: lguestLeaf(memoryBytes, bytesAboveRam),
			}),
		};
		const allBytes = memoryBytes + bytesAboveRam;
		return new Cpu({
			...{ memoryBytes: allBytes, bus, identity, engine },
			...(regionService !== undefined && { regionService }),
		});
	} catch (error) {
		if (!(error instanceof RangeError)) throw error;
		throw new UsageError(
			`${formatSize(memoryBytes)} of guest memory cannot be had here.`,
			{ hint: "Use a smaller --memory.", cause: error },
		);
	}
}
