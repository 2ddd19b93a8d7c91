import { describe, expect, it } from "vitest";
import {
	CODE_ADDRESS,
	debugExitCode,
	multibootImage,
	tripleFaultCode,
} from "../../test/boot/multiboot-image.ts";
import { fields } from "../cpu/index.ts";
import { UsageError } from "../errors.ts";
import { formatCode } from "./crash-report.ts";
import { Machine, type MachineOptions } from "./machine.ts";
import type { ConsoleBackend } from "./serial-console.ts";

const MIB = 1 << 20;
const COM1 = 0x3f8;
const EXIT_PORT = 0xf4;

class RecordingConsole implements ConsoleBackend {
	onInput = () => {};
	inputOpen = false;
	printed = "";
	onPrinted: () => void = () => {};

	write(bytes: Uint8Array): undefined {
		this.printed += String.fromCharCode(...bytes);
		this.onPrinted();
	}

	read(): Uint8Array {
		return new Uint8Array(0);
	}
}

async function machineWith(
	code: readonly number[],
	options: Partial<MachineOptions> = {},
) {
	const console = new RecordingConsole();
	const machine = await Machine.create({
		memoryBytes: 8 * MIB,
		kernel: multibootImage(code),
		console,
		debugExitPort: EXIT_PORT,
		...options,
	});
	return { machine, console };
}

const dword = (value: number) =>
	[0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
/** mov al, value; out port, al (by DX for high ports) */
const out8 = (port: number, value: number) => [
	...[0xb0, value],
	...[0xba, ...dword(port)],
	0xee,
];
/** mov ax, value; mov edx, port; out dx, ax */
const out16 = (port: number, value: number) => [
	...[0x66, 0xb8, value & 0xff, value >> 8],
	...[0xba, ...dword(port)],
	...[0x66, 0xef],
];
const HLT = 0xf4;
const CLI = 0xfa;
const STI = 0xfb;
const SPIN = [0xeb, 0xfe];
const RESET = out8(0xcf9, 0x06);
const SLP_EN_S5 = (1 << 13) | (5 << 10);

/** Sets up the 8259 pair, the 8254 and one interrupt gate, and waits for a tick. */
function tickCode(exitValue: number): number[] {
	const idt = 0x20_0000;
	const setUp = (handler: number, idtr: number) => [
		...[0xbc, ...dword(0x18_0000)], // mov esp
		...[0xc7, 0x05, ...dword(idt + 0x100)],
		...dword((0x10 << 16) | (handler & 0xffff)),
		...[0xc7, 0x05, ...dword(idt + 0x104)],
		...dword((handler & 0xffff_0000) | 0x8e00),
		...[0x0f, 0x01, 0x1d, ...dword(idtr)], // lidt
		// The 8254 first: its output rises when the mode is set, and ICW1 forgets that.
		...[...out8(0x43, 0x34), ...out8(0x40, 0x00), ...out8(0x40, 0x10)],
		...[...out8(0x20, 0x11), ...out8(0x21, 0x20)],
		...[...out8(0x21, 0x04), ...out8(0x21, 0x01), ...out8(0x21, 0xfe)],
		...[STI, HLT, ...SPIN],
	];
	const handler = CODE_ADDRESS + setUp(0, 0).length;
	const handlerCode = [...out8(EXIT_PORT, exitValue), ...SPIN];
	const idtr = handler + handlerCode.length;
	return [
		...setUp(handler, idtr),
		...handlerCode,
		...[0xff, 0x07, ...dword(idt)],
	];
}

describe("A machine", () => {
	it("ends when the guest switches itself off by ACPI", async () => {
		const { machine } = await machineWith([
			...out16(0xa74, SLP_EN_S5),
			...SPIN,
		]);
		expect(await machine.run()).toEqual({ kind: "poweroff" });
	});

	it("hands over everything the guest printed before it ended", async () => {
		const { machine, console } = await machineWith([
			...out8(COM1, 0x48),
			...out8(COM1, 0x69),
			...out16(0xa74, SLP_EN_S5),
			...SPIN,
		]);
		await machine.run();
		expect(console.printed).toBe("Hi");
	});

	it("ends with the value written to the debug exit", async () => {
		const { machine } = await machineWith(debugExitCode(EXIT_PORT, 42));
		expect(await machine.run()).toEqual({ kind: "debug-exit", value: 42 });
	});

	it("reports where a guest died of a triple fault", async () => {
		const { code, faultAddress } = tripleFaultCode();
		const { machine } = await machineWith(code);
		const reason = await machine.run();
		expect(reason.kind).toBe("triple-fault");
		if (reason.kind !== "triple-fault") return;
		const { rip, mode, code: bytes } = reason.report;
		expect(rip).toBe(BigInt(faultAddress));
		expect(mode).toBe("32-bit protected mode without paging, CPL 0");
		expect(formatCode(bytes)).toMatch(/^0f 0b 00 00 /);
	});

	it("sees that a guest halted with interrupts off will not wake", async () => {
		const { machine } = await machineWith([CLI, HLT, ...SPIN]);
		expect(await machine.run()).toEqual({ kind: "halted-forever" });
	});

	it.each([
		["the reset control register", out8(0xcf9, 0x06)],
		["the keyboard controller", out8(0x64, 0xfe)],
		["port 0x92", out8(0x92, 0x01)],
	])("starts the guest again after a reset by %s", async (_name, reset) => {
		const { machine, console } = await machineWith([
			...out8(COM1, 0x41),
			...reset,
			...SPIN,
		]);
		console.onPrinted = () => {
			if (console.printed === "AAA") machine.stop();
		};
		expect(await machine.run()).toEqual({ kind: "stopped" });
		expect(machine.statistics().resets).toBe(2);
	});

	it("reads the kernel again for a restart, if it is told how", async () => {
		const first = multibootImage([...out8(COM1, 0x41), ...RESET, ...SPIN]);
		const second = multibootImage([...out8(COM1, 0x42), ...RESET, ...SPIN]);
		const { machine, console } = await machineWith([], {
			kernel: first,
			readBootFiles: async () => ({ kernel: second }),
		});
		console.onPrinted = () => {
			if (console.printed.endsWith("BB")) machine.stop();
		};
		expect(await machine.run()).toEqual({ kind: "stopped" });
		expect(console.printed).toBe("ABB");
	});

	it("ends with what is wrong when that cannot be read", async () => {
		const { machine } = await machineWith([...RESET, ...SPIN], {
			readBootFiles: () => Promise.reject(new UsageError("It is gone.")),
		});
		await expect(machine.run()).rejects.toThrow("It is gone.");
	});

	it("gives a restarted guest the memory of a fresh one", async () => {
		// Exits with what is at 8000h, after writing 7 there and resetting once:
		// CMOS is new as well, so the guest tells the runs apart by the exit.
		const { machine, console } = await machineWith([
			...[0x0f, 0xb6, 0x05, ...dword(0x30_0000)], // movzx eax, byte [300000h]
			...[0x04, 0x30], // add al, '0'
			...[0xba, ...dword(COM1), 0xee],
			...[0xc6, 0x05, ...dword(0x30_0000), 7], // mov byte [300000h], 7
			...out8(0xcf9, 0x06),
			...SPIN,
		]);
		console.onPrinted = () => {
			if (console.printed.length === 2) machine.stop();
		};
		await machine.run();
		expect(console.printed).toBe("00");
	});

	it.each(["wall", "virtual"] as const)(
		"wakes a halted guest by the timer, under the %s clock",
		async (clock) => {
			const { machine } = await machineWith(tickCode(3), { clock });
			expect(await machine.run()).toEqual({ kind: "debug-exit", value: 3 });
			expect(machine.statistics().exits.halt).toBeGreaterThanOrEqual(1);
			// 4096 ticks of the 8254.
			expect(machine.statistics().guestSeconds).toBeGreaterThan(0.0034);
		},
	);

	it("runs the same guest the same way twice under the virtual clock", async () => {
		const run = async () => {
			const { machine } = await machineWith(tickCode(1), { clock: "virtual" });
			await machine.run();
			const { instructionsRetired, guestSeconds } = machine.statistics();
			return { instructionsRetired, guestSeconds };
		};
		expect(await run()).toEqual(await run());
	});

	it("stops when told to, however busy the guest is", async () => {
		const { machine } = await machineWith(SPIN);
		setTimeout(() => machine.stop(), 20);
		expect(await machine.run()).toEqual({ kind: "stopped" });
		expect(machine.statistics().instructionsRetired).toBeGreaterThan(1000);
	});

	it("stops a guest that sleeps", async () => {
		const { machine } = await machineWith([STI, HLT, ...SPIN]);
		setTimeout(() => machine.stop(), 20);
		expect(await machine.run()).toEqual({ kind: "stopped" });
	});

	it("does not start a guest that was stopped before", async () => {
		const { machine } = await machineWith(SPIN);
		machine.stop();
		expect(await machine.run()).toEqual({ kind: "stopped" });
		expect(machine.statistics().instructionsRetired).toBe(0);
	});

	it.each([
		[1 * MIB, /too little/],
		[2 ** 40, /too much/],
		[8 * MIB + 1, /multiple of 4 KiB/],
	])("refuses %i bytes of memory", async (memoryBytes, message) => {
		await expect(machineWith(SPIN, { memoryBytes })).rejects.toMatchObject({
			message: expect.stringMatching(message),
			exitStatus: 2,
		});
	});

	it("refuses a debug exit where a device is", async () => {
		const made = machineWith(SPIN, { debugExitPort: COM1 });
		await expect(made).rejects.toMatchObject({
			message: expect.stringContaining("0x3f8"),
			exitStatus: 2,
		});
	});

	it("has a descriptor page above RAM where CPUID says, also after a restart", async () => {
		const code = [
			...[0xb8, ...dword(0x4000_0101), 0x0f, 0xa2], // mov eax; cpuid
			...[0xc1, 0xe3, 12], // shl ebx, 12
			...[0x8a, 0x03, 0x04, 0x30], // mov al, [ebx]; add al, '0'
			...[0xba, ...dword(COM1), 0xee], // mov edx; out dx, al
			...[0xb8, ...dword(2), 0xb9, ...dword(2)], // SHUTDOWN, to restart
			...[0x0f, 0x01, 0xc1], // vmcall
		];
		const { machine, console } = await machineWith(code, {
			transport: "lguest",
			entropy: true,
		});
		console.onPrinted = () => {
			if (console.printed.length >= 3) machine.stop();
		};
		expect(await machine.run()).toEqual({ kind: "stopped" });
		expect(console.printed.slice(0, 3)).toBe("444");
	});

	it("powers off by a hypercall on the lguest bus, and refuses it elsewhere", async () => {
		const code = [
			...[0xb8, ...dword(2), 0xb9, ...dword(1)], // SHUTDOWN, power off
			...[0x0f, 0x01, 0xc1], // vmcall
		];
		const { machine } = await machineWith(code, { transport: "lguest" });
		expect(await machine.run()).toEqual({ kind: "poweroff" });
		const other = await machineWith([...code, 0xfa, 0xf4]); // cli; hlt
		expect((await other.machine.run()).kind).toBe("halted-forever");
		const { GPR } = fields;
		expect(other.machine.cpu.state.get32(GPR, 0)).toBe(-1000);
	});
});
