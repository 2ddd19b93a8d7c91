/**
 * What is compared with silicon. An engine becomes a subject by setting up
 * the world of environment.ts (flat and LDT segments, the pages, the control
 * bits), loading a case's state, running until the first exception, and
 * reading the state back.
 *
 * Relies on case.ts; harness.ts relies on it.
 *
 * @journey M:640 What is compared with silicon
 */
import type { SiliconCase, SiliconResult } from "./case.ts";

/** Runs cases one by one; each must start from nothing but its own state. */
export interface Subject {
	readonly name: string;
	/** Modes it can run. */
	readonly modes: readonly (32 | 64)[];
	/** Announces the cases that `run` will be called with next. */
	prepare?(cases: readonly SiliconCase[]): void;
	run(test: SiliconCase): SiliconResult;
}

/** Makes a fresh subject; may load code, so it can be slow and asynchronous. */
export type SubjectFactory = () => Promise<Subject> | Subject;
