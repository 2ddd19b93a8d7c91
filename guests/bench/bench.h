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

#include <stdint.h>

typedef uint64_t workload(uint32_t amount);

workload sieve, records, crc, hash_table, recursion, bytecode, nbody, matrix,
	strings, memory_copy, digits, pointer_chase, system_calls, page_faults,
	context_switches, bit_tricks, floating_sum;

/* The same pseudo-random sequence everywhere: xorshift32 never yields 0. */
static inline uint32_t next_random(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

/* Keeps results from being optimised away and mixes them into one number. */
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 0x9e3779b97f4a7c15ull + (sum >> 29);
}

#endif
