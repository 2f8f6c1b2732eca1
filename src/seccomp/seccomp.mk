# SPDX-License-Identifier: Apache-2.0
seccomp_sources = \
	src/seccomp/allows.c \
	src/seccomp/compile.c \
	src/seccomp/seccomp.h
