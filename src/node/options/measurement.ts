/**
 * Options for tests and measurements: the debug exit and the counters.
 *
 * @journey P:490 For those who measure
 */

import { badOption, runOption } from "./option.ts";

/** Decimal or 0x-hexadecimal. */
function parsePort(text: string): number {
	const port = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : -1;
	if (port < 0 || port > 0xffff) {
		throw badOption(
			`"${text}" is no I/O port for --debug-exit.`,
			"Ports go from 0 to 0xffff; 0xf4 is a common choice.",
		);
	}
	return port;
}

export const debugExitOption = runOption<"debugExitPort", number | undefined>({
	key: "debugExitPort",
	flags: "--debug-exit <port>",
	group: "Tests and measurements:",
	summary: "a byte written to this port ends lguest",
	manual: "The value the guest writes is the exit status.",
	initial: undefined,
	parse: parsePort,
});

export const topOption = runOption({
	key: "top",
	flags: "--top",
	group: "Tests and measurements:",
	summary: "watch what the guest does instead of its console",
	manual:
		"The terminal shows, twice a second, instructions per second and how many of them were in compiled code, exits, what each device does, memory, and the console's last lines. `q` ends it.",
	initial: false,
});

export const statsOption = runOption<"statsPath", string | undefined>({
	key: "statsPath",
	flags: "--stats <file>",
	group: "Tests and measurements:",
	summary: "write counters as JSON at the end",
	initial: undefined,
	parse: (path) => path,
});
