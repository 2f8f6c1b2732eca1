# SPDX-License-Identifier: Apache-2.0
"""Docker Engine: run, exec, ports, volumes, limits, the life of a container."""
import re

import pytest
from conftest import needs
from daemons import HOST_ADDRESS, fetch
from dockers import IMAGE, PROGRAMS, run_options
from harness.runtime import cgroup_dir, is_v1, wait_for
from images import PAGE

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(needs(*PROGRAMS) is not None, reason=str(needs(*PROGRAMS)))]
COUNT = "i=0; while [ $i -lt 600 ]; do echo tick $i; i=$((i+1)); sleep 1; done"


@pytest.fixture(scope="module")
def engine(dockerd):
    return dockerd.client


@pytest.fixture
def run(docker):
    """docker run --rm --network none OPTIONS IMAGE ARGS."""
    def call(*args, options=(), **how):
        return docker(*run_options(*options), IMAGE, *args, **how)
    return call


@pytest.fixture
def background(docker):
    """A container in the background; its name."""
    def call(*args, name="d1", options=("--network", "none")):
        docker("run", "-d", "--name", name, *options, IMAGE, *args)
        return name
    return call


def inspect(docker, name, form):
    return docker("inspect", "-f", form, name).strip()


def test_it_is_our_runtime(docker, program, background):
    assert docker("info", "-f", "{{.DefaultRuntime}} {{(index .Runtimes \"tested\").Path}}").strip() == f"tested {program}"
    assert inspect(docker, background("sleep", "600"), "{{.HostConfig.Runtime}} {{.State.Status}}") == "tested running"


def test_run(run):
    assert run("echo", "hello") == "hello\n"


@pytest.mark.parametrize("code", [0, 7, 42, 255])
def test_exit_code(run, code):
    run("sh", "-c", f"exit {code}", rc=code)


def test_killed_by_a_signal(run):
    run("sh", "-c", "kill -9 $$", options=["--init"], rc=137)


def test_stdin(run):
    assert run("cat", options=["-i"], text="typed\n") == "typed\n"


def test_what_is_asked_for(run):
    out = run("sh", "-c", "echo $V; hostname; pwd; id; cat /proc/sys/net/ipv4/ip_default_ttl; ulimit -n",
              options=["-e", "V=w x", "--hostname", "hh", "-w", "/var/log", "-u", "user", "--group-add", "7", "--sysctl", "net.ipv4.ip_default_ttl=9",
                       "--ulimit", "nofile=64:64"]).splitlines()
    assert out[:3] == ["w x", "hh", "/var/log"] and out[4:] == ["9", "64"]
    assert re.search(r"uid=1000\(user\) gid=1000\(user\) groups=.*\b7\b", out[3])


def has_size(terminal, size):
    """The shell on it sees that size, soon."""
    rows, columns = map(int, size.split())
    terminal.type(f"until stty size 2>&1 | grep '{size}'; do sleep 0.2; done; echo seen$(({rows}+{columns}))\r").expect(f"seen{rows + columns}")


def test_terminal(docker):
    """(The client has its terminal in raw mode: without the \\r the next line would begin where this one ends.)"""
    with docker.terminal(*run_options("-it"), IMAGE, "sh") as t:
        t.expect("#").type("tty; echo x$((40+2))x\r").expect("x42x\r\n")
        assert b"/dev/pts/0" in t.seen or b"/dev/console" in t.seen
        has_size(t, "24 80")  # Docker sets it when the shell runs already
        t.type("exit 5\r")
        assert t.end() == 5


def test_exec_on_a_terminal(docker, background):
    name = background("sh", options=["-dit", "--network", "none"])
    with docker.terminal("exec", "-it", name, "sh") as t:
        t.expect("#").type("tty; echo y$((40+2))y\r").expect("y42y\r\n")
        has_size(t, "24 80")  # the client looks at changes from now on
        t.resize(33, 77)
        has_size(t, "33 77")
        t.type("exit 6\r")
        assert t.end() == 6
        assert b"/dev/pts/" in t.seen


def test_attach(docker, background):
    name = background("sh", options=["-it", "--network", "none"])
    with docker.terminal("attach", name) as t:
        t.type("\r").expect("#").type("echo z$((40+2))z; exit 3\r").expect("z42z")
        assert t.end() == 3
    assert inspect(docker, name, "{{.State.ExitCode}}") == "3"


def test_ports_are_answered(docker, background):
    """From the host through the proxy, from another machine through the translation of addresses."""
    background("httpd", "-f", "-h", "/www", options=["-p", "127.0.0.1:8081:80", "-p", f"{HOST_ADDRESS}:8082:80"])
    wait_for(lambda: fetch("http://127.0.0.1:8081/") == PAGE, 10, "the port on loopback")
    wait_for(lambda: fetch(f"http://{HOST_ADDRESS}:8082/", outside=True) == PAGE, 10, "the port from outside")
    assert "8082" in docker("port", "d1")
    docker("kill", "d1")
    assert fetch(f"http://{HOST_ADDRESS}:8082/", outside=True) == ""


def test_networks(docker, background):
    """A network with names, and a container that is connected later."""
    docker("network", "create", "--subnet", "10.98.0.0/24", "own")
    try:
        background("httpd", "-f", "-h", "/www", name="srv", options=["--network", "own"])
        docker.until(PAGE, "run", "--rm", "--network", "own", IMAGE, "wget", "-q", "-O", "-", "http://srv/")
        background("sleep", "600", name="later", options=[])
        docker("network", "connect", "own", "later")
        assert "10.98.0." in docker("exec", "later", "ip", "addr", "show", "eth1")
        docker("network", "disconnect", "own", "later")
        docker("rm", "-f", "srv", "later")
        assert HOST_ADDRESS in docker("run", "--rm", "--network", "host", IMAGE, "ip", "addr")
    finally:
        docker("rm", "-f", "srv", "later", rc=None)
        docker("network", "rm", "own")


def test_volumes(docker, run, tmp_path):
    (tmp_path / "f").write_text("data\n")
    assert run("sh", "-c", "cat /v/f; echo w >/v/w", options=["-v", f"{tmp_path}:/v"]) == "data\n"
    assert (tmp_path / "w").read_text() == "w\n"
    assert "Read-only" in run("touch", "/v/z", options=["-v", f"{tmp_path}:/v:ro"], rc=1)
    assert "data" in run("cat", "/etc/one", options=["-v", f"{tmp_path}/f:/etc/one:ro"])
    run("sh", "-c", "echo k >/v/k", options=["-v", "named:/v"])
    assert run("cat", "/v/k", options=["-v", "named:/v"]) == "k\n"
    assert docker("volume", "ls", "-q").split() == ["named"]


def test_file_systems(run):
    out = run("sh", "-c", "grep -E ' /(t|dev/shm) ' /proc/mounts; touch /x 2>&1; ls -l /dev/mine",
              options=["--read-only", "--tmpfs", "/t:size=1m", "--shm-size", "2m", "--device", "/dev/zero:/dev/mine:r"])
    assert "size=1024k" in out and "size=2048k" in out
    assert "Read-only file system" in out
    assert re.search(r"^crw.* 1, +5 ", out, re.M)


def test_security(run):
    out = run("grep", "-E", "CapEff|Seccomp:|NoNewPrivs", "/proc/self/status",
              options=["--cap-drop", "all", "--cap-add", "NET_ADMIN", "--security-opt", "no-new-privileges"])
    assert re.search(r"CapEff:\s0+1000$", out, re.M) and re.search(r"Seccomp:\s2", out) and re.search(r"NoNewPrivs:\s1", out)
    out = run("grep", "-E", "Seccomp:|NoNewPrivs", "/proc/self/status", options=["--security-opt", "seccomp=unconfined"])
    assert re.search(r"Seccomp:\s0", out) and re.search(r"NoNewPrivs:\s0", out)


def test_namespaces(docker, run, background):
    background("sleep", "600")
    assert "sleep 600" in docker("run", "--rm", "--pid", "container:d1", "--network", "container:d1", "--ipc", "host", IMAGE, "ps")
    assert "dockerd" in run("ps", options=["--pid", "host"])
    assert run("cat", "/proc/1/comm", options=["--init"]).strip() in ("docker-init", "tini", "catatonit")
    assert all(line.endswith(":/") for line in run("cat", "/proc/self/cgroup", options=["--cgroupns", "private"]).split())


LIMITS = {  # what docker is told → the file, what it must say
    "memory": ("memory", "memory.limit_in_bytes", "memory.max"),
    "cpu": ("cpu", "cpu.cfs_quota_us", "cpu.max"),
    "pids": ("pids", "pids.max", "pids.max"),
}


def limits(docker, name, parent):
    cid = inspect(docker, name, "{{.Id}}")
    found = {}
    for what, (controller, v1, v2) in LIMITS.items():
        place = cgroup_dir(controller) / parent.lstrip("/") / cid
        found[what] = (place / (v1 if is_v1(controller) else v2)).read_text().split()[0]
    return found


def test_limits_and_update(docker, background, parent_cgroup):
    """Read back from the kernel, not from the engine."""
    name = background("sleep", "600", options=["--network", "none", "-m", "64m", "--cpus", "0.5", "--pids-limit", "55"])
    assert limits(docker, name, parent_cgroup) == {"memory": str(64 << 20), "cpu": "50000", "pids": "55"}
    docker("update", "-m", "128m", "--memory-swap", "256m", "--cpus", "1", "--pids-limit", "66", "--restart", "no", name)
    assert limits(docker, name, parent_cgroup) == {"memory": str(128 << 20), "cpu": "100000", "pids": "66"}


def test_stats(docker, background):
    """Of a running container, and of one that waits; what the memory is needs a layout that containerd reads whole."""
    name = background("sh", "-c", "while :; do :; done")
    docker.until("d1 ", "stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.PIDs}}", name)


def test_out_of_memory(docker):
    docker("run", "--name", "oom", "--network", "none", "-m", "16m", IMAGE, "tail", "-c", "100m", "/dev/zero", rc=137)


def test_exec(docker, background):
    background("sleep", "600", options=["--network", "none", "-e", "K=V"])
    assert docker("exec", "d1", "sh", "-c", "echo $K") == "V\n"
    docker("exec", "d1", "sh", "-c", "exit 9", rc=9)
    docker("exec", "d1", "nope", rc=None)
    assert docker("exec", "-u", "user", "-w", "/tmp", "-e", "Z=Z", "d1", "sh", "-c", "echo $(id -u) $(pwd) $Z") == "1000 /tmp Z\n"
    assert docker("exec", "-i", "d1", "cat", text="through\n") == "through\n"
    docker("exec", "-d", "d1", "sh", "-c", "echo x >/tmp/behind; sleep 300")
    docker.until("x\n", "exec", "d1", "cat", "/tmp/behind")
    assert "sleep 300" in docker("top", "d1")


def test_logs_and_copies(docker, background, tmp_path):
    background("sh", "-c", COUNT)
    docker.until("tick 1\n", "logs", "d1")
    (tmp_path / "f").write_text("payload\n")
    docker("cp", tmp_path / "f", "d1:/tmp/copy")
    assert docker("exec", "d1", "cat", "/tmp/copy") == "payload\n"
    assert "/tmp/copy" in docker("diff", "d1")


def test_pause(docker, background):
    """A frozen container counts no further."""
    background("sh", "-c", COUNT)
    docker.until("tick 1\n", "logs", "d1")
    docker("pause", "d1")
    assert inspect(docker, "d1", "{{.State.Status}}") == "paused"
    said = docker("logs", "d1")
    assert docker("exec", "d1", "true", rc=1)
    assert docker("logs", "d1") == said
    docker("unpause", "d1")
    assert inspect(docker, "d1", "{{.State.Status}}") == "running"
    wait_for(lambda: docker("logs", "d1") != said, 10, "it to count again")


def test_life(docker, background):
    """restart, stop, start, kill, remove; the state that each leaves."""
    background("sh", "-c", COUNT)
    assert docker("ps", "--format", "{{.Names}}").split() == ["d1"]
    docker("restart", "-t", "0", "d1")
    docker("stop", "-t", "0", "d1")
    assert inspect(docker, "d1", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    docker("start", "d1")
    docker("kill", "-s", "USR1", "d1")  # the shell dies of it only if it is not init: it is, and stays
    docker("kill", "d1")
    assert docker("wait", "d1").strip() == "137"
    docker("rm", "d1")
    assert docker("ps", "-aq") == ""


def test_create_then_start(docker):
    docker("create", "--name", "c1", "--network", "none", IMAGE, "echo", "later")
    assert docker("start", "-a", "c1") == "later\n"
    docker("rm", "c1")


def test_remove_by_force(docker, background):
    docker("rm", "-f", background("sleep", "600"))


def test_restart_policies(docker, background):
    background("sh", "-c", "exit 3", name="fails", options=["--network", "none", "--restart", "on-failure:2"])
    background("sleep", "600", name="always", options=["--network", "none", "--restart", "always"])
    pid = inspect(docker, "always", "{{.State.Pid}}")
    docker("exec", "--privileged", "always", "true", rc=None)
    docker("run", "--rm", "--network", "none", "--pid", "host", IMAGE, "kill", "-9", pid)
    for name, expected in (("fails", "2 exited 3"), ("always", "1 running 0")):
        wait_for(lambda n=name, x=expected: inspect(docker, n, "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}") == x, 30, f"{name}: {expected}",
                 lambda n=name: inspect(docker, n, "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}"))


def test_health(docker, background):
    background("sleep", "600", options=["--network", "none", "--health-cmd", "test -f /tmp/healthy", "--health-interval", "1s", "--health-retries", "1"])
    wait_for(lambda: inspect(docker, "d1", "{{.State.Health.Status}}") == "unhealthy", 30, "it to be unhealthy")
    docker("exec", "d1", "touch", "/tmp/healthy")
    wait_for(lambda: inspect(docker, "d1", "{{.State.Health.Status}}") == "healthy", 30, "it to be healthy")


def test_checkpoint_is_refused(docker, background):
    out = docker("checkpoint", "create", background("sleep", "600"), "cp1", rc=1)
    assert "checkpoint" in out
    assert inspect(docker, "d1", "{{.State.Status}}") == "running"
