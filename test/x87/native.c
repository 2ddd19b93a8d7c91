/*
 * Executes one x87 or MMX instruction many times on this machine's processor,
 * each time from a given state, and tells what became of it.
 *
 * Reads batches from stdin and writes results to stdout until the input ends.
 * A batch: count, bytes of memory for each case, code length (u32 each), 20
 * bytes of code. A case: 160 bytes of FXSAVE image, RAX, RFLAGS, memory. A
 * result: the image, RAX, RFLAGS, the signal that ended it, padding to 16,
 * memory. Code stands at 0x10000000; RDX points at the memory, 0x20000000.
 *
 * @journey M:740 Asking the real coprocessor
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CODE ((uint8_t *)0x10000000)
#define DATA ((uint8_t *)0x20000000)
#define PAGE 0x1000
#define IMAGE_BYTES 160

struct batch {
	uint32_t count, memory_bytes, code_length;
	uint8_t code[20];
};

struct registers {
	uint64_t rax, rflags;
};

static sigjmp_buf escape;

static void on_signal(int number)
{
	siglongjmp(escape, number);
}

static uint8_t *map(void *at)
{
	void *got = mmap(at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (got != at)
		exit(2);
	return got;
}

static uint8_t before[512] __attribute__((aligned(64)));
static uint8_t after[512] __attribute__((aligned(64)));

static void execute(struct registers *r)
{
	uint64_t rax = r->rax, rflags = r->rflags;

	asm volatile("fxrstor64 %[before]\n\t"
		     "pushq %[flags]\n\t"
		     "popfq\n\t"
		     "callq *%[code]\n\t"
		     "fxsave64 %[after]\n\t"
		     "pushfq\n\t"
		     "popq %[flags]\n\t"
		     "fninit\n\t"
		     : [flags] "+r"(rflags), "+a"(rax), [after] "=m"(after)
		     : [before] "m"(before), [code] "r"((uint64_t)CODE),
		       "d"((uint64_t)DATA)
		     : "memory", "cc", "rcx");
	r->rax = rax;
	r->rflags = rflags;
}

static int run_case(struct registers *r)
{
	int number = sigsetjmp(escape, 1);

	if (number == 0)
		execute(r);
	else
		asm volatile("fninit");
	return number;
}

static void need(void *to, size_t bytes)
{
	if (fread(to, 1, bytes, stdin) != bytes)
		exit(1);
}

static void put(const void *from, size_t bytes)
{
	if (fwrite(from, 1, bytes, stdout) != bytes)
		exit(1);
}

int main(void)
{
	struct batch b;
	static uint8_t stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = SA_ONSTACK | SA_NODEFER };

	sigaltstack(&alternate, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	map(CODE);
	map(DATA);
	before[24] = 0x80;
	before[25] = 0x1f;
	while (fread(&b, sizeof(b), 1, stdin) == 1) {
		memset(CODE, 0xcc, 32);
		memcpy(CODE, b.code, b.code_length);
		CODE[b.code_length] = 0xc3;
		for (uint32_t i = 0; i < b.count; i++) {
			struct registers r;
			uint64_t ended[2] = { 0, 0 };

			need(before, IMAGE_BYTES);
			need(&r, sizeof(r));
			need(DATA, b.memory_bytes);
			ended[0] = run_case(&r);
			put(after, IMAGE_BYTES);
			put(&r, sizeof(r));
			put(ended, sizeof(ended));
			put(DATA, b.memory_bytes);
		}
	}
	return 0;
}
