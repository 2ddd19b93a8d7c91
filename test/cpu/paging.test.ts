/**
 * Paging as instructions see it: error codes, accessed and dirty bits, large
 * pages, PAE and no-execute, straddling accesses, and when a translation may
 * be stale (Intel SDM vol. 3, "Paging").
 *
 * @journey M:724 Tables under the code
 */

import { beforeEach, describe, expect, it } from "vitest";
import { Assembler, EAX, EBX, ECX, EDI, ESI } from "../support/assembler.ts";
import {
	CODE,
	code,
	DATA,
	Guest,
	HANDLERS,
	PAGE_TABLES,
} from "../support/guest.ts";

const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const G = 0x100;
const NX_HIGH = 0x8000_0000;
const PSE = 0x10;
const PAE = 0x20;
const PGE = 0x80;
const NXE = 0x800;
const PF = 14;
const GP = 13;
const CR0_WITHOUT_WP = 0x8000_0031;
const CR0_WITH_WP = 0x8001_0031;

/** Linear pages that tests map as they like; nothing else is there. */
const PAGE = 0x40_0000;
const NEXT_PAGE = PAGE + 0x1000;
/** Physical frames. */
const FRAME = 0x10_0000;
const FRAME_2 = 0x10_1000;
const TABLE_LOW = PAGE_TABLES + 0x1000;
const TABLE_HIGH = PAGE_TABLES + 0x2000;

let guest: Guest;

beforeEach(() => {
	guest = new Guest();
});

/** The first 4 MiB one to one, for everybody; the next by `mapPage`. */
function twoLevel(cr4 = 0): void {
	for (let i = 0; i < 1024; i++) {
		guest.setWord(TABLE_LOW + i * 4, (i << 12) | P | RW | US);
	}
	guest.setWord(PAGE_TABLES, TABLE_LOW | P | RW | US);
	guest.setWord(PAGE_TABLES + 4, TABLE_HIGH | P | RW | US);
	guest.page(PAGE_TABLES, cr4);
}

/** Writes the entry of a page from PAGE on. */
function mapPage(linear: number, entry: number): void {
	guest.setWord(entryOf(linear), entry);
}

const entryOf = (linear: number): number =>
	TABLE_HIGH + ((linear - PAGE) >>> 12) * 4;

/** PAE: the first 2 MiB one to one, PAGE's directory entry free. */
function pae(efer = 0): void {
	guest.setWord(PAGE_TABLES, (PAGE_TABLES + 0x1000) | P);
	const directory = PAGE_TABLES + 0x1000;
	guest.setWord(directory, P | RW | US | PS);
	guest.setWord(directory + 16, (PAGE_TABLES + 0x3000) | P | RW | US);
	guest.page(PAGE_TABLES, PAE, efer);
}

const PAE_ENTRY = PAGE_TABLES + 0x3000;

describe("page faults", () => {
	it.each([
		["a read of nothing", false, 0, 0],
		["a user's read of nothing", true, 0, US],
		["a user's read of a kernel page", true, P | RW, P | US],
	])("%s", (_, user, entry, error) => {
		twoLevel();
		mapPage(PAGE, entry === 0 ? 0 : FRAME | entry);
		const stop = guest.run(code().load(EAX, PAGE + 4), { user });
		expect([stop.vector, stop.stack[0]]).toEqual([PF, error]);
		expect(guest.cr2).toBe(PAGE + 4);
		expect(stop.stack[1]).toBe(CODE);
	});

	it("a user's write to a read-only page", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P | US);
		const stop = guest.run(code().store(PAGE, EAX), { user: true });
		expect([stop.vector, stop.stack[0]]).toEqual([PF, P | RW | US]);
	});

	it("an instruction fetch says nothing of itself without NXE", () => {
		twoLevel();
		const stop = guest.run(new Assembler(CODE).jump("x").label("x"), {
			user: true,
		});
		void stop;
		const program = code().push(PAGE).hex("c3");
		const fetched = guest.run(program);
		expect([fetched.vector, fetched.stack[0]]).toEqual([PF, 0]);
		expect(fetched.stack[1]).toBe(PAGE);
		expect(guest.cr2).toBe(PAGE);
	});

	it("rights are those of both levels together", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P | RW | US);
		guest.setWord(PAGE_TABLES + 4, TABLE_HIGH | P | US);
		guest.cpu.controlChanged();
		const stop = guest.run(code().store(PAGE, EAX), { user: true });
		expect([stop.vector, stop.stack[0]]).toEqual([PF, P | RW | US]);
	});

	it("CR0.WP decides about supervisor writes, from the next instruction on", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P);
		const program = code()
			.mov(EAX, CR0_WITHOUT_WP)
			.toControl(0, EAX)
			.store(PAGE, EAX)
			.mov(EAX, CR0_WITH_WP)
			.toControl(0, EAX)
			.label("again")
			.store(PAGE, EAX);
		const stop = guest.run(program);
		expect([stop.vector, stop.stack[0]]).toEqual([PF, P | RW]);
		expect(stop.stack[1]).toBe(program.addressOf("again"));
		expect(guest.word(FRAME)).toBe(CR0_WITHOUT_WP);
	});

	it("a read-modify-write of a read-only page is a write fault and changes no flag", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P | US);
		// stc; add dword [PAGE], 1
		const program = code().hex("f9 8305").dword(PAGE).byte(1);
		const stop = guest.run(program, { user: true });
		expect([stop.vector, stop.stack[0]]).toEqual([PF, P | RW | US]);
		expect((stop.stack[3] as number) & 1).toBe(1);
	});
});

describe("accessed and dirty bits", () => {
	it("a read sets A, a later write D", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P | RW);
		guest.run(code().load(EAX, PAGE).hlt());
		expect(guest.word(entryOf(PAGE)) & (A | D)).toBe(A);
		expect(guest.word(PAGE_TABLES + 4) & A).toBe(A);
		guest.run(code().load(EAX, PAGE).store(PAGE, EAX).hlt());
		expect(guest.word(entryOf(PAGE)) & (A | D)).toBe(A | D);
	});

	it("D is set again when the guest has cleared it and flushed", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P | RW);
		const program = code()
			.store(PAGE, EAX)
			.storeImmediate(entryOf(PAGE), FRAME | P | RW)
			.hex("0f013d")
			.dword(PAGE)
			.store(PAGE, EAX)
			.hlt();
		guest.run(program);
		expect(guest.word(entryOf(PAGE)) & (A | D)).toBe(A | D);
	});

	it("a faulting write sets neither", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P);
		guest.run(code().store(PAGE, EAX));
		expect(guest.word(entryOf(PAGE)) & (A | D)).toBe(0);
	});
});

describe("large pages", () => {
	it("map 4 MiB with PSE", () => {
		twoLevel(PSE);
		guest.setWord(PAGE_TABLES + 4, P | RW | PS);
		guest.cpu.controlChanged();
		guest.run(
			code()
				.load(EAX, PAGE + CODE)
				.hlt(),
		);
		expect(guest.gpr(EAX)).toBe(guest.word(CODE));
		expect(guest.word(PAGE_TABLES + 4) & (A | D)).toBe(A);
	});

	it("are tables while PSE is off", () => {
		twoLevel(0);
		guest.setWord(PAGE_TABLES + 4, TABLE_HIGH | P | RW | PS);
		mapPage(PAGE, FRAME | P);
		guest.setWord(FRAME, 0x1234);
		guest.cpu.controlChanged();
		guest.run(code().load(EAX, PAGE).hlt());
		expect(guest.gpr(EAX)).toBe(0x1234);
	});

	it.each([[17], [20], [21]])(
		"fault on address bit %i, which is beyond 36 bits",
		(bit) => {
			twoLevel(PSE);
			guest.setWord(PAGE_TABLES + 4, P | RW | PS | (1 << bit));
			guest.cpu.controlChanged();
			const stop = guest.run(code().load(EAX, PAGE));
			expect([stop.vector, stop.stack[0]]).toEqual([PF, P | 8]);
		},
	);
});

describe("PAE", () => {
	it("translates through three levels", () => {
		pae();
		guest.setWord(PAE_ENTRY, FRAME | P | RW);
		guest.setWord(FRAME + 8, 0xabcd);
		guest.run(
			code()
				.load(EAX, PAGE + 8)
				.hlt(),
		);
		expect(guest.gpr(EAX)).toBe(0xabcd);
		expect(guest.word(PAE_ENTRY) & (A | D)).toBe(A);
	});

	it("no-execute faults fetches only, with the fetch bit", () => {
		pae(NXE);
		guest.setWord(PAE_ENTRY, FRAME | P | RW);
		guest.setWord(PAE_ENTRY + 4, NX_HIGH);
		const stop = guest.run(code().load(EAX, PAGE).push(PAGE).hex("c3"));
		expect([stop.vector, stop.stack[0]]).toEqual([PF, P | 16]);
	});

	it("no-execute without NXE is a reserved bit", () => {
		pae();
		guest.setWord(PAE_ENTRY, FRAME | P | RW);
		guest.setWord(PAE_ENTRY + 4, NX_HIGH);
		const stop = guest.run(code().load(EAX, PAGE));
		expect([stop.vector, stop.stack[0]]).toEqual([PF, P | 8]);
	});

	it.each([[36], [51], [52], [62]])("bit %i is reserved", (bit) => {
		pae(NXE);
		guest.setWord(PAE_ENTRY, FRAME | P | RW);
		guest.setWord(PAE_ENTRY + 4, (1 << (bit - 32)) >>> 0);
		const stop = guest.run(code().store(PAGE, EAX));
		expect([stop.vector, stop.stack[0]]).toEqual([PF, P | RW | 8]);
	});

	it("the top level is read when CR3 is loaded, and not before", () => {
		pae();
		guest.setWord(PAE_ENTRY, FRAME | P | RW);
		guest.setWord(FRAME, 77);
		const program = code()
			.storeImmediate(PAGE_TABLES, 0)
			.hex("0f013d")
			.dword(PAGE)
			.load(EAX, PAGE)
			.mov(EBX, PAGE_TABLES)
			.label("load")
			.toControl(3, EBX);
		const stop = guest.run(program);
		expect(guest.gpr(EAX)).toBe(77);
		// Now nothing is mapped, not even the handlers.
		expect(stop.reason).toBe("triple-fault");
	});

	it("loading CR3 with reserved bits in the top level is #GP(0) and changes nothing", () => {
		pae();
		guest.setWord(PAGE_TABLES + 0x800, P | RW);
		const program = code()
			.mov(EBX, PAGE_TABLES + 0x800)
			.label("load")
			.toControl(3, EBX);
		const stop = guest.run(program);
		expect([stop.vector, stop.stack[0]]).toEqual([GP, 0]);
		expect(stop.stack[1]).toBe(program.addressOf("load"));
	});
});

describe("straddling accesses", () => {
	it("join two frames that are not neighbours", () => {
		twoLevel();
		mapPage(PAGE, FRAME_2 | P | RW);
		mapPage(NEXT_PAGE, FRAME | P | RW);
		guest.run(
			code()
				.mov(EAX, 0x4433_2211)
				.store(PAGE + 0xffd, EAX)
				.load(EBX, PAGE + 0xffd)
				.hlt(),
		);
		expect(guest.gpr(EBX)).toBe(0x4433_2211);
		expect(guest.memory.getUint8(FRAME_2 + 0xfff)).toBe(0x33);
		expect(guest.memory.getUint8(FRAME)).toBe(0x44);
	});

	it("fault on the second page before anything is written", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P | RW);
		mapPage(NEXT_PAGE, 0);
		const stop = guest.run(
			code()
				.mov(EAX, -1)
				.store(PAGE + 0xffe, EAX),
		);
		expect([stop.vector, stop.stack[0]]).toEqual([PF, RW]);
		expect(guest.cr2).toBe(NEXT_PAGE);
		expect(guest.memory.getUint16(FRAME + 0xffe, true)).toBe(0);
	});

	it("of instructions fault on the page that is missing", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P);
		mapPage(NEXT_PAGE, 0);
		guest.load(new Assembler(FRAME + 0xffd).hex("b81122"));
		const stop = guest.run(
			code()
				.push(PAGE + 0xffd)
				.hex("c3"),
		);
		expect(stop.vector).toBe(PF);
		expect(stop.stack[1]).toBe(PAGE + 0xffd);
		expect(guest.cr2).toBe(NEXT_PAGE);
	});

	it("of instructions follow the second page when it is mapped elsewhere", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P);
		mapPage(NEXT_PAGE, FRAME_2 | P);
		const frame3 = FRAME + 0x2000;
		guest.load(new Assembler(FRAME + 0xffd).hex("b81122"));
		// ...3344; ret
		guest.load(new Assembler(FRAME_2).hex("3344 c3"));
		guest.load(new Assembler(frame3).hex("5566 c3"));
		const program = code()
			.hex("bf")
			.dword(PAGE + 0xffd)
			.hex("ffd7")
			.copy(EBX, EAX)
			.storeImmediate(entryOf(NEXT_PAGE), frame3 | P)
			.hex("0f013d")
			.dword(NEXT_PAGE)
			.hex("ffd7")
			.hlt();
		guest.run(program);
		expect(guest.gpr(EBX)).toBe(0x4433_2211);
		expect(guest.gpr(EAX)).toBe(0x6655_2211);
	});

	it("PUSHA faults with ESP where it was", () => {
		twoLevel();
		mapPage(PAGE, 0);
		mapPage(NEXT_PAGE, FRAME | P | RW);
		guest.load(new Assembler(HANDLERS + PF * 16).hlt());
		const program = code()
			.mov(4, NEXT_PAGE + 8)
			.label("pusha")
			.hex("60");
		const stop = guest.run(program);
		// #PF on the same stack fits: it is pushed above the missing page? No: below.
		expect(stop.reason).toBe("triple-fault");
		expect(guest.esp).toBe(NEXT_PAGE + 8);
		expect(guest.eip).toBe(program.addressOf("pusha"));
	});

	it("REP MOVS stops at the fault with registers that say how far it got", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P | RW);
		mapPage(NEXT_PAGE, 0);
		const program = code()
			.mov(ECX, 64)
			.mov(ESI, DATA)
			.mov(EDI, NEXT_PAGE - 40)
			.label("rep")
			.hex("f3a5");
		const stop = guest.run(program);
		expect(stop.vector).toBe(PF);
		expect(stop.stack[1]).toBe(program.addressOf("rep"));
		expect([guest.gpr(ECX), guest.gpr(ESI), guest.gpr(EDI)]).toEqual([
			54,
			DATA + 40,
			NEXT_PAGE,
		]);
		expect(guest.cr2).toBe(NEXT_PAGE);
	});
});

describe("changed translations", () => {
	it("hold after INVLPG", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P | RW);
		guest.setWord(FRAME, 1);
		guest.setWord(FRAME_2, 2);
		guest.run(
			code()
				.load(EAX, PAGE)
				.storeImmediate(entryOf(PAGE), FRAME_2 | P | RW)
				.hex("0f013d")
				.dword(PAGE)
				.load(EBX, PAGE)
				.hlt(),
		);
		expect([guest.gpr(EAX), guest.gpr(EBX)]).toEqual([1, 2]);
	});

	it("hold after a CR3 write, except for global pages", () => {
		twoLevel(PGE);
		mapPage(PAGE, FRAME | P | RW | G);
		mapPage(NEXT_PAGE, FRAME | P | RW);
		guest.setWord(FRAME, 1);
		guest.setWord(FRAME_2, 2);
		guest.run(
			code()
				.load(EAX, PAGE)
				.load(EAX, NEXT_PAGE)
				.storeImmediate(entryOf(PAGE), FRAME_2 | P | RW | G)
				.storeImmediate(entryOf(NEXT_PAGE), FRAME_2 | P | RW)
				.mov(ECX, PAGE_TABLES)
				.toControl(3, ECX)
				.load(EAX, PAGE)
				.load(EBX, NEXT_PAGE)
				.hlt(),
		);
		expect([guest.gpr(EAX), guest.gpr(EBX)]).toEqual([1, 2]);
	});

	it("of global pages hold after INVLPG and after CR4.PGE changes", () => {
		twoLevel(PGE);
		mapPage(PAGE, FRAME | P | RW | G);
		mapPage(NEXT_PAGE, FRAME | P | RW | G);
		guest.setWord(FRAME, 1);
		guest.setWord(FRAME_2, 2);
		guest.run(
			code()
				.load(EAX, PAGE)
				.load(EAX, NEXT_PAGE)
				.storeImmediate(entryOf(PAGE), FRAME_2 | P | RW | G)
				.storeImmediate(entryOf(NEXT_PAGE), FRAME_2 | P | RW | G)
				.hex("0f013d")
				.dword(PAGE)
				.load(EBX, PAGE)
				.mov(ECX, 0)
				.toControl(4, ECX)
				.load(EAX, NEXT_PAGE)
				.hlt(),
		);
		expect([guest.gpr(EAX), guest.gpr(EBX)]).toEqual([2, 2]);
	});

	it("a page that stops being global goes with the next CR3 write", () => {
		twoLevel(PGE);
		mapPage(PAGE, FRAME | P | RW | G);
		guest.setWord(FRAME, 1);
		guest.setWord(FRAME_2, 2);
		guest.run(
			code()
				.load(EAX, PAGE)
				.storeImmediate(entryOf(PAGE), FRAME | P | RW)
				.hex("0f013d")
				.dword(PAGE)
				.load(EAX, PAGE)
				.storeImmediate(entryOf(PAGE), FRAME_2 | P | RW)
				.mov(ECX, PAGE_TABLES)
				.toControl(3, ECX)
				.load(EBX, PAGE)
				.hlt(),
		);
		expect(guest.gpr(EBX)).toBe(2);
	});

	it("a right that is given needs no flush", () => {
		twoLevel();
		mapPage(PAGE, FRAME | P);
		guest.run(
			code()
				.load(EAX, PAGE)
				.storeImmediate(entryOf(PAGE), FRAME | P | RW)
				.mov(EAX, 5)
				.store(PAGE, EAX)
				.hlt(),
		);
		expect(guest.word(FRAME)).toBe(5);
	});
});

describe("the end of the address space", () => {
	it("an access does not wrap to address 0", () => {
		const stop = guest.run(code().load(EAX, 0xffff_fffe));
		expect(stop.vector).toBe(GP);
	});
});
