/**
 * What a shared directory needs from the embedder: a tree of files that can be
 * walked a name at a time. There are no paths here, and so nothing that could
 * lead out of the tree: a name is neither empty nor `.` or `..`, and holds no
 * slash. Symbolic links are told apart and never followed; that is the guest's
 * business, inside its own tree of names.
 *
 * Every method fails by an error whose `code` is a name like "ENOENT", as
 * Node's errors have them; the guest sees the number that Linux has for it.
 *
 * Relies on nothing; the 9p device and the embedders rely on it.
 *
 * @journey D:220 A tree of files
 */

import type { Completion } from "./backends.ts";

/** A failure with the name that Linux has for it. */
export class FileSystemError extends Error {
	readonly code: string;

	constructor(code: string) {
		super(`file system: ${code}`);
		this.name = "FileSystemError";
		this.code = code;
	}
}

/** The part of a mode that says what something is (inode(7)). */
export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
export const S_IFLNK = 0o120000;

/** A directory tree for a guest. */
export interface FileSystemBackend {
	readonly readOnly: boolean;
	/** The directory at the top; the caller releases it. */
	root(): Promise<FileNode>;
	statistics(): Promise<FileSystemStatistics>;
	/** The guest is gone, and has released everything. */
	close?(): Completion;
}

/**
 * A name in the tree and what it stands for. It follows the renames that are
 * made through the tree, and stands for nothing (ENOENT) once it is removed.
 */
export interface FileNode {
	/** Undefined at the top. */
	readonly parent: FileNode | undefined;
	readonly name: string;
	attributes(): Promise<FileAttributes>;
	change(changes: FileChanges): Promise<void>;
	/** Regular files only. */
	open(how: OpenHow): Promise<OpenFile>;
	/** Of a symbolic link: where it leads, in the guest's eyes. */
	readLink(): Promise<string>;

	// Of directories.
	/**
	 * What has that name; the caller releases it. That there is nothing may show
	 * only when it is used.
	 */
	find(name: string): Promise<FileNode>;
	/** All names but `.` and `..`, in any order. */
	list(): Promise<string[]>;
	/** Opens a file, made if it is not there; EEXIST if it must be new and is not. */
	createFile(
		name: string,
		how: OpenHow & { readonly mode: number; readonly mustBeNew: boolean },
	): Promise<{ readonly node: FileNode; readonly file: OpenFile }>;
	makeDirectory(name: string, mode: number): Promise<void>;
	makeSymbolicLink(name: string, target: string): Promise<void>;
	/** Another name for the same file. */
	link(name: string, existing: FileNode): Promise<void>;
	remove(name: string, kind: "directory" | "other"): Promise<void>;
	/** Replaces what is at the new name, as rename(2) does. */
	rename(name: string, directory: FileNode, newName: string): Promise<void>;

	/** Absent where there are none. */
	readonly extendedAttributes?: ExtendedAttributes;
	/** For another user, who releases it as well. */
	retain(): FileNode;
	/** The caller needs the node no more. */
	release(): void;
}

/** An open regular file, which may have lost its name. */
export interface OpenFile {
	attributes(): Promise<FileAttributes>;
	change(changes: FileChanges): Promise<void>;
	/** Gives how much there was: less than asked for at the end only. */
	read(offset: number, target: Uint8Array): Promise<number>;
	/** Gives how much was written. */
	write(offset: number, source: Uint8Array): Promise<number>;
	/** Everything written before survives whatever comes. */
	sync(dataOnly: boolean): Promise<void>;
	close(): Promise<void>;
}

/** What a file is opened for. */
export interface OpenHow {
	readonly read: boolean;
	readonly write: boolean;
	/** Writes go to the end, wherever that is by then. */
	readonly append: boolean;
	readonly truncate: boolean;
}

/** As stat(2) has them; times in nanoseconds since 1970. */
export interface FileAttributes {
	/** Unlike that of any other file in the tree. */
	readonly id: bigint;
	/** Kind and permissions. */
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	readonly linkCount: bigint;
	readonly deviceNumber: bigint;
	readonly sizeBytes: bigint;
	readonly blockBytes: bigint;
	/** In units of 512 bytes. */
	readonly blocks: bigint;
	readonly accessedNs: bigint;
	readonly modifiedNs: bigint;
	readonly changedNs: bigint;
}

/** What is to change; the rest stays. */
export interface FileChanges {
	/** Permissions only. */
	readonly mode?: number;
	readonly uid?: number;
	readonly gid?: number;
	readonly sizeBytes?: number;
	readonly accessedNs?: bigint | "now";
	readonly modifiedNs?: bigint | "now";
}

/** As statfs(2) has them. */
export interface FileSystemStatistics {
	readonly blockBytes: number;
	readonly blocks: bigint;
	readonly freeBlocks: bigint;
	readonly availableBlocks: bigint;
	readonly files: bigint;
	readonly freeFiles: bigint;
}

/** Values with names, see xattr(7). */
export interface ExtendedAttributes {
	list(): Promise<string[]>;
	/** ENODATA if there is none. */
	get(name: string): Promise<Uint8Array>;
	/** Undefined removes it. EEXIST and ENODATA as setxattr(2) has them. */
	set(
		name: string,
		value: Uint8Array | undefined,
		only?: "create" | "replace",
	): Promise<void>;
}
