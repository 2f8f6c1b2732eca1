/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices that leave the host for the container. (config-linux.md, Network Devices) */
#include <ctype.h>
#include <net/if.h>

#include "plan/plan.h"

/* What the kernel takes as the name of a device (dev_valid_name): and a template, where one is allowed, has one "%d" and no other '%'. */
static bool is_device_name(const char *s, bool template)
{
	const char *percent = strchr(s, '%');

	if (!s[0] || strlen(s) >= IFNAMSIZ || streq(s, ".") || streq(s, ".."))
		return false;
	for (const char *c = s; *c; c++)
		if (*c == '/' || *c == ':' || isspace((unsigned char)*c) || iscntrl((unsigned char)*c))
			return false;
	return !percent || (template && percent[1] == 'd' && !strchr(percent + 1, '%'));
}

static int check_names(const struct oci_net_device *v, size_t i, const char *name, const char *where, struct err *e)
{
	if (!is_device_name(v[i].host_name, false))
		return err_config(e, where, "\"%s\" — no name of a network device: 1 to %d bytes without '/', ':', '%%' and white space", v[i].host_name, IFNAMSIZ - 1);
	if (!is_device_name(name, true))
		return err_config(e, where, "name \"%s\" — must be a name of 1 to %d bytes without '/', ':' and white space, in which one \"%%d\" lets the kernel choose a number",
				  name, IFNAMSIZ - 1);
	for (size_t k = 0; k < i && !strchr(name, '%'); k++)
		if (streq(name, v[k].name ? v[k].name : v[k].host_name))
			return err_config(e, where, "name \"%s\" — linux.netDevices[\"%s\"] gets it already", name, v[k].host_name);
	return 0;
}

int plan_add_net_devices(struct plan *p, struct err *e)
{
	const struct oci_linux *l = p->cfg->linux_;

	if (!l->n_net_devices)
		return 0;
	if (!plan_find_namespace(p->cfg, OCI_NS_NETWORK))
		return err_config(e, "linux.netDevices", "needs a namespace of type \"network\": without one the devices are the container's already");
	plan_step(p, STEP_NETLINK, PH_IDENT, WHO_S, "linux.netDevices");
	for (size_t i = 0; i < l->n_net_devices; i++) {
		const struct oci_net_device *d = &l->net_devices[i];
		const char *where = plan_text(p, "linux.netDevices[\"%s\"]", d->host_name), *name = d->name && d->name[0] ? d->name : d->host_name;
		int r = check_names(l->net_devices, i, name, where, e);

		if (r < 0)
			return r;
		struct bstr host_name = plan_str(p, d->host_name), new_name = plan_str(p, name);
		struct step *s = plan_step(p, STEP_NETDEV, PH_IDENT, WHO_HOST, where);
		s->u.write.name = host_name;
		s->u.write.value = new_name;
	}
	p->net_devices = true;
	return 0;
}
