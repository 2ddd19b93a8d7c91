/**
 * What a file is that somebody drops on a guest: told by its first bytes, and
 * where those say nothing by its name.
 *
 * Only a guess: whether a kernel is one, the core says when it loads it.
 *
 * Relies on nothing; the panel relies on it.
 *
 * @journey L:328 What have you got there?
 */

/** What it can be to a guest. */
export type FileRole = "kernel" | "initrd" | "disk";

/** In which a multiboot header must be, at a multiple of 4 (multiboot 0.6.96 §3.1). */
const HEAD_BYTES = 8192;
const MULTIBOOT_MAGIC = 0x1bad_b002;
const SECTOR_BYTES = 512;

/** Where Linux's boot protocol has "HdrS" (Documentation/x86/boot.rst). */
const BZIMAGE_MAGIC_AT = 0x202;

/** First bytes of archives and of what packs them: cpio, gzip, xz, zstd, lz4. */
const INITRD_MAGICS = [
	"070701",
	"\x1f\x8b",
	"\xfd7zXZ",
	"\x28\xb5\x2f\xfd",
	"\x02\x21\x4c\x18",
];

/** Undefined: nobody can tell. */
export async function roleOf(file: File): Promise<FileRole | undefined> {
	const bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
	const text = String.fromCharCode(...bytes);
	if (text.startsWith("\x7fELF")) return "kernel";
	if (text.startsWith("HdrS", BZIMAGE_MAGIC_AT)) return "kernel";
	if (isMultiboot(bytes)) return "kernel";
	if (INITRD_MAGICS.some((magic) => text.startsWith(magic))) return "initrd";
	const isImage = /\.(img|iso|raw|ext[234])$/i.test(file.name);
	const isSectors = file.size > 0 && file.size % SECTOR_BYTES === 0;
	return isImage || isSectors ? "disk" : undefined;
}

function isMultiboot(bytes: Uint8Array): boolean {
	const view = new DataView(bytes.buffer);
	for (let at = 0; at + 4 <= bytes.length; at += 4) {
		if (view.getUint32(at, true) === MULTIBOOT_MAGIC) return true;
	}
	return false;
}
