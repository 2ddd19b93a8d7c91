/**
 * A disk of zeroes that takes no room and no copying, to be the base of a kept
 * overlay.
 *
 * Relies on the web platform's `File`; pages rely on it.
 *
 * @journey L:298 Nothing, in files
 */

const PART_BYTES = 1 << 20;

/** As a file that `launch` takes; parts of a file share their bytes. */
export function blankDisk(sizeMib: number): File {
	const part = new Blob([new Uint8Array(PART_BYTES)]);
	const parts = new Array<Blob>(sizeMib).fill(part);
	return new File(parts, `blank-${sizeMib}M`);
}
