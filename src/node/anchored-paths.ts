/**
 * Paths that cannot lead astray. Node has no openat(2): all it takes is a path,
 * and between a look at a path and its use somebody can put a symbolic link into
 * it. So no path of more than one step is ever used.
 *
 * On Linux a directory is opened step by step from the top, each step relative
 * to the one before, as `/proc/self/fd/N/name`, where N is the open directory:
 * the kernel goes from there to exactly that directory, whatever has happened
 * to names meanwhile. Each step is opened with O_NOFOLLOW, so that a symbolic
 * link is an error and not a way out, whoever put it there and when.
 *
 * Elsewhere each step is looked at before the path is used, and only one use is
 * under way at a time: then a guest cannot change a path between look and use.
 * Another program outside could; who shares a directory that hostile programs
 * of their own can write to should do it on Linux.
 *
 * Relies on Node's file system; the directory share relies on it.
 *
 * @journey L:154 A step at a time
 */

import { constants } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";
import { FileSystemError } from "../index.ts";

/** Of Linux, on all architectures that Node runs on; Node has no name for it. */
const O_PATH = 0o10000000;
const DIRECTORY = constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** An open directory is used again for this long, then looked for anew. */
const LEASE_MS = 1000;
/** Descriptors that wait to be used again. */
const MOST_IDLE = 64;

/** A place in a tree of names. */
export interface Place {
	readonly parent: Place | undefined;
	readonly name: string;
}

/** A directory that is in use, or was a moment ago. */
interface Lease {
	readonly directory: Promise<FileHandle>;
	users: number;
	expired: boolean;
}

/** Gives paths to directories below a top, each for the duration of a use. */
export abstract class AnchoredPaths {
	/** `isLinux` is for tests of the other way. */
	static async at(
		top: string,
		isLinux = process.platform === "linux",
	): Promise<AnchoredPaths> {
		const handle = await open(top, constants.O_RDONLY | constants.O_DIRECTORY);
		if (isLinux && (await hasProc(handle))) return new DescriptorPaths(handle);
		await handle.close();
		return new CheckedPaths(top);
	}

	/** Acts on a path of the directory at `place`, valid meanwhile. */
	abstract inside<Result>(
		place: Place,
		act: (path: string) => Promise<Result>,
	): Promise<Result>;

	/** The same for two directories at once. */
	abstract insideBoth<Result>(
		one: Place,
		other: Place,
		act: (path: string, otherPath: string) => Promise<Result>,
	): Promise<Result>;

	/**
	 * Acts on a path that stands for what `path`, one step below an anchored
	 * directory, stands for now, and goes on to; a symbolic link is ELOOP.
	 */
	abstract pinned<Result>(
		path: string,
		act: (path: string) => Promise<Result>,
	): Promise<Result>;

	abstract close(): Promise<void>;
}

/** Whether /proc is what it should be. */
async function hasProc(handle: FileHandle): Promise<boolean> {
	try {
		const there = await lstat(`/proc/self/fd/${handle.fd}/.`, { bigint: true });
		const here = await handle.stat({ bigint: true });
		return there.ino === here.ino && there.dev === here.dev;
	} catch {
		return false;
	}
}

class DescriptorPaths extends AnchoredPaths {
	readonly #top: FileHandle;
	/** In the order in which they were opened. */
	readonly #leases = new Map<Place, Lease>();

	constructor(top: FileHandle) {
		super();
		this.#top = top;
	}

	async inside<Result>(
		place: Place,
		act: (path: string) => Promise<Result>,
	): Promise<Result> {
		if (place.parent === undefined) return act(pathOf(this.#top));
		const lease = this.#lease(place, place.parent);
		try {
			return await act(pathOf(await lease.directory));
		} finally {
			lease.users--;
			this.#closeUnused(lease);
		}
	}

	insideBoth<Result>(
		one: Place,
		other: Place,
		act: (path: string, otherPath: string) => Promise<Result>,
	): Promise<Result> {
		return this.inside(one, (path) =>
			this.inside(other, (otherPath) => act(path, otherPath)),
		);
	}

	async pinned<Result>(
		path: string,
		act: (path: string) => Promise<Result>,
	): Promise<Result> {
		const handle = await open(path, O_PATH | constants.O_NOFOLLOW);
		try {
			const status = await handle.stat();
			if (status.isSymbolicLink()) throw new FileSystemError("ELOOP");
			return await act(pathOf(handle));
		} finally {
			await handle.close();
		}
	}

	async close(): Promise<void> {
		for (const [place, lease] of this.#leases) this.#expire(place, lease);
		await this.#top.close();
	}

	#lease(place: Place, parent: Place): Lease {
		const known = this.#leases.get(place);
		if (known !== undefined) {
			known.users++;
			return known;
		}
		const directory = this.inside(parent, (path) =>
			open(`${path}/${place.name}`, O_PATH | DIRECTORY),
		);
		const lease = { directory, users: 1, expired: false };
		this.#leases.set(place, lease);
		const end = () => this.#expire(place, lease);
		// A failure is not remembered.
		directory.catch(end);
		setTimeout(end, LEASE_MS).unref();
		this.#makeRoom();
		return lease;
	}

	#makeRoom(): void {
		for (const [place, lease] of this.#leases) {
			if (this.#leases.size <= MOST_IDLE) return;
			if (lease.users === 0) this.#expire(place, lease);
		}
	}

	#expire(place: Place, lease: Lease): void {
		if (this.#leases.get(place) === lease) this.#leases.delete(place);
		if (lease.expired) return;
		lease.expired = true;
		this.#closeUnused(lease);
	}

	#closeUnused({ directory, users, expired }: Lease): void {
		if (users > 0 || !expired) return;
		directory.then(
			(handle) => handle.close(),
			() => {},
		);
	}
}

function pathOf(handle: FileHandle): string {
	return `/proc/self/fd/${handle.fd}`;
}

class CheckedPaths extends AnchoredPaths {
	readonly #top: string;
	/** The last use; the next waits for it. */
	#last: Promise<unknown> = Promise.resolve();

	constructor(top: string) {
		super();
		this.#top = top;
	}

	inside<Result>(
		place: Place,
		act: (path: string) => Promise<Result>,
	): Promise<Result> {
		return this.#alone(async () => {
			await this.#check(place);
			return act(this.#pathOf(place));
		});
	}

	insideBoth<Result>(
		one: Place,
		other: Place,
		act: (path: string, otherPath: string) => Promise<Result>,
	): Promise<Result> {
		return this.#alone(async () => {
			await this.#check(one);
			await this.#check(other);
			return act(this.#pathOf(one), this.#pathOf(other));
		});
	}

	async pinned<Result>(
		path: string,
		act: (path: string) => Promise<Result>,
	): Promise<Result> {
		if ((await lstat(path)).isSymbolicLink())
			throw new FileSystemError("ELOOP");
		return act(path);
	}

	async close(): Promise<void> {
		await this.#last;
	}

	#alone<Result>(use: () => Promise<Result>): Promise<Result> {
		const mine = this.#last.then(use);
		this.#last = mine.catch(() => {});
		return mine;
	}

	#pathOf({ parent, name }: Place): string {
		return parent === undefined ? this.#top : `${this.#pathOf(parent)}/${name}`;
	}

	async #check(place: Place): Promise<void> {
		if (place.parent === undefined) return;
		await this.#check(place.parent);
		const status = await lstat(this.#pathOf(place));
		if (!status.isDirectory()) throw new FileSystemError("ENOTDIR");
	}
}
