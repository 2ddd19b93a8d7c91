/*
 * Floating point as i386 programs do it: on the x87 stack.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <math.h>
#include <string.h>

struct body {
	double place[3], speed[3], mass;
};

static void pull(struct body *a, struct body *b, double step)
{
	double between[3], square = 0, strength;

	for (int i = 0; i < 3; i++) {
		between[i] = a->place[i] - b->place[i];
		square += between[i] * between[i];
	}
	strength = step / (square * sqrt(square));
	for (int i = 0; i < 3; i++) {
		a->speed[i] -= between[i] * b->mass * strength;
		b->speed[i] += between[i] * a->mass * strength;
	}
}

/* Five bodies under gravity, `amount` steps. */
uint64_t nbody(uint32_t amount)
{
	struct body bodies[5] = {
		{ { 0, 0, 0 }, { 0, 0, 0 }, 40 },
		{ { 5, -1, 0.1 }, { 0.6, 2.8, -0.02 }, 0.04 },
		{ { 8, 4, -0.4 }, { -1, 1.8, 0.01 }, 0.01 },
		{ { 13, -15, -0.2 }, { 1.1, 0.9, -0.01 }, 0.002 },
		{ { 15, -26, 0.2 }, { 1, 0.6, -0.03 }, 0.002 },
	};
	uint64_t sum = 0, bits;

	for (uint32_t n = 0; n < amount; n++) {
		for (int i = 0; i < 5; i++)
			for (int j = i + 1; j < 5; j++)
				pull(&bodies[i], &bodies[j], 0.01);
		for (int i = 0; i < 5; i++)
			for (int k = 0; k < 3; k++)
				bodies[i].place[k] += 0.01 * bodies[i].speed[k];
	}
	for (int i = 0; i < 5; i++) {
		memcpy(&bits, &bodies[i].place[0], sizeof bits);
		sum = mix(sum, bits);
	}
	return sum;
}

/* Sums a series in long double, with conversions, compares and rounding. */
uint64_t floating_sum(uint32_t amount)
{
	long double total = 0, term = 1;
	uint64_t rounded = 0, mantissa;

	for (uint32_t i = 1; i <= amount; i++) {
		term = term * (i % 7 + 1) / (i % 5 + 2) + 1.0f / i;
		if (term > 1000)
			term -= 999.5L;
		total += term;
		rounded += (uint64_t)(int64_t)term;
	}
	memcpy(&mantissa, &total, sizeof mantissa);
	return mix(mantissa, rounded);
}
