/*
 * Executes single SSE instructions on this machine's processor with given
 * registers and MXCSR, and reports registers, flags and SIMD exceptions.
 *
 * stdin: groups of a header (struct group) and `count` cases; stdout: one
 * result for each case. Everything is little endian, as the structs lie in
 * memory. Instructions must touch no memory and no other registers than
 * RAX, RCX, RDX, MM0, XMM0, XMM1 and the flags.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct group {
	uint32_t length, count;
	uint8_t code[24];
};

struct state {
	uint32_t mxcsr, vector;
	uint64_t rax, rcx, rdx, flags, mm0;
	uint8_t xmm[2][16];
};

static sigjmp_buf back;
static struct state *volatile current;

/* #XM arrives as SIGFPE, #UD as SIGILL, #GP as SIGSEGV. */
static void on_signal(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	(void)info;
	current->vector = number == SIGFPE ? 19 : number == SIGILL ? 6 : 13;
	current->mxcsr = u->uc_mcontext.fpregs->mxcsr;
	siglongjmp(back, 1);
}

static void execute(struct state *s, void *code)
{
	__asm__ volatile(
		"ldmxcsr (%0)\n\t"
		"movdqu 48(%0), %%xmm0\n\t"
		"movdqu 64(%0), %%xmm1\n\t"
		"movq 40(%0), %%mm0\n\t"
		"mov 8(%0), %%rax\n\t"
		"mov 16(%0), %%rcx\n\t"
		"mov 24(%0), %%rdx\n\t"
		"push 32(%0)\n\t"
		"popfq\n\t"
		"call *%1\n\t"
		"pushfq\n\t"
		"pop 32(%0)\n\t"
		"mov %%rax, 8(%0)\n\t"
		"mov %%rcx, 16(%0)\n\t"
		"mov %%rdx, 24(%0)\n\t"
		"stmxcsr (%0)\n\t"
		"movdqu %%xmm0, 48(%0)\n\t"
		"movdqu %%xmm1, 64(%0)\n\t"
		"movq %%mm0, 40(%0)\n\t"
		"emms\n\t"
		:
		: "b"(s), "r"((uint64_t)code)
		: "rax", "rcx", "rdx", "xmm0", "xmm1", "memory", "cc");
}

int main(void)
{
	static uint8_t alternate[65536];
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate };
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_NODEFER |
						SA_ONSTACK };
	uint32_t usual = 0x1f80;
	/* Static, because a fault jumps back past them. */
	static uint32_t i;
	static struct group g;
	uint8_t *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sigaltstack(&stack, 0);
	sigaction(SIGFPE, &action, 0);
	sigaction(SIGILL, &action, 0);
	sigaction(SIGSEGV, &action, 0);
	while (fread(&g, sizeof g, 1, stdin) == 1) {
		memcpy(code, g.code, g.length);
		code[g.length] = 0xc3;
		for (i = 0; i < g.count; i++) {
			static struct state s;
			if (fread(&s, sizeof s, 1, stdin) != 1)
				return 1;
			current = &s;
			if (sigsetjmp(back, 0) == 0)
				execute(&s, code);
			else
				__asm__ volatile("emms");
			__asm__ volatile("ldmxcsr %0" : : "m"(usual));
			fwrite(&s, sizeof s, 1, stdout);
		}
	}
	return 0;
}
