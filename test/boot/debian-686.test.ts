/**
 * The acceptance run: Debian's unmodified i386 kernels boot to a shell whose
 * programs print what they print on this machine's own CPU; poweroff ends the
 * process and reboot starts the guest again. Relies on `session.ts` and on the
 * built command line program.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type DebianAsset, debianAsset } from "../../scripts/debian.ts";
import { INIT_MARKER, initramfs, PROMPT } from "../../scripts/initramfs.ts";
import type { EngineName } from "./engines.ts";
import { runNatively, userlandOracle } from "./native-userland.ts";
import { GuestSession } from "./session.ts";
import { USERLAND_CASES } from "./userland-script.ts";

const ENGINE = (process.env.LGUEST_TEST_ENGINE ?? "lguest") as EngineName;
const TWENTY_MINUTES = 1_200_000;
vi.setConfig({ testTimeout: TWENTY_MINUTES, hookTimeout: TWENTY_MINUTES });

const MEMORY_MIB = 256;
/** What the process may need beside the guest's memory. */
const OVERHEAD_MIB = 150;
const MIB = 1 << 20;
/** Most of what the kernel leaves. */
const FILL_MIB = 160;

const initrd = await initramfs();
const oracle = await userlandOracle();
/** How the titles name it. */
const ORACLE_NAMES = {
	kernel: "natively",
	emulator: "in QEMU's user mode (this machine's kernel runs no i386 programs)",
	none: "natively (nothing here runs i386 programs)",
};

for (const name of ["kernel-686", "kernel-686-pae"] as const) {
	const kernel = await debianAsset(name);
	describe.skipIf(kernel === undefined || initrd === undefined)(
		`Debian's ${name} on ${ENGINE}`,
		() => bootsToAShell(name, kernel ?? "", initrd ?? ""),
	);
}

function bootsToAShell(name: DebianAsset, kernel: string, initrd: string) {
	// One kernel is unpacked by us, the other unpacks itself.
	const options = name === "kernel-686-pae" ? ["--unpack", "no"] : [];
	let session: GuestSession;
	let scratch: string;
	let statsFile: string;

	beforeAll(async () => {
		scratch = await mkdtemp(join(tmpdir(), "lguest-native-"));
		statsFile = join(scratch, "stats.json");
		session = GuestSession.boot(ENGINE, {
			kernel,
			initrd,
			memoryMiB: MEMORY_MIB,
			arguments: ["MOUNT=dev"],
			statsFile,
			options,
		});
		await session.shell();
	});

	afterAll(async () => {
		await session?.close();
		await rm(scratch, { recursive: true, force: true });
	});

	it("names itself with uname -a", async () => {
		const { output, status } = await session.run("uname -a");
		const release = kernel.replace(/^.*vmlinuz-/, "");
		expect(status).toBe(0);
		expect(output).toMatch(/^Linux \(none\) .* i686 GNU\/Linux\n$/);
		expect(output).toContain(` ${release} `);
	});

	it("mounts proc and sysfs", async () => {
		const mounted = await session.run(
			"mount -t proc proc /proc && mount -t sysfs sysfs /sys && cat /proc/filesystems | grep -c . && ls /sys/kernel",
		);
		expect(mounted.status).toBe(0);
		expect(mounted.output).toContain("mm");
		const pae = await session.run("grep -c ' pae ' /proc/cpuinfo");
		if (name === "kernel-686-pae") expect(pae.output).toBe("1\n");
	});

	it("shows the kernel's own story with dmesg, without a stack trace", async () => {
		const { output, status } = await session.run("dmesg");
		expect(status).toBe(0);
		expect(output).toContain("Linux version 6.1.");
		expect(output).toContain("Run /init as init process");
		expect(output).not.toMatch(/Call Trace|BUG:|Oops|unchecked MSR/);
	});

	it.runIf(ENGINE.startsWith("lguest"))(
		"does not wait for the answers of ISA cards",
		async () => {
			const { output } = await session.run("dmesg | grep isapnp:");
			expect(output).toMatch(/already used\n$/);
			expect(output).not.toContain("Scanning");
		},
	);

	it("gives the console's shell job control", async () => {
		const { output } = await session.run("set -o | grep monitor; tty");
		expect(output).toMatch(/^monitor +on\n\/dev\/ttyS0\n$/);
	});

	it("interrupts a program when Ctrl-C is typed", async () => {
		session.send("echo @@asleep; sleep 1000000\n");
		await session.waitFor("@@asleep");
		await session.run(":", { idleSeconds: 1 }).catch(() => {});
		session.send("\u0003");
		expect(await session.run("echo awake")).toEqual({
			output: "awake\n",
			status: 0,
		});
	});

	for (const { title, script } of USERLAND_CASES) {
		const by = ORACLE_NAMES[oracle ?? "none"];
		it.skipIf(oracle === undefined)(
			`${title}, byte for byte as ${by}`,
			async () => {
				const expected = await runNatively(script, scratch, oracle ?? "kernel");
				const actual = await session.run(`cd /tmp; ${script}`);
				expect(actual).toEqual(expected);
			},
		);
	}

	it("can fill its memory", async () => {
		const { output } = await session.run(
			[
				"mkdir /fill && mount -t tmpfs -o size=90% fill /fill",
				`dd if=/dev/zero of=/fill/zeros bs=1M count=${FILL_MIB} 2>/dev/null`,
				"stat -c %s /fill/zeros; umount /fill",
			].join("\n"),
		);
		expect(output).toBe(`${FILL_MIB * MIB}\n`);
	});

	// Once is enough: the second kernel's start would tell nothing new.
	if (name === "kernel-686") {
		it("starts again after reboot -f", async () => {
			session.send("reboot -f\n");
			await session.waitFor("Linux version");
			await session.waitFor(INIT_MARKER);
			await session.waitFor(PROMPT);
		});
	}

	it("ends with status 0 after poweroff -f", async () => {
		session.send("poweroff -f\n");
		expect(await session.exit()).toEqual({ status: 0, stderr: "" });
	});

	it("had its code prepared when the program was built", async () => {
		const stats = JSON.parse(await readFile(statsFile, "utf8"));
		expect(stats.formsPrepared).toBeGreaterThan(500);
	});

	it("has used little more memory than the guest has", async () => {
		const stats = JSON.parse(await readFile(statsFile, "utf8"));
		expect(stats.memory.guestBytes).toBe(MEMORY_MIB * MIB);
		// Less than this, and the guest's own pages were not counted.
		expect(stats.memory.peakRssBytes).toBeGreaterThan(FILL_MIB * MIB);
		expect(stats.memory.peakRssBytes / MIB).toBeLessThan(
			MEMORY_MIB + OVERHEAD_MIB,
		);
		expect(stats.instructionsRetired).toBeGreaterThan(1e9);
	});
}
