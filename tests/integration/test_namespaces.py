# SPDX-License-Identifier: Apache-2.0
"""Each namespace new, joined by path, the host's own; what belongs to a namespace is set in the container's only."""
import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from harness import mountinfo, snapshot
from harness.clock import scaled
from harness.config import DELETE, DEV, NAMESPACES, PROC, namespaces
from harness.needs import needs
from harness.strace import strace

pytestmark = pytest.mark.kernel
PID = pytest.param("pid", marks=needs("proc of a joined pid namespace (Linux 6.17)"))
STAYS = needs("detached mounts that stay (not on Linux 7.3)")
KIND = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup"}


def own(kind):
    return os.readlink(f"/proc/self/ns/{kind}")


def without(*types):
    """Changes for a container that shares those namespaces with the caller."""
    changes = {"linux": {"namespaces": namespaces(*types)}}
    if "uts" in types:
        changes["hostname"] = DELETE
    return changes


def test_all_new(container):
    ns = container().probe()["ns"]
    for kind in KIND.values():
        assert ns[kind] != own(kind), kind
    assert ns["user"] == own("user") and ns["time"] == own("time")


@pytest.mark.parametrize("shared", [t for t in NAMESPACES if t != "mount"])
def test_not_listed_means_the_callers(container, shared):
    ns = container(**without(shared)).probe()["ns"]
    for t, kind in KIND.items():
        assert (ns[kind] == own(kind)) == (t == shared), t


@pytest.mark.parametrize("joined", [PID, "network", "ipc", "uts", "cgroup"])
def test_joined_by_path(container, hull, joined):
    first = container(args=["/bin/sleep", "100"])
    first.detach()
    path = f"/proc/{first.pid}/ns/{KIND[joined]}"
    expected = os.readlink(path)
    changes = {"linux": {"namespaces": namespaces(**{joined: path})}}
    if joined == "uts":
        changes["hostname"] = DELETE
    seen = container(**changes).probe()
    assert seen["ns"][KIND[joined]] == expected
    if joined == "pid":
        assert seen["pid"] > 1
        assert seen["status"]["NSpid"].split()[-1] == str(seen["pid"]), "proc is of the joined namespace"
    if joined == "uts":
        assert seen["hostname"] == "box"


@STAYS
def test_mount_namespace_joined_by_path(container, hull):
    first = container(args=["/bin/sleep", "100"])
    first.detach()
    path = f"/proc/{first.pid}/ns/mnt"
    c = container(linux={"namespaces": namespaces(mount=path), "maskedPaths": [], "readonlyPaths": []}, mounts=[PROC, DEV])
    r = c.runtime.call("run", "--bundle", c.bundle.path, c.id)
    if r.rc == 0 and hull.is_hull:
        assert r.json()["ns"]["mnt"] == os.readlink(path)


@pytest.mark.parametrize("t", [PID, "network", "ipc", "uts", "cgroup"])
def test_path_of_the_wrong_kind(container, t):
    wrong = "/proc/self/ns/" + ("ipc" if t != "ipc" else "net")
    c = container(linux={"namespaces": namespaces(**{t: wrong})})
    c.fails("create", match=r".*linux\.namespaces\[5\]\.path.*" + wrong + r".*|.*" + wrong + r".*linux\.namespaces\[5\].*")


@pytest.mark.parametrize("path", ["/no/such/namespace", "/etc/hostname", "/dev/null", "/tmp", "relative/path"])
def test_bad_path(container, path):
    c = container(linux={"namespaces": namespaces(network=path)})
    c.fails("create", match=r".*linux\.namespaces\[5\]\.path.*" + path + r".*|.*" + path + r".*linux\.namespaces\[5\].*")


def test_duplicate_type(container):
    c = container(linux={"namespaces": namespaces() + [{"type": "ipc"}]})
    c.fails("create", match=r".*linux\.namespaces\[6\].*ipc.*")


# --- what belongs to them ---

def test_hostname_and_domainname(container):
    seen = container(hostname="my-host.example", domainname="my.domain").probe()
    assert seen["hostname"] == "my-host.example"
    if container().runtime.flavor != "runc":  # Debian's is older than domainname
        assert seen["domainname"] == "my.domain"


def test_hostname_without_own_uts_namespace(container):
    c = container(linux={"namespaces": namespaces("uts")})
    c.fails("create", match=r'config\.json: hostname: .*uts.*')


@pytest.mark.hull_only(reason="a path to the caller's own namespace passes the peers' checks (CVE-2022-0532's class)")
def test_hostname_with_the_callers_own_uts_namespace_by_path(container):
    before = socket.gethostname()
    c = container(linux={"namespaces": namespaces(uts="/proc/self/ns/uts")})
    c.fails("create", match=r'.*(hostname|linux\.namespaces\[5\]).*uts.*')
    assert socket.gethostname() == before


def test_lo_is_up_in_a_new_network_namespace(container):
    c = container(args=["/bin/sh", "-c", "ip addr show lo"])
    r = c.run().out
    assert "UP" in r and "127.0.0.1" in r, r


def test_network_of_the_caller_is_left_alone(container):
    before = Path("/sys/class/net/lo/flags").read_text()
    container(**without("network")).run()
    assert Path("/sys/class/net/lo/flags").read_text() == before


SYSCTLS = {"net.ipv4.ip_forward": ("1", "network"), "kernel.shmmax": ("123456", "ipc"), "fs.mqueue.msg_max": ("42", "ipc"),
           "net.ipv4.conf.lo.forwarding": ("1", "network"), "kernel.msgmax": ("4242", "ipc"), "kernel.sem": ("250\t32000\t32\t99",
                                                                                                             "ipc")}


@pytest.mark.parametrize("name", SYSCTLS)
def test_sysctl(container, name):
    value, _ = SYSCTLS[name]
    seen = container(linux={"sysctl": {name: value}}, args=["/bin/probe", "--sysctl", name]).probe()
    assert seen[f"sysctl {name}"]["text"].strip() == value


@pytest.mark.parametrize("name", SYSCTLS)
def test_sysctl_without_its_namespace(container, name):
    value, needs = SYSCTLS[name]
    c = container(linux={"sysctl": {name: value}, "namespaces": namespaces(needs)})
    path = Path("/proc/sys") / name.replace(".", "/")
    before = path.read_text()
    c.fails("create", match=rf'.*linux\.sysctl.*{name}.*')
    assert path.read_text() == before


@pytest.mark.hull_only(reason="CVE-2022-0532's class: the peers write to the host")
@pytest.mark.parametrize("name", ["net.ipv4.ip_forward", "kernel.shmmax"])
def test_sysctl_with_the_callers_own_namespace_by_path(container, name):
    value, needs = SYSCTLS[name]
    path = Path("/proc/sys") / name.replace(".", "/")
    before = path.read_text()
    c = container(linux={"sysctl": {name: value}, "namespaces": namespaces(**{needs: f"/proc/self/ns/{KIND[needs]}"})})
    c.fails("create", match=rf'.*linux\.sysctl.*{name}.*|.*linux\.namespaces\[5\]\.path.*own {needs} namespace.*')
    assert path.read_text() == before


@pytest.mark.parametrize("t", [PID, "network", "ipc", "uts", "cgroup"])
def test_the_callers_own_namespace_by_path_is_no_namespace(container, t):
    """Engines write the host's as a path too; with nothing set in it that is the same as not listing it."""
    changes = {"hostname": DELETE} if t == "uts" else {}
    c = container(linux={"namespaces": namespaces(**{t: f"/proc/self/ns/{KIND[t]}"})}, **changes)
    assert c.probe()["ns"][KIND[t]] == own(KIND[t])


@pytest.mark.parametrize("name", ["kernel.core_pattern", "kernel/core_pattern", "vm.swappiness", "net/../kernel/core_pattern",
                                  "net.ipv4.conf.../../../kernel/core_pattern", "", "kernel", "net", "net.", ".net",
                                  "fs.file-max", "kernel.sysrq", "net.ipv4.no_such_name"])
def test_sysctl_that_is_not_the_containers(container, name):
    before = {p: Path(p).read_text() for p in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness")}
    container(linux={"sysctl": {name: "1"}}).fails("create", match=r'.*linux\.sysctl.*')
    assert {p: Path(p).read_text() for p in before} == before


def test_container_with_the_callers_pid_namespace_sees_it(container):
    seen = container(**without("pid")).probe()
    assert seen["pid"] > 1


def test_sysv_and_mqueue_are_separate(container):
    c = container(args=["/bin/sh", "-c", "cat /proc/sysvipc/shm | wc -l; ls /dev/mqueue | wc -l"])
    assert c.run().out.split() == ["1", "0"]


# --- no mount namespace of its own ---

def run_without_own_mounts(container, **changes):
    """A sleeping container that has no mount namespace of its own, and what a probe in it sees."""
    c = container(args=["/bin/sleep", "100"], **changes)
    before = snapshot.mounts()
    c.detach()
    assert snapshot.mounts() == before, "nothing of it may be seen in the caller's mount namespace"
    seen = json.loads(c.exec(c.id, "/bin/probe").out)
    st = c.bundle.rootfs.stat()
    assert (seen["root"]["dev"], seen["root"]["ino"]) == (st.st_dev, st.st_ino)
    return c, seen


@pytest.mark.hull_only(reason="runc changes the caller's own propagation")
@needs("OPEN_TREE_NAMESPACE (Linux 7.0)")
@pytest.mark.hull_only(reason="peers do it their way")
@pytest.mark.parametrize("hook", [None, "createRuntime", "createContainer", "startContainer"])
def test_the_hosts_mounts_are_not_copied(container, hull, hook):
    """The mount namespace begins with the root file system alone, unless a hook looks at it with the host's names."""
    hooks = {hook: [{"path": "/bin/true" if hook != "startContainer" else "/bin/busybox", "args": ["true"]}]} if hook else {}
    trace = hull.tmp / "trace"
    c = container(hooks=hooks, args=["/bin/probe"])
    seen = c.run(wrap=strace("-f", "-qq", "-e", "trace=open_tree,unshare,pivot_root", "-o", str(trace))).json()
    calls = trace.read_text()
    copied = hook in ("createRuntime", "createContainer")
    assert ("pivot_root(" in calls) == copied
    assert ("unshare(CLONE_NEWNS)" in calls) == copied
    assert len([m for m in mountinfo.of(seen) if m.at == "/"]) == 1
    assert "/proc" in {m.at for m in mountinfo.of(seen)}


@STAYS
def test_no_mount_namespace(container):
    """The mounts are there, nobody else sees them, and the caller's mounts and their propagation stay as they are."""
    c, seen = run_without_own_mounts(container, linux={"namespaces": namespaces("mount"), "maskedPaths": ["/secret"]})
    assert os.readlink(f"/proc/{c.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    said = c.exec(c.id, "/bin/sh", "-c", "cat /proc/self/comm; ls /dev").out.split()
    assert said[:1] == ["cat"] and "fd" in said
    assert seen["cwd"]["path"] == "/"


@STAYS
@pytest.mark.hull_only(reason="runc mounts into the joined namespace")
def test_joined_mount_namespace(container):
    other = subprocess.Popen(["unshare", "--mount", "sleep", "100"], stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + scaled(5)
        while os.readlink(f"/proc/{other.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt") and time.monotonic() < deadline:
            time.sleep(0.01)
        path = f"/proc/{other.pid}/ns/mnt"
        table = Path(f"/proc/{other.pid}/mountinfo").read_text()
        c, _ = run_without_own_mounts(container, linux={"namespaces": namespaces(mount=path)})
        assert os.readlink(f"/proc/{c.pid}/ns/mnt") == os.readlink(path)
        assert Path(f"/proc/{other.pid}/mountinfo").read_text() == table
        c.delete("--force")
    finally:
        other.kill()
        other.wait()


@needs("detached mounts that go (Linux 7.3)")
@pytest.mark.hull_only(reason="peers mount into the shared namespace")
@pytest.mark.parametrize("where", ["inherited", "joined"])
def test_mounts_that_would_not_stay_are_refused(container, where):
    """Without them a container would run without proc, and what is masked would be bare."""
    ns = namespaces(**{"mount": "/proc/self/ns/mnt"}) if where == "joined" else namespaces("mount")
    c = container(linux={"namespaces": ns})
    at = r"linux\.namespaces\[\d\]\.path: .*must not be there" if where == "joined" else r'linux\.namespaces: must have a "mount"'
    c.fails("create", match=rf"config\.json: {at}: on this kernel a container loses its mounts .*")
