/**
 * Code that is rewritten while it is hot, in every way a kernel or a compiler
 * at run time does it: alternatives, jump labels poked by way of INT3, calls
 * patched in and out at function entries, generated code, modules copied over
 * old ones, devices that write code, pages that are remapped, taken away and
 * shared. Each program runs on the cold engine and on the others in lockstep,
 * and computes a result that only correct execution gives.
 *
 * @journey M:727 Sawing while the tree grows
 */
import { describe, expect, it } from "vitest";
import {
	Assembler,
	EAX,
	EBX,
	ECX,
	EDI,
	EDX,
	ESI,
} from "../support/assembler.ts";
import {
	CODE,
	code,
	DATA,
	Guest,
	gate,
	KERNEL_CODE,
	PAGE_TABLES,
} from "../support/guest.ts";
import { OTHER_ENGINES, runInLockstep } from "../support/lockstep.ts";
import { randomFrom } from "../support/random.ts";

const P_RW_US = 7;
/** More than the thresholds of "auto"; "hot" has none, and compiles again whatever changes. */
const TURNS = { auto: 6000, hot: 250, compare: 6000 } as const;
/** Where the programs have the function that changes. */
const FUNCTION = CODE + 0x800;
/** With paging: linear addresses that show some frame. */
const ALIAS = 0x40_0000;
const ALIAS_TABLE = PAGE_TABLES + 0x2000;
const FRAME_A = 0x2_0000;
const FRAME_B = 0x3_0000;

/** What a program is made of. */
interface Program {
	readonly title: string;
	/** Loads what the code needs and gives the code, which ends with HLT. */
	build(guest: Guest, turns: number): Assembler;
	/** EBX at the end. */
	result(turns: number): number;
	/** Changes too often ever to become hot by count. */
	readonly staysCold?: boolean;
	readonly between?: (guest: { readonly cpu: Guest["cpu"] }) => void;
}

/** ECX turns of `body`. */
function loop(c: Assembler, turns: number, name: string, body: () => void) {
	c.mov(ECX, turns).label(name);
	body();
	// dec ecx
	return c.hex("49").jumpIfNotZero(name);
}

/** JMP rel32 at `from` to `to`, as five bytes. */
function jumpBytes(from: number, to: number, opcode = 0xe9): number[] {
	const distance = to - (from + 5);
	return [opcode, ...[0, 8, 16, 24].map((shift) => (distance >> shift) & 255)];
}

const NOP5 = [0x0f, 0x1f, 0x44, 0x00, 0x00];

/** MOV byte [address], value for each byte. */
function poke(c: Assembler, address: number, bytes: readonly number[]): void {
	bytes.forEach((value, i) => {
		c.hex("c605")
			.dword(address + i)
			.byte(value);
	});
}

/** Identity mapping, and ALIAS's own table. */
function usePaging(guest: Guest): void {
	for (let i = 0; i < 1024; i++)
		guest.setWord(PAGE_TABLES + 0x1000 + i * 4, (i << 12) | P_RW_US);
	guest.setWord(PAGE_TABLES, (PAGE_TABLES + 0x1000) | P_RW_US);
	guest.setWord(PAGE_TABLES + 4, ALIAS_TABLE | P_RW_US);
	guest.page(PAGE_TABLES);
}

/** INVLPG [address]. */
function invalidate(c: Assembler, address: number): Assembler {
	return c.hex("0f013d").dword(address);
}

const ADD_EBX = (value: number) => [0x83, 0xc3, value];

const PROGRAMS: readonly Program[] = [
	{
		title: "alternatives: NOPs give way to instructions and back",
		result: (turns) => turns * (1 + 3 + 1),
		build(_, turns) {
			const c = code().mov(EBX, 0);
			loop(c, turns, "before", () => c.call("function"));
			poke(c, FUNCTION + 3, ADD_EBX(2));
			loop(c, turns, "patched", () => c.call("function"));
			poke(c, FUNCTION + 3, [0x90, 0x90, 0x90]);
			loop(c, turns, "again", () => c.call("function"));
			return c.hlt().padTo(FUNCTION).label("function").hex("83c301 909090 c3");
		},
	},
	{
		title:
			"jump labels: INT3, then the tail, then the head, executed in between",
		result: (turns) => turns * (1 + 11) + 4 * (1 + 1) + 11 + 1,
		build(guest, turns) {
			// The handler skips the poked instruction, as text_poke's does for a NOP.
			guest.load(new Assembler(0x7000).hex("83042404 cf"));
			guest.handle(3, gate(KERNEL_CODE, 0x7000, 0x8e));
			const site = FUNCTION;
			const jump = jumpBytes(site, FUNCTION + 0x40);
			const c = code().mov(EBX, 0);
			loop(c, turns, "off", () => c.call("function"));
			const poked = (to: readonly number[]) => {
				poke(c, site, [0xcc]);
				c.call("function");
				poke(c, site + 1, to.slice(1));
				c.call("function");
				poke(c, site, to.slice(0, 1));
			};
			poked(jump);
			loop(c, turns, "on", () => c.call("function"));
			poked(NOP5);
			// Once more, and so that both ends of the branch have been seen.
			poked(jump);
			c.call("function");
			poked(NOP5);
			c.call("function");
			c.hlt().padTo(FUNCTION).label("function");
			for (const byte of NOP5) c.byte(byte);
			c.hex("83c301 c3").padTo(FUNCTION + 0x40);
			return c.hex("83c30b c3");
		},
	},
	{
		title: "function entries: five bytes exchanged at once, call in and out",
		result: (turns) => turns * (1 + 1 + 7 + 1),
		build(_, turns) {
			const c = code().mov(EBX, 0);
			const exchange = (bytes: readonly number[]) => {
				// The eight bytes at the entry; the last three stay what they are.
				const all = [...bytes, 0x83, 0xc3, 0x01];
				const word = (at: number) =>
					all.slice(at, at + 4).reduce((v, b, i) => v | (b << (8 * i)), 0);
				c.pushRegister(ECX).pushRegister(EBX);
				c.load(EAX, FUNCTION).load(EDX, FUNCTION + 4);
				c.mov(EBX, word(0)).mov(ECX, word(4));
				// lock cmpxchg8b [FUNCTION]
				c.hex("f00fc70d").dword(FUNCTION);
				c.popRegister(EBX).popRegister(ECX);
			};
			loop(c, turns, "plain", () => c.call("function"));
			exchange(jumpBytes(FUNCTION, FUNCTION + 0x40, 0xe8));
			loop(c, turns, "traced", () => c.call("function"));
			exchange(NOP5);
			loop(c, turns, "plain again", () => c.call("function"));
			c.hlt().padTo(FUNCTION).label("function");
			for (const byte of NOP5) c.byte(byte);
			return c
				.hex("83c301 c3")
				.padTo(FUNCTION + 0x40)
				.hex("83c307 c3");
		},
	},
	{
		title: "a compiler at run time: written, run and rewritten each turn",
		result: (turns) => (turns * (turns + 1)) / 2,
		build(_, turns) {
			const at = DATA + 0x100;
			const c = code().mov(EBX, 0).mov(EDI, at);
			c.mov(EDX, 0xc3_d8_01); // add eax, ebx's other way round: 01 d8 c3
			loop(c, turns, "turn", () => {
				// mov eax, ecx's value; add eax, ebx; ret
				c.hex("c607b8 894f01 895705 ffd7 89c3");
			});
			return c.hlt();
		},
	},
	{
		title: "a compiler at run time whose code wanders over page boundaries",
		result: (turns) => (turns * (turns + 1)) / 2,
		build(_, turns) {
			const c = code()
				.mov(EBX, 0)
				.mov(EDI, DATA + 1)
				.mov(EDX, 0xc3_d8_01);
			loop(c, turns, "turn", () => {
				c.hex("c607b8 894f01 895705 ffd7 89c3");
				// edi = DATA + ((edi + 13) & 0x3fff)
				c.hex("83c70d 81e7").dword(0x3fff).hex("81cf").dword(DATA);
			});
			return c.hlt();
		},
	},
	{
		title: "the second page of an instruction, rewritten while the first stays",
		result: (turns) => turns * 0x11 + turns * 0x2211,
		build(guest, turns) {
			const at = CODE + 0x1ffd;
			// add ebx, imm32 over the page's end: 81 c3 11 | 00 00 00
			guest.load(new Assembler(at).hex("81c3 11000000 c3"));
			const c = code().mov(EBX, 0).mov(ESI, at);
			loop(c, turns, "first", () => c.hex("ffd6"));
			poke(c, at + 3, [0x22]);
			loop(c, turns, "second", () => c.hex("ffd6"));
			return c.hlt();
		},
	},
	{
		title: "a loop that changes its own instruction each turn",
		staysCold: true,
		result: (turns) => (turns * (turns + 1)) / 2,
		build(_, turns) {
			const c = code().mov(EBX, 0);
			loop(c, turns, "turn", () => {
				// mov [immediate], ecx; add ebx, immediate
				c.store("immediate", ECX).hex("81c3").label("immediate").dword(0);
			});
			return c.hlt();
		},
	},
	{
		title: "a loop that turns its own branch round",
		staysCold: true,
		result: (turns) => turns * 3,
		build(_, turns) {
			const c = code().mov(EBX, 0);
			loop(c, 2 * turns, "turn", () => {
				// The condition of the branch flips: JZ, JNZ, JZ, …
				c.hex("8035").dword("branch").byte(1);
				c.hex("31c0").label("branch").hex("7403 83c303");
			});
			return c.hlt();
		},
	},
	{
		title: "a module copied over another by REP MOVSB",
		staysCold: true,
		result: () => 40 * (50 * 2 + 50 * 5),
		build(guest) {
			guest.load(new Assembler(DATA).hex("83c302 c3").padTo(DATA + 64));
			guest.load(new Assembler(DATA + 64).hex("83c305 c3").padTo(DATA + 128));
			const c = code().mov(EBX, 0).mov(EDX, 40).label("again");
			for (const [name, from] of [
				["even", DATA],
				["odd", DATA + 64],
			] as const) {
				c.mov(ESI, from).mov(EDI, FUNCTION).mov(ECX, 64).hex("f3a4");
				loop(c, 50, name, () => c.call("function"));
			}
			// dec edx
			c.hex("4a").jumpIfNotZero("again");
			return c.hlt().padTo(FUNCTION).label("function").hex("c3");
		},
	},
	{
		title: "a device that writes code between two stops",
		staysCold: true,
		result: () => 0,
		build(_, turns) {
			const c = code().mov(EBX, 0);
			loop(c, 10 * turns, "turn", () => c.call("function"));
			return c
				.mov(EBX, 0)
				.hlt()
				.padTo(FUNCTION)
				.label("function")
				.hex("81c3 01000000 c3");
		},
		between: ({ cpu }) => {
			const at = FUNCTION + 2;
			cpu.memory.write(at, Uint8Array.of(cpu.memory.readU8(at) + 1));
		},
	},
	{
		title: "one page of memory at two addresses, written by one, run by both",
		result: (turns) => turns * (1 + 1) + turns * (9 + 9),
		build(guest, turns) {
			usePaging(guest);
			guest.setWord(ALIAS_TABLE, CODE | P_RW_US);
			const alias = ALIAS + (FUNCTION - CODE);
			const c = code().mov(EBX, 0).mov(ESI, alias);
			const both = () => c.call("function").hex("ffd6");
			loop(c, turns, "before", both);
			poke(c, alias + 2, [9]);
			loop(c, turns, "after", both);
			return c.hlt().padTo(FUNCTION).label("function").hex("83c301 c3");
		},
	},
	{
		title: "a page remapped under its code each turn",
		result: (turns) => turns * (2 + 5),
		build(guest, turns) {
			usePaging(guest);
			guest.load(new Assembler(FRAME_A).hex("83c302 c3"));
			guest.load(new Assembler(FRAME_B).hex("83c305 c3"));
			const c = code().mov(EBX, 0).mov(ESI, ALIAS);
			loop(c, turns, "turn", () => {
				for (const frame of [FRAME_A, FRAME_B]) {
					c.storeImmediate(ALIAS_TABLE, frame | P_RW_US);
					invalidate(c, ALIAS).hex("ffd6");
				}
			});
			return c.hlt();
		},
	},
	{
		title: "an address space switched under its code each turn",
		result: (turns) => turns * (2 + 5),
		build(guest, turns) {
			usePaging(guest);
			const other = PAGE_TABLES + 0x8000;
			guest.setWord(other, (PAGE_TABLES + 0x1000) | P_RW_US);
			guest.setWord(other + 4, (other + 0x1000) | P_RW_US);
			guest.setWord(other + 0x1000, FRAME_B | P_RW_US);
			guest.setWord(ALIAS_TABLE, FRAME_A | P_RW_US);
			guest.load(new Assembler(FRAME_A).hex("83c302 c3"));
			guest.load(new Assembler(FRAME_B).hex("83c305 c3"));
			const c = code().mov(EBX, 0).mov(ESI, ALIAS);
			loop(c, turns, "turn", () => {
				for (const root of [PAGE_TABLES, other])
					c.mov(EAX, root).toControl(3, EAX).hex("ffd6");
			});
			return c.hlt();
		},
	},
	{
		title: "an instruction over two pages, the second remapped each turn",
		result: (turns) => turns * (0x0211 + 0x0511),
		build(guest, turns) {
			usePaging(guest);
			// add ebx, imm32: 81 c3 11 | 02 00 00 c3, and | 05 00 00 c3
			guest.load(new Assembler(FRAME_A + 0xffd).hex("81c3 11"));
			guest.load(new Assembler(FRAME_A + 0x1000).hex("020000 c3"));
			guest.load(new Assembler(FRAME_B).hex("050000 c3"));
			guest.setWord(ALIAS_TABLE, FRAME_A | P_RW_US);
			const c = code()
				.mov(EBX, 0)
				.mov(ESI, ALIAS + 0xffd);
			loop(c, turns, "turn", () => {
				for (const frame of [FRAME_A + 0x1000, FRAME_B]) {
					c.storeImmediate(ALIAS_TABLE + 4, frame | P_RW_US);
					invalidate(c, ALIAS + 0x1000).hex("ffd6");
				}
			});
			return c.hlt();
		},
	},
	{
		title: "a block that runs on into a page remapped each turn",
		result: (turns) => turns * (1 + 2 + 1 + 5),
		build(guest, turns) {
			usePaging(guest);
			guest.load(new Assembler(FRAME_A + 0xffd).hex("83c301"));
			guest.load(new Assembler(FRAME_A + 0x1000).hex("83c302 c3"));
			guest.load(new Assembler(FRAME_B).hex("83c305 c3"));
			guest.setWord(ALIAS_TABLE, FRAME_A | P_RW_US);
			const c = code()
				.mov(EBX, 0)
				.mov(ESI, ALIAS + 0xffd);
			loop(c, turns, "turn", () => {
				for (const frame of [FRAME_A + 0x1000, FRAME_B]) {
					c.storeImmediate(ALIAS_TABLE + 4, frame | P_RW_US);
					invalidate(c, ALIAS + 0x1000).hex("ffd6");
				}
			});
			return c.hlt();
		},
	},
	{
		title:
			"a page taken away under its code and given back by the fault's handler",
		result: (turns) => turns * (2 + 100),
		build(guest, turns) {
			usePaging(guest);
			guest.load(new Assembler(FRAME_A).hex("83c302 c3"));
			guest.setWord(ALIAS_TABLE, FRAME_A | P_RW_US);
			const handler = new Assembler(0x7000)
				.storeImmediate(ALIAS_TABLE, FRAME_A | P_RW_US)
				.hex("83c364 83c404 cf");
			guest.load(handler);
			guest.handle(14, gate(KERNEL_CODE, 0x7000, 0x8e));
			const c = code().mov(EBX, 0).mov(ESI, ALIAS);
			loop(c, turns, "turn", () => {
				c.storeImmediate(ALIAS_TABLE, 0);
				invalidate(c, ALIAS).hex("ffd6");
			});
			return c.hlt();
		},
	},
];

for (const engine of OTHER_ENGINES) {
	describe(`code rewritten under the engine "${engine}"`, () => {
		for (const program of PROGRAMS) {
			const { title, build, result, between, staysCold } = program;
			it(title, { timeout: 300_000 }, () => {
				const turns = TURNS[engine];
				const guests = [new Guest("cold"), new Guest(engine)] as const;
				for (const guest of guests)
					guest.run(build(guest, turns), { budget: 0 });
				const verdict = runInLockstep(...guests, {
					random: randomFrom(title.length),
					stops: 5000,
					longest: turns,
					...(between && { between }),
				});
				expect(verdict.differences).toEqual([]);
				expect(verdict.reason).toBe("halt");
				expect(guests[1].gpr(EBX)).toBe(result(turns));
				if (engine !== "hot" && staysCold) return;
				expect(guests[1].cpu.statistics.regions).toBeGreaterThan(0);
			});
		}
	});
}
