/* SPDX-License-Identifier: Apache-2.0 */
/* hull, the program. */
#include "cli/cli.h"
#include "cli/logout.h"

int main(int argc, char **argv)
{
	static struct cli c;
	struct err e = { 0 };

	c.hull.program = argc > 0 ? argv[0] : "hull";
	if (world_enter(&c, &e) < 0) {
		logout_error(&e);
		return 1;
	}
	/* A caller may pass no argv at all: argv[0] is then the final NULL. */
	int status = cli_main(&c, argc > 0 ? argv + 1 : argv);
	oci_arena_release(&c.arena);
	return status;
}
