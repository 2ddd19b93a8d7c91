/*
 * What the parts of the paravirtual kernel offer each other.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "lguest.h"

/* As entry.S leaves them on the stack. */
struct registers {
	u32 edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
	u32 ds, es;
	u32 vector, error;
	u32 eip, cs, eflags;
	/* From user mode only. */
	u32 esp, ss;
};

/* entry.S */
extern u32 trap_stubs[];
extern u32 page_directory[1024];
extern u32 page_tables[4][1024];
extern u8 noirq_begin[], noirq_finish[];
extern u8 user_page[], user_tls[];
extern volatile u32 user_flag;
u32 probe_read(u32 address);
void probe_write(u32 address, u32 value);
void probe_undefined(void);
void probe_fpu(void);
u32 enter_user(u32 eip, u32 esp);
void leave_user(u32 result) __attribute__((noreturn));

/* print.c */
extern void (*console_write)(const char *text, u32 length);
void print(const char *text);
void print_number(u32 value);
void step(const char *name, int passed);
int same(const char *one, const char *other, u32 length);

/* traps.c */
struct trap_seen {
	u32 count, error, cr2, eip;
};
void load_tables(void);
void expect_trap(u32 vector);
struct trap_seen trap_taken(void);
extern volatile u32 irq_count[32];
extern void (*irq_handler[32])(void);
void interrupts_off(void);
void interrupts_on(void);
void wait_for(volatile u32 *word, u32 value);

/* steps */
void test_boot(void);
void test_memory(void);
void test_traps(void);
void test_user(void);
void test_time(void);
void test_ring(void);
void test_fpu(void);
void test_bus(void);
void finish(void) __attribute__((noreturn));

/* bus.c */
extern u32 memory_bytes;
u32 boots_before(void);
void count_boot(void);
const char *command_line(void);
u32 argument(const char *name, u32 otherwise);

#endif
