/**
 * The requests of 9P2000.L that deal with what is in files and directories:
 * opening, reading, writing, listing, locking.
 *
 * Relies on the tree's contract; the session relies on it.
 *
 * @journey D:236 Contents
 */

import {
	type FileAttributes,
	type FileNode,
	FileSystemError,
	type OpenHow,
	S_IFDIR,
	S_IFLNK,
	S_IFMT,
	S_IFREG,
} from "../../file-system.ts";
import type { Fid } from "./fids.ts";
import {
	endOf,
	P9_LOCK_TYPE_UNLCK,
	P9_LOCK_TYPE_WRLCK,
	type RangeLock,
} from "./locks.ts";
import {
	HEADER_BYTES,
	type MessageReader,
	type MessageWriter,
	P9_TFSYNC,
	P9_TGETLOCK,
	P9_TLCREATE,
	P9_TLOCK,
	P9_TLOPEN,
	P9_TREAD,
	P9_TREADDIR,
	P9_TWRITE,
} from "./message.ts";
import {
	type Request,
	type RequestContext,
	withNode,
	writeQid,
} from "./request.ts";

// Flags of LOPEN and LCREATE, which are Linux's (asm-generic/fcntl.h).
const P9_DOTL_WRONLY = 0o1;
const P9_DOTL_RDWR = 0o2;
const P9_DOTL_NOACCESS = 0o3;
const P9_DOTL_EXCL = 0o200;
const P9_DOTL_TRUNC = 0o1000;
const P9_DOTL_APPEND = 0o2000;

// Answers to LOCK.
const P9_LOCK_SUCCESS = 0;
const P9_LOCK_BLOCKED = 1;

/** A count comes before data, both ways. */
const COUNT_BYTES = 4;
/** qid[13] offset[8] type[1] and the name's length[2]. */
const ENTRY_BYTES = 24;
/** Names looked at together. */
const ENTRIES_AT_ONCE = 32;
const PERMISSIONS = 0o7777;

export const FILE_REQUESTS: Readonly<Record<number, Request>> = {
	[P9_TLOPEN]: open,
	[P9_TLCREATE]: create,
	[P9_TREAD]: read,
	[P9_TWRITE]: write,
	[P9_TREADDIR]: readDirectory,
	[P9_TFSYNC]: sync,
	[P9_TLOCK]: lock,
	[P9_TGETLOCK]: getLock,
};

function howOf(flags: number): OpenHow {
	const access = flags & P9_DOTL_NOACCESS;
	return {
		read: access !== P9_DOTL_WRONLY,
		write: access === P9_DOTL_WRONLY || access === P9_DOTL_RDWR,
		append: (flags & P9_DOTL_APPEND) !== 0,
		truncate: (flags & P9_DOTL_TRUNC) !== 0,
	};
}

async function open(...[context, body, reply]: Parameters<Request>) {
	const { fids } = context;
	const number = body.u32();
	const how = howOf(body.u32());
	const fid = fids.get(number);
	if (fid.isOpen) throw new FileSystemError("EINVAL");
	const attributes = await fid.node.attributes();
	if (how.write || how.truncate) context.requireWritable();
	if ((attributes.mode & S_IFMT) === S_IFDIR) {
		if (how.write) throw new FileSystemError("EISDIR");
		if (fid.isOpen) throw new FileSystemError("EINVAL");
		fid.listing = [];
	} else {
		requireRegular(attributes);
		fids.checkRoomForOpenFile();
		const file = await fid.node.open(how);
		await fids.setFile(number, fid, file, how.write);
	}
	writeQid(reply, attributes);
	reply.u32(0); // iounit: whatever fits a message.
}

/** The rest is the guest's own: it follows links and opens devices itself. */
function requireRegular({ mode }: FileAttributes): void {
	const kind = mode & S_IFMT;
	if (kind === S_IFLNK) throw new FileSystemError("ELOOP");
	if (kind !== S_IFREG) throw new FileSystemError("ENXIO");
}

/** The directory's fid turns into the file's. */
async function create(...[context, body, reply]: Parameters<Request>) {
	const { fids } = context;
	const number = body.u32();
	const name = body.name();
	const flags = body.u32();
	const mode = body.u32() & PERMISSIONS;
	const fid = fids.get(number);
	if (fid.isOpen) throw new FileSystemError("EINVAL");
	context.requireWritable();
	fids.checkRoomForOpenFile();
	const how = { ...howOf(flags), mode };
	const mustBeNew = (flags & P9_DOTL_EXCL) !== 0;
	const made = await fid.node.createFile(name, { ...how, mustBeNew });
	try {
		writeQid(reply, await made.file.attributes());
		reply.u32(0);
	} catch (error) {
		made.node.release();
		await made.file.close();
		throw error;
	}
	try {
		await fids.setFile(number, fid, made.file, how.write);
	} catch (error) {
		made.node.release();
		throw error;
	}
	fid.node.release();
	fid.node = made.node;
}

async function read(...[context, body, reply]: Parameters<Request>) {
	const fid = context.fids.get(body.u32());
	const offset = body.offset();
	const count = Math.min(body.u32(), roomIn(context));
	if (fid.attribute !== undefined) {
		const { value } = fid.attribute;
		const part = value.subarray(offset, offset + count);
		reply.u32(part.length).bytes(part);
		return;
	}
	if (fid.listing !== undefined) throw new FileSystemError("EISDIR");
	const data = new Uint8Array(count);
	const got = await fid.openFile.read(offset, data);
	reply.u32(got).bytes(data.subarray(0, got));
}

/** For data in a reply. */
function roomIn({ messageBytes }: RequestContext): number {
	return messageBytes - HEADER_BYTES - COUNT_BYTES;
}

async function write(...[context, body, reply]: Parameters<Request>) {
	const fid = context.fids.get(body.u32());
	const offset = body.offset();
	const data = body.bytes(body.u32());
	if (fid.attribute !== undefined) {
		reply.u32(fillAttribute(fid, offset, data));
		return;
	}
	context.requireWritable();
	if (!fid.isWritable) throw new FileSystemError("EBADF");
	reply.u32(await fid.openFile.write(offset, data));
}

/** In order and no more than was announced, as Linux does it. */
function fillAttribute(fid: Fid, offset: number, data: Uint8Array): number {
	const { attribute } = fid;
	if (attribute?.store === undefined) throw new FileSystemError("EBADF");
	const { value, filledBytes } = attribute;
	if (offset !== filledBytes || offset + data.length > value.length) {
		throw new FileSystemError("EINVAL");
	}
	value.set(data, offset);
	attribute.filledBytes += data.length;
	return data.length;
}

/**
 * Entries from a place on: qid, the place behind it, kind and name. A place is
 * a number in the list that was made when reading began, so that names which
 * come and go meanwhile neither repeat nor hide others.
 */
async function readDirectory(...[context, body, reply]: Parameters<Request>) {
	const fid = context.fids.get(body.u32());
	const start = body.offset();
	const count = Math.min(body.u32(), roomIn(context));
	if (fid.listing === undefined) throw new FileSystemError("EBADF");
	if (start === 0) fid.listing = [".", "..", ...(await fid.node.list())];
	const { listing } = fid;
	const entries = reply.u32(0).lengthBytes;
	const roomBytes = () => count - (reply.lengthBytes - entries);
	let isFull = false;
	for (let at = start; at < listing.length && !isFull; at += ENTRIES_AT_ONCE) {
		const names = listing.slice(at, at + ENTRIES_AT_ONCE);
		const found = await Promise.all(names.map((name) => look(fid.node, name)));
		isFull = found.some((attributes, index) => {
			// What is gone already is left out.
			if (attributes === undefined) return false;
			const entry = { name: names[index] ?? "", next: at + index + 1 };
			return !writeEntry(reply, roomBytes(), attributes, entry);
		});
	}
	if (isFull && reply.lengthBytes === entries) {
		// Nothing would mean that there is nothing more.
		throw new FileSystemError("EINVAL");
	}
	reply.setU32(0, reply.lengthBytes - entries);
}

/** False when there is no room for it. */
function writeEntry(
	reply: MessageWriter,
	roomBytes: number,
	attributes: FileAttributes,
	{ name, next }: { readonly name: string; readonly next: number },
): boolean {
	const bytes = new TextEncoder().encode(name);
	if (ENTRY_BYTES + bytes.length > roomBytes) return false;
	writeQid(reply, attributes);
	const kind = (attributes.mode & S_IFMT) >> 12;
	reply.u64(BigInt(next)).u8(kind).u16(bytes.length).bytes(bytes);
	return true;
}

async function look(
	directory: FileNode,
	name: string,
): Promise<FileAttributes | undefined> {
	try {
		if (name === ".") return await directory.attributes();
		if (name === "..")
			return await (directory.parent ?? directory).attributes();
		return await withNode(directory.find(name), (node) => node.attributes());
	} catch {
		return undefined;
	}
}

async function sync(...[{ fids }, body]: Parameters<Request>) {
	const { file } = fids.get(body.u32());
	const dataOnly = body.u32() !== 0;
	await file?.sync(dataOnly);
}

async function lock(...[context, body, reply]: Parameters<Request>) {
	const fid = context.fids.get(body.u32());
	const type = body.u8();
	body.u32(); // Whether to wait: a guest that wants to asks again.
	const wanted = await lockOf(context, fid, type, body);
	reply.u8(context.locks.set(wanted) ? P9_LOCK_SUCCESS : P9_LOCK_BLOCKED);
}

/** Tells of the lock in the way, or that there is none. */
async function getLock(...[context, body, reply]: Parameters<Request>) {
	const fid = context.fids.get(body.u32());
	const type = body.u8();
	const wanted = await lockOf(context, fid, type, body);
	const found = context.locks.conflict(wanted);
	const { start, end, owner } = found ?? wanted;
	reply
		.u8(found?.type ?? P9_LOCK_TYPE_UNLCK)
		.u64(start)
		.u64(end === endOf(0n, 0n) ? 0n : end - start)
		.u32(owner.processId)
		.text(owner.clientId);
}

/** What follows a lock's type: start, length, process and client. */
async function lockOf(
	{ session }: RequestContext,
	fid: Fid,
	type: number,
	body: MessageReader,
): Promise<RangeLock> {
	const start = body.u64();
	const length = body.u64();
	const processId = body.u32();
	const clientId = body.text();
	if (type > P9_LOCK_TYPE_UNLCK) throw new FileSystemError("EINVAL");
	if (type === P9_LOCK_TYPE_WRLCK && !fid.isWritable) {
		throw new FileSystemError("EBADF");
	}
	const { id } = await fid.openFile.attributes();
	const owner = { session, clientId, processId };
	return { fileId: id, owner, type, start, end: endOf(start, length) };
}
