# SPDX-License-Identifier: Apache-2.0
cli_sources = \
	src/cli/cli.c src/cli/cli.h \
	src/cli/cmd_check.c \
	src/cli/cmd_create.c \
	src/cli/cmd_delete.c \
	src/cli/cmd_events.c \
	src/cli/cmd_exec.c \
	src/cli/cmd_features.c \
	src/cli/cmd_kill.c \
	src/cli/cmd_list.c \
	src/cli/cmd_ps.c \
	src/cli/cmd_spec.c \
	src/cli/cmd_start.c \
	src/cli/cmd_stats.c \
	src/cli/cmd_update.c \
	src/cli/cmd_wait.c \
	src/cli/logout.c src/cli/logout.h \
	src/cli/opts.c src/cli/opts.h \
	src/cli/out.c src/cli/out.h \
	src/cli/psfilter.c src/cli/psfilter.h \
	src/cli/signals.c src/cli/signals.h \
	src/cli/version.c \
	src/cli/world.c

# The program's own main; tests link cli_sources without it.
cli_main_source = src/cli/main.c
