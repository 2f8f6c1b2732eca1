/* SPDX-License-Identifier: Apache-2.0 */
/* After assembly, look (rule R20). A neighbour that shares the root file system can remove or rename a directory
 * that we have mounted on (the kernel then detaches our mount), and the image's links can make a later mount
 * cover an earlier one. Neither may pass in silence. */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "init/init.h"
#include "sys/rootfs.h"

/* Where a step has mounted something, NULL if it mounts nothing. */
static const char *destination(const struct init *in, const struct step *s)
{
	switch (s->op) {
	case STEP_MOUNT:
		return init_path(in, s->u.mnt.at).s;
	case STEP_BIND:
		return init_path(in, s->u.bind.at).s;
	case STEP_MASK:
	case STEP_RDONLY:
		return init_path(in, s->u.path.at).s;
	default:
		return NULL;
	}
}

/* Is `inner` at or below `outer`, by the strings alone (both absolute)? Doubled slashes don't count. */
static bool covers(const char *outer, const char *inner)
{
	for (;;) {
		outer += strspn(outer, "/");
		inner += strspn(inner, "/");
		size_t o = strcspn(outer, "/"), i = strcspn(inner, "/");
		if (o == 0)
			return true;
		if (o != i || memcmp(outer, inner, o) != 0)
			return false;
		outer += o;
		inner += i;
	}
}

/* Does a later step of the plan say that it goes over `at`? */
static bool is_covered_by_plan(const struct init *in, uint32_t index, const char *at)
{
	for (uint32_t i = index + 1; i < in->b->steps.n; i++) {
		const char *later = in->mount_ids[i] ? destination(in, &in->steps[i]) : NULL;
		if (later && covers(later, at))
			return true;
	}
	return false;
}

/* Two names of the configuration can be one place in the image (/alias → /secret): what lies there then is a later mask, or as read-only as was asked. */
static bool is_later_mask(const struct init *in, uint32_t index, uint64_t id)
{
	const struct step *first = &in->steps[index];

	if (first->op != STEP_MASK && first->op != STEP_RDONLY)
		return false;
	for (uint32_t i = index + 1; i < in->b->steps.n; i++)
		if (in->mount_ids[i] == id)
			return in->steps[i].op == STEP_MASK || in->steps[i].op == first->op;
	return false;
}

static int mount_at(struct init *in, const char *at, unsigned flags, uint64_t *ret)
{
	scoped_fd int fd = rootfs_open(in->root_fd, (struct ctr_path){ at }, flags);

	return fd < 0 ? fd : sys_mount_id(fd, ret);
}

static int look_at(struct init *in, uint32_t index)
{
	const struct step *s = &in->steps[index];
	const char *at = destination(in, s);
	char what[INIT_TEXT_MAX];
	uint64_t id = 0;
	int r = mount_at(in, at, 0, &id);

	/* What was put on a link, or is one. */
	if (s->op == STEP_BIND && (s->u.bind.flags & (BIND_AT_NOFOLLOW | SOURCE_NOFOLLOW)) && (r < 0 || id != in->mount_ids[index]))
		r = mount_at(in, at, ROOTFS_NOFOLLOW, &id);
	if (r >= 0 && id == in->mount_ids[index])
		return 0;
	if (is_covered_by_plan(in, index, at) || (r >= 0 && is_later_mask(in, index, id)))
		return 0;
	steps_describe(in, s, what, sizeof(what));
	if (r < 0)
		err_sys(&in->err, r, "%s: the mount is not there any more", what);
	else
		err_set(&in->err, ERR_SYS, ESTALE,
			"%s: another mount is there now: it was covered, moved or detached while the container was made",
			what);
	in->err.step = (uint16_t)(index + 1);
	return err_at(&in->err, r < 0 ? r : -ESTALE, init_str(in, s->origin));
}

/* A copy of the mount namespace has ids of its own. What S has seen in its place can have gone since, but nothing can have come over it. */
static int look_at_copy(struct init *in, uint32_t index)
{
	const struct step *s = &in->steps[index];
	const char *at = destination(in, s);
	char what[INIT_TEXT_MAX];
	scoped_fd int fd = rootfs_open(in->root_fd, (struct ctr_path){ at }, 0);
	int r = fd < 0 ? fd : sys_is_mount_root(fd);

	if (r > 0 || is_covered_by_plan(in, index, at))
		return 0;
	steps_describe(in, s, what, sizeof(what));
	err_set(&in->err, ERR_SYS, r < 0 ? -r : ESTALE, "%s: the mount is not there any more", what);
	in->err.step = (uint16_t)(index + 1);
	return err_at(&in->err, r < 0 ? r : -ESTALE, init_str(in, s->origin));
}

int verify_copies(struct init *in)
{
	for (uint32_t i = 0; i < in->b->steps.n; i++) {
		int r = in->mount_ids[i] ? look_at_copy(in, i) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int verify_mounts(struct init *in)
{
	for (uint32_t i = 0; i < in->b->steps.n; i++) {
		int r = in->mount_ids[i] ? look_at(in, i) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}
