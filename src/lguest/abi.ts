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

// Hypercalls: the number is in EAX, arguments are in registers that depend on
// the Guest's age (see `lguest/host/dialect.ts`). Nothing is ever returned.

/** `int $LGUEST_TRAP_ENTRY` is a hypercall; so is VMCALL, from 2.6.30 to 3.0. */
export const LGUEST_TRAP_ENTRY = 0x1f;

/** No effect but that of every hypercall: the ring is emptied first. */
export const LHCALL_FLUSH_ASYNC = 0;
/** arg1 = physical address of `lguest_data`. */
export const LHCALL_LGUEST_INIT = 1;
/** arg1 = physical address of a message, arg2 = one of the two reasons below. */
export const LHCALL_SHUTDOWN = 2;
export const LGUEST_SHUTDOWN_POWEROFF = 1;
export const LGUEST_SHUTDOWN_RESTART = 2;
/** arg1 = physical address of a table, arg2 = how many entries (to 2.6.29). */
export const LHCALL_LOAD_GDT = 3;
/** arg1 = physical address of the top level. */
export const LHCALL_NEW_PGTABLE = 4;
/** arg1 = 0 for the part below the kernel, otherwise everything. */
export const LHCALL_FLUSH_TLB = 5;
/** arg1 = vector, arg2 = low half, arg3 = high half. */
export const LHCALL_LOAD_IDT_ENTRY = 6;
/** arg1 = SS, arg2 = ESP, arg3 = pages below it. */
export const LHCALL_SET_STACK = 7;
/** arg1 = whether CR0.TS is to be set. */
export const LHCALL_TS = 8;
/** arg1 = nanoseconds from now, 0 = never. */
export const LHCALL_SET_CLOCKEVENT = 9;
export const LHCALL_HALT = 10;
/** arg1 = physical address of a page directory, arg2 = index; PAE only (from 2.6.31). */
export const LHCALL_SET_PMD = 13;
/** arg1 = top level, arg2 = linear address, arg3 (and 4) = the entry. */
export const LHCALL_SET_PTE = 14;
/** arg1 = top level, arg2 = index; `LHCALL_SET_PMD` before 2.6.31. */
export const LHCALL_SET_PGD = 15;
/** arg1 = physical address of three descriptors. */
export const LHCALL_LOAD_TLS = 16;
/** arg1 = physical address of a descriptor, of a ring, or of an early message. */
export const LHCALL_NOTIFY = 17;
/** arg1 = index, arg2 = low half, arg3 = high half (from 2.6.30). */
export const LHCALL_LOAD_GDT_ENTRY = 18;
/** No effect but that of leaving the Guest (from 2.6.31). */
export const LHCALL_SEND_INTERRUPTS = 19;

/** Slots of the ring of asynchronous hypercalls in `lguest_data`. */
export const LHCALL_RING_SIZE = 64;
/** In `hcall_status`: the slot is free; 0 = a call waits in it. */
export const LHCALL_RING_FREE = 0xff;

/**
 * `struct lguest_data`, the page that Guest and Host share: offsets of its
 * fields, in the three shapes that it has had. An absent field is undefined.
 */
export interface LguestDataLayout {
	/** u32, both write: bit 9 = interrupts are on. */
	readonly irq_enabled: number;
	/** u32, bit n masks interrupt n. */
	readonly blocked_interrupts: number;
	/** u32, where the last page fault was. */
	readonly cr2: number;
	/** Seconds and nanoseconds since 1970, u32 each. */
	readonly time: number;
	/** u32, bit 9 = an interrupt waits for `irq_enabled`. */
	readonly irq_pending: number | undefined;
	readonly hcall_status: number;
	/** Images of EAX EBX ECX EDX and, in the later shapes, ESI. */
	readonly hcalls: number;
	readonly hcallBytes: number;
	/** u32, bytes at the top of linear space that are the Host's. */
	readonly reserve_mem: number;
	readonly tsc_khz: number;
	/** u32, physical address of the first page directory. */
	readonly pgdir: number | undefined;
	/** Linear addresses between which no interrupt may come. */
	readonly noirq_start: number;
	readonly noirq_end: number;
	/** `PAGE_OFFSET`. */
	readonly kernel_address: number;
	readonly syscall_vec: number;
	readonly sizeBytes: number;
}

/** 2.6.24 to 2.6.30. */
export const LGUEST_DATA_L1: LguestDataLayout = {
	irq_enabled: 0,
	blocked_interrupts: 4,
	cr2: 8,
	time: 12,
	irq_pending: undefined,
	hcall_status: 20,
	hcalls: 84,
	hcallBytes: 16,
	reserve_mem: 1108,
	tsc_khz: 1112,
	pgdir: 1116,
	noirq_start: 1120,
	noirq_end: 1124,
	kernel_address: 1128,
	syscall_vec: 1132,
	sizeBytes: 1136,
};

/** 2.6.31 to 3.0. */
export const LGUEST_DATA_L2: LguestDataLayout = {
	irq_enabled: 0,
	blocked_interrupts: 4,
	cr2: 8,
	time: 12,
	irq_pending: 20,
	hcall_status: 24,
	hcalls: 88,
	hcallBytes: 20,
	reserve_mem: 1368,
	tsc_khz: 1372,
	pgdir: 1376,
	noirq_start: 1380,
	noirq_end: 1384,
	kernel_address: 1388,
	syscall_vec: 1392,
	sizeBytes: 1396,
};

/** 3.1 to 3.19. */
export const LGUEST_DATA_L3: LguestDataLayout = {
	...LGUEST_DATA_L2,
	pgdir: undefined,
	noirq_start: 1376,
	noirq_end: 1380,
	kernel_address: 1384,
	syscall_vec: 1388,
	sizeBytes: 1392,
};

// What the Launcher writes to /dev/lguest: words of 32 bits, the first of them
// one of these.

/** base, pfnlimit, (to 2.6.28) pgdir, start. */
export const LHREQ_INITIALIZE = 0;
/** A dead number. */
export const LHREQ_GETDMA = 1;
/** irq. */
export const LHREQ_IRQ = 2;
/** on or off: run comes back at once. */
export const LHREQ_BREAK = 3;
/** address, file descriptor (from 2.6.31). */
export const LHREQ_EVENTFD = 4;

/** Interrupts a Guest can have; number 0 is the timer. */
export const LGUEST_IRQS = 32;
/** Where interrupt 0 is in the interrupt table. */
export const FIRST_EXTERNAL_VECTOR = 0x20;

/** Entries of a Guest's descriptor table, and those that are spoken for. */
export const GDT_ENTRIES = 32;
export const GDT_ENTRY_TLS_MIN = 6;
export const GDT_ENTRY_TLS_ENTRIES = 3;
export const LGUEST_CS = 12;
export const LGUEST_DS = 13;
/** Privilege level of a Guest's kernel. */
export const GUEST_PL = 1;

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
