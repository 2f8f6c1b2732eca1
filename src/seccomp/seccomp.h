/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp → BPF, in the host process, before anything is made. */
#ifndef HULL_SECCOMP_SECCOMP_H
#define HULL_SECCOMP_SECCOMP_H

#include <linux/filter.h>

#include "base/err.h"
#include "ocispec/arena.h"
#include "ocispec/runtime.h"

struct seccomp_filter {
	struct sock_filter *insns; /* in the arena */
	size_t n;
	uint32_t flags;            /* SECCOMP_FILTER_FLAG_… for seccomp(2) */
	bool notify;               /* an action is SCMP_ACT_NOTIFY */
	bool warned;               /* a part of the profile could not be applied, which the user was told */
};

/* Compile with libseccomp: all actions, operators, flags, and the architectures that the linked libseccomp knows (another one is an error that names it).
 * A system call unknown to libseccomp is skipped with a debug line, or with a warning when its action is stricter than the default.
 * Rules equal to the default action are skipped; two conditions on one argument are separate rules (as runc and crun do).
 * CTL_OPTIMIZE 2 (binary tree) when there are many rules. Flags absent: SPEC_ALLOW, as both peers. */
int seccomp_compile(const struct oci_seccomp *s, struct oci_arena *a, struct seccomp_filter *ret, struct err *e);

/* Compiled profiles in files below the state root (`.seccomp/`, 0700): the second start with Docker's profile doesn't compile. */
struct seccomp_cache {
	int root_dfd;    /* the state root, -1 where there is none yet */
	const char *key; /* from seccomp_cache_find */
};

/* Is the profile large enough for a file? */
bool seccomp_cache_wants(const struct oci_seccomp *s);
/* Is the program of this profile, by this hull, libseccomp and kernel, there? Then *ret is what seccomp_compile would give; all of the key is
 * compared, never only its hash. What is unreadable, foreign or damaged isn't there. Strings live in `a`. */
bool seccomp_cache_find(struct seccomp_cache *c, const struct oci_seccomp *s, struct oci_arena *a, struct seccomp_filter *ret);
/* Keep what seccomp_compile gave after such a miss, atomically; of more than 32 files the oldest goes. Profiles that warn aren't kept: their warning belongs to
 * each start. Returns 0 or -errno. */
int seccomp_cache_keep(const struct seccomp_cache *c, int root_dfd, const struct seccomp_filter *f, struct oci_arena *a);

/* Does the profile ask an agent (SCMP_ACT_NOTIFY)? Then its filter has a listener. */
bool seccomp_notifies(const struct oci_seccomp *s);

/* Does the program let `nr` of the native architecture pass, whatever its arguments (SECCOMP_RET_ALLOW or LOG)? By running the BPF. For the plan's check of FIN_FILTER_IN_S. */
bool seccomp_allows(const struct seccomp_filter *f, int nr);

/* What can be said of a flag of the configuration. */
enum { SECCOMP_FLAG_KNOWN = 1, SECCOMP_FLAG_OF_LISTENER = 2, SECCOMP_FLAG_IN_KERNEL = 4 };
/* SECCOMP_FLAG_… bits: whether hull knows it, whether it has a meaning only with a listener, whether this kernel takes it (it is asked without a
 * filter being set). */
unsigned seccomp_flag_state(enum oci_seccomp_flag flag);

/* "2.5.4" of the libseccomp in use. */
const char *seccomp_library_version(void);

#endif
