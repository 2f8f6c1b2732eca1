# SPDX-License-Identifier: Apache-2.0
"""podman with conmon, as root: run, exec, list, stop, remove; the exit codes that it reads out of our messages."""
import re
import socket
import time
from pathlib import Path

import podmans
import pytest
from conftest import IMAGE, needs
from harness import programs, snapshot
from harness.needs import needs as needs_of_machine
from harness.runtime import cgroup_dir, is_v1, wait_for

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(needs(*podmans.PROGRAMS) is not None, reason=str(needs(*podmans.PROGRAMS)))]
COUNT = 'i=0; while [ $i -lt 600 ]; do echo tick $i; i=$((i+1)); sleep 1; done'


@pytest.fixture(scope="module")
def engine(podman_engine):
    return podman_engine


@pytest.fixture
def podman_on_v2(podman, parent_cgroup):
    """podman that sees nothing but cgroup v2, as the only process of a cgroup there; the path of its parent. Where v1 has the controllers there are no
    limits then, and it has to be in the root of each: of a path there podman would make a cgroup here, v2 or not."""
    root = snapshot.v2_root()
    if root is None:
        pytest.skip("this machine lacks cgroup v2")
    top = root / parent_cgroup.lstrip("/") / "on-v2"
    (top / "podman").mkdir(parents=True)
    alone = ["unshare", "-m", "--propagation", "private", "sh", "-c",
             f'for tasks in /sys/fs/cgroup/*/tasks; do [ ! -e $tasks ] || echo $$ >$tasks; done; echo $$ >{top}/podman/cgroup.procs && {{ [ {root} = /sys/fs/cgroup ] || mount --rbind {root} /sys/fs/cgroup; }} && exec "$@"', "sh"]
    inside, settings = podman.within(*alone), podmans.DROP_INS / "99-on-v2.conf"
    settings.write_text("[containers]\npids_limit = 0\n")  # podman's own limit, where there may be no controller
    yield inside, str(Path("/", top.relative_to(root)))
    inside("rm", "--all", "--force", "--time", "0")
    settings.unlink()
    for directory in sorted((d for d in (top, *top.rglob("*")) if d.is_dir()), key=lambda d: -len(d.parts)):
        wait_for(lambda d=directory: removed(d), 10, f"{directory} to be empty")


def removed(directory):
    try:
        directory.rmdir()
    except OSError:
        return False
    return True


def test_it_is_our_runtime(podman, program):
    assert f"path: {program}" in podman("info")


def test_run(podman, common):
    assert podman("run", "--rm", *common, IMAGE, "echo", "hello").strip() == "hello"


@pytest.mark.parametrize("code", [0, 7, 42, 255])
def test_exit_code(podman, common, code):
    podman("run", "--rm", *common, IMAGE, "sh", "-c", f"exit {code}", rc=code)


@pytest.mark.parametrize("program_,code", [("/nope", 127), ("nope", 127), ("/etc/passwd", 126), ("/etc", 126)])
def test_program_that_cannot_be_run(podman, common, program_, code):
    podman("run", "--rm", *common, IMAGE, program_, rc=code)


def test_killed_by_a_signal(podman, common):
    podman("run", "--rm", *common, "--pid", "host", IMAGE, "sh", "-c", "kill -9 $$", rc=137)


def test_stdin(podman, common):
    assert podman("run", "-i", "--rm", *common, IMAGE, "cat", text="typed\n").strip() == "typed"


def test_what_is_asked_for(podman, common):
    out = podman("run", "--rm", *common, "-e", "V=w x", "--hostname", "hh", "-w", "/var/log", "-u", "7:8", "--group-add", "9", IMAGE,
                 "sh", "-c", "echo $V; hostname; pwd; id")
    assert out.splitlines()[:3] == ["w x", "hh", "/var/log"]
    assert re.search(r"uid=7(\(\w+\))? gid=8(\(\w+\))? groups=(8,|8\(\w+\),)?9", out)


def test_volume_tmpfs_and_read_only(podman, common, tmp_path):
    (tmp_path / "f").write_text("data\n")
    out = podman("run", "--rm", *common, "--read-only", "-v", f"{tmp_path}:/v:ro", "--tmpfs", "/scratch", IMAGE, "sh", "-c",
                 "cat /v/f; touch /v/x /x 2>&1; echo ok >/scratch/f && cat /scratch/f")
    assert "data" in out and "ok" in out and out.count("Read-only file system") == 2


def test_limits(podman, common):
    out = podman("run", "--rm", *common, "--memory", "32m", "--pids-limit", "77", IMAGE, "sh", "-c",
                 "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max 2>/dev/null || "
                 "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max")
    assert out.split() == [str(32 << 20), "77"]


def test_usual_protection(podman, common):
    out = podman("run", "--rm", *common, IMAGE, "sh", "-c", "grep -E 'Seccomp:|CapEff' /proc/self/status; head -c 1 /proc/keys | wc -c; "
                                                            "mount -t tmpfs x /tmp 2>&1; true")
    assert re.search(r"Seccomp:\s2", out)
    assert not re.search(r"CapEff:\s0*1?f*$", out, re.M)
    assert re.search(r"^0$", out, re.M), "/proc/keys is masked"
    assert "denied" in out or "not permitted" in out


def test_life(podman, common):
    """Run in the background, list, exec, logs, stop, remove."""
    podman("run", "-d", "--name", "d1", *common, IMAGE, "sh", "-c", COUNT)
    assert "d1" in podman("ps", "--format", "{{.Names}}").split()
    assert podman("exec", "d1", "echo", "in exec").strip() == "in exec"
    podman("exec", "d1", "sh", "-c", "exit 9", rc=9)
    podman("exec", "d1", "nope", rc=127)
    podman("exec", "d1", "/etc/passwd", rc=126)
    out = podman("exec", "-u", "user", "-w", "/tmp", "-e", "Z=Z", "d1", "sh", "-c", "echo $(id -u) $(pwd) $Z")
    assert out.strip() == "1000 /tmp Z"
    podman("exec", "-d", "d1", "sleep", "300")
    assert podman("exec", "-i", "d1", "cat", text="through\n").strip() == "through"
    end = time.monotonic() + 10
    while "tick 1" not in podman("logs", "d1"):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert "sleep" in podman("top", "d1")
    podman("stop", "-t", "1", "d1")
    assert podman("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "d1").strip() in ("exited 137", "exited 143")
    podman("start", "d1")
    podman("kill", "d1")
    podman("wait", "d1")
    podman("rm", "d1")
    assert podman("ps", "-aq").strip() == ""


def test_create_then_start(podman, common):
    podman("create", "--name", "c1", *common, IMAGE, "echo", "later")
    assert "later" in podman("start", "-a", "c1")
    podman("rm", "c1")


def test_remove_by_force(podman, common):
    podman("run", "-d", "--name", "d2", *common, IMAGE, "sleep", "600")
    podman("rm", "-f", "-t", "0", "d2")


def test_terminal(podman, common):
    """conmon's console socket."""
    podman("run", "-d", "-t", "--name", "t1", *common, IMAGE, "sh", "-c", "tty; stty size; sleep 600")
    end = time.monotonic() + 10
    while "/dev/pts/0" not in podman("logs", "t1"):
        assert time.monotonic() < end, podman("logs", "t1")
        time.sleep(0.2)
    podman("rm", "-f", "-t", "0", "t1")


def test_terminal_of_a_person(podman, common):
    """run -it and exec -it: typed words arrive, lines end as a terminal in raw mode needs it, the size follows, exit codes come back."""
    with podman.terminal("run", "-it", "--rm", "--name", "t2", *common, IMAGE, "sh") as t:
        t.expect("#").type("tty; echo x$((40+2))x\r").expect("x42x\r\n")
        assert b"/dev/pts/0" in t.seen
        with podman.terminal("exec", "-it", "t2", "sh") as e:
            e.expect("#").type("tty; echo y$((40+2))y; exit 6\r").expect("y42y\r\n")
            assert e.end() == 6
        t.resize(33, 77).type("until stty size | grep '33 77'; do sleep 0.2; done; echo z$((40+2))z; exit 5\r").expect("z42z\r\n")
        assert t.end() == 5


def test_pod_shares_namespaces(podman, common):
    podman("run", "-d", "--name", "p1", *common, IMAGE, "sleep", "600")
    out = podman("run", "--rm", "--cgroup-parent", common[1], "--network", "container:p1", "--ipc", "container:p1", "--pid", "container:p1",
                 IMAGE, "sh", "-c", "ps; readlink /proc/self/ns/net; readlink /proc/1/ns/net")
    nets = re.findall(r"net:\[\d+\]", out)
    assert "sleep 600" in out and len(nets) == 2 and nets[0] == nets[1]
    podman("rm", "-f", "-t", "0", "p1")


def inspect(podman, name, form):
    return podman("inspect", "-f", form, name).strip()


def test_pause(podman, common):
    podman("run", "-d", "--name", "d1", *common, IMAGE, "sh", "-c", COUNT)
    podman.until("tick 1", "logs", "d1")
    podman("pause", "d1")
    assert inspect(podman, "d1", "{{.State.Status}}") == "paused"
    said = podman("logs", "d1")
    time.sleep(1.5)
    assert podman("logs", "d1") == said, "a frozen container counts no further"
    podman("unpause", "d1")
    assert inspect(podman, "d1", "{{.State.Status}}") == "running"
    wait_for(lambda: podman("logs", "d1") != said, 10, "it to count again")


def test_update_and_stats(podman, common, parent_cgroup):
    """Read back from the kernel."""
    podman("run", "-d", "--name", "u1", *common, "--memory", "64m", "--cpus", "0.5", IMAGE, "sleep", "600")
    cid = inspect(podman, "u1", "{{.Id}}")

    def limit():
        place = cgroup_dir("memory") / parent_cgroup.lstrip("/") / f"libpod-{cid}"
        return (place / ("memory.limit_in_bytes" if is_v1("memory") else "memory.max")).read_text().strip()
    assert limit() == str(64 << 20)
    podman("update", "--memory", "128m", "--cpus", "1", "u1")
    assert limit() == str(128 << 20)
    assert re.search(r"^u1 .*[kMB]", podman("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDS}}", "u1"), re.M)


@pytest.mark.parametrize("mode", ["enabled", "disabled", "no-conmon"])
def test_cgroups(podman, mode, parent_cgroup):
    """disabled: no cgroup is made, and the container is where its conmon is. (split: below.)"""
    where = [] if mode == "disabled" else ["--cgroup-parent", parent_cgroup]
    podman("run", "-d", "--name", "g1", "--network", "none", f"--cgroups={mode}", *where, IMAGE, "sleep", "600")
    pid = inspect(podman, "g1", "{{.State.Pid}}")
    line = next(x for x in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if ":memory:" in x or x.startswith("0::"))
    assert ("libpod-" in line) == (mode != "disabled"), line
    podman("rm", "-f", "-t", "0", "g1")


def test_cgroups_split(podman_on_v2):
    """podman's own cgroup holds two: the container's, and conmon's beside it."""
    podman, top = podman_on_v2
    podman("run", "-d", "--name", "g1", "--network", "none", "--cgroups=split", IMAGE, "sleep", "600")
    pids = {what: inspect(podman, "g1", f"{{{{.State.{what}}}}}") for what in ("Pid", "ConmonPid")}
    where = {what: re.search(r"^0::(.*)$", Path(f"/proc/{pid}/cgroup").read_text(), re.M)[1] for what, pid in pids.items()}
    assert where["Pid"].startswith(f"{top}/podman/libpod-payload-") and where["ConmonPid"] == f"{top}/podman/runtime", where
    podman("exec", "g1", "true")
    podman("rm", "-f", "-t", "0", "g1")
    assert not Path(snapshot.v2_root(), where["Pid"].lstrip("/")).exists()


@pytest.mark.parametrize("maps", [["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]])
def test_user_namespace(podman, common, maps, tmp_path):
    podman("run", "-d", "--name", "n1", *common, *maps, "-v", f"{tmp_path}:/v", IMAGE, "sleep", "600")
    assert re.search(r"^ *0 +100000 +65536$", podman("exec", "n1", "cat", "/proc/self/uid_map"), re.M)
    assert podman("exec", "n1", "id", "-u").strip() == "0"
    assert podman("exec", "-u", "user", "n1", "id", "-u").strip() == "1000"
    tmp_path.chmod(0o777)
    podman("exec", "n1", "touch", "/v/made")
    assert (tmp_path / "made").stat().st_uid == 100000
    podman("rm", "-f", "-t", "0", "n1")


@pytest.fixture
def ids_for_auto():
    """Ids of the user `containers`, in the world's own files."""
    files = [Path("/etc/subuid"), Path("/etc/subgid")]
    before = [f.read_text() for f in files]
    for file, text in zip(files, before):
        file.write_text(text + "containers:600000:65536\n")
    yield
    for file, text in zip(files, before):
        file.write_text(text)


@needs_of_machine("newuidmap, newgidmap and /etc/subuid")
def test_userns_auto(podman, common, ids_for_auto):
    """Each container gets ids of its own out of those of the user `containers`."""
    names = ("a1", "a2")
    for name in names:
        podman("run", "-d", "--name", name, *common, "--userns=auto:size=2048", IMAGE, "sleep", "600")
    maps = [podman("exec", name, "cat", "/proc/self/uid_map").split() for name in names]
    assert [(m[0], m[2]) for m in maps] == [("0", "2048")] * 2 and maps[0][1] != maps[1][1] and "0" not in (maps[0][1], maps[1][1])
    owners = {Path("/proc", inspect(podman, name, "{{.State.Pid}}")).stat().st_uid for name in names}
    assert owners == {int(m[1]) for m in maps}


@pytest.mark.parametrize("mode", ["keep-id", "nomap"])
def test_userns_of_ordinary_users(podman, common, mode):
    """podman itself has none of it for root (since 5.0 keep-id maps root onto itself): see test_podman_rootless.py."""
    rc, said = podman.call("run", "--rm", *common, f"--userns={mode}", IMAGE, "cat", "/proc/self/uid_map")
    if mode == "keep-id" and int(podman("--version").split()[-1].split(".")[0]) >= 5:
        assert (rc, said.split()) == (0, ["0", "0", "4294967295"])
    else:
        assert rc == 125 and mode in said


INITTAB = """::sysinit:/bin/sh -c 'mkdir $(cat /where)/unit && echo $$ >$(cat /where)/unit/cgroup.procs && cat /proc/self/cgroup >/own'
::respawn:/bin/sleep 600
"""


def systemd_like(podman, tmp_path, where, *options):
    """A container whose init (busybox's) makes a cgroup for a service, as systemd does, in the directory `where`; what it found."""
    (tmp_path / "inittab").write_text(INITTAB)
    (tmp_path / "where").write_text(where)
    podman("run", "-d", "--name", "i1", "--network", "none", "--systemd=always", *options, "-v", f"{tmp_path}/inittab:/etc/inittab:ro",
           "-v", f"{tmp_path}/where:/where:ro", IMAGE, "init")
    podman.until("unit", "exec", "i1", "cat", "/own")
    assert podman("exec", "i1", "cat", "/proc/1/comm") == "init\n"
    environment = podman("exec", "i1", "sh", "-c", "tr '\\0' '\\n' </proc/1/environ").split()
    assert any(re.fullmatch("container=(podman|oci)", word) for word in environment) and any(w.startswith("container_uuid=") for w in environment)
    mounts = {line.split()[1]: line.split()[2:4] for line in podman("exec", "i1", "cat", "/proc/mounts").splitlines()}
    assert all(mounts[path][0] == "tmpfs" for path in ("/run", "/run/lock", "/tmp")), mounts
    return mounts


@needs_of_machine("cgroup v1")
def test_systemd_on_v1(podman, common, parent_cgroup, tmp_path):
    """Of all hierarchies systemd's own one can be written to."""
    own = f"/sys/fs/cgroup/systemd{parent_cgroup}"  # podman shows all of the host's hierarchy
    mounts = systemd_like(podman, tmp_path, own, *common[:2])
    assert mounts["/sys/fs/cgroup/systemd"][1].startswith("rw,") and mounts["/sys/fs/cgroup/memory"][1].startswith("ro,")
    podman("rm", "-f", "-t", "1", "i1")
    wait_for(lambda: removed(Path(own, "unit")), 10, "the unit's cgroup to be empty")


def test_systemd_on_v2(podman_on_v2, tmp_path):
    """Its cgroup is all that it sees, and it may make others in it."""
    podman, top = podman_on_v2
    mounts = systemd_like(podman, tmp_path, "/sys/fs/cgroup", "--cgroup-parent", top)
    assert mounts["/sys/fs/cgroup"][0] == "cgroup2" and mounts["/sys/fs/cgroup"][1].startswith("rw,")
    assert "0::/unit" in podman("exec", "i1", "cat", "/own").split()
    podman("rm", "-f", "-t", "0", "i1")


def test_init(podman, common):
    """catatonit as process 1 collects orphans."""
    out = podman("run", "--rm", *common, "--init", IMAGE, "sh", "-c", "(sleep 0.1 &); cat /proc/1/comm; sleep 1; ps", rc=None)
    if "container-init binary" in out:
        pytest.skip("not installed: catatonit")
    assert "catatonit" in out or "init" in out
    assert "[sleep]" not in out, "a zombie"


def test_secret_and_volume(podman, common):
    podman("secret", "create", "word", "-", text="s3cret")
    assert podman("run", "--rm", *common, "--secret", "word", IMAGE, "cat", "/run/secrets/word") == "s3cret"
    assert podman("run", "--rm", *common, "--secret", "word,type=env,target=WORD", IMAGE, "sh", "-c", "echo $WORD") == "s3cret\n"
    assert podman("run", "--rm", *common, "--secret", "word,uid=7,mode=0400", IMAGE, "stat", "-c", "%u %a", "/run/secrets/word") == "7 400\n"
    podman("run", "--rm", *common, "-v", "named:/v", IMAGE, "sh", "-c", "echo k >/v/k")
    assert podman("run", "--rm", *common, "-v", "named:/v", IMAGE, "cat", "/v/k") == "k\n"


def test_device(podman, common):
    """podman passes on the whole st_mode of the host's node."""
    out = podman("run", "--rm", *common, "--device", "/dev/zero:/dev/mine:r", IMAGE, "ls", "-l", "/dev/mine")
    assert re.search(r"^crw.* 1, +5 ", out)
    assert "not permitted" in podman("run", "--rm", *common, "--cap-add", "MKNOD", IMAGE, "sh", "-c", "mknod /tmp/kvm b 254 0 && cat /tmp/kvm", rc=1)


def test_privileged(podman, common):
    """All devices of the host, no mask, no filter."""
    out = podman("run", "--rm", *common, "--privileged", IMAGE, "sh", "-c", "grep Seccomp: /proc/self/status; ls /dev | wc -l; mount -t tmpfs x /tmp && echo mounted")
    assert re.search(r"Seccomp:\s0", out) and "mounted" in out


def test_health(podman, common):
    podman("run", "-d", "--name", "h1", *common, "--health-cmd", "test -f /tmp/healthy", "--health-interval", "disable", "--health-retries", "1", IMAGE,
           "sleep", "600")
    podman("healthcheck", "run", "h1", rc=1)
    podman("exec", "h1", "touch", "/tmp/healthy")
    podman("healthcheck", "run", "h1")
    assert inspect(podman, "h1", "{{.State.Health.Status}}") == "healthy"


def test_restart_policy(podman, common):
    podman("run", "-d", "--name", "r1", *common, "--restart", "on-failure:2", IMAGE, "sh", "-c", "exit 3")
    wait_for(lambda: inspect(podman, "r1", "{{.RestartCount}} {{.State.Status}}") == "2 exited", 30, "two restarts")


@pytest.mark.parametrize("mode", ["conmon", "container"])
def test_sdnotify(podman, common, mode, tmp_path):
    """conmon says READY=1 for the container, or lets through what the container says."""
    path = Path("/run/engines-notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(30)
        notify = programs.build("notify", Path(__file__).resolve().parent)
        podman("run", "-d", "--name", "s1", *common, f"--sdnotify={mode}", "-v", f"{notify}:/bin/notify:ro", IMAGE, "sh", "-c",
               "notify READY=1 2>/dev/null; exec sleep 600", env={"NOTIFY_SOCKET": str(path)})
        said = ""
        while "READY=1" not in said:
            said += receiver.recv(4096).decode() + "\n"
    path.unlink()
    assert inspect(podman, "s1", "{{.State.Status}}") == "running"


def test_preserve_fds(podman, common, tmp_path):
    (tmp_path / "f").write_text("through 3\n")
    fd3 = ["sh", "-c", 'exec 3<"$0"; exec "$@"', str(tmp_path / "f")]
    piped = podman.within(*fd3)
    assert piped("run", "--rm", *common, "--preserve-fds", "1", IMAGE, "sh", "-c", "cat <&3") == "through 3\n"


def test_out_of_memory(podman, common):
    podman("run", "--name", "o1", *common, "--memory", "16m", IMAGE, "tail", "-c", "100m", "/dev/zero", rc=137)


def test_no_cgroup_file_system(podman, common):
    """As in a container that has none: podman's --cgroups=disabled."""
    hidden = ["unshare", "-m", "sh", "-c", 'umount -R /sys/fs/cgroup && mount -t tmpfs -o ro tmpfs /sys/fs/cgroup && exec "$@"', "sh"]
    without = podman.within(*hidden)
    assert without("run", "--rm", "--cgroups=disabled", "--network", "none", IMAGE, "echo", "none") == "none\n"


def test_checkpoint_is_refused(podman, common):
    """podman asks `checkpoint --help`: it must not believe that it works. (podman 5 looks for criu first.)"""
    podman("run", "-d", "--name", "k1", *common, IMAGE, "sleep", "600")
    out = podman("container", "checkpoint", "k1", rc=None)
    assert "checkpoint" in out.lower() or "criu" in out
    podman("rm", "-f", "-t", "0", "k1")
