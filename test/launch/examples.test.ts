/**
 * Every file in examples/ runs and prints what it promises, with the package's
 * default guest. Relies on the built package.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { debianAsset } from "../../scripts/debian.ts";
import { initramfs } from "../../scripts/initramfs.ts";
import { projectRoot } from "../../scripts/sources.ts";

const MINUTES = 60_000;
const FOLDER = join(projectRoot, "examples");
const hasDefaultGuest = existsSync(join(projectRoot, "guests/default/vmlinuz"));
const kernel = await debianAsset("kernel-686");
const initrd = await initramfs([
	{ path: "hello", data: "echo hello from my kernel\n" },
]);

function run(example: string, ...args: string[]): string {
	return execFileSync(process.execPath, [join(FOLDER, example), ...args], {
		encoding: "utf8",
		timeout: 5 * MINUTES,
	});
}

describe("The example", { timeout: 5 * MINUTES }, () => {
	it.skipIf(!hasDefaultGuest)("hello.js greets from the guest", () => {
		expect(run("hello.js")).toMatch(/^Linux .*\nhello from the guest\n/);
	});

	it.skipIf(!hasDefaultGuest)("files-and-commands.ts shows results", () => {
		const lines = run("files-and-commands.ts");
		expect(lines).toContain("apple\nfig\npear\n");
		expect(lines).toMatch(/ls ended with [12]: .*nowhere/);
		expect(lines).toContain("it counts: 1\n");
		expect(lines).toContain("it took longer than 500 ms");
		expect(lines).toContain("ENOENT The command did not start");
	});

	it.skipIf(!hasDefaultGuest)("console.ts holds a conversation", () => {
		const text = run("console.ts");
		expect(text).toContain("42 is the answer");
		expect(text).toContain("The guest ended: poweroff");
	});

	it.skipIf(kernel === undefined || initrd === undefined)(
		"own-kernel.ts boots the kernel that it is given",
		() => {
			const text = run(
				"own-kernel.ts",
				kernel ?? "",
				initrd ?? "",
				"SCRIPT=/hello",
			);
			expect(text).toMatch(/Linux version 6/);
			expect(text).toContain("hello from my kernel");
			expect(text).toContain("The guest ended: poweroff");
		},
	);

	it("is listed in the README of the folder", () => {
		const files = readdirSync(FOLDER).filter((name) => /\.[jt]s$/.test(name));
		const listed = readFileSync(join(FOLDER, "README.md"), "utf8");
		for (const file of files) expect(listed).toContain(`](${file})`);
		expect(files.length).toBeGreaterThan(3);
	});
});
