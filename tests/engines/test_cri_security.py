# SPDX-License-Identifier: Apache-2.0
"""containerd's CRI: what a pod's securityContext asks for, as the kernel shows it."""
import json
import os
import re
from pathlib import Path

import cri
import pytest
from harness import config as cfg
from harness import programs
from harness.needs import needs

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(cri.missing() is not None, reason=str(cri.missing()))]
DEFAULT_CAPS = set(cfg.CAPS)
UNMASKED = {"masked_paths": [], "readonly_paths": []}


@pytest.fixture(scope="module")
def engine(node):
    return node


def field(pid, name):
    """Of /proc/PID/status, seen from the host."""
    return re.search(rf"^{name}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1]


def bits(*names):
    """A set of capabilities as the kernel writes it."""
    known = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW "
             "IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD "
             "LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP").split()
    return f"{sum(1 << known.index(n.removeprefix('CAP_')) for n in names):016x}"


def options(container, path):
    """Of the mount on top there, in the container."""
    lines = [line.split() for line in Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()]
    return [line[5].split(",") for line in lines if line[4] == path][-1]


def test_defaults(pod):
    """Docker's capabilities, the default seccomp profile, masks, read-only /proc/sys: also in what is executed there later."""
    c = pod().run().start("c", "sleep", "600")
    assert field(c.pid, "CapEff") == field(c.pid, "CapBnd") == field(c.pid, "CapPrm") == bits(*DEFAULT_CAPS)
    assert (field(c.pid, "CapAmb"), field(c.pid, "Seccomp"), field(c.pid, "NoNewPrivs")) == (bits(), "2", "0")
    inside = c.read("/proc/self/status")
    assert re.search(rf"CapEff:\s{bits(*DEFAULT_CAPS)}\n", inside) and re.search(r"Seccomp:\s2\n", inside)
    assert field(c.pod.pid, "Seccomp") == "2"


@pytest.mark.parametrize("profile,mode", [({"profile_type": "Unconfined"}, "0"), (None, "2")], ids=["unconfined", "localhost"])
def test_seccomp(pod, profile, mode):
    """No filter; a file on the node, that forbids one call."""
    p = pod().run()
    (p.top / "profile.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                                                    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}))
    c = p.start("c", "sleep", "600", security={"seccomp": profile or {"profile_type": "Localhost", "localhost_ref": str(p.top / "profile.json")}})
    assert field(c.pid, "Seccomp") == mode
    code, _, err = c.call("mkdir", "/tmp/d")
    assert (code, "not supported" in err) == ((0, False) if profile else (1, True))


def test_seccomp_default_forbids(pod):
    """The usual example: a new user namespace without a privilege."""
    c = pod().run().start("c", "sleep", "600", security={"run_as_user": {"value": 1000}})
    assert "not permitted" in c.exec("unshare", "-U", "true", rc=1)


def test_users(pod):
    """runAsUser, runAsGroup, supplementalGroups and fsGroup; those of the image's /etc/group are added; a name; none at all."""
    p = pod().run()
    c = p.start("ids", "sleep", "600", security={"run_as_user": {"value": 1000}, "run_as_group": {"value": 3000}, "supplemental_groups": [4000, 5000]})
    assert (field(c.pid, "Uid").split(), field(c.pid, "Gid").split()) == (["1000"] * 4, ["3000"] * 4)
    assert {"4000", "5000"} <= set(field(c.pid, "Groups").split())
    assert field(c.pid, "CapEff") == bits()
    assert c.sh("id -u; id -g").split() == ["1000", "3000"]
    assert {"4000", "5000"} <= set(c.exec("id", "-G").split())
    name = p.start("name", "sleep", "600", security={"run_as_username": "user"})
    assert (field(name.pid, "Uid").split()[0], field(name.pid, "Gid").split()[0]) == ("1000", "1000")
    assert "2000" in field(name.pid, "Groups").split()
    unknown = p.start("unknown", "sleep", "600", security={"run_as_user": {"value": 123456}})
    assert (field(unknown.pid, "Uid").split()[0], field(unknown.pid, "Gid").split()[0]) == ("123456", "0")


def test_capabilities(pod):
    """drop: [ALL], add one; add to the usual; the same for a command in it."""
    p = pod().run()
    one = p.start("one", "sleep", "600", security={"capabilities": {"drop_capabilities": ["ALL"], "add_capabilities": ["NET_BIND_SERVICE"]}})
    assert {field(one.pid, f) for f in ("CapEff", "CapPrm", "CapBnd")} == {bits("NET_BIND_SERVICE")}
    assert f"CapBnd:\t{bits('NET_BIND_SERVICE')}\n" in one.read("/proc/self/status")
    assert "not permitted" in one.exec("chown", "1000", "/etc/passwd", rc=1)
    more = p.start("more", "sleep", "600", security={"capabilities": {"add_capabilities": ["NET_ADMIN", "SYS_TIME"], "drop_capabilities": ["MKNOD"]}})
    assert field(more.pid, "CapEff") == bits(*DEFAULT_CAPS - {"CAP_MKNOD"}, "NET_ADMIN", "SYS_TIME")
    more.exec("ip", "link", "set", "lo", "mtu", "1400")


def test_no_new_privileges(pod):
    """allowPrivilegeEscalation: false. A program that is setuid doesn't help."""
    p = pod().run()
    # (a file of a volume, and not busybox, which gives up what it isn't known to need)
    (p.top / "bin").mkdir()
    (p.top / "bin/pause").write_bytes(programs.build("pause", Path(__file__).resolve().parent).read_bytes())
    (p.top / "bin/pause").chmod(0o4755)
    volume = [{"container_path": "/v", "host_path": str(p.top / "bin")}]
    for wanted, euid in ((True, "1000"), (False, "0")):
        c = p.start(f"c{euid}", "/v/pause", volumes=volume, security={"run_as_user": {"value": 1000}, "no_new_privs": wanted})
        assert field(c.pid, "NoNewPrivs") == str(int(wanted))
        assert field(c.pid, "Uid").split()[1] == euid


def test_read_only_root(pod):
    """readOnlyRootFilesystem: volumes, /dev/shm and the termination log stay writable."""
    p = pod().run()
    (p.top / "empty").mkdir()
    c = p.start("c", "sleep", "600", security={"readonly_rootfs": True}, volumes=[{"container_path": "/data", "host_path": str(p.top / "empty")}])
    for path in ("/x", "/etc/x", "/tmp/x"):
        assert "Read-only" in c.exec("touch", path, rc=1)
    c.sh("touch /data/x /dev/shm/x && echo bye >/dev/termination-log")
    assert (p.top / "empty/x").exists() and c.last_words() == "bye\n"
    assert "ro" in options(c, "/")


def test_masked_and_read_only_paths(pod):
    """procMount: Default and Unmasked."""
    p = pod().run()
    usual = p.start("usual", "sleep", "600")
    assert usual.sh("cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware | wc -l").split() == ["0", "0"]
    assert "Read-only" in usual.sh("echo x >/proc/sys/kernel/domainname", rc=1)
    assert "ro" in options(usual, "/proc/sys") and "ro" in options(usual, "/proc/bus")
    assert "Read-only" in usual.sh("mkdir /sys/fs/cgroup/x", rc=1)
    open_ = p.start("open", "sleep", "600", security=UNMASKED)
    assert int(open_.sh("cat /proc/timer_list | wc -c")) > 0
    assert not [line for line in Path(f"/proc/{open_.pid}/mountinfo").read_text().splitlines() if line.split()[4].startswith("/proc/")]


def test_sysctls(pod):
    """Of the pod's namespaces, set once for all of its containers; not the node's."""
    wanted = {"net.ipv4.ip_unprivileged_port_start": "80", "net.ipv4.ping_group_range": "0 2000", "kernel.shm_rmid_forced": "1", "net/ipv4/tcp_syncookies": "0"}
    before = {name: Path("/proc/sys", name.replace(".", "/")).read_text() for name in wanted}
    p = pod(linux={"sysctls": wanted}).run()
    c = p.start("c", "sleep", "600", security={"run_as_user": {"value": 1000}, "capabilities": {"drop_capabilities": ["ALL"]}})
    assert {name: " ".join(c.read(f"/proc/sys/{name.replace('.', '/')}").split()) for name in wanted} == wanted
    assert {name: Path("/proc/sys", name.replace(".", "/")).read_text() for name in wanted} == before
    c.sh("httpd -p 80 -h /www")  # below 1024, without a capability


def test_sysctl_that_is_not(pod):
    """The pod isn't made, and nothing of it is left."""
    p = pod(linux={"sysctls": {"net.ipv4.no_such": "1"}})
    cri.make_cgroup(p.cgroup)
    text = p.cri.refused("RunPodSandbox", config=p.config, runtime_handler=cri.HANDLER)
    assert "no_such" in text


def test_privileged(pod):
    """All that the node has: capabilities (of those that the tests have), devices, /sys and /proc/sys to write to, no filter."""
    p = pod(security={"privileged": True}).run()
    c = p.start("c", "sleep", "600", security={"privileged": True, **UNMASKED, "seccomp": {"profile_type": "Unconfined"}})
    own = Path("/proc/self/status").read_text()
    assert field(c.pid, "CapEff") == field(c.pid, "CapBnd") == re.search(r"CapBnd:\s*(\w+)", own)[1]
    assert field(c.pid, "Seccomp") == "0"
    assert "rw" in options(c, "/sys") and "rw" in options(c, "/proc")
    devices = {d.name: d.stat().st_rdev for d in Path("/dev").iterdir() if d.is_char_device() or d.is_block_device()}
    inside = Path(f"/proc/{c.pid}/root/dev")
    assert {name: (inside / name).stat().st_rdev for name in devices if name != "console"} == {n: r for n, r in devices.items() if n != "console"}
    c.sh("mkdir /tmp/m && mount -t tmpfs none /tmp/m && echo x >/proc/sys/kernel/domainname && mknod /tmp/zero c 1 5 && head -c 1 /tmp/zero >/dev/null")
    assert "NoNewPrivs:\t0" in c.read("/proc/self/status")


def test_device(pod):
    """A device of the node, as a device plugin gives it; any other stays forbidden."""
    if not all(re.search(rf"{minor} {name}$", Path("/proc/misc").read_text(), re.M) for minor, name in ((237, "loop-control"), (229, "fuse"))):
        pytest.skip("this kernel lacks loop-control or fuse")
    p = pod().run()
    os.mknod(p.top / "loop", 0o20666, os.makedev(10, 237))
    c = p.start("c", "sleep", "600", devices=[{"container_path": "/dev/mine", "host_path": str(p.top / "loop"), "permissions": "r"}])
    c.sh(": </dev/mine")
    assert "not permitted" in c.sh(": >/dev/mine", rc=1)
    assert "not permitted" in c.sh("mknod /tmp/fuse c 10 229 && cat /tmp/fuse", rc=1)


def test_propagation(pod):
    """HostToContainer: a mount of the node appears. Bidirectional: one of the container's appears on the node."""
    p = pod(security={"privileged": True}).run()
    top = p.top / "volume"
    for name in ("in", "out"):
        (top / name).mkdir(parents=True)
    cri.world.mount(str(top), str(top), None, cri.world.MS_BIND)
    cri.world.mount(None, str(top), None, cri.world.MS_SHARED)
    try:
        sees = p.start("sees", "sleep", "600", volumes=[{"container_path": "/v", "host_path": str(top), "propagation": "PROPAGATION_HOST_TO_CONTAINER"}])
        gives = p.start("gives", "sleep", "600", volumes=[{"container_path": "/v", "host_path": str(top), "propagation": "PROPAGATION_BIDIRECTIONAL"}],
                        security={"privileged": True})
        apart = p.start("apart", "sleep", "600", volumes=[{"container_path": "/v", "host_path": str(top)}])
        cri.world.mount("tmpfs", str(top / "in"), "tmpfs", 0)
        gives.exec("mount", "-t", "tmpfs", "none", "/v/out")
        (top / "in/file").touch()
        gives.exec("touch", "/v/out/file")
        assert (top / "out/file").exists()
        for c, seen in ((sees, 0), (gives, 0), (apart, 1)):
            assert c.call("test", "-e", "/v/in/file")[0] == c.call("test", "-e", "/v/out/file")[0] == seen
        gives.exec("umount", "/v/out")
    finally:
        cri.world.umount(str(top))  # with what is mounted in it


def test_recursive_read_only(pod):
    """RecursiveReadOnly of a volume with a mount in it: containerd 2 asks the runtime's `features` whether it can."""
    p = pod()
    if p.cri.version < (2, 0):
        pytest.skip("containerd 1 doesn't know recursive read-only mounts")
    p.run()
    (p.top / "volume/sub").mkdir(parents=True)
    cri.world.mount("tmpfs", str(p.top / "volume/sub"), "tmpfs", 0)
    try:
        for wanted in (True, False):
            volume = {"container_path": "/v", "host_path": str(p.top / "volume"), "readonly": True, "recursive_read_only": wanted}
            c = p.start(f"c{wanted}", "sleep", "600", volumes=[volume])
            assert "Read-only" in c.exec("touch", "/v/x", rc=1)
            assert (c.call("touch", "/v/sub/x")[0] == 0) != wanted
    finally:
        cri.world.umount(str(p.top / "volume/sub"))


@needs("Linux 6.3: mapped ids on tmpfs")
def test_user_namespace(pod):
    """hostUsers: false. Root in the pod is nobody on the node; volumes look as if owned by the ids that own them on the node."""
    mapping = [{"host_id": 700000, "container_id": 0, "length": 65536}]
    p = pod(namespaces={"userns_options": {"mode": "POD", "uids": mapping, "gids": mapping}})
    if p.cri.version < (2, 0):
        pytest.skip("containerd 1.6 doesn't know pods with a user namespace")
    assert [h.features.user_namespaces for h in p.cri("Status").runtime_handlers if h.name == cri.HANDLER] == [True]
    p.run()
    (p.top / "data").mkdir()
    (p.top / "data/file").write_text("data\n")
    (p.top / "data/file").chmod(0o600)
    volume = [{"container_path": "/data", "host_path": str(p.top / "data"), "uidMappings": mapping, "gidMappings": mapping}]
    a = p.start("a", "sleep", "600", volumes=volume)
    b = p.start("b", "sleep", "600", volumes=volume, security={"run_as_user": {"value": 1000}})
    users = {os.readlink(f"/proc/{n}/ns/user") for n in (a.pid, b.pid, p.pid)}
    assert len(users) == 1 and users != {os.readlink("/proc/self/ns/user")}
    assert (field(a.pid, "Uid").split()[0], field(b.pid, "Uid").split()[0], field(p.pid, "Uid").split()[0]) == ("700000", "701000", "700000")
    assert Path(f"/proc/{a.pid}/uid_map").read_text().split() == ["0", "700000", "65536"]
    assert a.exec("id", "-u") == "0\n"
    assert a.sh("stat -c %u /data/file / /etc/passwd; cat /data/file").split() == ["0", "0", "0", "data"]
    assert "denied" in b.exec("cat", "/data/file", rc=1)
    a.sh("touch /data/new; chown 1000 /data/new")
    assert (p.top / "data/new").stat().st_uid == 1000
    assert os.stat(f"/proc/{a.pid}/root/etc/passwd").st_uid == 700000
    # what root can do in the pod ends at the node's
    powers = {"add_capabilities": ["SYS_ADMIN", "NET_ADMIN", "MKNOD", "SYS_PTRACE"]}
    c = p.start("c", "sleep", "600", security={"capabilities": powers, **UNMASKED, "seccomp": {"profile_type": "Unconfined"}})
    c.sh("hostname other && ip link set lo mtu 1400 && mkdir /tmp/m && mount -t tmpfs none /tmp/m")
    for command in ("mknod /tmp/zero c 1 5", "echo 1 >/proc/sys/kernel/panic"):
        assert re.search("not permitted|denied", c.sh(command, rc=1))
