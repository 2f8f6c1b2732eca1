/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/out.h"

struct check_args {
	const char *bundle, *config;
	bool json;
};

static const struct opt check_opts[] = {
	O_STR(struct check_args, bundle, "bundle", 'b', "DIR", "the bundle (default: the current directory)"),
	O_STR(struct check_args, config, "config", 'f', "FILE", "the configuration's name or path (default config.json)"),
	O_FLAG(struct check_args, json, "json", 0, "print JSON"),
};

/* One line a finding: LEVEL: PATH: MESSAGE */
static const char *as_text(const struct hull_findings *f, struct oci_arena *a)
{
	const char *text = "";
	char path[400], msg[4096];

	for (size_t i = 0; i < f->n && text; i++) {
		const struct hull_finding *x = &f->v[i];
		text = oci_arena_printf(a, "%s%s: %s%s%s\n", text, x->level, err_escape(x->path, path, sizeof(path)), x->path[0] ? ": " : "",
					err_escape(x->msg, msg, sizeof(msg)));
	}
	return text;
}

static int run_check(struct cli *c, struct err *e)
{
	const struct check_args *a = c->opts;
	struct hull_findings found;

	int r = hull_check(&c->hull, a->bundle, a->config, &c->arena, &found, e);
	if (r < 0)
		return r;
	c->status = found.n_errors ? 1 : 0;
	return out_text(a->json ? hull_findings_json(&found, &c->arena) : as_text(&found, &c->arena), e);
}

const struct cmd cmd_check = {
	.name = "check",
	.synopsis = "[OPTION]...",
	.help = "compare a configuration with the specification and this host, without making anything",
	.opts = check_opts,
	.n_opts = ARRAY_LEN(check_opts),
	.opts_size = sizeof(struct check_args),
	.max_args = 0,
	.missing = "nothing",
	.error_status = 2,
	.run = run_check,
};
