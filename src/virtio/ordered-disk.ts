/**
 * A disk whose answers come in the order of its questions. What a file's reads
 * take, and which is first, differs from run to run; a machine in virtual time
 * must not see that.
 *
 * Relies on the backend contract; the machine puts it around disks when its
 * clock is virtual.
 *
 * @journey D:147 First come, first answered
 */

import type { BlockBackend, Completion } from "./backends.ts";

/** The same disk, with completions in order of submission. */
export function orderedDisk(disk: BlockBackend): BlockBackend {
	let last: Completion;
	const inOrder = (done: Completion): Completion => {
		const before = last;
		if (done === undefined && before === undefined) return undefined;
		const both = Promise.allSettled([before, done]).then(() => done);
		// The one behind us waits for our end, however it was.
		const settled = both
			.catch(() => {})
			.then(() => {
				if (last === settled) last = undefined;
			});
		last = settled;
		return both;
	};
	const { discard, close } = disk;
	return {
		sizeBytes: disk.sizeBytes,
		readOnly: disk.readOnly,
		...(disk.preferredBytes !== undefined && {
			preferredBytes: disk.preferredBytes,
		}),
		...(disk.unmaps !== undefined && { unmaps: disk.unmaps }),
		read: (offset, target) => inOrder(disk.read(offset, target)),
		write: (offset, source) => inOrder(disk.write(offset, source)),
		flush: () => inOrder(disk.flush()),
		writeZeroes: (offset, lengthBytes, mayUnmap) =>
			inOrder(disk.writeZeroes(offset, lengthBytes, mayUnmap)),
		...(discard !== undefined && {
			discard: (offset, lengthBytes) =>
				inOrder(discard.call(disk, offset, lengthBytes)),
		}),
		...(close !== undefined && { close: () => close.call(disk) }),
	};
}
