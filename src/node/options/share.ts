/**
 * `--share`: directories for the guest.
 *
 * @journey P:487 Directories on the command line
 */

import { badOption, runOption } from "./option.ts";

/** One `--share`. */
export interface ShareArgument {
	readonly path: string;
	/** By which the guest mounts it. */
	readonly tag: string;
	readonly readOnly: boolean;
}

/** `DIR:TAG` or `DIR:TAG,ro`; the directory may have colons and commas itself. */
function parseShare(text: string): ShareArgument {
	const found = /^(.+):([^:,]+)(,ro)?$/s.exec(text);
	if (found === null) {
		throw badOption(
			`--share "${text}" is not a directory and a tag.`,
			"Try --share .:here or --share /usr/share:docs,ro.",
		);
	}
	const [, path = "", tag = "", flag] = found;
	return { path, tag, readOnly: flag !== undefined };
}

export const shareOption = runOption<
	"shares",
	readonly ShareArgument[] | undefined
>({
	key: "shares",
	flags: "--share <dir:tag>",
	group: "Devices:",
	summary: "DIR:TAG[,ro], to be mounted as 9p",
	manual:
		"The guest gets at the directory DIR by `mount -t 9p -o trans=virtio,version=9p2000.L TAG /mnt`; the option may be repeated. It sees what is below DIR and nothing else: symbolic links are its own business and never followed outside. `ro`: it may not change anything. What it does is done as the user who runs lguest; it cannot make devices or set-user-ID programs. A guest's symbolic links are symbolic links outside, too: take care with programs that follow them.",
	initial: undefined,
	parse: (text, before = []) => [...before, parseShare(text)],
});
