# SPDX-License-Identifier: Apache-2.0
"""containerd's CRI with SystemdCgroup, as kubeadm's nodes have it: pods are slices, containers their scopes."""
import re
from pathlib import Path

import cri
import images
import podmans
import pytest
from conftest import CGROUPS, cgroup_of, files, run, show
from harness.clock import scaled
from harness.runtime import wait_for
from kubepods import BURSTABLE, Pod

pytestmark = pytest.mark.timeout(240)
MiB = 1 << 20
CONFIG = Path("/etc/containerd/config.toml")


class SlicePod(Pod):
    """Its cgroup is a slice, which systemd makes for the first scope in it."""
    handler = "hull"

    def place(self, parent_cgroup, qos):
        return f"kubepods-{qos}-pod{self.uid.replace('-', '_')}.slice"

    def make_place(self):
        pass

    def place_goes(self):
        run("systemctl", "stop", self.cgroup)
        return not list(CGROUPS.rglob(self.cgroup))


@pytest.fixture(scope="module")
def engine(program, image, tmp_path_factory):
    """containerd's settings are those that it has and hull's file, as docs/engines.md says, with systemd as the driver."""
    top = tmp_path_factory.mktemp("node")
    before, now = CONFIG.read_text(), re.sub("^imports.*", "", run("containerd", "config", "dump"), flags=re.M)
    now = re.sub("sandbox_image = .*", f'sandbox_image = "{images.PAUSE}"', now).replace("disable_hugetlb_controller = true", "disable_hugetlb_controller = false")
    tables = podmans.drop_in("containerd.toml", program).replace("version = 2\n", "").replace("# SystemdCgroup", "SystemdCgroup")
    CONFIG.write_text(now + tables)
    Path("/etc/cni/net.d").mkdir(parents=True, exist_ok=True)
    Path("/etc/cni/net.d/10-pods.conflist").write_text(cri.NETWORK)
    run("systemctl", "restart", "containerd.service", seconds=120)
    client = cri.Client()
    wait_for(client.answers, 60, "the CRI to answer")
    for archive in (image, images.make_pause(top)):
        run("ctr", "-n", "k8s.io", "images", "import", archive, seconds=120)
    for name in (images.NAME, images.PAUSE):
        wait_for(lambda: client("ImageStatus", image={"image": name}).image.id, 20, f"{name} to be known to the CRI")
    wait_for(lambda: all(c.status for c in client("Status").status.conditions), 20, "the network to be ready", lambda: client("Status").status)
    SlicePod(client, "", top).run().remove()
    yield client
    client.close()
    run("systemctl", "stop", "containerd.service", seconds=60)
    CONFIG.write_text(before)


@pytest.fixture
def pod(engine, tmp_path):
    made = []

    def make(**how):
        made.append(SlicePod(engine, "", tmp_path, **how))
        return made[-1]
    yield make
    for each in made:
        each.remove()


def test_pod(pod):
    """Sandbox and container are scopes in the pod's slice, with the container's limits in files and unit."""
    p = pod().run()
    c = p.start("c", "sleep", "6000")
    where = f"/kubepods.slice/kubepods-burstable.slice/{p.cgroup}"
    unit = f"cri-containerd-{c.id}.scope"
    assert (cgroup_of(p.pid), cgroup_of(c.pid)) == (f"{where}/cri-containerd-{p.id}.scope", f"{where}/{unit}")
    assert files(f"{where}/{unit}", "memory.max", "cpu.max", "cpu.weight") == [str(64 * MiB), "50000 100000", "35"]
    assert show(unit, "MemoryMax", "CPUQuotaPerSecUSec", "CPUWeight", "Slice") == {
        "MemoryMax": str(64 * MiB), "CPUQuotaPerSecUSec": "500ms", "CPUWeight": "35", "Slice": p.cgroup}
    assert c.read("/proc/self/cgroup") == "0::/\n"


def test_resize(pod):
    """In place, and systemd doesn't take it back."""
    c = pod().run().start("c", "sleep", "6000")
    cgroup, pid = cgroup_of(c.pid), c.pid
    c.cri("UpdateContainerResources", container_id=c.id, linux={**BURSTABLE, "memory_limit_in_bytes": 96 * MiB, "cpu_quota": 70000, "cpu_shares": 512})
    run("systemctl", "daemon-reload")
    assert files(cgroup, "memory.max", "cpu.max", "cpu.weight") == [str(96 * MiB), "70000 100000", "59"]
    assert c.pid == pid


def test_unified(pod):
    """Memory QoS: what a kubelet writes with its v2 name."""
    c = pod().run().start("c", "sleep", "6000", resources={**BURSTABLE, "unified": {"memory.high": str(48 * MiB), "memory.min": str(8 * MiB)}})
    cgroup = cgroup_of(c.pid)
    assert files(cgroup, "memory.high", "memory.min") == [str(48 * MiB), str(8 * MiB)]
    run("systemctl", "daemon-reload")
    assert files(cgroup, "memory.high", "memory.min") == [str(48 * MiB), str(8 * MiB)]


def test_stats(pod):
    c = pod().run().start("c", "sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; echo done; sleep 6000").said("done")
    stats = c.cri("ContainerStats", container_id=c.id).stats
    assert stats.cpu.usage_core_nano_seconds.value > 0 and 20 * MiB < stats.memory.working_set_bytes.value < 64 * MiB


def test_out_of_memory(pod):
    """(What takes its container with it containerd 1.6 sees too late, with runc as well: systemd has removed the cgroup by then.)"""
    p = pod().run()
    script = f"sleep {scaled(0.5)}; tail -c 100m /dev/zero; echo $?; sleep {scaled(0.5)}; exit 5"  # containerd watches a moment after the start
    c = p.start("c", "sh", "-c", script, resources={**BURSTABLE, "memory_limit_in_bytes": 16 * MiB, "cpu_quota": 0}).ended()
    assert (c.status().exit_code, c.status().reason, "137" in c.log().split()) == (5, "OOMKilled", True)
    assert p.start("c", "sleep", "6000", attempt=1).state == "CONTAINER_RUNNING"


def test_huge_pages(pod):
    """A kubelet gives a limit for every size that the node has."""
    c = pod().run().start("c", "sleep", "6000")
    assert files(cgroup_of(c.pid), "hugetlb.2MB.max") == ["0"]


def test_privileged(pod):
    p = pod(security={"privileged": True}).run()
    c = p.start("c", "sleep", "6000", security={"privileged": True})
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert f"{(1 << last + 1) - 1:016x}" in c.sh("grep CapEff /proc/self/status")


def test_eviction(pod):
    """A busy pod goes at once, its scopes with it."""
    p = pod().run()
    c = p.start("c", "sh", "-c", "trap '' TERM; for i in $(seq 20); do (while :; do :; done) & done; wait", resources={**BURSTABLE, "cpu_quota": 20000})
    wait_for(lambda: len(files(cgroup_of(c.pid), "cgroup.procs")[0].split()) >= 20, 20, "the processes")
    c.stop().ended(137)
    assert not list(CGROUPS.rglob(f"cri-containerd-{c.id}.scope"))
