/**
 * A disk whose refusals somebody hears of. The guest gets an I/O error, which
 * is all that virtio can say; why is for the guest's owner to know, whose disk
 * is full, or whose network is gone.
 *
 * Relies on the backend contract; the assembly puts it around disks.
 *
 * @journey L:237 Who watches the disks
 */

import type { BlockBackend, Completion } from "../virtio/backends.ts";

/**
 * The same disk. `onTrouble` is told of the first of a row of refusals with one
 * reason: a guest tries again, and again.
 */
export function watchedDisk(
	disk: BlockBackend,
	onTrouble: ((error: unknown) => void) | undefined,
): BlockBackend {
	if (onTrouble === undefined) return disk;
	let told: string | undefined;
	const refuse = (error: unknown): never => {
		if (told !== String(error)) onTrouble(error);
		told = String(error);
		throw error;
	};
	const changed = () => {
		told = undefined;
	};
	const change = (act: () => Completion): Completion => {
		try {
			const done = act();
			if (done === undefined) changed();
			return done?.then(changed, refuse);
		} catch (error) {
			return refuse(error);
		}
	};
	const read = (offset: number, target: Uint8Array): Completion => {
		try {
			return disk.read(offset, target)?.catch(refuse);
		} catch (error) {
			return refuse(error);
		}
	};
	const now = (act: () => boolean): boolean => {
		try {
			return act();
		} catch (error) {
			return refuse(error);
		}
	};
	const { readNow, writeNow, discard, close } = disk;
	return {
		sizeBytes: disk.sizeBytes,
		readOnly: disk.readOnly,
		...(disk.preferredBytes !== undefined && {
			preferredBytes: disk.preferredBytes,
		}),
		...(disk.unmaps !== undefined && { unmaps: disk.unmaps }),
		read,
		write: (offset, source) => change(() => disk.write(offset, source)),
		...(readNow !== undefined && {
			readNow: (offset: number, targets: readonly Uint8Array[]) =>
				now(() => readNow.call(disk, offset, targets)),
		}),
		...(writeNow !== undefined && {
			writeNow: (offset: number, sources: readonly Uint8Array[]) => {
				const isDone = now(() => writeNow.call(disk, offset, sources));
				if (isDone) changed();
				return isDone;
			},
		}),
		flush: () => change(() => disk.flush()),
		writeZeroes: (offset, lengthBytes, mayUnmap) =>
			change(() => disk.writeZeroes(offset, lengthBytes, mayUnmap)),
		...(discard !== undefined && {
			discard: (offset: number, lengthBytes: number) =>
				change(() => discard.call(disk, offset, lengthBytes)),
		}),
		...(close !== undefined && { close: () => close.call(disk) }),
	};
}
