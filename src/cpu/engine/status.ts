/**
 * How generated code says what happens next. Handlers return these to the cold
 * loop, system operations to handlers, and the loop hands those that need the
 * run loop to `cpu.ts`.
 *
 * @journey E:420 Ways out of an instruction
 */

/** Done; go on with the next instruction. */
export const STATUS_NEXT = 0;
/** Done; RIP in the state says where to go on. */
export const STATUS_JUMP = 1;
/** Done for this time; the same instruction goes on (REP). */
export const STATUS_REPEAT = 2;
/** Not executed: run the same record again (its handler was just made). */
export const STATUS_RETRY = 3;
/** Not executed: an exception is described in FAULT_*. Leaves the loop. */
export const STATUS_FAULT = 4;
/** Done; leave the loop with RIP at the next instruction. */
export const STATUS_STOP = 5;
/** Done; RIP is in the state already; leave the loop. */
export const STATUS_STOP_JUMP = 6;
/** The budget ran out before an instruction: RIP is where to go on. */
export const STATUS_BUDGET = 7;

/** A region was left before the instruction of the record in REGION_EXIT: the cold engine runs it. */
export const STATUS_COLD = 8;

export type Status = number;
