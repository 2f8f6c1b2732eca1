# SPDX-License-Identifier: Apache-2.0
# What engines read to find hull (docs/engines.md says where each goes). The path of the program is known when make runs, not before.
engine_files = engines/containers.conf engines/docker-daemon.json engines/containerd.toml engines/crio.conf
pkgdata_DATA = $(engine_files)
EXTRA_DIST += $(engine_files:=.in)
CLEANFILES += $(engine_files)

$(engine_files): %: %.in Makefile
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)sed -e 's|@bindir[@]|$(bindir)|g' $< >$@.new && mv $@.new $@
