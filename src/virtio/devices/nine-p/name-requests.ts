/**
 * The requests of 9P2000.L that deal with names: finding, making, linking,
 * renaming, removing. A name is one step in one directory; `..` alone leads up,
 * and at the top leads nowhere.
 *
 * Relies on the tree's contract; the session relies on it.
 *
 * @journey D:234 Names
 */

import {
	type FileNode,
	FileSystemError,
	S_IFDIR,
	S_IFMT,
	S_IFREG,
} from "../../file-system.ts";
import {
	P9_TLINK,
	P9_TMKDIR,
	P9_TMKNOD,
	P9_TREADLINK,
	P9_TREMOVE,
	P9_TRENAME,
	P9_TRENAMEAT,
	P9_TSYMLINK,
	P9_TUNLINKAT,
	P9_TWALK,
} from "./message.ts";
import { type Request, withNode, writeQid } from "./request.ts";

/** Names in one walk, by the protocol. */
const MOST_STEPS = 16;
/** In UNLINKAT: it is a directory (fcntl.h). */
const AT_REMOVEDIR = 0x200;
const PERMISSIONS = 0o7777;

export const NAME_REQUESTS: Readonly<Record<number, Request>> = {
	[P9_TWALK]: walk,
	[P9_TMKDIR]: makeDirectory,
	[P9_TSYMLINK]: makeSymbolicLink,
	[P9_TMKNOD]: makeNode,
	[P9_TREADLINK]: readLink,
	[P9_TLINK]: link,
	[P9_TRENAME]: rename,
	[P9_TRENAMEAT]: renameAt,
	[P9_TUNLINKAT]: unlinkAt,
	[P9_TREMOVE]: remove,
};

/**
 * From a fid along names to a new fid. When a later name is not found, the
 * guest is told how far it got, and the new fid is not made.
 */
async function walk(...[{ fids }, body, reply]: Parameters<Request>) {
	const number = body.u32();
	const newNumber = body.u32();
	const steps = body.u16();
	if (steps > MOST_STEPS) throw new FileSystemError("EINVAL");
	const names = Array.from({ length: steps }, () => body.text());
	const fid = fids.get(number);
	if (newNumber !== number) fids.checkFree(newNumber);
	else if (fid.isOpen) throw new FileSystemError("EINVAL");
	reply.u16(0);
	let node = fid.node.retain();
	let found = 0;
	try {
		for (const name of names) {
			const next = await step(node, name);
			node.release();
			node = next;
			writeQid(reply, await node.attributes());
			found++;
		}
	} catch (error) {
		node.release();
		if (found === 0) throw error;
		reply.setU16(0, found);
		return;
	}
	reply.setU16(0, found);
	if (newNumber === number) fids.move(number, node);
	else fids.add(newNumber, node);
}

async function step(node: FileNode, name: string): Promise<FileNode> {
	if (name === "..") return (node.parent ?? node).retain();
	if (name === "." || name === "" || /[/\0]/.test(name)) {
		throw new FileSystemError("ENOENT");
	}
	return node.find(name);
}

async function makeDirectory(...[context, body, reply]: Parameters<Request>) {
	const { node } = context.fids.get(body.u32());
	const name = body.name();
	const mode = body.u32() & PERMISSIONS;
	context.requireWritable();
	await node.makeDirectory(name, mode);
	const made = await withNode(node.find(name), (it) => it.attributes());
	writeQid(reply, made);
}

async function makeSymbolicLink(
	...[context, body, reply]: Parameters<Request>
) {
	const { node } = context.fids.get(body.u32());
	const name = body.name();
	const target = body.text();
	if (target === "") throw new FileSystemError("ENOENT");
	if (target.includes("\0")) throw new FileSystemError("EINVAL");
	context.requireWritable();
	await node.makeSymbolicLink(name, target);
	const made = await withNode(node.find(name), (it) => it.attributes());
	writeQid(reply, made);
}

/** Devices, sockets and pipes would be the outside's, not the guest's. */
async function makeNode(...[context, body, reply]: Parameters<Request>) {
	const { node } = context.fids.get(body.u32());
	const name = body.name();
	const mode = body.u32();
	context.requireWritable();
	if ((mode & S_IFMT) !== S_IFREG) throw new FileSystemError("EPERM");
	const { node: made, file } = await node.createFile(name, {
		...{ read: false, write: true, append: false, truncate: false },
		...{ mode: mode & PERMISSIONS, mustBeNew: true },
	});
	made.release();
	try {
		writeQid(reply, await file.attributes());
	} finally {
		await file.close();
	}
}

async function readLink(...[{ fids }, body, reply]: Parameters<Request>) {
	reply.text(await fids.get(body.u32()).node.readLink());
}

async function link(...[context, body]: Parameters<Request>) {
	const directory = context.fids.get(body.u32()).node;
	const existing = context.fids.get(body.u32()).node;
	const name = body.name();
	context.requireWritable();
	await directory.link(name, existing);
}

async function rename(...[context, body]: Parameters<Request>) {
	const { node } = context.fids.get(body.u32());
	const directory = context.fids.get(body.u32()).node;
	const newName = body.name();
	context.requireWritable();
	if (node.parent === undefined) throw new FileSystemError("EBUSY");
	await node.parent.rename(node.name, directory, newName);
}

async function renameAt(...[context, body]: Parameters<Request>) {
	const from = context.fids.get(body.u32()).node;
	const name = body.name();
	const to = context.fids.get(body.u32()).node;
	const newName = body.name();
	context.requireWritable();
	await from.rename(name, to, newName);
}

async function unlinkAt(...[context, body]: Parameters<Request>) {
	const { node } = context.fids.get(body.u32());
	const name = body.name();
	const flags = body.u32();
	context.requireWritable();
	const isDirectory = (flags & AT_REMOVEDIR) !== 0;
	await node.remove(name, isDirectory ? "directory" : "other");
}

/** Gives the fid back as well, even when there is nothing to remove. */
async function remove(...[context, body]: Parameters<Request>) {
	const number = body.u32();
	const { node } = context.fids.get(number);
	node.retain();
	try {
		await context.fids.clunk(number);
		context.requireWritable();
		const { parent, name } = node;
		if (parent === undefined) throw new FileSystemError("EBUSY");
		const { mode } = await node.attributes();
		const isDirectory = (mode & S_IFMT) === S_IFDIR;
		await parent.remove(name, isDirectory ? "directory" : "other");
	} finally {
		node.release();
	}
}
