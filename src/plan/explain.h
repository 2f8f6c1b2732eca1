/* SPDX-License-Identifier: Apache-2.0 */
/* Words of the plan that steps (explain_step.c) and fixed sequences (explain.c) share. Everything is appended to `b`. */
#ifndef HULL_PLAN_EXPLAIN_H
#define HULL_PLAN_EXPLAIN_H

#include "base/buf.h"
#include "plan/plan.h"

static inline const char *explain_str(const struct plan *p, struct bstr s)
{
	return s.off ? p->mem + s.off : "";
}

static inline const char *explain_path(const struct plan *p, struct bpath at)
{
	return at.off ? p->mem + at.off : "";
}

void explain_step(const struct plan *p, struct buf *b, const struct step *s);
/* "pid|network" of CLONE_NEW… */
void explain_namespaces(struct buf *b, uint32_t flags);
/* Lines of an id map, with commas between them. */
void explain_map(struct buf *b, const char *lines);
/* "shared" of MS_SHARED, "" of none. */
const char *explain_prop_name(uint64_t prop);

#endif
