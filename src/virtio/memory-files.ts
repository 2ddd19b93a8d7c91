/**
 * A tree of files in memory, to be shared with a guest where there is no file
 * system, as in a browser, and in tests. It behaves like a small Unix file
 * system: hard links, files that live on without a name, extended attributes.
 *
 * Relies on the tree's contract; embedders make one and fill it.
 *
 * @journey D:242 A directory that is not there
 */

import {
	type ExtendedAttributes,
	type FileAttributes,
	type FileChanges,
	type FileNode,
	type FileSystemBackend,
	FileSystemError,
	type FileSystemStatistics,
	type OpenFile,
	type OpenHow,
	S_IFDIR,
	S_IFLNK,
	S_IFMT,
	S_IFREG,
} from "./file-system.ts";

const BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;
const LONGEST_NAME = 255;
const LONGEST_TARGET = 4095;
/** What a name costs, so that a guest cannot make them without end. */
const NAME_BYTES = 256;
const PERMISSIONS = 0o7777;

/** How a tree is made. */
export interface MemoryFilesOptions {
	/** What all files together may hold; default 64 MiB. */
	readonly sizeBytes?: number;
	readonly readOnly?: boolean;
	/** Nanoseconds since 1970; default: a clock that does not move. */
	readonly nowNs?: () => bigint;
}

/** Make one, fill it with `write`, and give it to a guest. */
export class MemoryFiles implements FileSystemBackend {
	readOnly: boolean;
	readonly sizeBytes: number;
	readonly nowNs: () => bigint;
	usedBytes = 0;
	readonly #top: MemoryNode;
	#nextId = 1n;

	constructor(options: MemoryFilesOptions = {}) {
		this.readOnly = options.readOnly ?? false;
		this.sizeBytes = options.sizeBytes ?? 64 << 20;
		this.nowNs = options.nowNs ?? (() => 0n);
		this.#top = new MemoryNode(this.makeInode(S_IFDIR | 0o755), undefined, "");
		this.#top.inode.linkCount = 1;
	}

	/** Puts a file at a path like `a/b/c`, with the directories above it. */
	async write(path: string, contents: Uint8Array | string): Promise<void> {
		const names = path.split("/").filter((name) => name !== "");
		const last = names.pop();
		if (last === undefined) throw new FileSystemError("EISDIR");
		let directory: FileNode = this.#top;
		for (const name of names) {
			await directory.makeDirectory(name, 0o755).catch(unlessThere);
			directory = await directory.find(name);
		}
		const { file } = await directory.createFile(last, {
			...{ read: false, write: true, append: false, truncate: true },
			...{ mode: 0o644, mustBeNew: false },
		});
		const isText = typeof contents === "string";
		await file.write(0, isText ? new TextEncoder().encode(contents) : contents);
	}

	/** A file's contents; `FileSystemError` where there is none. */
	async read(path: string): Promise<Uint8Array> {
		let node: FileNode = this.#top;
		for (const name of path.split("/").filter((part) => part !== "")) {
			node = await node.find(name);
		}
		if (!(node instanceof MemoryNode)) throw new FileSystemError("ENOENT");
		return node.inode.regular().slice();
	}

	async root(): Promise<FileNode> {
		return this.#top;
	}

	async statistics(): Promise<FileSystemStatistics> {
		const blocks = BigInt(Math.floor(this.sizeBytes / BLOCK_BYTES));
		const used = BigInt(Math.ceil(this.usedBytes / BLOCK_BYTES));
		return {
			blockBytes: BLOCK_BYTES,
			blocks,
			freeBlocks: blocks - used,
			availableBlocks: blocks - used,
			files: this.#nextId,
			freeFiles: 0n,
		};
	}

	/** With no name yet. */
	makeInode(mode: number, target = ""): MemoryInode {
		return new MemoryInode(this, this.#nextId++, mode, target);
	}

	/** ENOSPC when the files would hold more than they may. */
	grow(bytes: number): void {
		if (this.usedBytes + bytes > this.sizeBytes) {
			throw new FileSystemError("ENOSPC");
		}
		this.usedBytes += bytes;
	}
}

function unlessThere(error: unknown): void {
	if (!(error instanceof FileSystemError && error.code === "EEXIST")) {
		throw error;
	}
}

/** A file, whatever names it has. */
class MemoryInode implements OpenFile {
	readonly tree: MemoryFiles;
	readonly id: bigint;
	readonly target: string;
	/** Of a directory: what is in it. */
	readonly children = new Map<string, MemoryNode>();
	readonly values = new Map<string, Uint8Array>();
	mode: number;
	linkCount = 0;
	#uid = 0;
	#gid = 0;
	#contents = new Uint8Array(0);
	#sizeBytes = 0;
	#accessedNs: bigint;
	#modifiedNs: bigint;
	#changedNs: bigint;
	#opened = 0;

	constructor(tree: MemoryFiles, id: bigint, mode: number, target: string) {
		this.tree = tree;
		this.id = id;
		this.mode = mode;
		this.target = target;
		this.#accessedNs = tree.nowNs();
		this.#modifiedNs = this.#accessedNs;
		this.#changedNs = this.#accessedNs;
	}

	get isDirectory(): boolean {
		return (this.mode & S_IFMT) === S_IFDIR;
	}

	/** The contents, if it is a file that has some. */
	regular(): Uint8Array {
		if (this.isDirectory) throw new FileSystemError("EISDIR");
		if ((this.mode & S_IFMT) !== S_IFREG) throw new FileSystemError("EINVAL");
		return this.#contents.subarray(0, this.#sizeBytes);
	}

	async attributes(): Promise<FileAttributes> {
		const size = this.#lengthBytes();
		return {
			id: this.id,
			mode: this.mode,
			uid: this.#uid,
			gid: this.#gid,
			linkCount: BigInt(this.linkCount + (this.isDirectory ? 1 : 0)),
			deviceNumber: 0n,
			sizeBytes: BigInt(size),
			blockBytes: BigInt(BLOCK_BYTES),
			blocks: BigInt(Math.ceil(size / SECTOR_BYTES)),
			accessedNs: this.#accessedNs,
			modifiedNs: this.#modifiedNs,
			changedNs: this.#changedNs,
		};
	}

	async change(changes: FileChanges): Promise<void> {
		const { mode, sizeBytes, accessedNs, modifiedNs } = changes;
		if (sizeBytes !== undefined) this.#resize(sizeBytes);
		if (mode !== undefined) {
			this.mode = (this.mode & S_IFMT) | (mode & PERMISSIONS);
		}
		this.#uid = changes.uid ?? this.#uid;
		this.#gid = changes.gid ?? this.#gid;
		const now = this.tree.nowNs();
		if (accessedNs !== undefined) {
			this.#accessedNs = accessedNs === "now" ? now : accessedNs;
		}
		if (modifiedNs !== undefined) {
			this.#modifiedNs = modifiedNs === "now" ? now : modifiedNs;
		}
		this.#changedNs = now;
	}

	async open({ truncate }: OpenHow): Promise<OpenFile> {
		this.regular();
		if (truncate) this.#resize(0);
		this.#opened++;
		return this;
	}

	async read(offset: number, target: Uint8Array): Promise<number> {
		const part = this.regular().subarray(offset, offset + target.length);
		target.set(part);
		return part.length;
	}

	async write(offset: number, source: Uint8Array): Promise<number> {
		if (offset + source.length > this.regular().length) {
			this.#resize(offset + source.length);
		}
		this.#contents.set(source, offset);
		this.touch();
		return source.length;
	}

	async sync(): Promise<void> {}

	async close(): Promise<void> {
		this.#opened--;
		this.forget();
	}

	/** Something in it has changed. */
	touch(): void {
		this.#modifiedNs = this.tree.nowNs();
		this.#changedNs = this.#modifiedNs;
	}

	/** Its contents go with its last name and user. */
	forget(): void {
		if (this.linkCount === 0 && this.#opened === 0 && !this.isDirectory) {
			this.#resizeTo(0);
		}
	}

	#lengthBytes(): number {
		if (this.isDirectory) return BLOCK_BYTES;
		return this.target === "" ? this.#sizeBytes : this.target.length;
	}

	#resize(sizeBytes: number): void {
		this.regular();
		this.#resizeTo(sizeBytes);
		this.touch();
	}

	/** Storage doubles, so that a file written in small pieces is not copied for each. */
	#resizeTo(sizeBytes: number): void {
		this.tree.grow(sizeBytes - this.#sizeBytes);
		if (sizeBytes > this.#contents.length) {
			const most = this.tree.sizeBytes;
			const roomBytes = Math.min(
				Math.max(2 * this.#sizeBytes, sizeBytes),
				most,
			);
			const larger = new Uint8Array(roomBytes);
			larger.set(this.regular());
			this.#contents = larger;
		} else if (sizeBytes < this.#sizeBytes) {
			this.#contents.fill(0, sizeBytes, this.#sizeBytes);
			if (sizeBytes === 0) this.#contents = new Uint8Array(0);
		}
		this.#sizeBytes = sizeBytes;
	}
}

/** Writes of one that was opened to append go to the end. */
class AppendingFile implements OpenFile {
	readonly #inode: MemoryInode;
	readonly attributes: OpenFile["attributes"];
	readonly change: OpenFile["change"];
	readonly read: OpenFile["read"];
	readonly sync: OpenFile["sync"];
	readonly close: OpenFile["close"];

	constructor(inode: MemoryInode) {
		this.#inode = inode;
		this.attributes = () => inode.attributes();
		this.change = (changes) => inode.change(changes);
		this.read = (offset, target) => inode.read(offset, target);
		this.sync = () => inode.sync();
		this.close = () => inode.close();
	}

	write(_offset: number, source: Uint8Array): Promise<number> {
		return this.#inode.write(this.#inode.regular().length, source);
	}
}

/** A name for a file. */
class MemoryNode implements FileNode {
	readonly inode: MemoryInode;
	parent: MemoryNode | undefined;
	name: string;
	/** The name is gone. */
	#removed = false;

	constructor(
		inode: MemoryInode,
		parent: MemoryNode | undefined,
		name: string,
	) {
		this.inode = inode;
		this.parent = parent;
		this.name = name;
	}

	get extendedAttributes(): ExtendedAttributes {
		return new MemoryValues(this.#live());
	}

	async attributes(): Promise<FileAttributes> {
		return this.#live().attributes();
	}

	async change(changes: FileChanges): Promise<void> {
		await this.#live().change(changes);
	}

	async open(how: OpenHow): Promise<OpenFile> {
		const file = await this.#live().open(how);
		return how.append ? new AppendingFile(this.inode) : file;
	}

	async readLink(): Promise<string> {
		const { target } = this.#live();
		if (target === "") throw new FileSystemError("EINVAL");
		return target;
	}

	async find(name: string): Promise<FileNode> {
		const found = this.#children().get(name);
		if (found === undefined) throw new FileSystemError("ENOENT");
		return found;
	}

	async list(): Promise<string[]> {
		return [...this.#children().keys()];
	}

	async createFile(
		name: string,
		how: OpenHow & { readonly mode: number; readonly mustBeNew: boolean },
	): Promise<{ node: FileNode; file: OpenFile }> {
		let node = this.#children().get(name);
		if (node !== undefined && how.mustBeNew) {
			throw new FileSystemError("EEXIST");
		}
		if (node !== undefined && node.inode.target !== "") {
			throw new FileSystemError("ELOOP");
		}
		node ??= this.#add(name, this.#make(S_IFREG | (how.mode & PERMISSIONS)));
		return { node, file: await node.open(how) };
	}

	async makeDirectory(name: string, mode: number): Promise<void> {
		this.#add(name, this.#make(S_IFDIR | (mode & PERMISSIONS)));
	}

	async makeSymbolicLink(name: string, target: string): Promise<void> {
		if (target.length > LONGEST_TARGET) {
			throw new FileSystemError("ENAMETOOLONG");
		}
		this.#add(name, this.inode.tree.makeInode(S_IFLNK | 0o777, target));
	}

	async link(name: string, existing: FileNode): Promise<void> {
		if (!(existing instanceof MemoryNode)) throw new FileSystemError("EXDEV");
		const inode = existing.#live();
		if (inode.isDirectory) throw new FileSystemError("EPERM");
		this.#add(name, inode);
	}

	async remove(name: string, kind: "directory" | "other"): Promise<void> {
		const found = this.#children().get(name);
		if (found === undefined) throw new FileSystemError("ENOENT");
		const isDirectory = kind === "directory";
		if (isDirectory !== found.inode.isDirectory) {
			throw new FileSystemError(isDirectory ? "ENOTDIR" : "EISDIR");
		}
		if (found.inode.children.size > 0) throw new FileSystemError("ENOTEMPTY");
		this.#drop(found);
	}

	async rename(
		name: string,
		directory: FileNode,
		newName: string,
	): Promise<void> {
		if (!(directory instanceof MemoryNode)) throw new FileSystemError("EXDEV");
		const moved = this.#children().get(name);
		if (moved === undefined) throw new FileSystemError("ENOENT");
		if (directory.#isBelow(moved)) throw new FileSystemError("EINVAL");
		const there = directory.#children().get(newName);
		// Two names of one file stay as they are (rename(2)).
		if (there?.inode === moved.inode) return;
		if (there !== undefined) {
			await directory.remove(
				newName,
				moved.inode.isDirectory ? "directory" : "other",
			);
		}
		checkName(newName);
		this.inode.children.delete(name);
		this.inode.touch();
		moved.parent = directory;
		moved.name = newName;
		directory.inode.children.set(newName, moved);
		directory.inode.touch();
	}

	/** Nothing is counted: names live as long as the tree. */
	retain(): FileNode {
		return this;
	}

	release(): void {}

	#live(): MemoryInode {
		if (this.#removed) throw new FileSystemError("ENOENT");
		return this.inode;
	}

	#children(): Map<string, MemoryNode> {
		const { isDirectory, children } = this.#live();
		if (!isDirectory) throw new FileSystemError("ENOTDIR");
		return children;
	}

	#make(mode: number): MemoryInode {
		return this.inode.tree.makeInode(mode);
	}

	#add(name: string, inode: MemoryInode): MemoryNode {
		checkName(name);
		if (this.#children().has(name)) throw new FileSystemError("EEXIST");
		this.inode.tree.grow(NAME_BYTES + inode.target.length);
		const node = new MemoryNode(inode, this, name);
		this.inode.children.set(name, node);
		this.inode.touch();
		inode.linkCount++;
		return node;
	}

	#drop(node: MemoryNode): void {
		this.inode.children.delete(node.name);
		this.inode.touch();
		node.#removed = true;
		this.inode.tree.grow(-NAME_BYTES - node.inode.target.length);
		node.inode.linkCount--;
		node.inode.forget();
	}

	#isBelow(other: MemoryNode): boolean {
		for (let at: MemoryNode | undefined = this; at; at = at.parent) {
			if (at === other) return true;
		}
		return false;
	}
}

function checkName(name: string): void {
	if (new TextEncoder().encode(name).length > LONGEST_NAME) {
		throw new FileSystemError("ENAMETOOLONG");
	}
}

/** Of a file with as many values as fit Linux's list of them. */
class MemoryValues implements ExtendedAttributes {
	readonly #inode: MemoryInode;

	constructor(inode: MemoryInode) {
		this.#inode = inode;
	}

	async list(): Promise<string[]> {
		return [...this.#inode.values.keys()];
	}

	async get(name: string): Promise<Uint8Array> {
		const value = this.#inode.values.get(name);
		if (value === undefined) throw new FileSystemError("ENODATA");
		return value;
	}

	async set(
		name: string,
		value: Uint8Array | undefined,
		only?: "create" | "replace",
	): Promise<void> {
		const { values, tree } = this.#inode;
		const old = values.get(name);
		if (only === "create" && old !== undefined) {
			throw new FileSystemError("EEXIST");
		}
		if (only === "replace" && old === undefined) {
			throw new FileSystemError("ENODATA");
		}
		const cost = (it: Uint8Array | undefined) =>
			it === undefined ? 0 : it.length + name.length;
		tree.grow(cost(value) - cost(old));
		if (value === undefined) values.delete(name);
		else values.set(name, value);
	}
}
