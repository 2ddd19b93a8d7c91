/**
 * A set of interrupt vectors, as the local APIC has three of: 256 bits in
 * eight registers, of which mostly the highest one matters.
 *
 * Relies on nothing; the local APIC relies on it.
 *
 * @journey P:312 Two hundred and fifty-six bits
 */
export class VectorSet {
	/** Bit n of word w is vector 32 w + n. */
	readonly words = new Int32Array(8);

	has(vector: number): boolean {
		return (((this.words[vector >> 5] ?? 0) >>> (vector & 31)) & 1) !== 0;
	}

	add(vector: number): void {
		const word = vector >> 5;
		this.words[word] = (this.words[word] ?? 0) | (1 << (vector & 31));
	}

	delete(vector: number): void {
		const word = vector >> 5;
		this.words[word] = (this.words[word] ?? 0) & ~(1 << (vector & 31));
	}

	clear(): void {
		this.words.fill(0);
	}

	/** -1 when empty. */
	highest(): number {
		for (let word = 7; word >= 0; word--) {
			const bits = this.words[word] ?? 0;
			if (bits !== 0) return 32 * word + 31 - Math.clz32(bits);
		}
		return -1;
	}
}
