# SPDX-License-Identifier: Apache-2.0
# What `make check` runs beside the unit tests. Each program prints "N passed, N failed"; ./dev sums these lines.
lints = tools/lint-calls tools/lint-files tools/lint-includes tools/lint-init tools/lint-size
TESTS += $(lints)

# libocispec against documents; the driver prints what it understood.
check_PROGRAMS += tests/spec/ocidump
tests_spec_ocidump_SOURCES = tests/spec/ocidump.c
tests_spec_ocidump_LDADD = libocispec.a $(YAJL_LIBS)

# Golden plans.
if HAVE_PYTEST
TESTS += tests/spec/test_spec.py tests/vm/test_matrix.py
endif
TESTS += tests/plan/run.py

# Every property of linux.resources on every layout, as docs/resources.md has it.
TESTS += tools/resources-doc

# docs/conformance.md: every row has a test that is there.
TESTS += tools/conformance-doc

# docs/properties.md: every property has one.
TESTS += tools/properties-doc

EXTRA_DIST += $(lints) tools/check-dist tools/commit-id tools/conformance-doc tools/dev-lib tools/engines-doc tools/engines-table tools/properties-doc tools/resources-doc tools/run-python tools/sum-results
