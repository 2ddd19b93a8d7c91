/**
 * Machine code for tests, one method for each instruction form they use, with
 * labels. Not an assembler for programs: whoever needs a rare form writes its
 * bytes with `hex`.
 *
 * Code is for 32-bit segments; `hex` writes whatever else. Relies on nothing;
 * `guest.ts` and the tests of `test/cpu` rely on it.
 */

/** General registers by encoding number. */
export const EAX = 0;
export const ECX = 1;
export const EDX = 2;
export const EBX = 3;
export const ESP = 4;
export const EBP = 5;
export const ESI = 6;
export const EDI = 7;

/** A number, or the address of a label, known or still to come. */
export type Immediate = number | string;

interface Fixup {
	readonly at: number;
	readonly label: string;
	readonly relative: boolean;
}

export class Assembler {
	readonly origin: number;
	readonly #bytes: number[] = [];
	readonly #labels = new Map<string, number>();
	readonly #fixups: Fixup[] = [];

	constructor(origin: number) {
		this.origin = origin;
	}

	/** The address of the next byte. */
	get here(): number {
		return this.origin + this.#bytes.length;
	}

	/** Gives this place a name. */
	label(name: string): this {
		if (this.#labels.has(name)) throw new Error(`label ${name} twice`);
		this.#labels.set(name, this.here);
		return this;
	}

	/** The address of a label that has been placed. */
	addressOf(name: string): number {
		const address = this.#labels.get(name);
		if (address === undefined) throw new Error(`no label ${name}`);
		return address;
	}

	/** Bytes in hexadecimal; blanks are ignored. */
	hex(text: string): this {
		const digits = text.replace(/\s+/g, "");
		for (let i = 0; i < digits.length; i += 2) {
			this.#bytes.push(Number.parseInt(digits.slice(i, i + 2), 16));
		}
		return this;
	}

	/** Fills with NOPs up to an address. */
	padTo(address: number): this {
		while (this.here < address) this.#bytes.push(0x90);
		return this;
	}

	byte(value: number): this {
		this.#bytes.push(value & 0xff);
		return this;
	}

	word(value: number): this {
		return this.byte(value).byte(value >> 8);
	}

	dword(value: Immediate): this {
		if (typeof value === "string") {
			this.#fixups.push({
				at: this.#bytes.length,
				label: value,
				relative: false,
			});
			return this.dword(0);
		}
		return this.word(value).word(value >>> 16);
	}

	/** MOV r32, imm32. */
	mov(register: number, value: Immediate): this {
		return this.byte(0xb8 + register).dword(value);
	}

	/** MOV r32, r32. */
	copy(to: number, from: number): this {
		return this.byte(0x89).byte(0xc0 | (from << 3) | to);
	}

	/** MOV r32, [address]. */
	load(register: number, address: Immediate): this {
		return this.byte(0x8b)
			.byte(0x05 | (register << 3))
			.dword(address);
	}

	/** MOV [address], r32. */
	store(address: Immediate, register: number): this {
		return this.byte(0x89)
			.byte(0x05 | (register << 3))
			.dword(address);
	}

	/** MOV dword [address], imm32. */
	storeImmediate(address: Immediate, value: Immediate): this {
		return this.hex("c705").dword(address).dword(value);
	}

	/** MOV Sreg, r16. */
	toSegment(segment: number, register: number): this {
		return this.byte(0x8e).byte(0xc0 | (segment << 3) | register);
	}

	/** MOV CRn, r32. */
	toControl(number: number, register: number): this {
		return this.hex("0f22").byte(0xc0 | (number << 3) | register);
	}

	/** MOV DRn, r32. */
	toDebug(number: number, register: number): this {
		return this.hex("0f23").byte(0xc0 | (number << 3) | register);
	}

	push(value: Immediate): this {
		return this.byte(0x68).dword(value);
	}

	pushRegister(register: number): this {
		return this.byte(0x50 + register);
	}

	popRegister(register: number): this {
		return this.byte(0x58 + register);
	}

	jump(label: string): this {
		return this.byte(0xe9).#relative(label);
	}

	call(label: string): this {
		return this.byte(0xe8).#relative(label);
	}

	/** JMP selector:offset. */
	jumpFar(selector: number, offset: Immediate): this {
		return this.byte(0xea).dword(offset).word(selector);
	}

	/** Jcc rel32; `condition` is the low half of the opcode. */
	jumpIf(condition: number, label: string): this {
		return this.hex("0f")
			.byte(0x80 | condition)
			.#relative(label);
	}

	jumpIfNotZero(label: string): this {
		return this.jumpIf(5, label);
	}

	/** CALL selector:offset. */
	callFar(selector: number, offset: Immediate = 0): this {
		return this.byte(0x9a).dword(offset).word(selector);
	}

	int(vector: number): this {
		return this.byte(0xcd).byte(vector);
	}

	pushf(): this {
		return this.byte(0x9c);
	}

	popf(): this {
		return this.byte(0x9d);
	}

	iret(): this {
		return this.byte(0xcf);
	}

	retFar(): this {
		return this.byte(0xcb);
	}

	nop(): this {
		return this.byte(0x90);
	}

	hlt(): this {
		return this.byte(0xf4);
	}

	/** The bytes, labels resolved. */
	assemble(): Uint8Array {
		const bytes = Uint8Array.from(this.#bytes);
		const view = new DataView(bytes.buffer);
		for (const { at, label, relative } of this.#fixups) {
			const target = this.addressOf(label);
			const value = relative ? target - (this.origin + at + 4) : target;
			view.setInt32(at, value, true);
		}
		return bytes;
	}

	#relative(label: string): this {
		this.#fixups.push({ at: this.#bytes.length, label, relative: true });
		return this.dword(0);
	}
}
