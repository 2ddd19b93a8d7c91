/*
 * Integer workloads: loops over arrays, table lookups, structures, division
 * and bit manipulation.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* Counts primes below 200,000, `amount` times. */
uint64_t sieve(uint32_t amount)
{
	enum { LIMIT = 200000 };
	static uint8_t composite[LIMIT];
	uint64_t sum = 0;

	for (uint32_t round = 0; round < amount; round++) {
		uint32_t count = 0;

		memset(composite, 0, sizeof composite);
		for (uint32_t i = 2; i < LIMIT; i++) {
			if (composite[i])
				continue;
			count++;
			for (uint32_t j = 2 * i; j < LIMIT; j += i)
				composite[j] = 1;
		}
		sum = mix(sum, count + round);
	}
	return sum;
}

/*
 * A mix in the spirit of the synthetic integer benchmarks of the eighties:
 * structure assignment, short string compares, calls through small functions,
 * data-dependent branches.
 */
struct record {
	struct record *link;
	int kind;
	int number;
	char name[31];
	char text[32];
};

static __attribute__((noinline)) int classify(char a, char b)
{
	return a == b ? 0 : a < b ? 1 : 2;
}

static __attribute__((noinline)) int same_name(const struct record *a, const struct record *b)
{
	unsigned i = 2;

	while (i < 3 && classify(a->name[i], b->name[i + 1]) != 0)
		i++;
	return strcmp(a->name, b->name) > 0 ? (int)i + 7 : (int)i;
}

static __attribute__((noinline)) void update(struct record *from, int value)
{
	struct record *to = from->link;

	*to = *from;
	to->number = value % 100 + from->kind;
	to->link = from;
	if (to->kind == 0)
		to->number += to->number / 3;
	else
		to->kind = to->number & 1;
}

uint64_t records(uint32_t amount)
{
	struct record a = { .name = "A RECORD OF SOME SORT, NUMBER" }, b = { .name = "A RECORD OF NO SORT AT ALL" };
	int array[50] = { 0 };
	uint64_t sum = 0;

	a.link = &b;
	b.link = &a;
	for (uint32_t i = 0; i < amount; i++) {
		a.kind = i & 1;
		update(&a, (int)i);
		strcpy(b.text, a.name);
		b.text[0] = (char)('A' + i % 26);
		array[i % 50] += same_name(&a, &b) + b.number;
		array[(i * 7) % 50] -= array[i % 50] / (int)(i % 9 + 1);
		a.name[12] = (char)('a' + i % 20);
		if ((i & 1023) == 0)
			sum = mix(sum, (uint32_t)(array[3] + array[7] + b.number));
	}
	for (int i = 0; i < 50; i++)
		sum = mix(sum, (uint32_t)array[i]);
	return sum;
}

/* CRC-32 by table over 64 KiB, `amount` times. */
uint64_t crc(uint32_t amount)
{
	static uint8_t data[65536];
	uint32_t table[256], state = 1, sum = 0;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		table[i] = c;
	}
	for (uint32_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)next_random(&state);
	for (uint32_t round = 0; round < amount; round++) {
		uint32_t c = ~sum;

		for (uint32_t i = 0; i < sizeof data; i++)
			c = table[(c ^ data[i]) & 255] ^ (c >> 8);
		sum = ~c;
	}
	return sum;
}

/* Inserts, finds and deletes in an open-addressing table of 32 Ki slots. */
uint64_t hash_table(uint32_t amount)
{
	enum { SLOTS = 1 << 15 };
	static uint32_t keys[SLOTS], values[SLOTS];
	uint32_t state = 7, used = 0;
	uint64_t sum = 0;

	memset(keys, 0, sizeof keys);
	for (uint32_t i = 0; i < amount; i++) {
		uint32_t key = (next_random(&state) & 0xffff) + 1;
		uint32_t slot = (key * 2654435761u) >> 17;

		while (keys[slot] != 0 && keys[slot] != key)
			slot = (slot + 1) & (SLOTS - 1);
		if (keys[slot] == key) {
			values[slot] += i;
		} else if (used < SLOTS / 2) {
			keys[slot] = key;
			values[slot] = i;
			used++;
		} else {
			memset(keys, 0, sizeof keys);
			used = 0;
		}
		sum += values[slot];
	}
	return mix(sum, used);
}

/* Decimal digits of e by the spigot: long carries, 64-bit and 32-bit division. */
uint64_t digits(uint32_t amount)
{
	enum { LENGTH = 1200 };
	static uint32_t term[LENGTH];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < LENGTH; i++)
		term[i] = 1;
	for (uint32_t n = 0; n < amount; n++) {
		uint64_t carry = 0;

		for (uint32_t i = LENGTH - 1; i > 0; i--) {
			uint64_t value = 1000000000ull * term[i] + carry;

			term[i] = (uint32_t)(value % (i + 1));
			carry = value / (i + 1);
		}
		sum = mix(sum, carry);
	}
	return sum;
}

static uint32_t rotate(uint32_t x, uint32_t by)
{
	return x << (by & 31) | x >> (-by & 31);
}

/* Shifts, rotates, bit scans, byte swaps, carries and wide multiplication. */
uint64_t bit_tricks(uint32_t amount)
{
	uint32_t state = 99, x = 1;
	uint64_t wide = 1;

	for (uint32_t i = 0; i < amount; i++) {
		uint32_t r = next_random(&state);

		x = rotate(x + r, r) ^ __builtin_bswap32(r);
		x += (uint32_t)__builtin_ctz(r) * (uint32_t)__builtin_clz(r);
		wide = wide * 6364136223846793005ull + x;
		x ^= (uint32_t)(wide >> (r & 63));
		x -= (int32_t)wide < 0 ? r : ~r;
	}
	return mix(wide, x);
}
