/**
 * Random programs for 32-bit guests: a loop over functions that lie in several
 * pages, with everything that makes leaving compiled code hard: indirect calls,
 * nested loops, faults in any place, interrupts, string instructions, x87 and
 * SSE, segments with bases, 16-bit code, stores next to code.
 *
 * A fault's handler goes on where the program said it should, in RESUME.
 *
 * Registers: ESI points at data, EBP counts the turns, the others are free;
 * what a piece needs beside, it pushes. Relies on `guest.ts` and
 * `assembler.ts`; `test/cpu/random-programs.test.ts` relies on it.
 */

import { CR4 } from "../../src/cpu/state.ts";
import { Assembler, EAX, EBP, EBX, ECX, EDX, ESI } from "./assembler.ts";
import {
	CODE,
	DATA,
	descriptor,
	FREE,
	type Guest,
	gate,
	KERNEL_CODE,
	PAGE_TABLES,
	USER_DATA,
} from "./guest.ts";
import type { Random } from "./random.ts";

const FUNCTIONS = 6;
/** Apart enough to lie in different pages, and some of them across two. */
const FUNCTION_STRIDE = 0xe00;
const TABLE = DATA + 0x3000;
const RESUME = DATA + 0x3100;
const COUNT = DATA + 0x3104;
const CODE_16 = 0x1_8000;
const HANDLER = 0x7000;
/** An address that no table maps. */
const ABSENT = 0x60_0000;
const INTERRUPT = 0x30;
/** Its handler is a HLT with interrupts off. */
const LAST = 0x31;
const SELECTOR_BASED = (FREE + 8) | 3;
const OSFXSR = 0x200;
const P_RW_US = 7;
const FREE_REGISTERS = [EAX, ECX, EDX, EBX];
/** Vectors that push an error code. */
const WITH_CODE = [8, 10, 11, 12, 13, 14, 17];

/** A program and the random choices that made it. */
export class RandomProgram {
	readonly #random: Random;
	readonly #c: Assembler;
	#labels = 0;
	#function = 0;

	/** Privilege level 3, or 0. */
	readonly #user: boolean;

	constructor(random: Random, user: boolean) {
		this.#random = random;
		this.#user = user;
		this.#c = new Assembler(CODE);
	}

	/** The main loop, then the functions. */
	build(turns: number): Assembler {
		const c = this.#c;
		c.hex("dbe3")
			.mov(ESI, DATA + 0x80)
			.mov(EBP, turns)
			.label("main");
		for (let i = 0; i < 8; i++) this.#main();
		c.hex("4d").jumpIfNotZero("main").int(LAST);
		for (let i = 0; i < FUNCTIONS; i++) {
			this.#function = i + 1;
			c.padTo(CODE + 0x1000 + i * FUNCTION_STRIDE - this.#random(24));
			c.label(`function ${i}`);
			const pieces = 2 + this.#random(6);
			for (let k = 0; k < pieces; k++) this.#piece(0);
			c.hex("c3");
		}
		return c;
	}

	#pick<T>(list: readonly T[]): T {
		return list[this.#random(list.length)] as T;
	}

	#register(): number {
		return this.#pick(FREE_REGISTERS);
	}

	#name(): string {
		return `label ${this.#labels++}`;
	}

	#main(): void {
		const choice = this.#random(6);
		if (choice > 1) this.#piece(0);
		else if (choice === 1) this.#c.call(`function ${this.#random(FUNCTIONS)}`);
		else this.#indirectCall();
	}

	/** AND reg, 3; CALL [TABLE + reg * 4]. */
	#indirectCall(): void {
		const register = this.#register();
		const and = 0xe0 | register;
		const scaled = 0x85 | (register << 3);
		this.#c.byte(0x83).byte(and).byte(3);
		this.#c.hex("ff14").byte(scaled).dword(TABLE);
	}

	/** A few instructions that leave the stack as it was. */
	#piece(depth: number): void {
		const pieces: (() => void)[] = [
			...new Array<() => void>(9).fill(() => this.#integer()),
			() => this.#skip(depth),
			() => this.#innerLoop(depth),
			() => this.#merge(),
			() => this.#steps(),
			() => this.#call(),
			() => this.#string(),
			() => this.#float(),
			() => this.#vector(),
			() => this.#fault(),
			() => this.#segment(),
			() => this.#interrupt(),
			() => this.#far(),
			() => this.#change(),
		];
		this.#pick(pieces)();
	}

	#integer(): void {
		const c = this.#c;
		const random = this.#random;
		const [a, b] = [this.#register(), this.#register()];
		const both = 0xc0 | (a << 3) | b;
		const operation = random(8) << 3;
		/** Opcode bytes with [ESI + a byte] and a register. */
		const memory = (opcode: string, reg: number) =>
			c
				.hex(opcode)
				.byte(0x46 | (reg << 3))
				.byte(random(128));
		const hex = (value: number) => value.toString(16).padStart(2, "0");
		const choices: (() => unknown)[] = [
			() => c.byte(operation | 1).byte(both),
			() => memory(hex(operation | 3), a),
			() => memory(hex(operation | 1), a),
			() => c.byte(operation).byte(0xc0 | (random(8) << 3) | random(4)),
			() =>
				c
					.byte(0x83)
					.byte(0xc0 | operation | b)
					.byte(random(256)),
			() =>
				c
					.byte(0xc1)
					.byte(0xc0 | operation | b)
					.byte(random(40)),
			() => c.byte(0xd3).byte(0xc0 | operation | b),
			() => c.byte(random(2) ? 0x40 + a : 0x48 + a),
			() =>
				c
					.byte(0x0f)
					.byte(0x40 + random(16))
					.byte(both),
			() =>
				c
					.byte(0x0f)
					.byte(0x90 + random(16))
					.byte(0xc0 | random(4)),
			() => c.hex("0faf").byte(both),
			() => memory(`66${hex(operation | 3)}`, a),
			() => memory(this.#pick(["0fb6", "0fbe", "0fb7"]), a),
			() => c.byte(0xf7).byte(0xc0 | ((2 + random(4)) << 3) | b),
			() => memory("87", a),
			() => memory("0fc1", a),
			() => memory("f00fb1", a),
			() =>
				c
					.byte(0x0f)
					.byte(this.#pick([0xa3, 0xab, 0xb3, 0xbb]))
					.byte(both),
			() => c.byte(0x0f).byte(0xc8 + a),
			() =>
				c
					.byte(0x0f)
					.byte(this.#pick([0xa4, 0xac]))
					.byte(both)
					.byte(random(32)),
			() =>
				c
					.hex("8d")
					.byte(0x84 | (a << 3))
					.byte(0x86)
					.dword(random(1 << 20)),
			() => c.hex("9c").byte(0x58 + a),
			() => c.byte(0x9f),
			() => c.byte(this.#pick([0x98, 0x99, 0xf5, 0xf8, 0xf9, 0x27, 0x37])),
			() =>
				c
					.byte(0xff)
					.byte(0x76)
					.byte(random(64))
					.byte(0x58 + b),
		];
		this.#pick(choices)();
	}

	/** A condition over something. */
	#skip(depth: number): void {
		const c = this.#c;
		const name = this.#name();
		c.jumpIf(this.#random(16), name);
		const count = 1 + this.#random(3);
		for (let i = 0; i < count; i++)
			depth < 2 ? this.#piece(depth + 1) : this.#integer();
		c.label(name);
	}

	/** A few turns over something, counted on the stack. */
	#innerLoop(depth: number): void {
		const c = this.#c;
		const name = this.#name();
		c.push(1 + this.#random(5)).label(name);
		this.#integer();
		if (depth === 0) this.#piece(1);
		// dec dword [esp]
		c.hex("ff0c24").jumpIfNotZero(name);
		c.byte(0x58 + this.#register());
	}

	/** Two ways that write a register, each by its low byte, its word or whole; behind them somebody reads it by another size. */
	#merge(): void {
		const c = this.#c;
		const [a, b] = [this.#register(), this.#register()];
		const [other, end] = [this.#name(), this.#name()];
		c.jumpIf(this.#random(16), other);
		this.#write(a);
		c.jump(end).label(other);
		this.#write(a);
		c.label(end);
		c.hex(this.#pick(["0fb6", "0fbe", "0fb7"])).byte(0xc0 | (b << 3) | a);
		c.byte(0x01).byte(0xc0 | (a << 3) | b);
	}

	/** One of EAX to EBX, or a part of it. */
	#write(register: number): void {
		const c = this.#c;
		const random = this.#random;
		const choices: (() => unknown)[] = [
			() => c.byte(0xb0 + register).byte(random(256)),
			() =>
				c
					.byte(0x0f)
					.byte(0x90 + random(16))
					.byte(0xc0 + register),
			() =>
				c
					.byte(0x80)
					.byte(0xc0 + register)
					.byte(random(256)),
			() => c.byte(0xb4 + register).byte(random(256)),
			() =>
				c
					.byte(0x66)
					.byte(0xb8 + register)
					.word(random(1 << 16)),
			() => c.mov(register, random(1 << 30)),
			() => c.byte(0x90),
		];
		this.#pick(choices)();
	}

	/** A loop of steps, which keep CF, and somebody who asks for it. */
	#steps(): void {
		const c = this.#c;
		const random = this.#random;
		const [a, b] = [this.#register(), this.#register()];
		const name = this.#name();
		c.push(1 + random(6)).label(name);
		const both = 0xc0 | (a << 3) | b;
		// cmp, add, neg, shl, stc, or what the last turn left
		this.#pick<() => unknown>([
			() => c.byte(0x39).byte(both),
			() => c.byte(0x01).byte(both),
			() => c.byte(0xf7).byte(0xd8 | a),
			() =>
				c
					.hex("c1")
					.byte(0xe0 | a)
					.byte(1 + random(31)),
			() => c.byte(0xf9),
			() => {},
		])();
		for (let i = random(3); i >= 0; i--) {
			c.byte(this.#pick([0x40, 0x48]) + a);
		}
		// setcc, adc, rcl, pushf and pop, or nobody
		this.#pick<() => unknown>([
			() =>
				c
					.byte(0x0f)
					.byte(0x90 + random(16))
					.byte(0xc0 + b),
			() =>
				c
					.byte(0x83)
					.byte(0xd0 | b)
					.byte(random(3)),
			() => c.byte(0xd1).byte(0xd0 | b),
			() => c.byte(0x9c).byte(0x58 + b),
			() => {},
		])();
		// dec dword [esp]
		c.hex("ff0c24").jumpIfNotZero(name);
		c.byte(0x58 + this.#register());
	}

	/** Only functions behind this one, so that it ends. */
	#call(): void {
		const behind = FUNCTIONS - this.#function;
		if (behind === 0) this.#integer();
		else {
			const which = this.#function + this.#random(behind);
			this.#c.call(`function ${which}`);
		}
	}

	#string(): void {
		const c = this.#c;
		const random = this.#random;
		const opcode = this.#pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xae, 0xaf]);
		c.hex("56 57 51");
		c.mov(7, DATA + 0x800 + random(0x1000)).mov(ESI, DATA + random(0x1000));
		c.mov(ECX, random(60));
		if (random(4) === 0) c.byte(0xfd);
		c.byte(this.#pick([0xf3, 0xf2]))
			.byte(opcode)
			.byte(0xfc);
		c.hex("59 5f 5e");
	}

	#float(): void {
		const c = this.#c;
		const random = this.#random;
		const at = () => random(16) * 8;
		if (random(6) === 0) c.hex("dbe3");
		// fld or fild, an operation, fstp or fistp: all through [esi + disp8]
		c.hex(this.#pick(["dd46", "d946", "df46", "db46"])).byte(at());
		c.byte(this.#pick([0xd8, 0xdc]))
			.byte(0x46 | (random(8) << 3))
			.byte(at());
		if (random(2))
			c.hex(this.#pick(["d9fa", "d9e0", "d9e1", "d9fc", "d9e8 dec1"]));
		c.hex(this.#pick(["dd5e", "d95e", "df5e"])).byte(at());
		if (random(3) === 0) c.hex("dfe0");
		if (random(4) === 0) c.hex("d9ee dbf1 dec9 dbe3");
	}

	#vector(): void {
		const c = this.#c;
		const random = this.#random;
		const [a, b] = [random(4), random(4)];
		const both = 0xc0 | (a << 3) | b;
		// movups xmm, [esi + disp8]; two operations; movups [esi + disp8], xmm
		c.hex("0f10")
			.byte(0x46 | (a << 3))
			.byte(random(112));
		for (let i = 0; i < 2; i++) {
			const prefix = this.#pick(["", "66", "f3", "f2"]);
			c.hex(prefix)
				.byte(0x0f)
				.byte(this.#pick([0x58, 0x59, 0x5c, 0x5d, 0x5f, 0x51]))
				.byte(both);
			const packed = [
				0xfc, 0xfe, 0xd4, 0xef, 0xeb, 0xf6, 0x60, 0x6c, 0x74, 0xe4,
			];
			c.hex("660f").byte(this.#pick(packed)).byte(both);
		}
		c.hex("660f7e").byte(0xc0 | (a << 3) | this.#register());
		c.hex("0f11")
			.byte(0x46 | (b << 3))
			.byte(random(112));
	}

	/** Something that faults, or may; the program goes on behind it. */
	#fault(): void {
		const c = this.#c;
		const name = this.#name();
		c.storeImmediate(RESUME, name);
		const a = this.#register();
		const choices = [
			() => c.hex("0f0b"),
			() => c.byte(0xf7).byte(0xf0 | a),
			() => c.byte(0xf7).byte(0xf8 | a),
			() => c.load(a, ABSENT + this.#random(0x1000)),
			() => c.store(ABSENT - 2, a),
			() =>
				c
					.byte(0x01)
					.byte(0x05 | (a << 3))
					.dword(ABSENT + 8),
			() => c.mov(a, 0xfff8).hex("8ee0").hex("90"),
			() => c.hex("ff35").dword(ABSENT),
			() => c.hex("dd05").dword(ABSENT),
		];
		this.#pick(choices)();
		c.label(name);
	}

	/** An access by a segment register with a base. */
	#segment(): void {
		const c = this.#c;
		const override = this.#pick([0x26, 0x64, 0x65]);
		const segment = { 38: 0, 100: 4, 101: 5 }[override] as number;
		const a = this.#register();
		c.pushRegister(EAX).mov(EAX, SELECTOR_BASED).toSegment(segment, EAX);
		c.popRegister(EAX)
			.byte(override)
			.byte(this.#pick([0x8b, 0x89, 0x03, 0x31]));
		c.byte(0x05 | (a << 3)).dword(this.#random(0x800));
		if (this.#random(2)) return;
		c.pushRegister(EAX).mov(EAX, USER_DATA).toSegment(segment, EAX);
		c.popRegister(EAX);
	}

	#interrupt(): void {
		this.#c.int(INTERRUPT);
	}

	/** A call into 16-bit code, which returns 32 bits. */
	#far(): void {
		this.#c.callFar(FREE | (this.#user ? 3 : 0), this.#pick([0, 0x10]));
	}

	/** A store into the immediate of an instruction that runs next. */
	#change(): void {
		const c = this.#c;
		const name = this.#name();
		const a = this.#register();
		c.hex("8005")
			.dword(name)
			.byte(1 + this.#random(3));
		c.byte(0x81)
			.byte(0xc0 | a)
			.label(name)
			.dword(this.#random(1 << 30));
	}
}

/** Paging, handlers, the table of functions, data: what programs rely on. */
export function prepareGuest(
	guest: Guest,
	program: Assembler,
	user: boolean,
): void {
	for (let i = 0; i < 1024; i++)
		guest.setWord(PAGE_TABLES + 0x1000 + i * 4, (i << 12) | P_RW_US);
	guest.setWord(PAGE_TABLES, (PAGE_TABLES + 0x1000) | P_RW_US);
	guest.page(PAGE_TABLES, OSFXSR);
	guest.cpu.state.setWide(CR4, OSFXSR);
	guest.describe(FREE, descriptor(CODE_16, 0xffff, user ? 0xfb : 0x9b));
	guest.describe(SELECTOR_BASED, descriptor(DATA + 0x100, 0x3fff, 0xf3, 4));
	guest.load(
		new Assembler(CODE_16)
			.hex("40 0104 66cb")
			.padTo(CODE_16 + 0x10)
			.hex("01d8 48 7501 43 66cb"),
	);
	for (let vector = 0; vector < 32; vector++) {
		const hasCode = WITH_CODE.includes(vector);
		const handler = new Assembler(HANDLER + vector * 32);
		if (hasCode) handler.hex("83c404");
		// push eax; mov eax, [RESUME]; mov [esp + 4], eax; pop eax; iret
		handler.hex("50").load(EAX, RESUME).hex("89442404 58 cf");
		guest.load(handler);
		guest.handle(vector, gate(KERNEL_CODE, handler.origin, 0x8e));
	}
	const counter = new Assembler(HANDLER + 0x800);
	guest.load(counter.hex("ff05").dword(COUNT).hex("cf"));
	guest.handle(INTERRUPT, gate(KERNEL_CODE, counter.origin, 0xee));
	for (let i = 0; i < 4; i++)
		guest.setWord(TABLE + i * 4, program.addressOf(`function ${i}`));
	for (let i = 0; i < 0x3000; i += 4)
		guest.setWord(DATA + i, Math.imul(i + 1, 0x9e3779b1));
}

/** The vector that the programs expect from devices. */
export const DEVICE_VECTOR = INTERRUPT;
