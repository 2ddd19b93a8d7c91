/**
 * Messages of 9P2000.L, the dialect of 9P that Linux speaks: a size of four
 * bytes that counts itself, a type, a tag by which the reply is recognised, and
 * a body of little-endian numbers and counted strings. The types and bodies are
 * those of Linux's include/net/9p/9p.h and of diod's description of the protocol.
 *
 * Reading past the end of a message is the guest's fault and gives EINVAL;
 * writing past the room for a reply is ours to avoid, by asking first.
 *
 * Relies on nothing; the session relies on it.
 *
 * @journey D:224 Sentences
 */

import { FileSystemError } from "../../file-system.ts";

/** size[4] type[1] tag[2]. */
export const HEADER_BYTES = 7;

// Types of requests; a reply has the type of its request plus one.
export const P9_RLERROR = 7;
export const P9_TSTATFS = 8;
export const P9_TLOPEN = 12;
export const P9_TLCREATE = 14;
export const P9_TSYMLINK = 16;
export const P9_TMKNOD = 18;
export const P9_TRENAME = 20;
export const P9_TREADLINK = 22;
export const P9_TGETATTR = 24;
export const P9_TSETATTR = 26;
export const P9_TXATTRWALK = 30;
export const P9_TXATTRCREATE = 32;
export const P9_TREADDIR = 40;
export const P9_TFSYNC = 50;
export const P9_TLOCK = 52;
export const P9_TGETLOCK = 54;
export const P9_TLINK = 70;
export const P9_TMKDIR = 72;
export const P9_TRENAMEAT = 74;
export const P9_TUNLINKAT = 76;
export const P9_TVERSION = 100;
export const P9_TAUTH = 102;
export const P9_TATTACH = 104;
export const P9_TFLUSH = 108;
export const P9_TWALK = 110;
export const P9_TREAD = 116;
export const P9_TWRITE = 118;
export const P9_TCLUNK = 120;
export const P9_TREMOVE = 122;

/** Takes a message's body apart. */
export class MessageReader {
	readonly #bytes: Uint8Array;
	readonly #view: DataView;
	#at = HEADER_BYTES;

	/** All of a message, header included. */
	constructor(bytes: Uint8Array) {
		this.#bytes = bytes;
		this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}

	u8(): number {
		return this.#view.getUint8(this.#take(1));
	}

	u16(): number {
		return this.#view.getUint16(this.#take(2), true);
	}

	u32(): number {
		return this.#view.getUint32(this.#take(4), true);
	}

	u64(): bigint {
		return this.#view.getBigUint64(this.#take(8), true);
	}

	/** A place in a file: beyond 2^53 there are none. */
	offset(): number {
		const offset = Number(this.u64());
		if (!Number.isSafeInteger(offset)) throw new FileSystemError("EFBIG");
		return offset;
	}

	bytes(lengthBytes: number): Uint8Array {
		const at = this.#take(lengthBytes);
		return this.#bytes.subarray(at, at + lengthBytes);
	}

	/** UTF-8; the bytes that are not make names that do not exist. */
	text(): string {
		const bytes = this.bytes(this.u16());
		const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
		try {
			return decoder.decode(bytes);
		} catch {
			throw new FileSystemError("EILSEQ");
		}
	}

	/** A name of something in a directory: one step, and a step down. */
	name(): string {
		const name = this.text();
		if (name === "" || name === "." || name === "..") {
			throw new FileSystemError("EINVAL");
		}
		if (/[/\0]/.test(name)) throw new FileSystemError("EINVAL");
		return name;
	}

	#take(lengthBytes: number): number {
		const at = this.#at;
		if (at + lengthBytes > this.#bytes.length) {
			throw new FileSystemError("EINVAL");
		}
		this.#at = at + lengthBytes;
		return at;
	}
}

const FIRST_BYTES = 256;

/** Puts a reply together. */
export class MessageWriter {
	#bytes = new Uint8Array(FIRST_BYTES);
	#view = new DataView(this.#bytes.buffer);
	#length = HEADER_BYTES;

	/** The message so far would have this many bytes. */
	get lengthBytes(): number {
		return this.#length;
	}

	u8(value: number): this {
		const at = this.#grow(1);
		this.#view.setUint8(at, value);
		return this;
	}

	u16(value: number): this {
		const at = this.#grow(2);
		this.#view.setUint16(at, value, true);
		return this;
	}

	u32(value: number): this {
		const at = this.#grow(4);
		this.#view.setUint32(at, value, true);
		return this;
	}

	u64(value: bigint): this {
		const at = this.#grow(8);
		this.#view.setBigUint64(at, value, true);
		return this;
	}

	bytes(value: Uint8Array): this {
		const at = this.#grow(value.length);
		this.#bytes.set(value, at);
		return this;
	}

	text(value: string): this {
		const bytes = new TextEncoder().encode(value);
		return this.u16(bytes.length).bytes(bytes);
	}

	/** Puts a number where one was written, `at` bytes into the body. */
	setU16(at: number, value: number): void {
		this.#view.setUint16(HEADER_BYTES + at, value, true);
	}

	setU32(at: number, value: number): void {
		this.#view.setUint32(HEADER_BYTES + at, value, true);
	}

	/** The message, with its header. */
	finish(type: number, tag: number): Uint8Array<ArrayBuffer> {
		this.#view.setUint32(0, this.#length, true);
		this.#view.setUint8(4, type);
		this.#view.setUint16(5, tag, true);
		return this.#bytes.subarray(0, this.#length);
	}

	#grow(lengthBytes: number): number {
		const at = this.#length;
		this.#length += lengthBytes;
		if (this.#length > this.#bytes.length) {
			const larger = new Uint8Array(
				Math.max(2 * this.#bytes.length, this.#length),
			);
			larger.set(this.#bytes);
			this.#bytes = larger;
			this.#view = new DataView(larger.buffer);
		}
		return at;
	}
}
