/**
 * Pages that hot code has a memo of (`mmu/page-memos.ts`), and everything that
 * makes a memo void: other mappings, fewer rights, another level, code where
 * there was data. Each program has been at a page from a hot loop, for long,
 * when that happens, and comes back to it in the same loop.
 *
 * @journey M:730 What was true a moment ago
 */

import { describe, expect, it } from "vitest";
import { NO_PAGE } from "../../src/cpu/mmu/page-memos.ts";
import {
	CR0,
	CR2,
	DIRECT,
	MEMO,
	RIP,
	SYSENTER_CS,
} from "../../src/cpu/state.ts";
import {
	Assembler,
	EAX,
	EBX,
	ECX,
	EDI,
	EDX,
	ESI,
} from "../support/assembler.ts";
import { FlatMachine, GLOBAL, PLAIN, pageOf } from "../support/flat-machine.ts";
import {
	code,
	Guest,
	HANDLERS,
	KERNEL_CODE,
	PAGE_TABLES,
	USER_CODE,
	USER_DATA,
	USER_STACK,
} from "../support/guest.ts";
import {
	CODE,
	DATA,
	dword,
	RAX,
	RBX,
	RCX,
	RDI,
	RDX,
	RSI,
} from "../support/wide-machine.ts";

const RSP = 4;
const RBP = 5;
const SS = 12;
const GP = 13;
const PF = 14;
const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const CR0_WP = 1 << 16;
/** Variants of a plain entry. */
const READ_ONLY = PLAIN & ~BigInt(RW);
const CLEAN = PLAIN & ~BigInt(D);

/** Turns of a loop that is alone, a loop inside another, and the loop around it. */
const TURNS = 10_000;
const FEW = 20;
const OFTEN = 800;
/** Turns of a loop around that a test ends. */
const ENDLESS = 1 << 24;
/** How many a test then lets it have. */
const LAST = 3;
/** Arrivals that make code hot. */
const SOON = 64;
/** Compiling is done between slices; the instructions of all are fewer than those of any program here. */
const SLICE = 1000;
const WARM_SLICES = 20;
/** Instructions that no program here takes. */
const ENOUGH = 5_000_000;

// Frames of which no two are neighbours
const FIRST = DATA;
const SECOND = DATA + 0x5000;
const OTHER = DATA + 0x8000;

/** As far away as no region follows a branch, in linear space. */
const FAR = 0x200_0000n;
/** Pages so far apart have the same two places in the TLB of 64-bit code. */
const SAME_PLACES = 2n ** 36n;

/** A loop of `body`. */
function loop(c: Assembler, name: string, body: string, turns: number) {
	c.mov(ECX, turns).label(name).hex(body);
	// dec ecx
	return c.hex("ffc9").jumpIfNotZero(name);
}

/** ESI turns of what is behind the label "start". */
function rounds(c: Assembler): Assembler {
	// dec esi
	return c.hex("ffce").jumpIfNotZero("start").hlt();
}

// The same bytes mean the same to 32-bit and 64-bit code
const READ = "0303"; // add eax, [ebx]
const STORE = "8903"; // mov [ebx], eax
const READ_STACK = "030424"; // add eax, [esp]
const STORE_STACK = "890424"; // mov [esp], eax
const PUSH_POP = "50 58"; // push eax; pop eax
const CHANGE_ENTRY = "3117"; // xor [edi], edx
const INVLPG = "0f013b"; // invlpg [ebx]
const INVLPG_STACK = "0f013c24"; // invlpg [esp]

/** A flat machine whose code can change the entry that maps a page. */
class Memories {
	readonly machine: FlatMachine;
	/** Linear addresses. */
	readonly code: bigint;
	readonly page: bigint;
	readonly stack: bigint;

	constructor(width: 32 | 64) {
		const machine = new FlatMachine({
			...{ width, engine: "auto", hotArrivals: SOON },
		});
		this.machine = machine;
		this.code = width === 64 ? 0xffff_ffff_8140_0000n : 0x40_0000n;
		this.page = this.code + FAR;
		this.stack = this.code + 0x1_0000n;
		machine.map(this.code, CODE);
		machine.map(this.stack - 0x1000n, CODE + 0x1000);
		machine.map(this.page, FIRST);
		const entry = BigInt(machine.entryOf(this.page));
		const window = this.code + 0x10_0000n;
		machine.map(window, Number(pageOf(entry)));
		this.set(RBX, this.page);
		this.set(RDI, window + entry - pageOf(entry));
	}

	set(register: number, value: bigint | number): void {
		this.machine.setRegister(register, BigInt(value));
	}

	get(register: number): number {
		return Number(BigInt.asUintN(32, this.machine.register(register)));
	}

	word(physical: number): number {
		return this.machine.cpu.memory.readU32(physical);
	}

	setWord(physical: number, value: number): void {
		this.machine.cpu.memory.writeU32(physical, value);
	}

	/** Starts a program and runs it until its loops are hot. */
	start(program: Assembler, stack = this.stack): void {
		this.machine.cpu.memory.write(CODE, program.assemble());
		this.machine.start(this.code, stack);
		this.becomeHot();
	}

	becomeHot(): void {
		for (let slice = 0; slice < WARM_SLICES; slice++) {
			expect(this.machine.run(SLICE)).toBe("budget");
		}
	}

	/** Until HLT or a fault. The end of a slice would be cold, so there is none. */
	finish(): void {
		const reason = this.machine.run(ENOUGH);
		expect(["halt", "requested"]).toContain(reason);
	}

	/** A program from its start to its end, hot as `expectHot` says. */
	run(program: Assembler, least?: number): void {
		this.start(program);
		this.finish();
		this.expectHot(least);
	}

	/** Most of what has been executed was compiled. */
	expectHot(least = 0.7): void {
		const { cpu } = this.machine;
		const share = cpu.statistics.hotRetired / cpu.retiredCount();
		expect(share).toBeGreaterThan(least);
	}

	/** What ended the run: a fault, from the start of code where, and at which address of the page. */
	get fault(): readonly unknown[] {
		const { fault, cpu, width } = this.machine;
		const distance = (to: bigint, from: bigint) =>
			Number(BigInt.asIntN(width, to - from));
		return [
			fault?.vector,
			fault?.errorCode,
			distance(cpu.state.getBig(RIP), this.code),
			distance(cpu.state.getBig(CR2), this.page),
		];
	}
}

const start = (): Assembler => new Assembler(0).label("start");

/**
 * What a program, then a loop's, adds to EAX after a write to its read-only page
 * has raised #PF, and the handler has put another frame there. What faulted is
 * in no TLB any more (Intel SDM vol. 3, "Operations that Invalidate TLBs and
 * Paging-Structure Caches"), so that no INVLPG is needed.
 */
function copied(on: Memories, program: Assembler): number {
	const elsewhere = on.page + 0x1000n;
	on.machine.map(on.page, FIRST, READ_ONLY);
	on.machine.map(elsewhere, OTHER + 0x1000);
	on.setWord(FIRST, 1);
	on.setWord(SECOND, 1000);
	on.set(RDX, elsewhere);
	on.set(RSI, ENDLESS);
	// mov [edx], eax
	on.start(rounds(program.hex("8902")));
	on.set(RDX, on.page + 4n);
	on.finish();
	on.expectHot();
	expect(on.machine.fault?.vector).toBe(PF);
	on.machine.map(on.page, SECOND);
	on.set(RAX, 0);
	on.set(RSI, LAST);
	on.finish();
	return on.get(RAX);
}

describe.each([[32], [64]] as const)("a memo, %i bits,", (width) => {
	describe("of a page that is in another frame now", () => {
		it.each([
			["INVLPG", INVLPG, PLAIN],
			// mov ebp, cr3; mov cr3, ebp
			["a write of CR3", "0f20dd 0f22dd", PLAIN],
			// mov ebp, cr0; xor ebp, WP; mov cr0, ebp
			["a change of CR0.WP", "0f20c5 81f500000100 0f22c5", PLAIN | GLOBAL],
			["a change of CR4.PGE", "0f20e5 81f580000000 0f22e5", PLAIN | GLOBAL],
		])("finds nothing after %s", (_, change, entry) => {
			const on = new Memories(width);
			on.machine.map(on.page, FIRST, entry);
			on.setWord(FIRST, 1);
			on.setWord(SECOND, 1000);
			on.set(RDX, FIRST ^ SECOND);
			on.set(RSI, OFTEN);
			const program = loop(start(), "loop", READ, FEW);
			on.run(rounds(program.hex(CHANGE_ENTRY).hex(change)));
			expect(on.get(RAX)).toBe((OFTEN / 2) * FEW * (1 + 1000));
		});

		it("finds nothing to write to, either", () => {
			const on = new Memories(width);
			on.set(RDX, FIRST ^ SECOND);
			on.set(RSI, OFTEN);
			// inc eax; mov [ebx], eax
			const program = loop(start(), "loop", `ffc0 ${STORE}`, FEW);
			on.run(rounds(program.hex(CHANGE_ENTRY).hex(INVLPG)));
			expect(on.word(SECOND)).toBe(OFTEN * FEW);
			expect(on.word(FIRST)).toBe((OFTEN - 1) * FEW);
		});

		it("finds nothing once a page fault has brought it there", () => {
			const on = new Memories(width);
			const program = loop(start(), "loop", READ, FEW);
			expect(copied(on, program)).toBe((LAST - 1) * FEW * 1000);
		});
	});

	describe("of a page that is read-only now", () => {
		it.each([
			["a register", STORE, INVLPG, 0],
			["the stack, by PUSH", PUSH_POP, INVLPG_STACK, width / -8],
			["the stack, by MOV", STORE_STACK, INVLPG_STACK, 0],
		])("lets nobody write by way of %s", (_, store, invalidate, at) => {
			const on = new Memories(width);
			const top = on.page + 0x800n;
			on.set(RBX, top);
			on.set(RSI, ENDLESS);
			on.set(RDX, 0);
			const program = loop(start(), "loop", store, FEW);
			program.hex(CHANGE_ENTRY).hex(invalidate);
			on.start(rounds(program), top);
			on.set(RDX, RW);
			on.set(RSI, LAST);
			on.finish();
			on.expectHot();
			const place = program.addressOf("loop");
			expect(on.fault).toEqual([PF, P | RW, place, 0x800 + at]);
			expect(on.get(RCX)).toBe(FEW);
			expect(on.machine.register(RSP)).toBe(BigInt.asUintN(64, top));
		});

		it("lets nobody write once CR0.WP is set", () => {
			const on = new Memories(width);
			const { cpu } = on.machine;
			on.machine.map(on.page, FIRST, READ_ONLY);
			cpu.state.setWide(CR0, (cpu.state.get32(CR0) & ~CR0_WP) >>> 0);
			cpu.controlChanged();
			on.set(RSI, ENDLESS);
			on.set(RDX, 0);
			const program = loop(start(), "loop", STORE, FEW);
			// mov ebp, cr0; or ebp, edx; mov cr0, ebp
			on.start(rounds(program.hex("0f20c5 09d5 0f22c5")));
			on.set(RDX, CR0_WP);
			on.set(RSI, LAST);
			on.finish();
			on.expectHot();
			const place = program.addressOf("loop");
			expect(on.fault).toEqual([PF, P | RW, place, 0]);
			expect(on.get(RCX)).toBe(FEW);
		});
	});

	it.each([
		["a register", RBX, STORE, READ],
		["the stack", RSP, STORE_STACK, READ_STACK],
	])(
		"of reading does not hide the first write, by way of %s",
		(_, base, store, read) => {
			const on = new Memories(width);
			const other = on.page + 0x1000n;
			on.machine.map(on.page, FIRST, CLEAN);
			on.machine.map(other, OTHER);
			const entry = on.machine.entryOf(on.page);
			on.set(RBX, other);
			on.set(RDX, 1);
			on.set(RSI, ENDLESS);
			// test edx, edx: zero is for rounds that only read.
			const program = start().hex("85d2").jumpIf(4, "over");
			loop(program, "write", store, FEW).label("over");
			on.start(rounds(loop(program, "read", read, FEW)), other);
			on.set(RDX, 0);
			on.becomeHot();
			on.set(base, on.page);
			on.becomeHot();
			expect(on.word(entry) & (A | D)).toBe(A);
			on.set(RDX, 1);
			on.set(RSI, LAST);
			on.finish();
			expect(on.word(entry) & D).toBe(D);
			on.expectHot();
		},
	);

	it("of a page that is code now lets nobody write unseen", () => {
		const on = new Memories(width);
		// add ebp, 1; ret; the next time with 2, and so on
		on.set(RAX, 0xc3_01_c5_83);
		on.set(RDX, 0x00_03_00_00);
		on.set(RBP, 0);
		on.set(RSI, OFTEN);
		const program = loop(start(), "loop", STORE, FEW);
		// call ebx; xor eax, edx
		on.run(rounds(program.hex("ffd3 31d0")));
		expect(on.get(RBP)).toBe((OFTEN / 2) * (1 + 2));
	});

	it("that nobody has made is not of page 0", () => {
		const on = new Memories(width);
		on.machine.map(0n, FIRST);
		on.setWord(FIRST + 0x10, 1);
		on.set(RBX, 0x10);
		on.set(RSI, OFTEN);
		const program = loop(start(), "loop", READ, FEW);
		on.run(rounds(program.hex(INVLPG)));
		expect(on.get(RAX)).toBe(OFTEN * FEW);
	});

	describe("of one of two pages is not for an access to both:", () => {
		/** A byte for each place of the two frames; nothing else is near. */
		const byteAt = (at: number) => (at * 7 + (at >> 12) * 101) & 0xff;
		const frames = [FIRST, SECOND];
		const frameOf = (offset: number) =>
			(frames[offset >> 12] as number) + (offset & 0xfff);

		/** A loop of `body` with EBX at the start of the first page. */
		const across = (body: string, behind = ""): Memories => {
			const on = new Memories(width);
			on.machine.map(on.page + 0x1000n, SECOND);
			for (let at = 0; at < 0x2000; at++) {
				on.machine.cpu.memory.writeU8(frameOf(at), byteAt(at));
			}
			// The cold engine does the access, and what ends the loop.
			on.run(loop(start(), "loop", body, TURNS).hex(behind).hlt(), 0.2);
			return on;
		};
		const bytesAt = ({ machine }: Memories, offset: number, count: number) =>
			Array.from({ length: count }, (_, i) =>
				machine.cpu.memory.readU8(frameOf(offset + i)),
			);
		const expected = (offset: number, count: number) =>
			Array.from({ length: count }, (_, i) => byteAt(offset + i));
		/** Every way to lie in both pages, and right before and behind them. */
		const offsets = (bytes: number) =>
			Array.from({ length: bytes + 1 }, (_, i) => 0x1000 - bytes + i);

		/** Between a register and [EBX + disp32], which follows. */
		const accesses: readonly (readonly [string, number, string, string])[] = [
			["MOV of 2 bytes", 2, "668b83", "668983"],
			["MOV of 4 bytes", 4, "8b83", "8983"],
			...(width === 64
				? ([["MOV of 8 bytes", 8, "488b83", "488983"]] as const)
				: []),
			["MOVQ", 8, "f30f7e83", "660fd683"],
			["MOVUPS", 16, "0f1083", "0f1183"],
		];
		/** Where to and from. */
		const PLACE = 0x40;
		const place = dword(PLACE);

		it.each(accesses)("%s reads", (_, bytes, load, store) => {
			for (const offset of offsets(bytes)) {
				// mov edx, [ebx] makes a memo for reads.
				const body = `8b13 ${load}${dword(offset)}`;
				const on = across(body, `${store}${place}`);
				const found = bytesAt(on, PLACE, bytes);
				expect(found, `${offset}`).toEqual(expected(offset, bytes));
			}
		});

		it.each(accesses)("%s writes", (_, bytes, load, store) => {
			for (const offset of offsets(bytes)) {
				// mov [ebx], edx makes a memo for writes.
				const body = `${load}${place} 8913 ${store}${dword(offset)}`;
				const on = across(body);
				expect(bytesAt(on, offset - 1, bytes + 2), `${offset}`).toEqual([
					byteAt(offset - 1),
					...expected(PLACE, bytes),
					byteAt(offset + bytes),
				]);
				const behind = on.machine.cpu.memory.read(FIRST + 0x1000, bytes);
				expect(behind).toEqual(new Uint8Array(bytes));
			}
		});
	});
});

describe("a memo of 64-bit code", () => {
	const NO_ADDRESS = BigInt(NO_PAGE);

	it.each([
		["a register", RBX, READ, GP],
		["the stack", RSP, READ_STACK, SS],
	])("that is forgotten is not of any page: %s", (_, base, read, vector) => {
		const on = new Memories(64);
		on.set(RDX, on.page);
		on.set(RSI, ENDLESS);
		// invlpg [rdi]; mov base, rdx
		const modrm = (0xc0 | (RDX << 3) | base).toString(16);
		const program = start().hex(`0f013f 4889${modrm}`);
		on.start(rounds(loop(program, "loop", read, FEW)));
		on.set(RDX, NO_ADDRESS);
		on.set(RSI, LAST);
		on.finish();
		on.expectHot();
		const [found, errorCode, place] = on.fault;
		const at = program.addressOf("loop");
		expect([found, errorCode, place]).toEqual([vector, 0, at]);
		expect(on.get(RCX)).toBe(FEW);
	});

	it("that was never made is not of any page", () => {
		const on = new Memories(64);
		const memo = () => on.machine.cpu.state.getBig(MEMO, RSI);
		on.set(RSI, on.page);
		on.set(RBP, 1);
		// add eax, [rbx]; test ebp, ebp; jz over it; add eax, [rsi]
		const program = loop(start(), "loop", `${READ} 85ed 7402 0306`, ENDLESS);
		// Once, so that it is known to be code, and then not before all is hot.
		on.machine.cpu.memory.write(CODE, program.hlt().assemble());
		on.machine.start(on.code, on.stack);
		on.machine.run(6);
		on.set(RBP, 0);
		on.becomeHot();
		on.expectHot();
		expect(memo()).toBe(NO_ADDRESS);
		on.set(RSI, NO_ADDRESS);
		on.set(RBP, 1);
		on.finish();
		const place = program.addressOf("loop") + 6;
		expect(on.fault.slice(0, 3)).toEqual([GP, 0, place]);
	});

	// `engine/wide-fill.ts` lets an entry go and says nothing to memos: what a
	// page fault ought to have ended is read after the write that it was about.
	it("goes when the TLB loses the entry that it came from", () => {
		const on = new Memories(64);
		const rivals = [1n, 2n].map((i) => on.page + i * SAME_PLACES);
		for (const rival of rivals) on.machine.map(rival, OTHER);
		on.set(RDI, rivals[0] as bigint);
		on.set(RBP, rivals[1] as bigint);
		const program = loop(start(), "loop", READ, FEW);
		// mov rcx, rdi; mov ecx, [rcx]; the same with rbp. RCX moves and has no
		// memo: these two have the places of the TLB where the page was.
		program.hex("4889f9 8b09 4889e9 8b09");
		expect(copied(on, program)).toBe((LAST - 1) * FEW * 1000);
	});
});

describe("a memo of the kernel's", () => {
	const TABLE_LOW = PAGE_TABLES + 0x1000;
	const TABLE_HIGH = PAGE_TABLES + 0x2000;
	const PAGE = 0x40_0000;
	const FRAME = 0x10_0000;
	const USED = P | A | D;
	/** ES, DS, FS, GS. */
	const DATA_SEGMENTS = [0, 3, 4, 5];

	/** The first 4 MiB one to one, for everybody, and PAGE. */
	function mapped(entry: number): Guest {
		const guest = new Guest("auto");
		for (let i = 0; i < 1024; i++) {
			guest.setWord(TABLE_LOW + i * 4, (i << 12) | USED | RW | US);
		}
		guest.setWord(PAGE_TABLES, TABLE_LOW | USED | RW | US);
		guest.setWord(PAGE_TABLES + 4, TABLE_HIGH | USED | RW | US);
		guest.setWord(TABLE_HIGH, FRAME | USED | entry);
		guest.page(PAGE_TABLES);
		guest.cpu.state.setWide(SYSENTER_CS, KERNEL_CODE);
		return guest;
	}

	/** To level 3 at EDX, as interrupts return. */
	const returnToUser = (c: Assembler) =>
		c
			.push(USER_DATA)
			.push(USER_STACK)
			.push(2)
			.push(USER_CODE)
			.pushRegister(EDX)
			.iret();
	/** The same as system calls do it; ECX is the stack. */
	const exitToUser = (c: Assembler) => c.mov(ECX, USER_STACK).hex("0f35");

	/** One loop at both levels: the kernel's turns, and then the user's first. */
	function program(access: string, leave: (c: Assembler) => Assembler) {
		const c = code().mov(EAX, USER_DATA);
		for (const segment of DATA_SEGMENTS) c.toSegment(segment, EAX);
		c.mov(EBX, PAGE)
			.mov(ESI, 10 * TURNS)
			.mov(EDI, "leave");
		// dec esi; jnz; jmp edi
		c.label("loop").hex(access).hex("4e").jumpIfNotZero("loop").hex("ffe7");
		c.label("leave").mov(ESI, FEW).mov(EDI, "end").mov(EDX, "loop");
		return leave(c).label("end").hex("0f0b");
	}

	const ways = [
		["IRET", returnToUser],
		["SYSEXIT", exitToUser],
	] as const;
	const hands = [
		["in generated code", false],
		["in TypeScript", true],
	] as const;
	const cases = ways.flatMap(([name, leave]) =>
		hands.map(([by, isWatched]) => [name, by, leave, isWatched] as const),
	);

	describe.each(cases)("after %s %s", (_name, _by, leave, isWatched) => {
		it.each([
			["lets no user read the kernel's page", READ, RW, false, P | US],
			["lets no user write it", STORE, RW, false, P | RW | US],
			["lets no user write without CR0.WP", STORE, US, true, P | RW | US],
		])("%s", (_, access, entry, withoutWp, errorCode) => {
			const guest = mapped(entry);
			const { cpu } = guest;
			if (withoutWp) {
				cpu.state.setWide(CR0, (cpu.state.get32(CR0) & ~CR0_WP) >>> 0);
			}
			if (isWatched) cpu.onException = () => false;
			const c = program(access, leave);
			guest.run(c, { budget: SLICE });
			expect(cpu.state.get32(DIRECT)).toBe(isWatched ? 0 : 1);
			while (cpu.run(SLICE) === "budget");
			expect(cpu.statistics.hotRetired).toBeGreaterThan(2 * 9 * TURNS);
			expect(guest.eip).toBe(HANDLERS + PF * 16 + 1);
			const [found, eip, cs] = guest.stack();
			const place = c.addressOf("loop");
			expect([found, eip, cs]).toEqual([errorCode, place, USER_CODE]);
			expect(guest.gpr(ESI)).toBe(FEW);
			expect(guest.gpr(EBX)).toBe(PAGE);
		});
	});
});

describe.each([32, 64] as const)("a table of %i-bit code", (width) => {
	const WORDS = 2048;
	const HALF = WORDS / 2;

	/** A small loop that looks its turn up in a table, modulo the number of words, which lie in two pages. */
	function lookUp(access: string): Memories {
		const on = new Memories(width);
		on.machine.map(on.page, FIRST);
		on.machine.map(on.page + 0x1000n, OTHER);
		for (let i = 0; i < WORDS; i++) on.setWord(placeOf(i), i * i);
		on.set(RAX, 0);
		on.set(RSI, 5 * WORDS);
		// mov ecx, esi; and ecx, 2047
		on.run(rounds(start().hex("89f1 81e1ff070000").hex(access)));
		return on;
	}

	const placeOf = (i: number): number =>
		i < HALF ? FIRST + 4 * i : OTHER + 4 * (i - HALF);

	it("is read where it is", () => {
		let sum = 0;
		for (let i = 0; i < WORDS; i++) sum += 5 * i * i;
		// add eax, [ebx + ecx * 4]
		expect(lookUp("03048b").get(RAX)).toBe(sum % 2 ** 32);
	});

	it("is written where it is", () => {
		// inc dword [ebx + ecx * 4]
		const on = lookUp("ff048b");
		for (let i = 0; i < WORDS; i++) {
			expect(on.word(placeOf(i))).toBe(i * i + 5);
		}
	});

	/** The page in the memo behind so many turns, in which ECX goes through `words` words again and again, down to the first. */
	function memoBehind(turns: number, words: number, startsAt = 0n): bigint {
		const on = new Memories(width);
		const frames = [FIRST, OTHER, SECOND, OTHER + 0x4000];
		for (const [i, frame] of frames.entries()) {
			on.machine.map(on.page + BigInt(i) * 0x1000n, frame);
		}
		on.set(RBX, on.page + startsAt);
		on.set(RSI, turns);
		// mov ecx, esi; and ecx, words - 1; add eax, [ebx + ecx * 4]
		const body = `89f1 81e1${dword(words - 1)} 03048b`;
		on.run(rounds(start().hex(body)));
		const memo = on.machine.cpu.state.getBig(MEMO, RCX);
		return memo === BigInt(NO_PAGE) ? memo : memo - on.page;
	}

	const MANY = [8000, 8600, 9200, 9800, 10_400, 11_000, 11_600, 12_200];

	it("has a memo of the page that it was last in", () => {
		expect(memoBehind(TURNS, 16)).toBe(0n);
		expect(memoBehind(TURNS, 16, 0x1000n)).toBe(0x1000n);
	});

	it.each(MANY)("that goes on from page to page has one, too: %i", (turns) => {
		expect(memoBehind(turns, 2 * WORDS)).toBe(0n);
	});

	it.each(MANY)("across the end of a page has none: %i", (turns) => {
		const memo = memoBehind(turns + (turns % 32), 32, 0xfc0n);
		expect(memo).toBe(BigInt(NO_PAGE));
	});
});
