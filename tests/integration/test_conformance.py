# SPDX-License-Identifier: Apache-2.0
"""Sentences of the specification that no other file has a reason to look at: see docs/conformance.md."""
import os
import stat
import time
from pathlib import Path

import pytest
from harness import snapshot
from harness.clock import scaled
from harness.config import CGROUP, MOUNTS, userns
from harness.needs import needs, skip_without

pytestmark = pytest.mark.hull_only(reason="hull's answers to the specification's sentences")
SLEEP = ["/bin/sleep", "100"]
PID_OF_STATE = r"""pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/')"""


def sh(script):
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}


@pytest.mark.parametrize("verb", ["create", "start", "state", "kill", "delete"])
def test_no_id(hull, bundle, verb):
    bundle.write({})
    bundle_option = ["--bundle", bundle.path] if verb == "create" else []
    hull.fails(verb, *bundle_option, match=rf"{verb}: .*missing.*")
    assert hull.ids() == []


def test_console_size_without_a_terminal(container):
    seen = container(process={"terminal": False, "consoleSize": {"height": 11, "width": 22}}).probe()
    assert seen["tty"] == "ENXIO"


@pytest.mark.parametrize("name", ["prestart", "createRuntime", "createContainer"])
def test_hooks_of_create_come_before_pivot_root(container, tmp_path, name):
    """The container's mount namespace is there with its mounts, and the root file system still at the host's path."""
    c = container(args=["/bin/true"])
    mountinfo = "/proc/self/mountinfo" if name == "createContainer" else "/proc/$pid/mountinfo"
    c.rewrite(hooks={name: [sh(f"{PID_OF_STATE}; grep -c ' {c.bundle.rootfs}/proc ' {mountinfo} >{tmp_path}/seen")]})
    c.run()
    assert (tmp_path / "seen").read_text() == "1\n"


def test_poststart_comes_after_the_program_began(container, tmp_path):
    c = container(args=SLEEP, hooks={"poststart": [sh(f"{PID_OF_STATE}; readlink /proc/$pid/exe >{tmp_path}/seen")]})
    c.create()
    assert not (tmp_path / "seen").exists()
    c.start()
    assert (tmp_path / "seen").read_text().endswith("/bin/busybox\n"), "the program's file, not the runtime's"


def test_poststop_comes_after_the_container_is_gone(container, tmp_path):
    c = container(args=["/bin/true"])
    directory = c.cgroup_file("pids", "")
    c.rewrite(hooks={"poststop": [sh(f"test -d {directory}; echo $? >{tmp_path}/seen")]})
    c.detach()
    c.wait("stopped")
    assert directory.is_dir()
    c.delete()
    assert (tmp_path / "seen").read_text() == "1\n", "the cgroup was removed before the hook"


def test_where_the_path_of_a_hook_is_resolved(container, tmp_path):
    """createContainer runs in the container's namespaces, its program comes from the host; startContainer's from the container."""
    host_only = tmp_path / "host-only"
    host_only.write_text(f"#!/bin/sh\necho host >>{tmp_path}/seen\n")
    host_only.chmod(0o755)
    c = container(args=["/bin/cat", "/seen"], hooks={**{n: [{"path": str(host_only)}] for n in (
        "prestart", "createRuntime", "createContainer", "poststart", "poststop")}, "startContainer": [{"path": "/image-only"}]})
    image_only = c.bundle.rootfs / "image-only"
    image_only.write_text("#!/bin/sh\necho image >/seen\n")
    image_only.chmod(0o755)
    assert c.run().out == "image\n"
    assert (tmp_path / "seen").read_text() == "host\n" * 5


def owners(top):
    return {p.relative_to(top): (s.st_uid, s.st_gid, stat.S_IMODE(s.st_mode)) for p in top.rglob("*") for s in [p.lstat()]}


def test_owners_in_the_image_are_left_alone(container):
    """linux.uidMappings are realised by the namespace, never by a chown of the image."""
    c = container(args=["/bin/true"], linux=userns())
    c.runtime.call("run", "--bundle", c.bundle.path, c.id)  # makes the mount points
    before = owners(c.bundle.rootfs)
    assert before
    c.run()
    assert owners(c.bundle.rootfs) == before


def test_a_v1_cgroup_keeps_its_owner(container):
    """Delegation isn't safe on v1: not even for a user namespace with a cgroup mount that can be written."""
    writable = {**CGROUP, "options": [o for o in CGROUP["options"] if o != "ro"]}
    c = container(args=SLEEP, linux=userns(), mounts=[m for m in MOUNTS if m is not CGROUP] + [writable])
    c.create()
    seen = {}
    for h in snapshot.hierarchies():
        directory = Path(h) / c.cgroup.lstrip("/")
        if directory.is_dir() and not (directory / "cgroup.controllers").exists():
            seen |= {p: p.lstat().st_uid for p in [directory, *directory.iterdir()]}
    skip_without("cgroup v1")
    assert set(seen.values()) == {os.getuid()}


def cgroup_owners(c):
    """(uid of the directory, {file: uid}) of the container's v2 cgroup."""
    directory = snapshot.hierarchies()[0] / c.cgroup.lstrip("/")
    return directory.stat().st_uid, {f.name: f.lstat().st_uid for f in directory.iterdir() if not f.is_dir()}


def delegated_files():
    return set(Path("/sys/kernel/cgroup/delegate").read_text().split())


WRITABLE = [m for m in MOUNTS if m is not CGROUP] + [{**CGROUP, "options": [o for o in CGROUP["options"] if o != "ro"]}]


@needs("a pure cgroup v2 layout")
@pytest.mark.kernel
@pytest.mark.parametrize("uid", [0, 33])
def test_a_v2_cgroup_belongs_to_the_containers_user(container, uid):
    """The directory and what the kernel lists as safe; the limits stay out of reach, and what is made below is the container's."""
    c = container(args=["/bin/sh", "-c", "mkdir /sys/fs/cgroup/own && echo 0 >/sys/fs/cgroup/own/cgroup.procs && echo moved; "
                        "for f in memory.max pids.max hugetlb.2MB.max cgroup.max.descendants; do echo 5 >/sys/fs/cgroup/$f; done; exec sleep 100"],
                  process={"user": {"uid": uid, "gid": uid}}, linux=userns(), mounts=WRITABLE)
    c.detach()
    directory, files = cgroup_owners(c)
    given = {name for name, owner in files.items() if owner != 0}
    assert directory == 100000 + uid and {files[f] for f in given} == {100000 + uid}
    assert given == delegated_files() & set(files)
    deadline = time.monotonic() + scaled(5)
    while "moved" not in c.output():
        assert time.monotonic() < deadline, c.output()
        time.sleep(0.02)
    assert cgroup_owners(c)[1]["cgroup.max.descendants"] == 0
    c.delete("--force")


@needs("a pure cgroup v2 layout")
@pytest.mark.parametrize("change", ["ro", "no mount", "no namespace", "no user namespace"])
def test_a_v2_cgroup_stays_with_root_otherwise(container, change):
    mounts = {"ro": MOUNTS, "no mount": [m for m in MOUNTS if m is not CGROUP]}.get(change, WRITABLE)
    linux = {"no namespace": userns("cgroup"), "no user namespace": {}}.get(change, userns())
    c = container(args=SLEEP, linux=linux, mounts=mounts)
    c.create()
    directory, files = cgroup_owners(c)
    assert {directory, *files.values()} == {0}


# features.md and features-linux.md of 1.3.0
FEATURES = {
    "ociVersionMin": None, "ociVersionMax": None, "hooks": None, "mountOptions": None, "annotations": None, "potentiallyUnsafeConfigAnnotations": None,
    "linux": {
        "namespaces": None, "capabilities": None, "cgroup": dict.fromkeys(("v1", "v2", "systemd", "systemdUser", "rdma")),
        "seccomp": dict.fromkeys(("enabled", "actions", "operators", "archs", "knownFlags", "supportedFlags")),
        "apparmor": {"enabled": None}, "selinux": {"enabled": None}, "intelRdt": dict.fromkeys(("enabled", "schemata", "monitoring")),
        "memoryPolicy": dict.fromkeys(("modes", "flags")), "mountExtensions": {"idmap": {"enabled": None}}, "netDevices": {"enabled": None}}}


def unknown(document, known, at=""):
    for name, value in document.items():
        if name not in known:
            yield at + name
        elif known[name] is not None:
            yield from unknown(value, known[name], f"{at}{name}.")


def test_features_has_known_properties_only(hull):
    assert not list(unknown(hull("features").json(), FEATURES))


def test_features_says_no_null(hull):
    """null would mean "not told", which is something else than empty, false or none."""
    text = hull("features").out
    assert '"ociVersionMin"' in text and "null" not in text
