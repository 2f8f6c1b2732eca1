/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel itself asks for a container like that of `hull spec`: the same namespaces, cgroups, mounts, devices, masks and exec by bare
 * system calls, and nothing else: no configuration, no checks, no record, no second program. The unit of tests/bench.
 *
 *	limit ROOTFS [CONTROLLERS=CGROUP_DIRECTORY]... -- PROGRAM [ARGUMENT]...
 *
 * CONTROLLERS is what a v1 hierarchy is mounted with ("cpu,cpuacct"), or "unified" for v2. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_HIERARCHIES 32
#define N(a) (sizeof(a) / sizeof((a)[0]))

struct hierarchy {
	char *name, *path;
	int fd; /* v1: its `tasks`; v2: the directory */
};

static struct hierarchy hierarchies[MAX_HIERARCHIES];
static size_t n_hierarchies;

static void die(const char *what)
{
	perror(what);
	_exit(1);
}

#define DO(call) do { if ((call) < 0) die(#call); } while (0)

static const struct { const char *type, *at; unsigned long flags; const char *data; } mounts[] = {
	{ "proc", "proc", 0, NULL },
	{ "tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k" },
	{ "devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5" },
	{ "tmpfs", "dev/shm", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k" },
	{ "mqueue", "dev/mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL },
	{ "sysfs", "sys", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL },
	{ "tmpfs", "sys/fs/cgroup", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=755" },
};
static const struct { const char *name; unsigned minor; } nodes[] = { { "dev/null", 3 }, { "dev/zero", 5 }, { "dev/full", 7 },
	{ "dev/random", 8 }, { "dev/urandom", 9 } };
static const char *const links[][2] = { { "/proc/self/fd", "dev/fd" }, { "/proc/self/fd/0", "dev/stdin" }, { "/proc/self/fd/1", "dev/stdout" },
	{ "/proc/self/fd/2", "dev/stderr" }, { "pts/ptmx", "dev/ptmx" } };
static const char *const masked[] = { "proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list", "proc/sched_debug" };
static const char *const masked_directories[] = { "proc/acpi", "sys/firmware", "proc/scsi" };
static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };

static void mount_cgroups(void)
{
	char at[128];

	for (size_t i = 0; i < n_hierarchies; i++) {
		int v2 = !strcmp(hierarchies[i].name, "unified");

		snprintf(at, sizeof(at), "sys/fs/cgroup/%s", hierarchies[i].name);
		DO(mkdir(at, 0755));
		DO(mount("cgroup", at, v2 ? "cgroup2" : "cgroup", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, v2 ? NULL : hierarchies[i].name));
	}
	DO(mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL));
}

static void build_tree(const char *rootfs)
{
	DO(mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL));
	DO(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL));
	DO(chdir(rootfs));
	for (size_t i = 0; i < N(mounts); i++) {
		mkdir(mounts[i].at, 0755);
		DO(mount(mounts[i].type, mounts[i].at, mounts[i].type, mounts[i].flags, mounts[i].data));
	}
	mount_cgroups();
	for (size_t i = 0; i < N(nodes); i++) {
		DO(mknod(nodes[i].name, S_IFCHR | 0666, makedev(1, nodes[i].minor)));
		DO(chmod(nodes[i].name, 0666));
	}
	DO(mknod("dev/tty", S_IFCHR | 0666, makedev(5, 0)));
	for (size_t i = 0; i < N(links); i++)
		DO(symlink(links[i][0], links[i][1]));
}

static void cover(void)
{
	for (size_t i = 0; i < N(masked); i++)
		if (mount("dev/null", masked[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			die(masked[i]);
	for (size_t i = 0; i < N(masked_directories); i++)
		if (mount("tmpfs", masked_directories[i], "tmpfs", MS_RDONLY, NULL) < 0 && errno != ENOENT)
			die(masked_directories[i]);
	for (size_t i = 0; i < N(read_only); i++) {
		if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) < 0) {
			if (errno != ENOENT)
				die(read_only[i]);
			continue;
		}
		DO(mount(NULL, read_only[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	}
}

static void drop(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint32_t keep = 1u << CAP_AUDIT_WRITE | 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE;
	struct __user_cap_data_struct data[2] = { { keep, keep, 0 } };

	for (unsigned cap = 0; cap < 41; cap++)
		if (cap > 31 || !(keep >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	DO(syscall(SYS_capset, &head, data));
	DO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void child(const char *rootfs, char **argv)
{
	static char *env[] = { (char *)"PATH=/bin", NULL };
	struct rlimit nofile = { 1024, 1024 };

	for (size_t i = 0; i < n_hierarchies; i++)
		if (strcmp(hierarchies[i].name, "unified"))
			DO(write(hierarchies[i].fd, "0", 1));
	DO(unshare(CLONE_NEWCGROUP));
	DO(setsid());
	build_tree(rootfs);
	cover();
	DO(syscall(SYS_pivot_root, ".", "."));
	DO(umount2(".", MNT_DETACH));
	DO(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	DO(chdir("/"));
	DO(sethostname("limit", 5));
	setrlimit(RLIMIT_NOFILE, &nofile);
	drop();
	execve(argv[0], argv, env);
	die(argv[0]);
}

/* The kernel lets go of a cgroup a moment after the last process in it has been reaped. */
static void remove_cgroups(void)
{
	for (size_t k = 0; k < n_hierarchies; k++)
		for (int i = 0; i < 1000 && rmdir(hierarchies[k].path) < 0 && errno == EBUSY; i++)
			usleep(100);
}

/* A new cpuset is empty and takes no process: it gets what its parent has. */
static int inherit_cpuset(int dfd, const char *file)
{
	char value[256], parent[32];
	int from, to, ok = -1;

	snprintf(parent, sizeof(parent), "../%s", file);
	if ((from = openat(dfd, parent, O_RDONLY | O_CLOEXEC)) < 0)
		return -1;
	ssize_t n = read(from, value, sizeof(value));
	if (n > 0 && (to = openat(dfd, file, O_WRONLY | O_CLOEXEC)) >= 0) {
		ok = write(to, value, (size_t)n) == n ? 0 : -1;
		close(to);
	}
	close(from);
	return ok;
}

static int make_cgroup(struct hierarchy *h)
{
	int dfd;

	if (mkdir(h->path, 0755) < 0 || (dfd = open(h->path, O_DIRECTORY | O_CLOEXEC)) < 0)
		return -1;
	if (!strcmp(h->name, "unified"))
		return h->fd = dfd;
	if (!strcmp(h->name, "cpuset") && (inherit_cpuset(dfd, "cpuset.cpus") < 0 || inherit_cpuset(dfd, "cpuset.mems") < 0))
		return -1;
	h->fd = openat(dfd, "tasks", O_WRONLY | O_CLOEXEC);
	close(dfd);
	return h->fd;
}

/* Make the cgroups; returns the directory of v2, or -1. */
static int make_cgroups(void)
{
	int v2 = -1;

	for (size_t i = 0; i < n_hierarchies; i++) {
		if (make_cgroup(&hierarchies[i]) < 0) {
			perror(hierarchies[i].path);
			remove_cgroups();
			_exit(1);
		}
		if (!strcmp(hierarchies[i].name, "unified"))
			v2 = hierarchies[i].fd;
	}
	return v2;
}

int main(int argc, char **argv)
{
	int i = 2, status;

	for (; i < argc && strcmp(argv[i], "--") && n_hierarchies < MAX_HIERARCHIES; i++) {
		char *path = strstr(argv[i], "=/"); /* a name may have a '=' of its own: name=systemd */

		if (!path)
			return 2;
		*path = '\0';
		hierarchies[n_hierarchies++] = (struct hierarchy){ .name = argv[i], .path = path + 1 };
	}
	if (i + 1 >= argc || strcmp(argv[i], "--"))
		return 2;
	int v2 = make_cgroups();
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, .exit_signal = SIGCHLD };
	if (v2 >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)v2;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		die("clone3");
	if (pid == 0)
		child(argv[1], argv + i + 1);
	DO(waitpid(pid, &status, 0));
	remove_cgroups();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
