/*
 * SSE2 loops: packed and scalar floating point, packed integers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "wide.h"

#include <emmintrin.h>

enum { SIDE = 64 };

static uint64_t bits_of(double value)
{
	union {
		double number;
		uint64_t bits;
	} both = { .number = value };

	return both.bits;
}

/* Product of 64 by 64 matrices of doubles, two lanes at a time. */
uint64_t matrix(uint32_t amount)
{
	static double a[SIDE][SIDE] __attribute__((aligned(16)));
	static double b[SIDE][SIDE] __attribute__((aligned(16)));
	static double c[SIDE][SIDE] __attribute__((aligned(16)));
	uint64_t sum = 0;

	for (int i = 0; i < SIDE; i++) {
		for (int j = 0; j < SIDE; j++) {
			a[i][j] = (i * 31 + j * 17) % 101 / 101.0;
			b[i][j] = (i * 13 + j * 29) % 97 / 97.0;
		}
	}
	for (uint32_t n = 0; n < amount; n++) {
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
		a[n % SIDE][(n * 7) % SIDE] = c[(n * 3) % SIDE][n % SIDE] / 64;
		sum = mix(sum, bits_of(c[n % SIDE][(n * 5) % SIDE]));
	}
	return sum;
}

/* Two pictures blended: bytes widened, multiplied, packed again. */
uint64_t blend(uint32_t amount)
{
	enum { LENGTH = 16384 };
	static uint8_t over[LENGTH] __attribute__((aligned(16)));
	static uint8_t under[LENGTH] __attribute__((aligned(16)));
	uint32_t state = 31;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < LENGTH; i++) {
		over[i] = (uint8_t)next_random(&state);
		under[i] = (uint8_t)next_random(&state);
	}
	for (uint32_t n = 0; n < amount; n++) {
		const __m128i zero = _mm_setzero_si128();
		const __m128i alpha = _mm_set1_epi16((short)(n & 255));
		const __m128i rest = _mm_set1_epi16((short)(256 - (n & 255)));

		for (uint32_t i = 0; i < LENGTH; i += 16) {
			__m128i x = _mm_load_si128((const __m128i *)(over + i));
			__m128i y = _mm_load_si128((const __m128i *)(under + i));
			__m128i low = _mm_add_epi16(
				_mm_mullo_epi16(_mm_unpacklo_epi8(x, zero), alpha),
				_mm_mullo_epi16(_mm_unpacklo_epi8(y, zero), rest));
			__m128i high = _mm_add_epi16(
				_mm_mullo_epi16(_mm_unpackhi_epi8(x, zero), alpha),
				_mm_mullo_epi16(_mm_unpackhi_epi8(y, zero), rest));
			__m128i both = _mm_packus_epi16(_mm_srli_epi16(low, 8), _mm_srli_epi16(high, 8));

			_mm_store_si128((__m128i *)(under + i), _mm_xor_si128(both, x));
		}
		sum = mix(sum, under[n % LENGTH]);
	}
	return sum;
}

/* A body around another, in scalar doubles: square roots and divisions. */
uint64_t orbit(uint32_t amount)
{
	double x = 1, y = 0, z = 0.1, u = 0, v = 0.9, w = 0.05;

	for (uint32_t i = 0; i < amount; i++) {
		double square = x * x + y * y + z * z;
		double root = _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(square)));
		double pull = 0.001 / (square * root);

		u -= x * pull;
		v -= y * pull;
		w -= z * pull;
		x += u * 0.001;
		y += v * 0.001;
		z += w * 0.001;
	}
	return mix(bits_of(x), bits_of(y));
}

/* Adler's sums over words, four lanes at a time. */
uint64_t checksum(uint32_t amount)
{
	enum { WORDS = 4096 };
	static uint32_t words[WORDS] __attribute__((aligned(16)));
	uint32_t state = 41, lanes[4] __attribute__((aligned(16)));
	uint64_t sum = 0;

	for (uint32_t i = 0; i < WORDS; i++)
		words[i] = next_random(&state);
	for (uint32_t n = 0; n < amount; n++) {
		__m128i a = _mm_set1_epi32((int)n), b = _mm_setzero_si128();

		for (uint32_t i = 0; i < WORDS; i += 4) {
			a = _mm_add_epi32(a, _mm_load_si128((const __m128i *)(words + i)));
			b = _mm_add_epi32(_mm_shuffle_epi32(b, 0x39), _mm_xor_si128(a, _mm_slli_epi32(b, 1)));
		}
		_mm_store_si128((__m128i *)lanes, b);
		sum = mix(sum, lanes[0] + lanes[1] * 3u + lanes[2] * 5u + lanes[3] * 7u);
	}
	return sum;
}
