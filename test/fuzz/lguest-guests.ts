/**
 * Paravirtual kernels that do anything at all: random hypercalls and arguments,
 * random words in `lguest_data`, in page tables, in the descriptor page and in
 * rings, and random instructions. Such a Guest may end, with a reason; it never
 * throws, never gets to another privilege level than its own two, and the Guest
 * after it on the same processor finds everything in order.
 */

import { type Cpu, type EngineKind, fields } from "../../src/cpu/index.ts";
import { LHCALL_NOTIFY, LHCALL_SEND_INTERRUPTS } from "../../src/lguest/abi.ts";
import { clearMemory } from "../../src/machine/fresh-memory.ts";
import { VirtioDevice } from "../../src/virtio/device.ts";
import { Block } from "../../src/virtio/devices/block.ts";
import { Console } from "../../src/virtio/devices/console.ts";
import { Entropy } from "../../src/virtio/devices/entropy.ts";
import { MemoryDisk } from "../../src/virtio/memory-disk.ts";
import { LguestBus } from "../../src/virtio/transports/lguest-bus.ts";
import {
	CODE,
	DATA,
	DIALECT_NAMES,
	KERNEL_ADDRESS,
	LguestGuest,
	makeProcessor,
	RAM_BYTES,
	STACK_TOP,
} from "../support/lguest-guest.ts";
import { chance, type Random } from "../support/random.ts";
import type { FuzzTarget } from "./target.ts";

const STEPS = 40;
const DATA_BYTES = 1396;
/** The page and some rings behind it. */
const DEVICE_BYTES = 0xa000;
const MOST_NOTIFIES = 10_000;
const EXCEPTIONS = [0, 1, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 17];

const processors = new Map<EngineKind, Cpu>();

/** Making one takes longer than a case. */
function processorFor(engine: EngineKind): Cpu {
	const known = processors.get(engine);
	if (known !== undefined) return known;
	const made = makeProcessor(engine);
	processors.set(engine, made);
	return made;
}

function setUp(random: Random, engine: EngineKind): LguestGuest {
	const cpu = processorFor(engine);
	clearMemory(cpu.memory);
	let irqs = 0;
	let guest: LguestGuest | undefined;
	const bus = new LguestBus({
		memory: cpu.memory,
		pageAddress: RAM_BYTES,
		nextIrq: () => ++irqs,
		raise: (irq) => guest?.guest.raise(irq),
	});
	const port = {
		write: () => undefined,
		read: (most: number) => new Uint8Array(Math.min(most, 10)),
		onInput: () => {},
	};
	for (const model of [
		new Block(new MemoryDisk(1 << 16), "hostile"),
		new Entropy({ fill: (target) => target.fill(1) }),
		new Console([{ backend: port }]),
	]) {
		bus.plug(new VirtioDevice(model, cpu.memory, { legacy: true }));
	}
	const name = DIALECT_NAMES[random(DIALECT_NAMES.length)] ?? "H";
	guest = new LguestGuest(name, cpu, bus.pfnLimit);
	guest.onNotify = (address) => bus.notify(address) || chance(random, 2);
	if (!chance(random, 8)) {
		guest.init();
		// With gates for its faults it lives longer.
		if (!chance(random, 4)) guest.gates(EXCEPTIONS);
	}
	return guest;
}

/** Mostly plausible numbers, so that something happens. */
function value(random: Random): number {
	switch (random(8)) {
		case 0:
			return random(40);
		case 1:
			return DATA + random(DATA_BYTES);
		case 2:
			return RAM_BYTES + random(DEVICE_BYTES);
		case 3:
			return random(RAM_BYTES / 4096) * 4096 + (chance(random, 2) ? 0x67 : 0);
		case 4:
			return KERNEL_ADDRESS + random(RAM_BYTES);
		case 5:
			return 0xffff_ffff - random(4096);
		case 6:
			return chance(random, 2) ? STACK_TOP : 0x69;
		default:
			return random(2 ** 32);
	}
}

type Step = (one: LguestGuest, random: Random) => void;

const scribble = (at: number, bytes: number): Step => {
	return (one, random) => {
		const { memory } = one.cpu;
		for (let i = random(6); i >= 0; i--) {
			memory.writeU32(at + random(bytes / 4) * 4, value(random));
		}
	};
};

const STEP_KINDS: readonly Step[] = [
	(one, random) => {
		const args = [value(random), value(random), value(random)];
		const number = 2 + random(LHCALL_SEND_INTERRUPTS);
		// Once is enough for most of the others.
		one.calls([chance(random, 8) ? random(3) : number, ...args]);
	},
	(one, random) => one.calls([LHCALL_NOTIFY, RAM_BYTES + random(64)]),
	(one, random) => {
		one.queue(random(64), random(20), value(random), value(random));
		one.calls([0]);
	},
	(one, random) => one.gates([random(40), 32 + random(32)], random(4)),
	(one, random) => one.guest.raise(random(40) - 4),
	(one) => one.timer?.fire(),
	scribble(DATA, DATA_BYTES & ~3),
	scribble(RAM_BYTES, 64),
	scribble(RAM_BYTES + 0x1000, DEVICE_BYTES - 0x1000),
	scribble(RAM_BYTES - 0x3000, 0x3000),
	(one, random) => {
		// What is found there is likely to do something.
		const kernel = [0xcf, 0xcd, 0x0f, 0xea, 0x8e, 0x9d, 0xcb, 0xfa, 0xe4, 0xff];
		const bytes = Uint8Array.from({ length: 32 }, () =>
			chance(random, 3) ? (kernel[random(kernel.length)] ?? 0) : random(256),
		);
		one.cpu.memory.write(CODE, bytes);
		one.eip = CODE;
		one.cpu.run(30);
	},
	(one, random) => one.cpu.state.setGpr32(random(8), value(random)),
	(one) => {
		one.cpu.state.setGpr32(4, STACK_TOP);
	},
];

function check(one: LguestGuest): void {
	const level = one.cpu.state.get32(fields.CPL);
	if (level !== 1 && level !== 3) throw new Error(`privilege level ${level}`);
	const { death } = one.guest;
	if (death?.kind === "dead" && death.reason === "") {
		throw new Error("a death without a reason");
	}
	if (one.notified.length > MOST_NOTIFIES) throw new Error("NOTIFY for ever");
}

function hostileGuest(engine: EngineKind): FuzzTarget {
	return {
		name: `lguest-guest-${engine}`,
		about: `paravirtual kernels on the ${engine} engine`,
		run: (random) => {
			const one = setUp(random, engine);
			for (let i = 0; i < STEPS && !one.guest.isDead; i++) {
				STEP_KINDS[random(STEP_KINDS.length)]?.(one, random);
				one.cpu.run(50);
				if (one.guest.hasUnansweredNotify) one.guest.answerNotify();
				check(one);
			}
			const decent = new LguestGuest("H", one.cpu).init().gates([0x21]);
			decent.guest.raise(1);
			decent.run((code) => code.storeImmediate(DATA, 0x200));
			if (decent.vector !== 0x21) throw new Error("the next Guest suffers");
		},
	};
}

export const LGUEST_GUEST_TARGETS: readonly FuzzTarget[] = [
	hostileGuest("cold"),
	hostileGuest("auto"),
];
