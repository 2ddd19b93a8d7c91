/*
 * AF_VSOCK for shell scripts, which have no other way to it.
 *
 *     vsock connect PORT    joins standard input and output to a port of the
 *                           machine's owner (context id 2)
 *     vsock listen PORT     takes one connection and joins it likewise
 *     vsock echo PORT       sends every connection back what it says, for ever
 *     vsock cid             prints this machine's context id
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 1 << 16 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_all(int to, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t done = write(to, bytes, length);
		if (done < 0 && errno != EINTR)
			die("write");
		if (done > 0) {
			bytes += done;
			length -= done;
		}
	}
}

/* Moves one piece; 0 at the end. */
static ssize_t move(int from, int to)
{
	static char piece[PIECE];
	ssize_t length = read(from, piece, sizeof piece);
	if (length < 0)
		die("read");
	write_all(to, piece, length);
	return length;
}

/*
 * Both ways until both have ended. A process of its own writes: with only one,
 * an echo that is not read while we write would stop us both.
 */
static void join(int connection)
{
	pid_t writer = fork();
	if (writer < 0)
		die("fork");
	if (writer == 0) {
		while (move(STDIN_FILENO, connection) > 0)
			;
		if (shutdown(connection, SHUT_WR) < 0)
			die("shutdown");
		_exit(0);
	}
	while (move(connection, STDOUT_FILENO) > 0)
		;
	close(connection);
	waitpid(writer, NULL, 0);
}

static struct sockaddr_vm address(unsigned int cid, const char *port)
{
	struct sockaddr_vm to;
	memset(&to, 0, sizeof to);
	to.svm_family = AF_VSOCK;
	to.svm_cid = cid;
	to.svm_port = strtoul(port, NULL, 0);
	return to;
}

static int new_socket(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	return fd;
}

static int listen_on(const char *port)
{
	struct sockaddr_vm here = address(VMADDR_CID_ANY, port);
	int listener = new_socket();
	if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0)
		die("bind");
	if (listen(listener, 16) < 0)
		die("listen");
	return listener;
}

static int accept_from(int listener)
{
	int connection = accept(listener, NULL, NULL);
	if (connection < 0)
		die("accept");
	return connection;
}

static void echo(int listener)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int connection = accept_from(listener);
		if (fork() == 0) {
			while (move(connection, connection) > 0)
				;
			_exit(0);
		}
		close(connection);
	}
}

static void print_cid(void)
{
	unsigned int cid;
	int fd = open("/dev/vsock", O_RDONLY);
	if (fd < 0)
		die("/dev/vsock");
	if (ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
		die("ioctl");
	printf("%u\n", cid);
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "";
	if (count == 2 && strcmp(what, "cid") == 0) {
		print_cid();
	} else if (count == 3 && strcmp(what, "connect") == 0) {
		struct sockaddr_vm to = address(VMADDR_CID_HOST, words[2]);
		int connection = new_socket();
		if (connect(connection, (struct sockaddr *)&to, sizeof to) < 0)
			die("connect");
		join(connection);
	} else if (count == 3 && strcmp(what, "listen") == 0) {
		join(accept_from(listen_on(words[2])));
	} else if (count == 3 && strcmp(what, "echo") == 0) {
		echo(listen_on(words[2]));
	} else {
		fputs("usage: vsock connect|listen|echo PORT, vsock cid\n", stderr);
		return 2;
	}
	return 0;
}
