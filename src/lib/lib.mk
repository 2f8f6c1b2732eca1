# SPDX-License-Identifier: Apache-2.0
lib_sources = \
	src/lib/bundle.c src/lib/bundle.h \
	src/lib/check.c src/lib/check.h src/lib/check_host.c src/lib/check_limits.c \
	src/lib/container.c src/lib/container.h \
	src/lib/create.c src/lib/create.h \
	src/lib/delete.c \
	src/lib/events.c \
	src/lib/exec.c src/lib/exec.h src/lib/exec_cgroup.c src/lib/exec_process.c \
	src/lib/features.c \
	src/lib/exit.c \
	src/lib/hull.h \
	src/lib/kill.c \
	src/lib/labels.c src/lib/labels.h \
	src/lib/list.c \
	src/lib/pause.c \
	src/lib/ps.c \
	src/lib/run.c \
	src/lib/spec.c \
	src/lib/start.c \
	src/lib/state.c \
	src/lib/stats.c src/lib/stats.h src/lib/stats_json.c \
	src/lib/update.c \
	src/lib/wait.c
