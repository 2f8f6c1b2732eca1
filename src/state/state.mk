# SPDX-License-Identifier: Apache-2.0
state_sources = \
	src/state/dir.c \
	src/state/exit.c \
	src/state/layout.h \
	src/state/proc.c \
	src/state/record.c \
	src/state/remove.c \
	src/state/root.c \
	src/state/state.h \
	src/state/status.c
