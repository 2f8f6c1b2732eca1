/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup/sdbus.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "cgroup/internal.h"

#define SYSTEMD "org.freedesktop.systemd1"

/* Loaded by its soname, before any namespace is entered (security rule R12). */
static const char library[] = "libsystemd.so.0";

static const struct {
	const char *name;
	size_t at;
} symbols[] = {
#define SYMBOL(s) { "sd_bus_" #s, offsetof(struct sdbus_api, s) }
	SYMBOL(open_system),
	SYMBOL(open_user),
	SYMBOL(flush_close_unref),
	SYMBOL(close_unref),
	SYMBOL(process),
	SYMBOL(wait),
	SYMBOL(call_async),
	SYMBOL(slot_unref),
	SYMBOL(match_signal_async),
	SYMBOL(message_new_method_call),
	SYMBOL(message_append),
	SYMBOL(message_append_array),
	SYMBOL(message_open_container),
	SYMBOL(message_close_container),
	SYMBOL(message_read),
	SYMBOL(message_enter_container),
	SYMBOL(message_get_error),
	SYMBOL(message_ref),
	SYMBOL(message_unref),
#undef SYMBOL
};

static int load_api(struct sdbus_api *api, struct err *e)
{
	/* Never unloaded: it keeps thread-local data. */
	void *lib = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		return err_set(e, ERR_UNSUPPORTED, ENOSYS, "load %s for the systemd cgroup driver: %.300s", library, dlerror());
	for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
		void *p = dlsym(lib, symbols[i].name);
		if (!p)
			return err_set(e, ERR_UNSUPPORTED, ENOSYS, "%s has no %s: it is too old for the systemd cgroup driver", library, symbols[i].name);
		memcpy((char *)api + symbols[i].at, &p, sizeof(p));
	}
	return 0;
}

static int64_t elapsed_ms(const struct sdbus *b)
{
	return clock_now_ms() - b->begun_ms;
}

static uint64_t left_usec(const struct sdbus *b)
{
	int64_t left = b->deadline_ms - clock_now_ms();

	return left > 0 ? (uint64_t)left * 1000 : 0;
}

/* Work on the connection until *done. sd_bus_call() isn't used: it waits without a limit for the connection itself. */
static int run_until(struct sdbus *b, const bool *done)
{
	for (;;) {
		int r = b->api.process(b->bus, NULL);

		if (r < 0)
			return r;
		if (*done)
			return 0;
		if (r > 0)
			continue;
		if (left_usec(b) == 0)
			return -ETIMEDOUT;
		r = b->api.wait(b->bus, left_usec(b));
		if (r < 0 && r != -EINTR)
			return r;
	}
}

int sdbus_open(struct sdbus *b, bool user, int timeout_ms, struct err *e)
{
	*b = (struct sdbus){ .begun_ms = clock_now_ms() };
	b->deadline_ms = b->begun_ms + timeout_ms;
	int r = load_api(&b->api, e);
	if (r < 0)
		return -ENOSYS;
	r = user ? b->api.open_user(&b->bus) : b->api.open_system(&b->bus);
	if (r < 0) {
		b->bus = NULL;
		return err_sys(e, r, "connect to the %s bus of D-Bus for the systemd cgroup driver", user ? "user's" : "system");
	}
	return 0;
}

void sdbus_close(struct sdbus *b)
{
	if (!b->bus)
		return;
	b->api.slot_unref(b->job_slot);
	/* Without a flush: it may block, and nothing is sent that isn't waited for. */
	b->api.close_unref(b->bus);
	b->bus = NULL;
}

sd_bus_message *sdbus_method(struct sdbus *b, const char *path, const char *interface, const char *member)
{
	sd_bus_message *m = NULL;

	return b->api.message_new_method_call(b->bus, &m, SYSTEMD, path, interface, member) < 0 ? NULL : m;
}

struct answer {
	struct sdbus *b;
	sd_bus_message *m;
	bool done;
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *unused UNUSED)
{
	struct answer *a = userdata;

	a->m = a->b->api.message_ref(m);
	a->done = true;
	return 0;
}

/* Errors of the transport have an errno, those of systemd a name and a text. */
static int explain_failure(struct sdbus *b, const sd_bus_error *error, const char *what, struct err *e)
{
	snprintf(b->error_name, sizeof(b->error_name), "%s", error->name ? error->name : "");
	if (streq(b->error_name, "org.freedesktop.DBus.Error.NoReply") || streq(b->error_name, "org.freedesktop.DBus.Error.Timeout"))
		return err_set(e, ERR_SYS, ETIMEDOUT, "%s: no answer from systemd after %lld ms", what, (long long)elapsed_ms(b));
	err_set(e, ERR_SYS, 0, "%s: %.300s (%s)", what, error->message ? error->message : "refused", b->error_name);
	return -EREMOTEIO;
}

int sdbus_call(struct sdbus *b, sd_bus_message *m, const char *what, sd_bus_message **ret, struct err *e)
{
	struct answer a = { .b = b };
	sd_bus_slot *slot = NULL;
	int r;

	b->error_name[0] = '\0';
	if (!m)
		return err_sys(e, -ENOMEM, "%s", what);
	r = b->api.call_async(b->bus, &slot, m, on_answer, &a, left_usec(b) + 1);
	b->api.message_unref(m);
	if (r >= 0)
		r = run_until(b, &a.done);
	b->api.slot_unref(slot);
	if (r == -ETIMEDOUT)
		return err_set(e, ERR_SYS, ETIMEDOUT, "%s: no answer from systemd after %lld ms", what, (long long)elapsed_ms(b));
	if (r < 0)
		return err_sys(e, r, "%s", what);
	const sd_bus_error *error = b->api.message_get_error(a.m);
	r = error ? explain_failure(b, error, what, e) : 0;
	if (r == 0 && ret)
		*ret = a.m;
	else
		b->api.message_unref(a.m);
	return r;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *unused UNUSED)
{
	struct sdbus *b = userdata;
	const char *path, *unit, *result;
	uint32_t id;

	/* The answer that names our job comes before the signal: both are from systemd, in this order. */
	if (b->api.message_read(m, "uoss", &id, &path, &unit, &result) < 0 || !b->job[0] || !streq(path, b->job))
		return 0;
	snprintf(b->job_result, sizeof(b->job_result), "%s", result);
	b->job_ended = true;
	return 0;
}

/* systemd sends its signals only while somebody has asked for them. */
static int watch_jobs(struct sdbus *b, struct err *e)
{
	static const char what[] = "watch the jobs of systemd";
	int r;

	if (b->job_slot)
		return 0;
	r = b->api.match_signal_async(b->bus, &b->job_slot, SYSTEMD, SDBUS_MANAGER_PATH, SDBUS_MANAGER, "JobRemoved", on_job_removed, NULL, b);
	if (r < 0)
		return err_sys(e, r, "%s", what);
	return sdbus_call(b, sdbus_method(b, SDBUS_MANAGER_PATH, SDBUS_MANAGER, "Subscribe"), what, NULL, e);
}

int sdbus_call_job(struct sdbus *b, sd_bus_message *m, const char *what, struct err *e)
{
	sd_bus_message *answer = NULL;
	const char *job;

	if (!m)
		return err_sys(e, -ENOMEM, "%s", what);
	b->job[0] = b->job_result[0] = '\0';
	b->job_ended = false;
	int r = watch_jobs(b, e);
	if (r < 0) {
		b->api.message_unref(m);
		return err_wrap(e, r, "%s", what);
	}
	r = sdbus_call(b, m, what, &answer, e);
	if (r < 0)
		return r;
	r = b->api.message_read(answer, "o", &job);
	if (r >= 0)
		snprintf(b->job, sizeof(b->job), "%s", job);
	b->api.message_unref(answer);
	if (r < 0)
		return err_sys(e, r, "%s: read the answer", what);
	r = run_until(b, &b->job_ended);
	if (r == -ETIMEDOUT)
		return err_set(e, ERR_SYS, ETIMEDOUT, "%s: the job %s has not ended after %lld ms", what, b->job, (long long)elapsed_ms(b));
	if (r < 0)
		return err_sys(e, r, "%s", what);
	if (streq(b->job_result, "done"))
		return 0;
	err_set(e, ERR_SYS, 0, "%s: the job %s ended with \"%s\" after %lld ms", what, b->job, b->job_result, (long long)elapsed_ms(b));
	return -EREMOTEIO;
}

int sdbus_get_string(struct sdbus *b, const char *path, const char *interface, const char *name, char *buf, size_t size, struct err *e)
{
	char what[160];
	const char *value;
	sd_bus_message *answer = NULL, *m = sdbus_method(b, path, "org.freedesktop.DBus.Properties", "Get");
	int r = m ? b->api.message_append(m, "ss", interface, name) : -ENOMEM;

	snprintf(what, sizeof(what), "read systemd's property %s", name);
	if (r < 0) {
		b->api.message_unref(m);
		return err_sys(e, r, "%s", what);
	}
	r = sdbus_call(b, m, what, &answer, e);
	if (r < 0)
		return r;
	r = b->api.message_enter_container(answer, 'v', "s");
	if (r >= 0)
		r = b->api.message_read(answer, "s", &value);
	if (r >= 0 && strlen(value) >= size)
		r = -ENAMETOOLONG;
	if (r >= 0)
		snprintf(buf, size, "%s", value);
	b->api.message_unref(answer);
	return r < 0 ? err_sys(e, r, "%s", what) : 0;
}
