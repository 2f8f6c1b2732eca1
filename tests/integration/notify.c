/* SPDX-License-Identifier: Apache-2.0 */
/* notify: what a service says over NOTIFY_SOCKET (sd_notify(3)), one word a datagram. Static, nothing needed from the root file system.
 *
 *	notify WORD...
 *
 * @sleep=SECONDS waits, @fd=TEXT sends TEXT with a descriptor, @barrier sends BARRIER=1 with a pipe's end and waits until it is closed (5 s), @flood=N sends N
 * times STATUS=number, @big=N a STATUS of N bytes, @trailing=TEXT sends TEXT with a NUL after it. Anything else is sent as it is. What fails is printed, and the exit status is 1. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int sock, bad;

static void say(const char *msg, size_t len, int fd)
{
	struct iovec iov = { (char *)msg, len };
	union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = control.buf;
		m.msg_controllen = sizeof(control.buf);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(sock, &m, MSG_NOSIGNAL) < 0) {
		printf("send: %s\n", strerror(errno));
		bad = 1;
	}
}

static void barrier(void)
{
	int ends[2];

	if (pipe(ends) < 0)
		return;
	say("BARRIER=1", 9, ends[1]);
	close(ends[1]);
	struct pollfd p = { .fd = ends[0] };
	int n = poll(&p, 1, 5000);
	printf("barrier %s\n", n == 1 && p.revents & POLLHUP ? "passed" : "stays");
	fflush(stdout);
	close(ends[0]);
}

static void flood(int n)
{
	char msg[64];

	for (int i = 0; i < n; i++)
		say(msg, (size_t)snprintf(msg, sizeof(msg), "STATUS=%d", i), -1);
}

static void big(size_t n)
{
	char *msg = malloc(n + 8);

	memset(msg, 'x', n + 8);
	memcpy(msg, "STATUS=", 7);
	say(msg, n, -1);
	free(msg);
}

int main(int argc, char **argv)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");

	if (!path) {
		puts("no NOTIFY_SOCKET");
		return 1;
	}
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (connect(sock, (struct sockaddr *)&at, sizeof(at)) < 0) {
		printf("connect: %s\n", strerror(errno));
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		const char *w = argv[i], *v = strchr(w, '=');
		v = v ? v + 1 : "";
		if (strncmp(w, "@sleep=", 7) == 0)
			usleep((unsigned)(atof(v) * 1e6));
		else if (strncmp(w, "@fd=", 4) == 0)
			say(v, strlen(v), 1);
		else if (strcmp(w, "@barrier") == 0)
			barrier();
		else if (strncmp(w, "@flood=", 7) == 0)
			flood(atoi(v));
		else if (strncmp(w, "@big=", 5) == 0)
			big((size_t)atol(v));
		else if (strncmp(w, "@trailing=", 10) == 0)
			say(v, strlen(v) + 1, -1);
		else
			say(w, strlen(w), -1);
	}
	return bad;
}
