/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line makes of its words: option tables, commands, errors of use. */
#include "cli_fixture.h"

#include <signal.h>
#include <sys/prctl.h>

#include "cli/signals.h"

/* ---- the tables ---- */

static const struct opt *table_of(const struct cmd *cmd, size_t *ret_n)
{
	if (cmd) {
		*ret_n = cmd->n_opts;
		return cmd->opts;
	}
	return cli_global_opts(ret_n);
}

/* What a row stores, as text. */
static void show(const struct opt *opt, const char *into, char *buf, size_t size)
{
	const void *at = into + opt->offset;

	buf[0] = '\0';
	if (opt->kind == OPT_FLAG) {
		snprintf(buf, size, "%d", *(const bool *)at);
	} else if (opt->kind == OPT_STR) {
		snprintf(buf, size, "%s", or_dash(*(const char *const *)at));
	} else if (opt->kind == OPT_UINT) {
		snprintf(buf, size, "%u", *(const unsigned *)at);
	} else if (opt->kind == OPT_DURATION) {
		const struct opt_u32 *ms = at;
		/* A bare number is seconds. */
		ck_assert(ms->set && ms->v % 1000 == 0);
		snprintf(buf, size, "%u", ms->v / 1000);
	} else {
		const struct opt_list *l = at;
		for (size_t i = 0; i < l->n; i++)
			snprintf(buf + strlen(buf), size - strlen(buf), "[%s]", l->v[i]);
	}
}

static const struct opt *row_table;
static size_t row_n;

/* Parse `words` by the table; only the row `opt` may have stored anything, and what it stored is `expected`; "x1"
 * and "x2" are the arguments. */
static void parse_row(const struct opt *opt, char *const *words, const char *expected)
{
	static char into[4096], blank[4096];
	struct oci_arena a = { 0 };
	const struct opt_set set = { .v = row_table, .n = row_n, .into = into };
	const struct opts o = { .sets = &set, .n_sets = 1, .arena = &a };
	const size_t width[OPT_KIND_MAX] = { [OPT_FLAG] = sizeof(bool), [OPT_STR] = sizeof(char *), [OPT_UINT] = sizeof(unsigned), [OPT_DURATION] = sizeof(struct opt_u32), [OPT_LIST] = sizeof(struct opt_list), [OPT_CSV] = sizeof(struct opt_list) };
	struct err e = { 0 };
	char got[256];
	const char **args;
	size_t n;

	memset(into, 0, sizeof(into));
	int r = opts_parse(&o, words, &args, &n, &e);
	ck_assert_msg(r == 0, "%s: %s", words[0], e.msg);
	show(opt, into, got, sizeof(got));
	ck_assert_msg(streq(got, expected), "%s (%s): stored %s, want %s", words[0], opt->name, got, expected);
	memset(into + opt->offset, 0, width[opt->kind]);
	ck_assert_int_eq(memcmp(into, blank, sizeof(into)), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(args[0], "x1");
	ck_assert_str_eq(args[1], "x2");
	ck_assert_ptr_null(args[2]);
	oci_arena_release(&a);
}

#define WORDS(...) ((char *[]){ __VA_ARGS__, NULL })

static char *word(const char *fmt, ...) PRINTF_LIKE(1, 2);
static char *word(const char *fmt, ...)
{
	static char words[16][128];
	static unsigned next;
	char *w = words[next++ % 16];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w, sizeof(words[0]), fmt, ap);
	va_end(ap);
	return w;
}

static void flag_spellings(const struct opt *opt)
{
	static const struct {
		const char *word, *v;
	} values[] = {
		{ "true", "1" },
		{ "1", "1" },
		{ "True", "1" },
		{ "yes", "1" },
		{ "false", "0" },
		{ "0", "0" },
		{ "no", "0" },
		{ "FALSE", "0" },
	};

	for (unsigned dashes = 1; dashes <= 2; dashes++) {
		const char *d = dashes == 1 ? "-" : "--";
		parse_row(opt, WORDS(word("%s%s", d, opt->name), "x1", "x2"), "1");
		parse_row(opt, WORDS("x1", word("%s%s", d, opt->name), "x2"), "1");
		parse_row(opt, WORDS("x1", "x2", word("%s%s", d, opt->name)), "1");
		for (size_t i = 0; i < ARRAY_LEN(values); i++)
			parse_row(opt, WORDS("x1", word("%s%s=%s", d, opt->name, values[i].word), "x2"), values[i].v);
	}
	parse_row(opt, WORDS(word("--%s", opt->name), word("--%s=false", opt->name), "x1", "x2"), "0");
	if (!opt->letter)
		return;
	parse_row(opt, WORDS(word("-%c", opt->letter), "x1", "x2"), "1");
	parse_row(opt, WORDS("x1", "x2", word("-%c=false", opt->letter)), "0");
}

static void value_spellings(const struct opt *opt)
{
	bool list = opt->kind == OPT_LIST || opt->kind == OPT_CSV;
	const char *v = "12", *one = list ? "[12]" : "12", *two = list ? "[12][34]" : "34";

	for (unsigned dashes = 1; dashes <= 2; dashes++) {
		const char *d = dashes == 1 ? "-" : "--";
		parse_row(opt, WORDS(word("%s%s", d, opt->name), "12", "x1", "x2"), one);
		parse_row(opt, WORDS("x1", word("%s%s", d, opt->name), "12", "x2"), one);
		parse_row(opt, WORDS("x1", "x2", word("%s%s=%s", d, opt->name, v)), one);
		parse_row(opt, WORDS("x1", word("%s%s=%s", d, opt->name, v), "--", "x2"), one);
	}
	parse_row(opt, WORDS(word("--%s=12", opt->name), "x1", word("-%s", opt->name), "34", "x2"), two);
	if (!opt->letter)
		return;
	parse_row(opt, WORDS(word("-%c", opt->letter), "12", "x1", "x2"), one);
	parse_row(opt, WORDS("x1", word("-%c12", opt->letter), "x2"), one);
	parse_row(opt, WORDS("x1", "x2", word("-%c=12", opt->letter)), one);
}

static void every_spelling(const struct cmd *cmd)
{
	row_table = table_of(cmd, &row_n);
	for (size_t i = 0; i < row_n; i++) {
		const struct opt *opt = &row_table[i];
		if (opt->kind == OPT_REFUSE)
			continue;
		if (opt->arg)
			value_spellings(opt);
		else
			flag_spellings(opt);
	}
}

START_TEST(every_option_in_every_spelling)
{
	size_t n;
	const struct cmd *const *cmds = cli_commands(&n);

	every_spelling(NULL);
	for (size_t i = 0; i < n; i++)
		every_spelling(cmds[i]);
}
END_TEST

static const struct {
	const char *text;
	int64_t ms; /* -1: refused */
} durations[] = {
	{ "0", 0 },	      { "5", 5000 },	    { "5s", 5000 },	  { "1.5s", 1500 },    { ".5s", 500 },	 { "1m30s", 90000 },
	{ "250ms", 250 },     { "1h", 3600000 },    { "1us", 1 },	  { "1500\u00b5s", 2 }, { "1ns", 1 },	 { "0.5h", 1800000 },
	{ "1h0m0.001s", 3600001 }, { "2147483647ms", INT32_MAX }, { "2147483648ms", -1 }, { "596h", 2145600000 }, { "597h", -1 },
	{ "", -1 },	      { "s", -1 },	    { "5x", -1 },	  { "-5s", -1 },       { "5 s", -1 },	 { ".s", -1 },
	{ "5s ", -1 },	      { "1.2.3s", -1 },	    { "9999999999999s", -1 }, { "1e3s", -1 },
};

START_TEST(durations_as_go_writes_them)
{
	uint32_t ms = 77;
	int r = opts_parse_duration(durations[_i].text, &ms);

	ck_assert_msg((r == 0) == (durations[_i].ms >= 0), "%s: %d", durations[_i].text, r);
	ck_assert_msg(ms == (r == 0 ? durations[_i].ms : 77), "%s: %u", durations[_i].text, ms);
}
END_TEST

/* Within a table no name and no letter is given twice (a row without help is another spelling), and each has what
 * its kind needs. */
START_TEST(tables_are_sound)
{
	size_t n, rows;
	const struct cmd *const *cmds = cli_commands(&n);

	for (size_t c = 0; c <= n; c++) {
		const struct opt *t = table_of(c < n ? cmds[c] : NULL, &rows);
		for (size_t i = 0; i < rows; i++) {
			ck_assert_int_lt(t[i].kind, OPT_KIND_MAX);
			ck_assert(t[i].kind == OPT_REFUSE || (t[i].kind == OPT_FLAG) == (t[i].arg == NULL));
			ck_assert_int_ne(t[i].letter, 'h');
			for (size_t k = 0; k < i; k++) {
				ck_assert_msg(!streq(t[i].name, t[k].name) || !t[i].help, "--%s twice", t[i].name);
				ck_assert_msg(!t[i].letter || t[i].letter != t[k].letter, "-%c twice", t[i].letter);
			}
		}
		ck_assert(c == 0 || c >= n || strcmp(cmds[c - 1]->name, cmds[c]->name) < 0);
	}
}
END_TEST

/* What the callers of runc and crun send. */
START_TEST(what_engines_send)
{
	must_ask("--root /r/ns --log l --log-format json create --bundle /b --pid-file /p --console-socket /s --pidfd-socket /q --no-pivot "
		 "--no-new-keyring --preserve-fds 3 c1",
		 0,
		 "create c1 root=/r/ns b=/b f=- cs=/s pf=/p pfs=/q fds=3 no-pivot,no-new-keyring,end\n");
	must_ask("--root=/r --rootless=false --debug create -b /b -f other.json c1", 0,
		 "create c1 root=/r b=/b f=other.json cs=- pf=- pfs=- fds=0 end\n");
	must_ask("create --no-subreaper --config x c1", 0,
		 "create c1 root=- b=- f=x cs=- pf=- pfs=- fds=0 no-subreaper,end\n");
	must_ask("--allow-annotation a.b create --allow-annotation=c.* c1", 0,
		 "create c1 root=- b=- f=- cs=- pf=- pfs=- fds=0 end\nallowed a.b\nallowed c.*\n");
	must_ask("run -d --keep -no-subreaper c1 --bundle=/b", 42,
		 "run c1 root=- b=/b f=- cs=- pf=- pfs=- fds=0 detach,keep,no-subreaper,end\n");
	must_ask("--cgroup-manager cgroupfs --criu /c start c1", 0, "start c1\n");
	must_ask("--root /r exec --process /f --detach --pid-file /p --console-socket /s c1", 130,
		 "exec c1 p=/f cwd=- u=- label=- aa=- cs=/s pf=/p pfs=- fds=0 detach,end\n");
	must_ask("exec -t -u 1:2 --cwd /d -e A=1,2 --env B= -c CAP_KILL -c=X,Y -g 5 --additional-gids 6,7 --apparmor p --process-label l "
		 "--no-new-privs --cgroup g --cgroup=cpu:x --ignore-paused --preserve-fds=1 --pidfd-socket=/q c1 sh",
		 130,
		 "exec c1 arg[sh] env[A=1,2] env[B=] cap[CAP_KILL] cap[X] cap[Y] gid[5] gid[6] gid[7] cg[g] cg[cpu:x] p=- cwd=/d u=1:2 label=l aa=p cs=- pf=- "
		 "pfs=/q fds=1 tty,no-new-privs,ignore-paused,end\n");
	must_ask("kill --all c1 9", 0, "kill c1 9 1\n");
	must_ask("kill -a c1 SIGUSR1", 0, "kill c1 10 1\n");
	must_ask("kill c1", 0, "kill c1 15 0\n");
	must_ask("kill c1 KILL --all", 0, "kill c1 9 1\n");
	must_ask("delete --force c1", 0, "delete c1 1\n");
	must_ask("delete c1 -f", 0, "delete c1 1\n");
	must_ask("--root a --root b --root=c start c1 --root d", 0, "start c1\n");
	must_ask("state c1", 0, "state c1\n");
	must_ask("ps --format json c1", 0, "ps c1\n");
	must_ask("check -b /b -f c.json", 1, "check b=/b f=c.json\n");
	must_ask("check --json", 1, "check b=- f=-\n");
	must_ask("features", 0, "features 3 annotations\n");
	must_ask("explain -b /b --json --facts f c1", 0,
		 "explain c1 root=- b=/b f=- cs=- pf=- pfs=- fds=0 end\njson=1 facts=f\n");
}
END_TEST

/* Behind exec's id everything is the program's. */
START_TEST(exec_leaves_the_rest_alone)
{
	must_ask("exec c1 ls -t --env x -- --root=y -h", 130,
		 "exec c1 arg[ls] arg[-t] arg[--env] arg[x] arg[--] arg[--root=y] arg[-h] p=- cwd=- u=- label=- aa=- cs=- pf=- pfs=- fds=0 end\n");
	must_ask("exec -t -- c1 -x", 130,
		 "exec c1 arg[-x] p=- cwd=- u=- label=- aa=- cs=- pf=- pfs=- fds=0 tty,end\n");
	must_ask("exec -dt c1 a", 130,
		 "exec c1 arg[a] p=- cwd=- u=- label=- aa=- cs=- pf=- pfs=- fds=0 tty,detach,end\n");
	must_ask("exec -dtu1 c1 a", 130,
		 "exec c1 arg[a] p=- cwd=- u=1 label=- aa=- cs=- pf=- pfs=- fds=0 tty,detach,end\n");
	must_ask("exec -tu 1 --tty=false c1 a", 130,
		 "exec c1 arg[a] p=- cwd=- u=1 label=- aa=- cs=- pf=- pfs=- fds=0 end\n");
}
END_TEST

/* Global options count behind the command too, but not when the command has one of that name, and never by their
 * letter. */
START_TEST(global_options_after_the_command)
{
	must_ask("create c1 --root /r", 0, "create c1 root=/r b=- f=- cs=- pf=- pfs=- fds=0 end\n");
	must_ask("--root /1 create --root=/2 c1", 0, "create c1 root=/2 b=- f=- cs=- pf=- pfs=- fds=0 end\n");
	must_refuse("start -v c1", "flag provided but not defined: -v");
	ck_assert_int_eq(run("start c1 --version"), 0);
	ck_assert(str_starts(out, "hull version "));
}
END_TEST

START_TEST(empty_value_is_no_value)
{
	char *argv[] = { "create", "--console-socket", "", "--pid-file=", "--bundle", "x", "--bundle=", "c1", NULL };

	ck_assert_int_eq(run_argv(argv), 0);
	ck_assert_str_eq(asked, "create c1 root=- b=- f=- cs=- pf=- pfs=- fds=0 end\n");
}
END_TEST

START_TEST(usage_errors)
{
	static const struct {
		const char *line, *error;
	} cases[] = {
		{ "create --pid-file", "flag needs an argument: --pid-file" },
		{ "create c1 -b", "flag needs an argument: -b" },
		{ "create -pid-file", "flag needs an argument: -pid-file" },
		{ "--root", "flag needs an argument: --root" },
		{ "create --nope c1", "flag provided but not defined: --nope" },
		{ "create --nope=1 c1", "flag provided but not defined: --nope" },
		{ "create -x c1", "flag provided but not defined: -x" },
		{ "run -dx c1", "flag provided but not defined: -x" },
		{ "create -nope c1", "flag provided but not defined: -nope" },
		{ "--nope list", "flag provided but not defined: --nope" },
		{ "create", "create: the container's id is missing; see \"hull create --help\"" },
		{ "create c1 c2", "create: unexpected argument \"c2\"; see \"hull create --help\"" },
		{ "list c1", "list: unexpected argument \"c1\"; see \"hull list --help\"" },
		{ "kill c1 9 9", "kill: unexpected argument \"9\"; see \"hull kill --help\"" },
		{ "frobnicate c1", "unknown command \"frobnicate\"; see \"hull --help\"" },
		{ "run --detach=maybe c1", "--detach: \"maybe\" is neither true nor false" },
		{ "run -d= c1", "-d: \"\" is neither true nor false" },
		{ "create --preserve-fds -1 c1", "--preserve-fds: \"-1\" is not a number from 0 to 1048576" },
		{ "create --preserve-fds=1048577 c1", "--preserve-fds: \"1048577\" is not a number from 0 to 1048576" },
		{ "create --preserve-fds=0x3 c1", "--preserve-fds: \"0x3\" is not a number from 0 to 1048576" },
		{ "list -f yaml", "--format: \"yaml\" is not one of table, json" },
		{ "ps -f yaml c1", "--format: \"yaml\" is not one of table, json" },
		{ "kill c1 SIGFOO", "unknown signal \"SIGFOO\": not a name or a number up to 64" },
		{ "--log-format xml list", "--log-format: unknown log format type \"xml\", not one of text, json" },
		{ "--log-level loud list", "--log-level: \"loud\" is not one of error, warning, info, debug" },
		{ "--rootless perhaps list", "--rootless: \"perhaps\" is not one of auto, true, false" },
		{ "--cgroup-manager x list", "--cgroup-manager: \"x\" is not one of cgroupfs, systemd, disabled" },
		{ "create a\nb c\033[1m", "create: unexpected argument \"c\\x1b[1m\"; see \"hull create --help\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		must_refuse(cases[i].line, cases[i].error);
	/* Ours too, though a failed exec has 255 else. */
	must_refuse("exec", "exec: the container's id is missing; see \"hull exec --help\"");
	must_refuse("exec --nope c1 a", "flag provided but not defined: --nope");
}
END_TEST

START_TEST(update_options_become_resources)
{
	must_ask("update c1", 0, "update c1 {} reclaim=0\n");
	must_ask("update --memory 1.5g --memory-swap=-1 --memory-reservation 200m --kernel-memory 1k --kernel-memory-tcp 2K c1", 0,
		 "update c1 {\"memory\":{\"limit\":1610612736,\"reservation\":209715200,\"swap\":-1,\"kernel\":1024,\"kernelTCP\":2048}} reclaim=0\n");
	must_ask("update --cpu-shares 2 --cpu-quota=-1 --cpu-period 5 --cpu-burst 6 --cpu-rt-runtime 7 --cpu-rt-period 8 --cpu-idle 1 "
		 "--cpuset-cpus 0-1 --cpuset-mems 0 --blkio-weight 10 c1",
		 0,
		 "update c1 {\"blockIO\":{\"weight\":10},\"cpu\":{\"shares\":2,\"quota\":-1,\"burst\":6,\"period\":5,\"realtimeRuntime\":7,"
		 "\"realtimePeriod\":8,\"cpus\":\"0-1\",\"mems\":\"0\",\"idle\":1}} reclaim=0\n");
	must_ask("update -r - c1", 0, "read -\nupdate c1 {\"pids\":{\"limit\":7}} reclaim=0\n");
	must_ask("update --resources=/f --pids-limit 0 --cpu-share 3 c1", 0,
		 "read /f\nupdate c1 {\"pids\":{\"limit\":0},\"cpu\":{\"shares\":3}} reclaim=0\n");
	must_ask("update --memory-high 1m --memory-low max --cpu-weight 50 --io-weight 60 c1", 0,
		 "update c1 {\"unified\":{\"memory.high\":\"1048576\",\"memory.low\":\"max\",\"cpu.weight\":\"50\",\"io.weight\":\"60\"}} reclaim=0\n");
	must_ask("update --reclaim 1m c1", 0, "update c1 {} reclaim=1048576\n");
	/* As engines spell "not given". */
	must_ask("update --memory= --cpuset-cpus= c1", 0, "update c1 {} reclaim=0\n");
	must_refuse("update --memory 1x c1", "--memory: \"1x\" — must be a number of bytes, with k, m, g or t for binary multiples, or -1 for no limit");
	must_refuse("update --io-weight 10001 c1", "--io-weight: \"10001\" — must be a number from 1 to 10000");
}
END_TEST

START_TEST(later_commands_are_refused)
{
	static const char *const later[] = { "checkpoint", "mounts", "restore" };
	char line[128], error[128];

	for (size_t i = 0; i < ARRAY_LEN(later); i++) {
		snprintf(error, sizeof(error), "the command \"%s\" is not supported", later[i]);
		must_refuse(later[i], error);
		snprintf(line, sizeof(line), "%s --help", later[i]);
		must_refuse(line, error);
		snprintf(line, sizeof(line), "help %s", later[i]);
		must_refuse(line, error);
		snprintf(line, sizeof(line), "--root /r %s --lsm-mount-context c1", later[i]);
		must_refuse(line, error);
	}
}
END_TEST

START_TEST(later_options_are_refused)
{
	must_ask("--systemd-cgroup start c1", 0, "start c1\n");
	must_ask("start c1 --systemd-cgroup", 0, "start c1\n");
	must_ask("--cgroup-manager=systemd --timeout 5 start c1", 0, "start c1\n");
	must_refuse("--cgroup-manager=cgroup start c1", "--cgroup-manager: \"cgroup\" is not one of cgroupfs, systemd, disabled");
	must_ask("--cgroup-manager disabled start c1", 0, "start c1\n");
	must_ask("--rootless true start c1", 0, "start c1\n");
	must_ask("--systemd-cgroup=false --rootless=auto start c1", 0, "start c1\n");
}
END_TEST

START_TEST(help_and_version)
{
	size_t n, rows;
	const struct cmd *const *cmds = cli_commands(&n);
	char line[64];

	for (size_t i = 0; i < n; i++) {
		static const char *const forms[] = { "help %s", "%s --help", "%s -h c1 c2 c3", "%s -?", "h %s" };
		for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
			const char *at = strstr(forms[f], "%s");
			snprintf(line, sizeof(line), "%.*s%s%s", (int)(at - forms[f]), forms[f], cmds[i]->name, at + 2);
			ck_assert_int_eq(run(line), 0);
			ck_assert_str_eq(err, "");
			ck_assert_str_eq(asked, "");
			ck_assert_ptr_nonnull(strstr(out, cmds[i]->synopsis));
			const struct opt *t = table_of(cmds[i], &rows);
			for (size_t k = 0; k < rows; k++)
				ck_assert(t[k].kind == OPT_REFUSE || strstr(out, t[k].name));
		}
	}
	static const char *const mains[] = { "", "--help", "-h", "help", "h", "--root /x" };
	for (size_t i = 0; i < ARRAY_LEN(mains); i++) {
		ck_assert_int_eq(run(mains[i]), 0);
		ck_assert(str_starts(out, "usage: hull "));
		for (size_t k = 0; k < n; k++)
			ck_assert_ptr_nonnull(strstr(out, cmds[k]->name));
	}
	static const char *const versions[] = { "--version", "-v", "-V", "--root /x --version", "--version create c1" };
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		ck_assert_int_eq(run(versions[i]), 0);
		ck_assert_str_eq(asked, "");
		ck_assert(str_starts(out, "hull version "));
		ck_assert_ptr_nonnull(strstr(out, "\ncommit: "));
		ck_assert_ptr_nonnull(strstr(out, "\nspec: 1.3.0\n"));
		ck_assert_ptr_nonnull(strstr(out, "\nlibseccomp: 2."));
		ck_assert_ptr_nonnull(strstr(out, "\n+"));
	}
}
END_TEST

/* ---- exit status ---- */

START_TEST(exit_status)
{
	ck_assert_int_eq(run("run c1"), 42);
	ck_assert_int_eq(run("exec c1 a"), 130);
	ck_assert_int_eq(run("start c1"), 0);
	verb_fails = -ENOENT;
	ck_assert_int_eq(run("run c1"), 1);
	ck_assert_str_eq(err, "hull: no: no such file or directory\n");
	ck_assert_int_eq(run("start c1"), 1);
	ck_assert_int_eq(run("exec c1 a"), 255);
	ck_assert_str_eq(err, "hull: no: no such file or directory\n");
	ck_assert_int_eq(run("exec c1"), 255);
	ck_assert_str_eq(err, "hull: exec: a program or --process is missing; see \"hull exec --help\"\n");
}
END_TEST

START_TEST(listen_fds)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_PID", "1", 1);
	must_ask("create --preserve-fds 3 c1", 0, "create c1 root=- b=- f=- cs=- pf=- pfs=- fds=3 end\n");
	setenv("LISTEN_PID", pid, 1);
	must_ask("create --preserve-fds 3 c1", 0, "create c1 root=- b=- f=- cs=- pf=- pfs=- fds=5 end\n");
	must_ask("run c1", 42, "run c1 root=- b=- f=- cs=- pf=- pfs=- fds=2 end\n");
	must_ask("exec c1 a", 130, "exec c1 arg[a] p=- cwd=- u=- label=- aa=- cs=- pf=- pfs=- fds=2 end\n");
	setenv("LISTEN_FDS", "two", 1);
	must_refuse("run c1", "LISTEN_FDS: \"two\" is not a number from 0 to 1048576");
}
END_TEST

START_TEST(regular_expressions)
{
	must_ask("delete -r --force ^web-[0-9]+$", 0, "delete web-1 1\n");
	must_ask("kill -r . USR1", 0, "kill web-1 10 0\nkill db 10 0\n");
	must_ask("delete --regex nothing", 0, "");
	ck_assert_int_eq(run("delete --regex ["), 1);
	ck_assert(str_starts(err, "hull: --regex: \"[\": "));
	ck_assert_int_eq(run("kill -r . NOSIG"), 1);
	ck_assert_str_eq(asked, "");
	/* One failure doesn't keep the others. */
	verb_fails = -ESRCH;
	ck_assert_int_eq(run("kill -r . 9"), 1);
	ck_assert_str_eq(asked, "kill web-1 9 0\nkill db 9 0\n");
	ck_assert_str_eq(err, "hull: no: no such process\n");
	verb_fails = -EIO;
	ck_assert_int_eq(run("kill -r . 9"), 1);
	ck_assert_str_eq(asked, "");
}
END_TEST

START_TEST(signals)
{
	static const struct {
		const char *s;
		int sig;
	} good[] = {
		{ "9", 9 },
		{ "KILL", 9 },
		{ "SIGKILL", 9 },
		{ "sigkill", 9 },
		{ "Kill", 9 },
		{ "0", 0 },
		{ "64", 64 },
		{ "TERM", 15 },
		{ "HUP", 1 },
		{ "RTMIN", 34 },
		{ "SIGRTMIN+3", 37 },
		{ "rtmin+30", 64 },
		{ "RTMAX", 64 },
		{ "SIGRTMAX-1", 63 },
		{ "WINCH", SIGWINCH },
		{ "IOT", SIGABRT },
		{ "POLL", SIGIO },
		{ "PWR", SIGPWR },
	};
	static const char *const bad[] = { "", "65", "-9", "+9", "SIG", "SIG9", " 9", "9 ", "KIL", "KILLX",
					   "RTMIN-1", "RTMIN+31", "RTMAX+1", "RTMIN+",
					   "RTMAX-33", "0x9", "SIGSIGKILL", "18446744073709551625" };
	struct err e;
	int sig;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_int_eq(signal_parse(good[i].s, &sig, &e), 0);
		ck_assert_msg(sig == good[i].sig, "%s: %d", good[i].s, sig);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(signal_parse(bad[i], &sig, &e) < 0, "\"%s\" was taken", bad[i]);
}
END_TEST

/* ---- the caller's world ---- */

START_TEST(world_is_put_in_order)
{
	static struct cli c;
	struct err e = { 0 };
	struct stat in, null;
	char msg[ERR_RENDER_MAX];
	bool found = false;

	ck_assert_int_eq(dup2(1, 77), 77);
	ck_assert_int_eq(dup2(1, 1000), 1000);
	close(0);
	int r = world_enter(&c, &e);
	ck_assert_msg(r == 0, "%s", err_render(&e, msg, sizeof(msg)));
	ck_assert_int_eq(fstat(0, &in), 0);
	ck_assert_int_eq(stat("/dev/null", &null), 0);
	ck_assert_uint_eq(in.st_rdev, null.st_rdev);
	for (size_t i = 0; i < c.hull.n_inherited; i++) {
		ck_assert_int_gt(c.hull.inherited[i], 2);
		/* Each of them is open, and none is what was opened to list them. */
		ck_assert_int_ge(fcntl(c.hull.inherited[i], F_GETFD), 0);
		ck_assert(i == 0 || c.hull.inherited[i - 1] < c.hull.inherited[i]);
		found |= c.hull.inherited[i] == 77;
	}
	ck_assert(found);
	ck_assert_int_eq(c.hull.inherited[c.hull.n_inherited - 1], 1000);
	ck_assert_int_eq(fcntl(77, F_GETFD), 0);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
	ck_assert_ptr_eq(signal(SIGPIPE, SIG_DFL), SIG_IGN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli");
	TCase *t = tcase_create("line");

	add_fixture(t);
	tcase_add_test(t, every_option_in_every_spelling);
	tcase_add_loop_test(t, durations_as_go_writes_them, 0, ARRAY_LEN(durations));
	tcase_add_test(t, tables_are_sound);
	tcase_add_test(t, what_engines_send);
	tcase_add_test(t, exec_leaves_the_rest_alone);
	tcase_add_test(t, global_options_after_the_command);
	tcase_add_test(t, empty_value_is_no_value);
	tcase_add_test(t, usage_errors);
	tcase_add_test(t, update_options_become_resources);
	tcase_add_test(t, later_commands_are_refused);
	tcase_add_test(t, later_options_are_refused);
	tcase_add_test(t, help_and_version);
	tcase_add_test(t, exit_status);
	tcase_add_test(t, listen_fds);
	tcase_add_test(t, regular_expressions);
	tcase_add_test(t, signals);
	tcase_add_test(t, world_is_put_in_order);
	suite_add_tcase(s, t);
	return unit_run(s);
}
