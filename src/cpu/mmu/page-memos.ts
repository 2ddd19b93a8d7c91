/**
 * Memos of pages: for each general register, the page that an access by way of
 * it found last, one for reads and one for writes. Hot code looks there before
 * it asks the TLB: a stack stays in its page for thousands of accesses, and a
 * memo is at an address that is known before the access's own is.
 *
 * | offset | width | of a memo |
 * | --- | --- | --- |
 * | 0 | 8 | linear address of the page; NO_PAGE = the memo does not hold |
 * | 8 | 4 | first offset in the page at which it does not hold; 0 = it does not at all |
 * | 12 | 4 | host address of the page; of a memo that does not hold, how much longer it rests (`page-memo.ts`) |
 *
 * 32-bit code compares the page alone, for none of its addresses is near NO_PAGE.
 * 64-bit code can name every address, and asks how far the memo reaches.
 *
 * A memo says what the TLB said to the privilege level that asked. Whoever changes
 * that, or a mapping, or takes rights from an entry, forgets all memos: they are made again at the next access.
 *
 * @journey E:504 Pages used last
 */

import { MEMO, MEMO_PAGE } from "../state.ts";
import type { StateView } from "../state-view.ts";

/** How many; the second half is for writes. */
export const MEMOS = MEMO.count;
export const WRITE_MEMO = MEMOS / 2;

/** Below it even the widest access, of 16 bytes, ends in the page. */
export const WHOLE_REACH = 4096 - 15;
/** A little less, of a memo that has moved to the next page, and to the one before. */
export const REACH_UP = WHOLE_REACH - 1;
export const REACH_DOWN = WHOLE_REACH - 2;

/** Above all addresses of 32-bit code. */
export const NO_PAGE = 2 ** 48;

const FORGOTTEN = new Uint8Array(MEMOS * MEMO.stride);
for (let memo = 0; memo < MEMOS; memo++) {
	const at = memo * MEMO.stride + MEMO_PAGE;
	new DataView(FORGOTTEN.buffer).setBigUint64(at, BigInt(NO_PAGE), true);
}

/** No memo holds any more; at the start none does either. */
export function forgetMemos(state: StateView): void {
	state.setAll(MEMO, FORGOTTEN);
}
