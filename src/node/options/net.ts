/**
 * `--net`: network cards, and what their cables lead to.
 *
 * @journey P:485 Cables on the command line
 */

import { macFromText } from "../../virtio/mac-address.ts";
import { badOption, runOption } from "./option.ts";

/** One `--net`. */
export interface NetArgument {
	/** Where the cable leads. */
	readonly kind: "switch" | "tap" | "socket";
	/** The switch's or the interface's name, or the socket's path. */
	readonly name: string;
	/** As `02:00:00:00:00:01`; chosen by chance if not given. */
	readonly mac?: string;
}

/** Of a switch, which is a part of a path, or of an interface. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/;
const HINT =
	"Try --net switch:NAME, --net tap:INTERFACE or --net socket:PATH, each with ,mac=02:00:00:00:00:01 if you like.";

/** Undefined for `none`. */
function parseNet(text: string): NetArgument | undefined {
	const [, where = "", mac] = /^(.*?)(?:,mac=([^,]*))?$/.exec(text) ?? [];
	if (where === "none" && mac === undefined) return undefined;
	const [, kind = "", name = ""] =
		/^(switch|tap|socket):(.+)$/.exec(where) ?? [];
	const isName = kind === "socket" || NAME.test(name);
	if (kind === "" || !isName) {
		throw badOption(`--net "${text}" is not understood.`, HINT);
	}
	if (mac !== undefined && macFromText(mac) === undefined) {
		throw badOption(
			`"${mac}" is no address for a network card.`,
			"Its first byte is even, as in 02:00:00:00:00:01.",
		);
	}
	return {
		kind: kind as NetArgument["kind"],
		name,
		...(mac !== undefined && { mac }),
	};
}

export const netOption = runOption<"nets", readonly NetArgument[] | undefined>({
	key: "nets",
	flags: "--net <where>",
	group: "Devices:",
	summary: "switch:NAME, tap:NAME or socket:PATH[,mac=...]",
	manual: [
		"A network card; the option may be repeated. Its cable leads to",
		"",
		"* `switch:NAME`: a switch on which all your guests meet that name it, whichever process they are in.",
		"* `socket:PATH`: a Unix socket on which another program listens, with frames as QEMU's `-netdev stream` sends them. `passt --socket PATH` gives the guest your own network, without privileges.",
		"* `tap:NAME`: a macvtap interface of this machine's (Linux), which root makes by `ip link add link eth0 name NAME type macvtap mode bridge`. Its device file must be yours to read and write. The card has the interface's address.",
		"* `none`: nowhere, and there is no card, even if the default guest has one otherwise.",
		"",
		"The card's address is chosen by chance unless `mac=` gives one.",
	].join("\n"),
	initial: undefined,
	parse: (text, before = []) => {
		const net = parseNet(text);
		return net === undefined ? [] : [...before, net];
	},
});
