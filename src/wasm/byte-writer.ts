/**
 * A growing array of bytes with the number encodings of the WebAssembly binary
 * format: LEB128 integers, little-endian floats, length-prefixed names. Relies
 * on nothing; the function and module builders write everything through it.
 *
 * @journey P:210 Bytes, quickly
 * Generated code is made while the guest waits, so the inner loop of the
 * assembler is this file: one typed array, one index, no object per byte.
 */

const FLOAT_BYTES = new Uint8Array(8);
const FLOAT_VIEW = new DataView(FLOAT_BYTES.buffer);

/** Longest LEB128 form of a 64-bit integer. */
const MAX_LEB_BYTES = 10;

/** Append-only; capacity doubles, so n bytes cost O(n) copying in all. */
export class ByteWriter {
	#bytes: Uint8Array<ArrayBuffer>;
	#used = 0;

	constructor(capacity = 256) {
		this.#bytes = new Uint8Array(capacity);
	}

	/** Bytes written so far. */
	get length(): number {
		return this.#used;
	}

	/** One byte; higher bits of `value` are cut off by the typed array. */
	byte(value: number): void {
		if (this.#used === this.#bytes.length) this.#grow(1);
		this.#bytes[this.#used++] = value;
	}

	/** Unsigned LEB128 of `value` modulo 2^32. */
	u32(value: number): void {
		let rest = value >>> 0;
		if (this.#used + MAX_LEB_BYTES > this.#bytes.length)
			this.#grow(MAX_LEB_BYTES);
		while (rest > 0x7f) {
			this.#bytes[this.#used++] = (rest & 0x7f) | 0x80;
			rest >>>= 7;
		}
		this.#bytes[this.#used++] = rest;
	}

	/** Signed LEB128 of the low 32 bits of `value`. */
	s32(value: number): void {
		let rest = value | 0;
		if (this.#used + MAX_LEB_BYTES > this.#bytes.length)
			this.#grow(MAX_LEB_BYTES);
		// A final byte holds seven bits of which the top one is the sign.
		while (rest < -64 || rest > 63) {
			this.#bytes[this.#used++] = (rest & 0x7f) | 0x80;
			rest >>= 7;
		}
		this.#bytes[this.#used++] = rest & 0x7f;
	}

	/** Signed LEB128 of a 64-bit integer in halves: a bigint here would be slow. */
	s64(low: number, high: number): void {
		let lo = low | 0;
		let hi = high | 0;
		if (this.#used + MAX_LEB_BYTES > this.#bytes.length)
			this.#grow(MAX_LEB_BYTES);
		while (hi !== lo >> 31 || lo < -64 || lo > 63) {
			this.#bytes[this.#used++] = (lo & 0x7f) | 0x80;
			lo = (lo >>> 7) | (hi << 25);
			hi >>= 7;
		}
		this.#bytes[this.#used++] = lo & 0x7f;
	}

	/** IEEE single precision, little-endian. */
	f32(value: number): void {
		FLOAT_VIEW.setFloat32(0, value, true);
		this.raw(FLOAT_BYTES.subarray(0, 4));
	}

	/** IEEE double precision, little-endian. */
	f64(value: number): void {
		FLOAT_VIEW.setFloat64(0, value, true);
		this.raw(FLOAT_BYTES);
	}

	/** The given bytes as they are. */
	raw(source: Uint8Array): void {
		if (this.#used + source.length > this.#bytes.length)
			this.#grow(source.length);
		this.#bytes.set(source, this.#used);
		this.#used += source.length;
	}

	/** An instruction code of one to three bytes, out of the opcode tables. */
	code(code: readonly number[]): void {
		if (this.#used + code.length > this.#bytes.length) this.#grow(code.length);
		for (let i = 0; i < code.length; i++) {
			this.#bytes[this.#used++] = code[i] as number;
		}
	}

	/** A name: byte length, then UTF-8 (lone surrogates become U+FFFD). */
	name(text: string): void {
		const encoded = encodeUtf8(text);
		this.u32(encoded.length);
		this.raw(encoded);
	}

	/** Another writer's content behind its length, as sections are framed. */
	sized(content: ByteWriter): void {
		this.u32(content.length);
		this.raw(content.view());
	}

	/** Moves the bytes from `start` on to the front. */
	rotate(start: number): void {
		const tail = this.#bytes.slice(start, this.#used);
		this.#bytes.copyWithin(tail.length, 0, start);
		this.#bytes.set(tail);
	}

	/** What was written, without a copy: valid until the next write. */
	view(): Uint8Array<ArrayBuffer> {
		return this.#bytes.subarray(0, this.#used);
	}

	/** What was written, as an array of its own. */
	toBytes(): Uint8Array<ArrayBuffer> {
		return this.#bytes.slice(0, this.#used);
	}

	#grow(needed: number): void {
		const larger = new Uint8Array(
			Math.max(this.#bytes.length * 2, this.#used + needed),
		);
		larger.set(this.view());
		this.#bytes = larger;
	}
}

/** Written out because the core assumes no TextEncoder. */
function encodeUtf8(text: string): Uint8Array {
	const bytes: number[] = [];
	for (const character of text) {
		const point = character.codePointAt(0) as number;
		const isSurrogate = point >= 0xd800 && point <= 0xdfff;
		pushCodePoint(bytes, isSurrogate ? 0xfffd : point);
	}
	return Uint8Array.from(bytes);
}

function pushCodePoint(bytes: number[], point: number): void {
	if (point < 0x80) {
		bytes.push(point);
		return;
	}
	const trailing = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
	const lead = [0xc0, 0xe0, 0xf0][trailing - 1] as number;
	bytes.push(lead | (point >> (6 * trailing)));
	for (let i = trailing - 1; i >= 0; i--) {
		bytes.push(0x80 | ((point >> (6 * i)) & 0x3f));
	}
}
