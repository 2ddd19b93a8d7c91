/*
 * Asks this machine's processor how long instructions are and which of them
 * it refuses. Usage: silicon-decode 32|64 INPUT OUTPUT
 *
 * INPUT is 16 bytes per instance. Each is laid so that its first n bytes end
 * a page and the next page does not exist, n = 1, 2, ...; as long as the
 * processor wants to fetch from the missing page, n was too small. What comes
 * then, a single-step trap or another exception, is the answer.
 * OUTPUT is, per instance, the byte n and the byte of the exception's vector.
 *
 * Instructions run for real, so registers hold addresses that are not
 * mapped, low 16 bits that are no selector, and no system call's number.
 * Everything happens inside the signal handler: it notes the outcome and
 * sets up the next instance in the context to return to. The 32-bit
 * instances run in the compatibility-mode code segment of the same process.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, INSTANCE = 16, USER32_CS = 0x23, USER64_CS = 0x33 };
enum { VECTOR_PF = 14, ERROR_FETCH = 0x10, FLAGS_TF = 0x302 };

static int is_64;
static uint8_t *page, *input, *output;
static long count, current;
static int visible, started;
static unsigned long fs_base;
static gregset_t saved;

/* A null selector in FS zeroes its base, and with it libc's thread pointer. */
static void restore_fs(void)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result)
			 : "a"(SYS_arch_prctl), "D"(ARCH_SET_FS), "S"(fs_base)
			 : "rcx", "r11", "memory");
}

static void set_up(greg_t *regs)
{
	static const int general[] = {
		REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14,
		REG_R15, REG_RAX,
	};
	uint8_t *start = page + PAGE - visible;

	for (int i = 0; i < visible; i++)
		start[i] = input[current * INSTANCE + i];
	for (int i = 0; i < 16; i++)
		regs[general[i]] = is_64 ? 0x100040001000 + i * 0x10000000000
					 : 0x40001000 + i * 0x1000000;
	regs[REG_RIP] = (greg_t)start;
	regs[REG_EFL] = FLAGS_TF;
	regs[REG_CSGSFS] = (regs[REG_CSGSFS] & ~0xffffLL) |
			   (is_64 ? USER64_CS : USER32_CS);
}

static int wants_more(const greg_t *regs, const siginfo_t *info)
{
	return regs[REG_TRAPNO] == VECTOR_PF &&
	       (regs[REG_ERR] & ERROR_FETCH) &&
	       info->si_addr == page + PAGE &&
	       regs[REG_RIP] == (greg_t)(page + PAGE - visible) &&
	       visible < INSTANCE;
}

static void handler(int signal, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signal;
	restore_fs();
	if (!started) {
		started = 1;
		memcpy(saved, regs, sizeof saved);
		visible = 1;
	} else if (wants_more(regs, info)) {
		visible++;
	} else {
		output[current * 2] = visible;
		output[current * 2 + 1] = regs[REG_TRAPNO];
		current++;
		visible = 1;
	}
	if (current < count) {
		set_up(regs);
	} else {
		memcpy(regs, saved, sizeof saved);
		regs[REG_RIP] += 2; /* behind main's UD2 */
	}
}

static void catch_signals(void)
{
	static const int signals[] = { SIGSEGV, SIGILL, SIGTRAP, SIGFPE, SIGBUS };
	stack_t stack = { .ss_sp = malloc(1 << 20), .ss_size = 1 << 20 };
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };

	action.sa_sigaction = handler;
	sigfillset(&action.sa_mask);
	sigaltstack(&stack, NULL);
	for (int i = 0; i < 5; i++)
		sigaction(signals[i], &action, NULL);
}

/* Far from everything, so that no displacement reaches mapped memory. */
static void map_page(void)
{
	void *wanted = (void *)(is_64 ? 0x200000000000 : 0x20000000);

	page = mmap(wanted, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (page != wanted) {
		perror("mmap");
		exit(1);
	}
	munmap(page + PAGE, PAGE);
}

static void read_input(const char *name)
{
	FILE *file = fopen(name, "rb");

	if (!file || fseek(file, 0, SEEK_END)) {
		perror(name);
		exit(1);
	}
	count = ftell(file) / INSTANCE;
	rewind(file);
	input = malloc(count * INSTANCE);
	output = calloc(count, 2);
	if (fread(input, INSTANCE, count, file) != (size_t)count)
		exit(1);
	fclose(file);
}

int main(int argc, char **argv)
{
	FILE *file;

	if (argc != 4)
		return 2;
	is_64 = atoi(argv[1]) == 64;
	read_input(argv[2]);
	map_page();
	syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base);
	catch_signals();
	__asm__ volatile("ud2" ::: "memory");
	file = fopen(argv[3], "wb");
	return !file || fwrite(output, 2, count, file) != (size_t)count ||
	       fclose(file);
}
