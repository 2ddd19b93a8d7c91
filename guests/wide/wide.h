/*
 * Loops that are built twice, as 32-bit and as 64-bit code, and run on a bare
 * processor: no system, no C library. Each does work proportional to its
 * argument and returns a number that depends on all of it and not on the width.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef WIDE_H
#define WIDE_H

#include "../bench/numbers.h"

typedef uint64_t loop(uint32_t amount);

loop sieve, crc, hash_table, bits, division, records, quicksort, bytecode,
	text, chase, xorshift, matrix, blend, orbit, checksum;

#endif
