/*
 * Control flow workloads: calls, returns and indirect jumps.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

static __attribute__((noinline)) uint32_t fibonacci(uint32_t n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static __attribute__((noinline)) int takeuchi(int x, int y, int z)
{
	if (y >= x)
		return z;
	return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

uint64_t recursion(uint32_t amount)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < amount; i++) {
		sum = mix(sum, fibonacci(20 + (i & 1)));
		sum = mix(sum, (uint32_t)takeuchi(12, 8, 4));
	}
	return sum;
}

enum operation { PUSH, ADD, SUB, MUL, DUP, SWAP, DROP, LOAD, STORE, JUMP_NOT_ZERO, LESS, XOR, HALT };

/*
 * A stack machine with a jump through a table per operation, as many
 * interpreters have; it runs a loop of sums and products.
 */
static uint32_t interpret(const int *code, uint32_t start)
{
	static const void *const targets[] = {
		&&push, &&add, &&sub, &&mul, &&dup, &&swap, &&drop, &&load, &&store, &&jump_not_zero, &&less, &&xor, &&halt,
	};
	uint32_t stack[32] = { 0 }, cells[8] = { start }, *top = stack, t;
	const int *pc = code;

#define NEXT goto *targets[*pc++]
	NEXT;
push:
	*++top = (uint32_t)*pc++;
	NEXT;
add:
	top--;
	*top += top[1];
	NEXT;
sub:
	top--;
	*top -= top[1];
	NEXT;
mul:
	top--;
	*top *= top[1];
	NEXT;
dup:
	top[1] = *top;
	top++;
	NEXT;
swap:
	t = *top;
	*top = top[-1];
	top[-1] = t;
	NEXT;
drop:
	top--;
	NEXT;
load:
	*++top = cells[*pc++];
	NEXT;
store:
	cells[*pc++] = *top--;
	NEXT;
jump_not_zero:
	pc = *top-- ? code + *pc : pc + 1;
	NEXT;
less:
	top--;
	*top = *top < top[1];
	NEXT;
xor:
	top--;
	*top ^= top[1];
	NEXT;
halt:
	return cells[1];
}

uint64_t bytecode(uint32_t amount)
{
	static const int program[] = {
		PUSH, 3000, STORE, 2,                      /* cell 2 counts down */
		LOAD, 1, LOAD, 0, MUL, LOAD, 2, XOR,       /* 4: */
		DUP, PUSH, 12345, LESS, ADD, STORE, 1,
		LOAD, 0, PUSH, 7, ADD, STORE, 0,
		PUSH, 9, LOAD, 1, SWAP, SUB, DROP,
		LOAD, 2, PUSH, 1, SUB, DUP, STORE, 2,
		JUMP_NOT_ZERO, 4,
		HALT,
	};
	uint64_t sum = 0;

	for (uint32_t i = 0; i < amount; i++)
		sum = mix(sum, interpret(program, i | 1));
	return sum;
}
