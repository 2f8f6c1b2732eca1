# SPDX-License-Identifier: Apache-2.0
"""Which sysctls a container can have, by the namespace that they belong to: every name of the table, in every way to get the namespace; and nothing of the host changes."""
import os
import subprocess
from pathlib import Path

import pytest
from harness.config import DEV, PROC, namespaces, userns
from harness.needs import needs, skip_without
from test_userns import changes, pod  # noqa: F401

PROC_SYS = Path("/proc/sys")
IPC = {"kernel.msgmax": "4242", "kernel.msgmnb": "4243", "kernel.msgmni": "44", "kernel.sem": "250\t32000\t32\t99", "kernel.shmall": "1000000", "kernel.shmmax": "123456",
       "kernel.shmmni": "77", "kernel.shm_rmid_forced": "1", "kernel.auto_msgmni": "0", "kernel.msg_next_id": "5", "kernel.sem_next_id": "6", "kernel.shm_next_id": "7",
       "fs.mqueue.msg_default": "9", "fs.mqueue.msg_max": "42", "fs.mqueue.msgsize_default": "7000", "fs.mqueue.msgsize_max": "8000", "fs.mqueue.queues_max": "33"}
NET = {"net.ipv4.ip_forward": "1", "net.core.somaxconn": "77", "net.ipv4.ping_group_range": "0\t1000", "net.ipv4.conf.lo.rp_filter": "2", "net.ipv6.conf.all.forwarding": "1",
       "net.unix.max_dgram_qlen": "33", "net.ipv4.ip_unprivileged_port_start": "0"}
USER = {f"user.{p.name}": str(100 + i) for i, p in enumerate(sorted((PROC_SYS / "user").iterdir()))}


def file(name):
    return PROC_SYS / name.replace(".", "/")


def here(names):
    return {n: v for n, v in names.items() if file(n).exists()}


def host(names):
    return {n: file(n).read_text() for n in names}


def check(container, names, **how):
    """All are in the container as they were asked for, and on the host as before."""
    before = host(names)
    c = container(args=["/bin/sleep", "100"], **how)
    c.rewrite(linux={"sysctl": names})
    c.create()
    seen = c.exec(c.id, "/bin/probe", *(w for n in names for w in ("--sysctl", n))).json()
    got = {n: seen[f"sysctl {n}"]["text"].strip() for n in names}
    assert got == names
    assert host(names) == before
    c.delete("--force")
    return c


@pytest.mark.kernel
@pytest.mark.parametrize("user", [False, True], ids=["", "userns"])
def test_every_name_of_ipc_and_network(container, user):
    names = here(IPC | NET)
    if user:  # readable and writable by the host's root only; older kernels hide some (net.core on 6.1)
        there = subprocess.run(["unshare", "--map-root-user", "--net", "--ipc", "find", "/proc/sys", "-type", "f"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True, check=False).stdout.split()
        names = {n: v for n, v in names.items() if not n.endswith("_next_id") and f"/proc/sys/{n.replace('.', '/')}" in there}
        assert len(names) > 10
    check(container, names, linux=userns() if user else {"namespaces": namespaces()})


def test_domainname(container):
    check(container, {"kernel.domainname": "dom"})


@pytest.mark.kernel
@pytest.mark.parametrize("without", [(), ("pid",), ("network", "ipc", "uts", "cgroup"), ("pid", "network", "ipc", "uts", "cgroup")], ids=["all", "pid", "few", "fewest"])
def test_limits_of_a_user_namespace(container, without):
    """As root of it; of each chain that makes one."""
    check(container, USER, **changes(*without))


def test_limits_of_a_joined_user_namespace(container, pod):  # noqa: F811
    pid = pod("user", "net")
    check(container, USER, **changes(user=f"/proc/{pid}/ns/user", network=f"/proc/{pid}/ns/net"))


@needs("detached mounts that stay (not on Linux 7.3)")
def test_limits_without_a_mount_namespace(container):
    check(container, USER, mounts=[PROC, DEV], **changes("mount"))


def test_a_limit_bites(container):
    c = container(args=["/bin/sh", "-c", "cat /proc/sys/user/max_user_namespaces; unshare -U true"], **changes())
    c.rewrite(linux={"sysctl": {"user.max_user_namespaces": "0"}}, process={"capabilities": {}})
    r = c.runtime.call("run", "--bundle", c.bundle.path, c.id)
    assert r.out == "0\n" and r.rc != 0


@pytest.mark.parametrize("name", sorted({**IPC, **NET, **USER, "kernel.domainname": "x"}))
def test_without_its_namespace(container, name):
    needed = "ipc" if name in IPC else "network" if name in NET else "user" if name in USER else "uts"
    c = container(linux={"sysctl": {name: "1"}, "namespaces": namespaces(needed)})
    if needed == "uts":
        del c.config["hostname"]
        c.rewrite()
    c.fails("create", match=rf'config\.json: linux\.sysctl\["{name}"\]: "{name}" — needs a namespace of type "{needed}": without one the host\'s would be changed')


@pytest.mark.parametrize("name,why", [("kernel.hostname", "is set by the property hostname"), ("kernel.pid_max", "belongs to the pid namespace since Linux 6.14 only.*"),
                                      ("vm.memfd_noexec", "belongs to the pid namespace since Linux 6.3 only.*"), ("kernel.ns_last_pid", "is no setting.*"),
                                      ("kernel.ostype", "does not belong to a namespace.*"), ("users.max_x", "does not belong.*"), ("user", "does not belong.*"),
                                      ("fs.mqueue", "does not belong.*"), ("kernel.sem.x", "does not belong.*"), ("user.max_no_such", "does not exist|.*no such file or directory")])
def test_refused(container, name, why):
    before = file("kernel.hostname").read_text(), file("kernel.pid_max").read_text()
    for key in (name, name.replace(".", "/")):
        container(linux=userns() | {"sysctl": {key: "1"}}).fails("create", match=rf'.*linux\.sysctl\["{key}"\].*({why}).*|.*{why} \(linux\.sysctl\["{key}"\]\).*')
    assert (file("kernel.hostname").read_text(), file("kernel.pid_max").read_text()) == before


def test_a_sysctl_of_one_namespace_lets_another_be_the_hosts(container):
    """What is set belongs to the user namespace: a joined ipc namespace may be the caller's."""
    c = container(**changes("ipc"))
    c.rewrite(linux={"sysctl": {"user.max_user_namespaces": "7"}, "namespaces": [*c.config["linux"]["namespaces"], {"type": "ipc", "path": "/proc/self/ns/ipc"}]})
    c.create()


@pytest.mark.kernel
def test_the_table_is_complete(tmp_path):
    """Of the names that are the host's in no other namespace the kernel shows different values after they were changed in new ones: none of kernel, fs, vm and user
    that isn't in the table, or refused with its reason."""
    known = set(IPC) | set(USER) | {"kernel.hostname", "kernel.domainname", "kernel.pid_max", "kernel.ns_last_pid", "vm.memfd_noexec", "vm.hugetlb_optimize_vmemmap"}
    script = tmp_path / "seen.py"
    script.write_text("""
import os, sys
for top in ("kernel", "fs", "vm", "user"):
    for d, _, names in os.walk("/proc/sys/" + top):
        for n in names:
            p = os.path.join(d, n)
            try:
                with open(p) as f:
                    v = f.read()
            except (OSError, UnicodeDecodeError):
                continue
            print(p[10:].replace("/", "."), repr(v))
""")

    def seen(*wrap):
        out = subprocess.run([*wrap, "/usr/bin/python3", script], capture_output=True, text=True, check=True, timeout=30).stdout
        return dict(line.split(" ", 1) for line in out.splitlines())

    fresh = ["unshare", "--ipc", "--uts", "--pid", "--net", "--mount", "--fork", "--mount-proc"]
    outside, inside, again = seen(), seen(*fresh), seen()
    if os.geteuid() != 0:
        skip_without("root")
    differ = {n for n in outside if n in inside and outside[n] != inside[n] and outside[n] == again[n]}
    assert differ - known - {n for n in differ if n.startswith(("kernel.random.", "fs.dentry-state", "fs.inode", "fs.file-nr", "kernel.perf_", "vm.stat"))} == set()
