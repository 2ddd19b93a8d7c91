/**
 * Debian's netboot installer, kernel and initrd as shipped, draws its first
 * screen on the serial console: a guest with a 30 MB initrd, udev and a
 * full-screen program. Relies on `session.ts` and the built command line
 * program.
 */

import { describe, expect, it } from "vitest";
import { debianAsset } from "../../scripts/debian.ts";
import type { EngineName } from "./engines.ts";
import { GuestSession } from "./session.ts";

const ENGINE = (process.env.LGUEST_TEST_ENGINE ?? "lguest") as EngineName;
const TWENTY_MINUTES = 1_200_000;

/**
 * The kernel's own default, written out for the sake of a word in it. Debian's
 * `reopen-console` starts one installer for each console, on tty1 even where
 * the kernel's messages go to the serial line alone, and says itself that they
 * trip over each other: one replaces the list of packages in two steps, and
 * the other falls when it reads between them. With the word "auto" on the
 * command line it starts one.
 */
const ONE_INSTALLER = "mitigations=auto";

/** The kernel's line about a program that fell; `screen` would draw on. */
const FALLEN = /segfault at|Call Trace|BUG:|Oops/;

const kernel = await debianAsset("installer-kernel-i386");
const initrd = await debianAsset("installer-initrd-i386");

describe.skipIf(kernel === undefined || initrd === undefined)(
	`Debian's netboot installer on ${ENGINE}`,
	() => {
		it(
			"asks for a language on its first screen",
			async () => {
				// With less than 273 MB its first screen is a complaint instead.
				const session = GuestSession.boot(ENGINE, {
					kernel: kernel ?? "",
					initrd: initrd ?? "",
					memoryMiB: 512,
					arguments: [ONE_INSTALLER],
				});
				try {
					const patience = { idleSeconds: 300, totalSeconds: 1200 };
					for (const text of ["Select a language", "English", "<Go Back>"]) {
						const either = new RegExp(`${text}|${FALLEN.source}`);
						await session.waitFor(either, patience);
						expect(session.transcript).not.toMatch(FALLEN);
					}
				} finally {
					await session.close();
				}
			},
			TWENTY_MINUTES,
		);
	},
);
