/**
 * CRC-32 (IEEE 802.3, reflected), four bytes a step so that checking a
 * kernel of tens of megabytes costs little beside unpacking it.
 *
 * Relies on nothing; `xz.ts` relies on it.
 *
 * @journey P:436 A checksum
 */

const POLYNOMIAL = 0xedb88320;

/** Four tables of 256: table k advances a byte past k further zero bytes. */
const TABLES = buildTables();

function buildTables(): Uint32Array {
	const tables = new Uint32Array(4 * 256);
	for (let byte = 0; byte < 256; byte++) {
		let crc = byte;
		for (let bit = 0; bit < 8; bit++) {
			crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
		}
		tables[byte] = crc;
	}
	for (let i = 256; i < tables.length; i++) {
		const before = tables[i - 256] as number;
		tables[i] = (before >>> 8) ^ (tables[before & 0xff] as number);
	}
	return tables;
}

/** The checksum as an unsigned number. */
export function crc32(bytes: Uint8Array): number {
	const table = (which: number, byte: number): number =>
		TABLES[which * 256 + (byte & 0xff)] as number;
	const at = (index: number): number => bytes[index] as number;
	let crc = -1;
	let i = 0;
	for (; i + 4 <= bytes.length; i += 4) {
		crc ^= at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24);
		crc =
			table(3, crc) ^
			table(2, crc >>> 8) ^
			table(1, crc >>> 16) ^
			table(0, crc >>> 24);
	}
	for (; i < bytes.length; i++) crc = (crc >>> 8) ^ table(0, crc ^ at(i));
	return ~crc >>> 0;
}
