/**
 * What every tree of files must do for a guest, told as stories of a 9p client:
 * one suite for the tree in memory and for directories of this computer.
 */

import { afterEach, describe, expect, it } from "vitest";
import {
	P9_TFLUSH,
	P9_TFSYNC,
	P9_TGETLOCK,
	P9_TLCREATE,
	P9_TLINK,
	P9_TLOCK,
	P9_TLOPEN,
	P9_TMKNOD,
	P9_TREADLINK,
	P9_TREMOVE,
	P9_TRENAME,
	P9_TRENAMEAT,
	P9_TSETATTR,
	P9_TSTATFS,
	P9_TSYMLINK,
	P9_TUNLINKAT,
	P9_TWALK,
} from "../src/virtio/devices/nine-p/message.ts";
import { NinePSession } from "../src/virtio/devices/nine-p/session.ts";
import type { FileSystemBackend } from "../src/virtio/file-system.ts";
import { NinePClient, qidOf } from "./support/nine-p-client.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

const ENOENT = { errno: 2 };
const EBADF = { errno: 9 };
const EEXIST = { errno: 17 };
const ENOTDIR = { errno: 20 };
const EISDIR = { errno: 21 };
const EINVAL = { errno: 22 };
const EROFS = { errno: 30 };
const ENOTEMPTY = { errno: 39 };
const ELOOP = { errno: 40 };

const O_WRONLY = 1;
const O_RDWR = 2;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;

/** A fresh, empty tree; `sealed` gives the same tree read-only. */
export interface TreeMaker {
	make(): Promise<FileSystemBackend>;
	sealed(tree: FileSystemBackend): Promise<FileSystemBackend>;
}

/** Runs the suite for one kind of tree. */
export function fileSystemCases(name: string, { make, sealed }: TreeMaker) {
	const sessions: NinePSession[] = [];

	async function guestOf(tree: FileSystemBackend): Promise<NinePClient> {
		const session = new NinePSession(tree);
		sessions.push(session);
		return NinePClient.attached(session);
	}

	async function setUp() {
		const tree = await make();
		return { tree, client: await guestOf(tree) };
	}

	async function contents(client: NinePClient, path: string): Promise<string> {
		const fid = await client.open(path);
		const data = await client.read(fid, 0, 60_000);
		await client.clunk(fid);
		return text(data);
	}

	async function write(client: NinePClient, path: string, what: string) {
		const at = path.lastIndexOf("/");
		const [directory, file] = [path.slice(0, at + 1), path.slice(at + 1)];
		const fid = await client.create(directory, file, O_RDWR | O_TRUNC);
		await client.write(fid, 0, bytes(what));
		await client.clunk(fid);
	}

	const named = (entries: readonly { name: string }[]) =>
		entries.map((entry) => entry.name).sort();

	describe(`${name}, to a 9p client`, () => {
		afterEach(async () => {
			for (const session of sessions.splice(0)) await session.end();
		});

		it("is an empty directory at first, with . and ..", async () => {
			const { client } = await setUp();
			const entries = await client.list("");
			expect(named(entries)).toEqual([".", ".."]);
			expect(entries.map(({ type }) => type)).toEqual([4, 4]);
			const { mode, qid } = await client.attributes(0);
			expect([mode >> 12, qid.type]).toEqual([4, 0x80]);
			expect(entries[0]?.id).toBe(qid.id);
		});

		it("keeps what is written, where it is written", async () => {
			const { client } = await setUp();
			const fid = await client.create("", "file");
			expect(await client.write(fid, 0, bytes("hello world"))).toBe(11);
			await client.write(fid, 6, bytes("there"));
			await client.write(fid, 20, bytes("!"));
			expect(text(await client.read(fid, 0, 12))).toBe("hello there\0");
			expect((await client.read(fid, 20, 100)).length).toBe(1);
			expect((await client.read(fid, 1000, 100)).length).toBe(0);
			const { size, mode, qid, links } = await client.attributes(fid);
			expect([size, mode, qid.type, links]).toEqual([21n, 0o100644, 0, 1n]);
			await client.request(P9_TFSYNC, (body) => body.u32(fid).u32(0));
			await client.request(P9_TFSYNC, (body) => body.u32(fid).u32(1));
		});

		it("heeds what a file is opened for", async () => {
			const { client } = await setUp();
			await write(client, "file", "contents");
			const reader = await client.open("file");
			await expect(client.write(reader, 0, bytes("x"))).rejects.toMatchObject(
				EBADF,
			);
			const appender = await client.open("file", O_WRONLY | O_APPEND);
			await client.write(appender, 0, bytes(" and more"));
			expect(await contents(client, "file")).toBe("contents and more");
			await client.open("file", O_WRONLY | O_TRUNC);
			expect(await contents(client, "file")).toBe("");
			await expect(client.create("", "file", O_EXCL)).rejects.toMatchObject(
				EEXIST,
			);
		});

		it("walks as far as there is something, and no further", async () => {
			const { client } = await setUp();
			await client.makeDirectory("", "a");
			await client.makeDirectory("a", "b");
			await write(client, "a/b/c", "deep");
			expect(await contents(client, "a/b/c")).toBe("deep");
			const short = await client.walk(0, "a", "x", "c");
			expect(short.steps).toBe(1);
			await expect(client.attributes(short.fid)).rejects.toMatchObject(EBADF);
			await expect(client.walk(0, "x")).rejects.toMatchObject(ENOENT);
			const through = await client.walk(0, "a", "b", "c", "d");
			expect(through.steps).toBe(3);
			const fid = await client.find("a/b/c");
			await expect(client.walk(fid, "d")).rejects.toMatchObject(ENOTDIR);
		});

		it("leads up by .. to the top and not beyond", async () => {
			const { client } = await setUp();
			await client.makeDirectory("", "a");
			const top = (await client.attributes(0)).qid;
			const { fid, qids } = await client.walk(0, "a", "..", "..", "..");
			expect(qids.slice(1).map(({ id }) => id)).toEqual([
				...[top.id, top.id, top.id],
			]);
			expect(named(await client.list(""))).toContain("a");
			expect((await client.attributes(fid)).qid.id).toBe(top.id);
		});

		it("has no names that would be paths", async () => {
			const { client } = await setUp();
			for (const wrong of ["a/b", "../a", "", ".", "/", "a\0b"]) {
				await expect(client.walk(0, wrong)).rejects.toMatchObject(ENOENT);
			}
			for (const wrong of ["a/b", "..", "", ".", "a\0b"]) {
				await expect(client.create("", wrong)).rejects.toMatchObject(EINVAL);
				await expect(client.makeDirectory("", wrong)).rejects.toMatchObject(
					EINVAL,
				);
			}
			expect(await client.list("")).toHaveLength(2);
		});

		it("clones fids and moves them", async () => {
			const { client } = await setUp();
			await client.makeDirectory("", "a");
			const { fid } = await client.walk(0);
			await client.request(P9_TWALK, (body) =>
				body.u32(fid).u32(fid).u16(1).text("a"),
			);
			const a = await client.attributes(await client.find("a"));
			expect((await client.attributes(fid)).qid).toEqual(a.qid);
			await expect(
				client.request(P9_TWALK, (body) => body.u32(0).u32(fid).u16(0)),
			).rejects.toMatchObject(EINVAL);
			await client.clunk(fid);
			await expect(client.clunk(fid)).rejects.toMatchObject(EBADF);
		});

		it("lists many entries, in as many messages as it takes", async () => {
			const { client } = await setUp();
			const names = Array.from({ length: 150 }, (_, i) => `entry ${i} ä`);
			for (const entry of names) await client.makeDirectory("", entry);
			const entries = await client.list("", 500);
			expect(named(entries)).toEqual([".", "..", ...names].sort());
			const first = await client.attributes(await client.find("entry 0 ä"));
			const same = entries.find((entry) => entry.name === "entry 0 ä");
			expect(same?.id).toBe(first.qid.id);
			await expect(client.list("", 20)).rejects.toMatchObject(EINVAL);
		});

		it("makes symbolic links and tells where they lead, but follows none", async () => {
			const { client } = await setUp();
			const links = {
				up: "..",
				away: "/etc",
				file: "/etc/passwd",
				loop: "loop",
			};
			for (const [link, target] of Object.entries(links)) {
				const reply = await client.request(P9_TSYMLINK, (body) =>
					body.u32(0).text(link).text(target).u32(0),
				);
				expect(qidOf(reply).type).toBe(0x02);
				const fid = await client.find(link);
				const read = await client.request(P9_TREADLINK, (body) =>
					body.u32(fid),
				);
				expect(read.text()).toBe(target);
				const { mode, size } = await client.attributes(fid);
				expect([mode >> 12, size]).toEqual([0o12, BigInt(target.length)]);
				await expect(client.open(link)).rejects.toMatchObject(ELOOP);
				await expect(client.walk(fid, "passwd")).rejects.toMatchObject(ENOTDIR);
				await expect(client.create("", link)).rejects.toMatchObject(ELOOP);
				await expect(client.makeDirectory(link, "x")).rejects.toMatchObject(
					ENOTDIR,
				);
			}
			const fid = await client.find("file");
			await expect(
				client.request(P9_TSETATTR, (body) => {
					body
						.u32(fid)
						.u32(1 << 3)
						.u32(0)
						.u32(0)
						.u32(0)
						.u64(0n);
					body.u64(0n).u64(0n).u64(0n).u64(0n);
				}),
			).rejects.toMatchObject({ errno: expect.toSatisfy(isRefusal) });
		});

		it("links, renames and removes files", async () => {
			const { client } = await setUp();
			await write(client, "a", "contents");
			const a = await client.find("a");
			await client.request(P9_TLINK, (body) => body.u32(0).u32(a).text("b"));
			expect((await client.attributes(a)).links).toBe(2n);
			await client.makeDirectory("", "d");
			const d = await client.find("d");
			await client.request(P9_TRENAMEAT, (body) =>
				body.u32(0).text("b").u32(d).text("c"),
			);
			expect(await contents(client, "d/c")).toBe("contents");
			await write(client, "d/c", "changed by its other name");
			expect(await contents(client, "a")).toBe("changed by its other name");
			const unlink = (fid: number, entry: string, flags: number) =>
				client.request(P9_TUNLINKAT, (body) =>
					body.u32(fid).text(entry).u32(flags),
				);
			await expect(unlink(0, "d", 0x200)).rejects.toMatchObject(ENOTEMPTY);
			await expect(unlink(d, "c", 0x200)).rejects.toMatchObject(ENOTDIR);
			await expect(unlink(0, "d", 0)).rejects.toMatchObject(EISDIR);
			await unlink(d, "c", 0);
			await unlink(0, "d", 0x200);
			await expect(unlink(0, "d", 0x200)).rejects.toMatchObject(ENOENT);
			expect(named(await client.list(""))).toEqual([".", "..", "a"]);
			expect((await client.attributes(a)).links).toBe(1n);
		});

		it("has fids follow their names through renames, of directories above as well", async () => {
			const { client } = await setUp();
			await client.makeDirectory("", "a");
			await client.makeDirectory("a", "b");
			await write(client, "a/b/file", "here I am");
			const file = await client.find("a/b/file");
			const directory = await client.find("a");
			await client.request(P9_TRENAME, (body) =>
				body.u32(directory).u32(0).text("moved"),
			);
			expect((await client.attributes(file)).size).toBe(9n);
			await client.request(P9_TRENAME, (body) =>
				body.u32(file).u32(0).text("top"),
			);
			await client.request(P9_TLOPEN, (body) => body.u32(file).u32(0));
			expect(text(await client.read(file, 0, 100))).toBe("here I am");
			expect(named(await client.list("moved/b"))).toEqual([".", ".."]);
			const inside = await client.find("moved/b");
			await expect(
				client.request(P9_TRENAMEAT, (body) =>
					body.u32(0).text("moved").u32(inside).text("x"),
				),
			).rejects.toMatchObject(EINVAL);
			await expect(
				client.request(P9_TRENAME, (body) => body.u32(0).u32(inside).text("x")),
			).rejects.toMatchObject({ errno: 16 });
		});

		it("keeps an open file whose name is gone, and shows no other under it", async () => {
			const { client } = await setUp();
			await write(client, "file", "the old one");
			const open = await client.open("file");
			const name = await client.find("file");
			await client.request(P9_TREMOVE, (body) => body.u32(name));
			await expect(client.attributes(name)).rejects.toMatchObject(EBADF);
			expect(text(await client.read(open, 0, 100))).toBe("the old one");
			expect((await client.attributes(open)).links).toBe(0n);
			const other = await client.create("", "file");
			const stale = await client.find("file");
			await client.write(other, 0, bytes("the new one"));
			await write(client, "replacement", "the newest");
			await client.request(P9_TRENAMEAT, (body) =>
				body.u32(0).text("replacement").u32(0).text("file"),
			);
			await expect(client.attributes(stale)).rejects.toMatchObject(ENOENT);
			expect(await contents(client, "file")).toBe("the newest");
		});

		it("changes attributes, one at a time", async () => {
			const { client } = await setUp();
			await write(client, "file", "0123456789");
			const fid = await client.find("file");
			const set = (valid: number, values: Partial<Record<string, number>>) =>
				client.request(P9_TSETATTR, (body) => {
					body
						.u32(fid)
						.u32(valid)
						.u32(values.mode ?? 0);
					body
						.u32(0)
						.u32(0)
						.u64(BigInt(values.size ?? 0));
					body.u64(BigInt(values.atime ?? 0)).u64(5000n);
					body.u64(BigInt(values.mtime ?? 0)).u64(0n);
				});
			await set(1, { mode: 0o100600 });
			expect((await client.attributes(fid)).mode).toBe(0o100600);
			await set(8, { size: 4 });
			expect(await contents(client, "file")).toBe("0123");
			await set(8, { size: 6 });
			expect(await contents(client, "file")).toBe("0123\0\0");
			await set((1 << 5) | (1 << 8), { mtime: 1_000_000_000 });
			const { times } = await client.attributes(fid);
			expect(times.slice(2, 4)).toEqual([1_000_000_000n, 0n]);
			await set((1 << 4) | (1 << 7), { atime: 999 });
			const [seconds, ns] = (await client.attributes(fid)).times;
			expect(seconds).toBe(999n);
			// Node takes times as doubles, and old ones cut them to microseconds.
			expect(Math.abs(Number(ns) - 5000)).toBeLessThanOrEqual(1000);
			expect((await client.attributes(fid)).times[2]).toBe(1_000_000_000n);
			await set(1 << 5, {});
			expect((await client.attributes(fid)).times[2]).not.toBe(1_000_000_000n);
		});

		it("makes plain files by MKNOD, and nothing else", async () => {
			const { client } = await setUp();
			const make = (mode: number) =>
				client.request(P9_TMKNOD, (body) =>
					body.u32(0).text("node").u32(mode).u32(1).u32(3).u32(0),
				);
			for (const kind of [0o020666, 0o060666, 0o010666, 0o140666]) {
				await expect(make(kind)).rejects.toMatchObject({ errno: 1 });
			}
			expect(qidOf(await make(0o100640)).type).toBe(0);
			const fid = await client.find("node");
			expect((await client.attributes(fid)).mode).toBe(0o100640);
		});

		it("tells how much room there is", async () => {
			const { client } = await setUp();
			const reply = await client.request(P9_TSTATFS, (body) => body.u32(0));
			expect(reply.u32()).toBe(0x0102_1997);
			const blockBytes = reply.u32();
			const [blocks, free, available] = [reply.u64(), reply.u64(), reply.u64()];
			expect(blockBytes).toBeGreaterThan(0);
			expect(blocks).toBeGreaterThanOrEqual(free);
			expect(free).toBeGreaterThanOrEqual(available);
		});

		it("locks ranges for one guest against another", async () => {
			const { tree, client } = await setUp();
			await write(client, "file", "contents");
			const other = await guestOf(tree);
			const [mine, theirs] = [
				await client.open("file", O_RDWR),
				await other.open("file", O_RDWR),
			];
			const lock = async (
				who: NinePClient,
				fid: number,
				type: number,
				[start, length]: [number, number],
				process = 7,
			) => {
				const reply = await who.request(P9_TLOCK, (body) => {
					body.u32(fid).u8(type).u32(0).u64(BigInt(start));
					body.u64(BigInt(length)).u32(process).text("guest");
				});
				return reply.u8();
			};
			expect(await lock(client, mine, 1, [10, 10])).toBe(0);
			expect(await lock(other, theirs, 0, [0, 10])).toBe(0);
			expect(await lock(other, theirs, 0, [0, 11])).toBe(1);
			expect(await lock(other, theirs, 1, [19, 0])).toBe(1);
			expect(await lock(client, mine, 0, [15, 1], 8)).toBe(1);
			const asked = await other.request(P9_TGETLOCK, (body) => {
				body.u32(theirs).u8(1).u64(0n).u64(0n).u32(9).text("guest");
			});
			expect([asked.u8(), asked.u64(), asked.u64(), asked.u32()]).toEqual([
				...[1, 10n, 10n, 7],
			]);
			// A hole in the middle of the lock.
			expect(await lock(client, mine, 2, [14, 2])).toBe(0);
			expect(await lock(other, theirs, 1, [14, 2])).toBe(0);
			expect(await lock(other, theirs, 1, [13, 1])).toBe(1);
			expect(await lock(other, theirs, 1, [16, 1])).toBe(1);
			// The first guest begins anew: its locks are gone.
			await client.version();
			expect(await lock(other, theirs, 1, [0, 0])).toBe(0);
		});

		it("answers a flush when the request is answered", async () => {
			const { client } = await setUp();
			const writing = client.create("", "file");
			await client.request(P9_TFLUSH, (body) => body.u16(2));
			await client.request(P9_TFLUSH, (body) => body.u16(999));
			await writing;
		});

		it("may be read-only: nothing can be changed", async () => {
			const { tree, client } = await setUp();
			await client.makeDirectory("", "d");
			await write(client, "file", "contents");
			const backend = await sealed(tree);
			const guest = await guestOf(backend);
			expect(await contents(guest, "file")).toBe("contents");
			const file = await guest.find("file");
			const tries = [
				() => guest.open("file", O_RDWR),
				() => guest.open("file", O_TRUNC),
				() => guest.create("", "new", 0),
				() => guest.create("", "file", 0),
				() => guest.makeDirectory("", "x"),
				() =>
					guest.request(P9_TSYMLINK, (body) =>
						body.u32(0).text("l").text("t").u32(0),
					),
				() =>
					guest.request(P9_TMKNOD, (body) =>
						body.u32(0).text("n").u32(0o100644).u32(0).u32(0).u32(0),
					),
				() =>
					guest.request(P9_TLINK, (body) => body.u32(0).u32(file).text("link")),
				() =>
					guest.request(P9_TRENAMEAT, (body) =>
						body.u32(0).text("file").u32(0).text("f"),
					),
				() =>
					guest.request(P9_TRENAME, (body) => body.u32(file).u32(0).text("f")),
				() =>
					guest.request(P9_TUNLINKAT, (body) =>
						body.u32(0).text("file").u32(0),
					),
				() =>
					guest.request(P9_TSETATTR, (body) => {
						body.u32(file).u32(1).u32(0o777).u32(0).u32(0).u64(0n);
						body.u64(0n).u64(0n).u64(0n).u64(0n);
					}),
				() => guest.request(P9_TREMOVE, (body) => body.u32(file)),
			];
			for (const attempt of tries) {
				await expect(attempt()).rejects.toMatchObject(EROFS);
			}
			expect(named(await guest.list(""))).toEqual([".", "..", "d", "file"]);
		});

		it("begins anew with a version message, and releases everything", async () => {
			const { client } = await setUp();
			await client.makeDirectory("", "sub");
			const fid = await client.create("", "file");
			await client.version();
			await expect(client.attributes(fid)).rejects.toMatchObject(EBADF);
			await expect(client.attributes(0)).rejects.toMatchObject(EBADF);
			await client.attach(5, "/sub");
			await expect(client.attach(5)).rejects.toMatchObject(EINVAL);
			await expect(client.attach(6, "/sub/..")).rejects.toMatchObject(EINVAL);
			await expect(client.attach(6, "missing")).rejects.toMatchObject(ENOENT);
			await expect(
				client.request(P9_TLCREATE, (body) =>
					body.u32(5).text("inside").u32(O_RDWR).u32(0o600).u32(0),
				),
			).resolves.toBeDefined();
			await client.attach(0);
			expect(named(await client.list("sub"))).toContain("inside");
		});
	});
}

/** A size is not for symbolic links, says every system in its own way. */
function isRefusal(errno: number): boolean {
	return [EINVAL, ELOOP, EISDIR].some((one) => one.errno === errno);
}
