/**
 * Everything that `npm run fuzz` and the short run among the tests throw
 * hostile input at. A new target is a line here.
 */

import { BOARD_TARGET } from "./board.ts";
import { LGUEST_GUEST_TARGETS } from "./lguest-guests.ts";
import { NETWORK_FRAMES_TARGET } from "./network-frames.ts";
import { NINE_P_TARGETS } from "./nine-p-messages.ts";
import { QCOW2_IMAGE_TARGET } from "./qcow2-image.ts";
import type { FuzzTarget } from "./target.ts";
import { VIRTIO_DRIVER_TARGETS } from "./virtio-drivers.ts";
import { VSOCK_PACKETS_TARGET } from "./vsock-packets.ts";

export const FUZZ_TARGETS: readonly FuzzTarget[] = [
	...VIRTIO_DRIVER_TARGETS,
	BOARD_TARGET,
	...NINE_P_TARGETS,
	VSOCK_PACKETS_TARGET,
	NETWORK_FRAMES_TARGET,
	QCOW2_IMAGE_TARGET,
	...LGUEST_GUEST_TARGETS,
];
