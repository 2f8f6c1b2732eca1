/* SPDX-License-Identifier: Apache-2.0 */
/* The last drops, in a fixed order. What comes after an execve is set here and read back (rules R10, R16). */
#include <limits.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/io.h"
#include "init/init.h"
#include "sys/rootfs.h"

/* Where env has no PATH: what execvp(3) of musl takes. */
#define DEFAULT_PATH "/usr/local/bin:/bin:/usr/bin"

int finale_oom(struct init *in)
{
	char text[16];
	int r;

	if (!(in->fin->flags & FIN_OOM) || in->oom_set)
		return 0;
	r = init_procfs(in);
	scoped_fd int fd = r < 0 ? r : procfs_self(&in->proc, "oom_score_adj", O_WRONLY);
	if (fd < 0)
		return err_at(&in->err, err_sys(&in->err, fd, "open oom_score_adj"), "process.oomScoreAdj");
	int n = snprintf(text, sizeof(text), "%d", in->fin->oom_score_adj);
	r = io_write_all(fd, text, (size_t)n);
	if (r < 0)
		return err_at(&in->err, err_sys(&in->err, r, "set oom_score_adj to %s", text), "process.oomScoreAdj");
	in->oom_set = true;
	return 0;
}

/* An anonymous one: named session keyrings can be squatted by other containers of the same user namespace
 * (attacks-tried H16). */
static int new_keyring(struct init *in)
{
	int r;

	if (!(in->fin->flags & FIN_NEW_KEYRING))
		return 0;
	r = lsm_label_keys(in, true);
	if (r < 0)
		return err_at(&in->err, err_sys(&in->err, r, "SELinux refuses the label for keys"), "process.selinuxLabel");
	r = sys_keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0);
	if (r < 0)
		log_warn("the container shares its caller's session keyring: %s", err_text(-r));
	r = lsm_label_keys(in, false);
	return r < 0 ? err_sys(&in->err, r, "take back the label for keys") : 0;
}

/* By fd, then a look whether the kernel can name the place: what is outside of the root has no name
 * (CVE-2024-21626). */
static int enter_cwd(struct init *in, int root)
{
	struct ctr_path cwd = init_path(in, in->fin->cwd);
	scoped_fd int fd = rootfs_open(root, cwd, 0);
	char name[PATH_MAX];

	if (fd < 0)
		return fd;
	if (fchdir(fd) < 0)
		return -errno;
	long n = syscall(SYS_getcwd, name, sizeof(name));
	if (n < 0)
		return -errno;
	return name[0] == '/' ? 0 : -ENOENT;
}

static int cwd_error(struct init *in, int r)
{
	err_sys(&in->err, r, "chdir to %s", init_path(in, in->fin->cwd).s);
	return err_at(&in->err, r, "process.cwd");
}

int finale_raise_limits(struct init *in)
{
	const struct blob_rlimit *l = blob_list(in->b, in->fin->rlimits);

	for (uint32_t i = 0; i < in->fin->rlimits.n; i++) {
		struct sys_rlimit is;
		int r = sys_prlimit(l[i].resource, NULL, &is);
		if (r == 0 && l[i].hard > is.hard) {
			is.hard = l[i].hard;
			r = sys_prlimit(l[i].resource, &is, NULL);
		}
		if (r < 0)
			return err_at(&in->err,
				      err_sys(&in->err, r, "raise resource limit %u to %llu", l[i].resource,
					      (unsigned long long)l[i].hard),
				      "process.rlimits");
	}
	return 0;
}

int finale_limits(struct init *in)
{
	const struct blob_rlimit *l = blob_list(in->b, in->fin->rlimits);
	struct sys_rlimit is, nofile = in->nofile;
	int r = sys_prlimit(RLIMIT_NOFILE, NULL, &is);

	/* The caller's own soft limit again, below whatever the hard one has become. */
	if (r == 0)
		r = sys_prlimit(RLIMIT_NOFILE, &(struct sys_rlimit){ nofile.soft, is.hard }, NULL);
	for (uint32_t i = 0; i < in->fin->rlimits.n && r == 0; i++) {
		struct sys_rlimit want = { l[i].soft, l[i].hard };
		r = sys_prlimit(l[i].resource, &want, NULL);
		if (r == 0)
			r = sys_prlimit(l[i].resource, NULL, &is);
		if (r == 0 && (is.soft != want.soft || is.hard != want.hard))
			r = -EPERM;
	}
	return r < 0 ? err_at(&in->err, err_sys(&in->err, r, "set the resource limits"), "process.rlimits") : 0;
}

/* Nothing of the host is open when the ids are the container's: from then on its processes may look at us. */
static int close_host(struct init *in)
{
	const int keep[] = { in->ctl.fd, init_slot(in, in->b->start_slot) };
	int r = init_close_but(in, keep, ARRAY_LEN(keep));

	in->proc = in->sysctl = PROCFS_NONE;
	in->root_fd = in->dev_fd = in->pts_fd = in->mask_dir_fd = in->mask_file_fd = in->host_proc_fd = -1;
	return r < 0 ? err_sys(&in->err, r, "close what belongs to the host") : 0;
}

static int join_pid(struct init *in)
{
	if (!(in->fin->flags & FIN_JOIN_PID) || in->pid_joined)
		return 0;
	/* It concerns our children only; we stay where the container can't see us. */
	int r = sys_setns(init_slot(in, in->b->pidns_slot), CLONE_NEWPID);
	return r < 0 ? err_sys(&in->err, r, "join the pid namespace") : 0;
}

static int prepare(struct init *in, int *ret_cwd)
{
	int r;

	r = new_keyring(in);
	if (r == 0)
		r = lsm_prepare_exec(in);
	if (r < 0)
		return r;
	passwd_find_home(in);
	r = *ret_cwd = enter_cwd(in, in->root_fd);
	if (r < 0 && r != -EACCES && r != -EPERM)
		return cwd_error(in, r);
	r = join_pid(in);
	if (r == 0)
		r = sched_memory(in);
	if (r == 0)
		r = creds_securebits(in);
	if (r == 0)
		r = finale_raise_limits(in);
	return r == 0 ? close_host(in) : r;
}

int finale_drop(struct init *in)
{
	int cwd, r = prepare(in, &cwd);

	if (r < 0)
		return r;
	umask(in->fin->flags & FIN_UMASK ? (mode_t)in->fin->umask : in->caller_umask);
	r = creds_drop(in);
	if (r < 0)
		return r;
	/* A directory that root may not enter (NFS with root_squash, FUSE) may be the user's. */
	if (cwd < 0) {
		scoped_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		cwd = root < 0 ? -errno : enter_cwd(in, root);
		if (cwd < 0)
			return cwd_error(in, cwd);
	}
	return creds_check(in, true);
}

/* Can `path` (absolute) be executed, as far as its inode says? 0 or -errno: -EISDIR for a directory, -EACCES for
 * what is no regular file. */
static int check_program(int root, const char *path)
{
	scoped_fd int fd = rootfs_open(root, (struct ctr_path){ path }, 0);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return (int)sys_result("faccessat2", syscall(SYS_faccessat2, fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH));
}

/* `name` as an absolute path: relative ones count from the working directory. */
static int absolute(const char *dir, size_t dir_len, const char *name, char ret[PATH_MAX])
{
	char cwd[PATH_MAX] = "";

	if (dir_len ? dir[0] != '/' : name[0] != '/') {
		long n = syscall(SYS_getcwd, cwd, sizeof(cwd));
		if (n < 0)
			return -errno;
	}
	int n = snprintf(ret, PATH_MAX, "%s%s%.*s%s%s", cwd, cwd[0] ? "/" : "", (int)dir_len, dir, dir_len ? "/" : "",
			 name);
	return n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static const char *path_of_env(const struct init *in)
{
	for (uint32_t i = 0; i < in->fin->env.n; i++) {
		const char *s = init_list_str(in, in->fin->env, i);
		if (str_starts(s, "PATH="))
			return s + strlen("PATH=");
	}
	return DEFAULT_PATH;
}

/* As execvp(3): the first that can be executed; what may not be is remembered as the reason. */
static int search_path(struct init *in, int root, const char *name)
{
	int result = -ENOENT;

	for (const char *p = path_of_env(in), *end;; p = end + 1) {
		end = p + strcspn(p, ":");
		int r = absolute(p, (size_t)(end - p), name, in->program);
		if (r == 0)
			r = check_program(root, in->program);
		if (r == 0)
			return 0;
		if (r == -EACCES)
			result = -EACCES;
		if (!*end)
			return result;
	}
}

int finale_find_program(struct init *in)
{
	char full[PATH_MAX];
	int r;

	const char *name = init_list_str(in, in->fin->args, 0);
	scoped_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(&in->err, -errno, "open the container's root");
	if (!strchr(name, '/')) {
		r = name[0] ? search_path(in, root, name) : -ENOENT;
		if (r == -ENOENT)
			err_sys(&in->err, r, "exec \"%s\": executable file not found in $PATH", name);
		else if (r < 0)
			err_sys(&in->err, r, "exec \"%s\"", name);
		return err_at(&in->err, r, init_str(in, in->fin->args_origin));
	}
	r = absolute("", 0, name, full);
	if (r == 0)
		r = check_program(root, full);
	/* Docker looks for "is a directory", podman for "permission denied". */
	if (r == -EISDIR)
		r = err_sys(&in->err, -EACCES, "exec %s: is a directory", name);
	else if (r < 0)
		err_sys(&in->err, r, "exec %s", name);
	snprintf(in->program, sizeof(in->program), "%s", name);
	return err_at(&in->err, r, init_str(in, in->fin->args_origin));
}
