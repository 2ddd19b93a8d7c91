/**
 * Writes, and reads, the "newc" cpio archive that Linux unpacks as its initial root file
 * system. The output depends on nothing but the entries: inode numbers count
 * up and times are zero, so the same input is the same image, byte for byte.
 * Layout: Linux 6.1, Documentation/driver-api/early-userspace/buffer-format.rst.
 * `scripts/initramfs.ts` relies on it.
 */

/** One member; the kind decides which of the fields matter. */
export type CpioEntry =
	| { readonly kind: "directory"; readonly path: string; readonly mode: number }
	| {
			readonly kind: "file";
			readonly path: string;
			readonly mode: number;
			readonly data: Uint8Array;
	  }
	| { readonly kind: "link"; readonly path: string; readonly target: string }
	| {
			readonly kind: "character device";
			readonly path: string;
			readonly mode: number;
			readonly major: number;
			readonly minor: number;
	  };

const MAGIC = "070701";
const S_IFCHR = 0o020000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const TRAILER = "TRAILER!!!";

const ascii = new TextEncoder();

/** The whole archive, padded to 512 bytes as cpio itself does. */
export function buildCpio(entries: readonly CpioEntry[]): Uint8Array {
	const parts: Uint8Array[] = [];
	entries.forEach((entry, index) => {
		parts.push(...member(entry, index + 1));
	});
	const nothing = new Uint8Array(0);
	parts.push(header(TRAILER, 0, 0, 1, 0, 0, 0), ...name(TRAILER), nothing);
	return join(parts, 512);
}

function member(entry: CpioEntry, inode: number): Uint8Array[] {
	switch (entry.kind) {
		case "directory":
			return record(entry.path, inode, S_IFDIR | entry.mode, 2);
		case "file":
			return record(entry.path, inode, S_IFREG | entry.mode, 1, entry.data);
		case "link": {
			const target = ascii.encode(entry.target);
			return record(entry.path, inode, S_IFLNK | 0o777, 1, target);
		}
		case "character device":
			return [
				header(
					entry.path,
					inode,
					S_IFCHR | entry.mode,
					1,
					0,
					entry.major,
					entry.minor,
				),
				...name(entry.path),
			];
	}
}

function record(
	path: string,
	inode: number,
	mode: number,
	links: number,
	data: Uint8Array = new Uint8Array(0),
): Uint8Array[] {
	return [
		header(path, inode, mode, links, data.length, 0, 0),
		...name(path),
		...padded(data, 0),
	];
}

/** 6 bytes of magic, then thirteen 8-digit hexadecimal numbers. */
function header(
	path: string,
	inode: number,
	mode: number,
	links: number,
	size: number,
	deviceMajor: number,
	deviceMinor: number,
): Uint8Array {
	const nameSize = ascii.encode(path).length + 1;
	const fields = [
		...[inode, mode, 0, 0, links, 0, size],
		...[0, 0, deviceMajor, deviceMinor, nameSize, 0],
	];
	const digits = fields.map((f) => f.toString(16).padStart(8, "0")).join("");
	return ascii.encode(MAGIC + digits.toUpperCase());
}

const HEADER_SIZE = 110;

function name(path: string): Uint8Array[] {
	return padded(ascii.encode(`${path}\0`), HEADER_SIZE);
}

/** Header plus name, and data, each end on a multiple of four. */
function padded(bytes: Uint8Array, before: number): Uint8Array[] {
	const rest = (4 - ((before + bytes.length) & 3)) & 3;
	return [bytes, new Uint8Array(rest)];
}

function join(parts: readonly Uint8Array[], multiple: number): Uint8Array {
	const total = parts.reduce((sum, part) => sum + part.length, 0);
	const out = new Uint8Array(Math.ceil(total / multiple) * multiple);
	let offset = 0;
	for (const part of parts) {
		out.set(part, offset);
		offset += part.length;
	}
	return out;
}

const alignUp = (at: number): number => (at + 3) & ~3;

/** Regular files of an archive by their paths; throws where it is none. */
export function readCpioFiles(archive: Uint8Array): Map<string, Uint8Array> {
	const files = new Map<string, Uint8Array>();
	const text = (from: number, to: number) =>
		new TextDecoder("latin1").decode(archive.subarray(from, to));
	for (let at = 0; ; ) {
		const fields = text(at, at + HEADER_SIZE);
		if (!/^070701[0-9a-f]{104}$/i.test(fields)) {
			throw new Error(`no cpio header at ${at}`);
		}
		const field = (index: number) =>
			Number.parseInt(fields.slice(6 + index * 8, 14 + index * 8), 16);
		const [mode, size, nameSize] = [field(1), field(6), field(11)];
		const path = text(at + HEADER_SIZE, at + HEADER_SIZE + nameSize - 1);
		if (path === TRAILER) return files;
		const data = alignUp(at + HEADER_SIZE + nameSize);
		const isFile = (mode & 0o170000) === S_IFREG;
		if (isFile) files.set(path, archive.subarray(data, data + size));
		at = alignUp(data + size);
	}
}
