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
				});
				try {
					const patience = { idleSeconds: 300, totalSeconds: 1200 };
					await session.waitFor("Select a language", patience);
					await session.waitFor("English", patience);
					await session.waitFor("<Go Back>", patience);
					expect(session.transcript).not.toMatch(/Call Trace|BUG:|Oops/);
				} finally {
					await session.close();
				}
			},
			TWENTY_MINUTES,
		);
	},
);
