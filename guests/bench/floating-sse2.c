/*
 * Product of 96 by 96 matrices of doubles on SSE2, two lanes at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <emmintrin.h>
#include <string.h>

enum { SIDE = 96 };

static double a[SIDE][SIDE] __attribute__((aligned(16)));
static double b[SIDE][SIDE] __attribute__((aligned(16)));
static double c[SIDE][SIDE] __attribute__((aligned(16)));

static void multiply(void)
{
	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j += 4) {
			__m128d low = _mm_setzero_pd(), high = _mm_setzero_pd();

			for (int k = 0; k < SIDE; k++) {
				__m128d left = _mm_set1_pd(a[i][k]);

				low = _mm_add_pd(low, _mm_mul_pd(left, _mm_load_pd(&b[k][j])));
				high = _mm_add_pd(high, _mm_mul_pd(left, _mm_load_pd(&b[k][j + 2])));
			}
			_mm_store_pd(&c[i][j], low);
			_mm_store_pd(&c[i][j + 2], high);
		}
	}
}

uint64_t matrix(uint32_t amount)
{
	uint64_t sum = 0, bits;

	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			a[i][j] = (i * 31 + j * 17) % 101 / 101.0;
			b[i][j] = (i * 13 + j * 29) % 97 / 97.0;
		}
	}
	for (uint32_t n = 0; n < amount; n++) {
		multiply();
		a[n % SIDE][(n * 7) % SIDE] = c[(n * 3) % SIDE][n % SIDE] / 64;
		memcpy(&bits, &c[n % SIDE][(n * 5) % SIDE], sizeof bits);
		sum = mix(sum, bits);
	}
	return sum;
}
