/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs. The inner border below the command line: no exit, no stdout (the caller prints what is returned), errors in *e.
 * Every function returns >= 0 or -errno. */
#ifndef HULL_LIB_HULL_H
#define HULL_LIB_HULL_H

#include <sys/types.h>

#include "base/err.h"
#include "cgroup/stats.h"
#include "ocispec/arena.h"
#include "ocispec/runtime.h"

/* Global options. */
struct hull {
	const char *root;         /* --root or NULL */
	bool no_cgroup;           /* --cgroup-manager disabled: new containers stay in the caller's cgroups */
	bool systemd_cgroup;      /* create: in a scope of systemd */
	unsigned timeout_ms;      /* for the set-up and each conversation with systemd; 0 = default */
	const char *const *allow_annotations; /* NULL-terminated, or NULL; a name that ends in '*' stands for all that begin so */
	const char *notify_socket; /* NOTIFY_SOCKET of our environment (sd_notify(3)), or NULL */
	const char *program;      /* path of this program, for messages only */
	/* fds >= 3 that were open when the program started, sorted: what --preserve-fds may name */
	int *inherited; size_t n_inherited;
};

struct hull_create_opts {
	const char *bundle;       /* NULL: current directory */
	const char *config;       /* file name or path, NULL: config.json */
	const char *console_socket;
	const char *pid_file;
	const char *pidfd_socket;
	unsigned preserve_fds;
	const char *listen_names; /* LISTEN_FDNAMES of theirs, or NULL */
	unsigned listen_fds;      /* how many of these are sockets for the container (sd_listen_fds(3)) */
	bool no_pivot;            /* refused */
	bool no_new_keyring;
	bool detach, keep, no_subreaper; /* run only */
};

int hull_create(const struct hull *h, const char *id, const struct hull_create_opts *o, struct err *e);
int hull_start(const struct hull *h, const char *id, struct err *e);
/* Foreground: *ret_status is the exit status to use (code, or 128 + signal). Detached: 0 when it runs. */
int hull_run(const struct hull *h, const char *id, const struct hull_create_opts *o, int *ret_status, struct err *e);

struct hull_exec_opts {
	const char *process_file; /* --process, or NULL: args + options below over the container's own process */
	const char *const *args; size_t n_args;
	const char *cwd, *user, *process_label, *apparmor;
	const char *const *env; size_t n_env;
	const char *const *caps; size_t n_caps;
	const char *const *cgroups; size_t n_cgroups; /* [CONTROLLER[,CONTROLLER]…:]PATH */
	const char *const *additional_gids; size_t n_additional_gids;
	const char *console_socket, *pid_file, *pidfd_socket;
	bool tty, detach, no_new_privs, ignore_paused;
	unsigned preserve_fds;
};
int hull_exec(const struct hull *h, const char *id, const struct hull_exec_opts *o, int *ret_status, struct err *e);

/* Print the plan without any side effect. Text or JSON in the arena. */
int hull_explain(const struct hull *h, const char *id, const struct hull_create_opts *o, bool json, const char *facts_file, struct oci_arena *a,
		 const char **ret_text, struct err *e);

/* Everything `state` prints, in the arena. */
int hull_state(const struct hull *h, const char *id, struct oci_arena *a, struct oci_state **ret, struct err *e);
struct hull_list { struct oci_state **v; size_t n; };
int hull_list(const struct hull *h, struct oci_arena *a, struct hull_list *ret, struct err *e);
/* `all`: to every process of the cgroup. SIGKILL of a container without a pid namespace of its own takes the whole cgroup. */
int hull_kill(const struct hull *h, const char *id, int sig, bool all, struct err *e);
/* Without `force`: only a stopped container (one that is being killed is waited for, up to a second). With it: unknown id is success. */
int hull_delete(const struct hull *h, const char *id, bool force, struct err *e);
/* Stop every process of a created or running container until it is resumed; when one can't be stopped in time, none is. */
int hull_pause(const struct hull *h, const char *id, struct err *e);
int hull_resume(const struct hull *h, const char *id, struct err *e);
/* The document of `update --resources`: a file, or "-" for standard input. */
int hull_read_resources(const char *path, struct oci_arena *a, struct oci_resources **ret, struct err *e);
struct hull_update_opts {
	struct oci_resources *resources; /* what is set in it is changed, all or nothing; may be completed by the call */
	const char *l3_cache_schema, *mem_bw_schema; /* new schemata of the container's resctrl group; NULL: as they are */
	uint64_t reclaim; /* bytes to reclaim afterwards; 0: none */
};
int hull_update(const struct hull *h, const char *id, const struct hull_update_opts *o, uint64_t *ret_reclaimed, struct err *e);
int hull_ps(const struct hull *h, const char *id, struct oci_arena *a, pid_t **ret, size_t *ret_n, struct err *e);
/* Wait until the container has ended, at most `timeout_ms` (-1: for ever; -ETIMEDOUT). *ret_status: its exit code, or 128 + signal. One that has
 * ended before is answered at once. When nobody could see how it ended that is an error. */
int hull_wait(const struct hull *h, const char *id, int64_t timeout_ms, int *ret_status, struct err *e);
/* What is wrong with a configuration, or may be. */
enum hull_level { HULL_ERROR, HULL_WARNING, HULL_NOTE };
struct hull_finding {
	const char *level;        /* "error", "warning", "note" */
	const char *path;         /* JSON path, or "" */
	const char *msg;
	unsigned line, column;    /* in the document, 0: unknown */
};
struct hull_findings { struct hull_finding *v; size_t n, cap, n_errors; };
/* Compare the configuration of `bundle` with the specification, with what this build does and with this host. Nothing is made or changed. Findings are no
 * failure; -errno: the check could not be made (no such bundle, no memory). */
int hull_check(const struct hull *h, const char *bundle, const char *config, struct oci_arena *a, struct hull_findings *ret, struct err *e);
/* The findings as one JSON document in the arena; NULL without memory. */
const char *hull_findings_json(const struct hull_findings *f, struct oci_arena *a);
/* The features document (features.md) as JSON text in the arena; `about` are its annotations. No side effect, no privilege needed. */
int hull_features(const struct oci_map *about, struct oci_arena *a, const char **ret_text, struct err *e);

/* One interface of a network namespace of the container's own. */
struct hull_net {
	const char *name;
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped;
};
/* What is counted for a container that isn't stopped. */
struct hull_stats {
	const char *id;
	enum oci_status status;
	pid_t pid;
	int64_t time_ns; /* CLOCK_MONOTONIC when it was read */
	struct cg_stats cg;
	bool has_net;
	struct hull_net *net; size_t n_net;
};
int hull_stats(const struct hull *h, const char *id, struct oci_arena *a, struct hull_stats *ret, struct err *e);
/* One line of `events`, without a newline: type and id, with `s` the figures as runc prints them. NULL without memory. */
const char *hull_event_json(const char *type, const char *id, const struct hull_stats *s, struct oci_arena *a);

struct hull_events_opts {
	unsigned interval_ms; /* between two "stats" lines, not 0 */
	/* Takes a line; a negative result ends the stream and is returned, with *e filled. */
	int (*emit)(void *arg, const char *line, struct err *e);
	void *arg;
};
/* Give "stats" lines, the first after an interval, and "oom" lines until the container stops. */
int hull_events(const struct hull *h, const char *id, const struct hull_events_opts *o, struct err *e);
/* The configuration that `hull spec` writes; `rootless`: for the calling user. Returns its text in the arena, or NULL with *e when memory ran out. */
const char *hull_spec(bool rootless, struct oci_arena *a, struct err *e);

#endif
