/**
 * The sentence for a file that is not a kernel. People name the wrong file
 * in a handful of ways, an initrd, a disk image, a program, a package, and
 * each is recognisable; saying which one it is saves them the search.
 *
 * Relies on the parsers; `kernel-image.ts` relies on it.
 *
 * @journey P:426 Not a kernel
 */

import { UsageError } from "../errors.ts";
import { detectCompression } from "./compression.ts";
import {
	type ElfImage,
	EM_386,
	EM_X86_64,
	ET_DYN,
	isElf,
	parseElf,
} from "./elf.ts";
import { encodeLatin1, ImageReader } from "./image-reader.ts";

const DEFAULT_HINT =
	"Give a Linux bzImage (vmlinuz), an ELF vmlinux or a multiboot kernel.";
/** No kernel with any of the headers we know is shorter. */
const SHORTEST_KERNEL_BYTES = 1024;

/** A file type by a mark at a fixed place, in files of at least `minFileBytes`. */
interface Lookalike {
	readonly minFileBytes: number;
	readonly offset: number;
	readonly mark: Uint8Array;
	readonly what: string;
	readonly hint?: string;
}

function lookalike(
	offset: number,
	mark: string,
	what: string,
	hint?: string,
): Lookalike {
	// Kernels bear these two marks as well; in a kernel's stump they mean nothing.
	const sharedMark = mark === "MZ" || mark === "\x55\xaa";
	const minFileBytes = sharedMark ? SHORTEST_KERNEL_BYTES : 0;
	return {
		minFileBytes,
		offset,
		mark: encodeLatin1(mark),
		what,
		...(hint && { hint }),
	};
}

/** Checked in this order: a disk image may begin with anything. */
const LOOKALIKES: readonly Lookalike[] = [
	lookalike(
		0,
		"07070",
		"a cpio archive, so probably an initrd",
		"Pass it with --initrd, and a kernel as KERNEL.",
	),
	lookalike(
		0,
		"!<arch>\n",
		"a package or archive",
		"Unpack it first; the kernel is boot/vmlinuz-… inside.",
	),
	lookalike(
		0x38,
		"ARM\x64",
		"a kernel for 64-bit ARM",
		"Use a kernel built for x86.",
	),
	lookalike(
		0x8001,
		"CD001",
		"a CD image",
		"Use the kernel and initrd from inside it.",
	),
	lookalike(0, "MZ", "an EFI program without a Linux header"),
	lookalike(0, "#!", "a script"),
	lookalike(
		510,
		"\x55\xaa",
		"a boot sector or disk image",
		"Use the kernel from inside it.",
	),
];

/** Says what the file is instead, as far as its first bytes tell. */
export function notAKernelError(bytes: Uint8Array): UsageError {
	if (bytes.length === 0) return error("The kernel file is empty.");
	const compression = detectCompression(bytes);
	if (compression !== undefined) {
		return error(
			`The kernel file is not a kernel as it is: it is packed with ${compression}.`,
			"Unpack it first. If it is an initrd, pass it with --initrd.",
		);
	}
	if (isElf(bytes)) return elfError(parseElf(bytes));
	const found = LOOKALIKES.find((candidate) => matches(bytes, candidate));
	if (found !== undefined) {
		return error(
			`The kernel file is not a kernel: it is ${found.what}.`,
			found.hint,
		);
	}
	if (bytes.length < SHORTEST_KERNEL_BYTES) {
		return error(
			`The kernel file is not a kernel: it has only ${bytes.length} bytes, and even the header needs ${SHORTEST_KERNEL_BYTES}.`,
		);
	}
	return error("The kernel file is not a kernel: it has no header we know.");
}

function error(message: string, hint = DEFAULT_HINT): UsageError {
	return new UsageError(message, { hint });
}

function matches(
	bytes: Uint8Array,
	{ minFileBytes, offset, mark }: Lookalike,
): boolean {
	return (
		bytes.length >= minFileBytes &&
		new ImageReader(bytes).has(offset, mark.length) &&
		mark.every((byte, index) => bytes[offset + index] === byte)
	);
}

function elfError(image: ElfImage): UsageError {
	if (image.machine !== EM_386 && image.machine !== EM_X86_64) {
		return error(
			"The ELF file is for another kind of CPU.",
			"Use a kernel built for x86.",
		);
	}
	if (image.hasInterpreter || image.type === ET_DYN) {
		return error(
			"The ELF file is an ordinary program or library, not a kernel.",
		);
	}
	return error(
		"The ELF file is not a kernel we can enter: it is no Linux vmlinux and has neither a PVH note nor a multiboot header.",
	);
}
