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

/* Which sysctls belong to a namespace of the container. A trailing dot makes a prefix. (kernel documents: admin-guide/sysctl; namespaces(7)) */
static const struct {
	const char *name;
	enum oci_namespace_type owner;
} sysctl_owners[] = {
	{ "kernel.msgmax", OCI_NS_IPC },	  { "kernel.msgmnb", OCI_NS_IPC },	    { "kernel.msgmni", OCI_NS_IPC },
	{ "kernel.sem", OCI_NS_IPC },		  { "kernel.shmall", OCI_NS_IPC },	    { "kernel.shmmax", OCI_NS_IPC },
	{ "kernel.shmmni", OCI_NS_IPC },	  { "kernel.shm_rmid_forced", OCI_NS_IPC }, { "kernel.auto_msgmni", OCI_NS_IPC },
	{ "kernel.msg_next_id", OCI_NS_IPC },	  { "kernel.sem_next_id", OCI_NS_IPC },	    { "kernel.shm_next_id", OCI_NS_IPC },
	{ "fs.mqueue.", OCI_NS_IPC },		  { "net.", OCI_NS_NETWORK },		    { "kernel.domainname", OCI_NS_UTS },
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

static enum oci_namespace_type sysctl_owner(struct plan *p, const char *file)
{
	for (size_t i = 0; i < ARRAY_LEN(sysctl_owners); i++) {
		const char *name = sysctl_file(p, sysctl_owners[i].name);
		size_t n = strlen(name);
		if (name[n - 1] == '/' ? str_starts(file, name) : streq(file, name))
			return sysctl_owners[i].owner;
	}
	return OCI_NS_NONE;
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
			return err_config(e, where, "\"%s\" — does not belong to a namespace: setting it would change the host", key);
		if (!has_own(p, owner))
			return err_config(e, where, "\"%s\" — needs a namespace of type \"%s\": without one the host's would be changed", key,
					  oci_namespace_word(owner));
		struct step *s = plan_step(p, STEP_SYSCTL, PH_IDENT, WHO_S, where);
		s->u.write.name = plan_str(p, file);
		s->u.write.value = plan_str(p, value);
	}
	return 0;
}
