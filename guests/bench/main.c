/*
 * Names the workloads: `bench NAME AMOUNT` runs one and prints its result.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Does nothing: what remains is the cost of starting a program. */
static uint64_t nothing(uint32_t amount)
{
	return amount;
}

static const struct {
	const char *name;
	workload *run;
} workloads[] = {
	{ "nothing", nothing },
	{ "sieve", sieve },
	{ "records", records },
	{ "crc", crc },
	{ "hash-table", hash_table },
	{ "recursion", recursion },
	{ "bytecode", bytecode },
	{ "nbody", nbody },
	{ "matrix", matrix },
	{ "strings", strings },
	{ "memory-copy", memory_copy },
	{ "digits", digits },
	{ "pointer-chase", pointer_chase },
	{ "system-calls", system_calls },
	{ "page-faults", page_faults },
	{ "context-switches", context_switches },
	{ "bit-tricks", bit_tricks },
	{ "floating-sum", floating_sum },
};

int main(int argc, char **argv)
{
	for (unsigned i = 0; argc == 3 && i < sizeof workloads / sizeof *workloads; i++) {
		if (strcmp(argv[1], workloads[i].name) == 0) {
			uint64_t result = workloads[i].run(strtoul(argv[2], NULL, 10));

			printf("%s %016llx\n", argv[1], (unsigned long long)result);
			return 0;
		}
	}
	fprintf(stderr, "usage: bench NAME AMOUNT\n");
	return 2;
}
