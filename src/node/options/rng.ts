/**
 * `--rng`: a virtio source of entropy.
 *
 * @journey P:488 Chance on the command line
 */

import { runOption } from "./option.ts";

export const rngOption = runOption({
	key: "rng",
	flags: "--rng",
	group: "Devices:",
	summary: "a virtio source of entropy, /dev/hwrng",
	initial: false,
});
