/**
 * What the run loop calls when an exception or a hardware interrupt is due,
 * and what becomes of exceptions that hit while another one is delivered
 * (Intel SDM vol. 3, "Interrupt 8—Double Fault Exception (#DF)").
 *
 * Relies on `interrupts.ts` for one delivery.
 *
 * @journey E:541 When it rains, it pours
 */

import {
	asFault,
	type GuestFault,
	VECTOR_DB,
	VECTOR_DE,
	VECTOR_DF,
	VECTOR_GP,
	VECTOR_NP,
	VECTOR_PF,
	VECTOR_SS,
	VECTOR_TS,
} from "../exceptions.ts";
import { HALTED } from "../state.ts";
import type { SystemContext } from "./context.ts";
import { openDebugRegisters } from "./debug-status.ts";
import {
	deliverInterrupt,
	type InterruptKind,
	KIND_EXCEPTION,
	KIND_HARDWARE,
	NO_ERROR_CODE,
} from "./interrupts.ts";

/** `shutdown`: a triple fault; HALTED says so too, and only a reset helps. */
export type DeliveryResult = "ok" | "shutdown";

/** HALTED's values. */
export const HALTED_WAITING = 1;
export const HALTED_SHUTDOWN = 2;

/** No double fault can follow from these (vector of a benign event). */
const BENIGN = -1;

/** Delivers an exception of the instruction at RIP. */
export function deliverException(
	cpu: SystemContext,
	fault: GuestFault,
): DeliveryResult {
	const errorCode = fault.errorCode ?? NO_ERROR_CODE;
	if (fault.vector === VECTOR_DB) openDebugRegisters(cpu.state);
	return deliverInSeries(cpu, fault.vector, KIND_EXCEPTION, errorCode);
}

/** Delivers an interrupt from outside (INTR or NMI) before the instruction at RIP. */
export function deliverHardwareInterrupt(
	cpu: SystemContext,
	vector: number,
): DeliveryResult {
	cpu.state.set32(HALTED, 0);
	return deliverInSeries(cpu, vector, KIND_HARDWARE, NO_ERROR_CODE);
}

function deliverInSeries(
	cpu: SystemContext,
	firstVector: number,
	firstKind: InterruptKind,
	firstErrorCode: number,
): DeliveryResult {
	let vector = firstVector;
	let kind = firstKind;
	let errorCode = firstErrorCode;
	for (;;) {
		try {
			deliverInterrupt(cpu, vector, kind, errorCode);
			return "ok";
		} catch (thrown) {
			const next = asFault(thrown);
			const first = kind === KIND_EXCEPTION ? vector : BENIGN;
			const combined = combine(first, next.vector);
			if (combined === undefined) {
				cpu.state.set32(HALTED, HALTED_SHUTDOWN);
				return "shutdown";
			}
			vector = combined;
			kind = KIND_EXCEPTION;
			errorCode =
				combined === VECTOR_DF ? 0 : (next.errorCode ?? NO_ERROR_CODE);
		}
	}
}

/** The exception to deliver when `second` hits the delivery of `first`; undefined = shutdown. */
function combine(first: number, second: number): number | undefined {
	const serious = isContributory(second) || second === VECTOR_PF;
	if (first === VECTOR_DF) return serious ? undefined : second;
	if (first === VECTOR_PF && serious) return VECTOR_DF;
	const both = isContributory(first) && isContributory(second);
	return both ? VECTOR_DF : second;
}

/** Exceptions that say that delivering itself may be broken. */
function isContributory(vector: number): boolean {
	return (
		vector === VECTOR_DE ||
		vector === VECTOR_TS ||
		vector === VECTOR_NP ||
		vector === VECTOR_SS ||
		vector === VECTOR_GP
	);
}
