/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.md, State, which hooks read on stdin; config-linux.md, The Container Process State, sent to seccomp
 * agents. */
#include "ocispec/schema.h"

static const struct oci_field state_exit_f[] = {
	F_I32(oci_state_exit, code, "code", MIN(0), MAX(255)),
	F_I32(oci_state_exit, signal, "signal", MIN(1), MAX(64)),
	F_STR(oci_state_exit, finished, "finished"),
	F_U64(oci_state_exit, oom_kills, "oomKills"),
	F_STR(oci_state_exit, unknown, "unknown"),
};
const struct oci_desc oci_state_exit_desc = DESC(oci_state_exit, state_exit_f, NULL);

/* rootfs, created, owner and exit are additions that engines and people read. */
static const struct oci_field state_f[] = {
	F_STR(oci_state, oci_version, "ociVersion", REQUIRED, TEXT(SEMVER)),
	F_STR(oci_state, id, "id", REQUIRED, TEXT(NONEMPTY)),
	F_WORD(oci_state, status, "status", oci_status, REQUIRED),
	F_I64(oci_state, pid, "pid", MIN(0)),
	F_STR(oci_state, bundle, "bundle", REQUIRED, TEXT(ABSOLUTE)),
	F_MAP(oci_state, annotations, "annotations"),
	F_STR(oci_state, rootfs, "rootfs"),
	F_STR(oci_state, created, "created"),
	F_STR(oci_state, owner, "owner"),
	F_OBJ(oci_state, exit, "exit", oci_state_exit),
};
const struct oci_desc oci_state_desc = DESC(oci_state, state_f, NULL);

static const struct oci_field container_process_state_f[] = {
	F_STR(oci_container_process_state, oci_version, "ociVersion", REQUIRED, TEXT(SEMVER)),
	F_STRV(oci_container_process_state, fds, "fds", REQUIRED),
	F_I64(oci_container_process_state, pid, "pid", REQUIRED, MIN(0)),
	F_STR(oci_container_process_state, metadata, "metadata"),
	F_OBJ(oci_container_process_state, state, "state", oci_state, REQUIRED),
};
const struct oci_desc oci_container_process_state_desc =
	DESC(oci_container_process_state, container_process_state_f, NULL);
