/**
 * What a page's main thread does, task by task, as the browser traces it. A
 * task's time on the clock is what its user waits; how much of it the thread
 * really worked is what the page can be blamed for, however busy the machine is.
 */

import type { Browser, Page } from "playwright-core";

/** Milliseconds of one task, or of the longest of several. */
export interface Task {
	readonly clockMs: number;
	readonly workMs: number;
}

/** As much of Chromium's trace events as counts here; times in microseconds. */
interface TraceEvent {
	readonly name: string;
	readonly ph: string;
	readonly pid: number;
	readonly tid: number;
	readonly dur?: number;
	/** Of `dur`, what the thread was running. */
	readonly tdur?: number;
}

const TASK = "ThreadControllerImpl::RunTask";
const MARK = "lguest-watched";

/** All tasks of the page's main thread while `act` does something to it. */
export async function watchTasks(
	browser: Browser,
	page: Page,
	act: () => Promise<void>,
): Promise<Task[]> {
	await browser.startTracing(page, {
		categories: ["toplevel", "blink.user_timing"],
	});
	await act();
	// Tells which of the browser's many threads it is.
	await page.evaluate((mark) => performance.mark(mark), MARK);
	const trace = (await browser.stopTracing()).toString();
	const events: TraceEvent[] = JSON.parse(trace).traceEvents;
	const mark = events.find(({ name }) => name === MARK);
	return events
		.filter(({ name, pid, tid }) => {
			return name === TASK && pid === mark?.pid && tid === mark.tid;
		})
		.map(({ dur = 0, tdur = 0 }) => ({
			clockMs: dur / 1000,
			workMs: tdur / 1000,
		}));
}

/** The longest by the clock, and the most work. */
export function longestOf(tasks: readonly Task[]): Task {
	return {
		clockMs: Math.max(...tasks.map(({ clockMs }) => clockMs)),
		workMs: Math.max(...tasks.map(({ workMs }) => workMs)),
	};
}
