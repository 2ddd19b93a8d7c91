/**
 * `--balloon`: memory that the guest is to do without.
 *
 * @journey P:491 Less memory on the command line
 */

import { parseMemory } from "./memory.ts";
import { runOption } from "./option.ts";

export const balloonOption = runOption<"balloonBytes", number | undefined>({
	key: "balloonBytes",
	flags: "--balloon <size>",
	group: "Devices:",
	summary: "memory the guest is asked to do without",
	manual:
		"A virtio memory balloon, which the guest blows up to this size: 64M, or 0 for a balloon that stays empty. What it gives is made zero and counted, but the system does not get it back: WebAssembly has no way to return a part of its memory.",
	initial: undefined,
	parse: (text) => (text === "0" ? 0 : parseMemory(text, "--balloon")),
});
