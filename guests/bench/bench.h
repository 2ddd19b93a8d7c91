/*
 * The benchmark's C programs: one static i386 binary, one function per
 * workload. Every function does an amount of work proportional to its argument
 * and returns a number that depends on all of it; a guest that computes wrongly
 * prints another number than the machine it runs on.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef BENCH_H
#define BENCH_H

#include "numbers.h"

typedef uint64_t workload(uint32_t amount);

workload sieve, records, crc, hash_table, recursion, bytecode, nbody, matrix,
	strings, memory_copy, digits, pointer_chase, system_calls, page_faults,
	context_switches, bit_tricks, floating_sum;

#endif
