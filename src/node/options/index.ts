/**
 * All options of `lguest run`, in the order in which `--help` lists them within
 * their groups.
 *
 * Relies on the files beside it; the command line relies on it.
 *
 * @journey L:113 Every option
 */

import { balloonOption } from "./balloon.ts";
import { consoleOption } from "./console.ts";
import { diskOption } from "./disk.ts";
import { initrdOption, unpackOption } from "./kernel.ts";
import { clockOption, engineOption } from "./machine.ts";
import { debugExitOption, statsOption, topOption } from "./measurement.ts";
import { memoryOption } from "./memory.ts";
import { netOption } from "./net.ts";
import { rngOption } from "./rng.ts";
import { shareOption } from "./share.ts";
import { transportOption } from "./transport.ts";
import { vsockOption } from "./vsock.ts";

export const RUN_OPTIONS = [
	memoryOption,
	clockOption,
	engineOption,
	initrdOption,
	unpackOption,
	diskOption,
	consoleOption,
	netOption,
	rngOption,
	shareOption,
	vsockOption,
	balloonOption,
	transportOption,
	debugExitOption,
	statsOption,
	topOption,
] as const;

type ListedOption = (typeof RUN_OPTIONS)[number];

/** What the options of a command line say, by key. */
export type OptionValues = {
	readonly [Option in ListedOption as Option["key"]]: Option["initial"];
};
