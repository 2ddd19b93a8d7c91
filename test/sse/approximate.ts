/**
 * RCP and RSQRT answer from tables, which differ by maker; the manual promises
 * a relative error of at most 1.5 × 2^-12.
 */

import type { Sample } from "./instructions.ts";
import { STATE_BYTES, STATE_XMM } from "./native.ts";

/** Both sides may be off by that much. */
const MOST = (2 * 1.5) / 4096;

/** True for an approximating instruction whose two results are both within the promise. */
export function approximatelyEqual(
	{ row }: Sample,
	expected: DataView,
	actual: DataView,
): boolean {
	if (!/^(RCP|RSQRT)/.test(row.mnemonic)) return false;
	for (let at = 0; at < STATE_BYTES; at += 4) {
		if (expected.getUint32(at, true) === actual.getUint32(at, true)) continue;
		if (at < STATE_XMM) return false;
		const a = expected.getFloat32(at, true);
		const b = actual.getFloat32(at, true);
		// Written so that NaNs and zeros, which must be equal, fail.
		if (!(Math.abs(a / b - 1) <= MOST)) return false;
	}
	return true;
}
