/**
 * The package as its users get it: packed, unpacked into a project of its own,
 * imported from plain JavaScript and from TypeScript that is checked strictly.
 * Relies on the built package, npm and tar.
 */

import { execFileSync } from "node:child_process";
import {
	mkdirSync,
	mkdtempSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pack } from "../../scripts/package.ts";
import { projectRoot } from "../../scripts/sources.ts";
import { greeterCode, multibootImage } from "../boot/multiboot-image.ts";

const PROGRAM = `
import { readFileSync } from "node:fs";
import { UsageError } from "lguest";
import { launch } from "lguest/node";

const guest = await launch({ kernel: readFileSync("kernel"), memoryBytes: 8 << 20 });
const reader = guest.console.readable.getReader();
let text = "";
while (!text.includes("!")) text += new TextDecoder().decode((await reader.read()).value);
console.log(text);
console.log((await guest.stop()).kind);
try {
	await launch({ kernel: "/no/such/kernel" });
} catch (error) {
	console.log(error instanceof UsageError);
}
`;

const TSCONFIG = {
	compilerOptions: {
		target: "ES2022",
		module: "NodeNext",
		strict: true,
		exactOptionalPropertyTypes: true,
		noUncheckedIndexedAccess: true,
		// Our declarations are checked, too.
		skipLibCheck: false,
		types: ["node"],
		outDir: "out",
	},
	files: ["program.ts"],
};

let project: string;

beforeAll(() => {
	project = mkdtempSync(join(tmpdir(), "lguest-user-"));
	const modules = join(project, "node_modules");
	mkdirSync(join(modules, "lguest"), { recursive: true });
	const { path } = pack(project);
	execFileSync("tar", [
		...["-xf", path, "-C", join(modules, "lguest")],
		"--strip-components=1",
	]);
	for (const name of ["commander", "fzstd", "@types", "undici-types"]) {
		symlinkSync(join(projectRoot, "node_modules", name), join(modules, name));
	}
	writeFileSync(join(project, "package.json"), '{ "type": "module" }');
	writeFileSync(join(project, "kernel"), multibootImage(greeterCode("hello!")));
});

afterAll(() => {
	rmSync(project, { recursive: true, force: true });
});

function run(program: string): string {
	return execFileSync(process.execPath, [program], {
		cwd: project,
		encoding: "utf8",
	});
}

describe("The package", { timeout: 120_000 }, () => {
	it("works from plain JavaScript", () => {
		writeFileSync(join(project, "program.js"), PROGRAM);
		expect(run("program.js")).toBe("hello!\nstopped\ntrue\n");
	});

	it("works from TypeScript, whose strictest checks it passes", () => {
		writeFileSync(join(project, "program.ts"), PROGRAM);
		writeFileSync(join(project, "tsconfig.json"), JSON.stringify(TSCONFIG));
		const tsc = join(projectRoot, "node_modules/typescript/bin/tsc");
		execFileSync(process.execPath, [tsc, "-p", project], { stdio: "inherit" });
		expect(run("out/program.js")).toBe("hello!\nstopped\ntrue\n");
	});

	it("brings a program that says its version", () => {
		const program = "node_modules/lguest/dist/program/cli.js";
		const output = execFileSync(process.execPath, [program, "--version"], {
			cwd: project,
			encoding: "utf8",
		});
		expect(output).toMatch(/^lguest \d+\.\d+\.\d+\n$/);
	});
});
