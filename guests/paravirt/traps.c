/*
 * Descriptor tables, traps, interrupts and time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel.h"

extern u8 probe_return[];

static u64 gdt[GDT_ENTRIES] __attribute__((aligned(8)));
static struct trap_seen seen;
static u32 expected = 256;
static volatile u32 user_events;
volatile u32 irq_count[32];
void (*irq_handler[32])(void);

/* With the privilege level that a kernel has on silicon: 0. */
static void fill_gdt(void)
{
	gdt[12] = 0x00cf9a000000ffffull;
	gdt[13] = 0x00cf92000000ffffull;
	gdt[14] = 0x00cffa000000ffffull;
	gdt[15] = 0x00cff2000000ffffull;
}

void load_tables(void)
{
	fill_gdt();
#if LOADS_GDT_AT_ONCE
	hcall(LHCALL_LOAD_GDT, physical(gdt), GDT_ENTRIES, 0);
#else
	for (u32 i = 0; i < GDT_ENTRIES; i++)
		hcall(LHCALL_LOAD_GDT_ENTRY, i, (u32)gdt[i], (u32)(gdt[i] >> 32));
#endif
	for (u32 vector = 0; vector < 256; vector++) {
		u32 stub = (u32)trap_stubs + (vector <= 128 ? vector : 0) * 16;
		u32 level = vector == 3 || vector == 4 || vector == 0x80 ? 3 : 0;
		/* Linux has a task gate for double faults. */
		u32 type = vector == 8 ? 5 : vector == 0x80 ? 0xf : 0xe;

		hcall(LHCALL_LOAD_IDT_ENTRY, vector, 0x60 << 16 | (stub & 0xffff),
		      (stub & 0xffff0000) | 0x8000 | level << 13 | type << 8);
	}
	asm volatile("movl %0, %%ds; movl %0, %%es; movl %0, %%ss" : : "r"(KERNEL_DS));
}

void expect_trap(u32 vector)
{
	expected = vector;
	seen.count = 0;
}

struct trap_seen trap_taken(void)
{
	expected = 256;
	return seen;
}

static void handle_irq(u32 irq)
{
	lguest_data.blocked_interrupts |= 1u << irq;
	irq_count[irq]++;
	if (irq_handler[irq])
		irq_handler[irq]();
	lguest_data.blocked_interrupts &= ~(1u << irq);
}

/* What the program of entry.S does, in its order. */
static void handle_user(struct registers *regs)
{
	switch (regs->vector) {
	case 0x80:
		if (regs->eax == 1)
			regs->eax = regs->ebx + 1;
		else if (regs->eax == 2)
			hcall(LHCALL_SET_CLOCKEVENT, 1000000, 0, 0);
		else
			leave_user(regs->ebx | user_events << 8);
		return;
	case 3:
		user_events++;
		return;
	case 14: {
		static u32 page[1024] __attribute__((aligned(4096)));
		static u32 table[1024] __attribute__((aligned(4096)));

		if (lguest_data.cr2 != 0x0a000000 || regs->error != 4)
			leave_user(0xbad14);
		user_events++;
		page[0] = 0x5a5a5a5a;
		table[0] = physical(page) | 7;
		page_directory[0x0a000000 >> 22] = physical(table) | 0x67;
		hcall(LHCALL_SET_PGD, physical(page_directory), 0x0a000000 >> 22, 0);
		hcall(LHCALL_SET_PTE, physical(page_directory), 0x0a000000, table[0]);
		return;
	}
	case 13:
		user_events++;
		regs->eip++;
		return;
	default:
		leave_user(0xbad00 | regs->vector);
	}
}

void handle_trap(struct registers *regs)
{
	if (regs->vector >= 0x20 && regs->vector < 0x40) {
		handle_irq(regs->vector - 0x20);
		return;
	}
	if ((regs->cs & 3) == 3) {
		handle_user(regs);
		return;
	}
	if (regs->vector == expected) {
		seen = (struct trap_seen){ seen.count + 1, regs->error, lguest_data.cr2, regs->eip };
		regs->eip = (u32)probe_return;
		return;
	}
	print("NOT OK trap ");
	print_number(regs->vector);
	print(" at ");
	print_number(regs->eip);
	print("\n");
	hcall(LHCALL_SHUTDOWN, physical("unexpected trap"), SHUTDOWN_POWEROFF, 0);
}

void interrupts_off(void)
{
	lguest_data.irq_enabled = 0;
}

void interrupts_on(void)
{
	lguest_data.irq_enabled = 0x200;
}

/* HALT turns interrupts on and waits, in one, so that none is missed. */
void wait_for(volatile u32 *word, u32 value)
{
	for (;;) {
		interrupts_off();
		if (*word >= value)
			break;
		hcall(LHCALL_HALT, 0, 0, 0);
	}
	interrupts_on();
}

void test_traps(void)
{
	expect_trap(6);
	probe_undefined();
	step("invalid opcode", trap_taken().count == 1);

	u32 value = 0x12345678;

	asm volatile("inb $0x64, %%al" : "+a"(value));
	step("ports read ones", value == 0x123456ff);
	asm volatile("outb %%al, $0x80; cli" : : "a"(0));
	step("ports swallow, cli does nothing", 1);
}

void test_time(void)
{
	lguest_data.blocked_interrupts &= ~1u;
	interrupts_on();

	u32 start = lguest_data.seconds;

	for (u32 tick = 1; tick <= 3; tick++) {
		hcall(LHCALL_SET_CLOCKEVENT, 2000000, 0, 0);
		wait_for(&irq_count[0], tick);
	}
	step("three ticks of the clock", irq_count[0] == 3);
	step("the time is known", start > 1000000000 && lguest_data.tsc_khz > 0);

	/* A tick that comes while interrupts are off waits, and comes with the store. */
	interrupts_off();
	hcall(LHCALL_SET_CLOCKEVENT, 1000, 0, 0);
	for (volatile u32 i = 0; i < 3000000; i++)
		;
	int waited = irq_count[0] == 3;
	interrupts_on();
	asm volatile("nop; nop");
	step("interrupts wait for the store that turns them on", waited && irq_count[0] == 4);
#if !IS_L1
	step("irq_pending is down again", lguest_data.irq_pending == 0);
	interrupts_off();
	hcall(LHCALL_SET_CLOCKEVENT, 1000, 0, 0);
	for (u32 i = 0; i < 100000000 && !lguest_data.irq_pending; i++)
		;
	waited = lguest_data.irq_pending == 0x200;
	interrupts_on();
	hcall(LHCALL_SEND_INTERRUPTS, 0, 0, 0);
	step("irq_pending announces one", waited && irq_count[0] == 5);
#endif
}

void test_fpu(void)
{
	hcall(LHCALL_TS, 8, 0, 0);
	expect_trap(7);
	probe_fpu();
	int caught = trap_taken().count == 1;
	hcall(LHCALL_TS, 0, 0, 0);
	probe_fpu();
	step("device not available, and available", caught);
}

static void raise_user_flag(void)
{
	user_flag = 1;
}

void test_user(void)
{
	static u8 stack[4096] __attribute__((aligned(4096)));
	static u64 tls[3];
	static u32 table[1024] __attribute__((aligned(4096)));
	u32 base = USER_ADDRESS + ((u32)user_tls - (u32)user_page);

	tls[0] = 0x00cff2000000ffffull | (u64)(base & 0xffffff) << 16 | (u64)(base >> 24) << 56;
	hcall(LHCALL_LOAD_TLS, physical(tls), 0, 0);
	table[USER_ADDRESS >> 12 & 1023] = physical(user_page) | 7;
	page_directory[USER_ADDRESS >> 22] = physical(table) | 0x67;
	hcall(LHCALL_SET_PGD, physical(page_directory), USER_ADDRESS >> 22, 0);
	hcall(LHCALL_SET_STACK, KERNEL_DS, (u32)stack + sizeof(stack), 1);
	asm volatile("movl %0, %%gs" : : "r"(TLS_SELECTOR));
	irq_handler[0] = raise_user_flag;
	u32 result = enter_user(USER_ADDRESS, USER_ADDRESS + 4080);
	irq_handler[0] = 0;
	interrupts_on();
	step("user mode: call, breakpoint, page fault, protection, TLS, a tick", result == 0x305);
}
