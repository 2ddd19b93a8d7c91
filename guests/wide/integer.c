/*
 * Integer loops: arrays, tables, structures, division, calls, indirect jumps.
 *
 * SPDX-License-Identifier: MIT
 */
#include "wide.h"

/* Counts primes below 100,000. */
uint64_t sieve(uint32_t amount)
{
	enum { LIMIT = 100000 };
	static uint8_t composite[LIMIT];
	uint64_t sum = 0;

	for (uint32_t round = 0; round < amount; round++) {
		uint32_t count = 0;

		for (uint32_t i = 0; i < LIMIT; i++)
			composite[i] = 0;
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

/* CRC-32 by table over 16 KiB. */
uint64_t crc(uint32_t amount)
{
	enum { LENGTH = 16384 };
	static uint8_t data[LENGTH];
	static uint32_t table[256];
	uint32_t state = 1, sum = 0;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		table[i] = c;
	}
	for (uint32_t i = 0; i < LENGTH; i++)
		data[i] = (uint8_t)next_random(&state);
	for (uint32_t round = 0; round < amount; round++) {
		uint32_t c = ~sum;

		for (uint32_t i = 0; i < LENGTH; i++)
			c = table[(c ^ data[i]) & 255] ^ (c >> 8);
		sum = ~c;
	}
	return sum;
}

/* Inserts and finds in an open-addressing table of 32 Ki slots. */
uint64_t hash_table(uint32_t amount)
{
	enum { SLOTS = 1 << 15 };
	static uint32_t keys[SLOTS], values[SLOTS];
	uint32_t state = 7, used = 0;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < SLOTS; i++)
		keys[i] = 0;
	for (uint32_t i = 0; i < amount; i++) {
		uint32_t key = (next_random(&state) & 0x3fff) + 1;
		uint32_t slot = (key * 2654435761u) >> 17;

		while (keys[slot] != 0 && keys[slot] != key)
			slot = (slot + 1) & (SLOTS - 1);
		if (keys[slot] == key) {
			values[slot] += i;
		} else {
			keys[slot] = key;
			values[slot] = i;
			used++;
		}
		sum += values[slot];
	}
	return mix(sum, used);
}

static uint32_t rotate(uint32_t x, uint32_t by)
{
	return x << (by & 31) | x >> (-by & 31);
}

/* Shifts, rotates, bit scans, byte swaps. */
uint64_t bits(uint32_t amount)
{
	uint32_t state = 99, x = 1;

	for (uint32_t i = 0; i < amount; i++) {
		uint32_t r = next_random(&state);

		x = rotate(x + r, r) ^ __builtin_bswap32(r);
		x += (uint32_t)__builtin_ctz(r) * (uint32_t)__builtin_clz(r);
		x -= (int32_t)x < 0 ? r : ~r;
	}
	return x;
}

/* Greatest common divisors, by division. */
uint64_t division(uint32_t amount)
{
	uint32_t state = 17;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < amount; i++) {
		uint32_t a = next_random(&state), b = next_random(&state) | 1;

		while (b != 0) {
			uint32_t rest = a % b;

			a = b;
			b = rest;
		}
		sum = mix(sum, a);
	}
	return sum;
}

struct record {
	struct record *link;
	int kind;
	int number;
	char name[32];
};

static __attribute__((noinline)) int classify(char a, char b)
{
	return a == b ? 0 : a < b ? 1 : 2;
}

static __attribute__((noinline)) void update(struct record *from, int value)
{
	struct record *to = from->link;

	to->kind = from->kind;
	for (int i = 0; i < 32; i++)
		to->name[i] = from->name[i];
	to->number = value % 100 + classify(to->name[value & 31], from->name[3]);
	to->link = from;
}

/* Structures through pointers, small calls, data-dependent branches. */
uint64_t records(uint32_t amount)
{
	static struct record a, b;
	uint64_t sum = 0;

	a = (struct record){ &b, 0, 0, "A RECORD OF SOME SORT, NUMBERED" };
	b = (struct record){ &a, 0, 0, "A RECORD OF NO SORT WHATSOEVER." };
	for (uint32_t i = 0; i < amount; i++) {
		a.kind = i & 1;
		a.name[i & 15] = (char)('A' + i % 26);
		update(&a, (int)i);
		if (b.kind)
			update(&b, b.number);
		sum += (uint32_t)(a.number + b.number);
	}
	return sum;
}

static void sort(uint32_t *from, uint32_t *to)
{
	while (to - from > 12) {
		uint32_t pivot = from[(to - from) / 2], *low = from, *high = to - 1;

		while (low <= high) {
			while (*low < pivot)
				low++;
			while (*high > pivot)
				high--;
			if (low <= high) {
				uint32_t t = *low;

				*low++ = *high;
				*high-- = t;
			}
		}
		sort(low, to);
		to = high + 1;
	}
	for (uint32_t *next = from + 1; next < to; next++) {
		uint32_t value = *next, *at = next;

		for (; at > from && at[-1] > value; at--)
			*at = at[-1];
		*at = value;
	}
}

/* Recursion and comparisons nobody can predict. */
uint64_t quicksort(uint32_t amount)
{
	enum { COUNT = 4096 };
	static uint32_t values[COUNT];
	uint32_t state = 23;
	uint64_t sum = 0;

	for (uint32_t round = 0; round < amount; round++) {
		for (uint32_t i = 0; i < COUNT; i++)
			values[i] = next_random(&state);
		sort(values, values + COUNT);
		sum = mix(sum, values[round % COUNT]);
	}
	return sum;
}

/* An interpreter: a switch in a loop. */
uint64_t bytecode(uint32_t amount)
{
	static const uint8_t program[] = { 0, 1, 2, 3, 1, 4, 5, 2, 6, 0, 3, 7 };
	uint32_t a = 1, b = 2, at = 0;

	for (uint32_t i = 0; i < amount; i++) {
		switch (program[at]) {
		case 0: a += b; break;
		case 1: b ^= a << 3; break;
		case 2: a = a * 5 + 1; break;
		case 3: b -= a >> 2; break;
		case 4: a ^= b; break;
		case 5: if (b & 1) a++; break;
		case 6: b = ~b; break;
		default: a += at; break;
		}
		at = at + 1 == sizeof program ? 0 : at + 1;
	}
	return mix(a, b);
}

/* Words of a text, a byte at a time, and the text reversed. */
uint64_t text(uint32_t amount)
{
	enum { LENGTH = 8192 };
	static char letters[LENGTH];
	uint32_t state = 5;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < LENGTH; i++)
		letters[i] = " etaoin shrdlu\ncmfwyp"[next_random(&state) % 21];
	for (uint32_t round = 0; round < amount; round++) {
		uint32_t words = 0;
		int inside = 0;

		for (const char *at = letters; at < letters + LENGTH; at++) {
			int letter = *at != ' ' && *at != '\n';

			words += (uint32_t)(letter && !inside);
			inside = letter;
		}
		for (char *i = letters, *j = letters + LENGTH - 1; i < j; i++, j--) {
			char t = *i;

			*i = *j;
			*j = t;
		}
		letters[round % LENGTH] = 'q';
		sum = mix(sum, words);
	}
	return sum;
}

/* As large in either width: it is not the machine's caches that are compared. */
struct node {
	struct node *next;
	uint32_t value;
} __attribute__((aligned(16)));

/* A list in random order over some hundred pages. */
uint64_t chase(uint32_t amount)
{
	enum { COUNT = 1 << 16 };
	static struct node nodes[COUNT];
	static uint32_t order[COUNT];
	uint32_t state = 11;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < COUNT; i++)
		order[i] = i;
	for (uint32_t i = COUNT - 1; i > 0; i--) {
		uint32_t j = next_random(&state) % (i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		nodes[order[i]].next = &nodes[order[(i + 1) % COUNT]];
		nodes[order[i]].value = i;
	}
	struct node *at = nodes;

	for (uint32_t i = 0; i < amount; i++) {
		sum += at->value ^ i;
		at = at->next;
	}
	return sum;
}

/* 64 bits of state: one register, or two with carries between them. */
uint64_t xorshift(uint32_t amount)
{
	uint64_t x = 88172645463325252ull, sum = 0;

	for (uint32_t i = 0; i < amount; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += x * 0x2545f4914f6cdd1dull;
		if (sum > x)
			sum -= i;
	}
	return sum;
}
