/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the state share: a folder for each test below one that the program removes at its end,
 * whatever the tests did. */
#ifndef HULL_TESTS_STATE_FIXTURE_H
#define HULL_TESTS_STATE_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/state.h"

#define FIXTURE_TOKEN "00112233445566778899aabbccddeeff"

static char fixture_base[64];
static char fixture_boot[64];

static inline void fixture_start(void)
{
	snprintf(fixture_base, sizeof(fixture_base), "/tmp/hull-state.XXXXXX");
	if (!mkdtemp(fixture_base) || chmod(fixture_base, 0711) < 0 ||
	    state_boot_id(fixture_boot, sizeof(fixture_boot)) < 0) {
		perror(fixture_base);
		exit(EXIT_FAILURE);
	}
}

static inline void fixture_remove_tree(int dfd, const char *name)
{
	int fd = openat(dfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;

	while (dir && (ent = readdir(dir)))
		if (strcmp(ent->d_name, ".") && strcmp(ent->d_name, "..") && unlinkat(fd, ent->d_name, 0) < 0)
			fixture_remove_tree(fd, ent->d_name);
	if (dir)
		closedir(dir);
	unlinkat(dfd, name, AT_REMOVEDIR);
}

static inline void fixture_end(void)
{
	fixture_remove_tree(AT_FDCWD, fixture_base);
}

/* A path below the test's own folder. The last eight results stay valid. */
static inline const char *fixture_path(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%d", fixture_base, getpid());
	mkdir(p, 0700);
	snprintf(p, sizeof(paths[0]), "%s/%d/%s", fixture_base, getpid(), name);
	return p;
}

static inline int fixture_root(void)
{
	struct err e;
	int root = state_root_open(fixture_path("root"), true, &e);

	ck_assert_msg(root >= 0, "%s", e.msg);
	return root;
}

static inline struct state_rec fixture_rec(const char *id)
{
	static struct undo undo[] = { { UNDO_CGROUP, "/hull-unit-test/none" }, { UNDO_PROCESS, NULL } };

	return (struct state_rec){
		.version = STATE_VERSION,
		.stage = STAGE_CREATING,
		.id = id,
		.bundle = "/bundle",
		.rootfs = "/bundle/rootfs",
		.created = "2026-01-02T03:04:05.678901234Z",
		.owner = "",
		.boot_id = fixture_boot,
		.oci_version = "1.3.0",
		.token = FIXTURE_TOKEN,
		.undo = undo,
		.n_undo = 2,
	};
}

static inline struct state_dir fixture_claim(int root, const char *id)
{
	struct state_rec rec = fixture_rec(id);
	struct state_dir d;
	struct err e;
	bool stale;

	int r = state_claim(root, &rec, "{}", 2, &d, &stale, &e);
	ck_assert_msg(r == 0, "claim %s: %s", id, e.msg);
	return d;
}

static inline void fixture_remove(int root, const char *id)
{
	struct state_dir d;
	struct err e;

	ck_assert_msg(state_open(root, id, 1000, &d, &e) == 0, "%s", e.msg);
	ck_assert_msg(state_remove(&d, &e) == 0, "%s", e.msg);
	state_close(&d);
}

#endif
