/* SPDX-License-Identifier: Apache-2.0 */
/* The command line on top of verbs that only note what they were asked: shared by the programs that test it. */
#ifndef HULL_TESTS_CLI_FIXTURE_H
#define HULL_TESTS_CLI_FIXTURE_H

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/logout.h"
#include "cli/out.h"
#include "ocispec/ocispec.h"
#include "scratch.h"

/* ---- the verbs ---- */

static char asked[4096]; /* one line a call */
static int verb_fails; /* -errno that every verb returns, with the message "no" */

static void ask(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void ask(const char *fmt, ...)
{
	size_t n = strlen(asked);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(asked + n, sizeof(asked) - n, fmt, ap);
	va_end(ap);
}

static int answer(struct err *e)
{
	return verb_fails ? err_set(e, ERR_STATE, -verb_fails, "no") : 0;
}

static const char *or_dash(const char *s)
{
	return s ? s : "-";
}

static void ask_create(const char *verb, const struct hull *h, const char *id, const struct hull_create_opts *o)
{
	ask("%s %s root=%s b=%s f=%s cs=%s pf=%s pfs=%s fds=%u %s%s%s%s%s%s\n", verb, id, or_dash(h->root),
	    or_dash(o->bundle),
	    or_dash(o->config), or_dash(o->console_socket), or_dash(o->pid_file), or_dash(o->pidfd_socket),
	    o->preserve_fds,
	    o->no_pivot ? "no-pivot," : "", o->no_new_keyring ? "no-new-keyring," : "", o->detach ? "detach," : "",
	    o->keep ? "keep," : "", o->no_subreaper ? "no-subreaper," : "", "end");
	for (size_t i = 0; h->allow_annotations && h->allow_annotations[i]; i++)
		ask("allowed %s\n", h->allow_annotations[i]);
}

int hull_create(const struct hull *h, const char *id, const struct hull_create_opts *o, struct err *e)
{
	ask_create("create", h, id, o);
	return answer(e);
}

int hull_run(const struct hull *h, const char *id, const struct hull_create_opts *o, int *ret_status, struct err *e)
{
	ask_create("run", h, id, o);
	*ret_status = 42;
	return answer(e);
}

int hull_explain(const struct hull *h, const char *id, const struct hull_create_opts *o, bool json,
		 const char *facts_file,
		 struct oci_arena *a UNUSED, const char **ret_text, struct err *e)
{
	ask_create("explain", h, id, o);
	ask("json=%d facts=%s\n", json, or_dash(facts_file));
	*ret_text = "the plan\n";
	return answer(e);
}

int hull_check(const struct hull *h UNUSED, const char *bundle, const char *config, struct oci_arena *a, struct hull_findings *ret, struct err *e)
{
	ask("check b=%s f=%s\n", or_dash(bundle), or_dash(config));
	*ret = (struct hull_findings){ .v = oci_arena_alloc(a, 2 * sizeof(*ret->v)), .n = 2, .n_errors = 1 };
	ret->v[0] = (struct hull_finding){ .level = "error", .path = "root.path", .msg = "bad" };
	ret->v[1] = (struct hull_finding){ .level = "note", .path = "", .msg = "esc\033" };
	return answer(e);
}

const char *hull_findings_json(const struct hull_findings *f UNUSED, struct oci_arena *a UNUSED)
{
	return "{}";
}

int hull_features(const struct oci_map *about, struct oci_arena *a UNUSED, const char **ret_text, struct err *e)
{
	ask("features %zu annotations\n", about->n);
	*ret_text = "{}";
	return answer(e);
}

int hull_start(const struct hull *h UNUSED, const char *id, struct err *e)
{
	ask("start %s\n", id);
	return answer(e);
}

static void ask_list(const char *name, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ask("%s[%s] ", name, v[i]);
}

int hull_exec(const struct hull *h UNUSED, const char *id, const struct hull_exec_opts *o, int *ret_status,
	      struct err *e)
{
	ask("exec %s ", id);
	ask_list("arg", o->args, o->n_args);
	ask_list("env", o->env, o->n_env);
	ask_list("cap", o->caps, o->n_caps);
	ask_list("gid", o->additional_gids, o->n_additional_gids);
	ask_list("cg", o->cgroups, o->n_cgroups);
	ask("p=%s cwd=%s u=%s label=%s aa=%s cs=%s pf=%s pfs=%s fds=%u %s%s%s%send\n",
	    or_dash(o->process_file), or_dash(o->cwd),
	    or_dash(o->user), or_dash(o->process_label), or_dash(o->apparmor),
	    or_dash(o->console_socket),
	    or_dash(o->pid_file), or_dash(o->pidfd_socket), o->preserve_fds, o->tty ? "tty," : "", o->detach ? "detach," : "",
	    o->no_new_privs ? "no-new-privs," : "", o->ignore_paused ? "ignore-paused," : "");
	*ret_status = 130;
	return answer(e);
}

static struct oci_state *make_state(struct oci_arena *a, const char *id, int64_t pid)
{
	struct oci_state *s = oci_arena_alloc(a, sizeof(*s));

	*s = (struct oci_state){ .oci_version = "1.3.0", .id = id, .status = pid ? OCI_STATUS_RUNNING : OCI_STATUS_STOPPED, .pid = { .set = true, .v = pid }, .bundle = "/b", .created = "2026-01-02T03:04:05Z" };
	return s;
}

int hull_state(const struct hull *h UNUSED, const char *id, struct oci_arena *a, struct oci_state **ret, struct err *e)
{
	ask("state %s\n", id);
	*ret = make_state(a, id, 7);
	return answer(e);
}

static size_t n_listed = 2;

int hull_list(const struct hull *h UNUSED, struct oci_arena *a, struct hull_list *ret, struct err *e)
{
	static const char *const ids[] = { "web-1", "db" };

	*ret = (struct hull_list){ .v = oci_arena_alloc(a, 2 * sizeof(*ret->v)), .n = n_listed };
	for (size_t i = 0; i < n_listed; i++)
		ret->v[i] = make_state(a, ids[i], (int64_t)i);
	if (n_listed)
		ret->v[0]->bundle = "/b/\033[31m";
	return verb_fails == -EIO ? answer(e) : 0;
}

int hull_kill(const struct hull *h UNUSED, const char *id, int sig, bool all, struct err *e)
{
	ask("kill %s %d %d\n", id, sig, all);
	return answer(e);
}

int hull_delete(const struct hull *h UNUSED, const char *id, bool force, struct err *e)
{
	ask("delete %s %d\n", id, force);
	return answer(e);
}

int hull_pause(const struct hull *h UNUSED, const char *id, struct err *e)
{
	ask("pause %s\n", id);
	return answer(e);
}

int hull_resume(const struct hull *h UNUSED, const char *id, struct err *e)
{
	ask("resume %s\n", id);
	return answer(e);
}

/* A document that has a pids limit. */
int hull_read_resources(const char *path, struct oci_arena *a, struct oci_resources **ret, struct err *e)
{
	ask("read %s\n", path);
	*ret = oci_arena_alloc(a, sizeof(**ret));
	(*ret)->pids = oci_arena_alloc(a, sizeof(*(*ret)->pids));
	(*ret)->pids->limit = (struct opt_i64){ .set = true, .v = 7 };
	return answer(e);
}

int hull_update(const struct hull *h UNUSED, const char *id, const struct hull_update_opts *o, uint64_t *ret_reclaimed, struct err *e)
{
	struct oci_arena a = { 0 };

	ask("update %s %s reclaim=%llu\n", id, oci_write(&oci_resources_desc, o->resources, 0, &a, NULL),
	    (unsigned long long)o->reclaim);
	oci_arena_release(&a);
	*ret_reclaimed = 5;
	return answer(e);
}

int hull_ps(const struct hull *h UNUSED, const char *id, struct oci_arena *a, pid_t **ret, size_t *ret_n, struct err *e)
{
	ask("ps %s\n", id);
	*ret = oci_arena_alloc(a, 2 * sizeof(**ret));
	(*ret)[0] = getpid();
	(*ret)[1] = 2;
	*ret_n = 2;
	return answer(e);
}

/* ---- running a line ---- */

static char out[65536], err[65536];

static void enter_dir(void)
{
	ck_assert_int_eq(chdir(dir), 0);
}

static void take_text(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	ck_assert_int_ge(n, 0);
	buf[n] = '\0';
}

/* Run with standard output and error in memory. */
static int run_argv(char *const *argv)
{
	static struct cli c;
	int fds[2] = { memfd_create("out", MFD_CLOEXEC), memfd_create("err", MFD_CLOEXEC) }, saved[2];

	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		saved[i] = dup(i + 1);
		ck_assert_int_eq(dup2(fds[i], i + 1), i + 1);
	}
	c = (struct cli){ 0 };
	asked[0] = '\0';
	int status = cli_main(&c, argv);
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i + 1);
		close(saved[i]);
	}
	take_text(fds[0], out, sizeof(out));
	take_text(fds[1], err, sizeof(err));
	close(fds[0]);
	close(fds[1]);
	/* No two tests share a log. */
	struct err e;
	logout_open(NULL, NULL, NULL, false, &e);
	oci_arena_release(&c.arena);
	return status;
}

/* `line` is split at spaces; ~ stands for a space, an empty word can't be written. */
static int run(const char *line)
{
	static char copy[4096];
	char *argv[64], *rest = copy;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		for (char *p = strchr(w, '~'); p; p = strchr(p, '~'))
			*p = ' ';
		ck_assert_uint_lt(n, ARRAY_LEN(argv) - 1);
		argv[n++] = w;
	}
	argv[n] = NULL;
	return run_argv(argv);
}

static UNUSED void must_ask(const char *line, int status, const char *expected)
{
	int got = run(line);

	ck_assert_msg(streq(asked, expected) && got == status && !*err,
		      "hull %s\n asked: %s want: %s status %d, stderr: %s", line, asked, expected, got, err);
}

static void must_refuse(const char *line, const char *expected)
{
	char want[1024];
	int got = run(line);

	snprintf(want, sizeof(want), "hull: %s\n", expected);
	ck_assert_msg(got == 1 && streq(err, want) && !*asked && !*out,
		      "hull %s\n status %d, stderr: %s want: %s asked: %s, stdout: %s", line, got, err, want, asked, out);
}

/* Add the directory of their own to a case's tests, and the time limit. */
static void add_fixture(TCase *t)
{
	tcase_set_timeout(t, 20);
	scratch_for(t, enter_dir);
}

#endif
