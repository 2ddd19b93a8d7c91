/**
 * From a command line to what the guest is made of: the options; what the
 * default guest wants where they are silent; and the machine's own defaults,
 * which are not known here, for what neither says.
 *
 * Relies on the default guest; both ways to run a guest rely on it.
 *
 * @journey L:116 What was not said
 */

import type { DiskDescription, GuestDescription } from "../index.ts";
import type { RunOptions } from "./arguments.ts";
import { completed, type DefaultGuest, defaultGuest } from "./default-guest.ts";
import { deviceArguments } from "./device-backends.ts";

/** Whether a command is to run in the default guest. */
export function isCommand({ kernelPath, rest }: RunOptions): boolean {
	return kernelPath === undefined && rest.length > 0;
}

/** A guest whose disks the command line names. */
export interface GivenGuest extends GuestDescription {
	readonly disks: readonly DiskDescription[];
}

/** What the options, the default guest and the kernel's words come to. */
export function descriptionOf(options: RunOptions): GivenGuest {
	const { kernelPath, initrdPath, rest, rng } = options;
	const { memoryBytes, clock, engine, unpack } = options;
	const { console, transport, debugExitPort } = options;
	const given = {
		...(memoryBytes !== undefined && { memoryBytes }),
		...(clock !== undefined && { clock }),
		...(engine !== undefined && { engine }),
		...(unpack !== undefined && { unpack }),
		...(console !== undefined && { console }),
		...(transport !== undefined && { transport }),
		...(debugExitPort !== undefined && { debugExitPort }),
		...(initrdPath !== undefined && { initrd: initrdPath }),
		...(rng && { entropy: true }),
		devices: deviceArguments(options),
	};
	const disks = options.disks.map(({ path, ...disk }) => {
		return { source: path, ...disk };
	});
	if (kernelPath !== undefined) {
		return { ...given, kernel: kernelPath, kernelArguments: rest, disks };
	}
	const guest = defaultGuest();
	const kernelArguments = wordsFor(guest);
	return { ...completed(guest, given), kernelArguments, disks };
}

/** A guest at our terminal is told which kind that is, as far as that is one word. */
function wordsFor({ kernelArguments = [] }: DefaultGuest): readonly string[] {
	const { TERM = "" } = process.env;
	return process.stdout.isTTY && /^[\w.+-]+$/.test(TERM)
		? [...kernelArguments, `TERM=${TERM}`]
		: kernelArguments;
}
