/**
 * From "some file the user named" to a loaded kernel: recognises what the
 * file is, says what is in it (`lguest info`), picks the boot protocol, and
 * has a clear sentence for everything that is not a kernel.
 *
 * Relies on the parsers and loaders of this folder; the machine and the
 * command line rely on it. It is the folder's public face.
 *
 * @journey P:400 Which kernel is it
 */

import { UsageError } from "../errors.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import { formatProtocol, isBzImage, parseBzImage } from "./bzimage.ts";
import {
	type Compression,
	type Decompressors,
	detectCompression,
	unpackFile,
	unpackPayload,
} from "./compression.ts";
import {
	type ElfImage,
	EM_386,
	EM_X86_64,
	isElf,
	parseElf,
	physicalExtent,
	pvhEntry,
} from "./elf.ts";
import { encodeLatin1, findBytes, ImageReader } from "./image-reader.ts";
import {
	type LinuxFile,
	openLinux,
	placeLinux,
	VMLINUX_INITRD_ADDR_MAX,
} from "./linux-loader.ts";
import {
	type BootOptions,
	type BootProtocol,
	type LoadedKernel,
	needs64BitError,
} from "./loaded-kernel.ts";
import type { MemoryRange } from "./memory-map.ts";
import { findMultibootHeader, loadMultiboot } from "./multiboot.ts";
import { notAKernelError } from "./not-a-kernel.ts";
import { findInitrdRoom } from "./placement.ts";
import { loadPvh, MODULE_ADDRESS_MAX } from "./pvh.ts";

/** What a kernel file turned out to be. */
export interface KernelFacts {
	readonly kind: "bzImage" | "vmlinux" | "elf" | "multiboot";
	/** Ways it can be entered, best first. */
	readonly bootProtocols: readonly BootProtocol[];
	/** Width of the kernel proper: 64 means only a 64-bit CPU runs it. */
	readonly bits: 32 | 64;
	/** "6.1.0-50-686 (…) #1 SMP …"; empty if the file does not say. */
	readonly version: string;
	/** Linux boot protocol, "2.15"; only of a bzImage. */
	readonly linuxBootProtocol?: string;
	/** How a bzImage's payload, or the whole file, is packed. */
	readonly compression?: Compression;
	readonly relocatable: boolean;
	/** Where it will run, as far as known. */
	readonly runAddress: number;
	/** Memory it needs from there on just to start. */
	readonly runBytes: number;
	/** Whether it was built to be an lguest Guest; undefined if it would have to be unpacked to know. */
	readonly lguestGuest?: boolean;
	/** Highest address the initrd may reach; only of a bzImage. */
	readonly initrdAddressMax?: number;
}

/** Looks at a file as it is. Throws `UsageError` if it is no kernel or cut short. */
export function identify(bytes: Uint8Array): KernelFacts {
	if (isBzImage(bytes)) return bzImageFacts(bytes);
	if (isElf(bytes)) return elfFacts(bytes);
	if (findMultibootHeader(bytes) !== undefined) return MULTIBOOT_FLAT;
	throw notAKernelError(bytes);
}

const MULTIBOOT_FLAT: KernelFacts = {
	kind: "multiboot",
	bootProtocols: ["multiboot"],
	bits: 32,
	version: "",
	relocatable: false,
	runAddress: 0,
	runBytes: 0,
	lguestGuest: false,
};

function bzImageFacts(bytes: Uint8Array): KernelFacts {
	const image = parseBzImage(bytes);
	const compression = detectCompression(image.payload);
	return {
		kind: "bzImage",
		bootProtocols: ["linux"],
		bits: image.is64Bit ? 64 : 32,
		version: image.kernelVersion,
		linuxBootProtocol: formatProtocol(image.protocol),
		...(compression && { compression }),
		relocatable: image.relocatable,
		runAddress: image.prefAddress,
		runBytes: image.initSize,
		initrdAddressMax: image.initrdAddrMax,
	};
}

function elfFacts(bytes: Uint8Array): KernelFacts {
	const image = parseElf(bytes);
	if (image.machine !== EM_386 && image.machine !== EM_X86_64) {
		throw notAKernelError(bytes);
	}
	const version = linuxVersion(bytes);
	const bootProtocols = elfProtocols(bytes, image, version !== "");
	if (bootProtocols.length === 0 || image.hasInterpreter) {
		throw notAKernelError(bytes);
	}
	const extent = physicalExtent(image);
	return {
		kind: version === "" ? "elf" : "vmlinux",
		bootProtocols,
		bits: image.is64Bit ? 64 : 32,
		version,
		relocatable: false,
		runAddress: extent.start,
		runBytes: extent.end - extent.start,
		lguestGuest: !image.is64Bit && mentionsLguest(bytes),
	};
}

function elfProtocols(
	bytes: Uint8Array,
	image: ElfImage,
	isLinux: boolean,
): BootProtocol[] {
	const protocols: BootProtocol[] = [];
	if (findMultibootHeader(bytes) !== undefined) protocols.push("multiboot");
	// A 64-bit vmlinux is entered in long mode with page tables, or by PVH.
	if (isLinux && !image.is64Bit) protocols.push("linux");
	if (pvhEntry(image) !== undefined) protocols.push("pvh");
	return protocols.length === 0 && isLinux ? ["linux"] : protocols;
}

const LINUX_BANNER = encodeLatin1("Linux version ");
const MAX_VERSION_BYTES = 256;

/** Text behind "Linux version", up to the end of its line; the format string of the same banner has a % there. */
function linuxVersion(vmlinux: Uint8Array): string {
	const reader = new ImageReader(vmlinux);
	for (let from = 0; ; ) {
		const at = findBytes(vmlinux, LINUX_BANNER, from);
		if (at === -1) return "";
		from = at + LINUX_BANNER.length;
		const line = reader.text(from, MAX_VERSION_BYTES).split("\n", 1)[0] ?? "";
		if (/^\d/.test(line)) return line.trim();
	}
}

/** Guest support compiled in announces itself as the paravirtualisation's name, a string of its own. */
function mentionsLguest(vmlinux: Uint8Array): boolean {
	return findBytes(vmlinux, LGUEST_NAME) !== -1;
}

const LGUEST_NAME = encodeLatin1("\0lguest\0");

/**
 * Like `identify`, and looks inside: a packed file is unpacked first, and
 * so is a bzImage's payload, which settles its width and lguest support.
 */
export async function inspect(
	bytes: Uint8Array,
	decompressors: Decompressors,
): Promise<KernelFacts> {
	const unpacked = await unpackFile(bytes, decompressors);
	const compression = unpacked && detectCompression(bytes);
	const facts = identify(unpacked ?? bytes);
	if (facts.kind !== "bzImage") {
		return compression ? { ...facts, compression } : facts;
	}
	const { payload } = parseBzImage(unpacked ?? bytes);
	const vmlinux = await unpackPayload(payload, decompressors);
	if (vmlinux === undefined || !isElf(vmlinux)) return facts;
	const is64Bit = parseElf(vmlinux).is64Bit;
	return {
		...facts,
		bits: is64Bit ? 64 : 32,
		lguestGuest: !is64Bit && mentionsLguest(vmlinux),
	};
}

/** A kernel that was recognised and unpacked, and has no place yet. */
export type KernelFile =
	| { readonly protocol: "linux"; readonly linux: LinuxFile }
	| {
			readonly protocol: Exclude<BootProtocol, "linux">;
			readonly bytes: Uint8Array;
	  };

/** What it takes to open a kernel; complaints about it begin with `kernelName`. */
export interface OpenOptions
	extends Pick<BootOptions, "unpack" | "longMode" | "kernelName"> {
	/** Overrides the choice among the kernel's boot protocols. */
	readonly bootProtocol?: BootProtocol;
}

/** What a file says before anything in it is unpacked. */
export interface RecognisedKernel {
	readonly facts: KernelFacts;
	readonly protocol: BootProtocol;
}

/**
 * Refuses, with `UsageError`, whatever can be refused by a look at the file;
 * undefined where all of it has to be unpacked first.
 */
export function recogniseKernel(
	bytes: Uint8Array,
	options: OpenOptions,
): RecognisedKernel | undefined {
	const packing = detectCompression(bytes);
	const isPacked = packing !== undefined && options.unpack?.[packing];
	if (isPacked) return undefined;
	try {
		return recognise(bytes, options);
	} catch (error) {
		throw withName(options.kernelName, error);
	}
}

function withName(name: string | undefined, error: unknown): unknown {
	if (name === undefined || !(error instanceof UsageError)) return error;
	const hint = error.hint === undefined ? {} : { hint: error.hint };
	return new UsageError(`${name}: ${error.message}`, { ...hint, cause: error });
}

function recognise(
	bytes: Uint8Array,
	{ longMode, bootProtocol }: OpenOptions,
): RecognisedKernel {
	const facts = identify(bytes);
	const protocol = chooseProtocol(facts, bootProtocol);
	if (protocol !== "multiboot" && facts.bits === 64 && !longMode) {
		throw needs64BitError();
	}
	return { facts, protocol };
}

/**
 * Opens a kernel that was recognised; what it takes to unpack it may be done by
 * other threads.
 */
export async function openKernel(
	kernelBytes: Uint8Array,
	options: OpenOptions,
	recognised = recogniseKernel(kernelBytes, options),
): Promise<KernelFile> {
	try {
		const bytes =
			(await unpackFile(kernelBytes, options.unpack ?? {})) ?? kernelBytes;
		// What was packed twice is no kernel.
		const { protocol } = recognised ?? recognise(bytes, options);
		if (protocol !== "linux") return { protocol, bytes };
		return { protocol, linux: await openLinux(bytes, options) };
	} catch (error) {
		throw withName(options.kernelName, error);
	}
}

/**
 * Refuses an initrd for which there will be no room, whatever the kernel turns
 * out to need besides; multiboot kernels do not say where they will be.
 */
export function requireInitrdRoom(
	{ facts, protocol }: RecognisedKernel,
	initrdBytes: number,
	map: readonly MemoryRange[],
): void {
	if (protocol === "multiboot") return;
	const linuxMax = facts.initrdAddressMax ?? VMLINUX_INITRD_ADDR_MAX;
	findInitrdRoom(map, initrdBytes, {
		minAddress: facts.runAddress + facts.runBytes,
		maxLastAddress: protocol === "linux" ? linuxMax : MODULE_ADDRESS_MAX,
	});
}

/** Puts a kernel and everything it asked for into memory, and says how to enter it. */
export function placeKernel(
	memory: GuestMemory,
	kernel: KernelFile,
	options: BootOptions,
): LoadedKernel {
	switch (kernel.protocol) {
		case "linux":
			return placeLinux(memory, kernel.linux, options);
		case "pvh":
			return loadPvh(memory, kernel.bytes, options);
		case "multiboot":
			return loadMultiboot(memory, kernel.bytes, options);
	}
}

function chooseProtocol(
	facts: KernelFacts,
	wanted: BootProtocol | undefined,
): BootProtocol {
	const best = facts.bootProtocols[0] as BootProtocol;
	if (wanted === undefined || facts.bootProtocols.includes(wanted)) {
		return wanted ?? best;
	}
	throw new UsageError(
		`This kernel cannot be entered by the ${wanted} protocol.`,
		{ hint: `It offers: ${facts.bootProtocols.join(", ")}.` },
	);
}
