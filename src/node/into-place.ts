/**
 * A file that is complete takes the place of another, or of none, so that there
 * is the old one or the new one at any moment, also for who comes after a power
 * failure: first the bytes go to stable storage, then the name changes, and then
 * the folder goes there too, for a name is in the folder and not in the file.
 *
 * Relies on Node's file system; whoever makes files that matter relies on it.
 *
 * @journey L:144 The name is in the folder
 */

import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * What folders answer that cannot be flushed: those of other systems, and those
 * that may be written to but not read. There is nothing more to be done then.
 */
const NO_SUCH_FLUSH = ["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP"];

/** `fresh` is called `path` from now on, also after a power failure. */
export async function moveIntoPlace(
	fresh: string,
	path: string,
): Promise<void> {
	await flush(fresh);
	await rename(fresh, path);
	await keepName(path);
}

/** A name that was given or taken lasts: the folder is flushed. */
export async function keepName(path: string): Promise<void> {
	try {
		await flush(dirname(path));
	} catch (error) {
		const { code = "" } = error as NodeJS.ErrnoException;
		if (!NO_SUCH_FLUSH.includes(code)) throw error;
	}
}

async function flush(path: string): Promise<void> {
	const file = await open(path, "r");
	try {
		await file.sync();
	} finally {
		await file.close();
	}
}
