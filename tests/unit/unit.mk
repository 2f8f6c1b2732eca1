# SPDX-License-Identifier: Apache-2.0
# A new test program is one line in unit_programs.
if HAVE_CHECK
AM_CPPFLAGS += -I$(srcdir)/tests/unit $(CHECK_CFLAGS)
LDADD = libhull.a libocispec.a $(libs) $(CHECK_LIBS)
unit_programs = \
	tests/unit/test_base \
	tests/unit/test_cgroup \
	tests/unit/test_cgroup_devices \
	tests/unit/test_cgroup_filter \
	tests/unit/test_cgroup_limits \
	tests/unit/test_cgroup_readback \
	tests/unit/test_cgroup_root \
	tests/unit/test_cgroup_update \
	tests/unit/test_cli \
	tests/unit/test_cli_out \
	tests/unit/test_console \
	tests/unit/test_ctl \
	tests/unit/test_facts \
	tests/unit/test_hooks \
	tests/unit/test_ocispec \
	tests/unit/test_pty \
	tests/unit/test_rdt \
	tests/unit/test_record \
	tests/unit/test_rootfs \
	tests/unit/test_seccomp \
	tests/unit/test_seccomp_rules \
	tests/unit/test_state \
	tests/unit/test_stats \
	tests/unit/test_systemd \
	tests/unit/test_undo \
	tests/unit/test_verbs \
	tests/unit/test_wait
check_PROGRAMS += $(unit_programs)
TESTS += $(unit_programs)
endif
EXTRA_DIST += \
	tests/unit/cgroup_fixture.h \
	tests/unit/cli_fixture.h \
	tests/unit/scratch.h \
	tests/unit/seccomp_machine.h \
	tests/unit/state_fixture.h \
	tests/unit/unit.h \
	tests/unit/verbs_fixture.h \
	tests/unit/wait_fixture.h
