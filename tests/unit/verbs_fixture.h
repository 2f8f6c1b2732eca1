/* SPDX-License-Identifier: Apache-2.0 */
/* Containers made of nothing but a record and a sleeping process. */
#ifndef HULL_TESTS_VERBS_FIXTURE_H
#define HULL_TESTS_VERBS_FIXTURE_H

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/log.h"
#include "lib/hull.h"
#include "state_fixture.h"

#define CONFIG "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"}%s}"

static char warnings[8192];

static inline void keep_warning(void *arg UNUSED, enum log_level level, const char *line)
{
	if (level <= LOG_LVL_WARNING)
		snprintf(warnings + strlen(warnings), sizeof(warnings) - strlen(warnings), "%s\n", line);
}

static inline struct hull begin(void)
{
	log_set_sink((struct log_sink){ .write = keep_warning, .level = LOG_LVL_WARNING });
	warnings[0] = '\0';
	close(fixture_root());
	return (struct hull){ .root = strdup(fixture_path("root")) };
}

/* libcheck's handler of SIGTERM passes it on to the whole group: the child is born without it, and may be signalled before it has run at all. */
static inline pid_t sleeper(void)
{
	void (*handler)(int) = signal(SIGTERM, SIG_DFL);
	pid_t pid = fork();

	while (pid == 0)
		pause();
	signal(SIGTERM, handler);
	return pid;
}

/* 1 alive, 0 dead (and reaped then). */
static inline int alive(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

/* The signal that ended it. */
static inline int ended_by(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static struct undo process_only[] = { { UNDO_PROCESS, NULL } };

static inline struct state_rec rec_of(const char *id, pid_t pid)
{
	struct state_rec rec = fixture_rec(id);

	rec.undo = process_only;
	rec.n_undo = 1;
	rec.stage = STAGE_CREATED;
	if (pid > 0)
		ck_assert_int_eq(proc_id_of(pid, &rec.init), 0);
	return rec;
}

static inline void make(const struct hull *h, const struct state_rec *rec, const char *more_config)
{
	scoped_fd int root = open(h->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char config[2048];
	struct state_dir d;
	struct err e;
	bool stale;

	snprintf(config, sizeof(config), CONFIG, more_config);
	int r = state_claim(root, rec, config, strlen(config), &d, &stale, &e);
	ck_assert_msg(r == 0, "%s", e.msg);
	state_close(&d);
}

static inline bool exists(const struct hull *h, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", h->root, name);
	return access(path, F_OK) == 0;
}

static inline int entries(const struct hull *h)
{
	DIR *dir = opendir(h->root);
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

#endif
