/*
 * Memory workloads: strings, block copies, and accesses that miss caches and
 * translation buffers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* Hand-written loops a byte at a time beside the C library's own. */
static __attribute__((noinline)) uint32_t count_words(const char *text)
{
	uint32_t words = 0;
	int inside = 0;

	for (; *text; text++) {
		int letter = *text != ' ' && *text != '\n';

		words += (uint32_t)(letter && !inside);
		inside = letter;
	}
	return words;
}

static __attribute__((noinline)) void reverse(char *text, size_t length)
{
	for (size_t i = 0, j = length - 1; i < j; i++, j--) {
		char t = text[i];

		text[i] = text[j];
		text[j] = t;
	}
}

uint64_t strings(uint32_t amount)
{
	enum { LENGTH = 16384 };
	static char text[LENGTH + 1], copy[LENGTH + 1];
	uint32_t state = 5;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < LENGTH; i++)
		text[i] = " etaoin shrdlu\ncmfwyp"[next_random(&state) % 21];
	for (uint32_t n = 0; n < amount; n++) {
		const char *at = text;
		uint32_t found = 0;

		while ((at = strchr(at, 'w')) != NULL) {
			found += (uint32_t)(at - text);
			at++;
		}
		strcpy(copy, text);
		reverse(copy, strlen(copy));
		sum = mix(sum, found + count_words(copy));
		sum = mix(sum, strstr(text, "the") == NULL ? 1 : 2);
		sum = mix(sum, (uint32_t)(memcmp(text, copy, LENGTH) > 0));
		text[n % LENGTH] = (char)('a' + n % 26);
	}
	return sum;
}

/* Copies, moves and clears blocks of 16 bytes to 1 MiB within 8 MiB. */
uint64_t memory_copy(uint32_t amount)
{
	enum { SIZE = 8 << 20 };
	uint8_t *block = malloc(SIZE);
	uint32_t state = 3;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < SIZE; i++)
		block[i] = (uint8_t)(i * 7 + (i >> 11));
	for (uint32_t n = 0; n < amount; n++) {
		uint32_t length = 16u << (n % 17);
		uint32_t from = next_random(&state) % (SIZE - length);
		uint32_t to = next_random(&state) % (SIZE - length);

		memmove(block + to, block + from, length);
		if (n % 9 == 0)
			memset(block + from, (int)n, length / 4);
		sum = mix(sum, block[to + length / 2]);
	}
	free(block);
	return sum;
}

/* Follows a random cycle through 16 MiB: every step is on another page. */
uint64_t pointer_chase(uint32_t amount)
{
	enum { COUNT = 1 << 22 };
	uint32_t *next = malloc(COUNT * sizeof *next);
	uint32_t state = 11, at = 0;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < COUNT; i++)
		next[i] = i;
	/* Sattolo's shuffle yields a single cycle; sparse, to keep set-up short. */
	for (uint32_t i = COUNT - 1; i > 64; i -= 64) {
		uint32_t j = next_random(&state) % (i / 64) * 64 + 63, t = next[i];

		next[i] = next[j];
		next[j] = t;
	}
	at = COUNT - 1;
	for (uint32_t n = 0; n < amount; n++) {
		at = next[at];
		sum += at;
	}
	free(next);
	return mix(sum, at);
}
