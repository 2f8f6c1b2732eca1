/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/io.h"

struct spec_args {
	const char *bundle, *file;
	bool rootless;
};

static const struct opt spec_opts[] = {
	O_STR(struct spec_args, bundle, "bundle", 'b', "DIR", "where to write it (default: the current directory)"),
	O_STR(struct spec_args, file, "file", 'f', "FILE", "its name or path (default config.json)"),
	O_FLAG(struct spec_args, rootless, "rootless", 0, "one that the calling user can run, without being root"),
};

/* Write the new file `name` at `dfd` whole, or leave nothing. */
static int write_new(int dfd, const char *name, const char *text, struct err *e)
{
	scoped_fd int fd = openat(dfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 && errno == EEXIST)
		return err_set(e, ERR_STATE, 0, "file %s exists, remove it first", name);
	if (fd < 0)
		return err_sys(e, -errno, "create %s", name);
	int r = io_write_all(fd, text, strlen(text));
	if (r == 0)
		r = io_write_all(fd, "\n", 1);
	if (r == 0)
		return 0;
	unlinkat(dfd, name, 0);
	return err_sys(e, r, "write %s", name);
}

static int run_spec(struct cli *c, struct err *e)
{
	const struct spec_args *a = c->opts;
	const char *bundle = a->bundle ? a->bundle : ".";
	const char *text = hull_spec(a->rootless, &c->arena, e);

	if (!text)
		return -EINVAL;
	scoped_fd int dfd = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dfd < 0)
		return err_sys(e, -errno, "open the bundle %s", bundle);
	return write_new(dfd, a->file ? a->file : "config.json", text, e);
}

const struct cmd cmd_spec = {
	.name = "spec",
	.synopsis = "[OPTION]...",
	.help = "write a configuration to begin with",
	.opts = spec_opts,
	.n_opts = ARRAY_LEN(spec_opts),
	.opts_size = sizeof(struct spec_args),
	.max_args = 0,
	.missing = "nothing",
	.error_status = 1,
	.run = run_spec,
};
