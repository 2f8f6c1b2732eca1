# SPDX-License-Identifier: Apache-2.0
seccomp_sources = \
	src/seccomp/allows.c \
	src/seccomp/cache.c \
	src/seccomp/compile.c \
	src/seccomp/internal.h \
	src/seccomp/newer.c \
	src/seccomp/seccomp.h
