/*
 * lguest's agent: runs commands for the program that launched this guest, and
 * reads and writes its files. It speaks over the virtio console port called
 * "lguest.agent", in the frames that src/launch/agent-protocol.ts describes.
 *
 * One process and one loop: it waits for the port, for its children's ends of
 * their pipes and for their deaths. Each command has a channel with credit in
 * each direction, so that neither side ever has to keep more than a window for
 * one that does not read, and nothing here can block.
 *
 * Usage: agent [DEVICE], by default the port of that name; it waits for a while
 * until the driver has found it. Without a port it ends, with status 1.
 *
 * SPDX-License-Identifier: MIT
 */
#include "system.h"

#define PORT_NAME "lguest.agent"
#define PORTS "/sys/class/virtio-ports"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum {
	VERSION = 1,

	SPAWN = 1, STDIN, STDIN_END, KILL, CREDIT, CLOSE,
	HELLO = 16, STDOUT, STDERR, STDOUT_END, STDERR_END, EXITED, FAILED,
	STDIN_CREDIT, STDIN_CLOSED,

	COMMAND = 0, READ_FILE, WRITE_FILE,

	HEADER = 12,
	MOST_CONTENTS = 1 << 16,
	STDIN_WINDOW = 1 << 16,
	OUTPUT_WINDOW = 1 << 18,

	CHANNELS = 64,
	PIECE = 1 << 15,
	/* What must be free before output is read: a piece, and room for all the
	   small frames that one reading of the port can cause. */
	RESERVE = HEADER + PIECE + (1 << 16),
	OUTGOING = 1 << 18,
	MOST_WORDS = 4096,
	MOST_VARIABLES = 1024,
	WNOHANG = 1,
	/* Above everything that can be open here. */
	FIRST_FREE = 16 + 4 * CHANNELS,
};

struct channel {
	uint32_t id; /* 0: free */
	int pid;     /* 0: reaped */
	int closed;  /* the caller has lost interest */
	int input;   /* our end of its standard input; -1: closed */
	int output[2];
	uint32_t credit[2];
	/* Input that it has not read yet, in a ring. */
	uint32_t ring_start, ring_length;
	int input_ended;
	uint32_t input_credit; /* owed to the caller */
};

static struct channel channels[CHANNELS];
static uint8_t rings[CHANNELS][STDIN_WINDOW];
static uint8_t incoming[2 * (HEADER + MOST_CONTENTS)];
static uint32_t incoming_length;
static uint8_t outgoing[OUTGOING];
static uint32_t outgoing_start, outgoing_end;
static int port;
static char **own_environment;

static uint32_t word_at(const uint8_t *at, int index)
{
	uint32_t word;

	memcpy(&word, at + 4 * index, sizeof(word));
	return word;
}

/* Moves what is left to the front first; small frames always find room. */
static uint32_t outgoing_room(void)
{
	if (outgoing_start > 0) {
		outgoing_end -= outgoing_start;
		memmove(outgoing, outgoing + outgoing_start, outgoing_end);
		outgoing_start = 0;
	}
	return OUTGOING - outgoing_end;
}

static void put_header(uint32_t id, uint32_t type, uint32_t length)
{
	uint32_t header[] = { id, type, length };

	memcpy(outgoing + outgoing_end, header, HEADER);
	outgoing_end += HEADER;
}

/* A frame of no or one word. */
static void send_word(uint32_t id, uint32_t type, const uint32_t *word)
{
	uint32_t length = word ? 4 : 0;

	if (outgoing_room() < HEADER + length)
		sys_exit(2); /* a caller that sends and never reads */
	put_header(id, type, length);
	if (word) {
		memcpy(outgoing + outgoing_end, word, 4);
		outgoing_end += 4;
	}
}

static void send_number(uint32_t id, uint32_t type, uint32_t number)
{
	send_word(id, type, &number);
}

static void send_outgoing(void)
{
	while (outgoing_start < outgoing_end) {
		uint32_t length = outgoing_end - outgoing_start;
		long sent = sys_write(port, outgoing + outgoing_start, length < PIECE ? length : PIECE);

		if (sent <= 0)
			return;
		outgoing_start += sent;
	}
}

static struct channel *find(uint32_t id)
{
	for (int i = 0; i < CHANNELS; i++)
		if (channels[i].id == id)
			return &channels[i];
	return NULL;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		sys_close(*fd);
	*fd = -1;
}

/* A channel is free when the command is dead and everything is said. */
static void free_if_over(struct channel *channel)
{
	if (channel->pid == 0 && channel->output[0] < 0 && channel->output[1] < 0) {
		close_end(&channel->input);
		channel->id = 0;
	}
}

/* ---- In the child ------------------------------------------------------- */

static int is_same_variable(const char *one, const char *other)
{
	while (*one == *other && *one && *one != '=')
		one++, other++;
	return *one == '=' && *other == '=';
}

/* Ours, except for what is given, and what is given; NULL if too many. */
static char **merged_environment(char **given)
{
	static char *merged[MOST_VARIABLES + 3];
	static char *defaults[] = { "PATH=" DEFAULT_PATH, "HOME=/root", NULL };
	char **sources[] = { given, own_environment, defaults };
	int count = 0;

	for (int source = 0; source < 3; source++)
		for (char **entry = sources[source]; *entry; entry++) {
			int known = 0;

			for (int i = 0; i < count && source > 0; i++)
				known |= is_same_variable(merged[i], *entry);
			if (known)
				continue;
			if (count == MOST_VARIABLES)
				return NULL;
			merged[count++] = *entry;
		}
	merged[count] = NULL;
	return merged;
}

/* As execvp: the search goes on where there is no such file or no permission. */
static long execute(char **words, char **environment)
{
	static char path[4096];
	const char *from = DEFAULT_PATH;
	long error = -ENOENT;

	for (const char *at = words[0]; *at; at++)
		if (*at == '/')
			return sys_execve(words[0], words, environment);
	for (char **entry = environment; *entry; entry++)
		if (begins(*entry, "PATH="))
			from = *entry + 5;
	while (*from && *words[0]) {
		size_t length = 0;
		long result;

		while (from[length] && from[length] != ':')
			length++;
		if (length + length_of(words[0]) + 2 <= sizeof(path)) {
			memcpy(path, from, length);
			path[length] = '/';
			memcpy(path + length + (length > 0), words[0], length_of(words[0]) + 1);
			result = sys_execve(path, words, environment);
			if (result != -ENOENT && result != -ENOTDIR)
				error = result;
			if (result != -ENOENT && result != -ENOTDIR && result != -EACCES)
				return result;
		}
		from += length + (from[length] == ':');
	}
	return error;
}

/* From one descriptor to the other until the end; 0 or an error number. */
static int copy(int from, int to)
{
	for (;;) {
		long length = sys_read(from, incoming, sizeof(incoming));

		if (length <= 0)
			return -length;
		for (long at = 0; at < length;) {
			long written = sys_write(to, incoming + at, length - at);

			if (written < 0)
				return -written;
			at += written;
		}
	}
}

static int read_file(const char *path)
{
	long fd = sys_open(path, O_RDONLY, 0);

	return fd < 0 ? -fd : copy(fd, 1);
}

static int write_file(const char *path, uint32_t mode)
{
	long fd;

	sys_umask(0);
	fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	if (fd < 0)
		return -fd;
	return copy(0, fd);
}

struct request {
	uint32_t kind, mode;
	char *cwd;
	char **words, **environment;
};

/* Never returns. What prevents the command goes to `report` as a number. */
static void __attribute__((noreturn)) become(const struct request *request, int in, int out, int err, int report)
{
	uint64_t none = 0;
	char **environment;
	long error = -E2BIG;

	sys_setsid();
	sys_sigprocmask(SIG_SETMASK, &none, NULL);
	sys_dup2(in, 0);
	sys_dup2(out, 1);
	sys_dup2(err, 2);
	if (request->kind == COMMAND) {
		environment = merged_environment(request->environment);
		if (environment)
			error = *request->cwd ? sys_chdir(request->cwd) : 0;
		if (error == 0)
			error = execute(request->words, environment);
		error = -error;
		sys_write(report, &error, sizeof(error));
		sys_exit(127);
	}
	/* The caller waits for the end of this pipe, and the reader of ours. */
	sys_close(report);
	for (int fd = 3; fd < FIRST_FREE; fd++)
		sys_close(fd);
	if (request->kind == READ_FILE)
		sys_exit(read_file(request->words[0]));
	sys_exit(write_file(request->words[0], request->mode));
}

/* ---- Starting ----------------------------------------------------------- */

/* The strings that follow four words, each with a NUL; 0 or an error number. */
static int understand(const uint8_t *contents, uint32_t length, struct request *request)
{
	static char text[MOST_CONTENTS + 1];
	static char *pointers[MOST_WORDS + 3];
	uint32_t words, variables, count = 0;

	if (length < 16)
		return EINVAL;
	request->kind = word_at(contents, 0);
	request->mode = word_at(contents, 1);
	words = word_at(contents, 2);
	variables = word_at(contents, 3);
	if (words == 0 || words > MOST_WORDS || variables > MOST_WORDS - words)
		return E2BIG;
	length -= 16;
	memcpy(text, contents + 16, length);
	text[length] = 0;
	request->words = pointers;
	request->environment = pointers + words + 1;
	request->cwd = text;
	for (uint32_t at = length_of(text) + 1; at < length && count < words + variables; count++) {
		pointers[count + (count >= words)] = text + at;
		at += length_of(text + at) + 1;
	}
	if (count < words + variables)
		return EINVAL;
	pointers[words] = pointers[words + variables + 1] = NULL;
	return 0;
}

static void set_nonblocking(int fd)
{
	sys_fcntl(fd, F_SETFL, sys_fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
}

/* Pipes and a child; 0 or an error number. */
static int start(struct channel *channel, const struct request *request)
{
	enum { IN, OUT, ERR, REPORT, PIPES };
	int pipes[PIPES][2];
	int made = 0;
	long error = 0, pid = 0;

	while (made < PIPES && error == 0) {
		error = sys_pipe2(pipes[made], O_CLOEXEC);
		made += error == 0;
	}
	if (error == 0) {
		pid = sys_fork();
		if (pid == 0)
			become(request, pipes[IN][0], pipes[OUT][1], pipes[ERR][1], pipes[REPORT][1]);
		error = pid < 0 ? pid : 0;
	}
	for (int i = 0; i < made; i++)
		sys_close(pipes[i][i == IN ? 0 : 1]);
	if (error == 0) {
		/* Ends without a word when the command has begun. */
		if (sys_read(pipes[REPORT][0], &error, sizeof(error)) > 0) {
			error = -error;
			sys_wait4(pid, NULL, 0);
		}
	}
	if (made == PIPES)
		sys_close(pipes[REPORT][0]);
	if (error != 0) {
		for (int i = 0; i < made && i < REPORT; i++)
			sys_close(pipes[i][i == IN ? 1 : 0]);
		return -error;
	}
	channel->pid = pid;
	channel->input = pipes[IN][1];
	channel->output[0] = pipes[OUT][0];
	channel->output[1] = pipes[ERR][0];
	set_nonblocking(channel->input);
	set_nonblocking(channel->output[0]);
	set_nonblocking(channel->output[1]);
	return 0;
}

static void spawn(uint32_t id, const uint8_t *contents, uint32_t length)
{
	struct channel *channel = find(0);
	struct request request;
	int error = channel ? understand(contents, length, &request) : EAGAIN;

	if (error == 0) {
		memset(channel, 0, sizeof(*channel));
		channel->credit[0] = channel->credit[1] = OUTPUT_WINDOW;
		error = start(channel, &request);
	}
	if (error != 0)
		send_number(id, FAILED, error);
	else
		channel->id = id;
}

/* ---- Frames from the caller --------------------------------------------- */

/* The caller keeps to its credit, so there is room. */
static void take_input(struct channel *channel, const uint8_t *bytes, uint32_t length)
{
	uint8_t *ring = rings[channel - channels];

	if (channel->input < 0 || length > STDIN_WINDOW - channel->ring_length)
		return;
	for (uint32_t i = 0; i < length;) {
		uint32_t at = (channel->ring_start + channel->ring_length) % STDIN_WINDOW;
		uint32_t part = STDIN_WINDOW - at < length - i ? STDIN_WINDOW - at : length - i;

		memcpy(ring + at, bytes + i, part);
		channel->ring_length += part;
		i += part;
	}
}

static void grant(struct channel *channel, uint32_t stream, uint32_t bytes)
{
	if (stream == 1 || stream == 2)
		channel->credit[stream - 1] += bytes;
}

static void close_channel(struct channel *channel)
{
	channel->closed = 1;
	if (channel->pid)
		sys_kill(-channel->pid, SIGKILL);
	close_end(&channel->input);
	close_end(&channel->output[0]);
	close_end(&channel->output[1]);
	free_if_over(channel);
}

static void obey(uint32_t id, uint32_t type, const uint8_t *contents, uint32_t length)
{
	struct channel *channel = id ? find(id) : NULL;

	if (type == SPAWN && id && !channel)
		spawn(id, contents, length);
	if (!channel)
		return;
	if (type == STDIN)
		take_input(channel, contents, length);
	else if (type == STDIN_END)
		channel->input_ended = 1;
	else if (type == KILL && length >= 4 && channel->pid)
		sys_kill(-channel->pid, word_at(contents, 0));
	else if (type == CREDIT && length >= 8)
		grant(channel, word_at(contents, 0), word_at(contents, 1));
	else if (type == CLOSE)
		close_channel(channel);
}

static void receive(void)
{
	long got = sys_read(port, incoming + incoming_length, sizeof(incoming) - incoming_length);
	uint32_t at = 0;

	if (got == 0)
		sys_exit(0); /* nobody is at the other end */
	if (got < 0)
		return;
	incoming_length += got;
	while (incoming_length - at >= HEADER) {
		const uint8_t *frame = incoming + at;
		uint32_t length = word_at(frame, 2);

		if (length > MOST_CONTENTS)
			sys_exit(3); /* that is no caller of ours */
		if (incoming_length - at < HEADER + length)
			break;
		obey(word_at(frame, 0), word_at(frame, 1), frame + HEADER, length);
		at += HEADER + length;
	}
	incoming_length -= at;
	memmove(incoming, incoming + at, incoming_length);
}

/* ---- Between the commands and the caller -------------------------------- */

/* Gives a command what waits for it. */
static void feed(struct channel *channel)
{
	uint8_t *ring = rings[channel - channels];

	while (channel->ring_length > 0) {
		uint32_t end = STDIN_WINDOW - channel->ring_start;
		uint32_t part = channel->ring_length < end ? channel->ring_length : end;
		long written = sys_write(channel->input, ring + channel->ring_start, part);

		if (written <= 0)
			break;
		channel->ring_start = (channel->ring_start + written) % STDIN_WINDOW;
		channel->ring_length -= written;
		channel->input_credit += written;
	}
	if (channel->input_credit >= STDIN_WINDOW / 4 || (channel->input_credit && !channel->ring_length)) {
		send_number(channel->id, STDIN_CREDIT, channel->input_credit);
		channel->input_credit = 0;
	}
	if (channel->input_ended && channel->ring_length == 0)
		close_end(&channel->input);
}

/* The command reads no more. */
static void refuse(struct channel *channel)
{
	close_end(&channel->input);
	channel->ring_length = 0;
	send_word(channel->id, STDIN_CLOSED, NULL);
}

static int may_print(const struct channel *channel, int stream)
{
	return channel->output[stream] >= 0 && channel->credit[stream] > 0 && outgoing_room() >= RESERVE;
}

/* Takes a piece of what a command printed. */
static void take_output(struct channel *channel, int stream)
{
	uint32_t most = channel->credit[stream] < PIECE ? channel->credit[stream] : PIECE;
	long length;

	if (!may_print(channel, stream))
		return;
	length = sys_read(channel->output[stream], outgoing + outgoing_end + HEADER, most);
	if (length == -EAGAIN || length == -EINTR)
		return;
	if (length <= 0) {
		close_end(&channel->output[stream]);
		send_word(channel->id, STDOUT_END + stream, NULL);
		free_if_over(channel);
		return;
	}
	put_header(channel->id, STDOUT + stream, length);
	outgoing_end += length;
	channel->credit[stream] -= length;
}

static void reap(int signals)
{
	uint8_t ignored[128];
	int status;
	long pid;

	sys_read(signals, ignored, sizeof(ignored));
	while ((pid = sys_wait4(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < CHANNELS; i++)
			if (channels[i].id && channels[i].pid == pid) {
				channels[i].pid = 0;
				send_number(channels[i].id, EXITED, status);
				free_if_over(&channels[i]);
			}
}

static void __attribute__((noreturn)) serve(int signals)
{
	enum { PORT, SIGNALS, FIRST, PER_CHANNEL = 3 };
	static struct pollfd fds[FIRST + PER_CHANNEL * CHANNELS];

	for (;;) {
		send_outgoing();
		fds[PORT] = (struct pollfd){ port, POLLIN, 0 };
		if (outgoing_start < outgoing_end)
			fds[PORT].events |= POLLOUT;
		fds[SIGNALS] = (struct pollfd){ signals, POLLIN, 0 };
		for (int i = 0; i < CHANNELS; i++) {
			struct channel *channel = &channels[i];
			struct pollfd *own = &fds[FIRST + PER_CHANNEL * i];
			int used = channel->id != 0;

			/* No events: told of the reader's end all the same. */
			own[0] = (struct pollfd){ used ? channel->input : -1, channel->ring_length ? POLLOUT : 0, 0 };
			for (int stream = 0; stream < 2; stream++) {
				int fd = used && may_print(channel, stream) ? channel->output[stream] : -1;

				own[1 + stream] = (struct pollfd){ fd, POLLIN, 0 };
			}
		}
		sys_poll(fds, FIRST + PER_CHANNEL * CHANNELS, -1);
		/* What commands say comes first, so that it precedes their ends. */
		for (int i = 0; i < CHANNELS; i++) {
			struct channel *channel = &channels[i];
			struct pollfd *own = &fds[FIRST + PER_CHANNEL * i];

			if (own[0].revents & POLLERR)
				refuse(channel);
			else if (own[0].revents)
				feed(channel);
			for (int stream = 0; stream < 2; stream++)
				if (own[1 + stream].revents)
					take_output(channel, stream);
		}
		if (fds[SIGNALS].revents)
			reap(signals);
		if (fds[PORT].revents & (POLLIN | POLLHUP))
			receive();
		for (int i = 0; i < CHANNELS; i++)
			if (channels[i].id && channels[i].input >= 0)
				feed(&channels[i]);
	}
}

/* ---- Finding the port --------------------------------------------------- */

struct directory_entry {
	uint64_t inode, offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* Reads the name of the port `device`, and compares. */
static int is_ours(const char *device)
{
	char path[300] = PORTS "/";
	char name[sizeof(PORT_NAME)];
	size_t at = sizeof(PORTS);
	long fd, length;

	memcpy(path + at, device, length_of(device));
	memcpy(path + at + length_of(device), "/name", sizeof("/name"));
	fd = sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return 0;
	length = sys_read(fd, name, sizeof(name));
	sys_close(fd);
	return length == sizeof(name) && begins(name, PORT_NAME);
}

/* The port by its name, or a negative number. */
static long open_port(void)
{
	static uint8_t entries[4096] __attribute__((aligned(8)));
	char path[300] = "/dev/";
	long fd = sys_open(PORTS, O_RDONLY | O_DIRECTORY, 0);
	long found = -ENOENT;
	long length;

	if (fd < 0)
		return fd;
	while (found < 0 && (length = sys_getdents64(fd, entries, sizeof(entries))) > 0)
		for (long at = 0; at < length && found < 0;) {
			struct directory_entry *entry = (void *)(entries + at);

			at += entry->length;
			if (length_of(entry->name) > 200 || !is_ours(entry->name))
				continue;
			memcpy(path + 5, entry->name, length_of(entry->name) + 1);
			found = sys_open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
		}
	sys_close(fd);
	return found;
}

int begin(char **words, char **environment)
{
	enum { TRIES = 1000, PAUSE_MS = 10 };
	uint64_t child = 1ull << (SIGCHLD - 1);
	uint64_t blocked = child | 1ull << (SIGPIPE - 1);
	long signals, opened = -ENOENT;

	own_environment = environment;
	for (int i = 0; i < TRIES && opened < 0; i++) {
		if (i > 0)
			sys_poll(NULL, 0, PAUSE_MS);
		opened = words[1] ? sys_open(words[1], O_RDWR | O_NONBLOCK | O_CLOEXEC, 0) : open_port();
	}
	sys_sigprocmask(SIG_BLOCK, &blocked, NULL);
	signals = sys_signalfd4(-1, &child, O_CLOEXEC | O_NONBLOCK);
	if (opened < 0 || signals < 0)
		return 1;
	port = opened;
	send_number(0, HELLO, VERSION);
	serve(signals);
}
