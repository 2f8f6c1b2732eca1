/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for each test, gone when all have run: what a failed test leaves goes, too. */
#ifndef HULL_TESTS_SCRATCH_H
#define HULL_TESTS_SCRATCH_H

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static char scratch_base[64], dir[128]; /* `dir` is the test's own */

/* In the parent of all tests. */
static void scratch_make_base(void)
{
	strcpy(scratch_base, "/tmp/hull-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch_base));
}

static void scratch_remove_base(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", scratch_base);
	ck_assert_int_eq(system(cmd), 0);
}

static void scratch_make_dir(void)
{
	snprintf(dir, sizeof(dir), "%s/%d", scratch_base, (int)getpid());
	ck_assert_int_eq(mkdir(dir, 0700), 0);
}

/* Four paths are good at a time. */
static inline const char *in_dir(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

/* `then` (NULL: nothing) is run in each test after its directory has been made. */
static inline void scratch_for(TCase *t, void (*then)(void))
{
	tcase_add_unchecked_fixture(t, scratch_make_base, scratch_remove_base);
	tcase_add_checked_fixture(t, scratch_make_dir, NULL);
	if (then)
		tcase_add_checked_fixture(t, then, NULL);
}

#endif
