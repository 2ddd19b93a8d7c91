/**
 * The lguest ABI: numbers and layouts only, under the names they have in
 * Linux's `lguest_launcher.h` and `lguest_hcall.h` (2.6.24 to 3.19), so that
 * this file can be held beside those headers.
 *
 * Relies on nothing; the bus, the Host and the Launcher rely on it.
 *
 * @journey H:200 The vocabulary of lguest
 */

/** Pages are this large in everything lguest says. */
export const LGUEST_PAGE_BYTES = 4096;

// The descriptor page: right above the top of RAM, one `lguest_device_desc`
// behind the other, without padding, ended by a type of 0.

/**
 * `struct lguest_device_desc`: offsets of its bytes. Behind it follow `num_vq`
 * `lguest_vqconfig`s, the Launcher's feature bits, the Guest's (as many again),
 * and the configuration space.
 */
export const LGUEST_DEVICE_DESC = {
	/** Device type as in virtio; 0 ends the list. */
	type: 0,
	num_vq: 1,
	/** Bytes of one of the two sets of feature bits. */
	feature_len: 2,
	config_len: 3,
	/** `VIRTIO_CONFIG_S_*`. */
	status: 4,
} as const;
export const LGUEST_DEVICE_DESC_BYTES = 5;

/** `struct lguest_vqconfig`: offsets. Seldom aligned. */
export const LGUEST_VQCONFIG = {
	/** u16, entries of the ring: a power of two. */
	num: 0,
	/** u16, the interrupt for used buffers. */
	irq: 2,
	/** u32, the page where the ring begins. */
	pfn: 4,
} as const;
export const LGUEST_VQCONFIG_BYTES = 8;

/** All lengths in a descriptor are bytes. */
export const LGUEST_LENGTH_MAX = 255;
/** Alignment of the parts of a ring, in every dialect. */
export const LGUEST_VRING_ALIGN = 4096;
/** The most pages above RAM, the descriptor page and all rings together. */
export const LGUEST_DEVICE_PAGES = 256;

// Hypercalls: the number is in EAX, arguments are in EBX, ECX and EDX (from
// 2.6.30 on; EDX, EBX, ECX before).

/** arg1 = physical address of a message, arg2 = one of the two reasons below. */
export const LHCALL_SHUTDOWN = 2;
export const LGUEST_SHUTDOWN_POWEROFF = 1;
export const LGUEST_SHUTDOWN_RESTART = 2;
/** arg1 = physical address of a descriptor, of a ring, or of an early message. */
export const LHCALL_NOTIFY = 17;

/** Bytes that a descriptor takes in the page (`desc_size` of Linux's driver). */
export function lguestDeviceDescSize(
	numVq: number,
	featureLen: number,
	configLen: number,
): number {
	return (
		LGUEST_DEVICE_DESC_BYTES +
		LGUEST_VQCONFIG_BYTES * numVq +
		2 * featureLen +
		configLen
	);
}
