/**
 * `--vsock`: sockets between the guest and programs outside.
 *
 * @journey P:489 Sockets on the command line
 */

import { badOption, runOption } from "./option.ts";

/** What `--vsock` says. */
export interface VsockArgument {
	/** Where the Unix socket is made. */
	readonly path: string;
	readonly guestCid: number | undefined;
}

const LOWEST_CID = 3;
const HIGHEST_CID = 0xffff_fffe;

/** `PATH` or `PATH,cid=N`. */
function parseVsock(text: string): VsockArgument {
	const [, path = "", cid] = /^(.*?)(?:,cid=([^,]*))?$/.exec(text) ?? [];
	if (path === "") {
		throw badOption(
			`--vsock "${text}" names no socket.`,
			"Try --vsock guest.sock or --vsock guest.sock,cid=42.",
		);
	}
	if (cid === undefined) return { path, guestCid: undefined };
	const guestCid = /^\d+$/.test(cid) ? Number(cid) : 0;
	if (guestCid < LOWEST_CID || guestCid > HIGHEST_CID) {
		throw badOption(
			`"${cid}" is no context id for a guest.`,
			`They go from ${LOWEST_CID} to ${HIGHEST_CID}.`,
		);
	}
	return { path, guestCid };
}

export const vsockOption = runOption<"vsock", VsockArgument | undefined>({
	key: "vsock",
	flags: "--vsock <path>",
	group: "Devices:",
	summary: "PATH[,cid=N]: AF_VSOCK by way of a Unix socket",
	manual:
		"A Unix socket is made at PATH. Connect to it and send `CONNECT 1234` and a newline: the answer is `OK` and a number, and then you are connected to port 1234 in the guest. When the guest connects to port 1234 of context id 2, it gets whoever listens on `PATH_1234`. The guest's own context id is 3, or N.",
	initial: undefined,
	parse: parseVsock,
});
