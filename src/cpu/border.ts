/**
 * The border between generated code and TypeScript. Nothing is thrown through
 * generated code: what an import raises is noted in the state, and the import
 * answers that there is a fault.
 *
 * @journey S:102 Nothing is thrown across
 */

import type { EngineImports } from "./engine/cold-engine.ts";
import { INTENT_BITS } from "./engine/instruction-emitter.ts";
import { STATUS_FAULT, type Status } from "./engine/status.ts";
import { asFault, GuestFault, VECTOR_PF } from "./exceptions.ts";
import type { InstructionFetch } from "./instruction-fetch.ts";
import { RAM_BASE } from "./memory-layout.ts";
import { linear32, linear48, linear64 } from "./mmu/linear-address.ts";
import type { Mmu } from "./mmu/mmu.ts";
import { modeCodeSize } from "./mode.ts";
import {
	FAULT_ERROR_CODE,
	FAULT_HAS_ERROR_CODE,
	FAULT_VECTOR,
	MODE,
} from "./state.ts";
import type { StateView } from "./state-view.ts";
import { checkSegmentAccess } from "./system/segment-access.ts";

/** The imports by which generated code reaches memory, the next instruction and system operations. */
type BorderImports = Pick<
	EngineImports,
	| "translate"
	| "checkSegment"
	| "commit"
	| "fetchPage"
	| "fetchWidePage"
	| "system"
	| "resolve"
>;

/** Runs a system operation by its number; raises the guest's faults. */
export type Operate = (
	operation: number,
	a: number,
	b: number,
	c: number,
) => Status;

export function borderImports(
	state: StateView,
	mmu: Mmu,
	fetch: InstructionFetch,
	operate: Operate,
): BorderImports {
	return {
		fetchPage: (linear, host) => isAt(fetch.tryPhysical(linear >>> 0), host),
		fetchWidePage: (low, high, host) =>
			isAt(fetch.tryPhysical(linear48(low, high)), host),
		translate: (low, high, bytes, intent) => {
			try {
				const segment = intent >>> INTENT_BITS;
				const kind = intent & ((1 << INTENT_BITS) - 1);
				const isLong = modeCodeSize(state.get32(MODE)) === 64;
				const linear = isLong
					? linear64(low, high, bytes, segment)
					: linear32(low, bytes, segment);
				const host = mmu.translate(linear, bytes, kind);
				if (host === 0) note(state, VECTOR_PF, mmu.pageFaultCode);
				return host;
			} catch (fault) {
				noteFault(state, fault);
				return 0;
			}
		},
		checkSegment: (segment, offset, bytes, intent) => {
			try {
				checkSegmentAccess(state, segment, offset, bytes, intent);
				return 1;
			} catch (fault) {
				noteFault(state, fault);
				return 0;
			}
		},
		commit: () => mmu.commit(),
		system: (operation, a, b, c) => {
			try {
				return operate(operation, a, b, c);
			} catch (fault) {
				noteFault(state, fault);
				return STATUS_FAULT;
			}
		},
		resolve: () => {
			try {
				return fetch.record();
			} catch (fault) {
				noteFault(state, fault);
				return 0;
			}
		},
	};
}

function isAt(physical: number | undefined, host: number): 0 | 1 {
	return physical !== undefined && RAM_BASE + physical === host >>> 0 ? 1 : 0;
}

/** The fault that generated code came back with. */
export function notedFault(state: StateView): GuestFault {
	const code = state.get32(FAULT_HAS_ERROR_CODE)
		? state.get32(FAULT_ERROR_CODE)
		: undefined;
	return new GuestFault(state.get32(FAULT_VECTOR), code);
}

function noteFault(state: StateView, thrown: unknown): void {
	const { vector, errorCode } = asFault(thrown);
	note(state, vector, errorCode);
}

function note(
	state: StateView,
	vector: number,
	errorCode: number | undefined,
): void {
	state.set32(FAULT_VECTOR, vector);
	state.set32(FAULT_HAS_ERROR_CODE, errorCode === undefined ? 0 : 1);
	state.set32(FAULT_ERROR_CODE, errorCode ?? 0);
}
