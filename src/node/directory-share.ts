/**
 * A directory of this computer as a tree for a guest. What a guest may do there
 * is what the user of this process may, less the ways out (see L:154), devices
 * and set-user-ID programs; what it does is done as that user.
 *
 * A guest's references are names, kept in a tree of their own that follows the
 * renames the guest makes. Names that are no UTF-8 are not there for the guest.
 *
 * Relies on Node's file system and on anchored paths; the run command and Node
 * programs rely on it.
 *
 * @journey L:156 A window in the wall
 */

import { type BigIntStats, constants } from "node:fs";
import {
	chmod,
	type FileHandle,
	lchown,
	link,
	lstat,
	lutimes,
	mkdir,
	open,
	readdir,
	readlink,
	rename,
	rmdir,
	stat,
	statfs,
	symlink,
	unlink,
} from "node:fs/promises";
import {
	type FileAttributes,
	type FileChanges,
	type FileNode,
	type FileSystemBackend,
	FileSystemError,
	type FileSystemStatistics,
	type OpenFile,
	type OpenHow,
	UsageError,
} from "../index.ts";
import { AnchoredPaths } from "./anchored-paths.ts";

/** Waiting for a pipe's other end would keep a thread for ever. */
const SAFE_FLAGS =
	constants.O_NOFOLLOW |
	(constants.O_NONBLOCK ?? 0) |
	(constants.O_NOCTTY ?? 0);
/** Permissions and the sticky bit: no set-user-ID programs from a guest. */
const ALLOWED_MODE = 0o1777;
const NS_PER_SECOND = 1e9;

/** Open one, and give it to a machine as a share. */
export class DirectoryShare implements FileSystemBackend {
	readonly readOnly: boolean;
	readonly paths: AnchoredPaths;
	readonly #top: ShareNode;
	/** Device numbers in the order in which they were met; see `idOf`. */
	readonly #devices = new Map<bigint, bigint>();

	/** Throws `UsageError` when the directory cannot be shared. */
	static async open(
		path: string,
		options: { readonly readOnly?: boolean; readonly isLinux?: boolean } = {},
	): Promise<DirectoryShare> {
		try {
			const status = await stat(path);
			if (!status.isDirectory()) throw new FileSystemError("ENOTDIR");
			const paths = await AnchoredPaths.at(path, options.isLinux);
			return new DirectoryShare(paths, options.readOnly ?? false);
		} catch (error) {
			throw openError(error, path);
		}
	}

	private constructor(paths: AnchoredPaths, readOnly: boolean) {
		this.paths = paths;
		this.readOnly = readOnly;
		this.#top = new ShareNode(this, undefined, ".");
	}

	async root(): Promise<FileNode> {
		return this.#top.retain();
	}

	async statistics(): Promise<FileSystemStatistics> {
		const found = await this.paths.inside(this.#top, (path) =>
			statfs(path, { bigint: true }),
		);
		return {
			blockBytes: Number(found.bsize),
			blocks: found.blocks,
			freeBlocks: found.bfree,
			availableBlocks: found.bavail,
			files: found.files,
			freeFiles: found.ffree,
		};
	}

	async close(): Promise<void> {
		await this.paths.close();
	}

	/** Inode numbers are below 2^48; above is room for the file system's number. */
	idOf({ dev, ino }: BigIntStats): bigint {
		let device = this.#devices.get(dev);
		if (device === undefined) {
			device = BigInt(this.#devices.size);
			this.#devices.set(dev, device);
		}
		return BigInt.asUintN(64, (device << 48n) ^ ino);
	}

	attributesOf(status: BigIntStats): FileAttributes {
		return {
			id: this.idOf(status),
			mode: Number(status.mode),
			uid: Number(status.uid),
			gid: Number(status.gid),
			linkCount: status.nlink,
			deviceNumber: status.rdev,
			sizeBytes: status.size,
			blockBytes: status.blksize,
			blocks: status.blocks,
			accessedNs: status.atimeNs,
			modifiedNs: status.mtimeNs,
			changedNs: status.ctimeNs,
		};
	}

	requireWritable(): void {
		if (this.readOnly) throw new FileSystemError("EROFS");
	}
}

/** A name in the tree, as long as the guest or a name below it needs it. */
class ShareNode implements FileNode {
	parent: ShareNode | undefined;
	name: string;
	readonly #share: DirectoryShare;
	readonly children = new Map<string, ShareNode>();
	#users = 0;
	/** Removed, or replaced by something else with the same name. */
	#gone = false;

	constructor(
		share: DirectoryShare,
		parent: ShareNode | undefined,
		name: string,
	) {
		this.#share = share;
		this.parent = parent;
		this.name = name;
	}

	attributes(): Promise<FileAttributes> {
		return this.#at(async (path) =>
			this.#share.attributesOf(await lstat(path, { bigint: true })),
		);
	}

	change(changes: FileChanges): Promise<void> {
		this.#share.requireWritable();
		return this.#at((path) => this.#change(path, changes));
	}

	open(how: OpenHow): Promise<OpenFile> {
		return this.#at((path) => this.#open(path, how, flagsOf(how)));
	}

	readLink(): Promise<string> {
		return this.#at((path) => readlink(path));
	}

	async find(name: string): Promise<FileNode> {
		checkName(name);
		return this.#child(name).retain();
	}

	list(): Promise<string[]> {
		return this.#inside(async (path) => {
			const names = await readdir(path, { encoding: "buffer" });
			return names.map(String).filter((name) => !name.includes("\ufffd"));
		});
	}

	createFile(
		name: string,
		how: OpenHow & { readonly mode: number; readonly mustBeNew: boolean },
	): Promise<{ node: FileNode; file: OpenFile }> {
		return this.#making(name, async (path) => {
			const file = await this.#create(path, how);
			return { node: this.#child(name).retain(), file };
		});
	}

	makeDirectory(name: string, mode: number): Promise<void> {
		return this.#making(name, async (path) => {
			await mkdir(path);
			await this.#setMode(path, mode);
		});
	}

	makeSymbolicLink(name: string, target: string): Promise<void> {
		return this.#making(name, (path) => symlink(target, path));
	}

	async link(name: string, existing: FileNode): Promise<void> {
		this.#share.requireWritable();
		checkName(name);
		const other = this.#ofThisShare(existing);
		const directory = other.#directory();
		await this.#share.paths.insideBoth(
			directory,
			this.#live(),
			async (from, to) => {
				const path = `${from}/${other.name}`;
				// Not all systems link to the link itself.
				if ((await lstat(path)).isSymbolicLink()) {
					throw new FileSystemError("EPERM");
				}
				await link(path, `${to}/${name}`);
			},
		);
	}

	async remove(name: string, kind: "directory" | "other"): Promise<void> {
		await this.#making(name, kind === "directory" ? rmdir : unlink);
		this.children.get(name)?.leave();
	}

	async rename(
		name: string,
		directory: FileNode,
		newName: string,
	): Promise<void> {
		this.#share.requireWritable();
		checkName(name);
		checkName(newName);
		const to = this.#ofThisShare(directory);
		await this.#share.paths.insideBoth(this.#live(), to.#live(), (from, into) =>
			rename(`${from}/${name}`, `${into}/${newName}`),
		);
		if (to === this && name === newName) return;
		to.children.get(newName)?.leave();
		this.children.get(name)?.move(to, newName);
	}

	retain(): ShareNode {
		this.#users++;
		return this;
	}

	release(): void {
		this.#users--;
		if (this.#users > 0 || this.parent === undefined) return;
		const { parent } = this;
		if (parent.children.get(this.name) === this) {
			parent.children.delete(this.name);
		}
		parent.release();
	}

	/** The node of a name, which counts as a user of its directory. */
	#child(name: string): ShareNode {
		const known = this.children.get(name);
		if (known !== undefined) return known;
		const child = new ShareNode(this.#share, this.retain(), name);
		this.children.set(name, child);
		return child;
	}

	leave(): void {
		this.#gone = true;
		this.parent?.children.delete(this.name);
	}

	move(to: ShareNode, newName: string): void {
		const from = this.parent;
		from?.children.delete(this.name);
		this.parent = to.retain();
		this.name = newName;
		to.children.set(newName, this);
		from?.release();
	}

	#ofThisShare(node: FileNode): ShareNode {
		if (node instanceof ShareNode && node.#share === this.#share) return node;
		throw new FileSystemError("EXDEV");
	}

	#live(): ShareNode {
		for (let at: ShareNode | undefined = this; at; at = at.parent) {
			if (at.#gone) throw new FileSystemError("ENOENT");
		}
		return this;
	}

	/** Where the name is; the top is in itself, by the name of `.`. */
	#directory(): ShareNode {
		return this.#live().parent ?? this;
	}

	async #at<Result>(act: (path: string) => Promise<Result>): Promise<Result> {
		return this.#share.paths.inside(this.#directory(), (path) =>
			act(`${path}/${this.name}`),
		);
	}

	async #inside<Result>(
		act: (path: string) => Promise<Result>,
	): Promise<Result> {
		return this.#share.paths.inside(this.#live(), act);
	}

	async #making<Result>(
		name: string,
		act: (path: string) => Promise<Result>,
	): Promise<Result> {
		this.#share.requireWritable();
		checkName(name);
		return this.#inside((path) => act(`${path}/${name}`));
	}

	async #open(path: string, how: OpenHow, flags: number): Promise<OpenFile> {
		if (how.write || how.truncate) this.#share.requireWritable();
		// Before, because opening a device may do something; after, because it may
		// have become one.
		const before = await lstat(path).catch(unlessMissing);
		if (before !== undefined) requireRegular(before);
		return this.#regular(await open(path, flags | SAFE_FLAGS));
	}

	async #regular(handle: FileHandle): Promise<OpenFile> {
		try {
			requireRegular(await handle.stat());
			return new ShareFile(this.#share, handle);
		} catch (error) {
			await handle.close();
			throw error;
		}
	}

	async #create(
		path: string,
		how: OpenHow & { readonly mode: number; readonly mustBeNew: boolean },
	): Promise<OpenFile> {
		const flags = flagsOf(how);
		const { O_CREAT, O_EXCL } = constants;
		try {
			const made = await open(
				path,
				flags | O_CREAT | O_EXCL | SAFE_FLAGS,
				0o600,
			);
			// As the guest wants it, whatever this process's umask is.
			await made.chmod(how.mode & ALLOWED_MODE);
			return this.#regular(made);
		} catch (error) {
			if (how.mustBeNew || !hasCode(error, "EEXIST")) throw error;
			return this.#open(path, how, flags);
		}
	}

	async #change(path: string, changes: FileChanges): Promise<void> {
		const { sizeBytes, mode, uid, gid } = changes;
		if (sizeBytes !== undefined) {
			const how = { read: false, write: true, append: false, truncate: false };
			const file = await this.#open(path, how, constants.O_WRONLY);
			try {
				await file.change({ sizeBytes });
			} finally {
				await file.close();
			}
		}
		if (uid !== undefined || gid !== undefined) {
			const now = await lstat(path);
			await lchown(path, uid ?? now.uid, gid ?? now.gid);
		}
		if (mode !== undefined) await this.#setMode(path, mode);
		if (changes.accessedNs !== undefined || changes.modifiedNs !== undefined) {
			const now = await lstat(path, { bigint: true });
			await lutimes(path, ...timesOf(changes, now));
		}
	}

	async #setMode(path: string, mode: number): Promise<void> {
		await this.#share.paths.pinned(path, (it) =>
			chmod(it, mode & ALLOWED_MODE),
		);
	}
}

/** A regular file that is open. */
class ShareFile implements OpenFile {
	readonly #share: DirectoryShare;
	readonly #handle: FileHandle;

	constructor(share: DirectoryShare, handle: FileHandle) {
		this.#share = share;
		this.#handle = handle;
	}

	async attributes(): Promise<FileAttributes> {
		return this.#share.attributesOf(await this.#handle.stat({ bigint: true }));
	}

	async change(changes: FileChanges): Promise<void> {
		this.#share.requireWritable();
		const handle = this.#handle;
		const { sizeBytes, mode, uid, gid } = changes;
		if (sizeBytes !== undefined) await handle.truncate(sizeBytes);
		if (uid !== undefined || gid !== undefined) {
			const now = await handle.stat();
			await handle.chown(uid ?? now.uid, gid ?? now.gid);
		}
		if (mode !== undefined) await handle.chmod(mode & ALLOWED_MODE);
		if (changes.accessedNs !== undefined || changes.modifiedNs !== undefined) {
			const now = await handle.stat({ bigint: true });
			await handle.utimes(...timesOf(changes, now));
		}
	}

	async read(offset: number, target: Uint8Array): Promise<number> {
		let done = 0;
		while (done < target.length) {
			const { bytesRead } = await this.#handle.read(
				...[target, done, target.length - done, offset + done],
			);
			if (bytesRead === 0) break;
			done += bytesRead;
		}
		return done;
	}

	/** What was written before a failure is told; the failure comes again. */
	async write(offset: number, source: Uint8Array): Promise<number> {
		const { bytesWritten } = await this.#handle.write(
			...[source, 0, source.length, offset],
		);
		return bytesWritten;
	}

	async sync(dataOnly: boolean): Promise<void> {
		if (dataOnly) await this.#handle.datasync();
		else await this.#handle.sync();
	}

	async close(): Promise<void> {
		await this.#handle.close();
	}
}

/** The session has checked this; here it matters. */
function checkName(name: string): void {
	if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) {
		throw new FileSystemError("EINVAL");
	}
}

function flagsOf({ read, write, append, truncate }: OpenHow): number {
	const { O_RDONLY, O_WRONLY, O_RDWR, O_APPEND, O_TRUNC } = constants;
	const access = write ? (read ? O_RDWR : O_WRONLY) : O_RDONLY;
	return access | (append ? O_APPEND : 0) | (truncate ? O_TRUNC : 0);
}

interface Kind {
	isFile(): boolean;
	isDirectory(): boolean;
	isSymbolicLink(): boolean;
}

function requireRegular(status: Kind): void {
	if (status.isFile()) return;
	if (status.isDirectory()) throw new FileSystemError("EISDIR");
	throw new FileSystemError(status.isSymbolicLink() ? "ELOOP" : "ENXIO");
}

/** In seconds, as Node wants them: a double, good to a quarter of a microsecond. */
function timesOf(
	{ accessedNs, modifiedNs }: FileChanges,
	now: BigIntStats,
): [number, number] {
	const seconds = (wanted: bigint | "now" | undefined, old: bigint) =>
		wanted === "now"
			? Date.now() / 1000
			: Number(wanted ?? old) / NS_PER_SECOND;
	return [seconds(accessedNs, now.atimeNs), seconds(modifiedNs, now.mtimeNs)];
}

function hasCode(error: unknown, code: string): boolean {
	return error instanceof Error && "code" in error && error.code === code;
}

function unlessMissing(error: unknown): undefined {
	if (!hasCode(error, "ENOENT")) throw error;
	return undefined;
}

const REASONS: Readonly<Record<string, string>> = {
	ENOENT: "does not exist",
	ENOTDIR: "is no directory",
	EACCES: "may not be opened: permission denied",
	EPERM: "may not be opened: permission denied",
};

function openError(error: unknown, path: string): unknown {
	if (!(error instanceof Error) || !("code" in error)) return error;
	const reason = REASONS[String(error.code)] ?? `fails: ${error.message}`;
	return new UsageError(`The directory ${path} ${reason}.`, {
		hint: "Give --share a directory that you may read, as DIR:TAG.",
		cause: error,
	});
}
