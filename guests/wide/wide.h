/*
 * Loops that are built twice, as 32-bit and as 64-bit code, and run on a bare
 * processor: no system, no C library. Each does work proportional to its
 * argument and returns a number that depends on all of it and not on the width.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef WIDE_H
#define WIDE_H

#include <stdint.h>

typedef uint64_t loop(uint32_t amount);

loop sieve, crc, hash_table, bits, division, records, quicksort, bytecode,
	text, chase, xorshift, matrix, blend, orbit, checksum;

/* The same pseudo-random sequence everywhere: xorshift32 never yields 0. */
static inline uint32_t next_random(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

/* Mixes a result into the sum of those before. */
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 0x9e3779b97f4a7c15ull + (sum >> 29);
}

#endif
