/* SPDX-License-Identifier: Apache-2.0 */
/* check: ids, limits and numbers against what this host and this caller have. */
#include "lib/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#define MAP_LINES_MAX 340 /* user_namespaces(7), since Linux 4.15 */

static bool caller_has(const struct check *c, int cap)
{
	return c->facts.caps >> cap & 1;
}

/* The one number in a file, or `otherwise`. */
static uint64_t number_in(const char *path, uint64_t otherwise)
{
	char text[64];
	uint64_t v;

	if (io_read_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return otherwise;
	text[strcspn(text, "\n")] = '\0';
	return num_parse_u64(text, UINT64_MAX, &v) == 0 ? v : otherwise;
}

/* ---- ids ---- */

static bool overlap(uint64_t a, uint64_t n_a, uint64_t b, uint64_t n_b)
{
	return a < b + n_b && b < a + n_a;
}

static void check_map(struct check *c, const char *where, const struct oci_id_mapping *v, size_t n)
{
	if (n > MAP_LINES_MAX)
		check_add(c, HULL_ERROR, where, "%zu mappings — at most %d are possible", n, MAP_LINES_MAX);
	for (size_t i = 0; i < n && i < MAP_LINES_MAX; i++) {
		const char *at = check_text(c, "%s[%zu]", where, i);
		uint64_t in = v[i].container_id.v, out = v[i].host_id.v, size = v[i].size.v;
		if (size == 0 || in + size > UINT32_MAX || out + size > UINT32_MAX)
			check_add(c, HULL_ERROR, at, "%llu ids from %llu and %llu — a range has at least one id and ends before %u", (unsigned long long)size,
				  (unsigned long long)in, (unsigned long long)out, UINT32_MAX);
		for (size_t k = 0; k < i; k++)
			if (overlap(in, size, v[k].container_id.v, v[k].size.v) || overlap(out, size, v[k].host_id.v, v[k].size.v))
				check_add(c, HULL_ERROR, at, "overlaps %s[%zu]", where, k);
	}
}

static void check_mapped(struct check *c, const char *where, uint32_t id, const struct oci_id_mapping *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (overlap(id, 1, v[i].container_id.v, v[i].size.v))
			return;
	if (n)
		check_add(c, HULL_ERROR, where, "%u — has no mapping in the container's user namespace", id);
}

static void check_ids(struct check *c)
{
	static const struct oci_user root;
	const struct oci_linux *l = c->cfg->linux_;
	const struct oci_user *u = c->cfg->process && c->cfg->process->user ? c->cfg->process->user : &root;

	check_map(c, "linux.uidMappings", l->uid_mappings, l->n_uid_mappings);
	check_map(c, "linux.gidMappings", l->gid_mappings, l->n_gid_mappings);
	check_mapped(c, "process.user.uid", u->uid.v, l->uid_mappings, l->n_uid_mappings);
	check_mapped(c, "process.user.gid", u->gid.v, l->gid_mappings, l->n_gid_mappings);
	for (size_t i = 0; i < u->additional_gids.n; i++)
		check_mapped(c, check_text(c, "process.user.additionalGids[%zu]", i), u->additional_gids.v[i], l->gid_mappings, l->n_gid_mappings);
}

/* ---- the process ---- */

static void check_rlimits(struct check *c, const struct oci_process *proc)
{
	uint64_t open_files = number_in("/proc/sys/fs/nr_open", UINT64_MAX);

	for (size_t i = 0; i < proc->n_rlimits; i++) {
		const struct oci_rlimit *l = &proc->rlimits[i];
		const char *where = check_text(c, "process.rlimits[%zu].hard", i);
		int resource = plan_rlimit(l->type);
		struct rlimit own;
		if (resource == RLIMIT_NOFILE && l->hard.v > open_files)
			check_add(c, HULL_ERROR, where, "%llu — no more than %llu are possible (fs.nr_open)", (unsigned long long)l->hard.v,
				  (unsigned long long)open_files);
		else if (resource >= 0 && getrlimit((__rlimit_resource_t)resource, &own) == 0 && l->hard.v > own.rlim_max && !caller_has(c, CAP_SYS_RESOURCE))
			check_add(c, HULL_ERROR, where, "%llu — the caller's own limit is %llu, and CAP_SYS_RESOURCE is missing to raise it",
				  (unsigned long long)l->hard.v, (unsigned long long)own.rlim_max);
	}
}

static void check_oom(struct check *c, const struct oci_process *proc)
{
	char text[32];

	if (!proc->oom_score_adj.set || caller_has(c, CAP_SYS_RESOURCE) || io_read_at(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof(text)) <= 0)
		return;
	long own = strtol(text, NULL, 10);
	if (proc->oom_score_adj.v < own)
		check_add(c, HULL_WARNING, "process.oomScoreAdj", "%d — is below the caller's own %ld, and CAP_SYS_RESOURCE is missing to lower it",
			  proc->oom_score_adj.v, own);
}

/* ---- the kernel ---- */

static void check_sysctls(struct check *c)
{
	const struct oci_map *m = &c->cfg->linux_->sysctl;
	char path[512];

	for (size_t i = 0; i < m->n; i++) {
		const char *key = m->v[i].key;
		snprintf(path, sizeof(path), "/proc/sys/%s", key);
		bool dots = key[strcspn(key, "./")] == '.';
		for (char *s = path + strlen("/proc/sys/"); dots && *s; s++)
			*s = *s == '.' ? '/' : *s == '/' ? '.' : *s;
		if (access(path, F_OK) < 0)
			check_add(c, HULL_WARNING, check_text(c, "linux.sysctl[\"%s\"]", key), "%s — isn't there on the host; in the container it may be", path);
	}
}

/* The highest number of a list such as "0-3,7"; `otherwise` where there is none. */
static unsigned long highest(const char *list, unsigned long otherwise)
{
	unsigned long top = 0;
	bool any = false;

	for (const char *s = list + strcspn(list, "0123456789"); *s; s += strcspn(s, "0123456789")) {
		char *end;
		unsigned long n = strtoul(s, &end, 10);
		top = !any || n > top ? n : top;
		any = true;
		s = end;
	}
	return any ? top : otherwise;
}

static void check_list(struct check *c, const char *where, const char *list, const char *there)
{
	char text[4096];

	if (!list || !list[0] || io_read_at(AT_FDCWD, there, text, sizeof(text)) <= 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (highest(list, 0) > highest(text, 0))
		check_add(c, HULL_ERROR, where, "\"%s\" — this host has %s", list, text);
}

static void check_cpus(struct check *c)
{
	const struct oci_resources *r = c->cfg->linux_->resources;

	if (!r || !r->cpu)
		return;
	check_list(c, "linux.resources.cpu.cpus", r->cpu->cpus, "/sys/devices/system/cpu/possible");
	check_list(c, "linux.resources.cpu.mems", r->cpu->mems, "/sys/devices/system/node/possible");
}

static void check_seccomp(struct check *c)
{
	const struct oci_seccomp *s = c->cfg->linux_->seccomp;

	if (!s)
		return;
	if (access("/proc/sys/kernel/seccomp/actions_avail", F_OK) < 0)
		check_add(c, HULL_ERROR, "linux.seccomp", "this kernel has no filters for system calls");
	for (size_t i = 0; i < s->flags.n; i++) {
		enum oci_seccomp_flag flag = (enum oci_seccomp_flag)s->flags.v[i];
		if (!(seccomp_flag_state(flag) & SECCOMP_FLAG_IN_KERNEL))
			check_add(c, HULL_ERROR, check_text(c, "linux.seccomp.flags[%zu]", i), "\"%s\" — this kernel doesn't know it", oci_seccomp_flag_word(flag));
	}
}

void check_limits(struct check *c)
{
	if (c->cfg->process) {
		check_rlimits(c, c->cfg->process);
		check_oom(c, c->cfg->process);
	}
	if (!c->cfg->linux_)
		return;
	check_ids(c);
	check_sysctls(c);
	check_cpus(c);
	check_seccomp(c);
}
