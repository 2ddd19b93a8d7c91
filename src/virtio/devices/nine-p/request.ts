/**
 * What the functions that serve single requests have in common: what they are
 * given, and how they name a file to the guest.
 *
 * Relies on messages and fids; the requests and the session rely on it.
 *
 * @journey D:230 The clerk's desk
 */

import {
	type FileAttributes,
	type FileNode,
	type FileSystemBackend,
	FileSystemError,
	S_IFDIR,
	S_IFLNK,
	S_IFMT,
} from "../../file-system.ts";
import type { FidTable } from "./fids.ts";
import type { LockTable } from "./locks.ts";
import type { MessageReader, MessageWriter } from "./message.ts";

/** What the functions for single requests work with. */
export interface RequestContext {
	readonly backend: FileSystemBackend;
	readonly fids: FidTable;
	readonly locks: LockTable;
	/** Stands for the guest, as a lock's owner. */
	readonly session: object;
	/** The longest message that guest and session have agreed on. */
	readonly messageBytes: number;
	/** EROFS unless the guest may change the tree. */
	requireWritable(): void;
}

/** Reads a request's body, acts, and writes the reply's body. */
export type Request = (
	context: RequestContext,
	body: MessageReader,
	reply: MessageWriter,
) => Promise<void>;

/** For what is not to be had. */
export function refuse(code: string): Request {
	return async () => {
		throw new FileSystemError(code);
	};
}

const QTDIR = 0x80;
const QTSYMLINK = 0x02;
const QTFILE = 0;

/** type[1] version[4] path[8]: how a guest tells one file from another. */
export function writeQid(
	to: MessageWriter,
	{ id, mode, modifiedNs }: FileAttributes,
): void {
	to.u8(qidTypeOf(mode))
		.u32(Number(modifiedNs & 0xffff_ffffn))
		.u64(id);
}

function qidTypeOf(mode: number): number {
	if ((mode & S_IFMT) === S_IFDIR) return QTDIR;
	return (mode & S_IFMT) === S_IFLNK ? QTSYMLINK : QTFILE;
}

/** Acts on something that was found, and gives it back whatever happens. */
export async function withNode<Result>(
	found: Promise<FileNode>,
	act: (node: FileNode) => Promise<Result>,
): Promise<Result> {
	const node = await found;
	try {
		return await act(node);
	} finally {
		node.release();
	}
}
