/*
 * Page tables: the Guest's own, changed and told of.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel.h"

#define WINDOW 0x0b000000

static u32 window_table[1024] __attribute__((aligned(4096)));
static volatile u32 first_page[1024] __attribute__((aligned(4096)));
static volatile u32 second_page[1024] __attribute__((aligned(4096)));

static void set_window(u32 entry, u32 told)
{
	window_table[WINDOW >> 12 & 1023] = entry;
	hcall(LHCALL_SET_PTE, physical(page_directory), WINDOW, told);
}

void test_memory(void)
{
	volatile u32 *window = (u32 *)WINDOW;

	hcall(LHCALL_NEW_PGTABLE, physical(page_directory), 0, 0);
	first_page[0] = 0x11111111;
	second_page[0] = 0x22222222;
	step("page tables of one's own", *(volatile u32 *)physical(first_page) == 0x11111111);

	expect_trap(14);
	probe_read(WINDOW + 0x123);
	struct trap_seen seen = trap_taken();
	step("page fault where nothing is", seen.count == 1 && seen.error == 0 && seen.cr2 == WINDOW + 0x123);

	page_directory[WINDOW >> 22] = physical(window_table) | 0x67;
	hcall(LHCALL_SET_PGD, physical(page_directory), WINDOW >> 22, 0);
	set_window(physical(first_page) | 3, physical(first_page) | 3);
	int one = *window == 0x11111111;
	/* A value of 0 says "look again", not "unmap". */
	set_window(physical(second_page) | 3, 0);
	step("a page is mapped, and another in its place", one && *window == 0x22222222);

	set_window(physical(second_page) | 1, 0);
	expect_trap(14);
	probe_write(WINDOW, 1);
	seen = trap_taken();
	step("kernels obey read-only pages", seen.count == 1 && seen.error == 3 && second_page[0] == 0x22222222);

	window_table[WINDOW >> 12 & 1023] = physical(first_page) | 3;
	hcall(LHCALL_FLUSH_TLB, 0, 0, 0);
	one = *window == 0x11111111;
	window_table[WINDOW >> 12 & 1023] = physical(second_page) | 3;
	hcall(LHCALL_FLUSH_TLB, 1, 0, 0);
	one = one && *window == 0x22222222;
	window_table[WINDOW >> 12 & 1023] = physical(first_page) | 3;
	hcall(LHCALL_NEW_PGTABLE, physical(page_directory), 0, 0);
	step("three ways to flush", one && *window == 0x11111111);
}
