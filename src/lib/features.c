/* SPDX-License-Identifier: Apache-2.0 */
/* The features document (features.md, features-linux.md). There is no list of what hull can do: every word of the
 * specification is put into a small configuration, and what plan_create() makes a plan of is a feature. Who takes a
 * refusal out of the plan has changed this document, too. The plan is asked for a host that has everything, because
 * features.md wants the document to tell of the runtime and not of the host. */
#include "lib/hull.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/capability.h>

#include "lib/create.h"
#include "ocispec/schema.h"
#include "plan/plan.h"

#define FEATURES_INDENT 4

static const char host_v2[] = "apparmor 1\nselinux 1\n";
static const char host_v1[] = "apparmor 1\nselinux 1\n"
			      "cgroups v1 cpuset cpu,cpuacct blkio memory devices freezer net_cls,net_prio perf_event hugetlb pids rdma name=systemd\n";
static const char host_user[] = "euid 1000\negid 1000\ncaps 0\n";

/* One question. `cfg` is filled with what every container needs; whoever asks adds one thing. */
struct question {
	const char *host;
	struct oci_config cfg;
	struct oci_linux lin;
	struct oci_process proc;
	struct oci_root root;
	struct oci_namespace ns[2];
	struct oci_mount mount;
	struct oci_id_mapping ids;
	const char *args[1], *strings[1];
	int words[1];
	struct oci_resources resources;
	struct oci_rdma rdma;
	struct oci_seccomp seccomp;
	struct oci_syscall call;
	struct oci_syscall_arg arg;
	struct oci_intel_rdt rdt;
	struct oci_memory_policy policy;
	struct oci_net_device device;
};

static void begin(struct question *q)
{
	*q = (struct question){ .host = host_v2, .root = { .path = "/rootfs" }, .args = { "/program" }, .ns = { { .type = OCI_NS_MOUNT } },
				.ids = { .host_id = { true, 100000 }, .size = { true, 65536 } } };
	q->proc = (struct oci_process){ .cwd = "/", .args = { q->args, 1, true } };
	q->lin = (struct oci_linux){ .namespaces = q->ns, .n_namespaces = 1 };
	q->cfg = (struct oci_config){ .oci_version = OCI_VERSION_MAX, .root = &q->root, .process = &q->proc, .linux_ = &q->lin };
}

/* Would hull make this container, given a host that can? */
static bool ask(const struct question *q)
{
	static const uint8_t token[16];
	const struct plan_opts o = { .id = "features", .bundle = "/bundle", .gate = true, .token = token, .log_level = LOG_LVL_ERROR };
	struct oci_arena scratch = { 0 };
	struct facts facts;
	struct plan plan;
	struct err e;

	int r = facts_parse(q->host, &facts, &e);
	if (r == 0)
		r = plan_create(&facts, &q->cfg, &o, &scratch, &plan, &e);
	oci_arena_release(&scratch);
	return r == 0;
}

static void give_namespace(struct question *q, enum oci_namespace_type type)
{
	if (type == OCI_NS_MOUNT)
		return;
	q->ns[q->lin.n_namespaces++].type = type;
	if (type != OCI_NS_USER)
		return;
	q->lin.uid_mappings = q->lin.gid_mappings = &q->ids;
	q->lin.n_uid_mappings = q->lin.n_gid_mappings = 1;
}

static void give_profile(struct question *q, enum oci_seccomp_action action)
{
	static const char *names[] = { "getppid" };

	q->call = (struct oci_syscall){ .names = { names, 1, true }, .action = action };
	q->seccomp = (struct oci_seccomp){ .default_action = action == OCI_ACT_ALLOW ? OCI_ACT_ERRNO : OCI_ACT_ALLOW, .syscalls = &q->call, .n_syscalls = 1 };
	if (action == OCI_ACT_NOTIFY)
		q->seccomp.listener_path = "/run/listener.sock";
	q->lin.seccomp = &q->seccomp;
}

static void give_policy(struct question *q, enum oci_mpol_mode mode, enum oci_mpol_flag flag)
{
	q->policy = (struct oci_memory_policy){ .mode = mode };
	if (mode != OCI_MPOL_DEFAULT && mode != OCI_MPOL_LOCAL)
		q->policy.nodes = "0";
	q->words[0] = (int)flag;
	if (flag)
		q->policy.flags = (struct oci_enumv){ q->words, 1, true };
	q->lin.memory_policy = &q->policy;
}

/* ---- one word of a vocabulary ---- */

static void ask_namespace(struct question *q, unsigned word)
{
	give_namespace(q, (enum oci_namespace_type)word);
}

static void ask_action(struct question *q, unsigned word)
{
	give_profile(q, (enum oci_seccomp_action)word);
}

static void ask_operator(struct question *q, unsigned word)
{
	give_profile(q, OCI_ACT_ERRNO);
	q->arg = (struct oci_syscall_arg){ .index = { true, 0 }, .value = { true, 1 }, .value_two = { true, 1 }, .op = (enum oci_seccomp_op)word };
	q->call.args = &q->arg;
	q->call.n_args = 1;
}

static void ask_arch(struct question *q, unsigned word)
{
	give_profile(q, OCI_ACT_ERRNO);
	q->words[0] = (int)word;
	q->seccomp.architectures = (struct oci_enumv){ q->words, 1, true };
}

static void ask_flag(struct question *q, unsigned word)
{
	give_profile(q, OCI_ACT_ERRNO);
	q->words[0] = (int)word;
	q->seccomp.flags = (struct oci_enumv){ q->words, 1, true };
}

static void ask_policy_mode(struct question *q, unsigned word)
{
	give_policy(q, (enum oci_mpol_mode)word, 0);
}

static void ask_policy_flag(struct question *q, unsigned word)
{
	give_policy(q, OCI_MPOL_BIND, (enum oci_mpol_flag)word);
}

/* The words of `vocabulary` that hull does. */
static int list_words(const struct oci_words *vocabulary, void (*f)(struct question *q, unsigned word), struct oci_arena *a, struct oci_strv *ret)
{
	struct question q;

	*ret = (struct oci_strv){ .v = oci_arena_alloc(a, vocabulary->n * sizeof(*ret->v)), .set = true };
	for (unsigned i = 1; ret->v && i < vocabulary->n; i++) {
		begin(&q);
		f(&q, i);
		if (ask(&q))
			ret->v[ret->n++] = vocabulary->word[i];
	}
	return ret->v ? 0 : -ENOMEM;
}

/* ---- yes or no ---- */

static void ask_nothing(struct question *q)
{
	(void)q;
}

static void ask_cgroup_v1(struct question *q)
{
	q->host = host_v1;
}

static void ask_rdma(struct question *q)
{
	q->rdma = (struct oci_rdma){ .device = "mlx5_0", .hca_handles = { true, 1 } };
	q->resources = (struct oci_resources){ .rdma = &q->rdma, .n_rdma = 1 };
	q->lin.resources = &q->resources;
}

static void ask_rootless(struct question *q)
{
	q->host = host_user;
	give_namespace(q, OCI_NS_USER);
}

static void ask_profile(struct question *q)
{
	give_profile(q, OCI_ACT_ERRNO);
}

static void ask_apparmor(struct question *q)
{
	q->proc.apparmor_profile = "profile";
}

static void ask_selinux(struct question *q)
{
	q->proc.selinux_label = "system_u:system_r:container_t:s0";
	q->lin.mount_label = "system_u:object_r:container_file_t:s0";
}

static void ask_rdt(struct question *q)
{
	q->rdt = (struct oci_intel_rdt){ .clos_id = "group" };
	q->lin.intel_rdt = &q->rdt;
}

static void ask_rdt_schemata(struct question *q)
{
	ask_rdt(q);
	q->strings[0] = "L3:0=ff";
	q->rdt.schemata = (struct oci_strv){ q->strings, 1, true };
}

static void ask_rdt_monitoring(struct question *q)
{
	ask_rdt(q);
	q->rdt.enable_monitoring = (struct opt_bool){ true, true };
}

static void ask_idmap(struct question *q)
{
	q->strings[0] = "rbind";
	q->mount = (struct oci_mount){ .destination = "/data", .type = "bind", .source = "/source", .options = { q->strings, 1, true },
				       .uid_mappings = &q->ids, .n_uid_mappings = 1, .gid_mappings = &q->ids, .n_gid_mappings = 1 };
	q->cfg.mounts = &q->mount;
	q->cfg.n_mounts = 1;
}

static void ask_net_device(struct question *q)
{
	give_namespace(q, OCI_NS_NETWORK);
	q->device = (struct oci_net_device){ .host_name = "eth9", .name = "eth0" };
	q->lin.net_devices = &q->device;
	q->lin.n_net_devices = 1;
}

static struct opt_bool answer(void (*f)(struct question *q))
{
	struct question q;

	begin(&q);
	f(&q);
	return (struct opt_bool){ true, ask(&q) };
}

/* ---- the document ---- */

/* What both this kernel and libcap have a name for; a configuration's other names are warned of and not granted. */
static int list_capabilities(struct oci_arena *a, struct oci_strv *ret)
{
	struct facts f;
	struct err ignored; /* a host without cgroups: what is looked at here has been found before */

	facts_detect(&f, &ignored);
	*ret = (struct oci_strv){ .v = oci_arena_alloc(a, 64 * sizeof(*ret->v)), .set = true };
	for (uint32_t c = 0; ret->v && c <= f.last_cap; c++) {
		char *name = cap_to_name((cap_value_t)c);
		char *copy = name ? oci_arena_strdup(a, name) : NULL;
		bool named = name && str_starts(name, "cap_"); /* else libcap gives the number */
		cap_free(name);
		if (!copy)
			return -ENOMEM;
		for (char *s = copy; *s; s++)
			*s = (char)toupper((unsigned char)*s);
		if (named)
			ret->v[ret->n++] = copy;
	}
	return ret->v ? 0 : -ENOMEM;
}

/* The kinds of hooks are the rows of the configuration's own table. */
static int list_hooks(struct oci_arena *a, struct oci_strv *ret)
{
	const struct oci_desc *hooks = oci_config_desc.fields[0].desc;

	for (unsigned i = 0; i < oci_config_desc.n; i++)
		if (streq(oci_config_desc.fields[i].name, "hooks"))
			hooks = oci_config_desc.fields[i].desc;
	*ret = (struct oci_strv){ .v = hooks ? oci_arena_alloc(a, hooks->n * sizeof(*ret->v)) : NULL, .set = true };
	for (unsigned i = 0; ret->v && i < hooks->n; i++)
		ret->v[ret->n++] = hooks->fields[i].name;
	return ret->v ? 0 : -ENOMEM;
}

static void list_mount_options(struct oci_strv *ret)
{
	*ret = (struct oci_strv){ .v = (const char **)(uintptr_t)mount_words_known(), .set = true };
	while (ret->v[ret->n])
		ret->n++;
}

static bool does_action(const struct oci_features_seccomp *s, const char *word)
{
	for (size_t i = 0; i < s->actions.n; i++)
		if (streq(s->actions.v[i], word))
			return true;
	return false;
}

/* A known flag is supported when the kernel has it; one that is about listeners only where hull makes listeners. */
static int list_supported_flags(struct oci_features_seccomp *s, struct oci_arena *a)
{
	const struct oci_words *w = &oci_seccomp_flag_words;
	bool listens = does_action(s, oci_seccomp_action_word(OCI_ACT_NOTIFY));

	s->supported_flags = (struct oci_strv){ .v = oci_arena_alloc(a, w->n * sizeof(*s->supported_flags.v)), .set = true };
	for (unsigned i = 1; s->supported_flags.v && i < w->n; i++) {
		unsigned state = seccomp_flag_state((enum oci_seccomp_flag)i);
		if ((state & SECCOMP_FLAG_IN_KERNEL) && (listens || !(state & SECCOMP_FLAG_OF_LISTENER)))
			s->supported_flags.v[s->supported_flags.n++] = w->word[i];
	}
	return s->supported_flags.v ? 0 : -ENOMEM;
}

static int fill_seccomp(struct oci_features_seccomp *s, struct oci_arena *a)
{
	int r = list_words(&oci_seccomp_action_words, ask_action, a, &s->actions);

	s->enabled = answer(ask_profile);
	if (r == 0)
		r = list_words(&oci_seccomp_op_words, ask_operator, a, &s->operators);
	if (r == 0)
		r = list_words(&oci_seccomp_arch_words, ask_arch, a, &s->archs);
	if (r == 0)
		r = list_words(&oci_seccomp_flag_words, ask_flag, a, &s->known_flags);
	return r == 0 ? list_supported_flags(s, a) : r;
}

static void fill_cgroup(struct oci_features_cgroup *c)
{
	const struct hull with_systemd = { .systemd_cgroup = true };
	const struct hull_create_opts plain = { 0 };
	struct err why;

	c->v1 = answer(ask_cgroup_v1);
	c->v2 = answer(ask_nothing);
	c->rdma = answer(ask_rdma);
	c->systemd = (struct opt_bool){ true, creation_check_options(&with_systemd, &plain, &why) == 0 };
	c->systemd_user = (struct opt_bool){ true, c->systemd.v && answer(ask_rootless).v };
}

/* The parts of the document that are pointers. */
struct parts {
	struct oci_features doc;
	struct oci_features_linux lin;
	struct oci_features_cgroup cgroup;
	struct oci_features_seccomp seccomp;
	struct oci_features_enabled apparmor, selinux, net_devices, idmap;
	struct oci_features_intel_rdt rdt;
	struct oci_features_memory_policy policy;
	struct oci_features_mount_extensions extensions;
};

static int fill_linux(struct parts *p, struct oci_arena *a)
{
	int r = list_words(&oci_namespace_type_words, ask_namespace, a, &p->lin.namespaces);

	if (r == 0)
		r = list_capabilities(a, &p->lin.capabilities);
	if (r == 0)
		r = fill_seccomp(&p->seccomp, a);
	if (r == 0)
		r = list_words(&oci_mpol_mode_words, ask_policy_mode, a, &p->policy.modes);
	if (r == 0)
		r = list_words(&oci_mpol_flag_words, ask_policy_flag, a, &p->policy.flags);
	if (r < 0)
		return r;
	fill_cgroup(&p->cgroup);
	p->apparmor.enabled = answer(ask_apparmor);
	p->selinux.enabled = answer(ask_selinux);
	p->net_devices.enabled = answer(ask_net_device);
	p->idmap.enabled = answer(ask_idmap);
	p->extensions.idmap = &p->idmap;
	p->rdt = (struct oci_features_intel_rdt){ answer(ask_rdt), answer(ask_rdt_schemata), answer(ask_rdt_monitoring) };
	p->lin.cgroup = &p->cgroup;
	p->lin.seccomp = &p->seccomp;
	p->lin.apparmor = &p->apparmor;
	p->lin.selinux = &p->selinux;
	p->lin.net_devices = &p->net_devices;
	p->lin.intel_rdt = &p->rdt;
	p->lin.memory_policy = &p->policy;
	p->lin.mount_extensions = &p->extensions;
	return 0;
}

int hull_features(const struct oci_map *about, struct oci_arena *a, const char **ret_text, struct err *e)
{
	struct parts p = { .doc = { .oci_version_min = OCI_VERSION_MIN, .oci_version_max = OCI_VERSION_MAX, .annotations = *about, .linux_ = &p.lin } };
	int r = list_hooks(a, &p.doc.hooks);

	list_mount_options(&p.doc.mount_options);
	struct oci_strv *known = &p.doc.potentially_unsafe_config_annotations;
	known->v = (const char **)(uintptr_t)plan_annotations_known(&known->n);
	known->set = true;
	if (r == 0)
		r = fill_linux(&p, a);
	*ret_text = r == 0 ? oci_write(&oci_features_desc, &p.doc, FEATURES_INDENT, a, NULL) : NULL;
	return *ret_text ? 0 : err_sys(e, -ENOMEM, "write the features");
}
