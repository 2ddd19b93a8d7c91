import { describe, expect, it } from "vitest";
import { EAX, EBX, ECX, EDX, ESP } from "../../../test/support/assembler.ts";
import {
	CODE,
	DATA,
	DIALECT_NAMES,
	HANDLERS,
	KERNEL_ADDRESS,
	LguestGuest,
	NOIRQ_START,
	RAM_BYTES,
	STACK_TOP,
	TEXT,
} from "../../../test/support/lguest-guest.ts";
import { fields, readEflags } from "../../cpu/index.ts";
import {
	LGUEST_DATA_L1,
	LGUEST_DATA_L2,
	LGUEST_DATA_L3,
	LHCALL_FLUSH_ASYNC,
	LHCALL_HALT,
	LHCALL_LGUEST_INIT,
	LHCALL_LOAD_GDT_ENTRY,
	LHCALL_LOAD_IDT_ENTRY,
	LHCALL_LOAD_TLS,
	LHCALL_NEW_PGTABLE,
	LHCALL_NOTIFY,
	LHCALL_SET_CLOCKEVENT,
	LHCALL_SET_PTE,
	LHCALL_SET_STACK,
	LHCALL_SHUTDOWN,
	LHCALL_TS,
} from "../abi.ts";

const IF = 0x200;
/** In a page table entry: the processor has used it. */
const ACCESSED = 0x20;
const ENGINES = ["cold", "auto"] as const;

/** Lets the Guest store to `irq_enabled`. */
function enable(one: LguestGuest, value = IF): void {
	one.run((code) => code.storeImmediate(DATA, value));
}

/** User code segments and a stack for the way back; goes to level 3 at `eip`. */
function enterUser(one: LguestGuest, eip: number): void {
	one.calls(
		[LHCALL_LOAD_GDT_ENTRY, 14, 0x0000_ffff, 0x00cf_fa00],
		[LHCALL_LOAD_GDT_ENTRY, 15, 0x0000_ffff, 0x00cf_f200],
		[LHCALL_SET_STACK, 0x69, STACK_TOP, 1],
	);
	one.cpu.memory.write(eip, Uint8Array.of(0xeb, 0xfe));
	one.run((code) => {
		code.push(0x7b).push(STACK_TOP - 0x800);
		code.push(0x202).push(0x73).push(eip);
		code.iret();
	}, 6);
}

describe.each(DIALECT_NAMES)("a Guest of dialect %s", (name) => {
	it("says what it is with its first hypercall, and is told the clock's rate", () => {
		const one = new LguestGuest(name).init();
		const { layout } = one;
		expect(one.reason).toBeUndefined();
		expect(one.guest.dialect?.layout).toBe(layout);
		expect(one.data(layout.tsc_khz)).toBe(1_000_000);
		expect(one.data(layout.time)).toBe(1_700_000_000);
		expect(one.data(layout.time + 4)).toBe(250_000_000);
		expect(one.data(layout.reserve_mem)).toBe(0x40_0000);
		expect(one.data(layout.irq_enabled)).toBe(0);
		expect(one.register(EAX)).toBe(LHCALL_LGUEST_INIT);
	});

	it("may say it only once", () => {
		const one = new LguestGuest(name).init();
		one.calls([LHCALL_LGUEST_INIT, DATA]);
		expect(one.reason).toBe("already have lguest_data");
	});

	it("must say it first", () => {
		const one = new LguestGuest(name).calls([LHCALL_FLUSH_ASYNC]);
		expect(one.reason).toBe("hypercall 0 before INIT");
	});

	it("arms the timer, with all registers as they were (9, 1000000)", () => {
		const one = new LguestGuest(name).init();
		one.nowNs = 5000;
		one.calls([LHCALL_SET_CLOCKEVENT, 1_000_000]);
		expect(one.timer?.deadlineNs).toBe(1_005_000);
		expect(one.register(EAX)).toBe(LHCALL_SET_CLOCKEVENT);
		one.calls([LHCALL_SET_CLOCKEVENT, 0]);
		expect(one.timer).toBeUndefined();
	});

	it("sees what it queued done before its next direct call, and its slots free", () => {
		const one = new LguestGuest(name).init();
		const order = one.layout === LGUEST_DATA_L1 && name === "B";
		const call = [LHCALL_SET_STACK, 0x69, STACK_TOP - 64, 1];
		// A slot is an image of EAX EBX ECX EDX, whatever they mean.
		const [number = 0, first = 0, second = 0, third = 0] = call;
		const words = order
			? [number, second, third, first]
			: [number, first, second, third];
		one.queue(0, ...words);
		one.queue(1, LHCALL_TS, 8, 8, 8);
		one.calls([LHCALL_FLUSH_ASYNC]);
		expect(one.reason).toBeUndefined();
		expect(one.cpu.state.get32(fields.CR0) & 8).toBe(8);
		expect(one.cpu.memory.readU16(DATA + one.layout.hcall_status)).toBe(0xffff);
		one.gates([0x80], 3);
		enterUser(one, TEXT);
		one.cpu.memory.write(TEXT, Uint8Array.of(0xcd, 0x80));
		one.cpu.run(2);
		expect(one.vector).toBe(0x80);
	});

	it("is not interrupted while irq_enabled is 0x46, and is told that one waits", () => {
		const one = new LguestGuest(name).init().gates([0x23]);
		enable(one, 0x46);
		one.guest.raise(3);
		one.cpu.run(100);
		expect(one.vector).toBeUndefined();
		if (one.layout.irq_pending !== undefined) {
			expect(one.data(one.layout.irq_pending)).toBe(IF);
		}
	});

	it.each(ENGINES)(
		"is interrupted by the store that turns interrupts on (%s)",
		(engine) => {
			const one = new LguestGuest(name, engine).init().gates([0x23]);
			one.guest.raise(3);
			one.run((code) => {
				code.storeImmediate(DATA, 0).storeImmediate(DATA, IF).nop();
			});
			expect(one.vector).toBe(0x23);
			const [eip, cs, flags] = one.stack(3);
			expect(eip).toBe(CODE + 20);
			expect(cs).toBe(0x61);
			expect((flags ?? 0) & IF).toBe(IF);
			expect(one.data(one.layout.irq_enabled)).toBe(0);
			if (one.layout.irq_pending !== undefined) {
				expect(one.data(one.layout.irq_pending)).toBe(0);
			}
		},
	);

	it("is interrupted by the store that unmasks", () => {
		const one = new LguestGuest(name).init().gates([0x20]);
		enable(one);
		one.guest.raise(0);
		one.cpu.run(50);
		expect(one.vector).toBeUndefined();
		one.run((code) => code.storeImmediate(DATA + 4, 0));
		expect(one.vector).toBe(0x20);
	});

	it("is not interrupted from noirq_start to noirq_end, but right behind", () => {
		const one = new LguestGuest(name).init().gates([0x21]);
		one.cpu.memory.fill(NOIRQ_START, 0x90, 16);
		one.setData(one.layout.irq_enabled, IF);
		one.eip = NOIRQ_START;
		one.guest.raise(1);
		for (let i = 1; i < 8; i++) {
			one.cpu.run(1);
			expect(one.eip).toBe(NOIRQ_START + i);
		}
		one.cpu.run(3);
		expect(one.vector).toBe(0x21);
		expect(one.stack(1)).toEqual([NOIRQ_START + 8]);
	});

	it("dies of what has no gate, in the original's words", () => {
		const one = new LguestGuest(name).init();
		one.run((code) => code.hex("0f0b"));
		expect(one.reason).toBe(`unhandled trap 6 at 0x${CODE.toString(16)} (0)`);
	});

	it("powers down with a message, or restarts", () => {
		const one = new LguestGuest(name).init();
		one.cpu.memory.write(TEXT, new TextEncoder().encode("Power down\0"));
		one.calls([LHCALL_SHUTDOWN, TEXT, 1]);
		expect(one.reason).toBe("CRASH: Power down");
		const two = new LguestGuest(name).init();
		two.calls([LHCALL_SHUTDOWN, 0x4000_0000, 2]);
		expect(two.reason).toBe("restart");
	});
});

describe("lguest_data", () => {
	it("has the sizes 1136, 1396 and 1392", () => {
		const layouts = [LGUEST_DATA_L1, LGUEST_DATA_L2, LGUEST_DATA_L3];
		expect(layouts.map((layout) => layout.sizeBytes)).toEqual([
			1136, 1396, 1392,
		]);
		for (const { hcalls, hcallBytes, reserve_mem } of layouts) {
			expect(hcalls + 64 * hcallBytes).toBe(reserve_mem);
		}
	});

	it("must be somewhere, with the one system call vector and a kernel's address", () => {
		const wrong = (change: (one: LguestGuest) => void) => {
			const one = new LguestGuest("H");
			change(one);
			return one.init().reason;
		};
		const { layout } = new LguestGuest("H");
		expect(wrong((one) => one.setData(layout.hcall_status, 0))).toMatch(
			/^bad guest page /,
		);
		expect(wrong((one) => one.setData(layout.syscall_vec, 0x81))).toBe(
			"bad syscall vector",
		);
		expect(wrong((one) => one.setData(layout.kernel_address, 0x1000))).toBe(
			"bad kernel address 0x1000",
		);
	});
});

describe("hypercalls", () => {
	it("by VMCALL leave the Guest's code as it is, and are #UD in user mode", () => {
		const one = new LguestGuest("E").init();
		one.run((code) => code.mov(EAX, LHCALL_FLUSH_ASYNC).hex("0f01c1"), 2);
		expect(one.eip).toBe(CODE + 8);
		expect([...one.cpu.memory.read(CODE + 5, 3)]).toEqual([0x0f, 1, 0xc1]);
		one.gates([6]);
		enterUser(one, TEXT);
		one.cpu.memory.write(TEXT, Uint8Array.of(0x0f, 0x01, 0xc1));
		one.cpu.run(5);
		expect(one.vector).toBe(6);
	});

	it("by INT 0x1F are #GP in user mode", () => {
		const one = new LguestGuest("H").init().gates([13]);
		enterUser(one, TEXT);
		one.cpu.memory.write(TEXT, Uint8Array.of(0xcd, 0x1f));
		one.cpu.run(5);
		expect(one.vector).toBe(13);
		expect(one.stack(2)).toEqual([0x1f * 8 + 2, TEXT]);
	});

	it.each<[string, readonly [number, ...number[]]]>([
		["Bad hypercall 77", [77]],
		["bad stack segment 96", [LHCALL_SET_STACK, 0x60, STACK_TOP, 1]],
		["bad stack pages 3", [LHCALL_SET_STACK, 0x69, STACK_TOP, 3]],
		["too many gdt entries 32", [LHCALL_LOAD_GDT_ENTRY, 32, 0, 0]],
		["too many gdt entries 33", [3, TEXT, 33]],
		["Setting idt entry 256", [LHCALL_LOAD_IDT_ENTRY, 256, 0, 0x8e00]],
		["bad IDT type 12", [LHCALL_LOAD_IDT_ENTRY, 3, 0, 0x8c00]],
		["bad read address 0xfffffff0 len 24", [LHCALL_LOAD_TLS, 0xffff_fff0, 0]],
		["bad read address 0x400ff0 len 128", [LHCALL_SHUTDOWN, 0x40_0ff0, 1]],
		["bad read address 0x4000000 len 32", [LHCALL_NEW_PGTABLE, 0x400_0000]],
	])("end the Guest with: %s", (reason, call) => {
		expect(new LguestGuest("B").init().calls(call).reason).toBe(reason);
	});

	it("keep the first reason", () => {
		const one = new LguestGuest("H").init();
		one.calls([77]);
		one.guest.kill("something else");
		expect(one.reason).toBe("Bad hypercall 77");
	});

	it("stop draining the ring at a NOTIFY that nobody answers, and go on behind it", () => {
		const one = new LguestGuest("H").init();
		one.answersNotify = false;
		one.queue(0, LHCALL_NOTIFY, 0x1234);
		one.queue(1, LHCALL_TS, 1);
		one.calls([LHCALL_SET_CLOCKEVENT, 1000]);
		expect(one.guest.unansweredNotify).toBe(0x1234);
		expect(one.cpu.state.get32(fields.CR0) & 8).toBe(0);
		expect(one.timer).toBeUndefined();
		one.guest.answerNotify();
		expect(one.cpu.state.get32(fields.CR0) & 8).toBe(8);
		expect(one.timer?.deadlineNs).toBe(1000);
	});

	it("ignore gates that are the Host's, a task gate among them", () => {
		const one = new LguestGuest("H").init();
		for (const vector of [2, 8, 15, 0x1f]) {
			one.calls([LHCALL_LOAD_IDT_ENTRY, vector, 0, 0x8500]);
		}
		expect(one.reason).toBeUndefined();
	});
});

describe("HALT", () => {
	it("with a masked interrupt stays halted until the timer comes", () => {
		const one = new LguestGuest("H").init().gates([0x20, 0x23]);
		one.setData(one.layout.blocked_interrupts, 1 << 3);
		one.guest.raise(3);
		one.run((code) => one.call(code, LHCALL_HALT));
		expect(one.cpu.run(100)).toBe("halt");
		one.guest.raise(0);
		one.cpu.run(10);
		expect(one.vector).toBe(0x20);
		// It is what turned interrupts on.
		expect((one.stack(3)[2] ?? 0) & IF).toBe(IF);
	});

	it("with an interrupt that may come does not wait", () => {
		const one = new LguestGuest("H").init().gates([0x21]);
		one.guest.raise(1);
		one.run((code) => one.call(code, LHCALL_HALT), 10);
		expect(one.vector).toBe(0x21);
	});
});

describe("interrupts and traps", () => {
	it("from user mode push SS ESP EFLAGS CS EIP on the kernel's stack", () => {
		const one = new LguestGuest("H").init().gates([0x22]);
		enterUser(one, TEXT);
		one.setData(one.layout.irq_enabled, IF);
		one.guest.raise(2);
		one.cpu.run(5);
		expect(one.vector).toBe(0x22);
		const [eip, cs, flags, esp, ss] = one.stack(5);
		expect([eip, cs, esp, ss]).toEqual([TEXT, 0x73, STACK_TOP - 0x800, 0x7b]);
		expect((flags ?? 0) & IF).toBe(IF);
		expect(one.register(ESP)).toBe(STACK_TOP - 20);
		expect([one.selector(1), one.selector(2)]).toEqual([0x61, 0x69]);
		expect(one.data(one.layout.irq_enabled)).toBe(0);
	});

	it("a trap gate leaves interrupts as they are; INT needs the gate's level", () => {
		const one = new LguestGuest("H").init().gates([0x80], 3, 0xf).gates([13]);
		enterUser(one, TEXT);
		one.setData(one.layout.irq_enabled, IF);
		one.cpu.memory.write(TEXT, Uint8Array.of(0xcd, 0x80));
		one.cpu.run(2);
		expect(one.vector).toBe(0x80);
		expect(one.stack(1)).toEqual([TEXT + 2]);
		expect(one.data(one.layout.irq_enabled)).toBe(IF);
		enterUser(one, TEXT);
		one.cpu.memory.write(TEXT, Uint8Array.of(0xcd, 0x21));
		one.cpu.run(2);
		expect(one.vector).toBe(13);
		expect(one.stack(1)).toEqual([0x21 * 8 + 2]);
	});

	it("a page fault in the kernel: EFLAGS CS EIP and a code without the user bit; cr2 is told", () => {
		const one = new LguestGuest("B").init().gates([14]);
		one.run((code) => code.load(EAX, 0x5000_0123));
		expect(one.vector).toBe(14);
		const [error, eip, cs] = one.stack(3);
		expect([error, eip, cs]).toEqual([0, CODE, 0x61]);
		expect(one.data(one.layout.cr2)).toBe(0x5000_0123);
	});

	it("write protection holds for the kernel", () => {
		const one = new LguestGuest("B").init().gates([14]);
		const top = one.data(one.layout.pgdir);
		const table = one.cpu.memory.readU32(top) & ~0xfff;
		one.cpu.memory.writeU32(table + (TEXT >> 12) * 4, TEXT | 5);
		one.calls([LHCALL_SET_PTE, top, TEXT, 0]);
		one.run((code) => code.storeImmediate(TEXT, 1));
		expect(one.vector).toBe(14);
		expect(one.stack(1)).toEqual([3]);
	});

	it("flags that a handler must not inherit are cleared", () => {
		const one = new LguestGuest("H").init().gates([1, 3], 3);
		one.run((code) => code.push(0x4102).popf().nop());
		expect(one.vector).toBe(1);
		expect(readEflags(one.cpu.state) & 0x4100).toBe(0);
	});

	it("a stack that is not there is the end", () => {
		const one = new LguestGuest("B").init().gates([6]);
		one.run((code) => code.mov(ESP, 0x5000_0000).hex("0f0b"));
		expect(one.reason).toBe("Bad address 0x4ffffffc");
	});
});

describe("instructions of level 0", () => {
	it("IN reads ones of its width, and OUT vanishes", () => {
		const one = new LguestGuest("H").init();
		const left = (bytes: string) => {
			one.run((code) => code.mov(EAX, 0x1234_5678).hex(bytes), 2);
			return [one.register(EAX), one.eip - CODE - 5];
		};
		expect(left("e464")).toEqual([0x1234_56ff, 2]);
		expect(left("66ed")).toEqual([0x1234_ffff, 2]);
		expect(left("ed")).toEqual([0xffff_ffff, 1]);
		expect(left("e680")).toEqual([0x1234_5678, 2]);
		expect(left("66e7cc")).toEqual([0x1234_5678, 3]);
	});

	it("CLI does nothing, and debug registers can be read", () => {
		const one = new LguestGuest("H").init();
		one.run((code) => code.hex("fa").hex("0f21f0").hex("0f21fb"), 4);
		expect(one.eip).toBe(CODE + 7);
		expect(one.register(EAX)).toBe(0xffff_0ff0);
		expect(one.register(EBX)).toBe(0x400);
	});

	it.each(["fb", "f4", "0f06", "0f0138", "0f20c0", "0f30", "0f32"])(
		"%s is #GP(0), which the Guest gets",
		(bytes) => {
			const one = new LguestGuest("H").init().gates([13]);
			one.run((code) => code.hex(bytes));
			expect(one.vector).toBe(13);
			expect(one.stack(2)).toEqual([0, CODE]);
		},
	);

	it("in user mode IN is #GP(0) too", () => {
		const one = new LguestGuest("H").init().gates([13]);
		enterUser(one, TEXT);
		one.cpu.memory.write(TEXT, Uint8Array.of(0xe4, 0x64));
		one.cpu.run(3);
		expect(one.vector).toBe(13);
	});
});

describe("segments", () => {
	it("for level 0 become ones for level 1, and gates none at all", () => {
		const one = new LguestGuest("H").init().gates([11, 13]);
		one.calls(
			[LHCALL_LOAD_GDT_ENTRY, 20, 0x0000_ffff, 0x00cf_9200],
			[LHCALL_LOAD_GDT_ENTRY, 21, (0x60 << 16) | 0x10, 0x8c00],
			[LHCALL_LOAD_GDT_ENTRY, 22, 0x0000_ffff, 0x0000_8900],
		);
		one.run((code) => code.mov(EAX, 20 * 8 + 1).hex("8ed8"), 2);
		expect(one.selector(3)).toBe(0xa1);
		one.run((code) => code.callFar(21 * 8 + 1));
		expect([11, 13]).toContain(one.vector);
		one.run((code) => code.jumpFar(22 * 8 + 1, 0));
		expect([11, 13]).toContain(one.vector);
		expect(one.cpu.state.get32(fields.CPL)).toBe(1);
	});
});

describe("page tables", () => {
	/** Tables of the Guest's own at 0x100000: all of RAM, there and in the kernel. */
	function ownTables(one: LguestGuest): number {
		const top = 0x10_0000;
		const { memory } = one.cpu;
		memory.writeU32(top, 0x10_1067);
		memory.writeU32(top + (KERNEL_ADDRESS >>> 22) * 4, 0x10_1067);
		for (let i = 0; i < 1024; i++) {
			memory.writeU32(0x10_1000 + i * 4, (i << 12) | 0x63);
		}
		memory.writeU32(
			DATA + one.layout.noirq_start,
			KERNEL_ADDRESS + NOIRQ_START,
		);
		memory.writeU32(
			DATA + one.layout.noirq_end,
			KERNEL_ADDRESS + NOIRQ_START + 8,
		);
		return top;
	}

	it("start as all of RAM twice, where dialects before 3.1 look", () => {
		const one = new LguestGuest("G").init();
		const top = one.data(one.layout.pgdir);
		expect(top).toBe(RAM_BYTES - 0x1000);
		const table = one.cpu.memory.readU32(top);
		expect(table & 0xfff & ~ACCESSED).toBe(7);
		expect(one.cpu.memory.readU32(top + 0xc00) | ACCESSED).toBe(table);
		one.cpu.memory.writeU32(TEXT, 0x1234);
		one.run((code) => code.load(ECX, KERNEL_ADDRESS + TEXT));
		expect(one.register(ECX)).toBe(0x1234);
	});

	it("are not needed by 3.1 and later until NEW_PGTABLE", () => {
		const one = new LguestGuest("H");
		const top = ownTables(one);
		one.init();
		expect(one.cpu.state.get32(fields.CR0) >>> 31).toBe(0);
		one.calls([LHCALL_NEW_PGTABLE, top]);
		expect(one.cpu.state.get32(fields.CR0) >>> 31).toBe(1);
		one.cpu.memory.writeU32(TEXT, 0x77);
		one.run((code) => code.load(EDX, KERNEL_ADDRESS + TEXT));
		expect(one.register(EDX)).toBe(0x77);
	});

	it("a SET_PTE of 0 means: look again; memory stays as it is", () => {
		const one = new LguestGuest("H");
		const top = ownTables(one);
		one.init().calls([LHCALL_NEW_PGTABLE, top]);
		const entry = 0x10_1000 + (TEXT >> 12) * 4;
		one.cpu.memory.writeU32(TEXT, 1);
		one.cpu.memory.writeU32(TEXT + 0x1000, 2);
		one.run((code) => code.load(ECX, TEXT));
		one.cpu.memory.writeU32(entry, (TEXT + 0x1000) | 0x63);
		one.calls([LHCALL_SET_PTE, top, TEXT, 0]);
		expect(one.cpu.memory.readU32(entry) & ~0x60).toBe((TEXT + 0x1000) | 3);
		one.run((code) => code.load(ECX, TEXT));
		expect(one.register(ECX)).toBe(2);
	});

	it.each([
		["bad page table entry", 0x10_1000 + 0x300 * 4, 0x4000_0063, 0x30_0000],
		["bad page table entry", 0x10_1000 + 0x300 * 4, 0x0030_00e3, 0x30_0000],
		["bad page directory entry", 0x10_0004, 0x4000_0067, 0x40_0000],
		["bad page directory entry", 0x10_0004, 0x0010_10e7, 0x40_0000],
	])("%s at %i: %i", (reason, at, entry, linear) => {
		const one = new LguestGuest("B");
		const top = ownTables(one);
		one.init().calls([LHCALL_NEW_PGTABLE, top]);
		one.cpu.memory.writeU32(at, entry);
		one.run((code) => code.load(ECX, linear));
		expect(one.reason).toBe(reason);
		const late = new LguestGuest("H");
		ownTables(late);
		late.init().calls([LHCALL_NEW_PGTABLE, top]);
		late.gates([14]);
		late.cpu.memory.writeU32(at, entry);
		late.run((code) => code.load(ECX, linear));
		expect(late.vector).toBe(14);
		expect(late.stack(1)).toEqual([0]);
	});

	it("of three levels are recognised from 2.6.31 on", () => {
		const one = new LguestGuest("H");
		ownTables(one);
		const { memory } = one.cpu;
		const wide = (at: number, value: number) => {
			memory.writeU32(at, value);
			memory.writeU32(at + 4, 0);
		};
		const top = 0x20_0020;
		wide(top, 0x20_1001);
		wide(top + 24, 0x20_1001);
		for (let i = 0; i < 2; i++) {
			wide(0x20_1000 + i * 8, (0x20_2000 + i * 0x1000) | 0x67);
			for (let k = 0; k < 512; k++) {
				wide(0x20_2000 + i * 0x1000 + k * 8, ((i * 512 + k) << 12) | 0x63);
			}
		}
		one.init().calls([LHCALL_NEW_PGTABLE, top]);
		expect(one.reason).toBeUndefined();
		memory.writeU32(TEXT, 0x99);
		one.run((code) => code.load(EDX, KERNEL_ADDRESS + TEXT));
		expect(one.register(EDX)).toBe(0x99);
	});
});

it("handlers are where the tests think they are", () => {
	expect(HANDLERS & 0xffff).toBe(0);
});
