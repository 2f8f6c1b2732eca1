/* SPDX-License-Identifier: Apache-2.0 */
/* The state root: where it is, that it is the caller's alone, and what is in it. Records hold hooks, so
 * whoever can write here runs code as the caller: a foreign or open root is refused (security rule R13). */
#include "state/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "sys/ns.h"

#define ROOT_PATH_MAX 4096

/* Take "/" and "/." off the end: with them, O_NOFOLLOW would follow a symlink. */
static void trim_path(char *path)
{
	size_t n = strlen(path);

	for (;;) {
		if (n > 1 && path[n - 1] == '/')
			n--;
		else if (n > 2 && path[n - 1] == '.' && path[n - 2] == '/')
			n--;
		else
			break;
		path[n] = '\0';
	}
}

static int root_path(const char *option, char *path, mode_t *ret_mode, struct err *e)
{
	const char *base = option, *tail = "";
	*ret_mode = 0700;

	/* Root of the system never looks at the environment: XDG_RUNTIME_DIR may have come along with sudo. */
	if (!option && ns_is_root_of_system()) {
		base = "/run/hull";
	} else if (!option) {
		base = getenv("XDG_RUNTIME_DIR");
		tail = "/hull";
		/* Sticky: clean-up of old files there must leave it alone (XDG Base Directory Specification). */
		*ret_mode = 01700;
		if (!base || base[0] != '/')
			return err_set(e, ERR_USAGE, 0, "no place for the state: XDG_RUNTIME_DIR is %s; give --root",
				       base ? "not an absolute path" : "not set");
	}
	if (!base[0])
		return err_set(e, ERR_USAGE, 0, "--root is empty");
	if ((size_t)snprintf(path, ROOT_PATH_MAX, "%s%s", base, tail) >= ROOT_PATH_MAX)
		return err_set(e, ERR_USAGE, ENAMETOOLONG, "state root");
	trim_path(path);
	return 0;
}

static int make_with_parents(char *path, mode_t mode)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		int r = mkdir(path, 0700) < 0 ? -errno : 0;
		*p = '/';
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

static int check_root(int dfd, const char *path, struct err *e)
{
	struct stat st, slash;

	if (fstat(dfd, &st) < 0 || stat("/", &slash) < 0)
		return err_sys(e, -errno, "look at state root %s", path);
	if (st.st_dev == slash.st_dev && st.st_ino == slash.st_ino)
		return err_set(e, ERR_USAGE, 0, "--root / is refused: the state root must be a directory of its own");
	if (st.st_uid != geteuid())
		return err_set(e, ERR_STATE, 0, "state root %s belongs to uid %u, not to uid %u", path, st.st_uid,
			       geteuid());
	if (st.st_mode & 077)
		return err_set(e, ERR_STATE, 0,
			       "state root %s has mode %03o: group and others must have no access (chmod 700)",
			       path, st.st_mode & 0777);
	return 0;
}

int state_root_open(const char *root_option, bool create, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char path[ROOT_PATH_MAX];
	mode_t mode;

	int r = root_path(root_option, path, &mode, e);
	if (r < 0)
		return r;
	scoped_fd int dfd = open(path, flags);
	if (dfd < 0 && errno == ENOENT && create) {
		r = make_with_parents(path, mode);
		if (r < 0)
			return err_sys(e, r, "make state root %s", path);
		dfd = open(path, flags);
	}
	/* O_DIRECTORY makes a symlink ENOTDIR, not ELOOP. */
	if (dfd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
		err_set(e, ERR_STATE, 0, "state root %s is not a directory (a symbolic link is not followed)", path);
		return -ENOTDIR;
	}
	if (dfd < 0)
		return err_sys(e, -errno, "open state root %s", path);
	r = check_root(dfd, path, e);
	return r < 0 ? r : take_fd(&dfd);
}

int state_id_check(const char *id, struct err *e)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-";
	size_t n = strlen(id);

	if (n == 0)
		return err_set(e, ERR_USAGE, 0, "container id is empty");
	if (n > STATE_ID_MAX)
		return err_set(e, ERR_USAGE, 0, "container id has %zu characters: at most %d are allowed", n,
			       STATE_ID_MAX);
	if (id[0] == '.')
		return err_set(e, ERR_USAGE, 0, "container id \"%s\" — must not begin with a dot", id);
	if (id[strspn(id, allowed)])
		return err_set(e, ERR_USAGE, 0,
			       "container id \"%s\" — only letters, digits and _ + . - are allowed", id);
	return 0;
}

struct id_list {
	struct oci_arena arena;
	char **v;
	size_t n, cap;
};

static int list_add(struct id_list *l, const char *id)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		char **v = oci_arena_alloc(&l->arena, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n] = oci_arena_strdup(&l->arena, id);
	if (!l->v[l->n])
		return -ENOMEM;
	l->n++;
	return 0;
}

static int list_read(int root_dfd, struct id_list *l)
{
	struct err ignored;
	int fd = openat(root_dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	int r = 0;
	for (;;) {
		errno = 0;
		struct dirent *ent = readdir(dir);
		if (!ent) {
			r = -errno;
			break;
		}
		if (state_id_check(ent->d_name, &ignored) < 0)
			continue;
		r = list_add(l, ent->d_name);
		if (r < 0)
			break;
	}
	closedir(dir);
	return r;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int state_each(int root_dfd, int (*f)(void *arg, const char *id), void *arg, struct err *e)
{
	struct id_list l = { 0 };

	int r = list_read(root_dfd, &l);
	if (r < 0) {
		err_sys(e, r, "list the state root");
	} else {
		if (l.n)
			qsort(l.v, l.n, sizeof(*l.v), compare_ids);
		for (size_t i = 0; i < l.n && r >= 0; i++)
			r = f(arg, l.v[i]);
	}
	oci_arena_release(&l.arena);
	return r;
}

int state_boot_id(char *buf, size_t size)
{
	char text[64];
	ssize_t n = io_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, sizeof(text));

	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	size_t len = strlen(text);
	if (len == 0)
		return -ENODATA;
	if (len >= size)
		return -ENOSPC;
	memcpy(buf, text, len + 1);
	return 0;
}
