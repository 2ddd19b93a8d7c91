/*
 * A disk at work, past the page cache, for the benchmark.
 *
 *     block read DEVICE MIB      reads MIB requests of 1 MiB, in order
 *     block write DEVICE MIB     writes as much, and flushes at the end
 *     block random DEVICE COUNT  reads COUNT blocks of 4 KiB from all over
 *
 * The disk has 64 MiB; behind its end comes its beginning.
 *
 * Prints a sum over what was read, or over what is there after writing, so that
 * no engine can be fast by doing something else.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 1 << 20, SMALL = 4096, DISK = 64 << 20 };

static uint32_t sum;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* One word of each 512 bytes: the disk is to be measured, not the processor. */
static void add(const uint32_t *words, size_t bytes)
{
	for (size_t i = 0; i < bytes / 4; i += 128)
		sum = sum * 31 + words[i];
}

static void get(int disk, void *into, size_t bytes, off_t offset)
{
	if (pread(disk, into, bytes, offset) != (ssize_t)bytes)
		die("read");
	add(into, bytes);
}

static void fill(int disk, uint32_t *buffer, int count)
{
	for (int i = 0; i < count; i++) {
		for (int word = 0; word < LARGE / 4; word += 128)
			buffer[word] = i * 2654435761u + word;
		if (pwrite(disk, buffer, LARGE, i % (DISK / LARGE) * LARGE) != LARGE)
			die("write");
	}
	if (fdatasync(disk) < 0)
		die("fdatasync");
	/* The ends are enough: reading has a workload of its own. */
	get(disk, buffer, SMALL, 0);
	get(disk, buffer, SMALL, DISK - SMALL);
}

int main(int argc, char **argv)
{
	uint32_t *buffer;
	if (argc != 4 || posix_memalign((void **)&buffer, SMALL, LARGE))
		return 2;
	memset(buffer, 0, LARGE);
	int disk = open(argv[2], O_RDWR | O_DIRECT);
	if (disk < 0)
		die(argv[2]);
	int count = atoi(argv[3]);
	if (!strcmp(argv[1], "write"))
		fill(disk, buffer, count);
	uint32_t state = 2463534242u;
	for (int i = 0; !strcmp(argv[1], "read") && i < count; i++)
		get(disk, buffer, LARGE, i % (DISK / LARGE) * LARGE);
	for (int i = 0; !strcmp(argv[1], "random") && i < count; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		get(disk, buffer, SMALL, state % (DISK / SMALL) * SMALL);
	}
	printf("%08x\n", sum);
	return 0;
}
