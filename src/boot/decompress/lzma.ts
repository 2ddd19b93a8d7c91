/**
 * LZMA: literals, matches and repeated distances, each chosen by bits from
 * the range decoder. Written from the public description of the format (LZMA
 * specification in the LZMA SDK) for kernels, so it unpacks whole buffers
 * only: the output itself is the dictionary.
 *
 * Relies on `range-decoder.ts`; `xz.ts` (as LZMA2) and embedders rely on it.
 *
 * @journey P:432 LZMA
 */

import { HALF_PROBABILITY, RangeDecoder } from "./range-decoder.ts";

/** No payload we would accept is larger; a hostile header must not make us allocate more. */
export const MAX_UNPACKED_BYTES = 1024 * 1024 * 1024;

const MIN_MATCH = 2;
/** Where a call to copy begins to pay. */
const LONG_MATCH = 48;
/** The distance that stands for "end of data" in streams without a size. */
const END_MARKER = 0xffffffff;

/** Offsets of the models in one array; the literal models come last, their number depends on lc + lp. */
const STATES = 12;
const MAX_POSITION_STATES = 16;
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * MAX_POSITION_STATES;
const IS_REP0 = IS_REP + STATES;
const IS_REP1 = IS_REP0 + STATES;
const IS_REP2 = IS_REP1 + STATES;
const IS_REP0_LONG = IS_REP2 + STATES;
const DISTANCE_SLOT = IS_REP0_LONG + STATES * MAX_POSITION_STATES;
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64;
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128;
const MATCH_LENGTH = DISTANCE_ALIGN + 16;
/** A length coder: two choices, 16 × 8 low, 16 × 8 middle, 256 high. */
const LENGTH_LOW = 2;
const LENGTH_MIDDLE = LENGTH_LOW + MAX_POSITION_STATES * 8;
const LENGTH_HIGH = LENGTH_MIDDLE + MAX_POSITION_STATES * 8;
const LENGTH_CODER = LENGTH_HIGH + 256;
const REP_LENGTH = MATCH_LENGTH + LENGTH_CODER;
const LITERAL = REP_LENGTH + LENGTH_CODER;
const LITERAL_CODER = 0x300;

/** The decoder's state between chunks of one stream; see `decode`. */
export class LzmaDecoder {
	readonly output: Uint8Array;
	/** How much of `output` is filled. */
	position = 0;
	readonly #words: DataView;
	readonly #range: RangeDecoder;
	#probabilities = new Uint16Array(0);
	#literalContextBits = 0;
	#literalPositionMask = 0;
	#positionMask = 0;
	/** What the last few symbols were: below 7 a literal came last. */
	#state = 0;
	#rep0 = 0;
	#rep1 = 0;
	#rep2 = 0;
	#rep3 = 0;
	/** Matches must not reach before this: LZMA2 can reset the dictionary. */
	#dictionaryStart = 0;

	constructor(input: Uint8Array, output: Uint8Array) {
		this.#range = new RangeDecoder(input, 0);
		this.output = output;
		const { buffer, byteOffset, byteLength } = output;
		this.#words = new DataView(buffer, byteOffset, byteLength);
	}

	/** Takes the properties byte, (pb * 5 + lp) * 9 + lc, and forgets all that was learnt. */
	setProperties(byte: number): void {
		const literalContextBits = byte % 9;
		const literalPositionBits = Math.floor(byte / 9) % 5;
		const positionBits = Math.floor(byte / 45);
		if (positionBits > 4) throw new Error("impossible LZMA properties");
		this.#literalContextBits = literalContextBits;
		this.#literalPositionMask = (1 << literalPositionBits) - 1;
		this.#positionMask = (1 << positionBits) - 1;
		const literalCoders = 1 << (literalContextBits + literalPositionBits);
		this.#probabilities = new Uint16Array(
			LITERAL + LITERAL_CODER * literalCoders,
		);
		this.resetState();
	}

	/** Back to undecided models, keeping properties and dictionary. */
	resetState(): void {
		this.#probabilities.fill(HALF_PROBABILITY);
		this.#state = 0;
		this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
	}

	resetDictionary(): void {
		this.#dictionaryStart = this.position;
	}

	/** Bytes stored as they are. */
	copyStored(bytes: Uint8Array): void {
		if (bytes.length > this.output.length - this.position) {
			throw new Error("more data than announced");
		}
		this.output.set(bytes, this.position);
		this.position += bytes.length;
	}

	/**
	 * Decodes input [start, end) until `output` is filled up to `outputEnd` or
	 * an end marker; throws on damage.
	 */
	decode(start: number, end: number, outputEnd: number): void {
		if (outputEnd > this.output.length) {
			throw new Error("more data than announced");
		}
		this.#range.start(start, end);
		while (this.position < outputEnd) {
			if (!this.#symbol(outputEnd)) return;
			if (this.#range.overran) throw new Error("the data ends in the middle");
		}
	}

	/** Throws unless `decode` used its input up: an LZMA2 chunk knows its length. */
	requireChunkEnd(): void {
		if (!this.#range.isFinished()) throw new Error("a chunk ends wrongly");
	}

	/** One literal or match; false at the end marker. */
	#symbol(outputEnd: number): boolean {
		const range = this.#range;
		const models = this.#probabilities;
		const positionState = this.position & this.#positionMask;
		const state = this.#state;
		if (!range.bit(models, IS_MATCH + state * 16 + positionState)) {
			this.#literal();
			return true;
		}
		if (range.bit(models, IS_REP + state)) {
			const lengthOne = this.#selectRepeat(positionState);
			const length = lengthOne
				? 1
				: this.#length(REP_LENGTH, positionState) + MIN_MATCH;
			if (!lengthOne) this.#state = state < 7 ? 8 : 11;
			this.#copyMatch(length, outputEnd);
			return true;
		}
		return this.#newMatch(positionState, outputEnd);
	}

	#literal(): void {
		const previous =
			this.position > this.#dictionaryStart
				? (this.output[this.position - 1] as number)
				: 0;
		const coder =
			((this.position & this.#literalPositionMask) <<
				this.#literalContextBits) +
			(previous >>> (8 - this.#literalContextBits));
		const base = LITERAL + LITERAL_CODER * coder;
		const symbol =
			this.#state < 7
				? this.#range.tree(this.#probabilities, base, 8)
				: this.#matchedLiteral(base);
		this.output[this.position++] = symbol;
		const state = this.#state;
		this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
	}

	/** After a match, the byte that the match would have continued with guides the models as long as it agrees. */
	#matchedLiteral(base: number): number {
		const range = this.#range;
		const models = this.#probabilities;
		let expected = this.output[this.position - this.#rep0 - 1] as number;
		let symbol = 1;
		while (symbol < 0x100) {
			expected <<= 1;
			const expectedBit = (expected >>> 8) & 1;
			const bit = range.bit(models, base + ((1 + expectedBit) << 8) + symbol);
			symbol = (symbol << 1) | bit;
			if (bit !== expectedBit) break;
		}
		while (symbol < 0x100) {
			symbol = (symbol << 1) | range.bit(models, base + symbol);
		}
		return symbol;
	}

	/** Moves the chosen earlier distance to the front; true for the one-byte form. */
	#selectRepeat(positionState: number): boolean {
		const range = this.#range;
		const models = this.#probabilities;
		const state = this.#state;
		if (!range.bit(models, IS_REP0 + state)) {
			const long = IS_REP0_LONG + state * 16 + positionState;
			if (range.bit(models, long)) return false;
			this.#state = state < 7 ? 9 : 11;
			return true;
		}
		let distance = this.#rep1;
		if (range.bit(models, IS_REP1 + state)) {
			distance = this.#rep2;
			if (range.bit(models, IS_REP2 + state)) {
				distance = this.#rep3;
				this.#rep3 = this.#rep2;
			}
			this.#rep2 = this.#rep1;
		}
		this.#rep1 = this.#rep0;
		this.#rep0 = distance;
		return false;
	}

	#newMatch(positionState: number, outputEnd: number): boolean {
		this.#rep3 = this.#rep2;
		this.#rep2 = this.#rep1;
		this.#rep1 = this.#rep0;
		this.#state = this.#state < 7 ? 7 : 10;
		const length = this.#length(MATCH_LENGTH, positionState);
		this.#rep0 = this.#distance(length);
		if (this.#rep0 === END_MARKER) return false;
		this.#copyMatch(length + MIN_MATCH, outputEnd);
		return true;
	}

	#length(coder: number, positionState: number): number {
		const range = this.#range;
		const models = this.#probabilities;
		if (!range.bit(models, coder)) {
			const low = coder + LENGTH_LOW + positionState * 8;
			return range.tree(models, low, 3) - 8;
		}
		if (!range.bit(models, coder + 1)) {
			const middle = coder + LENGTH_MIDDLE + positionState * 8;
			return range.tree(models, middle, 3);
		}
		return range.tree(models, coder + LENGTH_HIGH, 8) - 256 + 16;
	}

	/** Distances are coded as a slot (magnitude) and the bits below it. */
	#distance(length: number): number {
		const range = this.#range;
		const models = this.#probabilities;
		const slotCoder = DISTANCE_SLOT + Math.min(length, 3) * 64;
		const slot = range.tree(models, slotCoder, 6) - 64;
		if (slot < 4) return slot;
		const lowBits = (slot >>> 1) - 1;
		const top = (2 | (slot & 1)) << lowBits;
		if (slot < 14) {
			const base = DISTANCE_SPECIAL + top - slot;
			return top + range.reverseTree(models, base, lowBits);
		}
		const middle = range.direct(lowBits - 4) << 4;
		const low = range.reverseTree(models, DISTANCE_ALIGN, 4);
		return (top + middle + low) >>> 0;
	}

	/** Byte by byte where source and target overlap closely, which repeats a pattern. */
	#copyMatch(length: number, outputEnd: number): void {
		const { output } = this;
		const to = this.position;
		const from = to - this.#rep0 - 1;
		if (from < this.#dictionaryStart || to + length > outputEnd) {
			throw new Error("a match reaches outside the data");
		}
		this.position = to + length;
		const isLong = length > LONG_MATCH && from + length <= to;
		if (isLong) output.copyWithin(to, from, from + length);
		else if (from + 4 <= to && to + length + 4 <= output.length) {
			// Up to three bytes too many: the next symbol overwrites them.
			const words = this.#words;
			for (let i = 0; i < length; i += 4) {
				words.setInt32(to + i, words.getInt32(from + i, true), true);
			}
		} else {
			for (let i = 0; i < length; i++) {
				output[to + i] = output[from + i] as number;
			}
		}
	}
}

/** Header of the older `.lzma` file: properties, dictionary size, unpacked size or all ones. */
const LZMA_HEADER_BYTES = 13;

/** Unpacks an `.lzma` file; `unpackedBytes` helps where its header has no size. */
export function unpackLzma(
	bytes: Uint8Array,
	unpackedBytes = MAX_UNPACKED_BYTES,
): Uint8Array {
	if (bytes.length < LZMA_HEADER_BYTES) throw new Error("no LZMA header");
	const header = new DataView(bytes.buffer, bytes.byteOffset);
	const announced = header.getBigUint64(5, true);
	const limit = Number(
		announced === 0xffff_ffff_ffff_ffffn ? BigInt(unpackedBytes) : announced,
	);
	if (limit > MAX_UNPACKED_BYTES) throw new Error("too large");
	const decoder = new LzmaDecoder(bytes, new Uint8Array(limit));
	decoder.setProperties(bytes[0] as number);
	decoder.decode(LZMA_HEADER_BYTES, bytes.length, limit);
	return decoder.output.subarray(0, decoder.position);
}
