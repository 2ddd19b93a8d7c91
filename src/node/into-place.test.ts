import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { commitOverlay, emptyOverlay, openDisk } from "./disk-files.ts";
import { keepName, moveIntoPlace } from "./into-place.ts";

let folder: string;
/** What was flushed: the path, and what was in `watched` at that moment. */
let flushed: [path: string, contents: string | undefined][];
let watched: string;

beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "lguest-place-"));
	watched = join(folder, "file");
	flushed = [];
	const probe = await open(folder, "r");
	const prototype: typeof probe = Object.getPrototypeOf(probe);
	const { sync } = prototype;
	vi.spyOn(prototype, "sync").mockImplementation(function (this: typeof probe) {
		const path = readlinkSync(`/proc/self/fd/${this.fd}`);
		const contents = existsSync(watched)
			? readFileSync(watched, "latin1")
			: undefined;
		flushed.push([path, contents]);
		return sync.call(this);
	});
	await probe.close();
});

afterEach(async () => {
	vi.restoreAllMocks();
	await rm(folder, { recursive: true, force: true });
});

it("flushes the new file while the old one is in place, and the folder afterwards", async () => {
	const fresh = join(folder, "fresh");
	await writeFile(watched, "old");
	await writeFile(fresh, "new");
	await moveIntoPlace(fresh, watched);
	expect(flushed).toEqual([
		[fresh, "old"],
		[folder, "new"],
	]);
	expect(existsSync(fresh)).toBe(false);
});

it("leaves the old file when the new one cannot be flushed", async () => {
	await writeFile(watched, "old");
	const missing = join(folder, "missing");
	await expect(moveIntoPlace(missing, watched)).rejects.toThrow("ENOENT");
	expect(readFileSync(watched, "latin1")).toBe("old");
});

it("lets a folder be that cannot be flushed, but not one that fails", async () => {
	const prototype = Object.getPrototypeOf(await openAndClose(folder));
	for (const [code, passes] of [
		["EINVAL", true],
		["EIO", false],
	] as const) {
		vi.spyOn(prototype, "sync").mockRejectedValue(
			Object.assign(new Error(code), { code }),
		);
		const outcome = await keepName(watched).then(
			() => true,
			() => false,
		);
		expect(outcome).toBe(passes);
	}
});

it("keeps an overlay that is made, emptied or committed", async () => {
	const below = join(folder, "below");
	await writeFile(below, new Uint8Array(1 << 20));
	watched = join(folder, "overlay.qcow2");
	const disk = await openDisk({ path: below, overlay: watched });
	expect(flushed.map(([path]) => path)).toEqual([folder]);
	await disk.write(0, new Uint8Array(512).fill(7));
	await disk.flush();
	await disk.close?.();
	for (const replace of [commitOverlay, emptyOverlay]) {
		const before = readFileSync(watched, "latin1");
		flushed = [];
		await replace({ path: watched });
		const [file, last] = flushed;
		expect(flushed).toHaveLength(2);
		expect(file?.[1]).toBe(before);
		expect(last).toEqual([folder, readFileSync(watched, "latin1")]);
	}
	expect(readFileSync(below)[511]).toBe(7);
});

async function openAndClose(path: string) {
	const file = await open(path, "r");
	await file.close();
	return file;
}
