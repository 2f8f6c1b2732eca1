/* SPDX-License-Identifier: Apache-2.0 */
/* What the host is like: read from the kernel, or from a text for tests. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <linux/nsfs.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "plan/plan.h"
#include "sys/mnt.h"
#include "sys/ns.h"

#ifndef OPEN_TREE_NAMESPACE
#define OPEN_TREE_NAMESPACE 2
#endif

static uint32_t last_capability(void)
{
	uint32_t c = 0;

	while (c < 63 && prctl(PR_CAPBSET_READ, c + 1, 0, 0, 0) >= 0)
		c++;
	return c;
}

/* Permitted and in the bounding set. */
static uint64_t own_capabilities(uint32_t last)
{
	cap_t caps = cap_get_proc();
	uint64_t mask = 0;

	if (!caps)
		return 0;
	for (uint32_t c = 0; c <= last; c++) {
		cap_flag_value_t on = CAP_CLEAR;
		if (cap_get_flag(caps, (cap_value_t)c, CAP_PERMITTED, &on) == 0 && on == CAP_SET && prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
			mask |= 1ull << c;
	}
	cap_free(caps);
	return mask;
}

/* The initial user namespace maps everything onto itself. */
static bool inside_user_namespace(void)
{
	char map[256];
	unsigned long long in, out, size;

	if (io_read_at(AT_FDCWD, "/proc/self/uid_map", map, sizeof(map)) <= 0)
		return true;
	return sscanf(map, "%llu %llu %llu", &in, &out, &size) != 3 || in != 0 || out != 0 || size != UINT32_MAX;
}

/* Does the mount namespace belong to a user namespace that we aren't in? The kernel shows only those below ours (ioctl_nsfs(2)). */
static bool has_foreign_mounts(void)
{
	scoped_fd int mnt = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	scoped_fd int owner = mnt < 0 ? -1 : ioctl(mnt, NS_GET_USERNS);

	return owner < 0;
}

/* 6.17 added the parameter; an older procfs answers EINVAL to the name, a newer one EPERM where our own pid namespace isn't ours to mount. No superblock is made by
 * asking. */
static bool procfs_has_pidns(void)
{
	scoped_fd int fs = fsopen("proc", FSOPEN_CLOEXEC);
	scoped_fd int self = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	return fs >= 0 && self >= 0 && (fsconfig(fs, FSCONFIG_SET_FD, "pidns", NULL, self) == 0 || errno == EPERM);
}

/* Flags are looked at before the descriptor: EINVAL for a flag that isn't known, EBADF else. */
static bool open_tree_makes_namespaces(void)
{
	return open_tree(-1, "", OPEN_TREE_NAMESPACE | AT_EMPTY_PATH) < 0 && errno == EBADF;
}

static bool first_byte_is(const char *path, char c)
{
	char text[16];

	return io_read_at(AT_FDCWD, path, text, sizeof(text)) > 0 && text[0] == c;
}

void facts_detect_inside(bool *ret_no_setgroups, bool *ret_procfs_pidns)
{
	*ret_no_setgroups = first_byte_is("/proc/self/setgroups", 'd');
	*ret_procfs_pidns = procfs_has_pidns();
}

int facts_detect(struct facts *ret, struct err *e)
{
	*ret = (struct facts){ .euid = (uint32_t)geteuid(), .egid = (uint32_t)getegid() };
	ret->in_userns = inside_user_namespace();
	ret->last_cap = last_capability();
	ret->caps = own_capabilities(ret->last_cap);
	ret->foreign_mounts = ret->in_userns && has_foreign_mounts();
	ret->no_setgroups = ret->in_userns && first_byte_is("/proc/self/setgroups", 'd');
	ret->procfs_pidns = !facts_is_ordinary(ret) && procfs_has_pidns();
	ret->open_tree_namespace = open_tree_makes_namespaces();
	ret->apparmor = first_byte_is("/sys/module/apparmor/parameters/enabled", 'Y');
	ret->selinux = access("/sys/fs/selinux/enforce", F_OK) == 0;
	return cg_layout_detect(&ret->cg, e);
}

static bool mounts_sysfs(const struct oci_config *cfg)
{
	for (size_t i = 0; i < cfg->n_mounts; i++)
		if (cfg->mounts[i].type && streq(cfg->mounts[i].type, "sysfs"))
			return true;
	return false;
}

/* A sysfs shows the network namespace of who mounts it, and wants CAP_SYS_ADMIN over that (net_current_may_mount() in net/core/net-sysfs.c). Who has it in the
 * own user namespace has it in all below. Without it a container is set up in its user namespace, in which one has all capabilities; one that is new owns
 * nothing of what was there before. */
static bool is_sysfs_refused(const struct facts *f, const struct oci_config *cfg)
{
	const struct oci_namespace *net = plan_find_namespace(cfg, OCI_NS_NETWORK), *user = plan_find_namespace(cfg, OCI_NS_USER);

	if ((net && !net->path) || !mounts_sysfs(cfg))
		return false;
	scoped_fd int net_fd = ns_open(net ? net->path : "/proc/self/ns/net");
	const char *ours = !facts_is_ordinary(f) ? "/proc/self/ns/user" : user ? user->path : NULL;
	/* A path that leads nowhere has an error of its own when it is joined. */
	if (net_fd < 0)
		return false;
	scoped_fd int user_fd = ours ? ns_open(ours) : -EBADF;
	return user_fd < 0 || !ns_is_below(net_fd, user_fd);
}

int facts_detect_for(struct facts *f, struct oci_config *cfg, struct oci_arena *a, struct err *e)
{
	const struct oci_namespace *mnt = plan_find_namespace(cfg, OCI_NS_MOUNT);

	if (!f->foreign)
		f->sysfs_refused = is_sysfs_refused(f, cfg);
	int r = facts_join_userns(f, cfg, a, e);
	if (r < 0 || f->foreign)
		return r;
	if (facts_is_guest(f) || (mnt && !mnt->path))
		return 0;
	r = mnt_tree_stays();
	if (r < 0)
		return err_sys(e, r, "find out how long detached mounts stay");
	f->trees_dissolve = r == 0;
	return 0;
}

/* ---- from a text ---- */

/* "v2 cpu memory …", "v1 cpu,cpuacct memory name=systemd …", "hybrid cpu … | hugetlb": what stands after | is on v2. */
static int parse_cgroups(char *words, struct facts *f, struct err *e)
{
	char *save = NULL, *mode = strtok_r(words, " ", &save);
	struct cg_layout *l = &f->cg;
	bool v2_part = mode && streq(mode, "v2");
	struct cg_hier *unified = NULL;

	*l = (struct cg_layout){ .mode = !mode ? CG_MODE_NONE : v2_part ? CG_MODE_V2 : streq(mode, "hybrid") ? CG_MODE_HYBRID : CG_MODE_V1 };
	if (!mode || (!v2_part && !streq(mode, "v1") && !streq(mode, "hybrid")))
		return err_set(e, ERR_USAGE, 0, "facts: cgroups \"%s\" — must be v1, v2 or hybrid", mode ? mode : "");
	for (char *w = mode; w; w = strtok_r(NULL, " ", &save)) {
		if (w == mode && !v2_part)
			continue;
		if (w == mode || streq(w, "|")) {
			unified = &l->h[l->n++];
			snprintf(unified->dir, sizeof(unified->dir), "%s", w == mode ? "" : "unified");
			snprintf(unified->controllers, sizeof(unified->controllers), " ");
			snprintf(unified->own, sizeof(unified->own), "/");
			unified->v2 = true;
			continue;
		}
		if (l->n == CG_HIER_MAX)
			return err_set(e, ERR_USAGE, 0, "facts: more than %d hierarchies", CG_HIER_MAX);
		struct cg_hier *h = unified ? unified : &l->h[l->n++];
		size_t have = strlen(h->controllers);
		if (!unified) {
			snprintf(h->dir, sizeof(h->dir), "%s", str_starts(w, "name=") ? w + 5 : w);
			snprintf(h->own, sizeof(h->own), "/");
		}
		snprintf(h->controllers + have, sizeof(h->controllers) - have, have ? "%s " : " %s ", w);
		for (char *c = h->controllers; *c; c++)
			if (*c == ',')
				*c = ' ';
	}
	return 0;
}

/* "system ROOT" or "user ROOT": the systemd driver, and where the manager's units are. */
static int parse_manager(const char *words, struct facts *f, struct err *e)
{
	const char *root = strchr(words, ' ');

	f->systemd = (struct cg_manager){ .used = true, .user = str_starts(words, "user ") };
	if (!root || (!f->systemd.user && !str_starts(words, "system ")))
		return err_set(e, ERR_USAGE, 0, "facts: systemd \"%s\" — must be \"system ROOT\" or \"user ROOT\"", words);
	snprintf(f->systemd.root, sizeof(f->systemd.root), "%s", root + 1);
	return 0;
}

static bool set_number(struct facts *f, const char *key, uint64_t n)
{
	const struct { const char *key; uint32_t *v; } numbers[] = { { "euid", &f->euid }, { "egid", &f->egid }, { "last_cap", &f->last_cap } };
	const struct { const char *key; bool *v; } flags[] = {
		{ "in_userns", &f->in_userns }, { "foreign_mounts", &f->foreign_mounts }, { "no_setgroups", &f->no_setgroups },
		{ "procfs_pidns", &f->procfs_pidns }, { "open_tree_namespace", &f->open_tree_namespace }, { "trees_dissolve", &f->trees_dissolve },
		{ "sysfs_refused", &f->sysfs_refused }, { "apparmor", &f->apparmor }, { "selinux", &f->selinux },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (streq(key, numbers[i].key))
			return *numbers[i].v = (uint32_t)n, true;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (streq(key, flags[i].key))
			return *flags[i].v = n != 0, true;
	if (streq(key, "caps"))
		return f->caps = n, true;
	return false;
}

static int parse_line(char *line, struct facts *f, struct err *e)
{
	char *value = strchr(line, ' ');
	uint64_t n = 0;

	if (value)
		*value++ = '\0';
	if (value && streq(line, "cgroups"))
		return parse_cgroups(value, f, e);
	if (value && streq(line, "cgroup2_options")) {
		snprintf(f->cg.options, sizeof(f->cg.options), "%s", value);
		return 0;
	}
	if (value && streq(line, "systemd"))
		return parse_manager(value, f, e);
	if (!value || num_parse_u64(value, UINT64_MAX, &n) < 0)
		return err_set(e, ERR_USAGE, 0, "facts: \"%s\" needs a number", line);
	return set_number(f, line, n) ? 0 : err_set(e, ERR_USAGE, 0, "facts: unknown key \"%s\"", line);
}

int facts_parse(const char *text, struct facts *ret, struct err *e)
{
	char defaults[] = "v2 cpuset cpu io memory hugetlb pids rdma misc";
	char copy[4096], *save = NULL;
	int r;

	*ret = (struct facts){ .last_cap = 40, .caps = (1ull << 41) - 1, .procfs_pidns = true, .foreign = true };
	r = parse_cgroups(defaults, ret, e);
	if (r == 0 && strlen(text) >= sizeof(copy))
		r = err_set(e, ERR_USAGE, 0, "facts: more than %zu bytes", sizeof(copy) - 1);
	if (r < 0)
		return r;
	memcpy(copy, text, strlen(text) + 1);
	for (char *line = strtok_r(copy, "\n", &save); line && r == 0; line = strtok_r(NULL, "\n", &save))
		if (line[0] != '#')
			r = parse_line(line, ret, e);
	return r;
}
