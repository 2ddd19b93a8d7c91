/**
 * The arithmetic decoder underneath LZMA: it turns bytes into single bits,
 * each guided by an adaptive probability.
 *
 * Range and code live in a typed array because both use all 32 bits, which
 * as plain fields would be boxed numbers; that is a factor of two in speed.
 *
 * Relies on nothing; `lzma.ts` relies on it.
 *
 * @journey P:430 Bits from bytes
 */

/** Probabilities are in 1/2048ths; every model starts undecided. */
export const HALF_PROBABILITY = 1024;

const RANGE = 0;
const CODE = 1;

/** Reads bits from a stretch of input; running past its end is an error. */
export class RangeDecoder {
	readonly #input: Uint8Array;
	#position: number;
	#end = 0;
	readonly #state = new Uint32Array(2);

	constructor(input: Uint8Array, position: number) {
		this.#input = input;
		this.#position = position;
	}

	get position(): number {
		return this.#position;
	}

	/** Starts anew at `position`: the first byte is always zero, the next four are the code. */
	start(position: number, end: number): void {
		if (end > this.#input.length || position + 5 > end) {
			throw new Error("the data ends in the middle");
		}
		const input = this.#input;
		if (input[position] !== 0) throw new Error("a chunk begins wrongly");
		this.#state[RANGE] = 0xffffffff;
		this.#state[CODE] =
			((input[position + 1] ?? 0) << 24) |
			((input[position + 2] ?? 0) << 16) |
			((input[position + 3] ?? 0) << 8) |
			(input[position + 4] ?? 0);
		this.#position = position + 5;
		this.#end = end;
	}

	/** Whether more bytes were consumed than there are: the data is damaged. */
	get overran(): boolean {
		return this.#position > this.#end;
	}

	/**
	 * Whether exactly all input was used. An encoder ends by flushing its
	 * range, which leaves the decoder's code at zero.
	 */
	isFinished(): boolean {
		const range = this.#state[RANGE] as number;
		const pending = range < 0x1000000 ? 1 : 0;
		return this.#position + pending === this.#end && this.#state[CODE] === 0;
	}

	/** One bit, adapting `probabilities[index]` towards what was seen. */
	bit(probabilities: Uint16Array, index: number): 0 | 1 {
		const state = this.#state;
		let range = state[RANGE] as number;
		let code = state[CODE] as number;
		if (range < 0x1000000) {
			range = (range << 8) >>> 0;
			code = ((code << 8) | (this.#input[this.#position++] as number)) >>> 0;
		}
		const probability = probabilities[index] as number;
		const bound = Math.imul(range >>> 11, probability) >>> 0;
		if (code < bound) {
			probabilities[index] = probability + ((2048 - probability) >>> 5);
			state[RANGE] = bound;
			state[CODE] = code;
			return 0;
		}
		probabilities[index] = probability - (probability >>> 5);
		state[RANGE] = range - bound;
		state[CODE] = code - bound;
		return 1;
	}

	/**
	 * `bitCount` bits, highest first, each with a model chosen by those before
	 * it. The models of the tree start at `base`, the root at `base + 1`.
	 * Returns the value with a leading one bit still in front.
	 *
	 * Most bits come this way, so it is `bit` written out, with the state in
	 * variables.
	 */
	tree(probabilities: Uint16Array, base: number, bitCount: number): number {
		const state = this.#state;
		const input = this.#input;
		let position = this.#position;
		let range = state[RANGE] as number;
		let code = state[CODE] as number;
		let node = 1;
		for (let i = 0; i < bitCount; i++) {
			if (range < 0x1000000) {
				range = (range << 8) >>> 0;
				code = ((code << 8) | (input[position++] as number)) >>> 0;
			}
			const probability = probabilities[base + node] as number;
			const bound = Math.imul(range >>> 11, probability) >>> 0;
			if (code < bound) {
				probabilities[base + node] = probability + ((2048 - probability) >>> 5);
				range = bound;
				node <<= 1;
			} else {
				probabilities[base + node] = probability - (probability >>> 5);
				range = (range - bound) >>> 0;
				code = (code - bound) >>> 0;
				node = (node << 1) | 1;
			}
		}
		this.#position = position;
		state[RANGE] = range;
		state[CODE] = code;
		return node;
	}

	/** Like `tree`, lowest bit first and without the leading one. */
	reverseTree(
		probabilities: Uint16Array,
		base: number,
		bitCount: number,
	): number {
		let rest = this.tree(probabilities, base, bitCount);
		let value = 0;
		for (let i = 0; i < bitCount; i++) {
			value = (value << 1) | (rest & 1);
			rest >>>= 1;
		}
		return value;
	}

	/**
	 * `bitCount` bits that are equally likely to be 0 and 1, so that no branch
	 * could be foretold: half of the range is less than 2^31, and the sign of the
	 * difference is the bit.
	 */
	direct(bitCount: number): number {
		const state = this.#state;
		const input = this.#input;
		let position = this.#position;
		let range = state[RANGE] as number;
		let code = state[CODE] as number;
		let value = 0;
		for (let i = 0; i < bitCount; i++) {
			if (range < 0x1000000) {
				range = (range << 8) >>> 0;
				code = ((code << 8) | (input[position++] as number)) >>> 0;
			}
			range >>>= 1;
			const above = (code - range) | 0;
			const isBelow = above >> 31;
			code = above + (range & isBelow);
			value = (value << 1) + 1 + isBelow;
		}
		this.#position = position;
		state[RANGE] = range;
		state[CODE] = code;
		return value >>> 0;
	}
}
