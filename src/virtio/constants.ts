/**
 * The numbers of the virtio specification, under its own names and grouped by
 * its sections, so that one search finds a rule there and its code here.
 * "virtio 1.3" means the OASIS committee specification of that version.
 *
 * Relies on nothing; everything virtio relies on it.
 *
 * @journey D:100 The vocabulary of virtio
 */

// Device status bits (virtio 1.3 §2.1).
/** The guest has seen the device. */
export const VIRTIO_CONFIG_S_ACKNOWLEDGE = 1;
/** The guest knows how to drive it. */
export const VIRTIO_CONFIG_S_DRIVER = 2;
/** The driver is set up: from now on the device works. */
export const VIRTIO_CONFIG_S_DRIVER_OK = 4;
/** Feature negotiation is complete; the device clears it to disagree. */
export const VIRTIO_CONFIG_S_FEATURES_OK = 8;
/** The device has given up on what the driver did. */
export const VIRTIO_CONFIG_S_NEEDS_RESET = 0x40;
/** The driver has given up on the device. */
export const VIRTIO_CONFIG_S_FAILED = 0x80;

// Feature bits reserved for queues and negotiation (virtio 1.3 §6), as bit numbers.
/** Legacy devices only: buffers may be divided into descriptors at will. */
export const VIRTIO_F_ANY_LAYOUT = 27;
/** Descriptors that name a table of descriptors. */
export const VIRTIO_F_INDIRECT_DESC = 28;
/** Suppression of notifications by index instead of a flag. */
export const VIRTIO_F_EVENT_IDX = 29;
/** The line between legacy (absent) and everything since 1.0. */
export const VIRTIO_F_VERSION_1 = 32;
/** The ring of §2.8 in place of the three of §2.7. */
export const VIRTIO_F_RING_PACKED = 34;

// Device types (virtio 1.3 §5).
export const VIRTIO_ID_NET = 1;
export const VIRTIO_ID_BLOCK = 2;
export const VIRTIO_ID_CONSOLE = 3;
export const VIRTIO_ID_RNG = 4;
export const VIRTIO_ID_BALLOON = 5;
export const VIRTIO_ID_9P = 9;
export const VIRTIO_ID_VSOCK = 19;

// Descriptor flags (virtio 1.3 §2.7.5, and §2.8.1 for the packed ring).
/** The chain goes on. */
export const VIRTQ_DESC_F_NEXT = 1;
/** Device-writable; otherwise device-readable. */
export const VIRTQ_DESC_F_WRITE = 2;
/** The buffer is a table of descriptors. */
export const VIRTQ_DESC_F_INDIRECT = 4;
/** Packed ring: toggled by the driver at each round. */
export const VIRTQ_DESC_F_AVAIL = 1 << 7;
/** Packed ring: toggled by the device at each round. */
export const VIRTQ_DESC_F_USED = 1 << 15;
/** Every descriptor, of either ring, has this size. */
export const VIRTQ_DESC_BYTES = 16;

/** In the available ring: the driver wants no interrupts (virtio 1.3 §2.7.6). */
export const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
/** In the used ring: the device wants no kicks (virtio 1.3 §2.7.8). */
export const VIRTQ_USED_F_NO_NOTIFY = 1;

// Event suppression of the packed ring (virtio 1.3 §2.8.10).
export const RING_EVENT_FLAGS_ENABLE = 0;
export const RING_EVENT_FLAGS_DISABLE = 1;
/** Only for one descriptor, which the other half of the structure names. */
export const RING_EVENT_FLAGS_DESC = 2;

/** No queue has more entries than this (virtio 1.3 §2.7). */
export const VIRTQUEUE_MAX_SIZE = 32768;

/** A set of feature bits from bit numbers. */
export function featureSet(...bits: readonly number[]): bigint {
	return bits.reduce((set, bit) => set | (1n << BigInt(bit)), 0n);
}

/** Whether `set` has the bit. */
export function hasFeature(set: bigint, bit: number): boolean {
	return ((set >> BigInt(bit)) & 1n) === 1n;
}
