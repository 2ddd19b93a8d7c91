/**
 * Puts the CPU where a boot protocol wants it: the loaders say what the guest
 * must find, in words that know no CPU; here the words become state.
 *
 * Relies on the CPU's face; the machine relies on it.
 *
 * @journey H:135 Ready at the first instruction
 */

import type {
	InitialCpuState,
	InitialSegment,
} from "../boot/initial-cpu-state.ts";
import { type Cpu, fields, setSegment, writeEflags } from "../cpu/index.ts";

/** In encoding order, which is the order of `fields.GPR`. */
const REGISTER_ORDER = [
	"eax",
	"ecx",
	"edx",
	"ebx",
	"esp",
	"ebp",
	"esi",
	"edi",
] as const;

/** ES CS SS DS FS GS as `fields.SEGMENT` counts them. */
const CS = 1;
const DATA_SEGMENTS = [0, 2, 3, 4, 5] as const;

/** Resets the CPU and enters `initial`; whatever it does not name is as after a reset. */
export function enterInitialState(cpu: Cpu, initial: InitialCpuState): void {
	cpu.reset();
	const { state } = cpu;
	for (const [index, name] of REGISTER_ORDER.entries()) {
		state.setGpr32(index, initial.registers[name]);
	}
	state.setWide(fields.RIP, initial.eip);
	writeEflags(state, initial.eflags);
	state.setWide(fields.CR0, initial.cr0);
	state.setWide(fields.CR3, initial.cr3);
	state.setWide(fields.CR4, initial.cr4);
	load(cpu, CS, initial.cs);
	for (const index of DATA_SEGMENTS) load(cpu, index, initial.data);
	load(cpu, fields.TR, initial.tr);
	state.setWide(fields.GDTR_BASE, initial.gdtr.address);
	state.set32(fields.GDTR_LIMIT, initial.gdtr.limit);
	state.setWide(fields.IDTR_BASE, initial.idtr.address);
	state.set32(fields.IDTR_LIMIT, initial.idtr.limit);
	cpu.controlChanged();
}

function load(cpu: Cpu, index: number, segment: InitialSegment): void {
	const { selector, base, limit, attributes } = segment;
	setSegment(cpu.state, index, selector, base, limit, attributes);
}
