/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/seccomp share. */
#ifndef HULL_SECCOMP_INTERNAL_H
#define HULL_SECCOMP_INTERNAL_H

#include "seccomp/seccomp.h"

#define SECCOMP_ARCHS_MAX 32
#define NEWER_MAX 64

/* System calls that the kernel has and the linked libseccomp doesn't know, and what the profile wants of them. */
struct newer {
	struct { uint32_t nr, action; } v[NEWER_MAX];
	size_t n;
};

/* libseccomp's tokens of the architectures in the filter, the native one first. */
struct arch_list {
	uint32_t v[SECCOMP_ARCHS_MAX];
	size_t n;
};

/* The number of a call younger than libseccomp, the same on all architectures but for MIPS's offsets; -1 for an unknown name. */
int newer_number(const char *name);
/* Note an unconditional rule. 0, or -EEXIST where the profile has another action for the call. */
int newer_add(struct newer *w, uint32_t nr, uint32_t action);
/* Put in front of the program: the rules of `w`, and, where the default action refuses, ENOSYS for calls that are newer than every call that the profile names:
 * its author couldn't know them, and programs fall back on ENOSYS, not on EPERM (runc does the same). */
int newer_prepend(const struct oci_seccomp *s, const struct arch_list *archs, const struct newer *w, struct oci_arena *a, struct seccomp_filter *f, struct err *e);

#endif
