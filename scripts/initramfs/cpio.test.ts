/** The cpio writer against the format's rules and, where present, cpio itself. */

import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { buildCpio, type CpioEntry, readCpioFiles } from "./cpio.ts";

const ENTRIES: readonly CpioEntry[] = [
	{ kind: "directory", path: "dev", mode: 0o755 },
	{
		kind: "character device",
		path: "dev/console",
		mode: 0o600,
		major: 5,
		minor: 1,
	},
	{
		kind: "file",
		path: "greeting",
		mode: 0o644,
		data: new TextEncoder().encode("hello"),
	},
	{ kind: "link", path: "sh", target: "greeting" },
];

const hasCpio = spawnSync("cpio", ["--version"]).status === 0;

describe("buildCpio", () => {
	it("gives the same bytes for the same entries", () => {
		expect(buildCpio(ENTRIES)).toEqual(buildCpio(ENTRIES));
	});

	it("starts every member on a multiple of four bytes", () => {
		const text = Buffer.from(buildCpio(ENTRIES)).toString("latin1");
		const starts = [...text.matchAll(/070701/g)].map((match) => match.index);
		expect(starts).toHaveLength(ENTRIES.length + 1);
		expect(starts.filter((at) => at % 4 !== 0)).toEqual([]);
	});

	it("states a file's size and places its data after the padded name", () => {
		const data = new TextEncoder().encode("hello");
		const archive = Buffer.from(
			buildCpio([{ kind: "file", path: "f", mode: 0o644, data }]),
		);
		expect(archive.toString("latin1", 54, 62)).toBe("00000005");
		expect(archive.toString("latin1", 112, 117)).toBe("hello");
	});

	it("ends with the trailer, padded to 512 bytes", () => {
		const archive = buildCpio(ENTRIES);
		expect(archive.length % 512).toBe(0);
		expect(Buffer.from(archive).includes("TRAILER!!!")).toBe(true);
	});

	it.skipIf(!hasCpio)("is what cpio itself reads", () => {
		const { stdout } = spawnSync("cpio", ["-itv", "--quiet"], {
			input: buildCpio(ENTRIES),
			encoding: "utf8",
		});
		const lines = stdout.trim().split("\n");
		expect(lines[0]).toMatch(/^drwxr-xr-x.* dev$/);
		expect(lines[1]).toMatch(/^crw------- .*5, +1 .* dev\/console$/);
		expect(lines[2]).toMatch(/^-rw-r--r-- .* 5 .* greeting$/);
		expect(lines[3]).toMatch(/^lrwxrwxrwx.* sh -> greeting$/);
	});
});

describe("readCpioFiles", () => {
	it("finds the files again, and nothing else", () => {
		const files = readCpioFiles(buildCpio(ENTRIES));
		expect([...files.keys()]).toEqual(["greeting"]);
		expect(new TextDecoder().decode(files.get("greeting"))).toBe("hello");
	});

	it("says where an archive is none", () => {
		const cut = buildCpio(ENTRIES).subarray(0, 200);
		expect(() => readCpioFiles(cut)).toThrow("no cpio header at");
	});
});
