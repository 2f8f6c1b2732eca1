/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"

static void say(void *arg, enum oci_note level, const char *path, const char *msg)
{
	(void)arg;
	log_line(level == OCI_NOTE_WARNING ? LOG_LVL_WARNING : LOG_LVL_DEBUG, "%s: %s", path, msg);
}

struct oci_notes document_notes(void)
{
	return (struct oci_notes){ .say = say };
}

int document_error(const struct oci_diag *d, const char *name, struct err *e)
{
	char where[sizeof(e->path)];

	if (d->line && !d->path[0])
		snprintf(where, sizeof(where), "%u:%u", d->line, d->column);
	else
		snprintf(where, sizeof(where), "%s", d->path);
	err_config(e, where, "%s", d->msg);
	if (d->line && d->path[0]) {
		size_t n = strlen(e->msg);
		snprintf(e->msg + n, sizeof(e->msg) - n, " (%s:%u:%u)", name, d->line, d->column);
	}
	return -EINVAL;
}

static const char *kind_of(mode_t mode)
{
	return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a FIFO" : S_ISSOCK(mode) ? "a socket" : S_ISCHR(mode) || S_ISBLK(mode) ? "a device" : "not a file";
}

static void *parse(const struct oci_desc *desc, const char *text, size_t len, const char *name, struct oci_arena *a, struct err *e)
{
	struct oci_notes notes = document_notes();
	struct oci_diag d = { 0 };
	void *doc = oci_parse(desc, a, text, len, &notes, &d);

	if (!doc)
		document_error(&d, name, e);
	return doc;
}

char *document_text(const char *path, struct oci_arena *a, size_t *ret_len, struct err *e)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(e, -errno, "open %s", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, ERR_CONFIG, 0, "%s is %s — must be a regular file", path, kind_of(st.st_mode));
		return NULL;
	}
	if (st.st_size < 0 || (size_t)st.st_size > OCI_DOC_MAX) {
		err_set(e, ERR_CONFIG, EFBIG, "%s has %lld bytes — at most %zu", path, (long long)st.st_size, OCI_DOC_MAX);
		return NULL;
	}
	size_t room = (size_t)st.st_size + 4096;
	char *text = oci_arena_alloc(a, room);
	ssize_t n = text ? io_read_fd(fd, text, room) : -ENOMEM;
	if (n < 0) {
		err_sys(e, (int)n, "read %s", path);
		return NULL;
	}
	*ret_len = (size_t)n;
	return text;
}

void *document_read(const struct oci_desc *desc, const char *path, const char *name, struct oci_arena *a, struct err *e)
{
	size_t len;
	const char *text = document_text(path, a, &len, e);

	return text ? parse(desc, text, len, name, a, e) : NULL;
}

void *document_read_fd(const struct oci_desc *desc, int fd, const char *name, struct oci_arena *a, struct err *e)
{
	size_t room = 65536, n = 0;
	char *text = oci_arena_alloc(a, room);
	ssize_t k = 1;

	while (text && k > 0) {
		if (n == room) {
			char *bigger = room <= OCI_DOC_MAX ? oci_arena_alloc(a, 2 * room) : NULL;

			if (bigger)
				memcpy(bigger, text, n);
			text = bigger;
			room *= 2;
			continue;
		}
		do
			k = read(fd, text + n, room - n);
		while (k < 0 && errno == EINTR);
		n += k > 0 ? (size_t)k : 0;
	}
	if (k < 0 || !text) {
		err_sys(e, k < 0 ? -errno : -EFBIG, "read %s", name);
		return NULL;
	}
	return parse(desc, text, n, name, a, e);
}

int bundle_find(const char *bundle, const char *config, struct oci_arena *a, const char **ret_bundle, const char **ret_config, struct err *e)
{
	char resolved[PATH_MAX];

	if (!realpath(bundle ? bundle : ".", resolved))
		return err_sys(e, -errno, "bundle %s", bundle ? bundle : ".");
	const char *file = config ? config : "config.json";
	*ret_config = file[0] == '/' ? oci_arena_strdup(a, file) : oci_arena_printf(a, "%s/%s", resolved, file);
	*ret_bundle = oci_arena_strdup(a, resolved);
	return *ret_config && *ret_bundle ? 0 : err_sys(e, -ENOMEM, "bundle %s", resolved);
}

int bundle_load(const char *bundle, const char *config, struct oci_arena *a, const char **ret_path, struct oci_config **ret, struct err *e)
{
	const char *path;
	int r = bundle_find(bundle, config, a, ret_path, &path, e);

	if (r < 0)
		return r;
	*ret = document_read(&oci_config_desc, path, config ? config : "config.json", a, e);
	return *ret ? 0 : e->code ? -e->code : -EINVAL;
}
