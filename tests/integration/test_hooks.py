# SPDX-License-Identifier: Apache-2.0
"""The six lists: order, where they run, the state on their standard input, failure, time limit, environment."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from harness import snapshot
from harness.clock import scaled
from harness.fixtures import BY_ROOT_AND_USER
from harness.runtime import wait_for
from harness.snapshot import process

HOST_SIDE = ("prestart", "createRuntime", "poststart", "poststop")
LISTS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
STATUS = {"prestart": "created", "createRuntime": "created", "createContainer": "created", "startContainer": "created",
          "poststart": "running", "poststop": "stopped"}


@pytest.fixture
def hook(everybodys):
    """hook(script, …) → an entry that runs the shell script on the host. $OUT is a file that collects the lines."""
    def make(script, **more):
        return {"path": "/bin/busybox", "args": ["busybox", "sh", "-c", f"OUT={everybodys}/hooks.log; {script}"], **more}
    make.log = everybodys / "hooks.log"
    return make


def inside(script, **more):
    """A hook whose program comes from the image (startContainer); it writes to /hooks.log of the container."""
    return {"path": "/bin/busybox", "args": ["busybox", "sh", "-c", script], **more}


def note(hook, name):
    return hook(f"echo {name} >>$OUT")


@pytest.mark.hull_only(reason="runc 1.1 runs poststart before start returns to the program, poststop once")
def test_order(container, hook, hull):
    hooks = {n: [note(hook, f"{n}-{i}") for i in (1, 2)] for n in LISTS if n != "startContainer"}
    hooks["startContainer"] = [inside("echo startContainer >>/hooks.log")]
    c = container(hooks=hooks, args=["/bin/sh", "-c", "echo program >>/hooks.log"])
    c.create()
    first = [f"{n}-{i}" for n in ("prestart", "createRuntime", "createContainer") for i in (1, 2)]
    assert hook.log.read_text().split() == first
    assert not (c.bundle.rootfs / "hooks.log").exists()
    c.start()
    assert hook.log.read_text().split() == [*first, "poststart-1", "poststart-2"]
    c.wait("stopped")
    assert (c.bundle.rootfs / "hooks.log").read_text().split() == ["startContainer", "program"]
    c.delete()
    assert hook.log.read_text().split() == [*first, "poststart-1", "poststart-2", "poststop-1", "poststop-2"]


@pytest.mark.parametrize("name", LISTS)
def test_state_on_standard_input(container, hook, name):
    entry = inside("cat >/state.json; echo $$ >/pid") if name == "startContainer" else hook(f"cat >{hook.log}.state")
    c = container(hooks={name: [entry]}, args=["/bin/sleep", "100"], annotations={"a": "b"})
    c.create()
    init = c.pid
    c.start()
    if name == "startContainer":
        wait_for((c.bundle.rootfs / "state.json").exists, 5, "the hook's output")
    c.kill("KILL")
    c.wait("stopped")
    c.delete()
    where = c.bundle.rootfs / "state.json" if name == "startContainer" else hook.log.with_name("hooks.log.state")
    state = json.loads(where.read_text())
    assert state["id"] == c.id
    assert state["bundle"] == str(c.bundle.path)
    assert state["annotations"]["a"] == "b"
    assert re.fullmatch(r"1\.\d+\.\d+(-\S+)?", state["ociVersion"])
    if c.runtime.is_hull:
        assert state["status"] == STATUS[name]
    if name in ("prestart", "createRuntime", "poststart"):
        assert state["pid"] == init, "as the runtime sees it"
    if name in ("createContainer", "startContainer") and c.runtime.is_hull:
        assert state["pid"] == 1, "as the container sees it"
    if name == "poststop":
        assert not state.get("pid")


@pytest.mark.parametrize("name,same", [("prestart", True), ("createRuntime", True), ("poststart", True), ("poststop", True),
                                       ("createContainer", False)])
def test_namespaces_they_run_in(container, hook, name, same):
    c = container(hooks={name: [hook("for n in pid net uts ipc mnt; do readlink /proc/self/ns/$n; done >>$OUT")]},
                  args=["/bin/true"])
    c.run()
    got = hook.log.read_text().split()
    own = [os.readlink(f"/proc/self/ns/{n}") for n in ("pid", "net", "uts", "ipc", "mnt")]
    assert (got == own) if same else all(a != b for a, b in zip(got[1:4], own[1:4])), got


def test_create_hooks_find_the_tree_before_pivot(container, hook):
    """GPU toolkits change the root file system at its own path in the container's mount namespace."""
    c = container(args=["/bin/ls", "/injected"])
    root = c.bundle.rootfs
    c.rewrite(hooks={"createContainer": [hook(f"mkdir {root}/injected && mount -t tmpfs x {root}/injected && touch {root}/injected/f "
                                              f"&& grep -q ' {root}/proc ' /proc/self/mountinfo && echo proc >>$OUT")]})
    assert c.run().out == "f\n"
    assert hook.log.read_text() == "proc\n"


def test_pid_of_create_runtime_hook_can_be_entered(container, hook):
    """CNI plugins take /proc/PID/ns/net of the state's pid."""
    c = container(hooks={"createRuntime": [hook("pid=$(grep -o '\"pid\": *[0-9]*' | grep -o '[0-9]*$'); readlink /proc/$pid/ns/net "
                                                ">>$OUT")]}, args=["/bin/readlink", "/proc/self/ns/net"])
    assert c.run().out == hook.log.read_text()


@pytest.mark.parametrize("name", ["prestart", "createRuntime", "createContainer"])
def test_failing_hook_of_create(container, hook, hull, name):
    c = container(hooks={name: [hook("echo complaint >&2; exit 3"), note(hook, "second")], "poststop": [note(hook, "poststop")]})
    c.fails("create", match=rf".*hooks\.{name}\[0\].*3.*complaint.*|.*3.*complaint.*hooks\.{name}\[0\].*")
    lines = hook.log.read_text().split() if hook.log.exists() else []
    assert "second" not in lines
    if hull.is_hull:
        assert lines == ["poststop"], "runtime.md: a failing hook goes on at step 12, poststop"


@pytest.mark.hull_only(reason="runc 1.1's start doesn't report it")
def test_failing_start_container_hook(container, hook, hull):
    c = container(hooks={"startContainer": [inside("exit 3")], "poststop": [note(hook, "poststop")]},
                  args=["/bin/touch", "/ran"])
    c.create()
    hull.fails("start", c.id, match=rf"start {c.id}: hook /bin/busybox: exit status 3 \(hooks\.startContainer\[0\]\)")
    assert not (c.bundle.rootfs / "ran").exists()
    c.wait("stopped")
    c.delete()
    assert hook.log.read_text().split() == ["poststop"]


@pytest.mark.hull_only(reason="Debian's peers only log it")
def test_failing_poststart_hook_stops_the_container(container, hook, hull):
    c = container(hooks={"poststart": [hook("exit 3")], "poststop": [note(hook, "poststop")]}, args=["/bin/sleep", "100"])
    c.create()
    pid = c.pid
    hull.fails("start", c.id, match=rf"start {c.id}: hook /bin/busybox: exit status 3 \(hooks\.poststart\[0\]\)")
    wait_for(lambda: process(pid) is None or process(pid)[3] == "Z", 3, "init to be killed")
    c.delete("--force")
    assert hook.log.read_text().split() == ["poststop"]


@pytest.mark.hull_only(reason="Debian's peers only log it")
def test_failing_poststart_hook_stops_it_in_a_cgroup_of_others(container, hook, hull, parent_cgroup):
    """A cgroup that was there before carries no token: nobody is killed by it, but the container must end all the same."""
    places = [hierarchy / snapshot.TAG / "adopted" for hierarchy in snapshot.hierarchies()]
    for place in places:
        place.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (place / name).exists():
                (place / name).write_text((place.parent / name).read_text())
    c = container(hooks={"poststart": [hook("exit 3")]}, args=["/bin/sleep", "100"],
                  linux={"cgroupsPath": f"{parent_cgroup}/adopted"})
    c.create()
    try:
        hull.fails("start", c.id, match=rf"start {c.id}: hook /bin/busybox: exit status 3 \(hooks\.poststart\[0\]\)")
        assert c.status() == "stopped"
    finally:
        c.delete("--force")
        for place in places:
            place.rmdir()


@pytest.mark.hull_only(reason="runc 1.1 gives up after the first")
def test_failing_poststop_hook_is_a_warning(container, hook, hull):
    c = container(hooks={"poststop": [hook("exit 3"), note(hook, "second")]}, args=["/bin/true"])
    c.detach()
    c.wait("stopped")
    assert c.delete().rc == 0
    assert hook.log.read_text().split() == ["second"]
    assert hull.ids() == []


@pytest.mark.hull_only(reason="runc 1.1 waits for the hook's children")
@pytest.mark.parametrize("name", LISTS)
@BY_ROOT_AND_USER
def test_time_limit(container, hook, name):
    script = "sleep 1000; echo late"
    entry = inside(f"echo began >>/hooks.log; {script} >>/hooks.log", timeout=1) if name == "startContainer" else hook(f"echo began >>$OUT; {script} >>$OUT", timeout=1)
    c = container(hooks={name: [entry]}, args=["/bin/sleep", "100"] if name == "poststart" else ["/bin/true"])
    began = time.monotonic()
    if name == "poststop":
        c.run()
    else:
        c.fails("run", match=rf".*hooks\.{name}\[0\].*(1 s|timeout|timed out|time limit).*|.*(1 s|timed out).*hooks\.{name}\[0\].*")
    assert time.monotonic() - began < scaled(10)
    log = c.bundle.rootfs / "hooks.log" if name == "startContainer" else hook.log
    assert log.read_text().split() == ["began"]
    wait_for(lambda: not _sleepers(), 5, "the end of the hook")


@pytest.mark.hull_only(reason="Debian's peers say the status alone")
@pytest.mark.parametrize("name", [n for n in LISTS if n != "poststop"])
def test_what_a_failing_hook_says_is_in_the_error(container, hook, hull, name):
    script = "echo first >&2; echo last complaint >&2; exit 4"
    c = container(hooks={name: [inside(script) if name == "startContainer" else hook(script)]}, args=["/bin/sleep", "100"])
    c.fails("run", match=rf"run {c.id}: hook /bin/busybox: exit status 4: .*last complaint.* \(hooks\.{name}\[0\]\)")


@pytest.mark.hull_only(reason="peers say less")
def test_what_a_failing_poststop_hook_says_is_in_the_warning(container, hook):
    c = container(hooks={"poststop": [hook("echo complaint >&2; exit 4")]}, args=["/bin/true"])
    c.detach()
    c.wait("stopped")
    r = c.delete("--log-level", "warning")
    assert re.fullmatch(r"hull: warning: .*hook /bin/busybox: exit status 4: complaint.*hooks\.poststop\[0\].*\n", r.err), r.err


@pytest.mark.parametrize("name", LISTS)
def test_a_state_of_its_time(container, hook, name):
    """The status and the pid of each list; the pid is that of the namespace in which the hook runs."""
    entry = inside("cat >/state.json") if name == "startContainer" else hook(f"cat >{hook.log}")
    c = container(hooks={name: [entry, entry]}, args=["/bin/true"])
    c.run()
    state = json.loads((c.bundle.rootfs / "state.json" if name == "startContainer" else hook.log).read_text())
    if c.runtime.is_hull:
        assert state["status"] == STATUS[name]
        assert ("pid" in state) == (name != "poststop")


def test_working_directory_of_a_start_container_hook(container):
    c = container(hooks={"startContainer": [inside("pwd >/where")]}, args=["/bin/true"], process={"cwd": "/var/log"})
    c.run()
    assert (c.bundle.rootfs / "where").read_text() == "/\n"


@pytest.mark.hull_only(reason="peers pass their own, or the container's")
@pytest.mark.parametrize("env", [None, [], ["ONLY=this"]])
def test_environment_of_a_start_container_hook(container, env):
    entry = {"path": "/bin/busybox", "args": ["busybox", "cp", "/proc/self/environ", "/environ"]} | ({} if env is None else {"env": env})
    c = container(hooks={"startContainer": [entry]}, args=["/bin/true"], process={"env": ["PATH=/bin", "LD_PRELOAD=/evil.so", "MARK=container"]})
    c.run()
    assert (c.bundle.rootfs / "environ").read_text() == "".join(f"{e}\0" for e in env or [])


def test_hook_that_is_not_there(container):
    c = container(hooks={"createRuntime": [{"path": "/no/such/hook"}]})
    c.fails("create", match=rf"create {c.id}: hook /no/such/hook: .*\(hooks\.createRuntime\[0\]\): no such file or directory")


def test_hook_killed_by_a_signal(container, hook):
    c = container(hooks={"createRuntime": [hook("kill -9 $$")]})
    c.fails("create", match=r".*hooks\.createRuntime\[0\].*signal.*9.*|.*signal.*9.*hooks\.createRuntime\[0\].*|.*killed.*")


@BY_ROOT_AND_USER
def test_env_and_args_of_a_hook_are_exact(container, everybodys):
    entry = {"path": "/bin/busybox", "args": ["busybox", "sh", "-c", f"env >{everybodys}/env; echo $0 $1 >{everybodys}/args", "zero", "one"],
             "env": ["A=1", "B=two words", "PATH=/usr/bin"]}
    container(hooks={"createRuntime": [entry]}, args=["/bin/true"]).run()
    got = {e for e in (everybodys / "env").read_text().splitlines() if not e.startswith(("PWD=", "SHLVL="))}  # the shell's own
    assert got == {"A=1", "B=two words", "PATH=/usr/bin"}
    assert (everybodys / "args").read_text() == "zero one\n"


@pytest.mark.hull_only(reason="CVE-2025-23266: runc 1.1 passes the container's")
@pytest.mark.parametrize("name", [n for n in LISTS if n != "startContainer"])
def test_hooks_without_env_get_nothing_of_the_container(container, hook, tmp_path, name):
    """CVE-2025-23266: LD_PRELOAD of the image in a hook with host rights."""
    c = container(hooks={name: [hook(f"env >{tmp_path}/env; ls -l /proc/self/fd >{tmp_path}/fds")]}, args=["/bin/true"],
                  process={"env": ["PATH=/evil", "LD_PRELOAD=/proc/self/cwd/evil.so", "LD_LIBRARY_PATH=/", "MARK=container"]})
    c.config["process"]["args"] = ["/bin/true"]
    c.rewrite()
    c.run()
    env = (tmp_path / "env").read_text()
    assert "MARK=container" not in env and "LD_" not in env and "/evil" not in env, env
    numbers = [line.split()[8] for line in (tmp_path / "fds").read_text().splitlines() if "->" in line]
    assert set(numbers) <= {"0", "1", "2", "3"}, numbers  # 3 is ls's own


def test_hook_output_does_not_mix_with_the_containers(container, hook):
    c = container(hooks={"createRuntime": [hook("echo noise")], "poststop": [hook("echo noise")]}, args=["/bin/echo", "program"])
    assert c.run().out == "program\n"


def test_hook_that_leaves_a_child_does_not_hold_us(container, hook):
    """A hook that goes on in the background with our pipe open."""
    c = container(hooks={"createRuntime": [hook(f"sleep {scaled(3)} >/dev/null 2>&1 </dev/null &")]}, args=["/bin/true"])
    began = time.monotonic()
    c.run()
    assert time.monotonic() - began < scaled(3)
    assert _sleepers()
    wait_for(lambda: not _sleepers(), 5, "the background child to end")


def _sleepers():
    return [p for p in os.listdir("/proc") if p.isdigit() and (process(p) or (0, 0, "", ""))[2] == "sleep"]


# --- somebody loses patience: a signal while the set-up runs ---

@pytest.mark.hull_only(reason="the peers die of it and leave the container behind")
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["createRuntime", "createContainer", "startContainer", "poststart"])
def test_a_signal_ends_the_set_up(container, hook, hull, name, sig):
    """In the foreground, at once, with everything undone: the container, and the hook with its children."""
    entry = inside("sleep 1000", timeout=900) if name == "startContainer" else hook("echo began >>$OUT; sleep 1000 & sleep 1000", timeout=900)
    c = container(hooks={name: [entry], "poststop": [note(hook, "poststop")]}, args=["/bin/sleep", "1000"])
    run = hull.popen("run", "--bundle", c.bundle.path, c.id, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    wait_for(lambda: run.poll() is not None or (_sleepers() and (name == "startContainer" or hook.log.exists())), 20, "the hook")
    assert run.poll() is None, run.stderr.read()
    began = time.monotonic()
    run.send_signal(sig)
    _, err = run.communicate(timeout=scaled(10))
    assert run.returncode == 1, err
    assert time.monotonic() - began < scaled(5)
    assert re.fullmatch(rf"hull: run {c.id}: .*signal {int(sig)} came during the set-up.*\n", err.decode()), err
    assert hull.ids() == []
    wait_for(lambda: not _sleepers(), 5, "the end of what the hook started")
    assert hook.log.read_text().split()[-1] == "poststop"


@pytest.mark.hull_only(reason="runc 1.1 leaves it running")
@pytest.mark.parametrize("name", LISTS)
def test_time_limit_ends_the_children_too(container, hook, name):
    entry = (inside if name == "startContainer" else hook)("sleep 1000 & sleep 1000", timeout=1)
    c = container(hooks={name: [entry]}, args=["/bin/true"])
    c.runtime.call("run", "--bundle", c.bundle.path, c.id)
    wait_for(lambda: not _sleepers(), 5, "the end of the hook's children")


@pytest.mark.hull_only(reason="runc's hooks live on")
@pytest.mark.parametrize("name", ["prestart", "createRuntime", "createContainer", "poststart", "poststop"])
def test_hooks_die_with_us(container, hook, hull, name):
    """Killed -9 in the middle: nothing goes on for a container that will never be."""
    c = container(hooks={name: [hook("[ -e $OUT ] && exit; echo began >>$OUT; exec sleep 1000")]}, args=["/bin/true"])
    create = hull.popen("run", "--bundle", c.bundle.path, c.id, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(hook.log.exists, 10, "the hook")
    create.kill()
    create.wait(10)
    wait_for(lambda: not _sleepers(), 5, "the end of the hook")
    hull("delete", "--force", c.id)


@pytest.mark.parametrize("name", [n for n in LISTS if n != "startContainer"])
def test_working_directory_of_a_hook(container, hook, name):
    """The bundle for those in the runtime's namespaces, the container's root (of the host still) for createContainer."""
    c = container(hooks={name: [hook("pwd >>$OUT")]}, args=["/bin/true"])
    c.run()
    assert hook.log.read_text().split() == ["/" if name == "createContainer" and c.runtime.is_hull else str(c.bundle.path)]
