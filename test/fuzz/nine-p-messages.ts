/**
 * 9p messages in any order with any contents, many at a time, to a tree in
 * memory and to a directory of this computer. Every message gets one answer
 * that fits; nothing outside the directory changes or is read; and when the
 * guest is gone no file is open any more.
 */

import {
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DirectoryShare } from "../../src/node/directory-share.ts";
import {
	HEADER_BYTES,
	MessageWriter,
	P9_RLERROR,
} from "../../src/virtio/devices/nine-p/message.ts";
import { NinePSession } from "../../src/virtio/devices/nine-p/session.ts";
import type { FileSystemBackend } from "../../src/virtio/file-system.ts";
import { MemoryFiles } from "../../src/virtio/memory-files.ts";
import { NinePClient } from "../support/nine-p-client.ts";
import { chance, type Random } from "../support/random.ts";
import type { FuzzTarget } from "./target.ts";

const MESSAGES = 60;
const SECRET = "nobody must read this";

/** Few, so that messages meet; `out` leads out, where there is an outside. */
const NAMES = [
	...["a", "b", "c", "d", "out", "secret", "..", ".", "", "a/b", "../secret"],
	...["/", "x\0y", "ä", "n".repeat(255), "n".repeat(256), "out/secret"],
];
const TARGETS = ["a", "..", "../secret", "/", "/etc/passwd", "out", "."];

/** How a request's body is put together: a letter for each field. */
const BODIES: Readonly<Record<number, string>> = {
	...{ 8: "f", 12: "fo", 14: "fnomg", 16: "fntg", 18: "fnm00g", 20: "ffn" },
	...{ 22: "f", 24: "fL", 26: "fvmggLLLLL", 30: "ffx", 32: "fxzo" },
	...{ 40: "fLc", 50: "f0", 52: "fb0LL0n", 54: "fbLL0n", 70: "ffn" },
	...{ 72: "fnmg", 74: "fnfn", 76: "fno", 100: "cV", 102: "f", 104: "f0nng" },
	...{ 108: "w", 110: "ffW", 116: "fLc", 118: "fLD", 120: "f", 122: "f" },
};
const TYPES = Object.keys(BODIES).map(Number);
const OPEN_FLAGS = [0, 1, 2, 0o101, 0o302, 0o1002, 0o2001, 0o200000, 0x200];

function pick<Item>(items: readonly Item[], random: Random): Item {
	return items[random(items.length)] as Item;
}

function writeField(to: MessageWriter, letter: string, random: Random): void {
	const numbers: Readonly<Record<string, () => number>> = {
		f: () => (chance(random, 20) ? random(2 ** 32) : random(12)),
		o: () => pick(OPEN_FLAGS, random),
		m: () => (chance(random, 4) ? random(2 ** 16) : 0o100600 + random(64)),
		v: () => random(512),
		g: () => 0,
		c: () => (chance(random, 4) ? random(2 ** 32) : random(9000)),
		"0": () => random(3),
	};
	switch (letter) {
		case "n":
			to.text(pick(NAMES, random));
			break;
		case "t":
			to.text(pick(TARGETS, random));
			break;
		case "x":
			to.text(chance(random, 4) ? "" : `user.${random(3)}`);
			break;
		case "V":
			to.text(chance(random, 8) ? "9P2000" : "9P2000.L");
			break;
		case "L":
			to.u64(
				chance(random, 8) ? ~0n >> BigInt(random(64)) : BigInt(random(5000)),
			);
			break;
		case "z":
			to.u64(BigInt(random(100)));
			break;
		case "b":
			to.u8(random(4));
			break;
		case "w":
			to.u16(random(MESSAGES));
			break;
		case "W": {
			const count = random(chance(random, 10) ? 20 : 4);
			to.u16(count);
			for (let i = 0; i < count; i++) to.text(pick(NAMES, random));
			break;
		}
		case "D": {
			const length = random(3000);
			to.u32(length).bytes(new Uint8Array(length).fill(random(256)));
			break;
		}
		default:
			to.u32(numbers[letter]?.() ?? 0);
	}
}

function messageFrom(random: Random, tag: number): Uint8Array {
	const type = chance(random, 30) ? random(256) : pick(TYPES, random);
	// Starting over is rare: everything else would be lost too often.
	if (type === 100 && !chance(random, 6)) return messageFrom(random, tag);
	const body = new MessageWriter();
	for (const letter of BODIES[type] ?? "") writeField(body, letter, random);
	const message = body.finish(type, tag).slice();
	if (chance(random, 8)) {
		const at = HEADER_BYTES + random(message.length - HEADER_BYTES + 1);
		if (at < message.length) message[at] = random(256);
	}
	if (!chance(random, 12)) return message;
	const cut = message.slice(0, HEADER_BYTES + random(message.length));
	new DataView(cut.buffer).setUint32(0, cut.length, true);
	return cut;
}

/** Says everything, some of it at once; the answers are looked at. */
async function converse(
	tree: FileSystemBackend,
	random: Random,
	look: (reply: Uint8Array) => void,
): Promise<void> {
	const session = new NinePSession(tree);
	const client = await NinePClient.attached(session);
	await client.makeDirectory("", "a").catch(() => {});
	const under: Promise<void>[] = [];
	for (let tag = 0; tag < MESSAGES; tag++) {
		const message = messageFrom(random, tag);
		const roomBytes = chance(random, 8) ? 11 + random(200) : 70_000;
		const answered = session.answer(message, roomBytes).then((reply) => {
			check(message, reply, roomBytes);
			look(reply);
		});
		under.push(answered);
		if (chance(random, 3)) await Promise.all(under.splice(0));
	}
	await Promise.all(under);
	await session.end();
}

function check(message: Uint8Array, reply: Uint8Array, roomBytes: number) {
	const [asked, answer] = [message, reply].map(
		({ buffer, byteOffset }) => new DataView(buffer, byteOffset),
	);
	const type = answer?.getUint8(4);
	const isAnswer =
		answer?.getUint16(5, true) === asked?.getUint16(5, true) &&
		answer?.getUint32(0, true) === reply.length &&
		reply.length <= roomBytes &&
		(type === P9_RLERROR || type === ((asked?.getUint8(4) ?? 0) + 1) % 256);
	if (!isAnswer) throw new Error("an answer that is none");
}

async function runInMemory(random: Random): Promise<void> {
	const tree = new MemoryFiles({ sizeBytes: 50_000 });
	tree.readOnly = chance(random, 10);
	await converse(tree, random, () => {});
	if (tree.usedBytes < 0 || tree.usedBytes > tree.sizeBytes) {
		throw new Error(`${tree.usedBytes} bytes in use`);
	}
}

async function runInDirectory(random: Random): Promise<void> {
	const scratch = mkdtempSync(join(tmpdir(), "lguest-fuzz-"));
	try {
		writeFileSync(join(scratch, "secret"), SECRET);
		mkdirSync(join(scratch, "top"));
		symlinkSync(scratch, join(scratch, "top/out"));
		symlinkSync("../secret", join(scratch, "top/secret"));
		const before = fingerprint(scratch);
		const isLinux = process.platform === "linux" && chance(random, 2);
		const readOnly = chance(random, 10);
		const options = { isLinux, readOnly };
		const share = await DirectoryShare.open(join(scratch, "top"), options);
		await converse(share, random, (reply) => {
			if (Buffer.from(reply).includes(SECRET)) throw new Error("it was read");
		});
		await share.close();
		if (fingerprint(scratch) !== before) throw new Error("the outside changed");
	} finally {
		rmSync(scratch, { recursive: true, force: true });
	}
}

/** What is outside the shared directory. */
function fingerprint(scratch: string): string {
	const names = readdirSync(scratch).sort().join();
	return `${names} ${readFileSync(join(scratch, "secret"), "utf8")}`;
}

export const NINE_P_TARGETS: readonly FuzzTarget[] = [
	{
		name: "9p-messages",
		about: "9p messages to a tree in memory",
		run: runInMemory,
	},
	{
		name: "9p-directory",
		about: "9p messages to a directory of this computer",
		run: runInDirectory,
	},
];
