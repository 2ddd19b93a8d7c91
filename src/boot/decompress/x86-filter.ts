/**
 * Undoes the x86 "branch/call/jump" filter, which made relative targets of
 * CALL and JMP absolute before compression, so that calls of one function
 * look alike. Only the encoder knew where instructions begin; both sides
 * guess by the same rules, so these rules are the format: an E8 or E9 byte
 * counts if its operand's top byte is 00 or FF and nothing shortly before it
 * looked like a branch as well.
 *
 * Relies on nothing; `xz.ts` relies on it.
 *
 * @journey P:438 Calls made relative again
 */

/**
 * Bits 0 to 2 of the mask: was there an opcode byte 1, 2, 3 bytes ago that
 * was not converted. Such a byte makes us doubt; some histories forbid.
 */
const ALLOWED = [true, true, true, false, true, false, false, false];
/** Which operand byte the most recent doubtful opcode's top byte coincides with. */
const OVERLAP = [0, 1, 2, 2, 3, 3, 3, 3];

const OPERAND_BYTES = 4;

/** Works in place on a whole block, which starts at offset 0 of the filter. */
export function undoX86Filter(bytes: Uint8Array): void {
	const end = bytes.length - OPERAND_BYTES;
	let mask = 0;
	let previous = -1;
	for (let i = 0; i < end; i++) {
		if (((bytes[i] as number) & 0xfe) !== 0xe8) continue;
		const distance = i - previous;
		mask = distance > 3 ? 0 : (mask << (distance - 1)) & 7;
		previous = i;
		if (isDoubtful(bytes, i, mask) || !isExtension(bytes[i + 4] as number)) {
			mask = (mask << 1) | 1;
			continue;
		}
		writeOperand(bytes, i, relativeTarget(readOperand(bytes, i), i, mask));
		i += OPERAND_BYTES;
		mask = 0;
	}
}

/** Sign extension of a 25-bit distance leaves one of these in the top byte. */
function isExtension(byte: number): boolean {
	return byte === 0x00 || byte === 0xff;
}

function isDoubtful(bytes: Uint8Array, at: number, mask: number): boolean {
	if (mask === 0) return false;
	const overlapping = bytes[at + 4 - (OVERLAP[mask] as number)] as number;
	return !ALLOWED[mask] || isExtension(overlapping);
}

/** Subtracts the next instruction's address; with a doubtful history, until the overlapping byte is plain. */
function relativeTarget(absolute: number, at: number, mask: number): number {
	let source = absolute;
	for (;;) {
		const target = (source - (at + 5)) | 0;
		if (mask === 0) return signExtend25(target);
		const shift = (OVERLAP[mask] as number) * 8;
		if (!isExtension((target >>> (24 - shift)) & 0xff)) {
			return signExtend25(target);
		}
		source = target ^ ((1 << (32 - shift)) - 1);
	}
}

function signExtend25(value: number): number {
	return (value << 7) >> 7;
}

function readOperand(bytes: Uint8Array, at: number): number {
	return (
		(bytes[at + 1] as number) |
		((bytes[at + 2] as number) << 8) |
		((bytes[at + 3] as number) << 16) |
		((bytes[at + 4] as number) << 24)
	);
}

function writeOperand(bytes: Uint8Array, at: number, value: number): void {
	bytes[at + 1] = value;
	bytes[at + 2] = value >>> 8;
	bytes[at + 3] = value >>> 16;
	bytes[at + 4] = value >>> 24;
}
