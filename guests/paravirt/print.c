/*
 * What there is to say, and to whom: early, a hypercall with the address of a
 * string; later, the virtio console.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel.h"

static void early_write(const char *text, u32 length)
{
	/* As Linux: at most 16 characters at a time, from the stack. */
	char piece[17];

	while (length > 0) {
		u32 now = length < 16 ? length : 16;

		for (u32 i = 0; i < now; i++)
			piece[i] = text[i];
		piece[now] = 0;
		hcall(LHCALL_NOTIFY, physical(piece), 0, 0);
		text += now;
		length -= now;
	}
}

void (*console_write)(const char *text, u32 length) = early_write;

void print(const char *text)
{
	u32 length = 0;

	while (text[length])
		length++;
	console_write(text, length);
}

void print_number(u32 value)
{
	char digits[9];

	for (int i = 7; i >= 0; i--, value >>= 4)
		digits[i] = "0123456789abcdef"[value & 15];
	digits[8] = 0;
	print(digits);
}

void step(const char *name, int passed)
{
	print(passed ? "ok " : "NOT OK ");
	print(name);
	print("\n");
}

int same(const char *one, const char *other, u32 length)
{
	for (u32 i = 0; i < length; i++)
		if (one[i] != other[i])
			return 0;
	return 1;
}
