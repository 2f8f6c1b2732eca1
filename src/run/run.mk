# SPDX-License-Identifier: Apache-2.0
run_sources = \
	src/run/agent.c src/run/agent.h \
	src/run/console.c \
	src/run/gate.c \
	src/run/hooks.c \
	src/run/host.c src/run/host.h \
	src/run/notify.c src/run/notify.h \
	src/run/netdev.c src/run/netdev.h \
	src/run/outer.c \
	src/run/pidfile.c \
	src/run/pty.c src/run/pty.h \
	src/run/rdt.c src/run/rdt.h \
	src/run/run.h \
	src/run/sched.c \
	src/run/spawn.c src/run/spawn.h \
	src/run/undo.c \
	src/run/wait.c
