/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/num.h"
#include "cgroup/internal.h"
#include "cgroup/sdbus.h"
#include "cgroup/systemd.h"

#define UNIT "org.freedesktop.systemd1.Unit"
#define CPUS_MAX 8192

/* ---- properties as D-Bus values ---- */

/* "0-3,8" as bits, the first byte first. Returns the number of bytes, or -EINVAL. */
static int list_to_bits(const char *list, uint8_t *bits)
{
	uint64_t first, last, top = 0;

	memset(bits, 0, CPUS_MAX / 8);
	while (*list) {
		list += strspn(list, " ");
		if (num_take_range(&list, &first, &last) < 0 || (*list && *list != ',') || last >= CPUS_MAX || first > last)
			return -EINVAL;
		for (uint64_t i = first; i <= last; i++)
			bits[i / 8] |= (uint8_t)(1u << i % 8);
		top = last > top ? last : top;
		list += *list == ',';
	}
	return (int)(top / 8 + 1);
}

static int append_bits(struct sdbus *b, sd_bus_message *m, const char *list)
{
	uint8_t bits[CPUS_MAX / 8];
	int n = list_to_bits(list, bits);

	return n < 0 ? n : b->api.message_append_array(m, 'y', bits, (size_t)n);
}

static uint64_t number_of(const char *text)
{
	return streq(text, "infinity") ? UINT64_MAX : strtoull(text, NULL, 10);
}

/* "DEVICE LETTERS", or an empty list. */
static int append_rule(struct sdbus *b, sd_bus_message *m, const char *value)
{
	char device[64], letters[4];

	if (!value[0])
		return b->api.message_append(m, "a(ss)", 0u);
	if (sscanf(value, "%63s %3s", device, letters) != 2)
		return -EINVAL;
	return b->api.message_append(m, "a(ss)", 1u, device, letters);
}

/* "PATH NUMBER" */
static int append_device(struct sdbus *b, sd_bus_message *m, const char *value)
{
	const char *space = strchr(value, ' ');
	char path[64];

	if (!space || (size_t)(space - value) >= sizeof(path))
		return -EINVAL;
	snprintf(path, sizeof(path), "%.*s", (int)(space - value), value);
	return b->api.message_append(m, "a(st)", 1u, path, number_of(space + 1));
}

static int append_words(struct sdbus *b, sd_bus_message *m, const char *words)
{
	char word[CG_UNIT_MAX];
	int r = b->api.message_open_container(m, 'a', "s");

	while (r >= 0 && *words) {
		size_t n = strcspn(words, " ");
		if (n >= sizeof(word))
			return -EINVAL;
		snprintf(word, sizeof(word), "%.*s", (int)n, words);
		r = b->api.message_append(m, "s", word);
		words += n + (words[n] == ' ');
	}
	return r < 0 ? r : b->api.message_close_container(m);
}

static int append_value(struct sdbus *b, sd_bus_message *m, const struct cg_prop *p)
{
	if (streq(p->type, "ay"))
		return append_bits(b, m, p->value);
	if (streq(p->type, "a(st)"))
		return append_device(b, m, p->value);
	if (streq(p->type, "a(ss)"))
		return append_rule(b, m, p->value);
	if (streq(p->type, "as"))
		return append_words(b, m, p->value);
	switch (p->type[0]) {
	case 's':
		return b->api.message_append(m, "s", p->value);
	case 'b':
		return b->api.message_append(m, "b", (int)streq(p->value, "true"));
	case 't':
		return b->api.message_append(m, "t", number_of(p->value));
	case 'x':
		return b->api.message_append(m, "x", (int64_t)strtoll(p->value, NULL, 10));
	default: /* y, n, q, i, u: all passed as int */
		return b->api.message_append(m, p->type, (int)strtol(p->value, NULL, 10));
	}
}

static int append_prop(struct sdbus *b, sd_bus_message *m, const struct cg_prop *p)
{
	int r = b->api.message_open_container(m, 'r', "sv");

	if (r >= 0)
		r = b->api.message_append(m, "s", p->name);
	if (r >= 0)
		r = b->api.message_open_container(m, 'v', p->type);
	if (r >= 0)
		r = append_value(b, m, p);
	if (r >= 0)
		r = b->api.message_close_container(m);
	return r < 0 ? r : b->api.message_close_container(m);
}

static int append_props(struct sdbus *b, sd_bus_message *m, const struct cg_prop *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int r = append_prop(b, m, &v[i]);

		if (r < 0)
			return err_at(e, err_sys(e, r, "property %s = %.200s for systemd", v[i].name, v[i].value), v[i].origin);
	}
	return 0;
}

/* ---- the manager ---- */

int cg_systemd_supported(struct err *e UNUSED)
{
	return 0;
}

/* The system's manager in a container has its units below the container's cgroup; a user's one below user@UID.service. "/init.scope" is where the manager itself is. */
int cg_manager_detect(bool user, int timeout_ms, struct cg_manager *ret, struct err *e)
{
	struct sdbus b;
	int r = sdbus_open(&b, user, timeout_ms, e);

	*ret = (struct cg_manager){ .used = true, .user = user };
	if (r < 0)
		return r;
	r = sdbus_get_string(&b, SDBUS_MANAGER_PATH, SDBUS_MANAGER, "ControlGroup", ret->root, sizeof(ret->root), e);
	sdbus_close(&b);
	size_t n = strlen(ret->root), k = strlen("/init.scope");
	if (n >= k && streq(ret->root + n - k, "/init.scope"))
		ret->root[n - k] = '\0';
	return r;
}

/* ---- starting ---- */

static int append_fixed(struct sdbus *b, sd_bus_message *m, const struct cg_unit *u, const char *description, pid_t pid, struct err *e)
{
	const struct cg_prop fixed[] = {
		{ "Description", "s", description, "" },
		{ "Slice", "s", u->slice, "" },
		/* Stopping the machine ends containers by their engine, not before it. */
		{ "DefaultDependencies", "b", "false", "" },
		/* What is below the scope is the container's. */
		{ "Delegate", "b", "true", "" },
		/* A scope that failed doesn't keep its name. */
		{ "CollectMode", "s", "inactive-or-failed", "" },
		{ "CPUAccounting", "b", "true", "" },
		{ "MemoryAccounting", "b", "true", "" },
		{ "IOAccounting", "b", "true", "" },
		{ "TasksAccounting", "b", "true", "" },
	};
	int r = append_props(b, m, fixed, ARRAY_LEN(fixed), e);

	if (r < 0)
		return r;
	r = b->api.message_append(m, "(sv)", "PIDs", "au", 1u, (uint32_t)pid);
	return r < 0 ? err_sys(e, r, "property PIDs for systemd") : 0;
}

static int start_once(struct sdbus *b, const struct cg_unit *u, const struct cg_props *props, const char *description, pid_t pid, struct err *e)
{
	char what[CG_UNIT_MAX + 16];
	sd_bus_message *m = sdbus_method(b, SDBUS_MANAGER_PATH, SDBUS_MANAGER, "StartTransientUnit");
	int r = m ? b->api.message_append(m, "ss", u->name, "fail") : -ENOMEM;

	snprintf(what, sizeof(what), "start unit %s", u->name);
	if (r >= 0)
		r = b->api.message_open_container(m, 'a', "(sv)");
	if (r < 0) {
		b->api.message_unref(m);
		return err_sys(e, r, "%s", what);
	}
	r = append_fixed(b, m, u, description, pid, e);
	if (r == 0)
		r = append_props(b, m, props->v, props->n, e);
	if (r == 0 && (b->api.message_close_container(m) < 0 || b->api.message_append(m, "a(sa(sv))", 0u) < 0))
		r = err_sys(e, -ENOMEM, "%s", what);
	if (r < 0) {
		b->api.message_unref(m);
		return r;
	}
	return sdbus_call_job(b, m, what, e);
}

/* A call of the manager with the unit's name as its only argument. */
static int call_with_name(struct sdbus *b, const char *member, const char *unit, const char *what, sd_bus_message **ret, struct err *e)
{
	sd_bus_message *m = sdbus_method(b, SDBUS_MANAGER_PATH, SDBUS_MANAGER, member);

	if (m && b->api.message_append(m, "s", unit) < 0) {
		b->api.message_unref(m);
		m = NULL;
	}
	return sdbus_call(b, m, what, ret, e);
}

/* The unit's ActiveState, "" when it isn't loaded. */
static int active_state(struct sdbus *b, const char *unit, char *buf, size_t size, struct err *e)
{
	char what[CG_UNIT_MAX + 16], path[CG_UNIT_MAX * 3 + 64];
	const char *object;
	sd_bus_message *answer = NULL;
	int r;

	snprintf(what, sizeof(what), "look at unit %s", unit);
	buf[0] = '\0';
	r = call_with_name(b, "GetUnit", unit, what, &answer, e);
	if (r < 0)
		return streq(b->error_name, "org.freedesktop.systemd1.NoSuchUnit") ? 0 : r;
	r = b->api.message_read(answer, "o", &object);
	if (r >= 0)
		snprintf(path, sizeof(path), "%s", object);
	b->api.message_unref(answer);
	if (r < 0)
		return err_sys(e, r, "%s", what);
	r = sdbus_get_string(b, path, UNIT, "ActiveState", buf, size, e);
	/* Gone between the two questions. */
	if (r < 0 && (streq(b->error_name, "org.freedesktop.DBus.Error.UnknownObject") || streq(b->error_name, "org.freedesktop.systemd1.NoSuchUnit")))
		r = 0;
	return r;
}

static void reset_failed(struct sdbus *b, const char *unit)
{
	struct err ignored;

	/* "Not loaded" is what is wanted. */
	call_with_name(b, "ResetFailedUnit", unit, "reset a failed unit", NULL, &ignored);
}

/* A unit of this name is there. 0: it has been forgotten or is about to go, the start may be tried again. */
static int make_way(struct sdbus *b, const char *unit, struct err *e)
{
	char state[32];
	int r = active_state(b, unit, state, sizeof(state), e);

	if (r < 0)
		return r;
	if (streq(state, "failed"))
		reset_failed(b, unit);
	else if (streq(state, "deactivating") || streq(state, "inactive"))
		cg_sleep_ms(10);
	else if (state[0])
		return err_at(e, err_set(e, ERR_STATE, EEXIST, "the systemd unit %s exists and is %s", unit, state), "linux.cgroupsPath");
	return 0;
}

int cg_scope_start(const struct cg_manager *m, const struct cg_unit *u, const struct cg_props *props, const char *description, pid_t pid, int timeout_ms,
		   struct err *e)
{
	struct sdbus b;
	int r = sdbus_open(&b, m->user, timeout_ms, e);

	if (r < 0)
		return r;
	do {
		r = start_once(&b, u, props, description, pid, e);
		if (r != -EREMOTEIO || !streq(b.error_name, "org.freedesktop.systemd1.UnitExists"))
			break;
		r = make_way(&b, u->name, e);
	} while (r == 0 && clock_now_ms() < b.deadline_ms);
	sdbus_close(&b);
	return r;
}

/* ---- changing and stopping ---- */

int cg_scope_set(const struct cg_manager *m, const char *unit, const struct cg_props *props, int timeout_ms, struct err *e)
{
	char what[CG_UNIT_MAX + 32];
	struct sdbus b;
	int r = props->n ? sdbus_open(&b, m->user, timeout_ms, e) : 0;

	if (r < 0 || !props->n)
		return r;
	snprintf(what, sizeof(what), "set properties of unit %s", unit);
	sd_bus_message *msg = sdbus_method(&b, SDBUS_MANAGER_PATH, SDBUS_MANAGER, "SetUnitProperties");
	r = msg ? b.api.message_append(msg, "sb", unit, 1) : -ENOMEM; /* runtime: until the unit goes */
	if (r >= 0)
		r = b.api.message_open_container(msg, 'a', "(sv)");
	r = r < 0 ? err_sys(e, r, "%s", what) : append_props(&b, msg, props->v, props->n, e);
	if (r == 0 && b.api.message_close_container(msg) < 0)
		r = err_sys(e, -ENOMEM, "%s", what);
	if (r < 0)
		b.api.message_unref(msg);
	else
		r = sdbus_call(&b, msg, what, NULL, e);
	/* systemd writes them to the cgroup between this call and the next. */
	char state[32];
	if (r == 0)
		r = active_state(&b, unit, state, sizeof(state), e);
	sdbus_close(&b);
	return r;
}

static int stop_unit(struct sdbus *b, const char *unit, struct err *e)
{
	char what[CG_UNIT_MAX + 16];
	sd_bus_message *m = sdbus_method(b, SDBUS_MANAGER_PATH, SDBUS_MANAGER, "StopUnit");

	snprintf(what, sizeof(what), "stop unit %s", unit);
	if (m && b->api.message_append(m, "ss", unit, "replace") < 0) {
		b->api.message_unref(m);
		m = NULL;
	}
	int r = sdbus_call_job(b, m, what, e);
	return r == -EREMOTEIO && streq(b->error_name, "org.freedesktop.systemd1.NoSuchUnit") ? 0 : r;
}

int cg_scope_stop(const struct cg_manager *m, const char *unit, int timeout_ms, struct err *e)
{
	char state[32];
	struct sdbus b;
	int r = sdbus_open(&b, m->user, timeout_ms, e);

	if (r < 0)
		return r;
	r = active_state(&b, unit, state, sizeof(state), e);
	if (r == 0 && state[0] && !streq(state, "failed") && !streq(state, "inactive"))
		r = stop_unit(&b, unit, e);
	if (r == 0 && state[0])
		reset_failed(&b, unit);
	sdbus_close(&b);
	return r;
}
