/**
 * Keeps `docs/virtio-checklist.md` true: each row's test is where it says.
 */

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

const ROOT = new URL("../", import.meta.url);
const checklist = readFileSync(
	new URL("docs/virtio-checklist.md", ROOT),
	"utf8",
);
const rows = checklist
	.split("\n")
	.map((line) => /\| `([^`]+)`: (.*) \|$/.exec(line))
	.filter((match) => match !== null);

it("names tests that exist for every rule of the virtio checklist", () => {
	expect(rows.length).toBeGreaterThan(30);
	const missing = rows.filter(([, path = "", title = ""]) => {
		const text = readFileSync(new URL(path, ROOT), "utf8");
		return !text.includes(`"${title}`);
	});
	expect(missing.map(([row]) => row)).toEqual([]);
});
