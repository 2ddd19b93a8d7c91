/**
 * What a hypervisor below keeps for itself: a paravirtual one takes some of
 * INT's vectors as calls, even from user mode, and answers in its own way.
 * Which, the oracle tells: each vector is tried once.
 *
 * Relies on oracle.ts; the generator relies on it.
 *
 * @journey M:615 Who else answers
 */
import { parseCase, type SiliconResult } from "./case.ts";
import { SubjectControl } from "./environment.ts";
import { oracleUnavailable, runOnSilicon } from "./oracle.ts";

const VECTOR_GP = 13;
/** The system call of 32-bit programs, never generated. */
const SYSTEM_CALL = 0x80;

let taken: ReadonlySet<number> | undefined;

/** INT n has a gate that user mode may not use, so it faults with that gate's error code. */
function isRefused(vector: number, result: SiliconResult): boolean {
	return result.vector === VECTOR_GP && result.errorCode === vector * 8 + 2;
}

function findTaken(): ReadonlySet<number> {
	const allowed: readonly number[] = SubjectControl.userVectors;
	const vectors = Array.from({ length: 256 }, (_, vector) => vector).filter(
		(vector) => vector !== SYSTEM_CALL && !allowed.includes(vector),
	);
	const results = runOnSilicon(
		vectors.map((vector) => {
			const byte = vector.toString(16).padStart(2, "0");
			return parseCase(
				`64 code=2048/CD~INT:cd${byte} r4=20000800 seg=2b,2b,0,0`,
			);
		}),
	);
	return new Set(
		vectors.filter(
			(vector, i) => !isRefused(vector, results[i] as SiliconResult),
		),
	);
}

/** Vectors that INT reaches no gate of the kernel by; none where there is no oracle to ask. */
export function vectorsOfHypervisor(): ReadonlySet<number> {
	taken ??= oracleUnavailable() === undefined ? findTaken() : new Set();
	return taken;
}
