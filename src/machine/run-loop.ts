/**
 * The loop that everything else exists for. It is meant to be read first: what
 * is done for a guest, and in which order, all on one screen.
 *
 * Relies on a CPU that runs a number of instructions and says why it came
 * back, on a clock, and on the serial console; the machine relies on it.
 *
 * @journey H:110 The loop
 */

import type { ExitReason } from "../cpu/index.ts";
import type { Alarm } from "./alarm.ts";
import type { MachineClock } from "./clock.ts";

/** As much of the CPU as the loop needs. */
export interface RunnableCpu {
	run(budget: number): ExitReason;
	/** Instructions since the start, below 2^53. */
	retiredCount(): number;
	/** Whether the guest has interrupts on: otherwise HLT would be for ever. */
	interruptible(): boolean;
	/** Whether some interrupt waits to be taken. */
	interruptPending(): boolean;
}

/** What the loop connects. `Ending` is the caller's: why a guest wants to end. */
export interface RunLoopParts<Ending> {
	readonly cpu: RunnableCpu;
	readonly clock: MachineClock;
	readonly alarm: Alarm;
	/** Offers the guest what was typed; called only while it takes interrupts. */
	readonly feed: () => void;
	/** Hands the guest's output over; resolves when there is room for more. */
	readonly flush: () => Promise<void>;
	/** Gives the embedder its turn: keys, signals, timers of its own. */
	readonly breathe: () => Promise<void>;
	/** Whether a device waits for its backend, which needs turns to get on. */
	readonly ioBusy: () => boolean;
	/** Whether the embedder wants the guest to stand still, which it does in `breathe`. */
	readonly pausing: () => boolean;
	/** What a chip or the embedder has asked for, if anything. */
	readonly ending: () => Ending | undefined;
	/** Counts why the CPU came back. */
	readonly onExit: (reason: ExitReason) => void;
}

/** The two ends that the CPU itself reports. */
export type CpuEnding = "triple-fault" | "halted-forever";

/** Runs the guest until it ends; the ending is the value. */
export async function runLoop<Ending>(
	parts: RunLoopParts<Ending>,
): Promise<Ending | CpuEnding> {
	const { cpu, clock } = parts;
	for (;;) {
		// Chips whose time has come act; some raise their interrupt line.
		clock.runDue();
		// So do keys, if the guest has interrupts on and is not setting up the port.
		if (cpu.interruptible()) parts.feed();
		// Did somebody pull the plug? The guest, by a port, or the embedder.
		const ending = parts.ending();
		if (ending !== undefined) return finish(parts, ending);
		// Now and then the embedder gets its turn, however busy the guest is; more
		// often while a disk is at work on the other side.
		if (clock.breathDue() || parts.ioBusy() || parts.pausing()) {
			await parts.flush();
			await parts.breathe();
			clock.breathed();
		}
		// Into the guest. It takes its interrupts itself.
		const reason = runSlice(parts);
		if (reason === "triple-fault") return finish(parts, reason);
		// HLT: nothing to do until a timer or a key, so let the processor rest.
		if (reason === "halt" && parts.ending() === undefined) {
			if (!cpu.interruptible()) return finish(parts, "halted-forever");
			await parts.flush();
			// A disk may have answered while the output was handed over.
			if (!cpu.interruptPending()) await clock.idle(parts.alarm);
		}
	}
}

function runSlice(parts: RunLoopParts<unknown>): ExitReason {
	const { cpu, clock } = parts;
	const before = cpu.retiredCount();
	const reason = cpu.run(clock.nextSlice());
	clock.sliceEnded(cpu.retiredCount() - before);
	parts.onExit(reason);
	return reason;
}

/** Whatever the guest said last must not be lost. */
async function finish<Result>(
	parts: RunLoopParts<unknown>,
	result: Result,
): Promise<Result> {
	await parts.flush();
	return result;
}
