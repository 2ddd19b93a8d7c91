/**
 * Virtio on PCI where Debian's kernel is told to do without the IOAPIC, the local
 * APIC or ACPI: its own drivers find their devices and hear from them.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { GuestSession } from "./session.ts";
import { PROGRAM, TEN_MINUTES, virtioBoot } from "./virtio-boot.ts";

const boot = await virtioBoot();

/** Whom a kernel without IOAPIC, or without ACPI, has its interrupts from. */
const OLD_WAYS = [
	{ given: "noapic pci=nomsi", interrupts: /XT-PIC +virtio0\b/ },
	{ given: "nolapic pci=nomsi", interrupts: /XT-PIC +virtio0\b/ },
	{ given: "acpi=off", interrupts: /(XT-PIC|PCI-MSI \d+-edge) +virtio0/ },
];

describe.skipIf(boot === undefined)("virtio on PCI, told", () => {
	for (const { given, interrupts } of OLD_WAYS) {
		it(
			`${given}, finds its devices and hears from them`,
			async () => {
				const scratch = await mkdtemp(join(tmpdir(), "lguest-virtio-"));
				const disk = join(scratch, "disk");
				await writeFile(disk, "0123456789abcdef".repeat(64));
				const options = {
					...{ ...boot, transport: "pci", packedRings: true },
					arguments: ["quiet", ...given.split(" ")],
					disks: [{ path: disk, mode: "ro" }],
				};
				const session = new GuestSession([
					...[process.execPath, PROGRAM, JSON.stringify(options)],
				]);
				try {
					await session.shell();
					await session.run("sh /lib/modules/load");
					const read = await session.run(
						"head -c 16 /dev/vda; head -c 1 /dev/hwrng | wc -c; cat /proc/interrupts",
					);
					expect(read.output).toMatch(/^0123456789abcdef1\n/);
					expect(read.output).toMatch(interrupts);
				} finally {
					await session.close();
					await rm(scratch, { recursive: true, force: true });
				}
			},
			TEN_MINUTES,
		);
	}
});
