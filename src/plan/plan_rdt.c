/* SPDX-License-Identifier: Apache-2.0 */
/* Intel RDT: which group of resctrl, and what is written there. (config-linux.md, IntelRdt) */
#include "plan/plan.h"

/* l3CacheSchema first, memBwSchema second, schemata last, each a line of its own. */
static const char *join_schemata(struct plan *p, const struct oci_intel_rdt *r)
{
	const char *text = "";

	if (r->l3_cache_schema && r->l3_cache_schema[0])
		text = plan_text(p, "%s\n", r->l3_cache_schema);
	if (r->mem_bw_schema && r->mem_bw_schema[0])
		text = plan_text(p, "%s%s\n", text, r->mem_bw_schema);
	for (size_t i = 0; i < r->schemata.n; i++)
		text = plan_text(p, "%s%s\n", text, r->schemata.v[i]);
	return text;
}

int plan_add_rdt(struct plan *p, const char *id, struct err *e)
{
	static const char *const reserved[] = { "info", "mon_groups", "mon_data" };
	const struct oci_intel_rdt *r = p->cfg->linux_ ? p->cfg->linux_->intel_rdt : NULL;

	if (!r)
		return 0;
	const char *group = r->clos_id && r->clos_id[0] ? r->clos_id : id;
	bool named = group != id;
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (streq(group, reserved[i]))
			return err_config(e, "linux.intelRdt.closID", "\"%s\" — is a directory of resctrl itself", group);
	p->rdt = (struct plan_rdt){ .on = true, .group = streq(group, "/") ? "" : group, .schemata = join_schemata(p, r), .named = named };
	p->rdt.must_exist = named && !p->rdt.schemata[0];
	if (r->enable_monitoring.v)
		p->rdt.mon_group = plan_text(p, "%s%smon_groups/%s", p->rdt.group, p->rdt.group[0] ? "/" : "", id);
	return 0;
}
