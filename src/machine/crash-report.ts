/**
 * What is left to say about a guest after a triple fault: where it was, in
 * which mode, what the code there is, and what the registers held. A bug
 * report with these lines can be worked on without the guest.
 *
 * Relies on the CPU's face; the machine relies on it.
 *
 * @journey H:140 The black box
 */

import { type Cpu, fields, readEflags } from "../cpu/index.ts";

/** A dead CPU, in words and numbers. */
export interface CrashReport {
	/** Offset in CS, as the manual's RIP. */
	readonly rip: bigint;
	/** "32-bit protected mode with paging, CPL 0" and the like. */
	readonly mode: string;
	/** From RIP on; undefined = no page is there. */
	readonly code: readonly (number | undefined)[];
	/** Several lines, for people. */
	readonly registers: string;
}

const CODE_BYTES = 16;
const CS = 1;
const CR0_PE = 1;
const CR0_PG = 0x8000_0000;
const EFLAGS_VM = 1 << 17;
const EFER_LMA = 1 << 10;
const ATTRIBUTE_LONG = 1 << 13;
const ATTRIBUTE_BIG = 1 << 14;

/** Reads everything out of a CPU that has stopped, and changes nothing that matters any more. */
export function crashReport(cpu: Cpu): CrashReport {
	// First of all: reading code may overwrite CR2.
	const registers = describeRegisters(cpu);
	return {
		rip: cpu.state.getBig(fields.RIP),
		mode: describeMode(cpu),
		code: codeAtRip(cpu),
		registers,
	};
}

/** As one would say it: "0f 0b ?? ??". */
export function formatCode(code: CrashReport["code"]): string {
	return code
		.map((byte) => byte?.toString(16).padStart(2, "0") ?? "??")
		.join(" ");
}

function describeMode({ state }: Cpu): string {
	const level = `CPL ${state.get32(fields.CPL)}`;
	const cr0 = state.get32(fields.CR0);
	if (!(cr0 & CR0_PE)) return "16-bit real mode";
	const paging = cr0 & CR0_PG ? "with paging" : "without paging";
	if (state.get32(fields.EFLAGS) & EFLAGS_VM) {
		return `16-bit virtual-8086 mode ${paging}, ${level}`;
	}
	const attributes = segmentPart(state, fields.SEGMENT_ATTRIBUTES);
	const width = attributes & ATTRIBUTE_BIG ? 32 : 16;
	if (state.get32(fields.EFER) & EFER_LMA) {
		return attributes & ATTRIBUTE_LONG
			? `64-bit mode, ${level}`
			: `${width}-bit compatibility mode, ${level}`;
	}
	return `${width}-bit protected mode ${paging}, ${level}`;
}

function codeAtRip(cpu: Cpu): (number | undefined)[] {
	const { state } = cpu;
	const rip = state.getWide(fields.RIP);
	const long =
		(segmentPart(state, fields.SEGMENT_ATTRIBUTES) & ATTRIBUTE_LONG) !== 0;
	const base = long ? 0 : segmentPart(state, fields.SEGMENT_BASE) >>> 0;
	return Array.from({ length: CODE_BYTES }, (_, index) => {
		const linear = base + rip + index;
		return byteAt(cpu, long ? linear : linear >>> 0);
	});
}

/** Guest faults while looking are an answer, too. */
function byteAt(cpu: Cpu, linear: number): number | undefined {
	try {
		return cpu.mmu.readU8(linear, false);
	} catch {
		return undefined;
	}
}

function segmentPart(state: Cpu["state"], offset: number): number {
	return state.view.getInt32(state.segmentAt(CS, offset), true);
}

const REGISTER_ROWS = [
	["rax", "rbx", "rcx", "rdx"],
	["rsi", "rdi", "rbp", "rsp"],
	["r8", "r9", "r10", "r11"],
	["r12", "r13", "r14", "r15"],
] as const;
/** Numbers of the above in encoding order. */
const REGISTER_NUMBERS = [
	[0, 3, 1, 2],
	[6, 7, 5, 4],
	[8, 9, 10, 11],
	[12, 13, 14, 15],
] as const;
const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs", "ldt", "tr"];

function describeRegisters(cpu: Cpu): string {
	const { state } = cpu;
	const long = (state.get32(fields.EFER) & EFER_LMA) !== 0;
	const hex = (value: bigint): string =>
		value.toString(16).padStart(long ? 16 : 8, "0");
	const rows = REGISTER_ROWS.slice(0, long ? 4 : 2).map((names, row) =>
		names
			.map((name, column) => {
				const number = REGISTER_NUMBERS[row]?.[column] ?? 0;
				const shown = long ? name : name.replace("r", "e");
				return `${shown} ${hex(state.getBig(fields.GPR, number))}`;
			})
			.join("  "),
	);
	const control = [
		`cr0 ${hex(state.getBig(fields.CR0))}`,
		`cr2 ${hex(state.getBig(fields.CR2))}`,
		`cr3 ${hex(state.getBig(fields.CR3))}`,
		`cr4 ${hex(state.getBig(fields.CR4))}`,
	].join("  ");
	const flags = hex(BigInt(readEflags(state) >>> 0));
	const segments = SEGMENT_NAMES.map((name, index) => {
		const at = state.segmentAt(index, fields.SEGMENT_SELECTOR);
		const selector = state.view.getUint16(at, true);
		return `${name} ${selector.toString(16).padStart(4, "0")}`;
	}).join("  ");
	return [...rows, control, `eflags ${flags}  ${segments}`].join("\n");
}
