# SPDX-License-Identifier: Apache-2.0
"""containerd's CRI: pods as a kubelet makes them, from their start to their end."""
import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cri
import daemons
import images
import pytest
from harness import snapshot
from harness.clock import scaled
from harness.needs import needs
from harness.runtime import alive, is_v1, wait_for
from kubepods import BEST_EFFORT, BURSTABLE

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(cri.missing() is not None, reason=str(cri.missing()))]
MB = 1 << 20


@pytest.fixture(scope="module")
def engine(node):
    return node


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def limit(container):
    """Of memory."""
    return int(container.cgroup_file("memory", "memory.limit_in_bytes" if is_v1("memory") else "memory.max").read_text())


def processor(container):
    """Quota, period, and what the shares are on this layout."""
    if is_v1("cpu"):
        return tuple(int(container.cgroup_file("cpu", f).read_text()) for f in ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares"))
    return (*map(int, container.cgroup_file("cpu", "cpu.max").read_text().split()), int(container.cgroup_file("cpu", "cpu.weight").read_text()))


def runtime_state(program, cid):
    """What `state` says of it."""
    said = subprocess.run([program, "--root", "/run/containerd/runc/k8s.io", "state", cid], check=True, capture_output=True, timeout=scaled(20))
    return json.loads(said.stdout)


def processes_of(pod):
    """Every process in the pod's cgroups."""
    top = pod.cgroup.lstrip("/")
    return sorted({int(p) for h in snapshot.hierarchies() for f in (h / top).rglob("cgroup.procs") for p in f.read_text().split()})


def test_two_containers(pod):
    """They share what a pod shares and nothing else, and one reaches the other. Each is in a cgroup of its own in the pod's."""
    p = pod().run()
    web, other = p.start("web", "httpd", "-f", "-h", "/www"), p.start("other", "sleep", "600")
    pids = [web.pid, other.pid, p.pid]
    for kind in ("net", "ipc", "uts"):
        assert {namespace(n, kind) for n in pids} == {namespace(web.pid, kind)} != {namespace(os.getpid(), kind)}
    for kind in ("pid", "mnt"):
        assert len({namespace(n, kind) for n in (*pids, os.getpid())}) == 4
    assert other.exec("wget", "-q", "-O", "-", "http://127.0.0.1/") == images.PAGE == daemons.fetch(f"http://{p.ip}/")
    web.sh("echo word >/dev/shm/shared")
    assert other.read("/dev/shm/shared") == "word\n"
    assert {web.exec("hostname"), other.exec("hostname")} == {f"{p.name}\n"}
    assert "sleep" not in web.exec("ps") and "httpd" not in other.exec("ps")
    for container in (web, other):
        assert container.cgroup_file("pids", "cgroup.procs").read_text().split() == [str(container.pid)]
    assert p.status().state == 0
    web.stop()
    assert (web.state, other.state) == ("CONTAINER_EXITED", "CONTAINER_RUNNING")


def test_static_pod(pod, program):
    """From a file on the node: what a kubelet mounts, sets and reads; what reaches the runtime."""
    p = pod(annotations={"kubernetes.io/config.source": "file", "kubernetes.io/config.hash": "0123abcd"}, qos="burstable")
    token = p.top / "token"
    token.mkdir()
    (token / "token").write_text("secret\n")
    p.run()
    c = p.start("server", "sh", "-c", "echo out; echo err >&2; echo done >/dev/termination-log; sleep 600",
                volumes=[{"container_path": "/var/run/secrets/kubernetes.io/serviceaccount", "host_path": str(token), "readonly": True}])
    c.said("out").said("err")
    assert c.read("/var/run/secrets/kubernetes.io/serviceaccount/token") == "secret\n"
    assert "Read-only" in c.exec("touch", "/var/run/secrets/kubernetes.io/serviceaccount/x", rc=1)
    assert c.read("/etc/hosts") == "127.0.0.1 localhost\n"
    assert "options ndots:5" in c.read("/etc/resolv.conf")
    assert c.sh("echo $KUBERNETES_SERVICE_HOST") == "10.96.0.1\n"
    wait_for(lambda: c.last_words() == "done\n", 5, "the message")
    assert dict(p.status().annotations) == p.config["annotations"] and dict(p.status().labels) == p.labels
    assert c.status().labels["io.kubernetes.container.name"] == "server"
    assert f"{p.cgroup}/{c.id}" in Path(f"/proc/{c.pid}/cgroup").read_text()
    assert Path(f"/proc/{c.pid}/oom_score_adj").read_text() == "990\n"
    assert (limit(c), processor(c)[:2]) == (64 * MB, (50000, 100000))
    state = runtime_state(program, c.id)
    assert state["annotations"]["io.kubernetes.cri.container-name"] == "server" and state["annotations"]["io.kubernetes.cri.sandbox-id"] == p.id


def test_shared_process_namespace(pod):
    """shareProcessNamespace: the sandbox's program is process 1 of all; a container ends with all of its processes, the others stay."""
    p = pod(namespaces={"pid": "POD"}).run()
    a = p.start("a", "sh", "-c", "sleep 601 & sleep 602 & wait")
    b = p.start("b", "sleep", "603")
    assert namespace(a.pid, "pid") == namespace(b.pid, "pid") == namespace(p.pid, "pid")
    wait_for(lambda: "sleep 602" in b.exec("ps"), 5, "the other container's processes")
    assert "/pause" in b.read("/proc/1/cmdline")
    assert "603" in a.exec("ps")
    a.stop()
    assert not any(word in b.exec("ps") for word in ("sleep 601", "sleep 602"))
    assert (a.state, b.state) == ("CONTAINER_EXITED", "CONTAINER_RUNNING")
    # an orphan is collected by process 1
    b.sh("(sleep 0.1 &) ; true")
    wait_for(lambda: "sleep 0.1" not in b.exec("ps") and "Z" not in b.exec("ps", "-o", "stat"), 5, "the orphan to go", lambda: b.exec("ps"))


def test_probes(pod):
    """Commands that a kubelet runs: exit code, output, an end by force when they take too long; nothing is left of any."""
    p = pod().run()
    c = p.start("c", "sleep", "600")
    assert c.call("sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")
    assert c.exec("cat", "/nope", rc=1) == "cat: can't open '/nope': No such file or directory\n"
    text = c.cri.refused("ExecSync", container_id=c.id, cmd=["/nope"], timeout=5)
    assert "no such file or directory" in text.lower()
    text = c.cri.refused("ExecSync", container_id=c.id, cmd=["sleep", "604"], timeout=1)
    assert "timeout 1s exceeded" in text
    assert "sleep 604" not in c.exec("ps")
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda n: c.call("sh", "-c", f"exit {n}")[0] == n, range(20))) == {True}
    wait_for(lambda: c.cgroup_file("pids", "cgroup.procs").read_text().split() == [str(c.pid)], 5, "nothing to be left of the commands")


@needs("the controller memory")
def test_resize(pod):
    """In place: the files of the cgroup say so, the container isn't restarted; what can't be is refused and all stays as it was."""
    c = pod().run().start("c", "sleep", "600")
    pid = c.pid

    def resize(**resources):
        c.cri("UpdateContainerResources", container_id=c.id, linux=resources)
    for memory, quota, shares in ((128 * MB, 150000, 1024), (32 * MB, 20000, 102), (96 * MB, 40000, 204)):
        before = processor(c)[2]
        resize(memory_limit_in_bytes=memory, cpu_period=100000, cpu_quota=quota, cpu_shares=shares)
        assert (limit(c), processor(c)[:2]) == (memory, (quota, 100000))
        assert processor(c)[2] == shares if is_v1("cpu") else processor(c)[2] != before
    resize(cpuset_cpus="0")
    assert c.cgroup_file("cpuset", "cpuset.cpus").read_text() == "0\n"
    assert (limit(c), processor(c)[:2]) == (96 * MB, (40000, 100000))
    c.sh("dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null")
    if is_v1("memory"):
        assert c.cri.refused("UpdateContainerResources", container_id=c.id, linux={"memory_limit_in_bytes": 8 * MB})
        assert limit(c) == 96 * MB
    assert (c.pid, c.state) == (pid, "CONTAINER_RUNNING")


def test_resize_before_start(pod):
    """A kubelet resizes what it has only created, too."""
    c = pod().run().create("c", "sleep", "600")
    c.cri("UpdateContainerResources", container_id=c.id, linux={"cpu_period": 100000, "cpu_quota": 30000})
    assert processor(c.start())[:2] == (30000, 100000)


@needs("the controller memory")
def test_stats(pod):
    """What the kubelet's metrics are made from: the files of the cgroup that the runtime made."""
    c = pod().run().start("c", "sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; echo done; sleep 600")
    c.said("done")
    stats = c.cri("ContainerStats", container_id=c.id).stats
    used = int(c.cgroup_file("cpuacct", "cpuacct.usage").read_text()) if is_v1("cpuacct") else None
    assert 0 < stats.cpu.usage_core_nano_seconds.value <= (used or 1 << 62)
    assert 20 * MB < stats.memory.working_set_bytes.value < 64 * MB


def test_host_network(pod):
    """hostNetwork: the node's network, and the node's name."""
    p = pod(namespaces={"network": "NODE"}, hostname="").run()
    c = p.start("c", "sleep", "600")
    assert namespace(c.pid, "net") == namespace(p.pid, "net") == namespace(os.getpid(), "net")
    assert cri.BRIDGE in c.exec("ip", "link")
    assert c.exec("hostname") == f"{os.uname().nodename}\n"
    assert "Read-only" in c.sh("echo 1 >/proc/sys/net/ipv4/ip_forward", rc=1)


def test_host_pid_and_ipc(pod):
    """hostPID, hostIPC: the node's processes are seen; the container ends with its own and no others."""
    p = pod(namespaces={"pid": "NODE", "ipc": "NODE"}).run()
    c = p.start("c", "sh", "-c", "sleep 611 & sleep 612")
    for kind in ("pid", "ipc"):
        assert namespace(c.pid, kind) == namespace(os.getpid(), kind)
    assert "pytest" in c.exec("ps")
    inside = processes_of(p)
    assert len(inside) >= 3
    c.stop()
    assert not [n for n in inside if alive(n) and n != p.pid]
    assert alive(os.getpid())


def test_init_containers(pod):
    """One after the other, each to its end, before the pod's own starts; they share a volume."""
    p = pod().run()
    shared = p.top / "empty-dir"
    shared.mkdir()
    volume = [{"container_path": "/data", "host_path": str(shared)}]
    for n in (1, 2):
        c = p.start(f"init{n}", "sh", "-c", f"echo {n} >>/data/order; exit 0", volumes=volume).ended(0)
        assert c.status().reason == "Completed"
        assert c.status().started_at and c.status().finished_at
    assert p.output("main", "cat", "/data/order", volumes=volume) == "1\n2\n"
    failed = p.start("init3", "sh", "-c", "exit 5", volumes=volume).ended(5)
    assert failed.status().reason == "Error"


def test_debug_container(pod):
    """An ephemeral container looks into one that runs: its processes, through them its files; it may trace them."""
    p = pod().run()
    target = p.start("target", "sh", "-c", "echo inside >/tmp/file; sleep 613")
    wait_for(lambda: target.call("test", "-s", "/tmp/file")[0] == 0, 5, "the file")
    debug = p.start("debugger", "sleep", "600", resources={},
                    security={"namespace_options": {"pid": "TARGET", "target_id": target.id}, "capabilities": {"add_capabilities": ["SYS_PTRACE"]}})
    assert namespace(debug.pid, "pid") == namespace(target.pid, "pid") != namespace(p.pid, "pid")
    assert "sleep 613" in debug.exec("ps")
    assert debug.read("/proc/1/root/tmp/file") == "inside\n"
    assert debug.call("test", "-e", "/tmp/file")[0] == 1
    # the target's end is the debugger's: its process 1 is gone
    target.stop()
    debug.ended(137)


@needs("the controller memory")
def test_out_of_memory(pod):
    """The kubelet reads OOMKilled and 137. (containerd watches a container's cgroup once it is started: what takes too much at once isn't seen.)"""
    p = pod().run()
    c = p.start("c", "sh", "-c", "sleep 1; exec tail -c 100m /dev/zero", resources={**BURSTABLE, "memory_limit_in_bytes": 16 * MB, "cpu_quota": 0}).ended()
    assert (c.status().exit_code, c.status().reason) == (137, "OOMKilled")
    again = p.start("c", "sleep", "600", attempt=1)
    assert again.state == "CONTAINER_RUNNING"


def test_eviction(pod):
    """A pod that is busy is taken away at once: nothing is left of it (what the fixtures compare)."""
    p = pod().run()
    script = "trap '' TERM; for i in $(seq 20); do (trap '' TERM; while :; do :; done) & done; wait"
    busy = [p.start(f"c{n}", "sh", "-c", script, resources=BEST_EFFORT) for n in range(2)]
    wait_for(lambda: len(processes_of(p)) >= 40, 20, "the processes to be there", lambda: processes_of(p))
    there = processes_of(p)
    for c in busy:
        c.stop()
        assert c.status().exit_code == 137
    assert [n for n in there if alive(n)] == [p.pid]


def test_grace(pod):
    """SIGTERM, time to end, SIGKILL."""
    p = pod().run()
    ends = p.start("ends", "sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.1; done").said("ready")
    stays = p.start("stays", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done").said("ready")
    ends.stop(10).ended(7)
    assert "bye" in ends.log()
    stays.stop(1).ended(137)
    stays.stop(1)  # again: nothing to do, no error


def test_crash_and_restart(pod):
    """What a kubelet does after a crash: the next attempt in the same sandbox; a new sandbox when that has died."""
    p = pod().run()
    crashed = p.start("c", "sh", "-c", "sh -c 'kill -SEGV $$'; exit $?").ended(139)
    again = p.start("c", "sleep", "600", attempt=1)
    assert again.state == "CONTAINER_RUNNING" and crashed.state == "CONTAINER_EXITED"
    os.kill(p.pid, signal.SIGKILL)
    wait_for(lambda: p.status().state == 1, 10, "the sandbox not to be ready")
    if p.cri.version >= (2, 0):
        end_forgotten_shim(p)


def end_forgotten_shim(p):
    """containerd 2.1.9 leaves the shim of a sandbox that was killed (with runc, too)."""
    sandbox = p.id
    p.remove()
    for shim in daemons.processes_with("containerd-shim-runc-v2", sandbox):
        daemons.kill_and_wait(shim)


def test_start_that_fails(pod):
    """The text that `kubectl describe` shows; nothing is left in the runtime."""
    p = pod().run()
    cases = (("/nope", "no such file or directory"), ("nope", "not found in $path"), ("/etc/passwd", "permission denied"))
    for n, (command, text) in enumerate(cases):
        c = p.create("c", command, attempt=n)
        assert text in c.cri.refused("StartContainer", container_id=c.id).lower()
        assert (c.state, c.status().exit_code, c.status().reason) == ("CONTAINER_EXITED", 128, "StartError")
        assert text in c.status().message.lower()
    assert processes_of(p) == [p.pid]


def test_terminal(pod):
    """tty: true, without anybody attached."""
    c = pod().run().start("c", "sh", "-c", "tty; stty -a | head -n 1; sleep 600", tty=True, stdin=True)
    c.said("/dev/pts/0")


@pytest.mark.long
def test_daemon_restarts(pod, host):
    """containerd is killed: pods run on, and are found again with their exit codes."""
    p = pod().run()
    stays, ends = p.start("stays", "sleep", "600"), p.start("ends", "sh", "-c", "echo ready; sleep 1; exit 9").said("ready")
    pids = [stays.pid, p.pid]
    before = snapshot.processes()
    p.cri.daemon.kill()
    time.sleep(1.5)  # meanwhile one ends: its shim keeps the code
    p.cri.daemon.start()
    host["processes"] = {q for q in host["processes"] if q[2] != "containerd"} | {q for q in snapshot.processes() - before if q[2] == "containerd"}
    wait_for(p.cri.answers, 20, "the CRI to answer")
    assert [stays.pid, p.pid] == pids and all(map(alive, pids))
    ends.ended(9 if p.cri.version < (2, 0) else 255)  # 255: containerd 2.1.9 says Unknown, with runc, too
    assert stays.exec("echo", "here") == "here\n"
    assert stays.state == "CONTAINER_RUNNING" and p.status().state == 0


@pytest.mark.long
@pytest.mark.timeout(400)
def test_many_pods_at_once(pod):
    """Twenty pods of two containers, started and removed by twenty clients."""
    pods = [pod(qos="besteffort") for _ in range(20)]

    def life(p):
        p.run()
        c = p.start("c", "sleep", "600", resources=BEST_EFFORT)
        said = p.output("d", "echo", p.name, resources=BEST_EFFORT)
        return said == f"{p.name}\n" and c.state == "CONTAINER_RUNNING"
    with ThreadPoolExecutor(len(pods)) as pool:
        assert all(pool.map(life, pods))
        assert len({p.ip for p in pods}) == len(pods)
        list(pool.map(lambda p: p.remove(), pods))
