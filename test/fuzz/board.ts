/**
 * A kernel that does anything at all to the board: random accesses to PCI
 * configuration space, BARs, MSI-X tables, interrupt controllers, timers, ports
 * and model-specific registers. Whatever it does, nothing throws, every answer
 * is one that a bus can give, time goes on, and a decent kernel finds its
 * devices in order afterwards.
 */

import type { AccessSize } from "../../src/chipset/bus.ts";
import { IO_APIC_ADDRESS } from "../../src/chipset/io-apic.ts";
import { LOCAL_APIC_ADDRESS } from "../../src/chipset/local-apic.ts";
import { PCI_ECAM_ADDRESS } from "../../src/chipset/pci-root.ts";
import { VirtualClock } from "../../src/machine/clock.ts";
import { Pc, PcBus } from "../../src/machine/pc.ts";
import { makeModels, VirtioSlots } from "../../src/machine/virtio-slots.ts";
import { MemoryDisk } from "../../src/virtio/memory-disk.ts";
import { MockDriver, room, TestMemory } from "../support/mock-driver.ts";
import { ModernPciSide, PciSpace } from "../support/pci-side.ts";
import { plausible, type Random } from "../support/random.ts";
import type { FuzzTarget } from "./target.ts";

const STEPS = 150;
const DISK_SLOT = 1;
const BARS = 0xfe00_0000;
const SIZES: readonly AccessSize[] = [1, 2, 4];
const MSRS = [
	...[0x1b, 0x6e0, 0x11, 0x12, 0x4b56_4d00, 0x4b56_4d01, 0x4b56_4d02, 0x800],
];
/** One port of each chip, from which to stray. */
const PORTS = [
	...[0x20, 0x40, 0x60, 0x70, 0x92, 0xa0, 0x3f8, 0x4d0, 0xa70, 0xcf8, 0xcfc],
	...[0xc000, 0xc080],
];

function setUp() {
	const memory = new TestMemory(256 << 10);
	let retired = 0;
	const clock = new VirtualClock({
		retired: () => retired,
		paced: () => false,
	});
	let interrupt = false;
	let tscOffset = 0n;
	const ignore = () => {};
	const board = new Pc({
		clock,
		memory,
		memoryBytes: memory.sizeBytes,
		wires: {
			onInterruptLine: (level) => {
				interrupt = level;
			},
			onNmi: ignore,
			onApicEnable: ignore,
			tscOffset: () => tscOffset,
			onReset: ignore,
			onPowerOff: ignore,
			onDebugExit: ignore,
		},
	});
	const bus = new PcBus(clock);
	bus.plugInto(board);
	const options = {
		disks: [{ backend: new MemoryDisk(1 << 20) }],
		...({ entropy: true, transport: "pci" } as const),
	};
	const fillRandom = (target: Uint8Array) => {
		target.fill(7);
	};
	const models = makeModels(options, { fillRandom, memory, inOrder: false });
	const ramBytes = memory.sizeBytes;
	new VirtioSlots(board, { memory, ramBytes }, models, options, {
		...{ wake: ignore, busy: ignore, onDevice: ignore },
	});
	return {
		...{ memory, board, bus, clock },
		space: new PciSpace(board.ports, board.mmio),
		interrupted: () => interrupt,
		moveTsc: (offset: bigint) => {
			tscOffset = BigInt.asUintN(64, offset);
			bus.timeStampMoved();
		},
		pass: (instructions: number) => {
			retired += instructions;
			clock.runDue();
		},
	};
}

type Board = ReturnType<typeof setUp>;

const pick = <Item>(random: Random, items: readonly Item[]): Item =>
	items[random(items.length)] as Item;

function assertBelow(value: number, limit: number): void {
	if (value >= 0 && value < limit) return;
	throw new Error(`an answer of ${value}, which is not below ${limit}`);
}

/** Any access to a physical address; an answer has the size that was asked for. */
function touch({ bus }: Board, random: Random, address: number): void {
	const size = pick(random, SIZES);
	if (random(3) > 0) {
		bus.writePhysical(address, size, plausible(random));
		return;
	}
	const value = bus.readPhysical(address, size);
	assertBelow(value, 2 ** (8 * size));
}

/** Each does one thing that a kernel should not. */
const DEEDS: readonly ((board: Board, random: Random) => void)[] = [
	({ space }, random) =>
		space.writeConfig(
			random(8),
			random(64) * 4 + random(4),
			plausible(random),
			pick(random, SIZES),
		),
	(board, random) =>
		touch(
			board,
			random,
			PCI_ECAM_ADDRESS + random(0x20) * 0x1000 + random(300),
		),
	(board, random) => touch(board, random, BARS + random(0x2_0000)),
	// A message to anywhere, for a vector that is open.
	({ bus }, random) => {
		const entry = BARS + random(2) * 0x8000 + 16 * random(3);
		const near = 0xfee0_0000 + random(2 ** 20);
		bus.writePhysical(entry, 4, pick(random, [near, plausible(random)]));
		bus.writePhysical(entry + 4, 4, random(4) === 0 ? 1 : 0);
		bus.writePhysical(entry + 8, 4, plausible(random));
		bus.writePhysical(entry + 12, 4, random(2));
	},
	(board, random) =>
		touch(board, random, LOCAL_APIC_ADDRESS + 16 * random(256)),
	({ bus }, random) => {
		bus.writePhysical(IO_APIC_ADDRESS, 4, random(0x48));
		bus.writePhysical(IO_APIC_ADDRESS + 0x10, 4, plausible(random));
	},
	({ bus }, random) => {
		const at = (pick(random, PORTS) + random(8)) & 0xffff;
		const size = pick(random, SIZES);
		if (random(2) === 0) bus.readPort(at, size);
		else bus.writePort(at, size, plausible(random));
	},
	({ bus }, random) => {
		const number = pick(random, MSRS);
		const high = BigInt(random(3) === 0 ? plausible(random) : 0) << 32n;
		bus.writeMsr(number, high | BigInt(plausible(random) >>> 0));
		bus.readMsr(number);
	},
	({ pass }, random) => pass(random(500_000)),
	({ moveTsc }, random) => moveTsc(BigInt(plausible(random)) - 2n ** 31n),
	({ bus, interrupted }, random) => {
		for (let i = 0; i < 4 && interrupted(); i++) {
			const vector = bus.acknowledgeInterrupt();
			assertBelow(vector, 0x100);
			if (random(3) > 0) bus.writePhysical(LOCAL_APIC_ADDRESS + 0xb0, 4, 0);
		}
	},
];

/** What a kernel does that does not trust its predecessor. */
function readDisk({ memory, board, space }: Board): void {
	board.localApic.writeBase(0xfee0_0900n);
	[0xc000, BARS, 0, 0, BARS + 0x4000].forEach((address, bar) => {
		space.writeConfig(DISK_SLOT, 0x10 + 4 * bar, address);
	});
	for (const slot of [0, 2, 3, 4]) space.writeConfig(slot, 4, 0, 2);
	space.writeConfig(DISK_SLOT, 4, 7, 2);
	const [msix = 0] = space.capabilities(DISK_SLOT, 0x11);
	space.writeConfig(DISK_SLOT, msix + 2, 0, 2);
	const side = new ModernPciSide(space, DISK_SLOT);
	const driver = new MockDriver(side, memory);
	driver.start();
	const used = driver.queue().exchange(new Uint8Array(16), room(512), room(1));
	if (used.at(-1) !== 0) throw new Error("the disk does not answer");
}

/** One kernel's life; throws on a finding. */
function run(random: Random): void {
	const board = setUp();
	for (let i = 0; i < STEPS; i++) pick(random, DEEDS)(board, random);
	readDisk(board);
}

export const BOARD_TARGET: FuzzTarget = {
	name: "board",
	about: "configuration space, interrupt controllers and ports of the board",
	run,
};
