/**
 * The default guest: what runs when nobody brings a kernel. It is a folder with
 * a `guest.json`, which names its files and says how they want to be run; the
 * package brings one, and LGUEST_GUEST names another.
 *
 * | Key in guest.json | Meaning                                        |
 * | ----------------- | ---------------------------------------------- |
 * | `kernel`          | file name of the kernel                        |
 * | `initrd`          | file name of its initial RAM disk              |
 * | any other         | as in the library's `GuestOptions`             |
 *
 * What a command line or a program says explicitly wins over the file.
 *
 * Relies on Node's file system; `launch` and the run command rely on it.
 *
 * @journey L:118 Somebody is at home
 */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type GuestOptions, UsageError } from "../index.ts";

/** Paths are absolute. */
export interface DefaultGuest extends GuestOptions {
	readonly kernel: string;
	readonly initrd: string;
}

/** Throws `UsageError` where there is none. */
export function defaultGuest(): DefaultGuest {
	const folder = resolve(
		process.env.LGUEST_GUEST ??
			fileURLToPath(new URL("../../guests/default", import.meta.url)),
	);
	const { kernel, initrd, ...options } = readDescription(folder);
	return {
		...options,
		kernel: join(folder, kernel),
		initrd: join(folder, initrd),
	};
}

/**
 * The default guest as somebody wants it: what is given wins, and each device
 * for itself. How its initrd is packed is said of no other.
 */
export function completed<Given extends Partial<GuestOptions>>(
	guest: DefaultGuest,
	given: Given,
): DefaultGuest & Given {
	const { initrdPacking, ...others } = guest;
	const said = Object.entries(given).filter(([, value]) => value !== undefined);
	return {
		...others,
		...(initrdPacking && given.initrd === undefined && { initrdPacking }),
		...(Object.fromEntries(said) as Given),
		devices: { ...guest.devices, ...given.devices },
	};
}

function readDescription(folder: string): DefaultGuest {
	try {
		return JSON.parse(readFileSync(join(folder, "guest.json"), "utf8"));
	} catch (cause) {
		throw new UsageError(
			`No kernel is given, and there is no default guest in ${folder}.`,
			{ hint: "Try: lguest run KERNEL", cause },
		);
	}
}
