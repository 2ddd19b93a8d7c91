/**
 * The processor as RESET leaves it (Intel SDM vol. 3, "Processor State After
 * Reset"): real mode, 16 bytes below 4 GiB, everything else at rest.
 *
 * @journey E:579 From the beginning
 */

import { writeEflags } from "../flags.ts";
import {
	CR0,
	DR,
	FIELDS,
	FPU_CONTROL,
	GDTR_LIMIT,
	GPR,
	IDTR_LIMIT,
	MXCSR,
	PAT,
	RIP,
	SEGMENT_BASE,
	SHADOW,
} from "../state.ts";
import type { StateView } from "../state-view.ts";
import { DR6_FIXED } from "./debug-status.ts";
import { resetSegments } from "./segments.ts";

const CR0_CD_NW_ET = 0x6000_0010;
const RESET_RIP = 0xfff0;
const RESET_CS_BASE = 0xffff_0000;
const CS = 1;
const RDX = 2;
/** Write-back, write-through, uncached-minus, uncached, twice over. */
const PAT_DEFAULT = 0x0007_0406_0007_0406n;

/** `signature`: CPUID's family, model and stepping, which RESET leaves in EDX. */
export function resetState(state: StateView, signature: number): void {
	for (const field of FIELDS) {
		for (let i = 0; i < field.count; i++) {
			state.setBytes(field, new Uint8Array(field.size), i);
		}
	}
	resetSegments(state);
	state.view.setUint32(state.segmentAt(CS, SEGMENT_BASE), RESET_CS_BASE, true);
	writeEflags(state, 0);
	state.setWide(RIP, RESET_RIP);
	state.setWide(CR0, CR0_CD_NW_ET);
	state.setWide(GPR, signature >>> 0, RDX);
	state.set32(GDTR_LIMIT, 0xffff);
	state.set32(IDTR_LIMIT, 0xffff);
	state.setWide(DR, DR6_FIXED >>> 0, 6);
	state.setWide(DR, 0x400, 7);
	state.setBig(PAT, PAT_DEFAULT);
	state.set32(FPU_CONTROL, 0x40);
	state.set32(MXCSR, 0x1f80);
	state.set32(SHADOW, -1);
}
