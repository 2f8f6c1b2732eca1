/* SPDX-License-Identifier: Apache-2.0 */
/* HOME for a user id, from the container's /etc/passwd. The file is the image's: it may be a FIFO, a device,
 * endless, or one line of a gigabyte (SEC-09). Whatever is wrong with it, HOME is "/" then; it never stops a
 * container. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/num.h"
#include "init/init.h"
#include "sys/rootfs.h"

#define PASSWD_MAX ((size_t)1 << 20)
#define LINE_MAX_LEN 4096

/* name:password:uid:gid:comment:home:shell — the home directory of `uid` in it, terminated in place, or NULL. */
static const char *home_in_line(char *line, uint32_t uid)
{
	char *field[7];
	uint64_t id;

	for (unsigned i = 0; i < ARRAY_LEN(field); i++) {
		field[i] = line;
		char *colon = line ? strchr(line, ':') : NULL;
		if (colon)
			*colon++ = '\0';
		line = colon;
	}
	if (!field[5] || !field[2] || num_parse_u64(field[2], UINT32_MAX, &id) < 0 || id != uid)
		return NULL;
	return field[5][0] == '/' ? field[5] : NULL;
}

/* One whole line at the front of `buf`, or what is there at the end of the file. */
static const char *take_line(char *buf, size_t *len, bool *skip, uint32_t uid, bool at_end)
{
	char *nl = memchr(buf, '\n', *len);
	const char *home = NULL;
	size_t used = nl ? (size_t)(nl - buf) + 1 : *len;

	if (!nl && !at_end)
		return NULL;
	if (!*skip && used) {
		buf[nl ? used - 1 : used] = '\0';
		home = home_in_line(buf, uid);
	}
	*skip = false;
	if (home)
		return home;
	memmove(buf, buf + used, *len - used);
	*len -= used;
	return NULL;
}

static void search(struct init *in, int fd)
{
	char buf[LINE_MAX_LEN + 1];
	size_t len = 0, total = 0;
	bool skip = false; /* the rest of a line that was too long */
	ssize_t n = 1;

	while (n > 0 && total < PASSWD_MAX) {
		n = read(fd, buf + len, LINE_MAX_LEN - len);
		if (n < 0)
			return;
		len += (size_t)n;
		total += (size_t)n;
		while (memchr(buf, '\n', len) || (n == 0 && len)) {
			const char *home = take_line(buf, &len, &skip, in->fin->uid, n == 0);
			if (home) {
				snprintf(in->home, sizeof(in->home), "HOME=%s", home);
				return;
			}
		}
		if (len == LINE_MAX_LEN) {
			len = 0;
			skip = true;
		}
	}
}

void passwd_find_home(struct init *in)
{
	struct stat st;

	if (!(in->fin->flags & FIN_HOME))
		return;
	snprintf(in->home, sizeof(in->home), "HOME=/");
	scoped_fd int probe = rootfs_open(in->root_fd, (struct ctr_path){ "/etc/passwd" }, 0);
	if (probe < 0 || fstat(probe, &st) < 0 || !S_ISREG(st.st_mode) || init_procfs(in) < 0)
		return;
	scoped_fd int fd = procfs_reopen(&in->proc, probe, O_RDONLY);
	if (fd >= 0)
		search(in, fd);
}
