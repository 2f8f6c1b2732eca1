# SPDX-License-Identifier: Apache-2.0
cgroup_sources = \
	src/cgroup/apply.c \
	src/cgroup/cg_kill.c \
	src/cgroup/blame.c \
	src/cgroup/cg_plan.c \
	src/cgroup/cg_remove.c \
	src/cgroup/cg_util.c src/cgroup/delegated.c \
	src/cgroup/cgroup.h \
	src/cgroup/devices.c \
	src/cgroup/devices_bpf.c \
	src/cgroup/driver_fs.c \
	src/cgroup/enable.c \
	src/cgroup/freeze.c \
	src/cgroup/internal.h \
	src/cgroup/layout.c \
	src/cgroup/oom.c \
	src/cgroup/owner.c \
	src/cgroup/path.c \
	src/cgroup/readback.c \
	src/cgroup/res_common.c \
	src/cgroup/res_v1.c \
	src/cgroup/res_v2.c \
	src/cgroup/stats.c src/cgroup/stats.h \
	src/cgroup/stats_internal.h \
	src/cgroup/stats_read.c \
	src/cgroup/stats_v1.c \
	src/cgroup/stats_v2.c \
	src/cgroup/res_systemd.c \
	src/cgroup/systemd.h \
	src/cgroup/unit.c \
	src/cgroup/unit_devices.c \
	src/cgroup/unit_props.c \
	src/cgroup/update.c \
	src/cgroup/update_complete.c \
	src/cgroup/update_devices.c

# sd-bus is loaded by dlopen, which a static program hasn't.
if HAVE_SYSTEMD
cgroup_sources += src/cgroup/driver_systemd.c src/cgroup/sdbus.c src/cgroup/sdbus.h
else
cgroup_sources += src/cgroup/no_systemd.c
endif
