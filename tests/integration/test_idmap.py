# SPDX-License-Identifier: Apache-2.0
"""Idmapped mounts: `idmap` and `ridmap`, mappings of the mount's own and the container's, and what can't be done."""
import os
import re

import pytest
from harness import world
from harness.config import MOUNTS, bind, tmpfs, userns
from harness.mountinfo import at
from harness.needs import needs

pytestmark = pytest.mark.hull_only(reason="Debian's runc and crun are older, and their messages say less")
OWN = [{"containerID": 0, "hostID": 7000, "size": 1000}]


@pytest.fixture
def volume(tmp_path):
    """A host tree owned by root and by 5, with a tmpfs below."""
    top = tmp_path / "volume"
    (top / "below").mkdir(parents=True)
    world.mount("below", str(top / "below"), "tmpfs", 0)
    for path in (top / "file", top / "below/file"):
        path.write_text("x")
        os.chown(path, 5, 6)
    top.chmod(0o777)
    yield top
    world.umount(str(top / "below"))


def mount(volume, *options, own=None):
    m = bind(volume, "/v", *options)
    return m | ({"uidMappings": own, "gidMappings": own} if own else {})


def probe(container, m, linux=None, *args):
    return container(mounts=[*MOUNTS, m], linux=linux or {}, args=["/bin/probe", "--stat", "/v", "--stat", "/v/file", "--stat", "/v/below/file", *args]).probe()


def owner(seen, path):
    return seen[f"stat {path}"]["uid"], seen[f"stat {path}"]["gid"]


@pytest.mark.parametrize("option", ["", "idmap"])
def test_mappings_of_its_own(container, volume, option):
    seen = probe(container, mount(volume, "rbind", *([option] if option else []), own=OWN))
    assert owner(seen, "/v") == (7000, 7000) and owner(seen, "/v/file") == (7005, 7006)
    assert owner(seen, "/v/below/file") == (5, 6), "not recursive"
    assert "idmapped" in at(seen, "/v").options


@needs("Linux 6.3: mapped ids on tmpfs")
def test_recursive(container, volume):
    seen = probe(container, mount(volume, "rbind", "ridmap", own=OWN))
    assert owner(seen, "/v/file") == (7005, 7006) and owner(seen, "/v/below/file") == (7005, 7006)


@pytest.mark.parametrize("option", ["idmap", pytest.param("ridmap", marks=needs("Linux 6.3: mapped ids on tmpfs"))])
def test_mappings_of_the_container(container, volume, option):
    """Root on disk is root in there, and what it writes is root's on disk."""
    seen = probe(container, mount(volume, "rbind", option), userns(), "--mkdir", "/v/made")
    assert owner(seen, "/v") == (0, 0) and owner(seen, "/v/file") == (5, 6)
    assert owner(seen, "/v/below/file") == ((5, 6) if option == "ridmap" else (65534, 65534))
    assert seen["mkdir /v/made"]["errno"] == "0" and (volume / "made").stat().st_uid == 0


def test_both(container, volume):
    """The mount's own mappings count, seen through the container's."""
    own = [{"containerID": 0, "hostID": 100050, "size": 1000}]
    assert owner(probe(container, mount(volume, "bind", "idmap", own=own), userns()), "/v") == (50, 50)


def test_without_any_mappings(container, volume):
    c = container(mounts=[*MOUNTS, mount(volume, "bind", "ridmap")])
    c.fails("create", match=r'config\.json: mounts\[7\]\.options: "ridmap" — needs uidMappings and gidMappings, or a user namespace whose mappings it can take')


def test_not_a_bind(container):
    c = container(mounts=[*MOUNTS, tmpfs("/t") | {"uidMappings": OWN, "gidMappings": OWN}])
    c.fails("create", match=r"config\.json: mounts\[7\]\.uidMappings: ids can be mapped on a bind mount only")


def test_a_file_system_that_can_not(container):
    c = container(mounts=[*MOUNTS, bind("/proc/sys", "/v", "bind", "idmap") | {"uidMappings": OWN, "gidMappings": OWN}])
    c.fails("create", match=r"create .*bind /v.*map its ids.*invalid argument.*proc can't do it on any kernel \(this is Linux [^)]*\).*|"
                            r".*mounts\[7\].*proc can't do it on any kernel.*")


# --- crun's way to write it ---

@needs("Linux 6.3: mapped ids on tmpfs")
@pytest.mark.parametrize("option,expected", [
    ("idmap=uids=0-7000-1000;gids=0-8000-1000", ((7005, 8006), (5, 6))),
    ("ridmap=uids=0-7000-1000;gids=0-8000-1000", ((7005, 8006), (7005, 8006))),
    ("idmap=gids=0-8000-1000;uids=0-7000-5#5-70-10", ((70, 8006), (5, 6))),
])
def test_mappings_in_the_option(container, volume, option, expected):
    seen = probe(container, mount(volume, "rbind", option))
    assert (owner(seen, "/v/file"), owner(seen, "/v/below/file")) == expected


def test_relative_to_the_container(container, volume):
    """crun(1)'s example: what TO is in the container counts, wherever that is outside."""
    linux = userns(maps=[{"containerID": 0, "hostID": 100000, "size": 10}, {"containerID": 10, "hostID": 200000, "size": 100}])
    seen = probe(container, mount(volume, "bind", "idmap=uids=@0-0-1#@5-17-10;gids=@6-0-1#@0-50-1"), linux)
    assert owner(seen, "/v/file") == (17, 0) and owner(seen, "/v") == (0, 50)


RULE = r"must be uids=FROM-TO-LENGTH.*"


@pytest.mark.parametrize("option,why", [
    ("idmap=", RULE), ("idmap=uids=0-1-10", RULE), ("idmap=gids=0-1-10", RULE), ("idmap=uids=0-1-10;gids=", RULE), ("idmap=uids=0-1;gids=0-1-1", RULE),
    ("idmap=uids=0-1-10;uids=0-1-10;gids=0-1-1", RULE), ("idmap=uids=a-1-10;gids=0-1-1", RULE), ("idmap=uids=0-1-0;gids=0-1-1", RULE),
    ("idmap=uids=0-1-10-;gids=0-1-1", RULE), ("idmap=uids=0-4294967290-10;gids=0-1-1", RULE), ("idmap=uids=99999999999-1-1;gids=0-1-1", RULE),
    ("idmap=uids=0-1-1#;gids=0-1-1", RULE), ("ridmap=users=0-1-1;gids=0-1-1", RULE), ("idmap=uids=@@0-1-1;gids=0-1-1", RULE),
    ("idmap=uids=0--1-1;gids=0-1-1", RULE), ("idmap=uids=@0-1-1;gids=0-1-1", r"no line of linux\.uidMappings maps all ids of a range with @"),
])
def test_bad_mappings_in_the_option(container, volume, option, why):
    c = container(mounts=[*MOUNTS, mount(volume, "bind", option)])
    c.fails("create", match=rf'config\.json: mounts\[7\]\.options\[1\]: "{re.escape(option)}" — {why}')


def test_a_relative_range_over_two_lines(container, volume):
    c = container(mounts=[*MOUNTS, mount(volume, "bind", "idmap=uids=0-0-1;gids=@0-5-10")],
                  linux=userns(maps=[{"containerID": 0, "hostID": 100000, "size": 10}, {"containerID": 10, "hostID": 200000, "size": 100}]))
    c.fails("create", match=r'.*mounts\[7\]\.options\[1\]: ".*" — no line of linux\.gidMappings maps all ids of a range with @')


def test_mappings_in_the_option_and_beside_it(container, volume):
    c = container(mounts=[*MOUNTS, mount(volume, "bind", "idmap=uids=0-0-1;gids=0-0-1", own=OWN)])
    c.fails("create", match=r'config\.json: mounts\[7\]\.options\[1\]: ".*" — and uidMappings, gidMappings: a mount has one mapping')


def test_overlapping_mappings_in_the_option(container, volume):
    c = container(mounts=[*MOUNTS, mount(volume, "bind", "idmap=uids=0-5-10#5-50-10;gids=0-0-1")])
    c.fails("create", match=r'.*mounts\[7\]\.options\[1\].*: invalid argument|.*invalid argument \(mounts\[7\]\.options\[1\]\).*')


def test_mappings_in_the_option_of_no_bind(container):
    c = container(mounts=[*MOUNTS, tmpfs("/t", "idmap=uids=0-0-1;gids=0-0-1")])
    c.fails("create", match=r"config\.json: mounts\[7\]\.options: ids can be mapped on a bind mount only")
