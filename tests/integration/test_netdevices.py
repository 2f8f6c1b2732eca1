# SPDX-License-Identifier: Apache-2.0
"""linux.netDevices: devices that leave the caller's network namespace for the container's (config-linux.md, Network Devices). Each test stands in a
network namespace of its own, with veth pairs."""
import ctypes
import json
import os
import signal
import subprocess

import pytest
from harness.config import namespaces

CLONE_NEWNET = 0x40000000
IP = ["/bin/busybox", "ip"]
libc = ctypes.CDLL(None, use_errno=True)


def ip(*args):
    return subprocess.run(["ip", *args], check=True, capture_output=True, text=True, timeout=10).stdout


def device(name):
    """What `ip` says about it, or None."""
    shown = subprocess.run(["ip", "-j", "addr", "show", "dev", name], capture_output=True, text=True, timeout=10, check=False)
    return json.loads(shown.stdout)[0] if shown.returncode == 0 else None


def addresses(shown, scope="global"):
    return sorted(f"{a['local']}/{a['prefixlen']}" for a in shown["addr_info"] if a["scope"] == scope)


@pytest.fixture
def network():
    """A network namespace for this process, with the pair v0 – v1."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert libc.unshare(CLONE_NEWNET) == 0
    try:
        ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
        ip("link", "set", "v1", "up")
        yield
    finally:
        assert libc.setns(own, CLONE_NEWNET) == 0
        os.close(own)


def devices(**names):
    return {"netDevices": {k: ({"name": v} if v else {}) for k, v in names.items()}}


def inside(c):
    """The devices of a container that runs, as the kernel shows them there."""
    return subprocess.run(["nsenter", "--net", "-t", str(c.pid), "ip", "-j", "addr"], check=True, capture_output=True, text=True, timeout=10).stdout


def seen(c, name):
    return next((d for d in json.loads(inside(c)) if d["ifname"] == name), None)


def test_moved_renamed_and_up(network, container):
    ip("addr", "add", "192.0.2.7/24", "dev", "v0")
    ip("addr", "add", "192.0.2.9/32", "dev", "v0")
    ip("addr", "add", "2001:db8::7/64", "dev", "v0", "nodad")
    ip("addr", "add", "169.254.3.3/16", "dev", "v0", "scope", "link")
    ip("addr", "add", "192.0.2.77/24", "dev", "v0", "valid_lft", "1000", "preferred_lft", "1000")
    ip("link", "set", "v0", "mtu", "1400", "address", "02:00:00:00:00:77")
    c = container(linux=devices(v0="eth0"), args=["/bin/sleep", "100"])
    c.create()
    eth0 = seen(c, "eth0")
    assert device("v0") is None
    assert addresses(eth0) == ["192.0.2.7/24", "192.0.2.9/32", "2001:db8::7/64"], "permanent ones of global scope, no other"
    assert "169.254.3.3/16" not in addresses(eth0, "link")
    assert eth0["mtu"] == 1400 and eth0["address"] == "02:00:00:00:00:77"
    assert "UP" in eth0["flags"] and "LOWER_UP" in eth0["flags"]
    c.start()
    assert seen(c, "eth0") == eth0
    c.kill("KILL")
    c.wait()
    c.delete()


def test_without_a_name_it_keeps_its_own(network, container):
    c = container(linux=devices(v0=None), args=["/bin/sleep", "100"])
    c.detach()
    assert seen(c, "v0") and device("v0") is None


def test_several_and_a_template(network, container):
    ip("link", "add", "w0", "type", "veth", "peer", "name", "w1")
    ip("addr", "add", "192.0.2.1/32", "dev", "w0")
    c = container(linux=devices(v0="eth0", w0="eth%d"), args=["/bin/sleep", "100"])
    c.detach()
    assert seen(c, "eth0") and addresses(seen(c, "eth1")) == ["192.0.2.1/32"]


def test_an_index_that_is_taken(network, container):
    """lo of the container has index 1: the device gets another one, and is found all the same."""
    own = int(ip("-o", "link", "show", "v0").split(":")[0])
    other = container(args=["/bin/sleep", "100"])
    other.detach()
    join = f"/proc/{other.pid}/ns/net"
    subprocess.run(["nsenter", f"--net={join}", "ip", "link", "add", "x0", "index", str(own), "type", "veth", "peer", "name", "x1", "index", str(own + 1)],
                   check=True, timeout=10)
    ip("addr", "add", "192.0.2.7/24", "dev", "v0")
    c = container(linux={"namespaces": namespaces(network=join), **devices(v0="eth0")}, args=["/bin/sleep", "100"])
    c.detach()
    assert addresses(seen(c, "eth0")) == ["192.0.2.7/24"] and seen(c, "eth0")["ifindex"] > own + 1


def test_sysctls_and_hooks_find_it(network, container, tmp_path):
    c = container(linux={**devices(v0="eth0"), "sysctl": {"net.ipv4.conf.eth0.rp_filter": "2"}}, args=["/bin/cat", "/proc/sys/net/ipv4/conf/eth0/rp_filter"],
                  hooks={"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"test ! -e /sys/class/net/v0; echo $? > {tmp_path}/hook"]}]})
    assert c.run().out == "2\n"
    assert (tmp_path / "hook").exists()


def unchanged(before):
    after = device("v0")
    before, after = dict(before), dict(after)
    for d in (before, after):
        d["addr_info"] = sorted(f"{a['local']}/{a['prefixlen']}" for a in d["addr_info"] if a["scope"] == "global")
    assert after == before


@pytest.mark.parametrize("up", ["up", "down"])
@pytest.mark.parametrize("breaks", ["hook", "program", "mount", "second"])
def test_given_back_when_the_creation_fails(network, container, breaks, up):
    ip("addr", "add", "192.0.2.7/24", "dev", "v0")
    ip("addr", "add", "2001:db8::7/64", "dev", "v0", "nodad")
    ip("link", "set", "v0", up)
    ip("link", "set", "v1", up)
    before = device("v0")
    changes = {"hook": {"hooks": {"createRuntime": [{"path": "/bin/false"}]}}, "program": {"args": ["/no/such/program"]},
               "mount": {"mounts": [{"destination": "/x", "type": "no-such-type", "source": "x"}]}, "second": {}}[breaks]
    more = {"gone": None} if breaks == "second" else {}
    c = container(linux=devices(v0="eth0", **more), **changes)
    c.fails("run", match=".*")
    unchanged(before)


def test_given_back_when_create_is_interrupted_by_the_death_of_init(network, container):
    before = device("v0")
    c = container(linux=devices(v0="eth0"), hooks={"createRuntime": [{"path": "/bin/sh", "args": [
        "sh", "-c", r"""PATH=/bin:/usr/bin; kill -9 $(sed 's/.*"pid": *\([0-9]*\).*/\1/')"""]}]})
    c.fails("create", match=".*killed by signal 9.*|.*the hooks are done: broken pipe")
    unchanged(before)


def test_the_end_of_the_container_is_the_kernels_affair(network, container):
    """A veth is destroyed with its namespace, and its peer with it: nothing is moved back (MUST NOT)."""
    c = container(linux=devices(v0="eth0"), args=["/bin/true"])
    c.run()
    for _ in range(100):
        if device("v1") is None:
            break
        signal.sigtimedwait([signal.SIGUSR1], 0.05)
    assert device("v0") is None and device("v1") is None


def test_no_such_device(network, container):
    c = container(linux=devices(nix0="eth0"))
    c.fails("create", match=r"create .*: move network device nix0 to the container as eth0 \(linux\.netDevices\[\"nix0\"\]\): no such device")


def test_a_name_that_is_taken(network, container):
    before = device("v0")
    c = container(linux=devices(v0="lo"))
    c.fails("create", match=r"create .*: move network device v0: a device called lo is in the container's network namespace "
            r"\(linux\.netDevices\[\"v0\"\]\): file exists")
    assert device("v0") == before


def test_lo_cannot_move(network, container):
    c = container(linux=devices(lo="eth0"))
    c.fails("create", match=r"create .*: move network device lo to the container as eth0.*: invalid argument.*")


def test_needs_a_network_namespace_of_its_own(network, container):
    container(linux={"namespaces": namespaces("network"), **devices(v0="eth0")}).fails(
        "create", match=r"config\.json: linux\.netDevices: needs a namespace of type \"network\".*")
    container(linux={"namespaces": namespaces(network="/proc/self/ns/net"), **devices(v0="eth0")}).fails("create", match=".*the host's own.*|.*network.*")
    assert device("v0")


@pytest.mark.parametrize("name", ["a/b", "a b", "a:b", "0123456789abcdef", "..", "%s", "a%d%d", "100%"])
def test_bad_names(network, container, name):
    container(linux=devices(v0=name)).fails("create", match=r"config\.json: linux\.netDevices\[\"v0\"\]: name .* — must be a name of 1 to 15 bytes.*")


def test_the_same_name_twice(network, container):
    container(linux=devices(v0="eth0", v1="eth0")).fails("create", match=r"config\.json: linux\.netDevices\[\"v1\"\]: .*gets it already")
