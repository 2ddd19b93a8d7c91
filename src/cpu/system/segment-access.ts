/**
 * The exact check of one access through a segment register: type, limit,
 * direction. Generated code calls it when an offset is not below the
 * register's safe bound; system code calls it for the stack.
 *
 * Relies on the hidden parts that `segments.ts` fills.
 *
 * @journey E:523 When the quick check says maybe
 */

import { raise, VECTOR_GP, VECTOR_SS } from "../exceptions.ts";
import {
	SEGMENT_ATTRIBUTES,
	SEGMENT_LIMIT,
	SEGMENT_UNUSABLE,
	segmentOffset,
} from "../state.ts";
import type { StateView } from "../state-view.ts";
import type { SystemContext } from "./context.ts";
import {
	ATTRIBUTE_BIG,
	ATTRIBUTE_CODE_OR_DATA,
	ATTRIBUTE_PRESENT,
	SS,
	TYPE_CODE,
	TYPE_EXPAND_DOWN,
} from "./descriptors.ts";
import {
	mayRead,
	mayWrite,
	segmentAttributes,
	segmentBase,
} from "./segments.ts";

/** How the access is meant, as generated code says it (2 = read what will be written). */
export const INTENT_READ = 0;
export const INTENT_WRITE = 1;

const STACK_OFFSET = segmentOffset(SS);
const HIGHEST = 0xffff_ffff;

/**
 * Raises #GP(0), or #SS(0) through SS, unless `bytes` bytes at `offset` may be
 * accessed. `at` is the register's offset in the state.
 */
export function checkSegmentAccess(
	state: StateView,
	at: number,
	offset: number,
	bytes: number,
	intent: number,
): void {
	const view = state.view;
	const record = state.base + at;
	const attributes = view.getInt32(record + SEGMENT_ATTRIBUTES, true);
	const limit = view.getUint32(record + SEGMENT_LIMIT, true);
	if (
		!allowsIntent(attributes, intent) ||
		!withinLimit(attributes, limit, offset >>> 0, bytes)
	) {
		raise(at === STACK_OFFSET ? VECTOR_SS : VECTOR_GP, 0);
	}
}

function allowsIntent(attributes: number, intent: number): boolean {
	const needed = ATTRIBUTE_PRESENT | ATTRIBUTE_CODE_OR_DATA;
	if ((attributes & (needed | SEGMENT_UNUSABLE)) !== needed) return false;
	return intent === INTENT_READ ? mayRead(attributes) : mayWrite(attributes);
}

/**
 * Every byte inside the limit; with a limit of 4 GiB no access may wrap round
 * to 0 either. The manual leaves that open, processors fault (Intel SDM vol. 3,
 * "Limit Checking").
 */
export function withinLimit(
	attributes: number,
	limit: number,
	offset: number,
	bytes: number,
): boolean {
	const last = offset + bytes - 1;
	if ((attributes & (TYPE_CODE | TYPE_EXPAND_DOWN)) === TYPE_EXPAND_DOWN) {
		const top = attributes & ATTRIBUTE_BIG ? HIGHEST : 0xffff;
		return offset > limit && last <= top;
	}
	return last <= limit;
}

/** Linear address of `bytes` bytes in the current stack segment, checked for reading. */
export function stackAddress(
	cpu: SystemContext,
	offset: number,
	bytes: number,
): number {
	const state = cpu.state;
	checkSegmentAccess(state, STACK_OFFSET, offset, bytes, INTENT_READ);
	return (segmentBase(state, SS) + offset) >>> 0;
}

/** 0xffff or 0xffffffff: the part of ESP that addresses the current stack. */
export function stackMask(state: StateView): number {
	return stackMaskOf(segmentAttributes(state, SS));
}

/** The same for a stack segment's attributes; as a signed 32-bit mask. */
export function stackMaskOf(attributes: number): number {
	return attributes & ATTRIBUTE_BIG ? -1 : 0xffff;
}
