/* SPDX-License-Identifier: Apache-2.0 */
#include "run/rdt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"

#define XATTR "trusted.hull"

int rdt_open(struct err *e)
{
	FILE *f = fopen("/proc/self/mounts", "re");
	char *line = NULL, *save = NULL;
	size_t size = 0;
	int fd = -ENOENT;

	while (f && fd == -ENOENT && getline(&line, &size, f) > 0) {
		char *source = strtok_r(line, " ", &save), *at = source ? strtok_r(NULL, " ", &save) : NULL, *type = at ? strtok_r(NULL, " ", &save) : NULL;
		if (!type || !streq(type, "resctrl"))
			continue;
		fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	free(line);
	if (f)
		fclose(f);
	if (fd >= 0)
		return fd;
	if (fd != -ENOENT)
		return err_at(e, err_sys(e, fd, "open resctrl"), "linux.intelRdt");
	err_set(e, ERR_UNSUPPORTED, 0, "no resctrl file system is mounted: mount it (mount -t resctrl resctrl /sys/fs/resctrl), on a machine that has Intel RDT or its like");
	return err_at(e, -EOPNOTSUPP, "linux.intelRdt");
}

/* ---- schemata ---- */

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* Length of the next word up to one of `ends`. */
static size_t word(const char *s, const char *ends)
{
	size_t n = strcspn(s, ends);

	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	return n;
}

static bool same_value(const char *a, size_t n, const char *b, size_t m)
{
	while (n > 1 && *a == '0')
		a++, n--;
	while (m > 1 && *b == '0')
		b++, m--;
	return n == m && strncasecmp(a, b, n) == 0;
}

/* Is "ID=VALUE" (`n` bytes) among the domains of the line `has`? */
static bool domain_holds(const char *domain, size_t n, const char *has)
{
	size_t id = word(domain, "=");
	const char *eq = memchr(domain, '=', n), *value = eq ? skip_blanks(eq + 1) : NULL;

	while (value && *has && *has != '\n') {
		has = skip_blanks(has);
		size_t its = word(has, "=;\n");
		const char *its_eq = has + strcspn(has, "=;\n");
		if (its == id && strncmp(has, domain, id) == 0 && *its_eq == '=') {
			const char *its_value = skip_blanks(its_eq + 1);
			return same_value(value, (size_t)(domain + n - value), its_value, word(its_value, ";\n"));
		}
		has += strcspn(has, ";\n");
		has += *has == ';';
	}
	return false;
}

static bool line_holds(const char *asked, size_t len, const char *has)
{
	size_t name = word(asked, ":\n");

	for (; *has; has += strcspn(has, "\n"), has += *has == '\n') {
		const char *its = skip_blanks(has);
		if (word(its, ":\n") != name || strncmp(its, asked, name) != 0)
			continue;
		const char *end = asked + len, *d = asked + strcspn(asked, ":\n") + 1;
		while (d < end) {
			d = skip_blanks(d);
			size_t n = word(d, ";\n");
			if (n && !domain_holds(d, n, its + strcspn(its, ":\n") + 1))
				return false;
			d += strcspn(d, ";\n") + 1;
		}
		return true;
	}
	return false;
}

bool rdt_schemata_hold(const char *asked, const char *has)
{
	for (; *asked; asked += strcspn(asked, "\n"), asked += *asked == '\n')
		if (*asked != '\n' && !line_holds(asked, strcspn(asked, "\n"), has))
			return false;
	return true;
}

/* ---- groups ---- */

static int open_group(int root_dfd, const char *group)
{
	int fd = openat(root_dfd, group[0] ? group : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* 1: made, with the token; 0: was there. */
static int make_dir(int root_dfd, const char *path, const char *token)
{
	if (mkdirat(root_dfd, path, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	scoped_fd int fd = open_group(root_dfd, path);
	int r = fd < 0 ? fd : fsetxattr(fd, XATTR, token, strlen(token), XATTR_CREATE) < 0 ? -errno : 1;

	if (r < 0)
		unlinkat(root_dfd, path, AT_REMOVEDIR);
	return r;
}

static bool is_ours(int dfd, const char *token)
{
	char its[64];
	ssize_t n = fgetxattr(dfd, XATTR, its, sizeof(its));

	return n >= 0 && (size_t)n == strlen(token) && memcmp(its, token, (size_t)n) == 0;
}

static int fail(struct err *e, int r, const char *member, const char *what, const char *group)
{
	err_sys(e, r, "%s of resctrl group \"%s\"", what, group[0] ? group : "/");
	return err_at(e, r, member);
}

static int compare(int dfd, const struct plan_rdt *r, struct err *e)
{
	char has[RDT_SCHEMATA_MAX];
	ssize_t n = io_read_at(dfd, "schemata", has, sizeof(has));

	if (n < 0)
		return fail(e, (int)n, "linux.intelRdt.closID", "read the schemata", r->group);
	if (rdt_schemata_hold(r->schemata, has))
		return 0;
	return err_config(e, "linux.intelRdt.closID", "\"%s\" — this group exists with other schemata than the ones that are asked for", r->group[0] ? r->group : "/");
}

static int write_schemata(int dfd, const char *schemata, const char *group, struct err *e)
{
	int r = io_write_once_at(dfd, "schemata", schemata, strlen(schemata));

	return r < 0 ? fail(e, r, "linux.intelRdt", "write the schemata", group) : 0;
}

static int settle(int dfd, const struct plan_rdt *r, bool made, struct err *e)
{
	/* The default group is the machine's: what is asked for it is compared like any existing one. */
	if (!r->schemata[0])
		return 0;
	if (!made)
		return compare(dfd, r, e);
	return write_schemata(dfd, r->schemata, r->group, e);
}

int rdt_prepare(int root_dfd, const struct plan_rdt *r, const char *token, bool *ret_made, struct err *e)
{
	int made = r->must_exist || !r->group[0] ? 0 : make_dir(root_dfd, r->group, token), x;
	struct err ignored;

	*ret_made = made > 0;
	if (made < 0)
		return fail(e, made, "linux.intelRdt.closID", "make the directory", r->group);
	if (made == 0 && !r->named)
		return err_config(e, "linux.intelRdt", "a resctrl group called \"%s\", like the container, is there already", r->group);
	scoped_fd int dfd = open_group(root_dfd, r->group);
	x = dfd < 0 ? fail(e, dfd, "linux.intelRdt.closID", "open the directory", r->group) : settle(dfd, r, made, e);
	if (x == 0 && r->mon_group && (x = make_dir(root_dfd, r->mon_group, token)) <= 0)
		x = fail(e, x < 0 ? x : -EEXIST, "linux.intelRdt.enableMonitoring", "make the monitoring group", r->mon_group);
	if (x < 0 && made)
		rdt_remove(root_dfd, r->group, token, &ignored);
	return x < 0 ? x : 0;
}

/* The kernel rounds a bandwidth; what it makes of a value that isn't asked for exactly is no limit that was asked for. */
static int check_schemata(int dfd, const char *schemata, const char *group, struct err *e)
{
	char has[RDT_SCHEMATA_MAX];
	ssize_t n = io_read_at(dfd, "schemata", has, sizeof(has));

	if (n < 0)
		return fail(e, (int)n, "linux.intelRdt", "read the schemata", group);
	if (rdt_schemata_hold(schemata, has))
		return 0;
	err_set(e, ERR_SYS, EIO, "the schemata of resctrl group \"%s\" read back otherwise", group);
	return err_at(e, -EIO, "linux.intelRdt");
}

int rdt_update(int root_dfd, const struct plan_rdt *r, const char *token, const char *schemata, char *ret_before, struct err *e)
{
	scoped_fd int dfd = open_group(root_dfd, r->group);
	struct err ignored;

	if (!r->group[0])
		return err_config(e, "linux.intelRdt.closID", "\"/\" — the default group is the machine's: its schemata aren't the container's to change");
	if (dfd < 0)
		return fail(e, dfd, "linux.intelRdt", "open the directory", r->group);
	if (!r->named && !is_ours(dfd, token))
		return fail(e, -EPERM, "linux.intelRdt", "find the token of the container", r->group);
	ssize_t n = io_read_at(dfd, "schemata", ret_before, RDT_SCHEMATA_MAX);
	if (n < 0)
		return fail(e, (int)n, "linux.intelRdt", "read the schemata", r->group);
	int x = write_schemata(dfd, schemata, r->group, e);
	if (x < 0)
		return x;
	x = check_schemata(dfd, schemata, r->group, e);
	if (x < 0)
		write_schemata(dfd, ret_before, r->group, &ignored);
	return x;
}

int rdt_put_back(int root_dfd, const struct plan_rdt *r, const char *before, struct err *e)
{
	scoped_fd int dfd = open_group(root_dfd, r->group);

	return dfd < 0 ? fail(e, dfd, "linux.intelRdt", "open the directory", r->group) : write_schemata(dfd, before, r->group, e);
}

int rdt_join(int root_dfd, const struct plan_rdt *r, pid_t pid, struct err *e)
{
	const char *paths[] = { r->group, r->mon_group };
	char number[NUM_U64_MAX_CHARS];
	unsigned n = num_print_u64(number, (uint64_t)pid);

	for (size_t i = 0; i < ARRAY_LEN(paths) && paths[i]; i++) {
		scoped_fd int dfd = open_group(root_dfd, paths[i]);
		int x = dfd < 0 ? dfd : io_write_once_at(dfd, "tasks", number, n);
		if (x < 0)
			return fail(e, x, "linux.intelRdt", "write the process into the tasks", paths[i]);
	}
	return 0;
}

int rdt_remove(int root_dfd, const char *path, const char *token, struct err *e)
{
	scoped_fd int fd = open_group(root_dfd, path);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fail(e, fd, "", "open the directory", path);
	if (!is_ours(fd, token))
		return -EPERM;
	if (unlinkat(root_dfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return fail(e, -errno, "", "remove the directory", path);
	return 0;
}
