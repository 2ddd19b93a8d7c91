/**
 * The `lguest` machine: a processor, memory, and a page of descriptors. No
 * interrupt controller, no timer chip, no bus with registers: all of that is
 * hypercalls. A Guest that asks for a restart gets one here, as it did when the
 * Launcher executed itself anew.
 *
 * Relies on the Host through `/dev/lguest`, and on the run loop and the clocks
 * that the other machine uses; the command line relies on it.
 *
 * @journey L:420 A machine without hardware
 */

import type { Decompressors } from "../../boot/compression.ts";
import { formatSize } from "../../boot/memory-map.ts";
import {
	Cpu,
	type CpuBus,
	type EngineKind,
	type ExitReason,
	fields,
	type RegionService,
} from "../../cpu/index.ts";
import { UsageError } from "../../errors.ts";
import { Alarm } from "../../machine/alarm.ts";
import {
	type ClockKind,
	type MachineClock,
	TSC_HZ,
	VirtualClock,
	WallClock,
} from "../../machine/clock.ts";
import { clearMemory, fillWords } from "../../machine/fresh-memory.ts";
import { runLoop } from "../../machine/run-loop.ts";
import type { ConsoleBackend } from "../../machine/serial-console.ts";
import type { DeviceSurroundings } from "../../machine/virtio-slots.ts";
import { VirtioDevice } from "../../virtio/device.ts";
import type { DeviceModel } from "../../virtio/device-model.ts";
import { Console } from "../../virtio/devices/console.ts";
import { LguestBus } from "../../virtio/transports/lguest-bus.ts";
import {
	LGUEST_DATA_L1,
	LGUEST_DEVICE_PAGES,
	LGUEST_PAGE_BYTES,
} from "../abi.ts";
import { textOf } from "../host/hypercalls.ts";
import { DevLguest, type RunResult } from "./dev-lguest.ts";
import { checkGuestFiles, type GuestFiles, loadGuest } from "./load-guest.ts";

/** What the machine is made of and what it runs. */
export interface LguestMachineOptions extends GuestFiles {
	/** RAM; the descriptor page and the rings come on top. */
	readonly memoryBytes: number;
	/** Default: wall. */
	readonly clock?: ClockKind;
	/** Default: "auto", which interprets and compiles what is hot. */
	readonly engine?: EngineKind;
	/** As in `CpuOptions`, for tests. */
	readonly hotArrivals?: number;
	/** Compiles hot code in another thread; default: in this one. */
	readonly regionService?: RegionService;
	/** The other end of `hvc0`. */
	readonly console: ConsoleBackend;
	/** The devices in front of the console, in order; made anew for each restart. */
	readonly devices?: (surroundings: DeviceSurroundings) => DeviceModel[];
	readonly unpack?: Decompressors;
	/** Gives the embedder's event loop a turn. */
	readonly breathe: () => Promise<void>;
}

/** Why the Guest is no more. */
export type LguestEnding =
	/** "CRASH: Power down", for example. */
	| { readonly kind: "dead"; readonly reason: string }
	/** `stop` was called. */
	| { readonly kind: "stopped" };

/** Family 5: kernels of the time then touch no model-specific registers before their traps work. */
const CPU_SIGNATURE = 0x0543;
/** No kernel without high memory finds the descriptor page above that. */
const MOST_MEMORY_BYTES = 880 * 2 ** 20;
const LEAST_MEMORY_BYTES = 2 ** 20;
const LONGEST_MESSAGE = 4096;

/** Make one with `LguestMachine.create`, then `run` it once. */
export class LguestMachine {
	readonly cpu: Cpu;
	/** The present Guest's; a restart makes a new one. */
	device!: DevLguest;
	readonly #options: LguestMachineOptions;
	readonly #clock: MachineClock;
	readonly #alarm = new Alarm();
	#bus!: LguestBus;
	#devices: VirtioDevice[] = [];
	#ending: LguestEnding | { readonly kind: "restart" } | undefined;
	/** Early messages that the console has not taken yet. */
	#unwritten: Promise<void> | undefined;

	/** Throws `UsageError` for whatever is wrong with the options; the kernel is loaded. */
	static async create(options: LguestMachineOptions): Promise<LguestMachine> {
		checkMemorySize(options);
		checkGuestFiles(options.memoryBytes, options);
		const machine = new LguestMachine(options);
		await machine.#load();
		return machine;
	}

	private constructor(options: LguestMachineOptions) {
		this.#options = options;
		this.#clock = this.#makeClock();
		this.cpu = makeCpu(options, busOf(this.#clock));
		this.#clock.onSooner = () => this.cpu.requestExit();
	}

	/** Runs until the Guest ends; restarts happen within. */
	async run(): Promise<LguestEnding> {
		try {
			for (;;) {
				const ending = await this.#runToEnding();
				if (ending.kind !== "restart") return ending;
				if (this.#ending?.kind === "restart") await this.#restart();
			}
		} finally {
			await this.#retire();
		}
	}

	/** Makes `run` come back soon; safe at any time. */
	stop(): void {
		if (this.#ending?.kind === "restart") this.#ending = undefined;
		this.#ending ??= { kind: "stopped" };
		this.cpu.requestExit();
		this.#alarm.wake();
	}

	/** Where everything was put, in a few lines. */
	description(): string {
		const { guest } = this.device;
		const hex = (value = 0) => `0x${value.toString(16)}`;
		return [
			`Guest memory: ${hex(guest?.ramBytes)} bytes, initrd: ${hex(guest?.initrdBytes)} bytes at its top`,
			`Descriptor page at ${hex(guest?.ramBytes)}, page frames end at ${hex(guest?.pfnLimit)}`,
			`Starting at ${hex(this.cpu.state.getU32(fields.RIP))}`,
		].join("\n");
	}

	async #runToEnding(): Promise<LguestEnding | { readonly kind: "restart" }> {
		const ending = await runLoop<LguestEnding | { readonly kind: "restart" }>({
			cpu: {
				run: (budget) => this.#runSlice(budget),
				retiredCount: () => this.cpu.retiredCount(),
				// HALT turns interrupts on.
				interruptible: () => true,
				// Devices ring the alarm, which remembers.
				interruptPending: () => false,
			},
			clock: this.#clock,
			alarm: this.#alarm,
			feed: () => {},
			flush: async () => {
				await this.#unwritten;
				this.#unwritten = undefined;
			},
			breathe: () => this.#breathe(),
			ioBusy: () => this.#devices.some(({ model }) => model.busy),
			pausing: () => false,
			ending: () => this.#ending,
			onExit: () => {},
		});
		if (typeof ending !== "string") return ending;
		return { kind: "dead", reason: ending };
	}

	#runSlice(budget: number): ExitReason {
		const result = this.device.run(budget);
		this.#bus.poll();
		return this.#reasonOf(result);
	}

	#reasonOf(result: RunResult): ExitReason {
		switch (result.kind) {
			case "halted":
				return "halt";
			case "notify":
				this.device.guest?.kill(`Bad NOTIFY 0x${result.address.toString(16)}`);
				return "requested";
			case "dead":
			case "restart":
				this.#ending ??= result;
				return "requested";
			default:
				return "budget";
		}
	}

	/** In virtual time what a disk takes is no time: its answer is waited for. */
	async #breathe(): Promise<void> {
		await this.#options.breathe();
		if (this.#isVirtual) await this.#settle();
	}

	get #isVirtual(): boolean {
		return this.#options.clock === "virtual";
	}

	#makeClock(): MachineClock {
		if (!this.#isVirtual) return new WallClock();
		return new VirtualClock({
			retired: () => this.cpu.retiredCount(),
			paced: () => this.#options.console.inputOpen,
		});
	}

	async #restart(): Promise<void> {
		this.#ending = undefined;
		await this.#retire();
		this.#clock.clearTimers();
		this.cpu.setInterruptLine(false);
		clearMemory(this.cpu.memory);
		await this.#load();
	}

	/** The Launcher's part: kernel, devices, and the first request to `/dev/lguest`. */
	async #load(): Promise<void> {
		const { memoryBytes } = this.#options;
		const { memory } = this.cpu;
		const loaded = await loadGuest(memory, memoryBytes, this.#options);
		this.#plugDevices();
		this.device = new DevLguest(
			this.cpu,
			{
				ramBytes: memoryBytes,
				initrdBytes: loaded.initrdBytes,
				tscKhz: TSC_HZ / 1000,
			},
			{
				nowNs: () => this.#clock.nowNs(),
				wallSeconds: () => this.#clock.wallSeconds(),
				schedule: (owner, deadlineNs, callback) =>
					this.#clock.schedule(owner, deadlineNs, callback),
				notify: (address) => this.#notify(address),
				initialised: ({ layout }) => {
					this.#bus.notifyMeansReset = layout === LGUEST_DATA_L1;
				},
			},
		);
		this.device.initialize(this.#bus.pfnLimit, loaded.start);
	}

	#plugDevices(): void {
		let irqs = 0;
		this.#bus = new LguestBus({
			memory: this.cpu.memory,
			pageAddress: this.#options.memoryBytes,
			nextIrq: () => ++irqs,
			raise: (irq) => {
				this.device.irq(irq);
				this.#alarm.wake();
			},
		});
		this.#devices = this.#makeModels().map((model) => {
			const device = new VirtioDevice(model, this.cpu.memory, { legacy: true });
			// Virtual time must stop at the same instruction every time.
			device.onBusy = () => {
				if (this.#isVirtual) this.cpu.requestExit();
			};
			this.#bus.plug(device);
			return device;
		});
	}

	/** The console comes last: kernels number interrupts by the order of devices. */
	#makeModels(): DeviceModel[] {
		const { devices, console } = this.#options;
		const fillRandom = (target: Uint8Array) =>
			fillWords(target, () => this.#clock.random());
		return [
			...(devices?.({ fillRandom }) ?? []),
			new Console([{ backend: console }]),
		];
	}

	/** A device's, or an early message: from before there is a console. */
	#notify(address: number): boolean {
		if (this.#bus.notify(address)) return true;
		const { memory } = this.cpu;
		if (address >= this.#bus.pfnLimit * LGUEST_PAGE_BYTES) return false;
		const length = Math.min(LONGEST_MESSAGE, memory.sizeBytes - address);
		const text = textOf(memory.read(address, length));
		const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
		const done = this.#options.console.write(bytes);
		if (done !== undefined) this.#unwritten = done;
		return true;
	}

	async #settle(): Promise<void> {
		await Promise.all(this.#devices.map(({ model }) => model.settle?.()));
	}

	/** Takes the devices from the Guest; resolves when the backends are free. */
	async #retire(): Promise<void> {
		for (const device of this.#devices) device.reset();
		await this.#settle();
	}
}

function checkMemorySize({ memoryBytes }: LguestMachineOptions): void {
	const fits =
		memoryBytes % LGUEST_PAGE_BYTES === 0 &&
		memoryBytes >= LEAST_MEMORY_BYTES &&
		memoryBytes <= MOST_MEMORY_BYTES;
	if (!fits) {
		throw new UsageError(
			`A Guest cannot have ${formatSize(memoryBytes)} of memory.`,
			{ hint: "Give 1 to 880 MiB: beyond, it would not find its devices." },
		);
	}
}

function makeCpu(options: LguestMachineOptions, bus: CpuBus): Cpu {
	const { memoryBytes, engine = "auto", hotArrivals, regionService } = options;
	return new Cpu({
		memoryBytes: memoryBytes + LGUEST_DEVICE_PAGES * LGUEST_PAGE_BYTES,
		bus,
		identity: { tscHz: TSC_HZ, signature: CPU_SIGNATURE },
		engine,
		...(hotArrivals !== undefined && { hotArrivals }),
		...(regionService !== undefined && { regionService }),
	});
}

/** Nothing is connected: ports are the Host's to answer, and there is only RAM. */
function busOf(clock: MachineClock): CpuBus {
	return {
		readPort: () => 0xffff_ffff,
		writePort: () => {},
		readPhysical: () => 0xffff_ffff,
		writePhysical: () => {},
		acknowledgeInterrupt: () => 0,
		timeIsReal: clock.isReal,
		timeStampCounter: () => clock.timeStampCounter(),
		random: () => clock.random(),
	};
}
