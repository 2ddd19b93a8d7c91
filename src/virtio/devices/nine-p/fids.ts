/**
 * Fids: the numbers by which a guest calls what it has found, made or opened.
 * Each is one of a guest's references to a node of the tree; when it is given
 * back, what it held is released and closed.
 *
 * Relies on the tree's contract; the session relies on it.
 *
 * @journey D:226 A number for everything you hold
 */

import {
	type FileNode,
	FileSystemError,
	type OpenFile,
} from "../../file-system.ts";

/** A guest with a large cache of names has one for each; these are small. */
const MOST_FIDS = 65_536;
/** Each is a descriptor of our process. */
const MOST_OPEN_FILES = 1024;

/** An extended attribute on its way to the guest, or from it. */
export interface AttributeBuffer {
	readonly value: Uint8Array;
	/** Where it goes when the guest is done; absent for one that is read. */
	readonly store?: (value: Uint8Array) => Promise<void>;
	filledBytes: number;
}

/** One fid. */
export class Fid {
	/** Swapped when the fid's request names something new, as in LCREATE. */
	node: FileNode;
	file: OpenFile | undefined;
	/** Whether the file is open for writing. */
	isWritable = false;
	/** Of an open directory: its names, as they were when reading began. */
	listing: readonly string[] | undefined;
	attribute: AttributeBuffer | undefined;

	constructor(node: FileNode) {
		this.node = node;
	}

	/** EBADF unless it is an open file. */
	get openFile(): OpenFile {
		if (this.file === undefined) throw new FileSystemError("EBADF");
		return this.file;
	}

	get isOpen(): boolean {
		return (
			this.file !== undefined ||
			this.listing !== undefined ||
			this.attribute !== undefined
		);
	}
}

/** All fids of a guest. */
export class FidTable {
	readonly #fids = new Map<number, Fid>();
	#openFiles = 0;

	/** EBADF for a number that stands for nothing. */
	get(number: number): Fid {
		const fid = this.#fids.get(number);
		if (fid === undefined) throw new FileSystemError("EBADF");
		return fid;
	}

	/** Whether another fid could have the number; throws when it cannot. */
	checkFree(number: number): void {
		if (this.#fids.has(number)) throw new FileSystemError("EINVAL");
		if (this.#fids.size >= MOST_FIDS) throw new FileSystemError("EMFILE");
	}

	/** Takes over the caller's reference to the node, even if it throws. */
	add(number: number, node: FileNode): Fid {
		try {
			this.checkFree(number);
		} catch (error) {
			node.release();
			throw error;
		}
		const fid = new Fid(node);
		this.#fids.set(number, fid);
		return fid;
	}

	/** The fid stands for another node; as `add`. */
	move(number: number, node: FileNode): void {
		const fid = this.#fids.get(number);
		if (fid === undefined || fid.isOpen) {
			node.release();
			throw new FileSystemError("EBADF");
		}
		fid.node.release();
		fid.node = node;
	}

	/** To be asked before a file is opened. */
	checkRoomForOpenFile(): void {
		if (this.#openFiles >= MOST_OPEN_FILES) throw new FileSystemError("ENFILE");
	}

	/**
	 * The fid is an open file from now on; unless the guest has given it back or
	 * opened it meanwhile, which two requests at once can do.
	 */
	async setFile(
		number: number,
		fid: Fid,
		file: OpenFile,
		isWritable: boolean,
	): Promise<void> {
		if (this.#fids.get(number) === fid && !fid.isOpen) {
			fid.file = file;
			fid.isWritable = isWritable;
			this.#openFiles++;
			return;
		}
		await file.close();
		throw new FileSystemError("EBADF");
	}

	/** Gives the number back; fails when something it held fails to close. */
	async clunk(number: number): Promise<void> {
		const fid = this.get(number);
		this.#fids.delete(number);
		fid.node.release();
		if (fid.file !== undefined) {
			this.#openFiles--;
			await fid.file.close();
		}
		const { attribute } = fid;
		if (attribute?.store === undefined) return;
		if (attribute.filledBytes < attribute.value.length) {
			throw new FileSystemError("EINVAL");
		}
		await attribute.store(attribute.value);
	}

	/** All of them, whatever fails. */
	async clunkAll(): Promise<void> {
		for (const fid of this.#fids.values()) fid.attribute = undefined;
		const numbers = [...this.#fids.keys()];
		await Promise.allSettled(numbers.map((number) => this.clunk(number)));
	}
}
