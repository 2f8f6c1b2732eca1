/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to systemd's D-Bus interface by libsystemd's sd-bus. The library is loaded when the first connection is made, so that a host without systemd
 * needs none and a start without it costs nothing. Nothing here waits past the connection's deadline: a systemd or a bus that is stopped is an error that
 * says what was waited for, and how long. (sd-bus(3), org.freedesktop.systemd1(5)) */
#ifndef HULL_CGROUP_SDBUS_H
#define HULL_CGROUP_SDBUS_H

#include <systemd/sd-bus.h>

#include "base/err.h"

/* What is called of libsystemd, with the types of its own header. */
struct sdbus_api {
	__typeof__(sd_bus_open_system) *open_system;
	__typeof__(sd_bus_open_user) *open_user;
	__typeof__(sd_bus_flush_close_unref) *flush_close_unref;
	__typeof__(sd_bus_close_unref) *close_unref;
	__typeof__(sd_bus_process) *process;
	__typeof__(sd_bus_wait) *wait;
	__typeof__(sd_bus_call_async) *call_async;
	__typeof__(sd_bus_slot_unref) *slot_unref;
	__typeof__(sd_bus_match_signal_async) *match_signal_async;
	__typeof__(sd_bus_message_new_method_call) *message_new_method_call;
	__typeof__(sd_bus_message_append) *message_append;
	__typeof__(sd_bus_message_append_array) *message_append_array;
	__typeof__(sd_bus_message_open_container) *message_open_container;
	__typeof__(sd_bus_message_close_container) *message_close_container;
	__typeof__(sd_bus_message_read) *message_read;
	__typeof__(sd_bus_message_enter_container) *message_enter_container;
	__typeof__(sd_bus_message_get_error) *message_get_error;
	__typeof__(sd_bus_message_ref) *message_ref;
	__typeof__(sd_bus_message_unref) *message_unref;
};

#define SDBUS_JOB_MAX 128

struct sdbus {
	struct sdbus_api api;
	sd_bus *bus;
	int64_t begun_ms, deadline_ms; /* CLOCK_MONOTONIC */
	char error_name[96]; /* D-Bus name of the last call's error, "" for none */
	/* The job that is waited for, and how it ended: "done", "failed", "timeout", … */
	char job[SDBUS_JOB_MAX], job_result[32];
	bool job_ended;
	sd_bus_slot *job_slot;
};

/* Connect to the system's or the caller's own (`user`) bus; everything on this connection is done within `timeout_ms`. 0 or -errno; -ENOSYS where libsystemd
 * can't be loaded. */
int sdbus_open(struct sdbus *b, bool user, int timeout_ms, struct err *e);
void sdbus_close(struct sdbus *b);
/* A call of systemd's manager object, to be filled with arguments. NULL: no memory. The caller gives it to sdbus_call, which takes it. */
sd_bus_message *sdbus_method(struct sdbus *b, const char *path, const char *interface, const char *member);
/* Send `m` (taken, also on failure) and wait for the answer, which is the caller's to unref; `ret` may be NULL. `what` begins the error: "start unit x.scope".
 * -ETIMEDOUT: no answer in time. Other failures have their D-Bus name in error_name. */
int sdbus_call(struct sdbus *b, sd_bus_message *m, const char *what, sd_bus_message **ret, struct err *e);
/* Send a call whose answer is the path of a job, and wait until that job has ended well. Jobs that end with anything but "done" are errors with that word. */
int sdbus_call_job(struct sdbus *b, sd_bus_message *m, const char *what, struct err *e);
/* The property `name` of `interface` at `path`, a string, into `buf`. */
int sdbus_get_string(struct sdbus *b, const char *path, const char *interface, const char *name, char *buf, size_t size, struct err *e);

#define SDBUS_MANAGER_PATH "/org/freedesktop/systemd1"
#define SDBUS_MANAGER "org.freedesktop.systemd1.Manager"

#endif
