/* SPDX-License-Identifier: Apache-2.0 */
/* start, pause, resume and state: an id, no options. */
#include "cli/cli.h"
#include "cli/out.h"
#include "ocispec/ocispec.h"

static int run_start(struct cli *c, struct err *e)
{
	return hull_start(&c->hull, c->args[0], e);
}

static int run_pause(struct cli *c, struct err *e)
{
	return hull_pause(&c->hull, c->args[0], e);
}

static int run_resume(struct cli *c, struct err *e)
{
	return hull_resume(&c->hull, c->args[0], e);
}

static int run_state(struct cli *c, struct err *e)
{
	struct oci_state *state;

	int r = hull_state(&c->hull, c->args[0], &c->arena, &state, e);
	if (r < 0)
		return r;
	const char *text = oci_write(&oci_state_desc, state, 2, &c->arena, NULL);
	return out_text(text ? oci_arena_printf(&c->arena, "%s\n", text) : NULL, e);
}

#define ID_CMD(var, word, what, f)               \
	const struct cmd var = {                 \
		.name = word,                    \
		.synopsis = "ID",                \
		.help = what,                    \
		.min_args = 1,                   \
		.max_args = 1,                   \
		.missing = "the container's id", \
		.error_status = 1,               \
		.run = f,                        \
	}

ID_CMD(cmd_start, "start", "let the program of a created container run", run_start);
ID_CMD(cmd_pause, "pause", "stop all processes of a container for a while", run_pause);
ID_CMD(cmd_resume, "resume", "let the processes of a paused container run on", run_resume);
ID_CMD(cmd_state, "state", "print a container's state as JSON", run_state);
