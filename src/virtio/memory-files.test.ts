import { describe, expect, it } from "vitest";
import { fileSystemCases } from "../../test/file-system.case.ts";
import { NinePClient } from "../../test/support/nine-p-client.ts";
import { P9_TXATTRCREATE, P9_TXATTRWALK } from "./devices/nine-p/message.ts";
import { NinePSession } from "./devices/nine-p/session.ts";
import { MemoryFiles } from "./memory-files.ts";

let now = 1n;

fileSystemCases("A tree in memory", {
	make: async () => new MemoryFiles({ nowNs: () => now++ }),
	sealed: async (tree) => {
		(tree as MemoryFiles).readOnly = true;
		return tree;
	},
});

describe("A tree in memory", () => {
	it("is filled and read from outside", async () => {
		const tree = new MemoryFiles();
		await tree.write("etc/motd", "hello");
		await tree.write("etc/motd", "hi");
		await tree.write("/etc/other", Uint8Array.of(1, 2));
		const client = await NinePClient.attached(new NinePSession(tree));
		const fid = await client.open("etc/motd", 2);
		expect(String.fromCharCode(...(await client.read(fid, 0, 10)))).toBe("hi");
		await client.write(fid, 2, new TextEncoder().encode(" guest"));
		expect(new TextDecoder().decode(await tree.read("etc/motd"))).toBe(
			"hi guest",
		);
		await expect(tree.read("etc")).rejects.toThrow("EISDIR");
		await expect(tree.read("etc/none")).rejects.toThrow("ENOENT");
	});

	it("holds no more than it may, and has room again when files go", async () => {
		const tree = new MemoryFiles({ sizeBytes: 10_000 });
		const client = await NinePClient.attached(new NinePSession(tree));
		const fid = await client.create("", "file");
		await client.write(fid, 0, new Uint8Array(8000));
		const full = { errno: 28 };
		await expect(
			client.write(fid, 9_900, new Uint8Array(1)),
		).rejects.toMatchObject(full);
		await expect(
			client.write(fid, 2 ** 52, new Uint8Array(1)),
		).rejects.toMatchObject(full);
		const make = async () => {
			for (let i = 0; ; i++) await client.makeDirectory("", `d${i}`);
		};
		await expect(make()).rejects.toMatchObject(full);
		const name = await client.find("file");
		await client.request(122, (body) => body.u32(name));
		const other = await client.create("", "other");
		// The first is still open.
		await expect(
			client.write(other, 0, new Uint8Array(7000)),
		).rejects.toMatchObject(full);
		await client.clunk(fid);
		await client.write(other, 0, new Uint8Array(7000));
	});

	it("has extended attributes: made, replaced, listed, read and removed", async () => {
		const client = await NinePClient.attached(
			new NinePSession(new MemoryFiles()),
		);
		const set = async (name: string, value: string, flags = 0) => {
			const { fid } = await client.walk(0);
			const data = new TextEncoder().encode(value);
			await client.request(P9_TXATTRCREATE, (body) =>
				body.u32(fid).text(name).u64(BigInt(data.length)).u32(flags),
			);
			if (data.length > 0) await client.write(fid, 0, data);
			await client.clunk(fid);
		};
		const get = async (name: string) => {
			const fid = client.newFid();
			const reply = await client.request(P9_TXATTRWALK, (body) =>
				body.u32(0).u32(fid).text(name),
			);
			const value = await client.read(fid, 0, Number(reply.u64()));
			await client.clunk(fid);
			return new TextDecoder().decode(value);
		};
		const [CREATE, REPLACE] = [1, 2];
		expect(await get("")).toBe("");
		await expect(get("user.a")).rejects.toMatchObject({ errno: 61 });
		await set("user.a", "one");
		await set("user.b", "two", CREATE);
		await expect(set("user.a", "x", CREATE)).rejects.toMatchObject({
			errno: 17,
		});
		await expect(set("user.c", "x", REPLACE)).rejects.toMatchObject({
			errno: 61,
		});
		await set("user.a", "three", REPLACE);
		expect([await get("user.a"), await get("user.b")]).toEqual([
			...["three", "two"],
		]);
		expect(await get("")).toBe("user.a\0user.b\0");
		await set("user.a", "", REPLACE);
		expect(await get("")).toBe("user.b\0");
	});

	it("takes an extended attribute whole, in order, or not at all", async () => {
		const client = await NinePClient.attached(
			new NinePSession(new MemoryFiles()),
		);
		const { fid } = await client.walk(0);
		await client.request(P9_TXATTRCREATE, (body) =>
			body.u32(fid).text("user.a").u64(4n).u32(0),
		);
		const invalid = { errno: 22 };
		const four = new Uint8Array(4);
		await expect(client.write(fid, 1, four)).rejects.toMatchObject(invalid);
		await expect(client.write(fid, 0, new Uint8Array(5))).rejects.toMatchObject(
			invalid,
		);
		await client.write(fid, 0, four.subarray(1));
		await expect(client.clunk(fid)).rejects.toMatchObject(invalid);
		const huge = client.request(P9_TXATTRCREATE, (body) =>
			body.u32(0).text("user.a").u64(65_537n).u32(0),
		);
		await expect(huge).rejects.toMatchObject({ errno: 7 });
	});
});
