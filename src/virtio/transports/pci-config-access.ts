/**
 * The window in configuration space through which firmware reaches a BAR that
 * is not mapped anywhere (virtio 1.3 §4.1.4.9): the driver writes BAR, offset
 * and length into the capability, and then reads or writes `pci_cfg_data`.
 *
 * Relies on the hooks of PCI capabilities; `pci.ts` adds it to its function.
 *
 * @journey D:175 Through the keyhole
 */

import type { AccessSize } from "../../chipset/bus.ts";
import type { PciBar, PciCapability } from "../../chipset/pci-function.ts";

/** Offsets in the capability's body, which starts at its own length. */
const BAR_AT = 2;
const OFFSET_AT = 6;
const LENGTH_AT = 10;
const DATA_AT = 14;
const BODY_BYTES = 18;

/** The writable bits and the hooks; `findBar` gives the function's BARs. */
export function pciConfigAccess(
	findBar: (index: number) => PciBar | undefined,
): Pick<PciCapability, "writable" | "beforeRead" | "afterWrite"> {
	const writable = new Uint8Array(BODY_BYTES);
	writable[BAR_AT] = 0xff;
	writable.fill(0xff, OFFSET_AT);
	return {
		writable,
		beforeRead: (body, at, size) => {
			const target = touchesData(at, size) ? chosen(body, findBar) : undefined;
			if (target === undefined) return;
			const { device, offset, lengthBytes } = target;
			const value = device.read(offset, lengthBytes);
			new DataView(body.buffer, body.byteOffset).setUint32(
				DATA_AT,
				value,
				true,
			);
		},
		afterWrite: (body, at, size) => {
			const target = touchesData(at, size) ? chosen(body, findBar) : undefined;
			if (target === undefined) return;
			const view = new DataView(body.buffer, body.byteOffset);
			const value = view.getUint32(DATA_AT, true);
			const { device, offset, lengthBytes } = target;
			device.write(offset, lengthBytes, value % 2 ** (8 * lengthBytes));
		},
	};
}

function touchesData(at: number, size: AccessSize): boolean {
	return at + size > DATA_AT;
}

/** Undefined when the driver's choice is no aligned access within a BAR. */
function chosen(
	body: Uint8Array,
	findBar: (index: number) => PciBar | undefined,
) {
	const view = new DataView(body.buffer, body.byteOffset);
	const bar = findBar(body[BAR_AT] ?? 0);
	const offset = view.getUint32(OFFSET_AT, true);
	const lengthBytes = view.getUint32(LENGTH_AT, true);
	if (bar === undefined || !isAccessSize(lengthBytes)) return undefined;
	if (offset % lengthBytes !== 0) return undefined;
	if (offset + lengthBytes > bar.lengthBytes) return undefined;
	return { device: bar.device, offset, lengthBytes };
}

function isAccessSize(lengthBytes: number): lengthBytes is AccessSize {
	return lengthBytes === 1 || lengthBytes === 2 || lengthBytes === 4;
}
