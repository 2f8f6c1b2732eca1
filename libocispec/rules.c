/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that look at more than one property. Each says which sentence of the specification it enforces. */
#include "engine.h"

#include <stdio.h>
#include <string.h>

/* config.md, Mounts: uidMappings and gidMappings come together; a runtime must take a destination that isn't absolute
 * as relative to "/" (deprecated since 1.2). */
bool oci_rule_mount(struct oci_parser *p, const void *obj)
{
	const struct oci_mount *m = obj;

	if (!m->uid_mappings != !m->gid_mappings)
		return oci_rule_fail(p, m->uid_mappings ? "gidMappings" : "uidMappings",
				     "required, but absent: %s is there",
				     m->uid_mappings ? "uidMappings" : "gidMappings");
	if (m->destination[0] != '/') {
		char shown[400] = "";
		struct oci_text_buf b = { .s = shown, .size = sizeof(shown) };

		oci_buf_add_quoted(&b, m->destination, strlen(m->destination));
		oci_rule_warn(p, "destination",
			      "%s — a relative destination counts from \"/\"; write it as an absolute path", shown);
	}
	return true;
}

/* After an error elsewhere in the document an element may lack what is required. */
static bool same_type(const struct oci_rlimit *a, const struct oci_rlimit *b)
{
	return a->type && b->type && strcmp(a->type, b->type) == 0;
}

/* config.md, POSIX process: a limit that is listed twice is an error. */
bool oci_rule_process(struct oci_parser *p, const void *obj)
{
	const struct oci_process *process = obj;
	char rel[48];

	for (size_t i = 0; i < process->n_rlimits; i++)
		for (size_t j = 0; j < i; j++)
			if (same_type(&process->rlimits[i], &process->rlimits[j])) {
				snprintf(rel, sizeof(rel), "rlimits[%zu].type", i);
				return oci_rule_fail(p, rel, "\"%s\" — rlimits[%zu] has this type already",
						     process->rlimits[i].type, j);
			}
	return true;
}

/* A deadline's three times: sched_setattr(2) wants runtime <= deadline <= period, a period of 0 meaning the
 * deadline. */
static bool deadline_ok(struct oci_parser *p, const struct oci_scheduler *s)
{
	if (!s->runtime.v || !s->deadline.v)
		return oci_rule_fail(p, s->runtime.v ? "deadline" : "runtime",
				     "SCHED_DEADLINE needs a runtime and a deadline above 0");
	if (s->runtime.v > s->deadline.v)
		return oci_rule_fail(p, "runtime", "%llu — must not be more than the deadline %llu",
				     (unsigned long long)s->runtime.v, (unsigned long long)s->deadline.v);
	if (s->period.v && s->deadline.v > s->period.v)
		return oci_rule_fail(p, "deadline", "%llu — must not be more than the period %llu",
				     (unsigned long long)s->deadline.v, (unsigned long long)s->period.v);
	return true;
}

/* config.md, scheduler: priority belongs to SCHED_FIFO and SCHED_RR, the three times to SCHED_DEADLINE. */
bool oci_rule_scheduler(struct oci_parser *p, const void *obj)
{
	const struct oci_scheduler *s = obj;
	bool real_time = s->policy == OCI_SCHED_FIFO || s->policy == OCI_SCHED_RR;
	const char *time = s->runtime.v ? "runtime" : s->deadline.v ? "deadline" : s->period.v ? "period" : NULL;

	if (real_time && s->priority.v < 1)
		return oci_rule_fail(p, "priority", "%d — SCHED_FIFO and SCHED_RR need a priority from 1 to 99",
				     s->priority.v);
	if (!real_time && s->priority.v)
		return oci_rule_fail(p, "priority", "%d — only SCHED_FIFO and SCHED_RR have a priority",
				     s->priority.v);
	if (s->policy == OCI_SCHED_DEADLINE)
		return deadline_ok(p, s);
	return !time || oci_rule_fail(p, time, "only SCHED_DEADLINE has a runtime, a deadline and a period");
}

static const struct oci_namespace *find_namespace(const struct oci_linux *l, enum oci_namespace_type t)
{
	for (size_t i = 0; i < l->n_namespaces; i++)
		if (l->namespaces[i].type == t)
			return &l->namespaces[i];
	return NULL;
}

/* config-linux.md, Namespaces: the same type twice is an error. */
static bool namespaces_unique(struct oci_parser *p, const struct oci_linux *l)
{
	size_t first[OCI_NS_MAX] = { 0 }; /* index + 1 */
	char rel[48];

	for (size_t i = 0; i < l->n_namespaces; i++) {
		enum oci_namespace_type t = l->namespaces[i].type;

		if (!t)
			continue; /* wrong, and told already */
		if (first[t]) {
			snprintf(rel, sizeof(rel), "namespaces[%zu].type", i);
			return oci_rule_fail(p, rel, "\"%s\" — namespaces[%zu] has this type already",
					     oci_namespace_word(t), first[t] - 1);
		}
		first[t] = i + 1;
	}
	return true;
}

#define MAPPINGS_MAX 340 /* UID_GID_MAP_MAX_EXTENTS since 4.15 */

/* A range of 32-bit ids from `first`: (uid_t)-1 is none. */
static bool range_ok(struct oci_parser *p, const char *list, size_t i, const char *member, uint32_t first, uint32_t size)
{
	char rel[64];

	snprintf(rel, sizeof(rel), "%s[%zu].%s", list, i, member);
	return (uint64_t)first + size <= UINT32_MAX ||
	       oci_rule_fail(p, rel, "%u — %u ids from here on go beyond the last one, %u", first, size, UINT32_MAX - 1);
}

static bool meets(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return a < (uint64_t)b + b_size && b < (uint64_t)a + a_size;
}

static bool mapping_ok(struct oci_parser *p, const char *list, const struct oci_id_mapping *m, size_t i)
{
	char rel[64];

	snprintf(rel, sizeof(rel), "%s[%zu].size", list, i);
	if (m[i].size.v == 0)
		return oci_rule_fail(p, rel, "0 — must be at least 1");
	if (!range_ok(p, list, i, "containerID", m[i].container_id.v, m[i].size.v) || !range_ok(p, list, i, "hostID", m[i].host_id.v, m[i].size.v))
		return false;
	for (size_t k = 0; k < i; k++) {
		snprintf(rel, sizeof(rel), "%s[%zu].containerID", list, i);
		if (meets(m[i].container_id.v, m[i].size.v, m[k].container_id.v, m[k].size.v))
			return oci_rule_fail(p, rel, "%u — %s[%zu] maps it already", m[i].container_id.v, list, k);
		snprintf(rel, sizeof(rel), "%s[%zu].hostID", list, i);
		if (meets(m[i].host_id.v, m[i].size.v, m[k].host_id.v, m[k].size.v))
			return oci_rule_fail(p, rel, "%u — %s[%zu] maps to it already", m[i].host_id.v, list, k);
	}
	return true;
}

/* user_namespaces(7): no range may meet another one, inside or outside, and their number is limited. */
static bool mappings_ok(struct oci_parser *p, const char *list, const struct oci_id_mapping *m, size_t n)
{
	if (n > MAPPINGS_MAX)
		return oci_rule_fail(p, list, "%zu mappings — the kernel takes at most %d", n, MAPPINGS_MAX);
	for (size_t i = 0; i < n; i++)
		if (!mapping_ok(p, list, m, i))
			return false;
	return true;
}

/* config-linux.md: id mappings are those of the container's user namespace, offsets those of a new time namespace. */
bool oci_rule_linux(struct oci_parser *p, const void *obj)
{
	const struct oci_linux *l = obj;
	const struct oci_namespace *time_ns = find_namespace(l, OCI_NS_TIME);
	bool has_user_ns = find_namespace(l, OCI_NS_USER);

	if (!namespaces_unique(p, l))
		return false;
	if (l->n_uid_mappings && !has_user_ns)
		return oci_rule_fail(p, "uidMappings", "id mappings need a user namespace in linux.namespaces");
	if (l->n_gid_mappings && !has_user_ns)
		return oci_rule_fail(p, "gidMappings", "id mappings need a user namespace in linux.namespaces");
	if (!mappings_ok(p, "uidMappings", l->uid_mappings, l->n_uid_mappings) || !mappings_ok(p, "gidMappings", l->gid_mappings, l->n_gid_mappings))
		return false;
	if (l->time_offsets && !time_ns)
		return oci_rule_fail(p, "timeOffsets", "time offsets need a time namespace in linux.namespaces");
	if (l->time_offsets && time_ns->path)
		return oci_rule_fail(p, "timeOffsets",
				     "time offsets need a new time namespace, not one that is joined by path");
	return true;
}

/* Which type an st_mode names (inode(7)), as a type of device. */
static enum oci_device_type device_of_mode(uint32_t mode)
{
	static const struct { uint32_t bits; enum oci_device_type type; } kinds[] = { { 0010000, OCI_DEV_FIFO }, { 0020000, OCI_DEV_CHAR }, { 0060000, OCI_DEV_BLOCK } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if ((mode & 0170000) == kinds[i].bits)
			return kinds[i].type;
	return OCI_DEV_NONE;
}

/* config-linux.md, Devices: major and minor are required unless the type is p. A type among the bits of fileMode is the device's. */
bool oci_rule_device(struct oci_parser *p, const void *obj)
{
	const struct oci_device *d = obj;
	enum oci_device_type type = d->type == OCI_DEV_UNBUFFERED ? OCI_DEV_CHAR : d->type;

	if ((d->file_mode.v & 0170000) && device_of_mode(d->file_mode.v) != type)
		return oci_rule_fail(p, "fileMode", "%u — its bits of the file type (0%o) are not those of the device's \"type\"", d->file_mode.v,
				     d->file_mode.v & 0170000);

	if (d->type == OCI_DEV_FIFO || (d->major.set && d->minor.set))
		return true;
	return oci_rule_fail(p, d->major.set ? "minor" : "major",
			     "required, but absent: only a device of type p has no number");
}

/* config-linux.md, CPU: burst must be less than or equal to quota. A quota of 0 or less is no limit. */
bool oci_rule_cpu(struct oci_parser *p, const void *obj)
{
	const struct oci_cpu *c = obj;

	if (!c->burst.set || c->quota.v <= 0 || c->burst.v <= (uint64_t)c->quota.v)
		return true;
	return oci_rule_fail(p, "burst", "%llu — must not be more than the quota %lld",
			     (unsigned long long)c->burst.v, (long long)c->quota.v);
}

/* config-linux.md, Block IO: weightDevice needs at least one of weight and leafWeight. */
bool oci_rule_weight_device(struct oci_parser *p, const void *obj)
{
	const struct oci_weight_device *w = obj;

	return w->weight.set || w->leaf_weight.set || oci_rule_fail(p, "", "expected weight or leafWeight or both");
}

/* config-linux.md, RDMA: at least one of hcaHandles and hcaObjects. */
bool oci_rule_rdma(struct oci_parser *p, const void *obj)
{
	const struct oci_rdma *r = obj;

	return r->hca_handles.set || r->hca_objects.set ||
	       oci_rule_fail(p, "", "expected hcaHandles or hcaObjects or both");
}

/* config-linux.md, Seccomp: an errno with an action that returns none must be an error. */
static bool errno_ok(struct oci_parser *p, const char *rel, struct opt_u32 ret, enum oci_seccomp_action action)
{
	if (!ret.set || action == OCI_ACT_ERRNO || action == OCI_ACT_TRACE)
		return true;
	return oci_rule_fail(p, rel, "%u — %s returns no errno, only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do", ret.v,
			     oci_seccomp_action_word(action));
}

/* config-linux.md, Seccomp: listenerMetadata must not be set when listenerPath isn't. */
bool oci_rule_seccomp(struct oci_parser *p, const void *obj)
{
	const struct oci_seccomp *s = obj;

	if (s->listener_metadata && !s->listener_path)
		return oci_rule_fail(p, "listenerMetadata", "must not be set without listenerPath");
	return errno_ok(p, "defaultErrnoRet", s->default_errno_ret, s->default_action);
}

bool oci_rule_syscall(struct oci_parser *p, const void *obj)
{
	const struct oci_syscall *s = obj;

	return errno_ok(p, "errnoRet", s->errno_ret, s->action);
}
