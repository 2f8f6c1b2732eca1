/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/psfilter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"

#define PS_OUTPUT_MAX ((size_t)16 << 20)
#define PS_LINE_MAX 8192

extern char **environ;

/* Fixed places, not the caller's PATH: a program that we run as root is the host's own. */
static const char *const ps_paths[] = { "/usr/bin/ps", "/bin/ps" };

/* The `column`th word of a line (from 0) → *ret, *ret_len. */
static bool word_at(const char *line, size_t column, const char **ret, size_t *ret_len)
{
	for (size_t i = 0;; i++) {
		line += strspn(line, " \t");
		size_t n = strcspn(line, " \t");
		if (n == 0)
			return false;
		if (i == column) {
			*ret = line;
			*ret_len = n;
			return true;
		}
		line += n;
	}
}

static bool find_pid_column(const char *heading, size_t *ret)
{
	const char *w;
	size_t n;

	for (size_t i = 0; word_at(heading, i, &w, &n); i++) {
		if (n == 3 && memcmp(w, "PID", 3) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static int compare_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

static bool line_is_ours(const char *line, size_t column, const pid_t *pids, size_t n)
{
	char digits[16];
	const char *w;
	size_t len;
	uint64_t v;

	if (!word_at(line, column, &w, &len) || len >= sizeof(digits))
		return false;
	memcpy(digits, w, len);
	digits[len] = '\0';
	if (num_parse_u64(digits, INT32_MAX, &v) < 0)
		return false;
	pid_t pid = (pid_t)v;
	return n && bsearch(&pid, pids, n, sizeof(*pids), compare_pid);
}

int ps_filter(char *text, const pid_t *pids, size_t n, struct oci_arena *a, const char **ret_text, struct err *e)
{
	size_t size = strlen(text) + 2, used = 0, column = 0;
	bool heading = true;

	/* Escaping may make each byte four. */
	char *result = oci_arena_alloc(a, 4 * size);
	if (!result)
		return err_sys(e, -ENOMEM, "read the output of ps");
	for (char *line = strtok_r(text, "\n", &text); line; line = strtok_r(NULL, "\n", &text)) {
		char clean[PS_LINE_MAX];
		if (heading && !find_pid_column(line, &column))
			return err_set(e, ERR_USAGE, 0, "ps: its output has no column called PID");
		if (heading || line_is_ours(line, column, pids, n)) {
			err_escape(line, clean, sizeof(clean));
			char *end = stpcpy(stpcpy(result + used, clean), "\n");
			used = (size_t)(end - result);
		}
		heading = false;
	}
	*ret_text = result;
	return 0;
}

static int spawn_ps(const char *const *options, int out_fd, pid_t *ret_pid, struct oci_arena *a, struct err *e)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	size_t n = 0;
	int r = ENOENT;

	while (options[n])
		n++;
	char **argv = oci_arena_alloc(a, (n + 2) * sizeof(*argv));
	if (!argv)
		return err_sys(e, -ENOMEM, "run ps");
	argv[0] = (char[]){ "ps" };
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = (char *)(uintptr_t)options[i];
	/* Our SIGPIPE is ignored; ps's isn't. */
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	for (size_t i = 0; i < ARRAY_LEN(ps_paths) && r == ENOENT; i++)
		r = posix_spawn(ret_pid, ps_paths[i], &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return r ? err_sys(e, -r, "run /usr/bin/ps") : 0;
}

static int reap_ps(pid_t pid, struct err *e)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_sys(e, -errno, "wait for ps");
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(e, ERR_PEER, 0, "ps was killed by signal %d", WTERMSIG(status));
	return err_set(e, ERR_PEER, 0, "ps: exit status %d", WEXITSTATUS(status));
}

int ps_run(const char *const *options, const pid_t *pids, size_t n, struct oci_arena *a, const char **ret_text,
	   struct err *e)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "make a pipe for ps");
	scoped_fd int in = fds[0], out = fds[1];
	int r = spawn_ps(options, out, &pid, a, e);
	if (r < 0)
		return r;
	fd_close(&out);
	char *text = oci_arena_alloc(a, PS_OUTPUT_MAX);
	ssize_t len = text ? io_read_fd(in, text, PS_OUTPUT_MAX) : -ENOMEM;
	/* It may still be writing what we didn't read. */
	fd_close(&in);
	r = reap_ps(pid, e);
	if (len < 0)
		return err_sys(e, (int)len, "read the output of ps");
	return r < 0 ? r : ps_filter(text, pids, n, a, ret_text, e);
}
