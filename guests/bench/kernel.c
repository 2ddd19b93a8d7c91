/*
 * Workloads that are mostly the guest kernel's: system calls, page faults and
 * context switches.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bench.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Two of the cheapest calls and one that copies a structure. */
uint64_t system_calls(uint32_t amount)
{
	struct stat status;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < amount; i++) {
		sum += syscall(SYS_getppid) > 0;
		sum += (uint64_t)(syscall(SYS_lseek, 99, 0, 0) < 0);
		if (i % 8 == 0)
			sum += stat("/", &status) == 0;
	}
	return sum;
}

/* Maps, touches and unmaps 1 MiB at a time: a fault and a cleared page each. */
uint64_t page_faults(uint32_t amount)
{
	enum { SIZE = 1 << 20, PAGE = 4096 };
	uint64_t sum = 0;

	for (uint32_t n = 0; n < amount; n++) {
		uint8_t *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (area == MAP_FAILED)
			return 0;
		for (uint32_t at = 0; at < SIZE; at += PAGE)
			area[at + n % PAGE] += (uint8_t)(n + at / PAGE);
		for (uint32_t at = 0; at < SIZE; at += PAGE * 16)
			sum = mix(sum, area[at + n % PAGE]);
		munmap(area, SIZE);
	}
	return sum;
}

/* Two processes pass a byte back and forth through pipes. */
uint64_t context_switches(uint32_t amount)
{
	int there[2], back[2];
	uint8_t byte = 0;
	pid_t child;

	if (pipe(there) != 0 || pipe(back) != 0 || (child = fork()) < 0)
		return 0;
	if (child == 0) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1) {
			byte = (uint8_t)(byte * 5 + 1);
			if (write(back[1], &byte, 1) != 1)
				break;
		}
		_exit(0);
	}
	for (uint32_t i = 0; i < amount; i++) {
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			return 0;
	}
	close(there[1]);
	waitpid(child, NULL, 0);
	return mix(amount, byte);
}
