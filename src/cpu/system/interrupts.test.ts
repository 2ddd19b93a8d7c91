import { describe, expect, it } from "vitest";
import {
	CONFORMING,
	faultOf,
	GDT,
	HERE,
	IDT,
	KERNEL_CODE,
	KERNEL_DATA,
	KERNEL_STACK,
	protectedSystem,
	TestSystem,
	TSS,
	USER_CODE,
	USER_DATA,
	USER_STACK,
} from "../../../test/support/system-context.ts";
import {
	EFLAGS_AC,
	EFLAGS_CF,
	EFLAGS_DF,
	EFLAGS_FIXED,
	EFLAGS_IF,
	EFLAGS_NT,
	EFLAGS_RF,
	EFLAGS_TF,
	EFLAGS_VM,
} from "../flags.ts";
import { IDTR_LIMIT } from "../state.ts";
import { CS, DS, ES, FS, GS, SS } from "./descriptors.ts";
import {
	deliverInterrupt,
	KIND_EXCEPTION,
	KIND_HARDWARE,
	KIND_SOFTWARE,
} from "./interrupts.ts";
import { isUsable, segmentAttributes } from "./segments.ts";

describe("delivery through a 32-bit gate", () => {
	it("switches to the TSS's stack from user mode and pushes the frame IRET wants", () => {
		const cpu = protectedSystem(3);
		cpu.idtGate(0x30, KERNEL_CODE, 0x1_2345);
		cpu.eflags = EFLAGS_IF | EFLAGS_CF;
		deliverInterrupt(cpu, 0x30, KIND_HARDWARE);
		expect(cpu.stack32(5)).toEqual([
			HERE,
			USER_CODE,
			EFLAGS_IF | EFLAGS_CF | EFLAGS_FIXED,
			USER_STACK,
			USER_DATA,
		]);
		expect(cpu.esp).toBe(KERNEL_STACK - 20);
		expect([cpu.cpl, cpu.rip]).toEqual([0, 0x1_2345]);
		expect([cpu.selector(CS), cpu.selector(SS)]).toEqual([
			KERNEL_CODE,
			KERNEL_DATA,
		]);
		expect(cpu.selector(DS)).toBe(USER_DATA);
	});

	it("stays on its stack at the same level", () => {
		const cpu = protectedSystem(0);
		cpu.idtGate(0x30, KERNEL_CODE, 0x2345);
		deliverInterrupt(cpu, 0x30, KIND_HARDWARE);
		expect(cpu.stack32(3)).toEqual([HERE, KERNEL_CODE, EFLAGS_FIXED]);
		expect(cpu.esp).toBe(KERNEL_STACK - 12);
	});

	it("pushes the error code last", () => {
		const cpu = protectedSystem(0);
		cpu.idtGate(14, KERNEL_CODE, 0x2345);
		deliverInterrupt(cpu, 14, KIND_EXCEPTION, 0x1f);
		expect(cpu.stack32(2)).toEqual([0x1f, HERE]);
	});

	it("clears IF through an interrupt gate only, and TF, NT, RF through both", () => {
		const leftBy = (rights: number) => {
			const cpu = protectedSystem(0);
			cpu.idtGate(0x30, KERNEL_CODE, 0, rights);
			const kept = EFLAGS_DF | EFLAGS_AC | EFLAGS_CF;
			cpu.eflags = kept | EFLAGS_IF | EFLAGS_TF | EFLAGS_NT | EFLAGS_RF;
			deliverInterrupt(cpu, 0x30, KIND_HARDWARE);
			return cpu.eflags & ~(kept | EFLAGS_FIXED);
		};
		expect([leftBy(0x8e), leftBy(0x8f)]).toEqual([0, EFLAGS_IF]);
	});

	it("sets RF in the image of faults, not of #DB, traps or interrupts", () => {
		const image = (vector: number, kind: 0 | 1 | 2) => {
			const cpu = protectedSystem(0);
			cpu.idtGate(vector, KERNEL_CODE, 0);
			deliverInterrupt(cpu, vector, kind);
			return (cpu.stack32(3)[2] as number) & EFLAGS_RF;
		};
		expect(image(6, KIND_EXCEPTION)).toBe(EFLAGS_RF);
		expect(image(1, KIND_EXCEPTION)).toBe(0);
		expect(image(0x30, KIND_HARDWARE)).toBe(0);
	});

	it("runs a conforming handler at the interrupted level", () => {
		const cpu = protectedSystem(3);
		cpu.idtGate(0x30, CONFORMING, 0x55);
		deliverInterrupt(cpu, 0x30, KIND_HARDWARE);
		expect([cpu.cpl, cpu.selector(CS)]).toEqual([3, CONFORMING | 3]);
		expect(cpu.esp).toBe(USER_STACK - 12);
	});

	it("pushes words through a 16-bit gate", () => {
		const cpu = protectedSystem(0);
		cpu.idtGate(0x30, KERNEL_CODE, 0x2345, 0x86);
		deliverInterrupt(cpu, 0x30, KIND_EXCEPTION, 0x99);
		expect(cpu.esp).toBe(KERNEL_STACK - 8);
		expect(cpu.stack32(1)).toEqual([((HERE << 16) | 0x99) >>> 0]);
	});
});

describe("a delivery that fails", () => {
	const gateFault = (
		prepare: (cpu: TestSystem) => void,
		kind: 0 | 1 | 2,
		level: 0 | 3 = 3,
	) => {
		const cpu = protectedSystem(level);
		prepare(cpu);
		const fault = faultOf(() => deliverInterrupt(cpu, 0x30, kind));
		const stack = level === 0 ? KERNEL_STACK : USER_STACK;
		expect([cpu.rip, cpu.cpl, cpu.esp]).toEqual([HERE, level, stack]);
		return fault;
	};

	it("names the vector beyond IDTR's limit, EXT when the program did not ask", () => {
		const shorten = (cpu: TestSystem) => cpu.state.set32(IDTR_LIMIT, 0x186);
		expect(gateFault(shorten, KIND_SOFTWARE)).toBe("13(182)");
		expect(gateFault(shorten, KIND_HARDWARE)).toBe("13(183)");
	});

	it("refuses what is not a gate, and INT through a gate of an inner level", () => {
		expect(gateFault(() => undefined, KIND_HARDWARE)).toBe("13(183)");
		const inner = (cpu: TestSystem) => cpu.idtGate(0x30, KERNEL_CODE, 0);
		expect(gateFault(inner, KIND_SOFTWARE)).toBe("13(182)");
		const outer = (cpu: TestSystem) => cpu.idtGate(0x30, KERNEL_CODE, 0, 0xee);
		const cpu = protectedSystem(3);
		outer(cpu);
		expect(faultOf(() => deliverInterrupt(cpu, 0x30, 0))).toBe("none");
	});

	it("raises #NP for an absent gate", () => {
		const absent = (cpu: TestSystem) => cpu.idtGate(0x30, KERNEL_CODE, 0, 0x0e);
		expect(gateFault(absent, KIND_EXCEPTION)).toBe("11(183)");
	});

	it.each([
		["null", 0, 3, "13(1)"],
		["data", KERNEL_DATA, 3, "13(11)"],
		["of an outer level", USER_CODE & ~3, 0, "13(19)"],
		["beyond the table", 0x2000, 3, "13(2001)"],
	] as const)(
		"refuses a handler whose segment is %s",
		(_, selector, level, fault) => {
			const prepare = (cpu: TestSystem) => cpu.idtGate(0x30, selector, 0);
			expect(gateFault(prepare, KIND_HARDWARE, level)).toBe(fault);
		},
	);

	it("raises #TS when the TSS has no such stack, and #SS when it has no room", () => {
		const prepare = (cpu: TestSystem) => cpu.idtGate(0x30, KERNEL_CODE, 0);
		const noStack = (cpu: TestSystem) => {
			prepare(cpu);
			cpu.mmu.view.setUint16(TSS + 8, 0, true);
		};
		expect(gateFault(noStack, KIND_HARDWARE)).toBe("10(1)");
		const noRoom = (cpu: TestSystem) => {
			prepare(cpu);
			cpu.descriptor(GDT, KERNEL_DATA, 0, 0xff, 0x4093);
		};
		expect(gateFault(noRoom, KIND_HARDWARE)).toBe("12(11)");
	});

	it("passes the page fault of a push on", () => {
		const prepare = (cpu: TestSystem) => {
			cpu.idtGate(0x30, KERNEL_CODE, 0);
			cpu.mmu.absent.add((KERNEL_STACK - 4) >> 12);
		};
		expect(gateFault(prepare, KIND_HARDWARE)).toBe("14(2)");
	});

	it("reads the IDT with supervisor rights", () => {
		const prepare = (cpu: TestSystem) => cpu.mmu.absent.add(IDT >> 12);
		expect(gateFault(prepare, KIND_HARDWARE)).toBe("14(0)");
	});

	it("refuses an offset beyond the handler's limit", () => {
		const prepare = (cpu: TestSystem) => {
			cpu.descriptor(GDT, KERNEL_CODE, 0, 0xfff, 0x409b);
			cpu.idtGate(0x30, KERNEL_CODE, 0x1000);
		};
		expect(gateFault(prepare, KIND_HARDWARE)).toBe("13(1)");
	});
});

describe("delivery from virtual-8086 mode", () => {
	it("pushes the data segments too and takes them away", () => {
		const cpu = protectedSystem(0);
		cpu.idtGate(0x30, KERNEL_CODE, 0x2345);
		cpu.enterVirtual8086(0);
		deliverInterrupt(cpu, 0x30, KIND_HARDWARE);
		expect(cpu.stack32(9)).toEqual([
			0x200,
			0x101,
			EFLAGS_VM | EFLAGS_FIXED,
			0xff0,
			0x102,
			0x100,
			0x103,
			0x104,
			0x105,
		]);
		expect([cpu.cpl, cpu.eflags & EFLAGS_VM]).toEqual([0, 0]);
		for (const index of [ES, DS, FS, GS]) {
			expect(isUsable(segmentAttributes(cpu.state, index))).toBe(false);
		}
	});

	it("accepts a level 0 handler only", () => {
		const cpu = protectedSystem(0);
		cpu.idtGate(0x30, CONFORMING, 0);
		cpu.enterVirtual8086(0);
		const deliver = () => deliverInterrupt(cpu, 0x30, KIND_HARDWARE);
		expect(faultOf(deliver)).toBe("13(39)");
	});
});

describe("delivery in real mode", () => {
	it("takes a far pointer from the vector table and pushes three words", () => {
		const cpu = new TestSystem();
		cpu.state.set32(IDTR_LIMIT, 0x3ff);
		cpu.mmu.view.setUint32(0x21 * 4, 0x1000_0020, true);
		cpu.eflags = EFLAGS_IF | EFLAGS_TF | EFLAGS_CF;
		deliverInterrupt(cpu, 0x21, KIND_SOFTWARE, 0x1234);
		expect([cpu.selector(CS), cpu.rip]).toEqual([0x1000, 0x20]);
		expect(cpu.esp).toBe(KERNEL_STACK - 6);
		expect(cpu.stack32(1)).toEqual([HERE]);
		expect(cpu.eflags & (EFLAGS_IF | EFLAGS_TF | EFLAGS_CF)).toBe(EFLAGS_CF);
	});

	it("raises #GP beyond the table", () => {
		const cpu = new TestSystem();
		cpu.state.set32(IDTR_LIMIT, 0x3f);
		expect(faultOf(() => deliverInterrupt(cpu, 0x10, 1))).toBe("13(82)");
	});
});
