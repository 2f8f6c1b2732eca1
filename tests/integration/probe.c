/* SPDX-License-Identifier: Apache-2.0 */
/* probe: print as JSON what a process in a container sees. Static; needs nothing from the root file system, /proc where it is there.
 *
 *	probe [--read PATH] [--write PATH] [--open PATH] [--stat PATH] [--list PATH] [--mknod PATH c|b MAJOR MINOR] [--mkdir PATH] [--call NUMBER]
 *	      [--call32 NUMBER] [--unlock PATH] [--sysctl NAME] [--out FILE] [--sleep SECONDS] [--exit CODE]
 *
 * --read: up to 4 KiB; --write: open for writing and write one byte; each result is {"errno": name or 0, …}.
 * --call, --call32: that system call with zeros as arguments; --call32 as a program of 32 bits makes it (x86: that architecture's number).
 * --unlock: what container root could do to the mount at PATH: make it writable, allow set-id programs and devices, take it off, move it away. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static FILE *out;
static bool first = true;

static void put_string(const char *s, size_t n)
{
	fputc('"', out);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void str(const char *s)
{
	if (s)
		put_string(s, strlen(s));
	else
		fputs("null", out);
}

static void comma(void)
{
	if (!first)
		fputs(",", out);
	first = false;
}

static void key(const char *name)
{
	comma();
	fputc('\n', out);
	str(name);
	fputs(": ", out);
}

static void number(const char *name, long long v)
{
	key(name);
	fprintf(out, "%lld", v);
}

static void open_group(const char *name, char bracket)
{
	if (name)
		key(name);
	else
		comma();
	fputc(bracket, out);
	first = true;
}

static void close_group(char bracket)
{
	fputc(bracket, out);
	first = false;
}

static const char *error_name(int e)
{
	static const struct { int e; const char *name; } names[] = {
		{ 0, "0" }, { EPERM, "EPERM" }, { ENOENT, "ENOENT" }, { EACCES, "EACCES" }, { EROFS, "EROFS" }, { EINVAL, "EINVAL" },
		{ ENXIO, "ENXIO" }, { EISDIR, "EISDIR" }, { ENOTDIR, "ENOTDIR" }, { EEXIST, "EEXIST" }, { EBUSY, "EBUSY" }, { EIO, "EIO" },
		{ ELOOP, "ELOOP" }, { ENODEV, "ENODEV" }, { ENOSPC, "ENOSPC" }, { ENOSYS, "ENOSYS" }, { ETXTBSY, "ETXTBSY" }, { EXDEV, "EXDEV" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].e == e)
			return names[i].name;
	return strerror(e);
}

static ssize_t slurp(const char *path, char *buf, size_t size)
{
	size_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	while (got < size - 1) {
		ssize_t n = read(fd, buf + got, size - 1 - got);

		if (n < 0) {
			ssize_t e = -errno;

			close(fd);
			return e;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	buf[got] = '\0';
	return (ssize_t)got;
}

/* The mount id that /proc/self/fdinfo gives for an fd, -1 without /proc. */
static int mount_id(int fd)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (slurp(path, text, sizeof(text)) < 0)
		return -1;
	char *at = strstr(text, "mnt_id:");

	return at ? atoi(at + 7) : -1;
}

static const char *type_name(mode_t m)
{
	return S_ISREG(m) ? "file" : S_ISDIR(m) ? "dir" : S_ISLNK(m) ? "link" : S_ISCHR(m) ? "char" : S_ISBLK(m) ? "block" :
	       S_ISFIFO(m) ? "fifo" : S_ISSOCK(m) ? "socket" : "other";
}

static void stat_members(const struct stat *st)
{
	char rdev[32];

	key("type");
	str(type_name(st->st_mode));
	number("mode", st->st_mode & 07777);
	number("uid", st->st_uid);
	number("gid", st->st_gid);
	number("dev", (long long)st->st_dev);
	number("ino", (long long)st->st_ino);
	number("size", st->st_size);
	snprintf(rdev, sizeof(rdev), "%u:%u", major(st->st_rdev), minor(st->st_rdev));
	key("rdev");
	str(rdev);
}

static void link_member(const char *name, const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target));

	key(name);
	if (n < 0)
		str(NULL);
	else
		put_string(target, (size_t)n);
}

static void show_dir(const char *name, const char *path)
{
	char cwd[PATH_MAX];
	struct stat st;
	int fd = open(path, O_PATH | O_CLOEXEC | O_DIRECTORY);

	open_group(name, '{');
	if (fd >= 0 && fstat(fd, &st) == 0) {
		stat_members(&st);
		number("mnt_id", mount_id(fd));
	}
	key("path");
	str(strcmp(path, ".") ? path : syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0 ? cwd : NULL);
	close_group('}');
	if (fd >= 0)
		close(fd);
}

static void show_fds(void)
{
	open_group("fds", '[');
	for (int fd = 0; fd < 1024; fd++) {
		struct stat st;
		char path[64];
		int flags = fcntl(fd, F_GETFD);

		if (flags < 0 || (out != stdout && fd == fileno(out)))
			continue;
		open_group(NULL, '{');
		number("fd", fd);
		number("cloexec", flags & FD_CLOEXEC);
		number("flags", fcntl(fd, F_GETFL));
		if (fstat(fd, &st) == 0)
			stat_members(&st);
		number("mnt_id", mount_id(fd));
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		link_member("target", path);
		close_group('}');
	}
	close_group(']');
}

static void show_status(void)
{
	static const struct { const char *line, *name; } want[] = {
		{ "CapInh:", "CapInh" }, { "CapPrm:", "CapPrm" }, { "CapEff:", "CapEff" }, { "CapBnd:", "CapBnd" }, { "CapAmb:", "CapAmb" },
		{ "Uid:", "Uid" }, { "Gid:", "Gid" }, { "Groups:", "Groups" }, { "NoNewPrivs:", "NoNewPrivs" }, { "Seccomp:", "Seccomp" },
		{ "Seccomp_filters:", "SeccompFilters" }, { "SigIgn:", "SigIgn" }, { "SigBlk:", "SigBlk" }, { "NSpid:", "NSpid" },
		{ "TracerPid:", "TracerPid" }, { "Cpus_allowed_list:", "Cpus" }, { "Umask:", "Umask" }, { "Threads:", "Threads" },
	};
	static char text[16384];

	open_group("status", '{');
	if (slurp("/proc/self/status", text, sizeof(text)) > 0) {
		for (char *save = NULL, *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
			for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
				size_t n = strlen(want[i].line);

				if (strncmp(l, want[i].line, n))
					continue;
				key(want[i].name);
				str(l + n + strspn(l + n, " \t"));
			}
		}
	}
	close_group('}');
}

/* keyctl(2): KEYCTL_GET_SECURITY. Empty where no security module labels keys. */
static void session_keyring_label(void)
{
	char label[256] = "";

	if (syscall(SYS_keyctl, 17, -3, label, sizeof(label) - 1) < 0)
		label[0] = '\0';
	key("session_keyring_label");
	str(label);
}

static void show_ids(void)
{
	uid_t r, e, s;
	gid_t groups[256];
	mode_t mask = umask(0);

	umask(mask);
	open_group("uid", '[');
	getresuid(&r, &e, &s);
	fprintf(out, "%u,%u,%u", r, e, s);
	close_group(']');
	open_group("gid", '[');
	getresgid(&r, &e, &s);
	fprintf(out, "%u,%u,%u", r, e, s);
	close_group(']');
	open_group("groups", '[');
	int n = getgroups(256, groups);

	for (int i = 0; i < n; i++) {
		comma();
		fprintf(out, "%u", groups[i]);
	}
	close_group(']');
	number("umask", mask);
	number("pid", getpid());
	number("ppid", getppid());
	number("sid", getsid(0));
	number("pgid", getpgid(0));
	number("nnp", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	/* keyctl(2): KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING */
	number("session_keyring", syscall(SYS_keyctl, 0, -3, 0));
	session_keyring_label();
	number("dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	number("securebits", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	number("keepcaps", prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
	int sig = -1;

	prctl(PR_GET_PDEATHSIG, &sig);
	number("pdeathsig", sig);
	number("nice", getpriority(PRIO_PROCESS, 0));
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	key("tty");
	str(tty >= 0 ? "0" : error_name(errno));
	if (tty >= 0)
		close(tty);
}

static void show_rlimits(void)
{
	static const struct { const char *name; int which; } limits[] = {
		{ "RLIMIT_CPU", RLIMIT_CPU }, { "RLIMIT_FSIZE", RLIMIT_FSIZE }, { "RLIMIT_DATA", RLIMIT_DATA }, { "RLIMIT_STACK", RLIMIT_STACK },
		{ "RLIMIT_CORE", RLIMIT_CORE }, { "RLIMIT_RSS", RLIMIT_RSS }, { "RLIMIT_NPROC", RLIMIT_NPROC }, { "RLIMIT_NOFILE", RLIMIT_NOFILE },
		{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK }, { "RLIMIT_AS", RLIMIT_AS }, { "RLIMIT_LOCKS", RLIMIT_LOCKS },
		{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING }, { "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE }, { "RLIMIT_NICE", RLIMIT_NICE },
		{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO }, { "RLIMIT_RTTIME", RLIMIT_RTTIME },
	};

	open_group("rlimits", '{');
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit r;

		if (getrlimit(limits[i].which, &r))
			continue;
		key(limits[i].name);
		fprintf(out, "[%lld,%lld]", r.rlim_cur == RLIM_INFINITY ? -1 : (long long)r.rlim_cur,
			r.rlim_max == RLIM_INFINITY ? -1 : (long long)r.rlim_max);
	}
	close_group('}');
}

static void show_strings(const char *name, char **v)
{
	open_group(name, '[');
	for (; *v; v++) {
		comma();
		str(*v);
	}
	close_group(']');
}

static void show_lines(const char *name, const char *path)
{
	static char text[1 << 20];
	ssize_t n = slurp(path, text, sizeof(text));

	open_group(name, '[');
	if (n > 0) {
		for (char *save = NULL, *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
			comma();
			str(l);
		}
	}
	close_group(']');
}

static void show_namespaces(void)
{
	static const char *const types[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };

	open_group("ns", '{');
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", types[i]);
		link_member(types[i], path);
	}
	close_group('}');
}

/* Every entry of a directory with type, mode, rdev and link target. */
static void show_listing(const char *name, const char *path)
{
	DIR *d = opendir(path);

	open_group(name, '{');
	for (struct dirent *e; d && (e = readdir(d));) {
		struct stat st;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		open_group(e->d_name, '{');
		stat_members(&st);
		char target[PATH_MAX];
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target));

		if (n >= 0) {
			key("link");
			put_string(target, (size_t)n);
		}
		close_group('}');
	}
	close_group('}');
	if (d)
		closedir(d);
}

static void result(int r)
{
	key("errno");
	str(error_name(r < 0 ? errno : 0));
}

static void do_read(const char *path)
{
	static char text[4097];
	ssize_t n = slurp(path, text, sizeof(text));

	errno = n < 0 ? (int)-n : 0;
	result(n < 0 ? -1 : 0);
	if (n >= 0) {
		key("text");
		put_string(text, (size_t)n);
	}
}

static void do_write(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	result(fd);
	if (fd < 0)
		return;
	if (flags & O_WRONLY) {
		ssize_t n = write(fd, "x", 1);

		key("wrote");
		str(n < 0 ? error_name(errno) : "0");
	}
	close(fd);
}

static void do_stat(const char *path)
{
	struct stat st;
	int r = lstat(path, &st);

	result(r);
	if (r < 0)
		return;
	stat_members(&st);
	link_member("link", path);
}

static void do_call32(long number)
{
#ifdef __x86_64__
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(number), "b"(0), "c"(0), "d"(0), "S"(0), "D"(0) : "memory", "r8", "r9", "r10", "r11");
	errno = r < 0 ? (int)-r : 0;
	result(r < 0 ? -1 : 0);
#else
	(void)number;
	errno = ENOSYS;
	result(-1);
#endif
}

static void do_sysctl(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	for (char *c = path + 10; *c; c++)
		if (*c == '.')
			*c = '/';
	do_read(path);
}

static long set_attributes(const char *path, unsigned long long set, unsigned long long clear)
{
	struct { unsigned long long set, clear, propagation, userns; } a = { set, clear, 0, 0 };

	return syscall(442 /* mount_setattr */, AT_FDCWD, path, 0, &a, sizeof(a));
}

static void tried(const char *what, long r)
{
	key(what);
	str(r < 0 ? error_name(errno) : "0");
}

static void do_unlock(const char *path)
{
	tried("rw", set_attributes(path, 0, 1));
	tried("suid", set_attributes(path, 0, 2));
	tried("dev", set_attributes(path, 0, 4));
	tried("remount", mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL));
	tried("move", mount(path, "/tmp", NULL, MS_MOVE, NULL));
	tried("umount", umount2(path, MNT_DETACH));
}

/* One option with its arguments; how many of them it took. */
static int act(int argc, char **argv)
{
	const char *o = argv[0], *path = argc > 1 ? argv[1] : "";
	char name[PATH_MAX + 32];

	snprintf(name, sizeof(name), "%s %s", o + 2, path);
	if (!strcmp(o, "--list")) {
		show_listing(name, path);
		return 2;
	}
	open_group(name, '{');
	int used = 2;

	if (!strcmp(o, "--read")) {
		do_read(path);
	} else if (!strcmp(o, "--write")) {
		do_write(path, O_WRONLY);
	} else if (!strcmp(o, "--open")) {
		do_write(path, O_RDONLY);
	} else if (!strcmp(o, "--stat")) {
		do_stat(path);
	} else if (!strcmp(o, "--unlock")) {
		do_unlock(path);
	} else if (!strcmp(o, "--sysctl")) {
		do_sysctl(path);
	} else if (!strcmp(o, "--call")) {
		result((int)syscall(atol(path), 0, 0, 0, 0, 0, 0));
	} else if (!strcmp(o, "--call32")) {
		do_call32(atol(path));
	} else if (!strcmp(o, "--mkdir")) {
		result(mkdir(path, 0755));
	} else if (!strcmp(o, "--mknod") && argc > 4) {
		mode_t type = argv[2][0] == 'b' ? S_IFBLK : S_IFCHR;

		result(mknod(path, type | 0666, makedev((unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]))));
		used = 5;
	} else {
		fprintf(stderr, "probe: unknown argument %s\n", o);
		exit(2);
	}
	close_group('}');
	return used;
}

static void show_clock(const char *name, clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	number(name, (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

/* Scheduling policy, I/O priority, memory policy, execution domain: as the kernel has them. */
static void show_sched(void)
{
	struct { unsigned size, policy; unsigned long long flags; int nice; unsigned priority; unsigned long long runtime, deadline, period; unsigned min, max; } a = { 0 };
	unsigned long nodes[16] = { 0 };
	int mode = -1;

	open_group("sched", '{');
	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) == 0) {
		number("policy", a.policy);
		number("flags", (long long)a.flags);
		number("nice", a.nice);
		number("priority", a.priority);
		number("runtime", (long long)a.runtime);
		number("deadline", (long long)a.deadline);
		number("period", (long long)a.period);
	}
	number("ioprio", syscall(SYS_ioprio_get, 1, 0));
	number("get_mempolicy", syscall(SYS_get_mempolicy, &mode, nodes, sizeof(nodes) * 8, NULL, 0));
	number("mempolicy", mode);
	number("nodes", (long long)nodes[0]);
	number("personality", personality(0xffffffff));
	close_group('}');
}

/* What the kernel blocks, ignores or catches for us, from the calls themselves: also what libc keeps for itself. */
static void show_signals(void)
{
	unsigned long blocked = ~0ul;

	syscall(SYS_rt_sigprocmask, 0, NULL, &blocked, sizeof(blocked));
	number("blocked", (long long)blocked);
	open_group("not_default", '[');
	for (int sig = 1; sig <= 64; sig++) {
		struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } old = { 0 };

		if (syscall(SYS_rt_sigaction, sig, NULL, &old, sizeof(old.mask)) || !old.handler)
			continue;
		comma();
		fprintf(out, "%d", sig);
	}
	close_group(']');
}

static void show_all(char **argv)
{
	struct utsname u;
	char oom[32] = "";

	show_dir("cwd", ".");
	show_dir("root", "/");
	show_fds();
	show_status();
	show_ids();
	show_sched();
	show_signals();
	show_rlimits();
	show_strings("env", environ);
	show_strings("argv", argv);
	show_lines("mountinfo", "/proc/self/mountinfo");
	show_lines("cgroup", "/proc/self/cgroup");
	show_namespaces();
	show_listing("dev", "/dev");
	show_listing("net", "/sys/class/net");
	uname(&u);
	key("machine");
	str(u.machine);
	key("hostname");
	str(u.nodename);
	key("domainname");
	str(u.domainname);
	slurp("/proc/self/oom_score_adj", oom, sizeof(oom));
	number("oom_score_adj", atoi(oom));
	link_member("exe", "/proc/self/exe");
	show_lines("uid_map", "/proc/self/uid_map");
	show_lines("gid_map", "/proc/self/gid_map");
	show_lines("timens_offsets", "/proc/self/timens_offsets");
	show_clock("monotonic", CLOCK_MONOTONIC);
	show_clock("boottime", CLOCK_BOOTTIME);
}

int main(int argc, char **argv)
{
	unsigned pause_for = 0;
	int code = 0;

	out = stdout;
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "--out"))
			out = fopen(argv[i + 1], "we");
		if (!strcmp(argv[i], "--sleep"))
			pause_for = (unsigned)atoi(argv[i + 1]);
		if (!strcmp(argv[i], "--exit"))
			code = atoi(argv[i + 1]);
	}
	if (!out)
		return 3;
	fputc('{', out);
	show_all(argv);
	for (int i = 1; i < argc;) {
		bool taken = !strcmp(argv[i], "--out") || !strcmp(argv[i], "--sleep") || !strcmp(argv[i], "--exit");

		i += taken ? 2 : act(argc - i, argv + i);
	}
	fputs("\n}\n", out);
	if (fflush(out))
		return 4;
	while (pause_for)
		pause_for = sleep(pause_for);
	return code;
}
