/*
 * As much of a C library as the agent needs, for i386 Linux: system calls by
 * `int $0x80`, which every kernel has, a few functions on memory and strings,
 * and the way in. It saves the image the size of a real one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

/* Results are the kernel's: an error is its negative number. */
static inline long call4(long number, long a, long b, long c, long d)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d)
			 : "memory");
	return result;
}

#define call3(number, a, b, c) call4(number, (long)(a), (long)(b), (long)(c), 0)
#define call2(number, a, b) call3(number, a, b, 0)
#define call1(number, a) call3(number, a, 0, 0)

#define sys_read(fd, at, length) call3(__NR_read, fd, at, length)
#define sys_write(fd, at, length) call3(__NR_write, fd, at, length)
#define sys_open(path, flags, mode) call3(__NR_open, path, (flags) | O_LARGEFILE, mode)
#define sys_close(fd) call1(__NR_close, fd)
#define sys_poll(fds, count, timeout) call3(__NR_poll, fds, count, timeout)
#define sys_pipe2(fds, flags) call2(__NR_pipe2, fds, flags)
#define sys_dup2(from, to) call2(__NR_dup2, from, to)
#define sys_fcntl(fd, command, value) call3(__NR_fcntl, fd, command, value)
#define sys_fork() call1(__NR_fork, 0)
#define sys_execve(path, words, environment) call3(__NR_execve, path, words, environment)
#define sys_wait4(pid, status, options) call4(__NR_wait4, pid, (long)(status), options, 0)
#define sys_kill(pid, signal) call2(__NR_kill, pid, signal)
#define sys_setsid() call1(__NR_setsid, 0)
#define sys_chdir(path) call1(__NR_chdir, path)
#define sys_umask(mask) call1(__NR_umask, mask)
#define sys_getdents64(fd, at, length) call3(__NR_getdents64, fd, at, length)
#define sys_sigprocmask(how, set, old) call4(__NR_rt_sigprocmask, how, (long)(set), (long)(old), 8)
#define sys_signalfd4(fd, set, flags) call4(__NR_signalfd4, fd, (long)(set), 8, flags)

static inline void __attribute__((noreturn)) sys_exit(int status)
{
	for (;;)
		call1(__NR_exit_group, status);
}

/* The compiler may ask for these by name. */
void *memcpy(void *to, const void *from, size_t length)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(length) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t length)
{
	char *last_to = (char *)to + length - 1;
	const char *last_from = (const char *)from + length - 1;

	if (to <= from)
		return memcpy(to, from, length);
	__asm__ volatile("std; rep movsb; cld"
			 : "+D"(last_to), "+S"(last_from), "+c"(length)
			 :
			 : "memory");
	return to;
}

void *memset(void *to, int value, size_t length)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(length) : "a"(value) : "memory");
	return to;
}

static size_t length_of(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

/* Whether `text` begins with `start`. */
static int begins(const char *text, const char *start)
{
	while (*start)
		if (*text++ != *start++)
			return 0;
	return 1;
}

int begin(char **words, char **environment);

/* The kernel leaves the count and the words on the stack, then the environment. */
void __attribute__((noreturn, used)) enter(long *stack)
{
	char **words = (char **)(stack + 1);

	sys_exit(begin(words, words + stack[0] + 1));
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %esp, %eax\n"
	"	and $-16, %esp\n"
	"	sub $12, %esp\n"
	"	push %eax\n"
	"	call enter\n");

#endif
