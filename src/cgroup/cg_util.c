/* SPDX-License-Identifier: Apache-2.0 */
/* Reading cgroup directories: marks, keyed files, emptiness, walks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "cgroup/internal.h"

/* trusted.* needs CAP_SYS_ADMIN in the initial user namespace; user.* (5.7, v2 only) is for everyone else. */
static const char *const token_names[] = { "trusted.hull", "user.hull" };

enum cg_owner cg_token_owner(int fd, const char *token)
{
	bool supported = false;

	for (size_t i = 0; i < ARRAY_LEN(token_names); i++) {
		char value[64];
		ssize_t n = fgetxattr(fd, token_names[i], value, sizeof(value));

		if (n < 0) {
			supported |= errno == ENODATA;
			continue;
		}
		return token && (size_t)n == strlen(token) && memcmp(value, token, (size_t)n) == 0 ? CG_OWNER_US
												   : CG_OWNER_OTHER;
	}
	return supported ? CG_OWNER_NONE : CG_OWNER_UNKNOWN;
}

bool cg_has_birth_mark(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_ISVTX) && st.st_uid == geteuid();
}

int cg_token_set(int fd, const char *token)
{
	int r = -EOPNOTSUPP;

	for (size_t i = 0; i < ARRAY_LEN(token_names) && r < 0; i++)
		r = fsetxattr(fd, token_names[i], token, strlen(token), 0) < 0 ? -errno : 0;
	return r;
}

int64_t cg_read_key(int dfd, const char *file, const char *key)
{
	char text[4096];
	size_t n = strlen(key);
	uint64_t v;

	if (io_read_at(dfd, file, text, sizeof(text)) < 0)
		return -1;
	for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, key, n) != 0 || line[n] != ' ')
			continue;
		line[strcspn(line, "\n")] = '\0';
		return num_parse_u64(line + n + 1, INT64_MAX, &v) == 0 ? (int64_t)v : -1;
	}
	return -1;
}

int cg_is_empty(int dfd)
{
	scoped_fd int fd = openat(dfd, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	char c;

	/* kernfs counts a directory's children in its links. */
	if (fd < 0 || fstatat(dfd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	if (st.st_nlink > 2)
		return 0;
	ssize_t n = read(fd, &c, 1);
	return n < 0 ? -errno : n == 0;
}

static int walk_children(int dfd, unsigned depth, int (*f)(int dfd, void *arg), void *arg)
{
	struct stat st;
	int r = f(dfd, arg);

	if (r < 0 || fstatat(dfd, "", &st, AT_EMPTY_PATH) < 0 || st.st_nlink <= 2)
		return r;
	if (depth == CG_DEPTH_MAX)
		return -ELOOP;
	int fd = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		fd_close_scoped(&fd);
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	}
	for (struct dirent *de = readdir(d); de && r >= 0; de = readdir(d)) {
		if (de->d_type != DT_DIR || streq(de->d_name, ".") || streq(de->d_name, ".."))
			continue;
		scoped_fd int child_fd = openat(dirfd(d), de->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child_fd >= 0)
			r = walk_children(child_fd, depth + 1, f, arg);
	}
	closedir(d);
	return r;
}

int cg_walk(int dfd, int (*f)(int dfd, void *arg), void *arg)
{
	return walk_children(dfd, 0, f, arg);
}

int cg_main_hier(const struct cgroup *cg)
{
	int v2 = cg_layout_v2(cg->lay), freezer = cg_layout_find(cg->lay, "freezer");

	if (v2 >= 0 && cg->dfd[v2] >= 0)
		return v2;
	if (freezer >= 0 && cg->dfd[freezer] >= 0)
		return freezer;
	for (unsigned i = 0; i < cg->lay->n; i++)
		if (cg->dfd[i] >= 0)
			return (int)i;
	return -1;
}

void cg_sleep_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

const char *cg_describe_pid(pid_t pid, char *buf, size_t size)
{
	char path[64], stat[512], wchan[128];
	char *open_paren, *close_paren;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	/* The name may hold parentheses and spaces itself: the last ')' ends it. */
	if (io_read_at(AT_FDCWD, path, stat, sizeof(stat)) < 0 || !(open_paren = strchr(stat, '(')) ||
	    !(close_paren = strrchr(stat, ')')) || close_paren[1] != ' ') {
		snprintf(buf, size, "process %d", (int)pid);
		return buf;
	}
	*close_paren = '\0';
	snprintf(path, sizeof(path), "/proc/%d/wchan", (int)pid);
	bool waits = io_read_at(AT_FDCWD, path, wchan, sizeof(wchan)) > 0 && !streq(wchan, "0");
	snprintf(buf, size, "process %d (%s), state %c%s%s", (int)pid, open_paren + 1, close_paren[2],
		 waits ? ", waits in " : "", waits ? wchan : "");
	return buf;
}
