/**
 * The built command line program on the oldest Node there is a promise for:
 * Debian's kernel reaches user space, and SIGTERM ends it. What the guest does
 * there is `test/boot`'s business; this asks whether generated code, streams
 * and signals are as good on the old engine. Relies on `test/boot/session.ts`.
 */

import { describe, expect, it } from "vitest";
import { debianAsset } from "../../scripts/debian.ts";
import { INIT_MARKER, initramfs } from "../../scripts/initramfs.ts";
import { GuestSession } from "../boot/session.ts";

const TWENTY_MINUTES = 1_200_000;

const kernel = await debianAsset("kernel-686");
const initrd = await initramfs();

describe.skipIf(kernel === undefined || initrd === undefined)(
	`lguest on Node ${process.version}`,
	() => {
		it(
			"boots Debian's kernel to user space and ends on SIGTERM",
			async () => {
				const session = GuestSession.boot("lguest", {
					kernel: kernel ?? "",
					initrd: initrd ?? "",
				});
				try {
					await session.waitFor(INIT_MARKER);
					await session.shell();
					expect(await session.run("uname -s")).toEqual({
						output: "Linux\n",
						status: 0,
					});
					session.signal("SIGTERM");
					expect((await session.exit()).status).toBe(143);
				} finally {
					await session.close();
				}
			},
			TWENTY_MINUTES,
		);
	},
);
