/**
 * Options about the kernel's start: its initial RAM disk, and who unpacks it.
 *
 * @journey P:484 What goes with a kernel
 */

import { oneOf, runOption } from "./option.ts";

export const initrdOption = runOption<"initrdPath", string | undefined>({
	key: "initrdPath",
	flags: "-i, --initrd <file>",
	group: "Kernel:",
	summary: "initial RAM disk",
	manual: "For a multiboot image, its first module.",
	initial: undefined,
	parse: (path) => path,
});

const understandUnpack = oneOf("--unpack", ["yes", "no"]);

export const unpackOption = runOption<"unpack", boolean | undefined>({
	key: "unpack",
	flags: "--unpack <yes|no>",
	group: "Kernel:",
	summary: "unpack it before the start (default yes)",
	manual:
		"`yes` is faster; `no` leaves unpacking to the kernel's own code, as on a PC.",
	initial: undefined,
	parse: (text) => understandUnpack(text) === "yes",
});
