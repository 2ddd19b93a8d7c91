/**
 * Where everything lies in a machine's one `WebAssembly.Memory`.
 *
 * | from | what |
 * | --- | --- |
 * | 0 | never used: a host address of 0 means "no address" |
 * | STATE_BASE | vCPU state (`state.ts`) |
 * | JUMP_CACHE_BASE | physical code address → decoded record |
 * | TLB_BASE | one word for each 4 KiB of the 32-bit linear space (`mmu/tlb.ts`) |
 * | ARENA_BASE | decoded records of the cold engine |
 * | RAM_BASE | guest physical memory |
 *
 * A host address below RAM_BASE handed out by the MMU is a staging buffer.
 *
 * @journey E:190 One memory
 */

export const WASM_PAGE_BYTES = 0x1_0000;

export const STATE_BASE = 0x1000;

export const JUMP_CACHE_BASE = 0x1_0000;
/** Power of two. */
export const JUMP_CACHE_ENTRIES = 0x4000;
/** Host address of the code byte (u32), record address (u32). */
export const JUMP_CACHE_ENTRY_BYTES = 8;

export const TLB_BASE = 0x4_0000;
export const TLB_ENTRIES = 0x10_0000;

export const ARENA_BASE = TLB_BASE + TLB_ENTRIES * 4;
export const ARENA_BYTES = 0x200_0000;

export const RAM_BASE = ARENA_BASE + ARENA_BYTES;
