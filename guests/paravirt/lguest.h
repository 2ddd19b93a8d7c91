/*
 * The lguest ABI from the Guest's side, in the dialect that DIALECT says:
 *
 *   'B' 2.6.25   'C' 2.6.26-28   'D' 2.6.29   'E' 2.6.30
 *   'F' 2.6.31-33   'G' 2.6.34-3.0   'H' 3.1-3.19
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LGUEST_H
#define LGUEST_H

#define PAGE_OFFSET 0xc0000000

#define IS_L1 (DIALECT <= 'E')
#define IS_L3 (DIALECT == 'H')
#define USES_VMCALL (DIALECT == 'E' || DIALECT == 'F')
/* The stub copies the directory's lower entries up, behind the Host's back. */
#define COPIES_DIRECTORY (DIALECT <= 'C')
#define LOADS_GDT_AT_ONCE (DIALECT <= 'D')
/* What a store to a status byte is followed by. */
#define TELLS_EVERY_STATUS (DIALECT >= 'C' && DIALECT <= 'G')
#define TELLS_FINAL_FEATURES (DIALECT == 'H')

#define LHCALL_FLUSH_ASYNC 0
#define LHCALL_LGUEST_INIT 1
#define LHCALL_SHUTDOWN 2
#define LHCALL_LOAD_GDT 3
#define LHCALL_NEW_PGTABLE 4
#define LHCALL_FLUSH_TLB 5
#define LHCALL_LOAD_IDT_ENTRY 6
#define LHCALL_SET_STACK 7
#define LHCALL_TS 8
#define LHCALL_SET_CLOCKEVENT 9
#define LHCALL_HALT 10
#define LHCALL_SET_PTE 14
#define LHCALL_SET_PGD 15
#define LHCALL_LOAD_TLS 16
#define LHCALL_NOTIFY 17
#define LHCALL_LOAD_GDT_ENTRY 18
#define LHCALL_SEND_INTERRUPTS 19

#define SHUTDOWN_POWEROFF 1
#define SHUTDOWN_RESTART 2

#define GDT_ENTRIES 32
#define KERNEL_CS 0x61
#define KERNEL_DS 0x69
#define USER_CS 0x73
#define USER_DS 0x7b
#define TLS_SELECTOR 0x33

/* Where the program in user mode is. */
#define USER_ADDRESS 0x08048000

#ifndef __ASSEMBLER__

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define RING_SLOTS 64

struct lguest_data {
	u32 irq_enabled;
	u32 blocked_interrupts;
	u32 cr2;
	u32 seconds, nanoseconds;
#if !IS_L1
	u32 irq_pending;
#endif
	u8 hcall_status[RING_SLOTS];
	u32 hcalls[RING_SLOTS][IS_L1 ? 4 : 5];
	u32 reserve_mem;
	u32 tsc_khz;
#if !IS_L3
	u32 pgdir;
#endif
	u32 noirq_start, noirq_end;
	u32 kernel_address;
	u32 syscall_vec;
};

extern volatile struct lguest_data lguest_data;

static inline void hcall(u32 number, u32 first, u32 second, u32 third)
{
	u32 after = number;
#if DIALECT <= 'D'
	asm volatile("int $0x1f" : "+a"(after)
		     : "d"(first), "b"(second), "c"(third) : "memory");
#elif USES_VMCALL
	asm volatile(".byte 0x0f, 0x01, 0xc1" : "+a"(after)
		     : "b"(first), "c"(second), "d"(third), "S"(0) : "memory");
#else
	asm volatile("int $0x1f" : "+a"(after)
		     : "b"(first), "c"(second), "d"(third), "S"(0) : "memory");
#endif
	/* No call returns anything. */
	if (after != number)
		asm volatile("ud2");
}

static inline u32 physical(const volatile void *pointer)
{
	return (u32)pointer - PAGE_OFFSET;
}

static inline void *virtual(u32 address)
{
	return (void *)(address + PAGE_OFFSET);
}

#endif
#endif
