/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/out.h"

static int run_features(struct cli *c, struct err *e)
{
	const struct oci_map about = version_annotations(&c->arena);
	const char *text;

	int r = hull_features(&about, &c->arena, &text, e);
	return r < 0 ? r : out_text(oci_arena_printf(&c->arena, "%s\n", text), e);
}

const struct cmd cmd_features = {
	.name = "features",
	.synopsis = "",
	.help = "print what this runtime can do (the specification's features document)",
	.max_args = 0,
	.missing = "nothing",
	.error_status = 1,
	.run = run_features,
};
