/**
 * The requests of 9P2000.L that deal with what is known about files: their
 * attributes, those that stat(2) has and those with names, and the room that is
 * left for more.
 *
 * Relies on the tree's contract; the session relies on it.
 *
 * @journey D:238 About files
 */

import {
	type ExtendedAttributes,
	type FileChanges,
	type FileNode,
	FileSystemError,
} from "../../file-system.ts";
import {
	type MessageReader,
	type MessageWriter,
	P9_TGETATTR,
	P9_TSETATTR,
	P9_TSTATFS,
	P9_TXATTRCREATE,
	P9_TXATTRWALK,
} from "./message.ts";
import { type Request, writeQid } from "./request.ts";

/** In GETATTR: everything that stat(2) has. */
const P9_STATS_BASIC = 0x7ffn;

// In SETATTR: what is to change.
const P9_ATTR_MODE = 1 << 0;
const P9_ATTR_UID = 1 << 1;
const P9_ATTR_GID = 1 << 2;
const P9_ATTR_SIZE = 1 << 3;
const P9_ATTR_ATIME = 1 << 4;
const P9_ATTR_MTIME = 1 << 5;
/** The time that follows, rather than the present. */
const P9_ATTR_ATIME_SET = 1 << 7;
const P9_ATTR_MTIME_SET = 1 << 8;

const V9FS_MAGIC = 0x0102_1997;
const LONGEST_NAME = 255;
const NS_PER_SECOND = 1_000_000_000n;
const PERMISSIONS = 0o7777;

// Flags of XATTRCREATE, as of setxattr(2).
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
/** As Linux has it (linux/limits.h). */
const MOST_VALUE_BYTES = 65_536n;

export const ATTRIBUTE_REQUESTS: Readonly<Record<number, Request>> = {
	[P9_TSTATFS]: statistics,
	[P9_TGETATTR]: getAttributes,
	[P9_TSETATTR]: setAttributes,
	[P9_TXATTRWALK]: walkToValue,
	[P9_TXATTRCREATE]: createValue,
};

async function statistics(...[context, body, reply]: Parameters<Request>) {
	context.fids.get(body.u32());
	const found = await context.backend.statistics();
	reply
		.u32(V9FS_MAGIC)
		.u32(found.blockBytes)
		.u64(found.blocks)
		.u64(found.freeBlocks)
		.u64(found.availableBlocks)
		.u64(found.files)
		.u64(found.freeFiles)
		.u64(0n)
		.u32(LONGEST_NAME);
}

/** An open file is asked itself: it may have lost its name. */
async function getAttributes(...[{ fids }, body, reply]: Parameters<Request>) {
	const { node, file } = fids.get(body.u32());
	const found = await (file ?? node).attributes();
	reply.u64(P9_STATS_BASIC);
	writeQid(reply, found);
	reply
		.u32(found.mode)
		.u32(found.uid)
		.u32(found.gid)
		.u64(found.linkCount)
		.u64(found.deviceNumber)
		.u64(found.sizeBytes)
		.u64(found.blockBytes)
		.u64(found.blocks);
	for (const ns of [found.accessedNs, found.modifiedNs, found.changedNs]) {
		writeTime(reply, ns);
	}
	// Birth, generation and version of the data are not known.
	reply.u64(0n).u64(0n).u64(0n).u64(0n);
}

/** Times before 1970 have a negative number of seconds. */
function writeTime(reply: MessageWriter, ns: bigint): void {
	const rest = ((ns % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND;
	const seconds = (ns - rest) / NS_PER_SECOND;
	reply.u64(BigInt.asUintN(64, seconds)).u64(rest);
}

async function setAttributes(...[context, body]: Parameters<Request>) {
	const { node, file, isWritable } = context.fids.get(body.u32());
	const changes = readChanges(body);
	context.requireWritable();
	if (Object.keys(changes).length === 0) return;
	// A file that is open for reading cannot be cut, but its name can.
	const viaFile = changes.sizeBytes === undefined || isWritable;
	await (viaFile && file !== undefined ? file : node).change(changes);
}

function readChanges(body: MessageReader): FileChanges {
	const valid = body.u32();
	const has = (bit: number) => (valid & bit) !== 0;
	const mode = body.u32() & PERMISSIONS;
	const uid = body.u32();
	const gid = body.u32();
	const size = body.u64();
	const accessedNs = readTime(body);
	const modifiedNs = readTime(body);
	const sizeBytes = Number(size);
	if (has(P9_ATTR_SIZE) && !Number.isSafeInteger(sizeBytes)) {
		throw new FileSystemError("EFBIG");
	}
	return {
		...(has(P9_ATTR_MODE) && { mode }),
		...(has(P9_ATTR_UID) && { uid }),
		...(has(P9_ATTR_GID) && { gid }),
		...(has(P9_ATTR_SIZE) && { sizeBytes }),
		...(has(P9_ATTR_ATIME) && {
			accessedNs: has(P9_ATTR_ATIME_SET) ? accessedNs : ("now" as const),
		}),
		...(has(P9_ATTR_MTIME) && {
			modifiedNs: has(P9_ATTR_MTIME_SET) ? modifiedNs : ("now" as const),
		}),
	};
}

function readTime(body: MessageReader): bigint {
	const seconds = BigInt.asIntN(64, body.u64());
	const ns = body.u64();
	return BigInt.asIntN(64, seconds * NS_PER_SECOND + ns);
}

function attributesOf(node: FileNode): ExtendedAttributes {
	if (node.extendedAttributes === undefined) {
		throw new FileSystemError("EOPNOTSUPP");
	}
	return node.extendedAttributes;
}

/** The new fid reads a value, or, without a name, all names. */
async function walkToValue(...[{ fids }, body, reply]: Parameters<Request>) {
	const { node } = fids.get(body.u32());
	const newNumber = body.u32();
	const name = body.text();
	fids.checkFree(newNumber);
	const extended = attributesOf(node);
	node.retain();
	let value: Uint8Array;
	try {
		value =
			name === "" ? listed(await extended.list()) : await extended.get(name);
	} catch (error) {
		node.release();
		throw error;
	}
	const fid = fids.add(newNumber, node);
	fid.attribute = { value, filledBytes: value.length };
	reply.u64(BigInt(value.length));
}

/** As listxattr(2) gives them: each with a NUL behind it. */
function listed(names: readonly string[]): Uint8Array {
	return new TextEncoder().encode(names.map((name) => `${name}\0`).join(""));
}

/** The fid takes a value; it is stored when the guest gives the fid back. */
async function createValue(...[context, body]: Parameters<Request>) {
	const fid = context.fids.get(body.u32());
	const name = body.text();
	const size = body.u64();
	const flags = body.u32();
	if (fid.isOpen || name === "") throw new FileSystemError("EINVAL");
	if (size > MOST_VALUE_BYTES) throw new FileSystemError("E2BIG");
	context.requireWritable();
	const extended = attributesOf(fid.node);
	const only =
		flags === XATTR_CREATE
			? "create"
			: flags === XATTR_REPLACE
				? "replace"
				: undefined;
	const value = new Uint8Array(Number(size));
	// Linux removes an attribute by replacing it with nothing.
	const isRemoval = size === 0n && only === "replace";
	fid.attribute = {
		value,
		filledBytes: 0,
		store: (it) => extended.set(name, isRemoval ? undefined : it, only),
	};
}
