/**
 * Cases for the x87 oracle in the byte form that both sides share: the layouts
 * of native.c's structs.
 *
 * @journey M:742 A case is a state and an instruction
 */

export const IMAGE_BYTES = 160;
/** Image, RAX, RFLAGS; memory follows. */
export const CASE_BYTES = IMAGE_BYTES + 16;
/** Image, RAX, RFLAGS, signal and padding; memory follows. */
export const RESULT_BYTES = IMAGE_BYTES + 32;
export const CODE_ADDRESS = 0x1000_0000;
export const DATA_ADDRESS = 0x2000_0000;
export const SIGFPE = 8;

/** Many cases of one instruction. */
export interface Batch {
	/** 64-bit code; memory operands are [rdx], 17 22 and so on. */
	readonly code: readonly number[];
	/** Multiple of 16. */
	readonly memoryBytes: number;
	readonly count: number;
	/** `count` cases, each CASE_BYTES + memoryBytes long. */
	readonly cases: Uint8Array;
}

/** The bytes that tell native.c of a batch. */
export function batchHeader(batch: Batch): Uint8Array {
	const header = new Uint8Array(32);
	const view = new DataView(header.buffer);
	view.setUint32(0, batch.count, true);
	view.setUint32(4, batch.memoryBytes, true);
	view.setUint32(8, batch.code.length, true);
	header.set(batch.code, 12);
	return header;
}
