/**
 * Locks on ranges of files, as fcntl(2) has them: any number of readers or one
 * writer. A guest's kernel knows those of its own processes; the table is for
 * several guests on one tree, and to tell each what holds it up.
 *
 * Relies on nothing; the session relies on it.
 *
 * @journey D:228 Mine, for now
 */

import { FileSystemError } from "../../file-system.ts";

export const P9_LOCK_TYPE_RDLCK = 0;
export const P9_LOCK_TYPE_WRLCK = 1;
export const P9_LOCK_TYPE_UNLCK = 2;

/** Of all files and guests together. */
const MOST_LOCKS = 4096;

/** Who holds a lock. */
export interface LockOwner {
	/** One guest's session: what it held ends with it. */
	readonly session: object;
	readonly clientId: string;
	readonly processId: number;
}

/** A lock from `start` up to, not including, `end`. */
export interface RangeLock {
	/** Of the file. */
	readonly fileId: bigint;
	readonly owner: LockOwner;
	readonly type: number;
	readonly start: bigint;
	readonly end: bigint;
}

/** `length` 0 means as far as files go. */
export function endOf(start: bigint, length: bigint): bigint {
	return length === 0n ? 1n << 64n : start + length;
}

/** All locks on a tree. */
export class LockTable {
	#locks: RangeLock[] = [];

	/** The first lock of somebody else's that stands in the way of `wanted`. */
	conflict(wanted: RangeLock): RangeLock | undefined {
		return this.#locks.find(
			(held) =>
				overlaps(held, wanted) &&
				!isSameOwner(held.owner, wanted.owner) &&
				(held.type === P9_LOCK_TYPE_WRLCK ||
					wanted.type === P9_LOCK_TYPE_WRLCK),
		);
	}

	/** Locks, changes or unlocks the range; false when somebody else has it. */
	set(wanted: RangeLock): boolean {
		const isUnlock = wanted.type === P9_LOCK_TYPE_UNLCK;
		if (!isUnlock && this.conflict(wanted) !== undefined) return false;
		const locks = this.#locks.flatMap((held) =>
			overlaps(held, wanted) && isSameOwner(held.owner, wanted.owner)
				? without(held, wanted)
				: [held],
		);
		if (!isUnlock) locks.push(wanted);
		// An unlock in the middle of a lock makes two of it.
		if (locks.length > MOST_LOCKS) throw new FileSystemError("ENOLCK");
		this.#locks = locks;
		return true;
	}

	/** The guest is gone. */
	dropAll(session: object): void {
		this.#locks = this.#locks.filter(({ owner }) => owner.session !== session);
	}
}

function overlaps(one: RangeLock, other: RangeLock): boolean {
	return (
		one.fileId === other.fileId &&
		one.start < other.end &&
		other.start < one.end
	);
}

function isSameOwner(one: LockOwner, other: LockOwner): boolean {
	return (
		one.session === other.session &&
		one.clientId === other.clientId &&
		one.processId === other.processId
	);
}

/** What of `held` lies outside `range`. */
function without(held: RangeLock, range: RangeLock): RangeLock[] {
	const rest = [
		{ ...held, end: range.start },
		{ ...held, start: range.end },
	];
	return rest.filter(({ start, end }) => start < end);
}
