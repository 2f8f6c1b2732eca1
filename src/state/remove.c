/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a container's directory. It first leaves its id by one rename, so that nobody ever meets half
 * of one; what a killed delete leaves under the other name is found by the next. */
#include "state/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "state/layout.h"

static const char *const known_files[] = { STATE_START_SOCKET, STATE_CONFIG_FILE, STATE_RECORD_FILE };

static bool is_word(const char *s, size_t n)
{
	return strlen(s) == n && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
}

/* Does `name` read PREFIX ID . SUFFIX with a suffix of `n` characters? */
static bool is_name_of(const char *name, const char *prefix, const char *id, size_t n)
{
	size_t p = strlen(prefix), i = strlen(id);

	return strncmp(name, prefix, p) == 0 && strncmp(name + p, id, i) == 0 && name[p + i] == '.' &&
	       is_word(name + p + i + 1, n);
}

/* What a killed io_replace_at leaves: .state.json.0123456789abcdef */
static bool is_temporary(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(known_files); i++)
		if (is_name_of(name, ".", known_files[i], 16))
			return true;
	return false;
}

static DIR *open_list(int dfd)
{
	int fd = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

/* Remove temporary files. *ret_foreign: the first name that isn't ours. */
static void remove_temporaries(int dfd, char *ret_foreign, size_t size)
{
	DIR *dir = open_list(dfd);
	struct dirent *ent;

	while (dir && (ent = readdir(dir))) {
		if (is_temporary(ent->d_name))
			unlinkat(dfd, ent->d_name, 0);
		else if (!streq(ent->d_name, ".") && !streq(ent->d_name, "..") && !ret_foreign[0])
			snprintf(ret_foreign, size, "%s", ent->d_name);
	}
	if (dir)
		closedir(dir);
}

/* In the container it is read-only, so there is nothing else in it. */
static int remove_notify(const struct state_dir *d)
{
	scoped_fd int dfd = state_notify_open(d);

	if (dfd == -ENOENT)
		return 0;
	if (dfd < 0)
		return dfd;
	if ((unlinkat(dfd, STATE_NOTIFY_SOCKET, 0) < 0 && errno != ENOENT) || (unlinkat(d->dfd, STATE_NOTIFY_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT))
		return -errno;
	return 0;
}

int state_remove_linked(struct state_dir *d, struct err *e)
{
	char foreign[256] = "";
	int r = remove_notify(d);

	if (r < 0)
		return err_sys(e, r, "remove %s of container \"%s\"", STATE_NOTIFY_DIR, d->id);
	for (size_t i = 0; i < ARRAY_LEN(known_files); i++)
		if (unlinkat(d->dfd, known_files[i], 0) < 0 && errno != ENOENT)
			return err_sys(e, -errno, "remove %s of container \"%s\"", known_files[i], d->id);
	/* Another directory by this name is not ours to remove. */
	if (!state_still_ours(d) || unlinkat(d->root_dfd, d->name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_sys(e, -errno, "remove the state directory of container \"%s\"", d->id);
	remove_temporaries(d->dfd, foreign, sizeof(foreign));
	if (unlinkat(d->root_dfd, d->name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, -errno, "remove the state directory of container \"%s\" (\"%s\" in %s is not hull's)",
		       d->id, foreign, d->name);
}

/* Move the directory from its id to a name of its own. 1, or 0 when it was gone already. */
static int move_away(struct state_dir *d)
{
	char suffix[STATE_DEAD_SUFFIX + 1], dead[sizeof(d->name)];

	if (!streq(d->name, d->id))
		return state_still_ours(d);
	int r = state_random_name(suffix, STATE_DEAD_SUFFIX);
	if (r < 0)
		return r;
	if (!state_still_ours(d))
		return 0;
	snprintf(dead, sizeof(dead), ".dead-%s.%s", d->id, suffix);
	r = state_rename_new(d->root_dfd, d->name, dead);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!state_is_linked(d->root_dfd, dead, d->dfd)) {
		/* Between look and rename the id got a new owner: give it back. */
		r = state_rename_new(d->root_dfd, dead, d->id);
		return r < 0 ? r : 0;
	}
	memcpy(d->name, dead, sizeof(d->name));
	return 1;
}

int state_break(struct state_dir *d, struct err *e)
{
	int r = move_away(d);

	if (r < 0)
		return err_sys(e, r, "break the lock of container \"%s\"", d->id);
	if (r > 0)
		return 0;
	err_set(e, ERR_STATE, 0, "container \"%s\" does not exist", d->id);
	return -ENOENT;
}

int state_remove(struct state_dir *d, struct err *e)
{
	int r = move_away(d);

	if (r < 0)
		return err_sys(e, r, "remove the state directory of container \"%s\"", d->id);
	return r == 0 ? 0 : state_remove_linked(d, e);
}

/* Open `name` for removal; takes the lock unless someone has it. 1 ready, 0 not there or not ours to touch. */
static int open_leftover(int root_dfd, const char *id, const char *name, bool locked_too, struct state_dir *d)
{
	int r = state_dir_init(d, root_dfd, id, name);

	if (r < 0)
		return r;
	d->dfd = state_open_dir(root_dfd, name);
	if (d->dfd >= 0) {
		d->lock_fd = state_try_lock(d->dfd);
		if ((d->lock_fd >= 0 || locked_too) && state_still_ours(d))
			return 1;
	}
	state_close(d);
	return 0;
}

static int remove_claim(void *arg UNUSED, struct state_dir *d, struct err *e)
{
	return state_remove_linked(d, e);
}

static int each_leftover(int root_dfd, const char *id, const char *prefix, size_t suffix, bool locked_too,
			 int (*f)(void *arg, struct state_dir *d, struct err *e), void *arg, struct err *e)
{
	DIR *dir = open_list(root_dfd);
	struct dirent *ent;
	struct state_dir d;
	int r = 0;

	if (!dir)
		return err_sys(e, -errno, "list the state root");
	while (r >= 0 && (ent = readdir(dir))) {
		if (!is_name_of(ent->d_name, prefix, id, suffix))
			continue;
		r = open_leftover(root_dfd, id, ent->d_name, locked_too, &d);
		if (r < 0) {
			err_sys(e, r, "open %s in the state root", ent->d_name);
		} else if (r > 0) {
			r = f(arg, &d, e);
			state_close(&d);
		}
	}
	closedir(dir);
	return r < 0 ? r : 0;
}

int state_remove_claims(int root_dfd, const char *id, struct err *e)
{
	return each_leftover(root_dfd, id, ".", STATE_CLAIM_SUFFIX, false, remove_claim, NULL, e);
}

int state_each_dead(int root_dfd, const char *id, bool locked_too,
		    int (*f)(void *arg, struct state_dir *d, struct err *e), void *arg, struct err *e)
{
	return each_leftover(root_dfd, id, ".dead-", STATE_DEAD_SUFFIX, locked_too, f, arg, e);
}
