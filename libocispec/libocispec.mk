# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libocispec.a
libocispec_a_SOURCES = \
	libocispec/ocispec/arena.h libocispec/ocispec/ocispec.h libocispec/ocispec/runtime.h libocispec/ocispec/types.h \
	libocispec/engine.h libocispec/ocispec/schema.h \
	libocispec/arena.c libocispec/check.c libocispec/diag.c libocispec/enums.c libocispec/number.c libocispec/parse.c libocispec/prune.c \
	libocispec/rules.c libocispec/schema_config.c libocispec/schema_features.c libocispec/schema_linux.c \
	libocispec/schema_process.c libocispec/schema_resources.c libocispec/schema_seccomp.c libocispec/schema_state.c \
	libocispec/types.c libocispec/utf8.c libocispec/value.c libocispec/write.c
EXTRA_DIST += libocispec/README.md
