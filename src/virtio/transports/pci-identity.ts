/**
 * Who a virtio device is on PCI (virtio 1.3 §4.1.2): transitional devices have
 * numbers of their own, from before the rule that made the others, and name
 * their type as subsystem.
 *
 * Relies on the types' numbers; `pci.ts` relies on it.
 *
 * @journey D:169 The name on the card
 */

import type { PciIdentity } from "../../chipset/pci-function.ts";
import {
	VIRTIO_ID_9P,
	VIRTIO_ID_BALLOON,
	VIRTIO_ID_BLOCK,
	VIRTIO_ID_CONSOLE,
	VIRTIO_ID_NET,
	VIRTIO_ID_RNG,
} from "../constants.ts";

const VENDOR = 0x1af4;
const FIRST_TRANSITIONAL = 0x1000;
/** Revision 0 is transitional (virtio 1.3 §4.1.2.3). */
const TRANSITIONAL_REVISION = 0;
const INTA = 1;

/** The specification's table of transitional numbers. */
const TRANSITIONAL = new Map([
	[VIRTIO_ID_NET, 0x1000],
	[VIRTIO_ID_BLOCK, 0x1001],
	[VIRTIO_ID_BALLOON, 0x1002],
	[VIRTIO_ID_CONSOLE, 0x1003],
	[VIRTIO_ID_RNG, 0x1005],
	[VIRTIO_ID_9P, 0x1009],
]);

/** Base class and subclass, where PCI has a fitting one. */
const CLASSES = new Map([
	[VIRTIO_ID_NET, 0x02_00_00],
	[VIRTIO_ID_BLOCK, 0x01_00_00],
	[VIRTIO_ID_CONSOLE, 0x07_80_00],
]);
const UNCLASSIFIED = 0x00_ff_00;

/**
 * The identity of a device of this type. Types without a transitional number
 * get the one their place in the list of types would give: legacy drivers want
 * a number in that range, and look at the subsystem then.
 */
export function pciIdentity(deviceId: number): PciIdentity {
	return {
		vendorId: VENDOR,
		deviceId: TRANSITIONAL.get(deviceId) ?? FIRST_TRANSITIONAL + deviceId - 1,
		classCode: CLASSES.get(deviceId) ?? UNCLASSIFIED,
		revision: TRANSITIONAL_REVISION,
		subsystemVendorId: VENDOR,
		subsystemId: deviceId,
		interruptPin: INTA,
	};
}
