/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "init/init.h"

/* Where the strings and paths of each step are; `must` marks those that the step can't do without. */
static const struct {
	uint8_t op;
	bool must;
	uint16_t at; /* of the offset, in struct step */
} step_strings[] = {
	{ STEP_JOIN, true, offsetof(struct step, u.join.path) },
	{ STEP_SOURCE, true, offsetof(struct step, u.source.path) },
	{ STEP_HOSTNAME, true, offsetof(struct step, u.write.value) },
	{ STEP_DOMAINNAME, true, offsetof(struct step, u.write.value) },
	{ STEP_SYSCTL, true, offsetof(struct step, u.write.name) },
	{ STEP_TIME, false, offsetof(struct step, u.write.value) },
	{ STEP_IDMAP, true, offsetof(struct step, u.idmap.uid_map) },
	{ STEP_IDMAP, true, offsetof(struct step, u.idmap.gid_map) },
	{ STEP_PROPAGATION, false, offsetof(struct step, u.attr.at) },
	{ STEP_SYSCTL, true, offsetof(struct step, u.write.value) },
	{ STEP_SUPERBLOCK, true, offsetof(struct step, u.mnt.fstype) },
	{ STEP_SUPERBLOCK, false, offsetof(struct step, u.mnt.source) },
	{ STEP_SUPERBLOCK, true, offsetof(struct step, u.mnt.at) },
	{ STEP_MOUNT, true, offsetof(struct step, u.mnt.fstype) },
	{ STEP_MOUNT, true, offsetof(struct step, u.mnt.at) },
	{ STEP_BIND, true, offsetof(struct step, u.bind.at) },
	{ STEP_REMOUNT, true, offsetof(struct step, u.bind.at) },
	{ STEP_DIR, true, offsetof(struct step, u.dir.at) },
	{ STEP_NODE, true, offsetof(struct step, u.node.at) },
	{ STEP_LINK, true, offsetof(struct step, u.link.at) },
	{ STEP_LINK, true, offsetof(struct step, u.link.target) },
	{ STEP_MASK, true, offsetof(struct step, u.path.at) },
	{ STEP_RDONLY, true, offsetof(struct step, u.path.at) },
};

/* Steps that act on the fd in their slot `in`. */
static const uint8_t needs_in[] = { STEP_TASKS, STEP_JOIN_INIT, STEP_MOUNT, STEP_BIND, STEP_DIR,
				    STEP_NODE,	STEP_LINK,	STEP_ATTR, STEP_PROPAGATION };

struct bounds {
	const struct blob *b;
	size_t size;
};

static bool str_ok(const struct bounds *c, uint32_t off, bool must)
{
	if (off == 0)
		return !must;
	return off >= sizeof(struct blob) && off < c->size && memchr((const char *)c->b + off, '\0', c->size - off);
}

static bool list_ok(const struct bounds *c, struct blist l, size_t element)
{
	return l.n == 0 || (l.off >= sizeof(struct blob) && l.off % 8 == 0 && l.off < c->size &&
			    l.n <= (c->size - l.off) / element);
}

static bool strs_ok(const struct bounds *c, struct blist l)
{
	if (!list_ok(c, l, sizeof(struct bstr)))
		return false;
	const struct bstr *s = blob_list(c->b, l);
	for (uint32_t i = 0; i < l.n; i++)
		if (!str_ok(c, s[i].off, true))
			return false;
	return true;
}

static bool slot_ok(const struct bounds *c, int slot)
{
	return slot >= -1 && slot < c->b->n_slots;
}

static bool opts_ok(const struct bounds *c, struct blist l)
{
	if (!list_ok(c, l, sizeof(struct blob_mount_opt)))
		return false;
	const struct blob_mount_opt *o = blob_list(c->b, l);
	for (uint32_t i = 0; i < l.n; i++)
		if (!str_ok(c, o[i].key.off, true) || !str_ok(c, o[i].value.off, false))
			return false;
	return true;
}

static bool step_ok(const struct bounds *c, const struct step *s)
{
	if (s->op == STEP_NONE || s->op >= STEP_OP_MAX || s->phase >= PH_MAX || !slot_ok(c, s->in) ||
	    !slot_ok(c, s->out) || !str_ok(c, s->origin.off, false))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(step_strings); i++) {
		uint32_t off;
		if (step_strings[i].op != s->op)
			continue;
		memcpy(&off, (const char *)s + step_strings[i].at, sizeof(off));
		if (!str_ok(c, off, step_strings[i].must))
			return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(needs_in); i++)
		if (needs_in[i] == s->op && s->in < 0)
			return false;
	if (s->op == STEP_BIND && !slot_ok(c, s->u.bind.idmap))
		return false;
	return (s->op != STEP_SUPERBLOCK && s->op != STEP_MOUNT) || opts_ok(c, s->u.mnt.opts);
}

static bool steps_ok(const struct bounds *c)
{
	const struct blob *b = c->b;

	if (!list_ok(c, b->steps, sizeof(struct step)) || b->steps.n >= UINT16_MAX || b->first[0] != 0 ||
	    b->first[PH_MAX] != b->steps.n)
		return false;
	for (unsigned p = 0; p < PH_MAX; p++)
		if (b->first[p] > b->first[p + 1])
			return false;
	const struct step *s = blob_list(b, b->steps);
	for (uint32_t i = 0; i < b->steps.n; i++)
		if (!step_ok(c, &s[i]))
			return false;
	return true;
}

static bool hooks_ok(const struct bounds *c, struct blist l)
{
	if (!list_ok(c, l, sizeof(struct blob_hook)))
		return false;
	const struct blob_hook *h = blob_list(c->b, l);
	for (uint32_t i = 0; i < l.n; i++)
		if (!str_ok(c, h[i].path.off, true) || !strs_ok(c, h[i].args) || h[i].args.n == 0 ||
		    !strs_ok(c, h[i].env) || !str_ok(c, h[i].origin.off, false))
			return false;
	return true;
}

static bool finale_ok(const struct bounds *c)
{
	const struct blob_finale *f = &c->b->fin;
	bool hooks = f->create_container.n || f->start_container.n;

	return list_ok(c, f->cpus, sizeof(uint64_t)) && list_ok(c, f->nodes, sizeof(uint64_t)) && list_ok(c, f->gids, sizeof(uint32_t)) && list_ok(c, f->rlimits, sizeof(struct blob_rlimit)) &&
	       strs_ok(c, f->args) && strs_ok(c, f->env) && list_ok(c, f->filter, sizeof(struct sock_filter)) &&
	       f->filter.n <= UINT16_MAX && hooks_ok(c, f->create_container) && hooks_ok(c, f->start_container) &&
	       str_ok(c, f->args_origin.off, false) && str_ok(c, f->cwd.off, true) && f->args.n > 0 &&
	       str_ok(c, f->state_head.off, hooks) && str_ok(c, f->state_tail.off, hooks) &&
	       str_ok(c, f->apparmor.off, false) && str_ok(c, f->label.off, false) && str_ok(c, f->mount_label.off, false);
}

static bool header_ok(const struct bounds *c)
{
	const struct blob *b = c->b;
	bool exec = b->fin.flags & FIN_EXEC, join = b->fin.flags & FIN_JOIN_PID, gate = b->fin.flags & FIN_GATE;

	return b->n_slots <= BLOB_SLOTS_MAX && list_ok(c, b->fds, sizeof(int32_t)) && b->fds.n <= b->n_slots &&
	       list_ok(c, b->preserved, sizeof(int32_t)) && slot_ok(c, b->ctl_slot) && b->ctl_slot >= 0 &&
	       slot_ok(c, b->start_slot) && (b->start_slot >= 0 || !gate) && slot_ok(c, b->pidns_slot) && slot_ok(c, b->hook_out_slot) && slot_ok(c, b->hook_err_slot) &&
	       (b->pidns_slot >= 0 || !join || b->fin.flags & FIN_EXEC) && slot_ok(c, b->userns_slot) && slot_ok(c, b->idmap_slot) && slot_ok(c, b->null_slot) && b->userns <= USERNS_KEEPER &&
	       (b->userns == USERNS_NONE || b->userns_slot >= 0 || (str_ok(c, b->uid_map.off, true) && str_ok(c, b->gid_map.off, true))) && slot_ok(c, b->root_slot) &&
	       (exec || (b->root_slot >= 0 && b->unshare_mount <= UNSHARE_ROOT && (b->unshare_mount || (b->fin.flags & FIN_CHROOT)))) && slot_ok(c, b->mntns_slot) && str_ok(c, b->rootfs.off, !exec);
}

int blob_check(const struct blob *b, size_t size, struct err *e)
{
	struct bounds c = { b, size };

	if (size < sizeof(*b) || size > BLOB_MAX || b->magic != BLOB_MAGIC)
		return err_set(e, ERR_BUG, 0, "the plan is not one (%zu bytes)", size);
	if (b->version != BLOB_VERSION)
		return err_set(e, ERR_BUG, 0, "the plan has version %u, hull-init reads %u", b->version, BLOB_VERSION);
	if (b->size != size)
		return err_set(e, ERR_BUG, 0, "the plan is cut: %zu bytes of %u", size, b->size);
	if (!header_ok(&c) || !steps_ok(&c) || !finale_ok(&c))
		return err_set(e, ERR_BUG, 0, "the plan is damaged: an offset, slot or list is out of bounds");
	return 0;
}
