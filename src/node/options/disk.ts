/**
 * `--disk`: disk images as virtio disks.
 *
 * @journey P:486 Disks on the command line
 */

import type { DiskFormat, DiskRequest, ImageFile } from "../disk-files.ts";
import { badOption, runOption } from "./option.ts";

/** One `--disk`. */
export interface DiskArgument extends DiskRequest {
	/** How the guest knows it again; by default `disk0` and so on. */
	readonly serial?: string;
}

/** As much as virtio has room for, in ASCII that shells leave alone. */
const SERIAL = /^[\x21-\x7e]{1,20}$/;
const FORMATS: readonly DiskFormat[] = ["raw", "qcow2"];
const WORD = /^(ro|overlay|(?:overlay|format|serial)=.*)$/;
const HINT =
	"Try --disk disk.img, --disk disk.img,ro, --disk disk.qcow2,overlay=changes.qcow2 or --disk disk,format=qcow2.";

/** Only known words at the end are taken off: a path may have commas. */
function parseDisk(text: string): DiskArgument {
	const parts = text.split(",");
	let disk: Omit<DiskArgument, "path"> = {};
	while (parts.length > 1 && WORD.test(parts.at(-1) ?? "")) {
		const word = meaningOf(parts.pop() ?? "", text);
		const twice = Object.keys(word).some((key) => key in disk);
		if (twice) throw badOption(`--disk "${text}" says one thing twice.`, HINT);
		disk = { ...disk, ...word };
	}
	const path = parts.join(",");
	if (path === "") throw badOption(`--disk "${text}" names no file.`, HINT);
	if (disk.readOnly && disk.overlay !== undefined) {
		throw badOption(`--disk "${text}" is either ro or overlay.`, HINT);
	}
	return { path, ...disk };
}

/** An image that is not for a guest: `FILE[,format=...]`. */
export function parseImage(text: string): ImageFile {
	const { path, format, ...others } = parseDisk(text);
	if (Object.keys(others).length > 0) {
		throw badOption(
			`"${text}": only format= may stand behind an image here.`,
			"Try: lguest disk info disk.qcow2",
		);
	}
	return { path, ...(format !== undefined && { format }) };
}

function meaningOf(word: string, text: string): Omit<DiskArgument, "path"> {
	const [name = "", ...rest] = word.split("=");
	const value = rest.join("=");
	if (name === "ro") return { readOnly: true };
	if (word === "overlay") return { overlay: true };
	if (value === "")
		throw badOption(`--disk "${text}": ${name}= of what?`, HINT);
	if (name === "overlay") return { overlay: value };
	if (name === "serial") {
		if (SERIAL.test(value)) return { serial: value };
		throw badOption(
			`--disk "${text}": "${value}" is no serial number.`,
			"It has up to 20 characters of ASCII, and no blanks.",
		);
	}
	const format = FORMATS.find((one) => one === value);
	if (format !== undefined) return { format };
	throw badOption(`--disk "${text}": "${value}" is no format.`, HINT);
}

export const diskOption = runOption<"disks", readonly DiskArgument[]>({
	key: "disks",
	flags: "-d, --disk <file>",
	group: "Devices:",
	summary: "FILE[,ro|,overlay[=FILE]] as /dev/vda, vdb, ...",
	manual: [
		"A disk image or a block device; the option may be repeated. Behind the file, separated by commas:",
		"",
		"* `ro`: the guest may not write.",
		"* `overlay`: what the guest writes is forgotten at the end. `overlay=FILE`: it is kept in FILE, a qcow2 image on top of the disk, which is made if it does not exist; `lguest disk commit FILE` writes it down into the disk, `lguest disk discard FILE` throws it away, and so does removing FILE.",
		"* `format=raw` or `format=qcow2`: without it a file called `.qcow2` is qcow2 and any other raw. The contents are never used to guess, because a guest can write what it likes into a raw disk.",
		"* `serial=TEXT`: how the guest knows the disk again, `disk0` and so on if not given.",
		"",
		"Versions 2 and 3 of qcow2 are read and written, with backing files and compressed clusters. On Linux an image that somebody writes to is refused to everybody else.",
	].join("\n"),
	initial: [],
	parse: (text, before) => [...before, parseDisk(text)],
});
