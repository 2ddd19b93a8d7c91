/*
 * The default guest's first process, and all of its booting: mounts what every
 * Linux has mounted, names the machine, brings up the network and the shares,
 * starts lguest's agent, and gives a login shell on the console. When the
 * shell ends, so does the machine. A program and not a script because every
 * command of a script would cost the first minute some milliseconds.
 *
 * Told by signals as busybox's init is: SIGUSR2 powers off (`poweroff`),
 * SIGTERM and SIGINT restart (`reboot`), SIGUSR1 halts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "system.h"

#include <asm/termios.h>
#include <linux/mount.h>
#include <linux/reboot.h>
#include <linux/sockios.h>
#include <linux/time_types.h>

#define DIRECTORY_BYTES 4096
#define LINE_BYTES 4096
#define MOST_VARIABLES 64
#define PATH_BYTES 256
#define POLITENESS_MS 500
#define CONSOLE_TRIES 500
#define CONSOLE_TRY_MS 10

/* From headers that want a C library beside them. */
#define AF_INET 2
#define SOCK_DGRAM 2
#define IFF_UP 1
#define X_OK 1
#define WNOHANG 1

struct interface_request {
	char name[16];
	int16_t flags;
	char rest[14];
};

#define SIGNAL_BIT(signal) (1ULL << ((signal) - 1))

typedef unsigned long long signals;

static const signals HANDLED =
	SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT) |
	SIGNAL_BIT(SIGUSR1) | SIGNAL_BIT(SIGUSR2);

static char **environment;

static long sys_mount(const char *what, const char *where, const char *type,
		      unsigned long flags, const char *options)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(__NR_mount), "b"(what), "c"(where), "d"(type),
			   "S"(flags), "D"(options)
			 : "memory");
	return result;
}

/* Texts. */

/* Appends as much of `text` as fits into `to`, which has PATH_BYTES. */
static void append(char *to, const char *text)
{
	size_t length = length_of(to);

	while (*text && length < PATH_BYTES - 1)
		to[length++] = *text++;
	to[length] = 0;
}

static void join(char *to, const char *first, const char *second)
{
	*to = 0;
	append(to, first);
	append(to, second);
}

/* The first line of a short file; empty if there is none. */
static char *line_of(const char *path)
{
	static char line[LINE_BYTES];
	long fd = sys_open(path, O_RDONLY, 0), length = 0;

	if (fd >= 0) {
		length = sys_read(fd, line, LINE_BYTES - 1);
		sys_close(fd);
	}
	line[length > 0 ? length : 0] = 0;
	for (char *end = line; *end; end++)
		if (*end == '\n')
			*end = 0;
	return line;
}

/* Calls `visit` for each name in a directory but the dotted ones. */
static void each_name(const char *path, void (*visit)(const char *name))
{
	struct entry {
		uint64_t inode, offset;
		uint16_t length;
		uint8_t type;
		char name[];
	};
	static char entries[DIRECTORY_BYTES] __attribute__((aligned(8)));
	long fd = sys_open(path, O_RDONLY | O_DIRECTORY, 0), length;

	if (fd < 0)
		return;
	while ((length = sys_getdents64(fd, entries, DIRECTORY_BYTES)) > 0)
		for (long at = 0; at < length;) {
			struct entry *entry = (struct entry *)(entries + at);

			if (entry->name[0] != '.')
				visit(entry->name);
			at += entry->length;
		}
	sys_close(fd);
}

/* The environment: the kernel's, and what a login shell expects besides. */

static char *merged[MOST_VARIABLES + 1];

static void set_variable(char *entry)
{
	size_t name = 0, count = 0;

	while (entry[name] && entry[name] != '=')
		name++;
	for (; merged[count]; count++) {
		size_t at = 0;

		while (at <= name && merged[count][at] == entry[at])
			at++;
		if (at > name)
			break;
	}
	if (count < MOST_VARIABLES)
		merged[count] = entry;
}

static void make_environment(char **given)
{
	static char *defaults[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8", NULL,
	};
	static char *fixed[] = {
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", NULL,
	};

	for (char **entry = defaults; *entry; entry++)
		set_variable(*entry);
	for (char **entry = given; *entry; entry++)
		set_variable(*entry);
	for (char **entry = fixed; *entry; entry++)
		set_variable(*entry);
	environment = merged;
}

/* Processes. */

static void set_signals(signals blocked)
{
	sys_sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* Starts a program; with `terminal`, as the leader of a session on it. */
static long start(char **words, const char *path, const char *terminal)
{
	long pid = sys_fork();

	if (pid != 0)
		return pid;
	set_signals(0);
	sys_setsid();
	if (terminal) {
		long fd = sys_open(terminal, O_RDWR, 0);

		for (int standard = 0; fd >= 0 && standard < 3; standard++)
			sys_dup2(fd, standard);
		if (fd > 2)
			sys_close(fd);
		call3(__NR_ioctl, 0, TIOCSCTTY, 0);
		sys_chdir("/root");
	}
	sys_execve(path, words, environment);
	sys_exit(127);
}

/* Booting. */

static void mount_all(void)
{
	const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	sys_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
	sys_mount("proc", "/proc", "proc", safe, NULL);
	sys_mount("sysfs", "/sys", "sysfs", safe, NULL);
	call2(__NR_mkdir, "/dev/pts", 0755);
	call2(__NR_mkdir, "/dev/shm", 0755);
	sys_mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "gid=5,mode=620,ptmxmode=666");
	sys_mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
		  "mode=1777");
	sys_mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	sys_mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	call2(__NR_symlink, "/proc/self/fd", "/dev/fd");
	call2(__NR_symlink, "fd/0", "/dev/stdin");
	call2(__NR_symlink, "fd/1", "/dev/stdout");
	call2(__NR_symlink, "fd/2", "/dev/stderr");
}

static void set_host_name(void)
{
	const char *name = line_of("/etc/hostname");

	call2(__NR_sethostname, name, length_of(name));
}

/* Brings an interface up; false if there is none of that name. */
static int interface_up(long socket, const char *name)
{
	struct interface_request request;

	memset(&request, 0, sizeof(request));
	memcpy(request.name, name, length_of(name));
	if (call3(__NR_ioctl, socket, SIOCGIFFLAGS, &request) < 0)
		return 0;
	request.flags |= IFF_UP;
	return call3(__NR_ioctl, socket, SIOCSIFFLAGS, &request) == 0;
}

static void start_network(void)
{
	static char *words[] = { "/etc/network/up", "eth0", NULL };
	long fd = call3(__NR_socket, AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return;
	interface_up(fd, "lo");
	/* An address may take seconds to get, which nobody should wait for. */
	if (interface_up(fd, "eth0"))
		start(words, words[0], NULL);
	sys_close(fd);
}

#define SHARES "/sys/bus/virtio/drivers/9pnet_virtio/"

static void mount_share(const char *device)
{
	char path[PATH_BYTES], where[PATH_BYTES];
	char *tag;

	if (!begins(device, "virtio"))
		return;
	join(path, SHARES, device);
	append(path, "/mount_tag");
	tag = line_of(path);
	for (char *at = tag; *at; at++)
		if (*at == '/')
			return;
	if (!*tag || *tag == '.')
		return;
	join(where, "/mnt/", tag);
	call2(__NR_mkdir, where, 0755);
	sys_mount(tag, where, "9p", MS_NOSUID | MS_NODEV,
		  "trans=virtio,version=9p2000.L,msize=512000,cache=none");
}

static void start_agent(void)
{
	static char *words[] = { "/sbin/agent", NULL };

	if (call2(__NR_access, words[0], X_OK) == 0)
		start(words, words[0], NULL);
}

/* The terminal behind /dev/console: the last that the kernel lists. */
static const char *console(void)
{
	static char path[PATH_BYTES];
	char *name = line_of("/sys/class/tty/console/active");

	for (char *at = name; *at; at++)
		if (*at == ' ')
			name = at + 1;
	join(path, "/dev/", *name ? name : "console");
	return path;
}

static void sleep_ms(int milliseconds)
{
	sys_poll(NULL, 0, milliseconds);
}

/* Who has a terminal open that hung up can do nothing but close it. */
static int hung_up(long terminal)
{
	struct winsize size;

	return call3(__NR_ioctl, terminal, TIOCGWINSZ, &size) == -EIO;
}

/*
 * The console, opened when it is there to stay. The driver of virtio consoles
 * makes itself known by work of its own, which may come after us; and while it
 * does, who opens its terminal is hung up on, as soon as anybody sleeps.
 */
static long open_console(const char **path)
{
	for (int tries = 0; tries < CONSOLE_TRIES; tries++) {
		long fd;

		*path = console();
		fd = sys_open(*path, O_RDWR | O_NOCTTY, 0);
		if (fd >= 0) {
			sleep_ms(1);
			if (!hung_up(fd))
				return fd;
			sys_close(fd);
		}
		sleep_ms(CONSOLE_TRY_MS);
	}
	return -1;
}

static void welcome(long to)
{
	char text[LINE_BYTES];
	long from = sys_open("/etc/motd", O_RDONLY, 0);
	long length = from < 0 ? 0 : sys_read(from, text, LINE_BYTES);

	if (to >= 0 && length > 0)
		sys_write(to, text, length);
	sys_close(from);
}

static long start_shell(const char *terminal)
{
	static char *words[] = { "-bash", NULL };

	return start(words, "/bin/bash", terminal);
}

/* The end. */

/* Waits for a signal, or `milliseconds`; its number, or negative. */
static long wait_signal(long milliseconds)
{
	struct __kernel_timespec timeout = {
		milliseconds / 1000, milliseconds % 1000 * 1000000,
	};

	return call4(__NR_rt_sigtimedwait_time64, (long)&HANDLED, 0,
		     milliseconds < 0 ? 0 : (long)&timeout, 8);
}

/* Reaps whoever has ended; true if `pid` was among them, or nobody is left. */
static int reap(long pid)
{
	for (;;) {
		long ended = sys_wait4(-1, NULL, WNOHANG);

		if (ended == pid || ended == -ECHILD)
			return 1;
		if (ended <= 0)
			return 0;
	}
}

/* Real file systems, the last mounted first. */
static void unmount_all(void)
{
	static char text[1 << 16];
	long fd = sys_open("/proc/self/mounts", O_RDONLY, 0);
	long length = fd < 0 ? 0 : sys_read(fd, text, sizeof(text) - 1);
	char *end = text + (length > 0 ? length : 0);

	while (end > text) {
		char *line = end - 1, *where;

		while (line > text && line[-1] != '\n')
			line--;
		for (where = line; where < end && *where != ' ';)
			where++;
		for (char *at = ++where; at < end; at++)
			if (*at == ' ' || *at == '\n')
				*at = 0;
		if (begins(where, "/mnt") || begins(line, "/dev/"))
			call2(__NR_umount2, where, 0);
		end = line;
	}
}

static void __attribute__((noreturn)) shut_down(unsigned int how)
{
	sys_kill(-1, SIGTERM);
	sys_kill(-1, SIGHUP);
	while (!reap(0))
		if (wait_signal(POLITENESS_MS) < 0)
			break;
	sys_kill(-1, SIGKILL);
	call1(__NR_sync, 0);
	sys_chdir("/");
	unmount_all();
	for (;;)
		call4(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, how,
		      0);
}

int begin(char **words, char **given)
{
	const char *path;
	long terminal, shell;

	(void)words;
	set_signals(HANDLED);
	make_environment(given);
	mount_all();
	call3(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
	      LINUX_REBOOT_CMD_CAD_OFF);
	set_host_name();
	start_network();
	each_name(SHARES, mount_share);
	start_agent();
	terminal = open_console(&path);
	welcome(terminal);
	shell = start_shell(path);
	sys_close(terminal);
	for (;;) {
		switch (wait_signal(-1)) {
		case SIGCHLD:
			if (!reap(shell))
				break;
			/* fall through */
		case SIGUSR2:
			shut_down(LINUX_REBOOT_CMD_POWER_OFF);
		case SIGTERM:
		case SIGINT:
			shut_down(LINUX_REBOOT_CMD_RESTART);
		case SIGUSR1:
			shut_down(LINUX_REBOOT_CMD_HALT);
		}
	}
}
