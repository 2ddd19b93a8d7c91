/**
 * What Debian's own balloon driver says of free memory, unasked (page reporting)
 * and asked (page hinting). It reports only where 32 blocks of 4 MiB are free
 * beyond what the kernel keeps, so this guest is larger than the others.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { GuestSession } from "./session.ts";
import { PROGRAM, TEN_MINUTES, virtioBoot } from "./virtio-boot.ts";

const BLOCK_BYTES = 4 << 20;
const boot = await virtioBoot();

/** Hinted and reported bytes, when something has been reported. */
const SCRIPT = `sh /lib/modules/load
	cp /bin/busybox /kept; sum=$(sha256sum < /kept)
	until vsock connect 5003 </dev/null > /said && ! grep -q ' 0$' /said; do sleep 1; done
	cat /said; test "$sum" = "$(sha256sum < /kept)" && echo kept`;

describe.skipIf(boot === undefined)("Debian's balloon driver", () => {
	for (const packedRings of [true, false]) {
		const rings = packedRings ? "packed" : "split";
		it(
			`reports what is free, and hints at it when asked, with ${rings} rings`,
			async () => {
				const scratch = await mkdtemp(join(tmpdir(), "lguest-balloon-"));
				const options = {
					...{ ...boot, transport: "pci", packedRings, memoryMib: 512 },
					...{ arguments: ["quiet"], disks: [] },
					vsockPath: join(scratch, "vsock"),
				};
				const session = new GuestSession([
					...[process.execPath, PROGRAM, JSON.stringify(options)],
				]);
				try {
					await session.shell();
					const { output } = await session.run(SCRIPT);
					const [figures = "", kept] = output.trim().split("\n");
					const [hinted = 0, reported = 0] = figures.split(" ").map(Number);
					for (const bytes of [hinted, reported]) {
						expect(bytes).toBeGreaterThan(0);
						expect(bytes % BLOCK_BYTES).toBe(0);
					}
					expect(hinted).toBeGreaterThan(256 << 20);
					expect(hinted).toBeLessThan(512 << 20);
					expect(kept).toBe("kept");
				} finally {
					await session.close();
					await rm(scratch, { recursive: true, force: true });
				}
			},
			TEN_MINUTES,
		);
	}
});
