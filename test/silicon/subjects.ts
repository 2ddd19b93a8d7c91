/**
 * The subjects that the silicon command knows by name.
 *
 * Relies on the subjects; scripts/silicon.ts and the tests rely on it.
 *
 * @journey M:650 Subjects by name
 */
import { CpuSubject } from "./cpu-subject.ts";
import { NativeSubject } from "./native-subject.ts";
import type { SubjectFactory } from "./subject.ts";

/** Name, as given to --engine, → how to make it. */
export const SUBJECTS: Readonly<Record<string, SubjectFactory>> = {
	native: () => new NativeSubject(),
	cold: () => new CpuSubject(),
	hot: () => new CpuSubject("hot"),
};
