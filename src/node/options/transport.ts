/**
 * `--transport`: how the guest reaches its virtio devices.
 *
 * @journey P:492 A transport by its name
 */

import { TRANSPORT_NAMES, type TransportName } from "../../index.ts";
import { oneOf, runOption } from "./option.ts";

export const transportOption = runOption<
	"transport",
	TransportName | undefined
>({
	key: "transport",
	flags: "--transport <kind>",
	group: "Devices:",
	summary: `${TRANSPORT_NAMES.join(", ")}`,
	manual:
		"How the guest reaches its virtio devices: `pci` (default) or `mmio`, `pci-legacy` or `mmio-legacy` for drivers from before virtio 1.0. `lguest` is a page above the guest's memory, for kernels that have lguest's driver; the default guest has it and finds its devices there.",
	initial: undefined,
	parse: oneOf("--transport", TRANSPORT_NAMES),
});
