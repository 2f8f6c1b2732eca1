/* SPDX-License-Identifier: Apache-2.0 */
/* config.md: the document itself, root, mounts, hooks. */
#include "ocispec/schema.h"

/* config.md, Root */
static const struct oci_field root_f[] = {
	F_STR(oci_root, path, "path", REQUIRED, TEXT(NONEMPTY)),
	F_BOOL(oci_root, readonly, "readonly"),
};
static const struct oci_desc oci_root_desc = DESC(oci_root, root_f, NULL);

/* config.md, Mounts and config-linux.md, User namespace mappings */
static const struct oci_field id_mapping_f[] = {
	F_U32(oci_id_mapping, container_id, "containerID", REQUIRED),
	F_U32(oci_id_mapping, host_id, "hostID", REQUIRED),
	F_U32(oci_id_mapping, size, "size", REQUIRED),
};
const struct oci_desc oci_id_mapping_desc = DESC(oci_id_mapping, id_mapping_f, NULL);

static const struct oci_field mount_f[] = {
	F_STR(oci_mount, destination, "destination", REQUIRED, TEXT(NONEMPTY)),
	F_STR(oci_mount, source, "source"),
	F_STR(oci_mount, type, "type"),
	F_STRV(oci_mount, options, "options"),
	F_OBJV(oci_mount, uid_mappings, "uidMappings", oci_id_mapping),
	F_OBJV(oci_mount, gid_mappings, "gidMappings", oci_id_mapping),
};
static const struct oci_desc oci_mount_desc = DESC(oci_mount, mount_f, oci_rule_mount);

/* config.md, POSIX-platform Hooks */
static const struct oci_field hook_f[] = {
	F_STR(oci_hook, path, "path", REQUIRED, TEXT(ABSOLUTE)),
	F_STRV(oci_hook, args, "args"),
	F_STRV(oci_hook, env, "env", TEXT(ENV)),
	F_I64(oci_hook, timeout, "timeout", MIN(1)),
};
static const struct oci_desc oci_hook_desc = DESC(oci_hook, hook_f, NULL);

static const struct oci_field hooks_f[] = {
	F_OBJV(oci_hooks, prestart, "prestart", oci_hook),
	F_OBJV(oci_hooks, create_runtime, "createRuntime", oci_hook),
	F_OBJV(oci_hooks, create_container, "createContainer", oci_hook),
	F_OBJV(oci_hooks, start_container, "startContainer", oci_hook),
	F_OBJV(oci_hooks, poststart, "poststart", oci_hook),
	F_OBJV(oci_hooks, poststop, "poststop", oci_hook),
};
static const struct oci_desc oci_hooks_desc = DESC(oci_hooks, hooks_f, NULL);

/* config.md. `root` is required on every platform but Windows with Hyper-V. The objects of other platforms are
 * theirs. */
static const struct oci_field config_f[] = {
	F_STR(oci_config, oci_version, "ociVersion", REQUIRED, TEXT(SEMVER)),
	F_OBJ(oci_config, root, "root", oci_root, REQUIRED),
	F_OBJV(oci_config, mounts, "mounts", oci_mount),
	F_OBJ(oci_config, process, "process", oci_process),
	F_STR(oci_config, hostname, "hostname"),
	F_STR(oci_config, domainname, "domainname"),
	F_OBJ(oci_config, hooks, "hooks", oci_hooks),
	F_MAP(oci_config, annotations, "annotations"),
	F_OBJ(oci_config, linux_, "linux", oci_linux),
	F_SKIP("solaris"),
	F_SKIP("windows"),
	F_SKIP("vm"),
	F_SKIP("zos"),
	F_SKIP("freebsd"),
};
const struct oci_desc oci_config_desc = DESC(oci_config, config_f, NULL);
