import { spawnSync } from "node:child_process";
import {
	copyFileSync,
	mkdirSync,
	mkdtempSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { projectRoot } from "./sources.ts";

const PROGRAM = "scripts/npm-start.js";
const TELL = "console.log(process.argv.slice(2).join())";
let checkout: string;

beforeEach(() => {
	checkout = mkdtempSync(join(tmpdir(), "lguest-start-"));
	mkdirSync(join(checkout, "scripts"));
	mkdirSync(join(checkout, "dist"));
	copyFileSync(join(projectRoot, PROGRAM), join(checkout, PROGRAM));
	writeFileSync(join(checkout, "package.json"), '{ "type": "module" }');
});

afterEach(() => {
	rmSync(checkout, { recursive: true });
});

function start(...flags: string[]) {
	const args = [...flags, join(checkout, PROGRAM), "run", "--rng"];
	const { status, stdout, stderr } = spawnSync(process.execPath, args, {
		encoding: "utf8",
	});
	return { status, stdout, stderr };
}

it("runs the bundle", () => {
	writeFileSync(join(checkout, "dist/start.js"), TELL);
	expect(start()).toEqual({ status: 0, stdout: "run,--rng\n", stderr: "" });
});

it("runs the script that makes the bundle where there is none", () => {
	writeFileSync(join(checkout, "scripts/start.ts"), `${TELL} as void`);
	expect(start()).toEqual({ status: 0, stdout: "run,--rng\n", stderr: "" });
});

it("says what to do where Node reads no TypeScript either", () => {
	writeFileSync(join(checkout, "scripts/start.ts"), `${TELL} as void`);
	const { status, stdout, stderr } = start("--no-strip-types");
	expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
	expect(stderr).toMatch(/^lguest: .*not built.*\nTry: npm .*\n$/);
});
