/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanging the device filter under a running container: v2's program is replaced in one step by the kernel; v1's list
 * is moved, what is new first, so that at no time something is denied that both lists allow. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/io.h"
#include "cgroup/internal.h"

#define ORIGIN "linux.resources.devices"
#define LIST_MAX 65536

/* "c 1:3 rwm": the length of what names the device. */
static size_t key_length(const char *entry)
{
	const char *space = strrchr(entry, ' ');

	return space ? (size_t)(space - entry) : strlen(entry);
}

static bool same_key(const char *x, const char *y)
{
	size_t n = key_length(x);

	return n == key_length(y) && memcmp(x, y, n) == 0;
}

/* The lines of devices.list as the writes that lead there. One that allows everything is "a *:* rwm"; its exceptions
 * can't be read. */
static int parse_list(const char *text, struct oci_arena *a, struct cg_devices_v1 *ret)
{
	size_t lines = 1;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	*ret = (struct cg_devices_v1){ .value = oci_arena_alloc(a, (lines + 1) * sizeof(*ret->value)),
				       .deny = oci_arena_alloc(a, (lines + 1) * sizeof(*ret->deny)) };
	if (!ret->value || !ret->deny)
		return -ENOMEM;
	ret->value[0] = "a";
	ret->deny[0] = text[0] != 'a';
	ret->n = 1;
	for (const char *line = text; *line && ret->deny[0]; line += strcspn(line, "\n") + (strchr(line, '\n') != NULL)) {
		ret->value[ret->n] = oci_arena_strndup(a, line, strcspn(line, "\n"));
		if (!ret->value[ret->n++])
			return -ENOMEM;
	}
	return 0;
}

static int write_entry(int dfd, const char *file, const char *value, struct err *e)
{
	int r = io_write_once_at(dfd, file, value, strlen(value));
	const char *hint = r == -EPERM ? " (the parent cgroup doesn't allow it)" : "";

	return r < 0 ? err_at(e, err_sys(e, r, "write %s = %s%s", file, value, hint), ORIGIN) : 0;
}

/* Letters that `entry` has and no entry of `list` for the same device has. */
static void letters_beyond(const char *entry, const struct cg_devices_v1 *list, char ret[4])
{
	size_t n = 0;

	for (const char *p = entry + key_length(entry); *p; p++) {
		bool kept = *p == ' ';

		for (size_t i = 1; i < list->n && !kept; i++)
			kept = same_key(entry, list->value[i]) && strchr(list->value[i] + key_length(entry), *p);
		if (!kept && n < 3)
			ret[n++] = *p;
	}
	ret[n] = '\0';
}

/* From one list of exceptions to denial to another. */
static int move_list(int dfd, const struct cg_devices_v1 *from, const struct cg_devices_v1 *to, struct err *e)
{
	char text[64], letters[4];
	int r = 0;

	for (size_t i = 1; i < to->n && r == 0; i++)
		r = write_entry(dfd, "devices.allow", to->value[i], e);
	for (size_t i = 1; i < from->n && r == 0; i++) {
		letters_beyond(from->value[i], to, letters);
		if (!letters[0])
			continue;
		snprintf(text, sizeof(text), "%.*s %s", (int)key_length(from->value[i]), from->value[i], letters);
		r = write_entry(dfd, "devices.deny", text, e);
	}
	return r;
}

static int rewrite_list(int dfd, const struct cg_devices_v1 *to, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < to->n && r == 0; i++)
		r = write_entry(dfd, to->deny[i] ? "devices.deny" : "devices.allow", to->value[i], e);
	return r;
}

static int exchange(int dfd, const struct cg_devices_v1 *from, const struct cg_devices_v1 *to, struct err *e)
{
	return from->deny[0] && to->deny[0] ? move_list(dfd, from, to, e) : rewrite_list(dfd, to, e);
}

int cg_devices_read_v1(int dfd, struct oci_arena *a, struct cg_devices_v1 *ret, struct err *e)
{
	char *text = oci_arena_alloc(a, LIST_MAX);
	ssize_t n = text ? io_read_at(dfd, "devices.list", text, LIST_MAX) : -ENOMEM;

	if (n >= 0)
		n = parse_list(text, a, ret);
	return n < 0 ? err_at(e, err_sys(e, (int)n, "read devices.list"), ORIGIN) : 0;
}

static int replace_v1(int dfd, const struct cg_devices *d, struct oci_arena *a, struct err *e)
{
	struct cg_devices_v1 old, new, half;
	struct err ignored;

	int r = cg_devices_to_v1(d, a, &new, e);
	if (r == 0)
		r = cg_devices_read_v1(dfd, a, &old, e);
	if (r == 0)
		r = exchange(dfd, &old, &new, e);
	else
		return r;
	if (r < 0 && (cg_devices_read_v1(dfd, a, &half, &ignored) < 0 || exchange(dfd, &half, &old, &ignored) < 0))
		return err_wrap(e, r, "the device list could not be put back");
	return r;
}

int cg_devices_replace(const struct cgroup *cg, const struct cg_devices *d, struct err *e)
{
	int v1 = cg_layout_find(cg->lay, "devices");
	struct oci_arena arena = { 0 };

	if (v1 < 0 || cg->lay->h[v1].v2 || cg->dfd[v1] < 0)
		return cg_devices_apply(cg, d, e);
	int r = replace_v1(cg->dfd[v1], d, &arena, e);
	oci_arena_release(&arena);
	return r;
}
