/**
 * What RET FAR and IRET have in common: checking the CS and SS they return to,
 * and taking data segments away that the outer level must not see.
 *
 * Relies on `segments.ts`; `far-transfers.ts` and `interrupt-return.ts` rely
 * on it.
 *
 * @journey E:531 The way out
 */

import { raise, VECTOR_GP, VECTOR_NP, VECTOR_SS } from "../exceptions.ts";
import { CPL } from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext } from "./context.ts";
import {
	ATTRIBUTE_CODE_OR_DATA,
	CS,
	DS,
	dplOf,
	dplOfAttributes,
	ES,
	FS,
	GS,
	isCode,
	isConformingCode,
	isPresent,
	isWritableData,
	limitOf,
	SS,
	TYPE_CODE,
	TYPE_CONFORMING,
} from "./descriptors.ts";
import { stackMask } from "./segment-access.ts";
import {
	isNull,
	isUsable,
	markAccessed,
	readHigh,
	readLow,
	requireDescriptor,
	SELECTOR_RPL,
	segmentAttributes,
	segmentLimit,
	selectorError,
	setNullSegment,
	setParagraphSegment,
	setSegmentFromDescriptor,
} from "./segments.ts";
import { setEsp, setRip } from "./slots.ts";

/** A far pointer to code, in real or virtual-8086 mode. */
export function transferByParagraph(
	state: StateView,
	selector: number,
	offset: number,
): void {
	if (offset > segmentLimit(state, CS)) raise(VECTOR_GP, 0);
	setParagraphSegment(state, CS, selector);
	setRip(state, offset);
}

/**
 * Where a return leads. It is kept in fields between checking and going there,
 * because nothing may change before the last check, and IRET is too frequent
 * to make objects or to read descriptors twice.
 */
export class ReturnTarget {
	#codeSelector = 0;
	#codeLow = 0;
	#codeHigh = 0;
	#stackSelector = 0;
	#stackLow = 0;
	#stackHigh = 0;

	/** Checks the code segment; its RPL is the level returned to. */
	checkCode(cpu: SystemContext, selector: number, offset: number): void {
		const state = cpu.state;
		if (isNull(selector)) raise(VECTOR_GP, 0);
		const address = requireDescriptor(state, selector, VECTOR_GP);
		const high = readHigh(cpu, address);
		const level = selector & SELECTOR_RPL;
		const dpl = dplOf(high);
		const allowed = isConformingCode(high) ? dpl <= level : dpl === level;
		if (level < state.get32(CPL) || !isCode(high) || !allowed) {
			raise(VECTOR_GP, selectorError(selector));
		}
		if (!isPresent(high)) raise(VECTOR_NP, selectorError(selector));
		const low = readLow(cpu, address);
		if (offset > limitOf(low, high)) raise(VECTOR_GP, 0);
		this.#codeSelector = selector;
		this.#codeLow = low;
		this.#codeHigh = markAccessed(cpu, address, high);
	}

	/** Checks the stack segment of the outer level that `checkCode` found. */
	checkStack(cpu: SystemContext, selector: number): void {
		if (isNull(selector)) raise(VECTOR_GP, 0);
		const level = this.#codeSelector & SELECTOR_RPL;
		const address = requireDescriptor(cpu.state, selector, VECTOR_GP);
		const high = readHigh(cpu, address);
		if (
			(selector & SELECTOR_RPL) !== level ||
			dplOf(high) !== level ||
			!isWritableData(high)
		) {
			raise(VECTOR_GP, selectorError(selector));
		}
		if (!isPresent(high)) raise(VECTOR_SS, selectorError(selector));
		this.#stackSelector = selector;
		this.#stackLow = readLow(cpu, address);
		this.#stackHigh = markAccessed(cpu, address, high);
	}

	/** Loads CS:EIP. */
	enterCode(state: StateView, offset: number): void {
		setSegmentFromDescriptor(
			state,
			CS,
			this.#codeSelector,
			this.#codeLow,
			this.#codeHigh,
		);
		setRip(state, offset);
	}

	/** Loads SS:ESP and enters the outer level. */
	enterStack(state: StateView, pointer: number): void {
		setSegmentFromDescriptor(
			state,
			SS,
			this.#stackSelector,
			this.#stackLow,
			this.#stackHigh,
		);
		setEsp(state, pointer, stackMask(state));
		const level = this.#codeSelector & SELECTOR_RPL;
		state.set32(CPL, level);
		dropInnerSegments(state, level);
	}
}

/** Before the outer `level` goes on. */
export function dropInnerSegments(state: StateView, level: number): void {
	dropInnerSegment(state, ES, level);
	dropInnerSegment(state, DS, level);
	dropInnerSegment(state, FS, level);
	dropInnerSegment(state, GS, level);
}

/** Intel SDM vol. 2, RET, "RETURN-TO-OUTER-PRIVILEGE-LEVEL": no inner data is left behind. */
function dropInnerSegment(
	state: StateView,
	index: number,
	level: number,
): void {
	const attributes = segmentAttributes(state, index);
	const conforming = TYPE_CODE | TYPE_CONFORMING;
	if (
		isUsable(attributes) &&
		(attributes & ATTRIBUTE_CODE_OR_DATA) !== 0 &&
		(attributes & conforming) !== conforming &&
		dplOfAttributes(attributes) < level
	) {
		setNullSegment(state, index, 0);
	}
}
