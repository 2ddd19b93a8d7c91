/*
 * A paravirtual kernel that needs lguest and does everything a Guest can do,
 * one step after the other. What is on its command line decides its end:
 * `end=0` poweroff, `end=1` a restart and then poweroff, others a mistake.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel.h"

static const char name[] __attribute__((used)) = "Linux version 0 \0lguest";

volatile struct lguest_data lguest_data __attribute__((aligned(4))) = {
	.hcall_status = { [0 ... RING_SLOTS - 1] = 0xff },
	.blocked_interrupts = 1,
	.noirq_start = (u32)noirq_begin,
	.noirq_end = (u32)noirq_finish,
	.kernel_address = PAGE_OFFSET,
	.syscall_vec = 0x80,
};

static char boot_params[4096];
static char arguments[256];

const char *command_line(void)
{
	return arguments;
}

/* The number behind `name=`. */
u32 argument(const char *wanted, u32 otherwise)
{
	u32 length = 0;

	while (wanted[length])
		length++;
	for (u32 i = 0; arguments[i]; i++) {
		if (!same(arguments + i, wanted, length) || arguments[i + length] != '=')
			continue;
		u32 value = 0;
		for (i += length + 1; arguments[i] >= '0' && arguments[i] <= '9'; i++)
			value = value * 10 + arguments[i] - '0';
		return value;
	}
	return otherwise;
}

void test_boot(void)
{
	char *from = virtual(0);

	for (u32 i = 0; i < sizeof(boot_params); i++)
		boot_params[i] = from[i];
	from = virtual(*(u32 *)(boot_params + 0x228));
	for (u32 i = 0; i < sizeof(arguments) - 1 && from[i]; i++)
		arguments[i] = from[i];
	memory_bytes = *(u32 *)(boot_params + 0x2d8);
	print("paravirt: dialect ");
	print((char[]){ DIALECT, '\n', 0 });
	step("boot_params: one range of memory, lguest's number",
	     boot_params[0x1e8] == 1 && boot_params[0x23c] == 1 && *(u16 *)(boot_params + 0x206) >= 0x207);
	step("room at the top is reserved", lguest_data.reserve_mem > 0);
	u32 ramdisk = *(u32 *)(boot_params + 0x218);
	step("an initrd at the top of memory", *(u32 *)virtual(ramdisk) == 0x64726e69 &&
	     ramdisk + *(u32 *)(boot_params + 0x21c) == memory_bytes);
}

static void power_off(void)
{
	hcall(LHCALL_SHUTDOWN, physical("Power down"), SHUTDOWN_POWEROFF, 0);
}

static void restart(void)
{
	if (boots_before() > 0)
		power_off();
	count_boot();
	hcall(LHCALL_SHUTDOWN, 0x40000000, SHUTDOWN_RESTART, 0);
}

/* Each of these should be the last that is heard of us. */
static void make_mistake(u32 which)
{
	switch (which) {
	case 2:
		hcall(99, 0, 0, 0);
		break;
	case 3:
		hcall(LHCALL_LGUEST_INIT, physical(&lguest_data), 0, 0);
		break;
	case 4:
		hcall(LHCALL_SET_STACK, 0x60, 0xc0200000, 1);
		break;
	case 5:
		hcall(LHCALL_SET_STACK, KERNEL_DS, 0xc0200000, 7);
		break;
	case 6:
		hcall(LHCALL_SET_STACK, KERNEL_DS, 0x70000000, 1);
		break;
	case 7:
		hcall(LHCALL_LOAD_IDT_ENTRY, 300, 0, 0);
		break;
	case 8:
		hcall(LHCALL_LOAD_IDT_ENTRY, 0, 0, 0x8500);
		break;
	case 9:
		hcall(LHCALL_LOAD_GDT_ENTRY, 40, 0, 0);
		break;
	case 10:
		hcall(LHCALL_SHUTDOWN, 0xfffffff0, SHUTDOWN_POWEROFF, 0);
		break;
	case 11:
		hcall(LHCALL_NOTIFY, 0x70000000, 0, 0);
		break;
	case 12:
		hcall(LHCALL_LOAD_IDT_ENTRY, 6, 0, 0);
		probe_undefined();
		break;
	case 13:
		page_tables[3][0] = 0x70000063;
		hcall(LHCALL_SET_PTE, physical(page_directory), 0xc0c00000, 0);
		expect_trap(14);
		probe_read(0xc0c00000);
		break;
	case 14:
		page_directory[3] = 0x70000067;
		hcall(LHCALL_SET_PGD, physical(page_directory), 3, 0);
		expect_trap(14);
		probe_read(0x00c00000);
		break;
	case 15:
		hcall(LHCALL_NEW_PGTABLE, 0x70000000, 0, 0);
		break;
	case 16:
		asm volatile("movl $0x70000000, %esp; ud2");
		break;
	}
	step("still alive", trap_taken().count == 1);
}

void finish(void)
{
	u32 end = argument("end", 0);

	print("all steps are done\n");
	if (end == 1)
		restart();
	if (end > 1)
		make_mistake(end);
	power_off();
	for (;;)
		;
}

void main(void)
{
	test_boot();
	load_tables();
	test_memory();
	test_traps();
	test_time();
	test_fpu();
	test_ring();
	test_user();
	test_bus();
	finish();
}
