/* SPDX-License-Identifier: Apache-2.0 */
/* What is set in the container's own namespaces: hostname, domainname, lo, sysctls. */
#include <ctype.h>
#include <linux/sched.h>

#include "plan/plan.h"

static bool has_own(const struct plan *p, enum oci_namespace_type type)
{
	return plan_find_namespace(p->cfg, type) != NULL;
}

int plan_add_ident(struct plan *p, struct err *e)
{
	const struct oci_config *c = p->cfg;

	if ((c->hostname || c->domainname) && !has_own(p, OCI_NS_UTS))
		return err_config(e, c->hostname ? "hostname" : "domainname", "\"%s\" — needs a namespace of type \"uts\": without one the host's would be changed",
				  c->hostname ? c->hostname : c->domainname);
	if (c->hostname && strlen(c->hostname) > 64)
		return err_config(e, "hostname", "\"%s\" — at most 64 bytes", c->hostname);
	if (c->domainname && strlen(c->domainname) > 64)
		return err_config(e, "domainname", "\"%s\" — at most 64 bytes", c->domainname);
	if (c->hostname)
		plan_step(p, STEP_HOSTNAME, PH_IDENT, WHO_S, "hostname")->u.write.value = plan_str(p, c->hostname);
	if (c->domainname)
		plan_step(p, STEP_DOMAINNAME, PH_IDENT, WHO_S, "domainname")->u.write.value = plan_str(p, c->domainname);
	if ((p->hdr.new_namespaces | p->hdr.userns_new) & CLONE_NEWNET)
		plan_step(p, STEP_LO_UP, PH_IDENT, WHO_S, "(new network namespace)");
	return 0;
}

/* Which sysctls belong to a namespace of the container. A trailing dot makes a prefix. The kernel shows those of net that are the host's in no other network
 * namespace, or read-only (ensure_safe_net_sysctl()). The same from 6.1 to 7.x. (ipc/ipc_sysctl.c, ipc/mq_sysctl.c, kernel/utsname_sysctl.c, kernel/ucount.c;
 * namespaces(7)) */
static const struct {
	const char *name;
	enum oci_namespace_type owner;
} sysctl_owners[] = {
	{ "kernel.msgmax", OCI_NS_IPC },	  { "kernel.msgmnb", OCI_NS_IPC },	    { "kernel.msgmni", OCI_NS_IPC },
	{ "kernel.sem", OCI_NS_IPC },		  { "kernel.shmall", OCI_NS_IPC },	    { "kernel.shmmax", OCI_NS_IPC },
	{ "kernel.shmmni", OCI_NS_IPC },	  { "kernel.shm_rmid_forced", OCI_NS_IPC }, { "kernel.auto_msgmni", OCI_NS_IPC },
	{ "kernel.msg_next_id", OCI_NS_IPC },	  { "kernel.sem_next_id", OCI_NS_IPC },	    { "kernel.shm_next_id", OCI_NS_IPC },
	{ "fs.mqueue.", OCI_NS_IPC },		  { "net.", OCI_NS_NETWORK },		    { "kernel.domainname", OCI_NS_UTS },
	{ "user.", OCI_NS_USER },
};

/* What the kernel finds, or whose ids it understands, by the user namespace of the process that writes it. */
static const char *const sysctls_inside[] = { "user.", "net.ipv4.ping_group_range" };

/* Not the host's, or not always, and still none of these. */
static const struct { const char *name, *why; } sysctls_refused[] = {
	{ "kernel.hostname", "is set by the property hostname" },
	{ "kernel.pid_max", "belongs to the pid namespace since Linux 6.14 only, before to the host" },
	{ "vm.memfd_noexec", "belongs to the pid namespace since Linux 6.3 only, and can't be taken back there" },
	{ "kernel.ns_last_pid", "is no setting: the kernel counts on from it" },
};

/* "net.ipv4.conf.eth0/1.x" and "net/ipv4/conf/eth0.1/x" name the same file: the first separator decides, the other character is part of a name. */
static const char *sysctl_file(struct plan *p, const char *key)
{
	char *s = oci_arena_strdup(p->arena, key);
	const char *first = s ? strpbrk(s, "./") : NULL;

	if (!s || !first)
		return key;
	if (*first == '/')
		return s;
	for (char *c = s; *c; c++)
		*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
	return s;
}

static bool has_bad_component(const char *file)
{
	for (const char *c = file; *c; c += strspn(c, "/")) {
		size_t len = strcspn(c, "/");
		if (len == 0 || (len == 1 && c[0] == '.') || (len == 2 && c[0] == '.' && c[1] == '.'))
			return true;
		for (size_t i = 0; i < len; i++)
			if (iscntrl((unsigned char)c[i]))
				return true;
		c += len;
	}
	return file[0] == '\0' || file[0] == '/' || file[strlen(file) - 1] == '/';
}

/* Is `file` the one of the table's row `name`, or below it? */
static bool is_named(struct plan *p, const char *name, const char *file)
{
	const char *row = sysctl_file(p, name);

	return row[strlen(row) - 1] == '/' ? str_starts(file, row) : streq(file, row);
}

static const char *why_refused(struct plan *p, const char *file)
{
	for (size_t i = 0; i < ARRAY_LEN(sysctls_refused); i++)
		if (is_named(p, sysctls_refused[i].name, file))
			return sysctls_refused[i].why;
	return "does not belong to a namespace: setting it would change the host";
}

static enum oci_namespace_type sysctl_owner(struct plan *p, const char *file)
{
	for (size_t i = 0; i < ARRAY_LEN(sysctl_owners); i++)
		if (is_named(p, sysctl_owners[i].name, file))
			return sysctl_owners[i].owner;
	return OCI_NS_NONE;
}

enum oci_namespace_type plan_sysctl_owner(struct plan *p, const char *key)
{
	return sysctl_owner(p, sysctl_file(p, key));
}

static void add_sysctl(struct plan *p, const char *file, const char *value, const char *where)
{
	struct step *s = plan_step(p, STEP_SYSCTL, PH_IDENT, WHO_S, where);

	s->u.write.name = plan_str(p, file);
	s->u.write.value = plan_str(p, value);
	for (size_t i = 0; i < ARRAY_LEN(sysctls_inside); i++)
		if (p->hdr.userns && is_named(p, sysctls_inside[i], file))
			s->flags |= STEP_IN_USERNS;
}

int plan_add_sysctls(struct plan *p, struct err *e)
{
	const struct oci_map *m = &p->cfg->linux_->sysctl;

	for (size_t i = 0; i < m->n; i++) {
		const char *key = m->v[i].key, *value = m->v[i].value;
		const char *where = plan_text(p, "linux.sysctl[\"%s\"]", key);
		const char *file = sysctl_file(p, key);

		if (has_bad_component(file))
			return err_config(e, where, "\"%s\" — not the name of a sysctl", key);
		if (strpbrk(value, "\n\r") || strlen(value) >= 4096)
			return err_config(e, where, "a value must be one line of less than 4096 bytes");
		enum oci_namespace_type owner = sysctl_owner(p, file);
		if (owner == OCI_NS_NONE)
			return err_config(e, where, "\"%s\" — %s", key, why_refused(p, file));
		if (!has_own(p, owner))
			return err_config(e, where, "\"%s\" — needs a namespace of type \"%s\": without one the host's would be changed", key,
					  oci_namespace_word(owner));
		add_sysctl(p, file, value, where);
	}
	return 0;
}
