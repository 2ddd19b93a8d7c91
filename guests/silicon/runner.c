/*
 * The silicon runner: executes test cases of a few user-mode instructions on
 * this machine's own CPU and reports the complete state each of them ends in.
 *
 * It is a freestanding 64-bit Linux program. A case for 32-bit mode is entered
 * by IRET to the kernel's 32-bit user code segment (compatibility mode): the
 * instructions then see only the low 4 GiB, where nothing but the test areas
 * is mapped, so wild pointers of a case meet a page fault and never the
 * runner, which is linked far above. Every case ends by an exception: usually
 * by the INT3 bytes that fill the code area behind the instructions. The
 * kernel's signal frame is the captured state; the handler writes the result,
 * prepares the next case and enters it, and never returns.
 *
 * Instructions that would be system calls are stopped by syscall user
 * dispatch: only the runner's own text may call the kernel.
 *
 * Not every kernel lets user mode do all of this. Called with the argument
 * "abilities", the runner prints on one line what this one allows; cases that
 * need more must not be sent.
 *
 * Input and output are described by struct case_header and struct result;
 * test/silicon/protocol.ts is the other side and must agree with them.
 *
 * @journey M:600 Asking the real processor
 */
#include <asm/ldt.h>
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>
#include <linux/auxvec.h>
#include <linux/prctl.h>
#include <linux/time.h>
#include <stddef.h>
#include <stdint.h>

/* The test areas; test/silicon/environment.ts has the same numbers. */
#define PAGE 0x1000
#define CODE_BASE 0x10000000UL          /* read and execute */
#define CODE_WRITABLE_BASE 0x10100000UL /* the same size, also writable */
#define CODE_BYTES (2 * PAGE)
#define DATA_BASE 0x20000000UL
#define DATA_WRITABLE_BYTES (2 * PAGE)
#define DATA_BYTES (3 * PAGE) /* the last page is read-only */
#define LOW_LIMIT 0x100000000UL

#define INT3 0xcc
#define USER32_CS 0x23
#define LDT_ENTRY_0 7 /* its selector at privilege level 3 */
#define TICK_MICROSECONDS 10000
#define TRAP_PAGE_FAULT 14

#define PROT_R 1
#define PROT_W 2
#define PROT_X 4
#define MAP_SHARED 1
#define MAP_FIXED 16
#define ITIMER_VIRTUAL 1
#define HWCAP2_FSGSBASE 2

enum { RECORD_DESCRIPTOR = 1, RECORD_PATTERN = 2, RECORD_CASE = 3 };

struct record_header {
	uint32_t kind;
	uint32_t length; /* bytes that follow, a multiple of 8 */
};

/* Followed by the code (padded to 8), then patches of the data area. */
struct case_header {
	uint64_t gpr[16]; /* in encoding order: AX CX DX BX SP BP SI DI R8.. */
	uint64_t flags;
	uint16_t segments[8]; /* ES CS SS DS FS GS, two unused */
	uint64_t fs_base, gs_base;
	uint32_t set_bases;     /* 64-bit mode: use the two bases */
	uint32_t writable_code; /* run at CODE_WRITABLE_BASE */
	uint32_t code_offset, code_length;
	uint32_t patch_count, unused;
	uint8_t fx[512];
};

struct patch {
	uint32_t offset, length; /* then length bytes, padded to 8 */
};

/* Followed by changed_count struct changed. */
struct result {
	uint32_t signal; /* 0 when the time ran out */
	uint32_t trap;
	uint32_t error;
	uint32_t changed_count;
	uint64_t fault_address;
	uint64_t rip, flags;
	uint64_t gpr[16];
	uint16_t segments[8];
	uint8_t fx[512];
};

struct changed {
	uint64_t offset;
	uint64_t value;
};

/* What the enter stub loads; the order is the order of its pops. */
struct entry {
	uint8_t fx[512];
	uint64_t gpr[15]; /* R15..R8, DI SI BP BX DX CX AX */
	uint64_t rip, cs, flags, rsp, ss;
	uint16_t es, ds, fs, gs;
	uint64_t fs_base, gs_base, set_bases; /* how: enum set_bases */
} __attribute__((aligned(64)));

enum set_bases { BASES_OF_SELECTORS, BASES_BY_WRITE, BASES_BY_KERNEL };

/* Segment registers at the moment the handler started, stored by its stub. */
struct captured {
	uint16_t es, ds, fs, gs;
};

struct entry entry_state;
struct captured captured_state;

#pragma GCC visibility push(hidden)
void handler_stub(int);
void restorer_stub(void);
__attribute__((noreturn)) void enter_case(void);
extern char __executable_start[], etext[];
#pragma GCC visibility pop

__asm__(
    ".text\n"
    ".globl _start\n"
    "_start:\n"
    "	mov %rsp, %rdi\n"
    "	and $-16, %rsp\n"
    "	call start\n"
    "	ud2\n"
    /*
     * The kernel keeps AC for handlers; it must go before any C code. Segment
     * registers are not in the frame, so read them before they can change.
     */
    ".globl handler_stub\n"
    "handler_stub:\n"
    "	pushq $0x2\n"
    "	popfq\n"
    "	mov %es, captured_state+0(%rip)\n"
    "	mov %ds, captured_state+2(%rip)\n"
    "	mov %fs, captured_state+4(%rip)\n"
    "	mov %gs, captured_state+6(%rip)\n"
    "	jmp handle_signal\n"
    ".globl restorer_stub\n"
    "restorer_stub:\n"
    "	mov $15, %eax\n" /* rt_sigreturn */
    "	syscall\n"
    ".globl enter_case\n"
    "enter_case:\n"
    "	lea entry_state(%rip), %rsp\n"
    "	mov 672(%rsp), %es\n"
    "	mov 674(%rsp), %ds\n"
    "	mov 676(%rsp), %fs\n"
    "	mov 678(%rsp), %gs\n"
    "	cmpq $1, 696(%rsp)\n"
    "	jb 1f\n"
    "	ja 2f\n"
    "	mov 680(%rsp), %rax\n"
    "	wrfsbase %rax\n"
    "	mov 688(%rsp), %rax\n"
    "	wrgsbase %rax\n"
    "	jmp 1f\n"
    /* arch_prctl makes the selectors null, as those of 64-bit cases are. */
    "2:	mov $158, %eax\n"
    "	mov $0x1002, %edi\n" /* ARCH_SET_FS */
    "	mov 680(%rsp), %rsi\n"
    "	syscall\n"
    "	mov $158, %eax\n"
    "	mov $0x1001, %edi\n" /* ARCH_SET_GS */
    "	mov 688(%rsp), %rsi\n"
    "	syscall\n"
    /* FXRSTOR may leave the x87 pointers of the last case; FNINIT clears. */
    "1:	fninit\n"
    "	fxrstor64 (%rsp)\n"
    "	add $512, %rsp\n"
    "	pop %r15\n"
    "	pop %r14\n"
    "	pop %r13\n"
    "	pop %r12\n"
    "	pop %r11\n"
    "	pop %r10\n"
    "	pop %r9\n"
    "	pop %r8\n"
    "	pop %rdi\n"
    "	pop %rsi\n"
    "	pop %rbp\n"
    "	pop %rbx\n"
    "	pop %rdx\n"
    "	pop %rcx\n"
    "	pop %rax\n"
    "	iretq\n");

_Static_assert(offsetof(struct entry, rip) == 632, "enter_case: frame");
_Static_assert(offsetof(struct entry, es) == 672, "enter_case: segments");
_Static_assert(offsetof(struct entry, fs_base) == 680, "enter_case: bases");
_Static_assert(BASES_BY_WRITE == 1, "enter_case: set_bases");

static long syscall6(long number, long a, long b, long c, long d, long e,
                     long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long value;
	__asm__ volatile("syscall"
	                 : "=a"(value)
	                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
	                   "r"(r9)
	                 : "rcx", "r11", "memory");
	return value;
}

void *memcpy(void *to, const void *from, size_t length)
{
	void *start = to;
	__asm__ volatile("rep movsb"
	                 : "+D"(to), "+S"(from), "+c"(length)
	                 :
	                 : "memory");
	return start;
}

void *memset(void *to, int value, size_t length)
{
	void *start = to;
	__asm__ volatile("rep stosb"
	                 : "+D"(to), "+c"(length)
	                 : "a"(value)
	                 : "memory");
	return start;
}

__attribute__((noreturn)) static void leave(int status)
{
	for (;;)
		syscall6(__NR_exit_group, status, 0, 0, 0, 0, 0);
}

__attribute__((noreturn)) static void die(const char *why)
{
	size_t length = 0;
	while (why[length])
		length++;
	syscall6(__NR_write, 2, (long)why, length, 0, 0, 0);
	syscall6(__NR_write, 2, (long)"\n", 1, 0, 0, 0);
	leave(1);
}

/* --- buffered standard input and output --------------------------------- */

#define BUFFER_BYTES (1 << 20)
static uint8_t input[BUFFER_BYTES] __attribute__((aligned(64)));
static size_t input_start, input_end;
static uint8_t output[BUFFER_BYTES] __attribute__((aligned(64)));
static size_t output_end;

static void flush(void)
{
	size_t done = 0;
	while (done < output_end) {
		long n = syscall6(__NR_write, 1, (long)(output + done),
		                  output_end - done, 0, 0, 0);
		if (n <= 0) {
			if (n == -4) /* EINTR: the tick */
				continue;
			leave(2);
		}
		done += n;
	}
	output_end = 0;
}

/* The next length bytes of input in one piece, or null at the end. */
static void *take(size_t length)
{
	if (length > BUFFER_BYTES)
		die("silicon runner: record too long");
	if (input_end - input_start < length) {
		memcpy(input, input + input_start, input_end - input_start);
		input_end -= input_start;
		input_start = 0;
	}
	while (input_end - input_start < length) {
		long n = syscall6(__NR_read, 0, (long)(input + input_end),
		                  BUFFER_BYTES - input_end, 0, 0, 0);
		if (n == -4)
			continue;
		if (n <= 0)
			return 0;
		input_end += n;
	}
	void *data = input + input_start;
	input_start += length;
	return data;
}

/* --- the test areas ------------------------------------------------------ */

static uint8_t *code_alias;          /* writable view of both code areas */
static uint8_t *data_alias;          /* writable view of the data area */
static uint64_t pattern[DATA_BYTES / 8];
static uint8_t *code_used;           /* in code_alias, to be refilled */
static size_t code_used_length;
static uint64_t before[DATA_BYTES / 8]; /* what the case found there */
static uint8_t *patches;             /* in input, until the case has ended */
static uint32_t patch_count;

static void *map(unsigned long address, size_t length, int protection,
                 int file, long offset)
{
	long at = syscall6(__NR_mmap, address, length, protection,
	                   MAP_SHARED | (address ? MAP_FIXED : 0), file, offset);
	if (at < 0 && at > -4096)
		die("silicon runner: cannot map the test areas");
	return (void *)at;
}

static void touch(unsigned long address, size_t length)
{
	for (size_t at = 0; at < length; at += PAGE)
		*(volatile uint8_t *)(address + at);
}

static void map_test_areas(void)
{
	int file = syscall6(__NR_memfd_create, (long)"silicon", 0, 0, 0, 0, 0);
	if (file < 0 || syscall6(__NR_ftruncate, file,
	                         2 * CODE_BYTES + DATA_BYTES, 0, 0, 0, 0))
		die("silicon runner: cannot create the test areas");
	code_alias = map(0, 2 * CODE_BYTES, PROT_R | PROT_W, file, 0);
	data_alias = map(0, DATA_BYTES, PROT_R | PROT_W, file, 2 * CODE_BYTES);
	map(CODE_BASE, CODE_BYTES, PROT_R | PROT_X, file, 0);
	map(CODE_WRITABLE_BASE, CODE_BYTES, PROT_R | PROT_W | PROT_X, file,
	    CODE_BYTES);
	map(DATA_BASE, DATA_WRITABLE_BYTES, PROT_R | PROT_W, file, 2 * CODE_BYTES);
	map(DATA_BASE + DATA_WRITABLE_BYTES, DATA_BYTES - DATA_WRITABLE_BYTES,
	    PROT_R, file, 2 * CODE_BYTES + DATA_WRITABLE_BYTES);
	memset(code_alias, INT3, 2 * CODE_BYTES);
	/* Pages come with the first touch; a case must find them present, or
	 * the error code of its page fault depends on earlier cases. */
	touch(CODE_BASE, CODE_BYTES);
	touch(CODE_WRITABLE_BASE, CODE_BYTES);
	touch(DATA_BASE, DATA_BYTES);
}

/* Next patch of the list; each is padded to whole quadwords. */
static struct patch *after_patch(struct patch *patch)
{
	return (struct patch *)((uint8_t *)(patch + 1) +
	                        ((patch->length + 7) & ~7UL));
}

static void apply_patches(void)
{
	struct patch *patch = (struct patch *)patches;
	for (uint32_t i = 0; i < patch_count; i++, patch = after_patch(patch)) {
		if (patch->offset > DATA_BYTES ||
		    patch->length > DATA_BYTES - patch->offset)
			die("silicon runner: patch outside the data area");
		memcpy(data_alias + patch->offset, patch + 1, patch->length);
		memcpy((uint8_t *)before + patch->offset, patch + 1, patch->length);
	}
}

static void undo_patches(void)
{
	struct patch *patch = (struct patch *)patches;
	for (uint32_t i = 0; i < patch_count; i++, patch = after_patch(patch)) {
		const uint8_t *from = (const uint8_t *)pattern + patch->offset;
		memcpy(data_alias + patch->offset, from, patch->length);
		memcpy((uint8_t *)before + patch->offset, from, patch->length);
	}
}

static void place_code(struct case_header *header, uint8_t *code)
{
	uint8_t *area = code_alias + (header->writable_code ? CODE_BYTES : 0);
	if (header->code_offset > CODE_BYTES ||
	    header->code_length > CODE_BYTES - header->code_offset)
		die("silicon runner: code outside the code area");
	memcpy(area + header->code_offset, code, header->code_length);
	code_used = header->writable_code ? area : area + header->code_offset;
	code_used_length =
	    header->writable_code ? CODE_BYTES : header->code_length;
}

static int has_fsgsbase;

static void fill_entry(struct case_header *header)
{
	static const uint8_t order[15] = { 15, 14, 13, 12, 11, 10, 9, 8,
		                               7,  6,  5,  3,  2,  1,  0 };
	for (int i = 0; i < 15; i++)
		entry_state.gpr[i] = header->gpr[order[i]];
	entry_state.rsp = header->gpr[4];
	entry_state.rip = header->code_offset +
	    (header->writable_code ? CODE_WRITABLE_BASE : CODE_BASE);
	entry_state.flags = header->flags;
	entry_state.es = header->segments[0];
	entry_state.cs = header->segments[1];
	entry_state.ss = header->segments[2];
	entry_state.ds = header->segments[3];
	entry_state.fs = header->segments[4];
	entry_state.gs = header->segments[5];
	entry_state.fs_base = header->fs_base;
	entry_state.gs_base = header->gs_base;
	entry_state.set_bases = !header->set_bases ? BASES_OF_SELECTORS
	    : has_fsgsbase                         ? BASES_BY_WRITE
	                                           : BASES_BY_KERNEL;
	if (entry_state.set_bases == BASES_BY_KERNEL &&
	    (header->segments[4] || header->segments[5]))
		die("silicon runner: bases beside selectors need FSGSBASE");
	memcpy(entry_state.fx, header->fx, sizeof entry_state.fx);
}

static void set_pattern(void *data, uint32_t length)
{
	if (length != DATA_BYTES)
		die("silicon runner: pattern of the wrong length");
	memcpy(pattern, data, DATA_BYTES);
	memcpy(before, data, DATA_BYTES);
	memcpy(data_alias, data, DATA_BYTES);
}

static void set_descriptor(void *data)
{
	long status = syscall6(__NR_modify_ldt, 0x11, (long)data,
	                       sizeof(struct user_desc), 0, 0, 0);
	if ((int)status != 0)
		die("silicon runner: modify_ldt refused a descriptor");
}

/* --- running ------------------------------------------------------------- */

static volatile uint64_t case_number; /* counts entries */
static volatile int in_case;
static uint64_t ticked_case;

__attribute__((noreturn)) static void run_next(void)
{
	for (;;) {
		struct record_header *record = take(sizeof *record);
		if (!record) {
			flush();
			leave(0);
		}
		uint32_t kind = record->kind, length = record->length;
		uint8_t *data = take(length);
		if (!data)
			die("silicon runner: truncated record");
		if (kind == RECORD_DESCRIPTOR)
			set_descriptor(data);
		else if (kind == RECORD_PATTERN)
			set_pattern(data, length);
		else if (kind == RECORD_CASE) {
			struct case_header *header = (struct case_header *)data;
			uint8_t *code = data + sizeof *header;
			place_code(header, code);
			patches = code + ((header->code_length + 7) & ~7UL);
			patch_count = header->patch_count;
			apply_patches();
			fill_entry(header);
			break;
		} else
			die("silicon runner: unknown record");
	}
	case_number++;
	in_case = 1;
	enter_case();
}

static void collect_changes(struct result *result)
{
	const uint64_t *now = (const uint64_t *)data_alias;
	struct changed *changed = (struct changed *)(result + 1);
	uint32_t count = 0;
	for (size_t i = 0; i < DATA_WRITABLE_BYTES / 8; i += 8) {
		uint64_t any = 0;
		for (size_t k = i; k < i + 8; k++)
			any |= now[k] ^ before[k];
		if (!any)
			continue;
		for (size_t k = i; k < i + 8; k++)
			if (now[k] != before[k]) {
				changed[count].offset = k * 8;
				changed[count++].value = now[k];
			}
	}
	result->changed_count = count;
}

/* Undo what the case and its patches did, touching as little as possible. */
static void restore_areas(struct result *result)
{
	memset(code_used, INT3, code_used_length);
	undo_patches();
	uint64_t *now = (uint64_t *)data_alias;
	struct changed *changed = (struct changed *)(result + 1);
	for (uint32_t i = 0; i < result->changed_count; i++)
		now[changed[i].offset / 8] = pattern[changed[i].offset / 8];
}

static void store_registers(struct result *result, struct sigcontext *at)
{
	const uint64_t gpr[16] = { at->rax, at->rcx,  at->rdx,  at->rbx,
		                       at->rsp, at->rbp,  at->rsi,  at->rdi,
		                       at->r8, at->r9,  at->r10, at->r11,
		                       at->r12, at->r13, at->r14, at->r15 };
	memcpy(result->gpr, gpr, sizeof gpr);
	result->rip = at->rip;
	result->flags = at->eflags;
	result->segments[0] = captured_state.es;
	result->segments[1] = at->cs;
	result->segments[2] = at->ss;
	result->segments[3] = captured_state.ds;
	result->segments[4] = captured_state.fs;
	result->segments[5] = captured_state.gs;
	result->segments[6] = result->segments[7] = 0;
	memcpy(result->fx, (void *)at->fpstate, sizeof result->fx);
}

void handle_signal(int signal, siginfo_t *info, struct ucontext *context)
{
	struct sigcontext *at = &context->uc_mcontext;
	int in_runner = at->rip >= (uint64_t)__executable_start &&
	    at->rip < (uint64_t)etext;
	(void)info;
	if (signal == SIGVTALRM) {
		if (in_runner || !in_case)
			return;
		if (ticked_case != case_number) {
			ticked_case = case_number;
			return;
		}
		signal = 0;
	} else if (in_runner || !in_case)
		die("silicon runner: a case cannot be entered as given");
	in_case = 0;
	if (output_end + sizeof(struct result) +
	        sizeof(struct changed) * (DATA_WRITABLE_BYTES / 8) >
	    BUFFER_BYTES)
		flush();
	struct result *result = (struct result *)(output + output_end);
	result->signal = signal;
	result->trap = signal ? at->trapno : 0;
	result->error = signal ? at->err : 0;
	result->fault_address =
	    signal && at->trapno == TRAP_PAGE_FAULT ? at->cr2 : 0;
	store_registers(result, at);
	collect_changes(result);
	restore_areas(result);
	output_end +=
	    sizeof *result + sizeof(struct changed) * result->changed_count;
	run_next();
}

/* --- starting ------------------------------------------------------------ */

struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static uint8_t signal_stack[256 * 1024] __attribute__((aligned(64)));

static void install_handlers(void)
{
	static const uint8_t signals[] = { SIGSEGV, SIGILL,  SIGFPE,   SIGTRAP,
		                               SIGBUS,  SIGSYS, SIGVTALRM };
	stack_t stack = { signal_stack, 0, sizeof signal_stack };
	if (syscall6(__NR_sigaltstack, (long)&stack, 0, 0, 0, 0, 0))
		die("silicon runner: sigaltstack");
	for (size_t i = 0; i < sizeof signals; i++) {
		struct kernel_sigaction action = { handler_stub,
			SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER,
			restorer_stub, 0 };
		if (syscall6(__NR_rt_sigaction, signals[i], (long)&action, 0, 8, 0, 0))
			die("silicon runner: sigaction");
	}
	struct itimerval every = { { 0, TICK_MICROSECONDS },
		                       { 0, TICK_MICROSECONDS } };
	syscall6(__NR_setitimer, ITIMER_VIRTUAL, (long)&every, 0, 0, 0, 0);
}

static unsigned long auxiliary(long *stack, unsigned long wanted)
{
	long *at = stack + 1 + *stack + 1;
	while (*at++)
		;
	for (; at[0]; at += 2)
		if ((unsigned long)at[0] == wanted)
			return at[1];
	return 0;
}

/* --- what the kernel allows ---------------------------------------------- */

static int can_load(uint32_t selector)
{
	uint32_t rights;
	uint8_t visible;
	__asm__ volatile("lar %2, %0\n\tsetz %1"
	                 : "=r"(rights), "=q"(visible)
	                 : "r"(selector)
	                 : "cc");
	return visible;
}

static int has_ldt(void)
{
	struct user_desc flat = { .entry_number = 0, .limit = 0xfffff,
		                      .seg_32bit = 1, .limit_in_pages = 1 };
	long status = syscall6(__NR_modify_ldt, 0x11, (long)&flat, sizeof flat,
	                       0, 0, 0);
	return (int)status == 0 && can_load(LDT_ENTRY_0);
}

static void print(const char *text)
{
	while (*text)
		output[output_end++] = *text++;
}

__attribute__((noreturn)) static void print_abilities(void)
{
	if (has_fsgsbase)
		print("fsgsbase ");
	if (can_load(USER32_CS))
		print("compatibility ");
	if (has_ldt())
		print("ldt ");
	print("\n");
	flush();
	leave(0);
}

void start(long *stack)
{
	has_fsgsbase = !!(auxiliary(stack, AT_HWCAP2) & HWCAP2_FSGSBASE);
	if (*stack > 1) /* argc: "abilities" is the only argument there is */
		print_abilities();
	if (syscall6(__NR_prctl, PR_SET_SYSCALL_USER_DISPATCH,
	             PR_SYS_DISPATCH_ON, (long)__executable_start,
	             etext - __executable_start, 0, 0))
		die("silicon runner: needs syscall user dispatch (Linux 5.11)");
	map_test_areas();
	install_handlers();
	run_next();
}
