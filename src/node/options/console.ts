/**
 * `--console`: which of the guest's consoles is your terminal.
 *
 * @journey P:493 A console by its kind
 */

import { oneOf, runOption } from "./option.ts";

export const consoleOption = runOption<
	"console",
	"serial" | "virtio" | undefined
>({
	key: "console",
	flags: "--console <kind>",
	group: "Devices:",
	summary: "your terminal is: serial (default), or virtio",
	manual:
		"`serial`: the guest's first serial port, which every kernel knows. `virtio`: a virtio console, `hvc0`, which is faster and knows the size of your window, also when it changes; the kernel must have the driver built in. The default guest has it.",
	initial: undefined,
	parse: oneOf("--console", ["serial", "virtio"]),
});
