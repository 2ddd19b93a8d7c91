/**
 * `lguest run -- COMMAND` against a default guest: a folder with Debian's
 * kernel and lguest's agent stands in for the one that the package brings.
 * Relies on the built command line program.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLI } from "../boot/engines.ts";
import { agentGuest } from "./agent-guest.ts";

const MINUTES = 60_000;
const guest = await agentGuest();
let folder: string;

beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), "lguest-guest-"));
	if (guest === undefined) return;
	const { kernel, initrd, ...options } = guest;
	symlinkSync(String(kernel), join(folder, "vmlinuz"));
	symlinkSync(String(initrd), join(folder, "initrd"));
	const description = { ...options, kernel: "vmlinuz", initrd: "initrd" };
	writeFileSync(join(folder, "guest.json"), JSON.stringify(description));
});

afterAll(() => {
	rmSync(folder, { recursive: true, force: true });
});

function lguest(folder: string, input: string, ...args: string[]) {
	const { status, stdout, stderr } = spawnSync(
		process.execPath,
		[CLI, "run", "--engine", "auto", ...args],
		{
			input,
			encoding: "latin1",
			env: { ...process.env, LGUEST_GUEST: folder },
		},
	);
	return { status, stdout, stderr };
}

describe.skipIf(guest === undefined)(
	"lguest run -- COMMAND",
	{ timeout: 5 * MINUTES },
	() => {
		it("passes stdin, stdout, stderr and the exit status through", () => {
			const script = "tr a-z A-Z; printf '\\377' ; echo error >&2; exit 5";
			const result = lguest(folder, "hi\n", "--", "sh", "-c", script);
			expect(result).toEqual({
				status: 5,
				stdout: "HI\n\u00ff",
				stderr: "error\n",
			});
		});

		it("ends with 127 and one line when there is no such command", () => {
			const { status, stdout, stderr } = lguest(folder, "", "--", "no-such");
			expect({ status, stdout }).toEqual({ status: 127, stdout: "" });
			expect(stderr).toMatch(/^lguest: no-such: .*no such file[^\n]*\n$/);
		});
	},
);

describe("lguest without a kernel", () => {
	it("says so when there is no default guest either, status 2", () => {
		const result = lguest(join(folder, "nothing"), "");
		expect(result).toMatchObject({ status: 2, stdout: "" });
		expect(result.stderr).toMatch(/^lguest: No kernel is given.*\nTry: /);
	});
});
