/**
 * From a command line to what the guest is made of: the options, and what the
 * default guest wants where they are silent.
 *
 * Relies on the default guest; both ways to run a guest rely on it.
 *
 * @journey L:116 What was not said
 */

import type { GuestDescription } from "../index.ts";
import type { RunOptions } from "./arguments.ts";
import { type DefaultGuest, defaultGuest } from "./default-guest.ts";
import { deviceArguments } from "./device-backends.ts";

/** Whether a command is to run in the default guest. */
export function isCommand({ kernelPath, rest }: RunOptions): boolean {
	return kernelPath === undefined && rest.length > 0;
}

/** What the options, the default guest and the kernel's words come to. */
export function descriptionOf(options: RunOptions): GuestDescription {
	const { kernelPath, initrdPath, rest, rng, disks, ...others } = options;
	const { statsPath: _statistics, top: _top, ...values } = others;
	const guest = kernelPath === undefined ? defaultGuest() : undefined;
	const given = Object.entries(values).filter(
		([, value]) => value !== undefined,
	);
	return {
		...guest,
		...Object.fromEntries(given),
		...(guest && { kernelArguments: wordsFor(guest) }),
		kernel: kernelPath ?? guest?.kernel ?? "",
		...(initrdPath !== undefined && { initrd: initrdPath }),
		...(kernelPath !== undefined && { kernelArguments: rest }),
		entropy: rng || (guest?.entropy ?? false),
		disks: disks.map(({ path, ...disk }) => ({ source: path, ...disk })),
		devices: deviceArguments(values),
	};
}

/** A guest at our terminal is told which kind that is, as far as that is one word. */
function wordsFor({ kernelArguments = [] }: DefaultGuest): readonly string[] {
	const { TERM = "" } = process.env;
	return process.stdout.isTTY && /^[\w.+-]+$/.test(TERM)
		? [...kernelArguments, `TERM=${TERM}`]
		: kernelArguments;
}
