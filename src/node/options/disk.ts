/**
 * `--disk`: raw images as virtio disks.
 *
 * @journey P:486 Disks on the command line
 */

import { badOption, runOption } from "./option.ts";

/** One `--disk`. */
export interface DiskArgument {
	readonly path: string;
	readonly readOnly: boolean;
	/** Writes stay in memory and are gone with the guest. */
	readonly overlay: boolean;
}

const DISK_FLAGS = ["ro", "overlay"];

/** `FILE`, `FILE,ro`, `FILE,overlay`; only known words at the end are taken off. */
function parseDisk(text: string): DiskArgument {
	const parts = text.split(",");
	const flags: string[] = [];
	while (parts.length > 1 && DISK_FLAGS.includes(parts.at(-1) ?? "")) {
		flags.push(parts.pop() ?? "");
	}
	const path = parts.join(",");
	if (path === "" || flags.length > 1) {
		throw badOption(
			path === ""
				? `--disk "${text}" names no file.`
				: `--disk "${text}" is either ro or overlay.`,
			"Try --disk disk.img, --disk disk.img,ro or --disk disk.img,overlay.",
		);
	}
	return {
		path,
		readOnly: flags.includes("ro"),
		overlay: flags.includes("overlay"),
	};
}

export const diskOption = runOption<"disks", readonly DiskArgument[]>({
	key: "disks",
	flags: "-d, --disk <file>",
	group: "Devices:",
	summary: "FILE[,ro|,overlay] as /dev/vda, vdb, ...",
	manual:
		"A raw image; the option may be repeated. `ro`: the guest may not write. `overlay`: what it writes is forgotten at the end.",
	initial: [],
	parse: (text, before) => [...before, parseDisk(text)],
});
