/**
 * The classic command line as a user sees it, with the paravirtual kernel of
 * `guests/paravirt`: what comes on which stream, and the exit status. Relies on
 * the built command line program.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CLI } from "../boot/engines.ts";
import { paravirtKernel } from "../support/paravirt-guest.ts";

vi.setConfig({ testTimeout: 120_000 });

let directory: string;
let kernel: string;
let disk: string;
let initrd: string;

beforeAll(async () => {
	directory = mkdtempSync(join(tmpdir(), "lguest-classic-"));
	const file = (name: string, data: Uint8Array | string) => {
		writeFileSync(join(directory, name), data);
		return join(directory, name);
	};
	kernel = file("vmlinux", await paravirtKernel("B"));
	disk = file("disk.img", new Uint8Array(64 * 512));
	initrd = file("initrd", "inrd");
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function lguest(input: string, ...args: string[]) {
	const { status, stdout, stderr } = spawnSync(
		process.execPath,
		[CLI, ...args],
		{ input, encoding: "utf8" },
	);
	return { status, stdout, stderr };
}

describe("lguest MIB KERNEL", () => {
	it("runs a Guest with what the options give it, and ends with its last words", () => {
		const { status, stdout, stderr } = lguest(
			"hello",
			`--block=${disk}`,
			"--tunnet=192.168.19.1:02:00:00:00:00:01",
			"--rng",
			"8",
			kernel,
			`--initrd=${initrd}`,
			"ping=1",
		);
		expect(stderr).toBe("lguest: CRASH: Power down\n");
		expect(status).toBe(1);
		expect(stdout).toContain("paravirt: dialect B\n");
		expect(stdout).toContain("ok disk: a sector there and back\n");
		expect(stdout).not.toContain("NOT OK");
		expect(stdout).toContain("all steps are done\n");
		expect(readFileSync(disk)[63 * 512 + 1]).toBe(7);
	});

	it("says in the original's words what a Guest died of", () => {
		const result = lguest(
			"hello",
			`--block=${disk}`,
			"--rng",
			"8",
			kernel,
			"end=2",
		);
		expect(result.stderr).toBe("lguest: Bad hypercall 99\n");
		expect(result.status).toBe(1);
	});

	it("--verbose says where everything was put", () => {
		const { stdout } = lguest("hello", "--verbose", "8", kernel);
		expect(stdout).toContain("Descriptor page at 0x800000");
		expect(stdout).toContain("Starting at 0x100000");
	});

	it("refuses a kernel that does not know lguest, and too much memory", () => {
		const other = join(directory, "other");
		const bytes = readFileSync(kernel);
		const at = bytes.indexOf("lguest\0");
		bytes.write("nobody\0", at);
		writeFileSync(other, bytes);
		const refused = lguest("", "8", other);
		expect(refused.stderr).toContain("built without CONFIG_LGUEST_GUEST");
		expect(refused.status).toBe(2);
		expect(lguest("", "2000", kernel).stderr).toContain("Give 1 to 880 MiB");
		expect(lguest("", "8").status).toBe(1);
	});

	it.each(["2.6.24.7", "4.4.0"])(
		"refuses Linux %s, whose devices were elsewhere",
		(version) => {
			const other = join(directory, "other");
			const bytes = readFileSync(kernel);
			bytes.write("Minix", bytes.indexOf("Linux version "));
			const banner = Buffer.from(`\0Linux version ${version} (gcc)\n\0`);
			writeFileSync(other, Buffer.concat([bytes, banner]));
			const { status, stderr } = lguest("", "8", other);
			expect(status).toBe(2);
			expect(stderr).toContain(
				`lguest: The kernel is Linux ${version}: it cannot be an lguest Guest.\nlguest MEMORY KERNEL takes Linux 2.6.25 to 3.19`,
			);
		},
	);
});
