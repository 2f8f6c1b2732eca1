// SPDX-License-Identifier: Apache-2.0
/* notify TEXT: one datagram to $NOTIFY_SOCKET, as sd_notify(3) does it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");

	if (argc != 2 || !path || strlen(path) >= sizeof(to.sun_path)) {
		fprintf(stderr, "notify: no NOTIFY_SOCKET\n");
		return 1;
	}
	strcpy(to.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, argv[1], strlen(argv[1]), 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("notify");
		return 1;
	}
	return 0;
}
