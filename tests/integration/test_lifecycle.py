# SPDX-License-Identifier: Apache-2.0
"""create, start, state, kill, delete, run: runtime.md's life cycle and the texts that engines look for."""
import json
import os
import re
import signal
import subprocess
import time
from datetime import datetime, timezone

import pytest
from harness.clock import scaled
from harness.config import DELETE, namespaces
from harness.runtime import alive, wait_for

pytestmark = pytest.mark.kernel
SLEEP = ["/bin/sleep", "1000"]
TRAP = ["/bin/sh", "-c", "trap 'echo got TERM; exit 3' TERM; trap 'echo got USR1' USR1; echo ready; "
                         "while :; do sleep 0.05; done"]


def test_create_start_state_kill_delete(container, hull):
    c = container(args=SLEEP, annotations={"org.example.key": "value"})
    before = datetime.now(timezone.utc)
    pid_file = hull.tmp / "pid"
    c.create("--pid-file", pid_file)
    state = c.state()
    assert state["status"] == "created"
    assert state["id"] == c.id
    assert state["bundle"] == str(c.bundle.path)
    assert state["annotations"] == {"org.example.key": "value"}
    assert re.fullmatch(r"1\.\d+\.\d+(-\S+)?", state["ociVersion"])
    created = datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*", r".\1", state["created"]).replace("Z", "+00:00"))
    assert abs((created - before).total_seconds()) < scaled(5)
    pid = state["pid"]
    assert pid_file.read_text() == str(pid), "decimal, no newline: Go's Atoi reads it untrimmed"
    assert alive(pid)
    c.start()
    assert c.status() == "running"
    assert c.pid == pid, "start must not change the process"
    c.kill("KILL")
    c.wait("stopped")
    assert not c.state().get("pid"), "a stopped container has no pid"
    c.delete()
    hull.fails("state", c.id, match=f'(state: )?container "{c.id}" does not exist')


def test_create_does_not_run_the_program(container):
    c = container(args=["/bin/sh", "-c", "echo ran; exit 0"])
    c.create()
    time.sleep(0.1)
    assert c.output() == ""
    c.start()
    c.wait("stopped")
    assert c.output() == "ran\n"


def test_state_prints_one_json_object_only(container, hull):
    c = container(args=SLEEP)
    c.create()
    r = hull("state", c.id)
    assert r.err == ""
    assert set(json.loads(r.out)) >= {"ociVersion", "id", "status", "pid", "bundle", "rootfs", "created", "owner"}


@pytest.mark.parametrize("verb", ["state", "start", "kill", "delete", "ps"])
def test_unknown_id(hull, verb):
    hull.fails(verb, "no-such", match=r'(\w+: )?container "no-such" does not exist')


def test_unknown_id_exec(hull):
    hull.fails("exec", "no-such", "/bin/true", rc=255, match=r'(\w+: )?container "no-such" does not exist')


def test_delete_force_of_unknown_id_succeeds(hull):
    r = hull("delete", "--force", "no-such")
    assert (r.out, r.err) == ("", "")


@pytest.mark.hull_only(reason="peers kill and delete a created container; the specification says error")
def test_delete_of_created_is_refused_without_effect(container, hull):
    c = container(args=SLEEP)
    c.create()
    pid = c.pid
    hull.fails("delete", c.id, match=f'(delete {c.id}: )?container "?{c.id}"? is created, not stopped.*|.*not stopped.*created.*')
    assert c.status() == "created"
    assert c.pid == pid and alive(pid)
    c.start()
    assert c.status() == "running", "a refused delete leaves no trace"


def test_delete_of_running_is_refused_without_effect(container, hull):
    c = container(args=SLEEP)
    c.detach()
    hull.fails("delete", c.id, match=f".*{c.id}.* (is )?(running|not stopped).*")
    assert c.status() == "running"


@pytest.mark.hull_only(reason="runc deletes at once, with an error")
def test_delete_waits_for_one_that_is_being_killed(container):
    c = container(args=SLEEP)
    c.detach()
    c.kill("KILL")
    c.delete()


@pytest.mark.parametrize("stage", ["created", "running", "stopped"])
def test_delete_force(container, hull, stage):
    c = container(args=SLEEP)
    c.create()
    pid = c.pid
    if stage != "created":
        c.start()
    if stage == "stopped":
        c.kill("KILL")
        c.wait("stopped")
    began = time.monotonic()
    c.delete("--force")
    assert time.monotonic() - began < scaled(1.0)
    assert not alive(pid)
    assert hull.ids() == []
    assert not c.cgroup_file("pids", "").exists()


def test_duplicate_id(container, hull):
    c = container(args=SLEEP)
    c.create()
    pid = c.pid
    other = container(args=SLEEP, rootfs_from=c, cid=c.id)
    hull.made.remove(c.id)
    hull.fails("create", "--bundle", other.bundle.path, c.id, match=f"(create {c.id}: )?container with id exists: {c.id}")
    assert c.pid == pid and c.status() == "created"
    c.start()
    assert c.status() == "running"


def test_same_id_again_after_delete(container):
    c = container(args=["/bin/true"])
    for _ in range(3):
        c.run()


@pytest.mark.parametrize("cid", ["", ".", "..", ".hidden", "a/b", "a b", "a\nb", "ä", "x" * 1025])
def test_bad_ids(hull, bundle, cid):
    bundle.write({})
    hull.fails("create", "--bundle", bundle.path, cid, match=r"(?s:.*)(container )?id(?s:.*)")
    assert [i for i in hull.ids() if not i.startswith(".")] == []


def test_id_with_all_legal_characters(container):
    container(args=["/bin/true"], cid="Az09_+.-").run()


def test_start_twice(container, hull):
    c = container(args=SLEEP)
    c.create()
    c.start()
    hull.fails("start", c.id, match=f".*{c.id}.* (is )?(running|not created|not in state created).*")
    assert c.status() == "running"


def test_start_of_stopped(container, hull):
    c = container(args=["/bin/true"])
    c.detach()
    c.wait("stopped")
    hull.fails("start", c.id, match=f'cannot start a container that has stopped: "{c.id}"')


@pytest.mark.hull_only(reason="runc wants a process at create")
def test_no_process(container, hull):
    """runtime.md: `process` is needed by start, not by create."""
    c = container(process=DELETE)
    c.create()
    assert c.status() == "created"
    assert hull("exec", c.id, "/bin/cat", "/proc/1/comm").out == "hull:gate\n"
    hull.fails("start", c.id, match=f'cannot start container "{c.id}": its configuration has no process')
    assert c.status() == "created"
    c.delete("--force")
    c.fails("run", match=r"config\.json: process: is not there: there is nothing to run")


def test_kill_of_stopped(container, hull):
    c = container(args=["/bin/true"])
    c.detach()
    c.wait("stopped")
    hull.fails("kill", c.id, match=r"(.*: )?container not running.*")


def test_kill_of_created(container):
    c = container(args=SLEEP)
    c.create()
    c.kill("KILL")
    c.wait("stopped")


def test_kill_default_is_term(container):
    c = container(args=TRAP)
    c.detach()
    c.wait_output("ready")
    c.kill()
    c.wait("stopped")
    assert "got TERM\n" in c.output()


@pytest.mark.parametrize("signal_name", ["10", "USR1", "SIGUSR1", "usr1", "sigusr1"])
def test_signal_spelling(container, signal_name):
    c = container(args=TRAP)
    c.detach()
    c.wait_output("ready")
    c.kill(signal_name)
    c.wait_output("got USR1")
    assert c.status() == "running"


@pytest.mark.parametrize("bad", ["SIGNOPE", "0x9", "-1", "65", "1000", "9 ", "KILLL"])
def test_bad_signal(container, hull, bad):
    c = container(args=SLEEP)
    c.detach()
    hull.fails("kill", "--", c.id, bad, match=r'(?s:.*)signal(?s:.*)')
    assert c.status() == "running"


def test_kill_all_reaches_children(container):
    c = container(args=["/bin/sh", "-c", "sleep 1000 & sleep 1001 & echo ready; wait"])
    c.detach()
    c.wait_output("ready")
    wait_for(lambda: len(c.cgroup_file("pids", "cgroup.procs").read_text().split()) == 3, 5, "three processes")
    c.kill("--all", "KILL")
    c.wait("stopped")
    wait_for(lambda: c.cgroup_file("pids", "cgroup.procs").read_text() == "", 5, "an empty cgroup")


@pytest.mark.hull_only(reason="Debian's runc kills the first process only")
def test_kill_without_own_pid_namespace_takes_the_cgroup(container):
    c = container(args=["/bin/sh", "-c", "sleep 1000 & sleep 1001 & echo ready; wait"],
                  linux={"namespaces": namespaces("pid")})
    c.detach()
    c.wait_output("ready")
    procs = c.cgroup_file("pids", "cgroup.procs")
    wait_for(lambda: len(procs.read_text().split()) == 3, 5, "three processes")
    c.kill("KILL")
    wait_for(lambda: procs.read_text() == "", 5, "every process of the cgroup to be gone")
    c.wait("stopped")
    c.delete()


@pytest.mark.parametrize("code", [0, 1, 7, 127, 255])
def test_run_exit_code(container, code):
    assert container(args=["/bin/sh", "-c", f"exit {code}"]).run(rc=code).err == ""


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_run_killed_by_signal(container, sig):
    c = container(args=["/bin/sh", "-c", f"kill -{int(sig)} $$; sleep 10"], linux={"namespaces": namespaces("pid")})
    c.run(rc=128 + sig)


def test_run_deletes_and_keep_keeps(container, hull):
    c = container(args=["/bin/true"])
    c.run()
    assert hull.ids() == []
    c.run("--keep")
    assert c.status() == "stopped"
    c.delete()


def test_run_forwards_signals(container, hull):
    c = container(args=TRAP)
    out = open(hull.tmp / "run.out", "w+b")
    process = hull.popen("run", "--bundle", c.bundle.path, c.id, stdout=out, stderr=subprocess.STDOUT)
    wait_for(lambda: b"ready" in (hull.tmp / "run.out").read_bytes(), 5, "the program")
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: b"got USR1" in (hull.tmp / "run.out").read_bytes(), 5, "USR1 inside")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 3
    out.close()
    assert hull.ids() == []


def test_run_passes_stdin_and_streams(container):
    r = container(args=["/bin/sh", "-c", "read x; echo out $x; echo err $x >&2"]).run(text="hello\n")
    assert (r.out, r.err) == ("out hello\n", "err hello\n")


def test_detach_returns_and_leaves_it_running(container, hull):
    c = container(args=SLEEP)
    pid_file = hull.tmp / "pid"
    c.detach("--pid-file", pid_file)
    assert c.status() == "running"
    assert pid_file.read_text() == str(c.pid)


def test_detached_init_belongs_to_the_callers_subreaper(container, hull):
    """conmon and containerd's shim wait for init: nothing of the runtime may stand between."""
    c = container(args=["/bin/sh", "-c", "exit 9"])
    pid_file, code = hull.tmp / "pid", hull.tmp / "code"
    program = ("import ctypes, os, sys, subprocess\n"
               "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
               "subprocess.run(sys.argv[3:], check=True)\n"
               "pid = int(open(sys.argv[1]).read())\n"
               "_, status = os.waitpid(pid, 0)\n"
               "open(sys.argv[2], 'w').write(str(os.waitstatus_to_exitcode(status)))\n")
    argv = hull.argv("run", "--detach", "--bundle", c.bundle.path, "--pid-file", pid_file, c.id)
    subprocess.run(["/usr/bin/python3", "-c", program, pid_file, code, *argv], check=True, timeout=scaled(20))
    assert code.read_text() == "9"


def test_nothing_but_init_holds_the_pipes(container, hull):
    """An engine sees the end of the container at the end of its pipe: no helper may hold it."""
    c = container(args=["/bin/true"])
    r, w = os.pipe()
    subprocess.run(hull.argv("create", "--bundle", c.bundle.path, c.id), stdout=w, stderr=w, timeout=scaled(20), check=True,
                   stdin=subprocess.DEVNULL)
    os.close(w)
    os.set_blocking(r, False)
    with pytest.raises(BlockingIOError):
        os.read(r, 1)  # init waits and holds it
    c.start()
    os.set_blocking(r, True)
    assert os.read(r, 100) == b""
    os.close(r)


def test_pid_file_replaces_an_old_one_atomically(container, hull):
    c = container(args=SLEEP)
    pid_file = hull.tmp / "pid"
    pid_file.write_text("999999999999")
    c.detach("--pid-file", pid_file)
    assert pid_file.read_text() == str(c.pid)
    assert [p.name for p in hull.tmp.glob("*pid*")] == ["pid"], "no temporary file beside it"
    if hull.flavor != "crun":  # makes it executable
        assert pid_file.stat().st_mode & 0o7777 == 0o644


def test_pid_file_that_cannot_be_written(container, hull):
    c = container(args=SLEEP)
    c.fails("create", "--pid-file", "/nonexistent/pid", match=r".*/nonexistent/pid.*: no such file or directory")


def test_bundle_default_is_the_current_directory(container, hull):
    c = container(args=["/bin/true"])
    hull("run", c.id, cwd=c.bundle.path)


def test_config_changed_after_create_has_no_effect(container):
    c = container(args=["/bin/echo", "first"])
    c.create()
    c.rewrite(process={"args": ["/bin/echo", "second"]})
    c.start()
    c.wait("stopped")
    assert c.output() == "first\n"


@pytest.mark.hull_only(reason="runc reads the bundle again at exec")
def test_state_after_the_bundle_is_gone(container, hull):
    c = container(args=SLEEP)
    c.detach()
    (c.bundle.path / "config.json").unlink()
    assert c.status() == "running"
    hull("exec", c.id, "/bin/true")


def test_container_survives_the_end_of_create(container):
    """PR_SET_PDEATHSIG must be taken back: uid 0 keeps it over everything else."""
    for uid in (0, 1000):
        c = container(args=SLEEP, process={"user": {"uid": uid, "gid": uid}})
        c.create()
        time.sleep(0.2)
        assert c.status() == "created"
        c.start()
        assert c.status() == "running"


def test_kill_of_init_from_outside_is_stopped(container):
    c = container(args=SLEEP)
    c.detach()
    os.kill(c.pid, signal.SIGKILL)
    c.wait("stopped")
    c.delete()


@pytest.mark.hull_only(reason="runc's is 0711")
def test_state_root_is_private(container, hull):
    old = os.umask(0)
    try:
        c = container(args=SLEEP)
        c.create()
    finally:
        os.umask(old)
    for path in [hull.root, *hull.root.rglob("*")]:
        mode = path.lstat().st_mode
        assert mode & 0o077 == 0 or path.is_socket(), f"{path}: mode {mode:o}"
    assert hull.root.stat().st_mode & 0o777 == 0o700


def test_create_with_closed_standard_streams(container, hull):
    c = container(args=["/bin/sh", "-c", "echo out; echo err >&2; read x; exit 0"])
    subprocess.run(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *hull.argv("run", "--bundle", c.bundle.path, c.id)],
                   check=True, timeout=scaled(20))


@pytest.mark.hull_only(reason="peers open whatever is there")
def test_pid_file_that_is_something_else_stays(container, hull):
    """--pid-file /dev/stdout as root must not cost the host its /dev/stdout."""
    fifo = hull.tmp / "fifo"
    os.mkfifo(fifo)
    c = container(args=SLEEP)
    c.fails("create", "--pid-file", fifo, match=r"--pid-file: \S+ exists and is not a regular file: invalid argument")
    assert fifo.is_fifo()
    c.detach()
    hull.fails("exec", "--detach", "--pid-file", fifo, c.id, "/bin/true", rc=255,
               match=r"(exec in \S+: )?--pid-file: \S+ exists and is not a regular file: invalid argument")
    assert fifo.is_fifo()


@pytest.mark.hull_only(reason="peers delete by name")
def test_run_leaves_a_namesake_alone(container, hull):
    """Deleted by somebody while it ran, its name given to another: the end of the first `run` is not the other's."""
    c = container(args=SLEEP)
    run = hull.popen("run", "--bundle", c.bundle.path, c.id)
    try:
        wait_for(lambda: c.id in hull.ids() and c.status() == "running", 5, "the first to run")
        run.send_signal(signal.SIGSTOP)
        hull("delete", "--force", c.id)
        c.detach()
        pid = c.pid
    finally:
        run.send_signal(signal.SIGCONT)
        code = run.wait(timeout=scaled(10))
    assert code == 137
    assert alive(pid) and c.status() == "running"


@pytest.mark.parametrize("options,adopts", [((), True), (("--no-subreaper",), False)])
def test_run_reaps_orphans(container, hull, options, adopts):
    """Without a pid namespace of its own the container's orphans come to `run`, as with runc."""
    c = container(args=["/bin/sh", "-c", "/bin/sh -c '/bin/sleep 1000 & echo $! >/tmp/orphan'; exec /bin/sleep 1000"],
                  linux={"namespaces": namespaces("pid")})
    orphan = c.bundle.rootfs / "tmp/orphan"
    run = hull.popen("run", "--bundle", c.bundle.path, *options, c.id)
    wait_for(lambda: orphan.exists() and orphan.read_text().endswith("\n"), 5, "the orphan")

    def parent():
        with open(f"/proc/{int(orphan.read_text())}/stat", encoding="ascii") as f:
            return int(f.read().rpartition(")")[2].split()[1])
    try:
        wait_for(lambda: (parent() == run.pid) == adopts, 3, "the orphan's parent to be told")
    finally:
        hull("kill", c.id, "KILL")
        code = run.wait(timeout=scaled(10))
    assert code == 137
