import { execFileSync } from "node:child_process";
import {
	link,
	lstat,
	mkdir,
	mkdtemp,
	readdir,
	readFile,
	readlink,
	rename,
	rm,
	stat,
	symlink,
	writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileSystemCases } from "../../test/file-system.case.ts";
import { NinePClient } from "../../test/support/nine-p-client.ts";
import { settled } from "../../test/support/vsock-guest.ts";
import {
	P9_TRENAMEAT,
	P9_TSETATTR,
	P9_TSYMLINK,
	P9_TUNLINKAT,
	P9_TXATTRWALK,
} from "../virtio/devices/nine-p/message.ts";
import { NinePSession } from "../virtio/devices/nine-p/session.ts";
import { DirectoryShare } from "./directory-share.ts";

let scratch: string;
let top: string;
const opened: DirectoryShare[] = [];
const sessions: NinePSession[] = [];

beforeEach(async () => {
	scratch = await mkdtemp(join(tmpdir(), "lguest-share-"));
	top = join(scratch, "top");
	await mkdir(top);
	await writeFile(join(scratch, "secret"), "nobody must read this");
});

afterEach(async () => {
	for (const session of sessions.splice(0)) await session.end();
	for (const share of opened.splice(0)) await share.close();
	await rm(scratch, { recursive: true, force: true });
});

async function openShare(options: Parameters<typeof DirectoryShare.open>[1]) {
	const share = await DirectoryShare.open(top, options);
	opened.push(share);
	return share;
}

async function guestOf(share: DirectoryShare): Promise<NinePClient> {
	const session = new NinePSession(share);
	sessions.push(session);
	return NinePClient.attached(session);
}

const WAYS = [...(process.platform === "linux" ? [true] : []), ...[false]];

for (const isLinux of WAYS) {
	const how = isLinux ? "by descriptors" : "by checked paths";
	fileSystemCases(`A directory of this computer ${how}`, {
		make: () => openShare({ isLinux }),
		sealed: () => openShare({ isLinux, readOnly: true }),
	});

	describe(`A directory of this computer ${how}`, () => {
		const guest = async () => guestOf(await openShare({ isLinux }));

		it("is what it is outside, both ways", async () => {
			const client = await guest();
			await writeFile(join(top, "from outside"), "hello");
			const fid = await client.open("from outside", 2);
			const data = Buffer.from(await client.read(fid, 0, 100));
			expect(data.toString()).toBe("hello");
			await client.write(fid, 5, Buffer.from(" outside"));
			expect(await readFile(join(top, "from outside"), "utf8")).toBe(
				"hello outside",
			);
			const real = await stat(join(top, "from outside"));
			const seen = await client.attributes(fid);
			expect(seen).toMatchObject({ mode: real.mode, uid: real.uid });
			await client.create("", "made", 2, 0o100666);
			expect((await stat(join(top, "made"))).mode).toBe(0o100666);
			await client.makeDirectory("", "dir", 0o777);
			expect((await stat(join(top, "dir"))).mode).toBe(0o040777);
		});

		it("does not follow links that lead out, wherever in a path they are", async () => {
			await symlink("..", join(top, "up"));
			await symlink(join(scratch, "secret"), join(top, "leak"));
			await mkdir(join(top, "d"));
			await symlink(scratch, join(top, "d", "out"));
			const client = await guest();
			const paths = ["up/secret", "d/out/secret", "d/out/top"];
			for (const path of [...paths, "leak"]) {
				await expect(client.open(path)).rejects.toThrow("errno");
				await expect(client.open(path, 2)).rejects.toThrow("errno");
			}
			for (const path of ["up", "d/out"]) {
				await expect(client.list(path)).rejects.toThrow("errno");
				await expect(client.create(path, "planted")).rejects.toThrow("errno");
				await expect(client.create(path, "secret")).rejects.toThrow("errno");
				await expect(client.makeDirectory(path, "x")).rejects.toThrow("errno");
				const fid = await client.find(path);
				const tries = [
					client.request(P9_TUNLINKAT, (body) =>
						body.u32(fid).text("secret").u32(0),
					),
					client.request(P9_TRENAMEAT, (body) =>
						body.u32(fid).text("secret").u32(0).text("mine"),
					),
					client.request(P9_TRENAMEAT, (body) =>
						body.u32(0).text("leak").u32(fid).text("planted"),
					),
					client.request(P9_TSYMLINK, (body) =>
						body.u32(fid).text("planted").text("x").u32(0),
					),
				];
				for (const one of tries) await expect(one).rejects.toThrow("errno");
			}
			expect((await readdir(scratch)).sort()).toEqual(["secret", "top"]);
			expect(await readFile(join(scratch, "secret"), "utf8")).toBe(
				"nobody must read this",
			);
		});

		it("changes a link's own attributes, not those of what it leads to", async () => {
			await symlink(join(scratch, "secret"), join(top, "leak"));
			const before = await stat(join(scratch, "secret"), { bigint: true });
			const client = await guest();
			const fid = await client.find("leak");
			const set = (valid: number) =>
				client.request(P9_TSETATTR, (body) => {
					body.u32(fid).u32(valid).u32(0o777).u32(0).u32(0).u64(0n);
					body.u64(1n).u64(0n).u64(1n).u64(0n);
				});
			await expect(set(1)).rejects.toMatchObject({ errno: 40 });
			await expect(set(8)).rejects.toMatchObject({ errno: 40 });
			await set((1 << 5) | (1 << 8));
			expect((await lstat(join(top, "leak"))).mtimeMs).toBe(1000);
			const after = await stat(join(scratch, "secret"), { bigint: true });
			expect([after.mode, after.size, after.mtimeNs, after.ctimeNs]).toEqual([
				...[before.mode, before.size, before.mtimeNs, before.ctimeNs],
			]);
		});

		it("stays inside while a directory and a link out trade places", async () => {
			// The hostile guest's race: one request walks a directory that another
			// exchanges for a link to the outside, over and over.
			await mkdir(join(top, "d"));
			await writeFile(join(top, "d", "secret"), "harmless");
			await symlink(scratch, join(top, "link"));
			const client = await guest();
			const swap = (from: string, to: string) =>
				client.request(P9_TRENAMEAT, (body) =>
					body.u32(0).text(from).u32(0).text(to),
				);
			let leaks = 0;
			let reads = 0;
			const peek = async () => {
				const fid = await client.open("d/secret");
				const data = Buffer.from(await client.read(fid, 0, 100)).toString();
				await client.clunk(fid);
				reads++;
				if (data !== "harmless") leaks++;
			};
			for (let round = 0; round < 60; round++) {
				const peeks = Array.from({ length: 8 }, () => peek().catch(() => {}));
				// Each round a little later, to hit every step of the others.
				for (let turn = 0; turn < round; turn++) await settled();
				await swap("d", "aside").catch(() => {});
				await swap("link", "d").catch(() => {});
				await Promise.all(peeks);
				await swap("d", "link").catch(() => {});
				await swap("aside", "d").catch(() => {});
			}
			expect(leaks).toBe(0);
			expect(reads).toBeGreaterThan(0);
			expect(await readdir(scratch)).toHaveLength(2);
		});

		it("sees what others outside exchange, soon", async () => {
			const client = await guest();
			await client.makeDirectory("", "d");
			await writeFile(join(top, "d", "file"), "old");
			await client.open("d/file");
			await rename(join(top, "d"), join(top, "old d"));
			await mkdir(join(top, "d"));
			await writeFile(join(top, "d", "file"), "new!");
			await new Promise((resolve) => setTimeout(resolve, 1100));
			const fid = await client.open("d/file");
			expect(Buffer.from(await client.read(fid, 0, 9)).toString()).toBe("new!");
		});

		it("neither opens pipes and devices nor waits for them", async () => {
			execFileSync("mkfifo", [join(top, "pipe")]);
			const client = await guest();
			await expect(client.open("pipe")).rejects.toMatchObject({ errno: 6 });
			await expect(client.open("pipe", 1)).rejects.toMatchObject({ errno: 6 });
			await expect(client.create("", "pipe")).rejects.toMatchObject({
				errno: 6,
			});
			const entries = await client.list("");
			expect(entries.find(({ name }) => name === "pipe")?.type).toBe(1);
		});

		it("makes no set-user-ID programs", async () => {
			const client = await guest();
			await client.create("", "program", 2, 0o4755);
			expect((await stat(join(top, "program"))).mode).toBe(0o100755);
			const fid = await client.find("program");
			await client.request(P9_TSETATTR, (body) => {
				body.u32(fid).u32(1).u32(0o6711).u32(0).u32(0).u64(0n);
				body.u64(0n).u64(0n).u64(0n).u64(0n);
			});
			expect((await stat(join(top, "program"))).mode).toBe(0o100711);
			await client.makeDirectory("", "sticky", 0o3777);
			expect((await stat(join(top, "sticky"))).mode).toBe(0o041777);
		});

		it("has no extended attributes", async () => {
			const client = await guest();
			const walk = client.request(P9_TXATTRWALK, (body) =>
				body.u32(0).u32(9).text("user.a"),
			);
			await expect(walk).rejects.toMatchObject({ errno: 95 });
		});

		it("keeps to names that are text", async () => {
			await writeFile(
				Buffer.concat([Buffer.from(`${top}/`), Buffer.of(0xff, 0x41)]),
				"",
			);
			await writeFile(join(top, "grün"), "");
			const client = await guest();
			const names = (await client.list("")).map(({ name }) => name);
			expect(names.sort()).toEqual([".", "..", "grün"]);
		});

		it("links files, and links to nothing outside", async () => {
			await link(join(top, "..", "secret"), join(top, "inside"));
			await symlink("inside", join(top, "soft"));
			const client = await guest();
			const soft = await client.find("soft");
			const linking = client.request(70, (body) =>
				body.u32(0).u32(soft).text("copy"),
			);
			await expect(linking).rejects.toMatchObject({ errno: 1 });
			expect(await readlink(join(top, "soft"))).toBe("inside");
		});

		it("says what cannot be shared", async () => {
			const missing = DirectoryShare.open(join(scratch, "missing"));
			await expect(missing).rejects.toThrow("does not exist");
			const file = DirectoryShare.open(join(scratch, "secret"));
			await expect(file).rejects.toThrow("is no directory");
		});
	});
}

describe.skipIf(process.platform !== "linux")("A shared directory", () => {
	it("keeps few descriptors, and none when it is closed", async () => {
		const count = async () => (await readdir("/proc/self/fd")).length;
		const before = await count();
		const share = await openShare({});
		const client = await guestOf(share);
		for (let i = 0; i < 200; i++) {
			await client.makeDirectory("", `d${i}`);
			await client.makeDirectory(`d${i}`, "e");
		}
		expect((await count()) - before).toBeLessThan(80);
		for (const session of sessions.splice(0)) await session.end();
		for (const one of opened.splice(0)) await one.close();
		await new Promise((resolve) => setTimeout(resolve, 50));
		expect(await count()).toBeLessThanOrEqual(before + 1);
	});
});
