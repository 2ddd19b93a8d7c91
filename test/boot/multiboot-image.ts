/**
 * The smallest guests there are: a Multiboot 1 header and a few bytes of 32-bit
 * code, put together by hand. The header uses the address fields (the "a.out
 * kludge"), so no ELF is needed (Multiboot Specification 0.6.96, section 3.1).
 * Command line tests rely on it for guests that fail in a known way.
 */

const MAGIC = 0x1badb002;
/** Bit 16: the address fields in the header are valid. */
const FLAG_ADDRESSES = 1 << 16;
const LOAD_ADDRESS = 0x10_0000;
const HEADER_SIZE = 32;

/** Linear address of the first byte of `code` once loaded. */
export const CODE_ADDRESS = LOAD_ADDRESS + HEADER_SIZE;

/** An image whose entry point is the first byte of `code`. */
export function multibootImage(code: readonly number[]): Uint8Array {
	const image = new Uint8Array(HEADER_SIZE + code.length);
	const view = new DataView(image.buffer);
	const end = LOAD_ADDRESS + image.length;
	const header = [
		...[MAGIC, FLAG_ADDRESSES, -(MAGIC + FLAG_ADDRESSES)],
		// header address, load address, end of data, end of bss, entry
		...[LOAD_ADDRESS, LOAD_ADDRESS, end, end, CODE_ADDRESS],
	];
	header.forEach((word, index) => {
		view.setUint32(index * 4, word, true);
	});
	image.set(code, HEADER_SIZE);
	return image;
}

/**
 * Code that loads an empty interrupt descriptor table and then executes UD2:
 * neither #UD nor the double fault that follows can be delivered.
 */
export function tripleFaultCode(): {
	readonly code: number[];
	/** Where UD2 is, which is where the report must point. */
	readonly faultAddress: number;
} {
	const lidtLength = 7;
	const table = CODE_ADDRESS + lidtLength + 2;
	const address = [0, 8, 16, 24].map((shift) => (table >> shift) & 0xff);
	return {
		code: [
			...[0x0f, 0x01, 0x1d, ...address], // lidt [table]
			...[0x0f, 0x0b], // ud2
			...[0, 0, 0, 0, 0, 0], // table: limit 0, base 0
		],
		faultAddress: CODE_ADDRESS + lidtLength,
	};
}

/** Code that writes `value` to an I/O port and halts: a debug exit. */
export function debugExitCode(port: number, value: number): number[] {
	return [
		...[0x66, 0xba, port & 0xff, port >> 8], // mov dx, port
		...[0xb0, value], // mov al, value
		0xee, // out dx, al
		...[0xf4, 0xeb, 0xfd], // hlt; jmp to the hlt
	];
}

/** Code that prints `text` on the first serial port and then spins for ever. */
export function greeterCode(text: string): number[] {
	const bytes = [...text].map((character) => character.charCodeAt(0));
	return [
		...[0x66, 0xba, 0xf8, 0x03], // mov dx, 0x3f8
		...bytes.flatMap((byte) => [0xb0, byte, 0xee]), // mov al, byte; out dx, al
		...[0xeb, 0xfe], // jmp to itself
	];
}
