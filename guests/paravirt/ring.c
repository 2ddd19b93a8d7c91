/*
 * Hypercalls that can wait: 64 slots, emptied before each direct call.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel.h"

static u32 next_slot;

/* False if the next slot is still busy: then the call has to be made directly. */
static int queue(u32 number, u32 first, u32 second, u32 third)
{
	volatile u32 *slot = lguest_data.hcalls[next_slot];

	if (lguest_data.hcall_status[next_slot] != 0xff)
		return 0;
	/* An image of EAX EBX ECX EDX, which held other arguments once. */
	slot[0] = number;
#if DIALECT <= 'D'
	slot[1] = second, slot[2] = third, slot[3] = first;
#else
	slot[1] = first, slot[2] = second, slot[3] = third;
#endif
	lguest_data.hcall_status[next_slot] = 0;
	next_slot = (next_slot + 1) % RING_SLOTS;
	return 1;
}

void test_ring(void)
{
	u32 queued = 0;

	queued += queue(LHCALL_TS, 8, 0, 0);
	probe_fpu();
	while (queued < 100 && queue(LHCALL_SET_PTE, physical(page_directory), queued << 12, 0))
		queued++;
	step("the ring has 64 slots, and nothing empties it by itself", queued == RING_SLOTS);
	hcall(LHCALL_FLUSH_ASYNC, 0, 0, 0);
	expect_trap(7);
	probe_fpu();
	int in_order = trap_taken().count == 1;
	for (u32 i = 0; i < RING_SLOTS; i++)
		in_order = in_order && lguest_data.hcall_status[i] == 0xff;
	queued = queue(LHCALL_TS, 0, 0, 0) && queue(LHCALL_SET_STACK, KERNEL_DS, 0xc0200000, 1);
	hcall(LHCALL_FLUSH_ASYNC, 0, 0, 0);
	probe_fpu();
	step("it is emptied in order, and goes round", in_order && queued);
}
