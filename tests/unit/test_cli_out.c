/* SPDX-License-Identifier: Apache-2.0 */
/* What comes out of the command line: logs, tables, JSON, the configuration of spec. */
#include "cli_fixture.h"

#include "cli/psfilter.h"
#include "ocispec/ocispec.h"

/* ---- logs ---- */

static char log_text[65536];

static void read_log(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "no log at %s", path);
	take_text(fd, log_text, sizeof(log_text));
	close(fd);
}

/* {"level":"LEVEL","msg":"MSG","time":"2026-01-02T03:04:05.678901Z"} and a newline, nothing more. */
static void must_be_json_line(const char *line, const char *level, const char *msg)
{
	char head[512];
	int n[6], end = 0;

	snprintf(head, sizeof(head), "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"", level, msg);
	ck_assert_msg(str_starts(line, head), "%s want %s", line, head);
	line += strlen(head);
	ck_assert_int_eq(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%*6[0-9]Z\"}\n%n", &n[0], &n[1], &n[2], &n[3], &n[4],
				&n[5], &end),
			 6);
	ck_assert_int_gt(end, 0);
	ck_assert_uint_eq(strlen(line), (size_t)end);
}

START_TEST(log_json)
{
	struct stat st;

	verb_fails = -ESRCH;
	umask(022);
	ck_assert_int_eq(run("--log log.json --log-format json start c1"), 1);
	ck_assert_str_eq(err, "hull: no: no such process\n");
	read_log("log.json");
	must_be_json_line(log_text, "error", "no: no such process");
	ck_assert_int_eq(stat("log.json", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	/* Appended, with the same text for every kind of failure. */
	ck_assert_int_eq(run("--log=file:log.json --log-format=json create --nope"), 1);
	read_log("log.json");
	must_be_json_line(strchr(log_text, '\n') + 1, "error", "flag provided but not defined: --nope");
	ck_assert_int_eq(run("start c1 --log second.json --log-format json --cgroup-manager x"), 1);
	read_log("second.json");
	must_be_json_line(log_text, "error", "--cgroup-manager: \\\"x\\\" is not one of cgroupfs, systemd, disabled");
}
END_TEST

START_TEST(log_exists_when_empty)
{
	ck_assert_int_eq(run("--log log.json --log-format json start c1"), 0);
	ck_assert_str_eq(err, "");
	read_log("log.json");
	ck_assert_str_eq(log_text, "");
}
END_TEST

START_TEST(log_text_file)
{
	verb_fails = -ESRCH;
	ck_assert_int_eq(run("--log log.txt start c1"), 1);
	read_log("log.txt");
	ck_assert(str_starts(log_text, "time=\""));
	ck_assert_ptr_nonnull(strstr(log_text, "Z\" level=error msg=\"no: no such process\"\n"));
	ck_assert_str_eq(err, "hull: no: no such process\n");
}
END_TEST

/* JSON on standard error: the one object and nothing beside it. */
START_TEST(log_json_on_stderr)
{
	verb_fails = -ESRCH;
	ck_assert_int_eq(run("--log-format json start c1"), 1);
	must_be_json_line(err, "error", "no: no such process");
	ck_assert_int_eq(run("--log /dev/stderr --log-format json start c1"), 1);
	ck_assert(str_starts(err, "{\"level\":\"error\""));
}
END_TEST

START_TEST(log_levels)
{
	static const struct {
		const char *word;
		unsigned n;
	} cases[] = { { "error", 0 }, { "warning", 1 }, { "warn", 1 }, { "info", 2 }, { "debug", 3 } };
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unlink("log");
		ck_assert_int_eq(logout_open("log", "json", cases[i].word, false, &e), 0);
		log_warn("a \"warning\"\n");
		log_info("info");
		log_debug("debug");
		read_log("log");
		unsigned lines = 0;
		for (const char *p = strchr(log_text, '\n'); p; p = strchr(p + 1, '\n'))
			lines++;
		ck_assert_uint_eq(lines, cases[i].n);
		if (lines)
			ck_assert(str_starts(log_text,
					     "{\"level\":\"warning\",\"msg\":\"a \\\"warning\\\"\\\\x0a\",\"time\":"));
	}
	/* The default, and --debug over --log-level. */
	ck_assert_int_eq(logout_open("default", "json", NULL, false, &e), 0);
	ck_assert(!log_enabled(LOG_LVL_WARNING));
	ck_assert_int_eq(logout_open("default", "json", "error", true, &e), 0);
	ck_assert(log_enabled(LOG_LVL_DEBUG));
}
END_TEST

START_TEST(log_cannot_be_opened)
{
	char expected[256];

	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	ck_assert_int_eq(mkdir("directory", 0700), 0);
	must_refuse("--log fifo start c1", "--log: open fifo: no such device or address");
	must_refuse("--log directory start c1", "--log: open directory: is a directory");
	must_refuse("--log none/log start c1", "--log: open none/log: no such file or directory");
	must_refuse("--log file: start c1", "--log: open : no such file or directory");
	/* A reader that never reads. */
	int reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	must_refuse("--log fifo start c1", "--log: fifo is neither a regular file nor a character device");
	close(reader);
	snprintf(expected, sizeof(expected), "--log: \"\" is not an identifier of 1 to 63 characters");
	must_refuse("--log syslog: start c1", expected);
	must_refuse("--log journald: start c1", expected);
	/* The command line's own error comes first. */
	must_refuse("--log fifo start", "start: the container's id is missing; see \"hull start --help\"");
}
END_TEST

/* The largest error fits its line, whatever it is made of. */
START_TEST(log_largest_error)
{
	struct err big = { .kind = ERR_SYS, .code = ENOENT }, e;
	char msg[ERR_RENDER_MAX];

	memset(big.msg, '"', sizeof(big.msg) - 1);
	memset(big.path, '\\', sizeof(big.path) - 1);
	memset(big.kernel, 1, sizeof(big.kernel) - 1);
	err_render(&big, msg, sizeof(msg));
	ck_assert_int_eq(logout_open("log", "json", NULL, false, &e), 0);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null, 2);
	logout_error(&big);
	read_log("log");
	size_t n = strlen(log_text);
	ck_assert_uint_gt(n, strlen(msg) + 2 * (sizeof(big.msg) - 1) - sizeof(big.msg));
	ck_assert_str_eq(log_text + n - 4, "Z\"}\n");
}
END_TEST

/* ---- output ---- */

START_TEST(lists)
{
	ck_assert_int_eq(run("list"), 0);
	ck_assert_str_eq(out,
			 "ID          PID         STATUS      BUNDLE        CREATED                OWNER\n"
			 "web-1       0           stopped     /b/\\x1b[31m   2026-01-02T03:04:05Z   \n"
			 "db          1           running     /b            2026-01-02T03:04:05Z   \n");
	ck_assert_int_eq(run("list -q"), 0);
	ck_assert_str_eq(out, "web-1\ndb\n");
	ck_assert_int_eq(run("list --format json"), 0);
	ck_assert(str_starts(out,
			     "[{\"ociVersion\":\"1.3.0\",\"id\":\"web-1\",\"status\":\"stopped\",\"pid\":0,\"bundle\":\"/b/"));
	ck_assert_ptr_nonnull(strstr(out, "},{\"ociVersion\":\"1.3.0\",\"id\":\"db\""));
	ck_assert_str_eq(out + strlen(out) - 3, "}]\n");
	n_listed = 0;
	ck_assert_int_eq(run("list -f json"), 0);
	ck_assert_str_eq(out, "[]\n");
	ck_assert_int_eq(run("list -q"), 0);
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(run("list -f table"), 0);
	ck_assert_str_eq(out, "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
}
END_TEST

START_TEST(state_is_readable_json)
{
	struct oci_arena a = { 0 };
	struct oci_diag d;

	ck_assert_int_eq(run("state c1"), 0);
	ck_assert(str_starts(out, "{\n  \"ociVersion\": \"1.3.0\""));
	const struct oci_state *s = oci_parse(&oci_state_desc, &a, out, strlen(out), NULL, &d);
	ck_assert_msg(s != NULL, "%s: %s", d.path, d.msg);
	ck_assert_str_eq(s->id, "c1");
	ck_assert_int_eq(s->pid.v, 7);
	oci_arena_release(&a);
}
END_TEST

START_TEST(ps_forms)
{
	char expected[128];

	ck_assert_int_eq(run("ps -f json c1"), 0);
	snprintf(expected, sizeof(expected), "[2,%d]\n", (int)getpid());
	ck_assert_str_eq(out, expected);
	ck_assert_int_eq(run("ps c1"), 0);
	snprintf(expected, sizeof(expected), "PID\n2\n%d\n", (int)getpid());
	ck_assert_str_eq(out, expected);
}
END_TEST

START_TEST(ps_lines_are_filtered)
{
	static const pid_t pids[] = { 12, 345 };
	struct oci_arena a = { 0 };
	struct err e = { 0 };
	const char *text;
	char given[] = "UID   PID  PPID CMD\nroot   12     1 /bin/a 345\nroot    1     0 12\nroot  345    12 \033[2Jx\nroot 3450 12 y\nroot\n";
	char none[] = "  COMMAND\n  sh\n";
	char first[] = "PID\n12\n13\n";

	ck_assert_int_eq(ps_filter(given, pids, 2, &a, &text, &e), 0);
	ck_assert_str_eq(text, "UID   PID  PPID CMD\nroot   12     1 /bin/a 345\nroot  345    12 \\x1b[2Jx\n");
	ck_assert_int_eq(ps_filter(first, pids, 2, &a, &text, &e), 0);
	ck_assert_str_eq(text, "PID\n12\n");
	ck_assert_int_lt(ps_filter(none, pids, 2, &a, &text, &e), 0);
	ck_assert_str_eq(e.msg, "ps: its output has no column called PID");
	oci_arena_release(&a);
}
END_TEST

START_TEST(stdout_is_full)
{
	static struct cli c;
	char *argv[] = { "list", NULL };
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), errors = memfd_create("err", MFD_CLOEXEC);

	ck_assert_int_ge(full, 0);
	fflush(NULL);
	int saved = dup(1), saved_err = dup(2);
	dup2(full, 1);
	dup2(errors, 2);
	int status = cli_main(&c, argv);
	dup2(saved, 1);
	dup2(saved_err, 2);
	take_text(errors, err, sizeof(err));
	ck_assert_int_eq(status, 1);
	ck_assert_str_eq(err, "hull: write to standard output: no space left on device\n");
}
END_TEST

/* ---- spec ---- */

static bool has(const struct oci_strv *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (streq(l->v[i], s))
			return true;
	}
	return false;
}

static const struct oci_config *read_config(const char *path, struct oci_arena *a)
{
	struct oci_diag d;

	read_log(path);
	const struct oci_config *c = oci_parse(&oci_config_desc, a, log_text, strlen(log_text), NULL, &d);
	ck_assert_msg(c != NULL, "%s: %s", d.path, d.msg);
	return c;
}

START_TEST(spec_is_a_sound_configuration)
{
	static const char *const masked[] = { "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore",
					      "/proc/keys", "/proc/latency_stats",
					      "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
					      "/sys/devices/virtual/powercap" };
	struct oci_arena a = { 0 };

	ck_assert_int_eq(run("spec"), 0);
	ck_assert_str_eq(out, "");
	const struct oci_config *c = read_config("config.json", &a);
	for (size_t i = 0; i < ARRAY_LEN(masked); i++)
		ck_assert_msg(has(&c->linux_->masked_paths, masked[i]), "%s is not masked", masked[i]);
	ck_assert_uint_eq(c->linux_->n_namespaces, 6);
	ck_assert_str_eq(c->process->args.v[0], "sh");
	ck_assert(c->process->terminal.v && c->process->no_new_privileges.v && c->root->readonly.v);
	ck_assert_str_eq(c->root->path, "rootfs");
	ck_assert_uint_eq(c->process->capabilities->bounding.n, 3);
	ck_assert_uint_eq(c->process->capabilities->ambient.n, 0);
	ck_assert_uint_eq(c->n_mounts, 7);
	ck_assert(has(&c->linux_->readonly_paths, "/proc/sys"));
	ck_assert(!c->linux_->resources->devices[0].allow.v);
	oci_arena_release(&a);
}
END_TEST

START_TEST(spec_places)
{
	struct oci_arena a = { 0 };

	ck_assert_int_eq(mkdir("bundle", 0700), 0);
	ck_assert_int_eq(run("spec -b bundle"), 0);
	read_config("bundle/config.json", &a);
	ck_assert_int_eq(run("spec --bundle=bundle --file other.json"), 0);
	read_config("bundle/other.json", &a);
	must_refuse("spec -b bundle", "file config.json exists, remove it first");
	must_refuse("spec -b bundle -f other.json", "file other.json exists, remove it first");
	ck_assert_int_eq(symlink("nowhere", "config.json"), 0);
	must_refuse("spec", "file config.json exists, remove it first");
	ck_assert_int_lt(access("nowhere", F_OK), 0);
	must_refuse("spec -b none", "open the bundle none: no such file or directory");
	ck_assert_int_eq(run("spec --rootless=false -f third.json"), 0);
	oci_arena_release(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli output");
	TCase *t = tcase_create("output");

	add_fixture(t);
	tcase_add_test(t, log_json);
	tcase_add_test(t, log_exists_when_empty);
	tcase_add_test(t, log_text_file);
	tcase_add_test(t, log_json_on_stderr);
	tcase_add_test(t, log_levels);
	tcase_add_test(t, log_cannot_be_opened);
	tcase_add_test(t, log_largest_error);
	tcase_add_test(t, lists);
	tcase_add_test(t, state_is_readable_json);
	tcase_add_test(t, ps_forms);
	tcase_add_test(t, ps_lines_are_filtered);
	tcase_add_test(t, stdout_is_full);
	tcase_add_test(t, spec_is_a_sound_configuration);
	tcase_add_test(t, spec_places);
	suite_add_tcase(s, t);
	return unit_run(s);
}
