/**
 * What the system architecture needs around it: the state, linear memory, the
 * world, and the identity that CPUID reports. The CPU makes one for each vCPU.
 *
 * Relies on nothing but types; every file of `system/` takes a context, and
 * tests make theirs over an array.
 *
 * @journey E:520 What the system architecture stands on
 */

import type { CpuBus } from "../bus.ts";
import type { StateView } from "../state-view.ts";
import type { CpuIdentity } from "./cpuid.ts";
import type { Supervisor } from "./supervisor.ts";

/** The MMU as seen from here; accesses raise #PF with CR2 set. `user` = as if at CPL 3. */
export interface SystemMmu {
	readU8(linear: number, user: boolean): number;
	readU16(linear: number, user: boolean): number;
	readU32(linear: number, user: boolean): number;
	readU64(linear: number, user: boolean): bigint;
	writeU8(linear: number, value: number, user: boolean): void;
	writeU16(linear: number, value: number, user: boolean): void;
	writeU32(linear: number, value: number, user: boolean): void;
	writeU64(linear: number, value: bigint, user: boolean): void;
	/** Raises what a write of `bytes` at `linear` would raise. */
	probeWrite(linear: number, bytes: number, user: boolean): void;
	/** Drops everything but global pages. */
	flushLocal(): void;
	flushAll(): void;
	invalidatePage(linear: number): void;
	/** Takes in CR0, CR4 and EFER; drops all translations. */
	controlRegistersChanged(): void;
	/** Loads PAE's top level; #GP(0) for reserved bits, with nothing changed. */
	loadPdptes(cr3: number): void;
}

export interface SystemContext {
	readonly state: StateView;
	readonly mmu: SystemMmu;
	readonly bus: CpuBus;
	readonly cpuid: CpuIdentity;
	/** VMCALL and VMMCALL; absent or `false` = #UD. Reads and writes registers itself. */
	hypercall?(): boolean;
	/** Absent on a machine whose level 0 is the guest's. */
	readonly supervisor?: Supervisor | undefined;
}
