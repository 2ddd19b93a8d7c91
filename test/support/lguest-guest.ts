/**
 * A Guest without a kernel: a few instructions at privilege level 1, and a
 * `lguest_data` of the shape that its dialect has. Time is a number that tests
 * set.
 *
 * Relies on the Host and on `assembler.ts`; tests of `src/lguest` rely on it.
 */

import { Cpu, type EngineKind, fields } from "../../src/cpu/index.ts";
import {
	LGUEST_DATA_L1,
	LGUEST_DATA_L2,
	LGUEST_DATA_L3,
	LGUEST_DEVICE_PAGES,
	LGUEST_PAGE_BYTES,
	type LguestDataLayout,
	LHCALL_LGUEST_INIT,
	LHCALL_LOAD_IDT_ENTRY,
} from "../../src/lguest/abi.ts";
import { Guest } from "../../src/lguest/host/guest.ts";
import { Assembler, EAX, EBX, ECX, EDX, ESI } from "./assembler.ts";

/** The dialects by the letters of our notes: how they call, and with what. */
export const DIALECTS = {
	/** 2.6.25 */
	B: { layout: LGUEST_DATA_L1, vmcall: false, registers: [EDX, EBX, ECX] },
	/** 2.6.30 */
	E: { layout: LGUEST_DATA_L1, vmcall: true, registers: [EBX, ECX, EDX] },
	/** 2.6.31 to 2.6.33 */
	F: { layout: LGUEST_DATA_L2, vmcall: true, registers: [EBX, ECX, EDX, ESI] },
	/** 2.6.34 to 3.0 */
	G: { layout: LGUEST_DATA_L2, vmcall: false, registers: [EBX, ECX, EDX, ESI] },
	/** 3.1 to 3.19 */
	H: { layout: LGUEST_DATA_L3, vmcall: false, registers: [EBX, ECX, EDX, ESI] },
} as const;
export type DialectName = keyof typeof DIALECTS;
export const DIALECT_NAMES = Object.keys(DIALECTS) as DialectName[];

export const RAM_BYTES = 0x40_0000;
export const CODE = 0x1_0000;
/** Not aligned, as in a kernel's data section. */
export const DATA = 0x2_0004;
export const STACK_TOP = 0x3_0000;
export const TEXT = 0x4_0000;
/** Where gates lead: an endless loop for each vector, 16 bytes apart. */
export const HANDLERS = 0x5_0000;
/** Eight bytes without interrupts. */
export const NOIRQ_START = CODE + 0x800;
export const KERNEL_ADDRESS = 0xc000_0000;

const DEVICE_BYTES = LGUEST_DEVICE_PAGES * LGUEST_PAGE_BYTES;
const PFN_LIMIT = (RAM_BYTES + 0x1000) / 0x1000;
const SYSCALL_VECTOR = 0x80;

/** With no device, and room for a descriptor page and its rings. */
export function makeProcessor(engine: EngineKind): Cpu {
	return new Cpu({
		memoryBytes: RAM_BYTES + DEVICE_BYTES,
		engine,
		bus: {
			readPort: () => 0x77,
			writePort: () => {},
			readPhysical: () => 0xffff_ffff,
			writePhysical: () => {},
			acknowledgeInterrupt: () => 0,
			timeStampCounter: () => 0,
			random: () => 0,
		},
	});
}

/** One Guest and what it has been seen to do. */
export class LguestGuest {
	readonly cpu: Cpu;
	readonly guest: Guest;
	readonly layout: LguestDataLayout;
	readonly notified: number[] = [];
	/** What NOTIFY is answered with. */
	answersNotify = true;
	onNotify: (address: number) => boolean = () => this.answersNotify;
	nowNs = 0;
	timer: { readonly deadlineNs: number; readonly fire: () => void } | undefined;
	readonly #dialect: (typeof DIALECTS)[DialectName];

	/** A processor may serve many Guests, one after the other. */
	constructor(
		name: DialectName,
		processor: EngineKind | Cpu = "cold",
		pfnLimit = PFN_LIMIT,
	) {
		this.#dialect = DIALECTS[name];
		this.layout = this.#dialect.layout;
		this.cpu =
			typeof processor === "string" ? makeProcessor(processor) : processor;
		const { memory } = this.cpu;
		const { layout } = this;
		memory.fill(DATA + layout.hcall_status, 0xff, 64);
		this.setData(layout.blocked_interrupts, 1);
		this.setData(layout.noirq_start, NOIRQ_START);
		this.setData(layout.noirq_end, NOIRQ_START + 8);
		this.setData(layout.kernel_address, KERNEL_ADDRESS);
		this.setData(layout.syscall_vec, SYSCALL_VECTOR);
		for (let vector = 0; vector < 256; vector++) {
			memory.write(HANDLERS + vector * 16, Uint8Array.of(0xeb, 0xfe));
		}
		this.guest = new Guest(
			this.cpu,
			{
				...{ pfnLimit, start: CODE, ramBytes: RAM_BYTES },
				...{ initrdBytes: 0, tscKhz: 1_000_000 },
			},
			{
				nowNs: () => this.nowNs,
				wallSeconds: () => 1_700_000_000.25,
				schedule: (_owner, deadlineNs, fire) => {
					this.timer =
						deadlineNs === undefined ? undefined : { deadlineNs, fire };
				},
				notify: (address) => {
					this.notified.push(address);
					return this.onNotify(address);
				},
			},
		);
		this.cpu.state.setGpr32(4, STACK_TOP);
	}

	get reason(): string | undefined {
		const { death } = this.guest;
		return death?.kind === "dead" ? death.reason : death?.kind;
	}

	data(offset: number | undefined): number {
		return this.cpu.memory.readU32(DATA + (offset ?? 0));
	}

	setData(offset: number | undefined, value: number): void {
		this.cpu.memory.writeU32(DATA + (offset ?? 0), value);
	}

	/** Appends a hypercall in the Guest's dialect. */
	call(code: Assembler, number: number, ...args: number[]): Assembler {
		args.forEach((value, i) => {
			code.mov(this.#dialect.registers[i] ?? EAX, value);
		});
		code.mov(EAX, number);
		return this.#dialect.vmcall ? code.hex("0f01c1") : code.int(0x1f);
	}

	/** Writes code where the Guest is, and lets it run that many instructions. */
	run(write: (code: Assembler) => void, budget = 1000): void {
		const code = new Assembler(CODE);
		write(code);
		code.hex("ebfe");
		this.cpu.memory.write(CODE, code.assemble());
		this.cpu.state.setWide(fields.RIP, CODE);
		this.cpu.run(budget);
	}

	/** The Guest's first words. */
	init(): this {
		this.run((code) => this.call(code, LHCALL_LGUEST_INIT, DATA), 10);
		return this;
	}

	/** Hypercalls, one after the other. */
	calls(...calls: readonly (readonly [number, ...number[]])[]): this {
		this.run((code) => {
			for (const [number, ...args] of calls) this.call(code, number, ...args);
		});
		return this;
	}

	/** Gates for these vectors, of interrupt gates' type unless said otherwise. */
	gates(vectors: readonly number[], level = 0, type = 0xe): this {
		return this.calls(
			...vectors.map(
				(vector) =>
					[
						LHCALL_LOAD_IDT_ENTRY,
						vector,
						(0x60 << 16) | ((HANDLERS + vector * 16) & 0xffff),
						((HANDLERS + vector * 16) & 0xffff_0000) |
							0x8000 |
							(level << 13) |
							(type << 8),
					] as const,
			),
		);
	}

	/** Puts a call into a slot of the ring, as words in the slot's order. */
	queue(slot: number, ...words: number[]): void {
		const { layout } = this;
		words.forEach((word, i) => {
			this.setData(layout.hcalls + slot * layout.hcallBytes + i * 4, word);
		});
		this.cpu.memory.writeU8(DATA + layout.hcall_status + slot, 0);
	}

	get eip(): number {
		return this.cpu.state.getU32(fields.RIP);
	}

	set eip(value: number) {
		this.cpu.state.setWide(fields.RIP, value);
	}

	register(index: number): number {
		return this.cpu.state.gpr32(index);
	}

	/** The vector whose handler the Guest is in. */
	get vector(): number | undefined {
		const offset = this.eip - HANDLERS;
		return offset >= 0 && offset < 256 * 16 ? offset >> 4 : undefined;
	}

	/** Words on the stack, the top first. */
	stack(count: number): number[] {
		const esp = this.register(4);
		return Array.from({ length: count }, (_, i) =>
			this.cpu.memory.readU32(esp + i * 4),
		);
	}

	selector(segment: number): number {
		const { state } = this.cpu;
		return state.view.getUint16(
			state.segmentAt(segment, fields.SEGMENT_SELECTOR),
			true,
		);
	}
}
