/*
 * Where the bench enters: a loop's number and amount stand in memory, and its
 * result goes there. The table of loops is in the order of `LOOPS` in
 * scripts/bench/wide.ts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "wide.h"

struct order {
	uint32_t number;
	uint32_t amount;
	uint64_t result;
};

uint64_t run_loop(uint32_t number, uint32_t amount)
{
	switch (number) {
	case 0: return sieve(amount);
	case 1: return crc(amount);
	case 2: return hash_table(amount);
	case 3: return bits(amount);
	case 4: return division(amount);
	case 5: return records(amount);
	case 6: return quicksort(amount);
	case 7: return bytecode(amount);
	case 8: return text(amount);
	case 9: return chase(amount);
	case 10: return xorshift(amount);
	case 11: return matrix(amount);
	case 12: return blend(amount);
	case 13: return orbit(amount);
	default: return checksum(amount);
	}
}

#ifdef NATIVE

#include <stdio.h>
#include <stdlib.h>

/* What the machine itself says, for comparison: number, amount. */
int main(int count, char **words)
{
	uint32_t number = count > 1 ? (uint32_t)atoi(words[1]) : 0;
	uint32_t amount = count > 2 ? (uint32_t)atoi(words[2]) : 1;

	printf("%llu\n", (unsigned long long)run_loop(number, amount));
	return 0;
}

#else

__attribute__((section(".text.start"))) void _start(void)
{
	struct order *order = (struct order *)(uintptr_t)ORDER;

	order->result = run_loop(order->number, order->amount);
	for (;;)
		__asm__ volatile("hlt");
}

#endif
