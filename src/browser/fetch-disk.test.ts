import {
	createServer,
	type IncomingMessage,
	type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { BlobDisk } from "./blob-disk.ts";
import { FetchDisk } from "./fetch-disk.ts";

const IMAGE = Uint8Array.from({ length: 3_000_100 }, (_, i) => i % 251);
const BLOCK_BYTES = 1 << 17;

let close: () => void = () => {};
afterEach(() => close());

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(answer: Answer): Promise<string> {
	const server = createServer(answer);
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	close = () => server.close();
	const { port } = server.address() as AddressInfo;
	return `http://127.0.0.1:${port}/disk`;
}

/** Answers as RFC 9110 says, and notes which ranges were asked for. */
function ranges(asked: string[]): Answer {
	return (request, response) => {
		const range = request.headers.range ?? "";
		asked.push(range);
		const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
		const last = Math.min(Number(end), IMAGE.length - 1);
		response.writeHead(206, {
			"content-range": `bytes ${start}-${last}/${IMAGE.length}`,
		});
		response.end(IMAGE.subarray(Number(start), last + 1));
	};
}

describe("A disk over HTTP", () => {
	it("reads what is asked for, padded to a sector at its end", async () => {
		const disk = await FetchDisk.open(await serve(ranges([])));
		expect(disk.sizeBytes).toBe(3_000_320);
		const target = new Uint8Array(200_000);
		await disk.read(100_000, target);
		expect(Buffer.compare(target, IMAGE.subarray(100_000, 300_000))).toBe(0);
		const last = new Uint8Array(512).fill(1);
		await disk.read(disk.sizeBytes - 512, last);
		expect([...last]).toEqual([
			...IMAGE.subarray(disk.sizeBytes - 512),
			...new Array(220).fill(0),
		]);
	});

	it("asks for nothing twice, and for more at once when reading goes on", async () => {
		const asked: string[] = [];
		const disk = await FetchDisk.open(await serve(ranges(asked)));
		const sector = new Uint8Array(512);
		for (let block = 0; block < 4; block++) {
			await disk.read(block * BLOCK_BYTES, sector);
			await disk.read(block * BLOCK_BYTES + 512, sector);
		}
		expect(asked).toEqual([
			"bytes=0-0",
			`bytes=0-${BLOCK_BYTES - 1}`,
			`bytes=${BLOCK_BYTES}-${9 * BLOCK_BYTES - 1}`,
		]);
	});

	it("tries again when a request fails, and only so often", async () => {
		let failures = 2;
		const answer = ranges([]);
		const disk = await FetchDisk.open(
			await serve((request, response) => {
				const isFirst = request.headers.range === "bytes=0-0";
				if (isFirst || failures-- <= 0) answer(request, response);
				else response.writeHead(503).end();
			}),
		);
		const sector = new Uint8Array(512);
		await disk.read(0, sector);
		expect(sector[7]).toBe(7);
		failures = 3;
		await expect(disk.read(5 * BLOCK_BYTES, sector)).rejects.toThrow("503");
		await disk.read(5 * BLOCK_BYTES, sector);
		expect(sector[0]).toBe(IMAGE[5 * BLOCK_BYTES]);
	});

	it("refuses a server that sends everything at once", async () => {
		const url = await serve((_, response) => response.end(IMAGE));
		await expect(FetchDisk.open(url)).rejects.toThrow("in pieces");
	});
});

describe("A disk of a file", () => {
	it("reads what is asked for, padded to a sector at its end", async () => {
		const disk = new BlobDisk(new Blob([IMAGE]));
		const target = new Uint8Array(1024).fill(1);
		await disk.read(disk.sizeBytes - 1024, target);
		const there = IMAGE.length - (disk.sizeBytes - 1024);
		expect([...target]).toEqual([
			...IMAGE.subarray(disk.sizeBytes - 1024),
			...new Array(1024 - there).fill(0),
		]);
	});
});
