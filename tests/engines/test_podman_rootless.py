# SPDX-License-Identifier: Apache-2.0
"""podman as an ordinary user with sub-ids: podman makes a user namespace and calls the runtime as root of it."""
import re
import shutil
import subprocess
from pathlib import Path

import podmans
import pytest
from conftest import IMAGE, needs
from daemons import HOST_ADDRESS
from engine import Engine
from harness import snapshot, world
from harness.clock import scaled
from harness.needs import has
from harness.needs import needs as machine_needs
from harness.rootless import GID, SUB, SUB_COUNT, UID, User
from harness.runtime import ids_in, wait_for
from images import PAGE

NEEDED = (*podmans.PROGRAMS, "newuidmap", "catatonit")
pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(needs(*NEEDED) is not None, reason=str(needs(*NEEDED))),
              machine_needs("newuidmap, newgidmap and /etc/subuid")]
CONTAINERS_CONF = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_json = ["{name}"]
runtime_supports_nocgroups = ["{name}"]
runtime_supports_nocgroup = ["{name}"]
[engine.runtimes]
{name} = ["{path}"]
[containers]
log_driver = "k8s-file"
"""
# Nothing is delegated on a host whose cgroups are all v2; on v1 podman asks for none itself.
NOT_DELEGATED = ["--cgroups=disabled"] if has("a pure cgroup v2 layout") else []
STORAGE_CONF = '[storage]\ndriver = "vfs"\n'  # what works without /dev/fuse and on every kernel


@pytest.fixture(scope="module")
def someone(tmp_path_factory, program):
    """The user, with a home, a runtime directory and a copy of the runtime that it may run."""
    user = User(program, tmp_path_factory.mktemp("rootless"))
    own = user.top / "bin" / program.name
    for directory in ("bin", "home/.config/containers", "tmp"):
        (user.top / directory).mkdir(parents=True)
    shutil.copy(program, own)
    (user.top / "home/.config/containers/containers.conf").write_text(CONTAINERS_CONF.format(name=program.name, path=own))
    (user.top / "home/.config/containers/storage.conf").write_text(STORAGE_CONF)
    user.own(user.top / "home")
    user.own(user.top / "tmp")
    user.hull.environment.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME=str(user.top / "home"), TMPDIR=str(user.top / "tmp"),
                                 PODMAN_IGNORE_CGROUPSV1_WARNING="1", CONTAINERS_CONF=str(user.top / "home/.config/containers/containers.conf"))
    user.runtime_path = own
    yield user
    problems = user.close()
    assert not problems, problems


@pytest.fixture(scope="module")
def engine(work, image, someone):
    """podman as that user calls it. What it keeps while the user is logged in (a process that holds its user namespace) ends with the module."""
    shutil.copy(image, someone.top / "image.tar")
    podman = Engine(*someone.hull.as_user("podman", "--runtime", someone.runtime_path), cwd=someone.top / "home")
    try:
        podman("load", "-q", "-i", someone.top / "image.tar", timeout=120)
        podman("run", "--rm", *NOT_DELEGATED, "--network", "none", IMAGE, "true")
        wait_for(lambda: "conmon" not in {p[2] for p in snapshot.processes()}, 10, "conmon to end")
        yield podman
    finally:
        podman("system", "migrate")
        wait_for(lambda: "catatonit" not in {p[2] for p in snapshot.processes()}, 10, "podman's own process to end")


@pytest.fixture
def podman(engine, someone):
    """And nothing of a container is left: not for podman, not for the runtime."""
    yield engine
    for what in (["pod", "rm"], ["rm"]):
        engine(*what, "--all", "--force", "--time", "0")
    assert ids_in(someone.hull.root) == [], "left in the runtime's state root"


@pytest.fixture
def common():
    return ["--network", "none", *NOT_DELEGATED]


@pytest.fixture(scope="module")
def tun(someone):
    """/dev/net/tun for everybody, as udev makes it."""
    if not Path("/dev/net/tun").exists():
        pytest.skip("this machine lacks /dev/net/tun")
    node = someone.top / "tun"
    subprocess.run(["mknod", "-m", "666", node, "c", "10", "200"], check=True, timeout=scaled(10))
    world.mount(str(node), "/dev/net/tun", None, world.MS_BIND)
    yield
    world.umount("/dev/net/tun")


def host_uid(podman, name):
    pid = podman("inspect", "-f", "{{.State.Pid}}", name).strip()
    return re.search(r"^Uid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)[1]


def test_it_is_rootless_and_our_runtime(podman, someone):
    out = podman("info")
    assert "rootless: true" in out and f"path: {someone.runtime_path}" in out


def test_run(podman, common):
    """Root inside, nobody in particular outside."""
    podman("run", "-d", "--name", "r1", *common, IMAGE, "sleep", "600")
    assert podman("exec", "r1", "id", "-u") == "0\n"
    assert host_uid(podman, "r1") == str(UID)
    assert re.search(rf"^ *0 +{UID} +1\n +1 +{SUB} +{SUB_COUNT}$", podman("exec", "r1", "cat", "/proc/self/uid_map"), re.M)
    podman("run", "-d", "--name", "r2", *common, "-u", "user", IMAGE, "sleep", "600")
    assert host_uid(podman, "r2") == str(SUB + 999)


@pytest.mark.parametrize("code", [7, 255])
def test_exit_code(podman, common, code):
    podman("run", "--rm", *common, IMAGE, "sh", "-c", f"exit {code}", rc=code)


@pytest.mark.parametrize("program_,code,text", [("/nope", 127, "no such file or directory"), ("/etc/passwd", 126, "permission denied")])
def test_program_that_cannot_be_run(podman, common, program_, code, text):
    assert text in podman("run", "--rm", *common, IMAGE, program_, rc=code).lower()


def test_life(podman, common):
    podman("run", "-d", "--name", "d1", *common, IMAGE, "sh", "-c", "echo begun; sleep 600")
    podman.until("begun", "logs", "d1")
    assert "d1" in podman("ps", "--format", "{{.Names}}").split()
    podman("exec", "d1", "sh", "-c", "exit 9", rc=9)
    podman("exec", "d1", "nope", rc=127)
    assert podman("exec", "-i", "d1", "cat", text="through\n") == "through\n"
    podman("stop", "-t", "1", "d1")
    assert podman("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "d1").strip() == "exited 137"
    podman("start", "d1")
    podman("kill", "d1")
    podman("rm", "d1")


def test_terminal(podman, common):
    with podman.terminal("run", "-it", "--rm", *common, IMAGE, "sh") as t:
        t.expect("#").type("tty; echo x$((40+2))x; exit 5\r").expect("x42x")
        assert t.end() == 5
        assert b"/dev/pts/0" in t.seen


def test_keep_id(podman, common, someone):
    """The user is itself inside, and so are its files."""
    shared = someone.top / "home/shared"
    shared.mkdir()
    someone.own(shared)
    out = podman("run", "--rm", *common, "--userns=keep-id", "-v", f"{shared}:/v", IMAGE, "sh", "-c", "id -u; id -g; touch /v/made")
    assert out.split() == [str(UID), str(GID)]
    assert (shared / "made").stat().st_uid == UID
    shutil.rmtree(shared)


def test_nomap(podman, common):
    """The user isn't mapped at all."""
    out = podman("run", "--rm", *common, "--userns=nomap", IMAGE, "cat", "/proc/self/uid_map")
    assert re.fullmatch(rf" *0 +1 +{SUB_COUNT}\n", out), out


def test_userns_auto(podman, common):
    first, second = (podman("run", "-d", *common, "--userns=auto:size=1024", IMAGE, "sleep", "600").strip() for _ in range(2))
    maps = [podman("exec", cid, "cat", "/proc/self/uid_map").split() for cid in (first, second)]
    assert [m[0] for m in maps] == ["0", "0"] and [m[2] for m in maps] == ["1024", "1024"] and maps[0][1] != maps[1][1]


def test_volume_belongs_to_the_user(podman, common, someone):
    shared = someone.top / "home/mine"
    shared.mkdir()
    someone.own(shared)
    podman("run", "--rm", *common, "-v", f"{shared}:/v", IMAGE, "sh", "-c", "echo x >/v/f; chown user /v/f")
    assert (shared / "f").stat().st_uid == SUB + 999
    assert podman("run", "--rm", *common, "-v", f"{shared}:/v:ro", IMAGE, "sh", "-c", "cat /v/f; touch /v/no 2>&1; true").startswith("x\n")
    assert not (shared / "no").exists()
    shutil.rmtree(shared)


def test_usual_protection(podman, common):
    out = podman("run", "--rm", *common, IMAGE, "sh", "-c", "grep -E 'Seccomp:|CapEff' /proc/self/status; wc -c </proc/keys; mount -t tmpfs x /tmp 2>&1; "
                                                            "echo 1 >/proc/sys/kernel/panic; true")
    assert re.search(r"Seccomp:\s2", out) and re.search(r"^0$", out, re.M)
    assert "denied" in out or "not permitted" in out
    assert "Read-only file system" in out or "can't create /proc/sys" in out


def test_privileged(podman, common):
    """As much as the user has: all of its user namespace."""
    assert "mounted" in podman("run", "--rm", *common, "--privileged", IMAGE, "sh", "-c", "mount -t tmpfs x /tmp && echo mounted")


def test_host_network(podman, outside):
    out = podman("run", "--rm", *NOT_DELEGATED, "--network", "host", IMAGE, "ip", "addr")
    assert HOST_ADDRESS in out


@pytest.mark.skipif(needs("slirp4netns") is not None, reason=str(needs("slirp4netns")))
def test_network_of_the_user(podman, tun):
    """slirp4netns's address."""
    assert "10.0.2.100" in podman("run", "--rm", *NOT_DELEGATED, "--network", "slirp4netns", IMAGE, "ip", "addr")


def test_pod(podman):
    """Its containers share the namespaces that the infra container made."""
    podman("pod", "create", "--name", "p1", "--network", "none")
    podman("run", "-d", "--pod", "p1", "--name", "web", *NOT_DELEGATED, IMAGE, "httpd", "-f", "-h", "/www")
    assert podman("run", "--rm", "--pod", "p1", *NOT_DELEGATED, IMAGE, "wget", "-q", "-O", "-", "http://127.0.0.1/") == PAGE
    podman("pod", "stop", "-t", "0", "p1")
    podman("pod", "start", "p1")
    assert "Running" in podman("pod", "ps")


def test_pause_is_refused(podman, common):
    """Without a cgroup there is nothing to freeze, and podman says so; the container goes on."""
    podman("run", "-d", "--name", "z1", "--network", "none", "--cgroups=disabled", IMAGE, "sleep", "600")
    podman("pause", "z1", rc=125)
    assert podman("inspect", "-f", "{{.State.Status}}", "z1").strip() == "running"


def test_build(podman, someone, common):
    context = someone.top / "home/context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN id -u >/who; echo built >>/who\nCMD [\"cat\", \"/who\"]\n")
    someone.own(context)
    podman("build", "--isolation", "oci", "--network", "host", "-q", "-t", "localhost/own:1", context, timeout=120)
    assert podman("run", "--rm", *common, "localhost/own:1") == "0\nbuilt\n"
    podman("rmi", "localhost/own:1")
    shutil.rmtree(context)


def test_secret_init_and_health(podman, common):
    podman("secret", "create", "word", "-", text="s3cret")
    try:
        assert podman("run", "--rm", *common, "--secret", "word", IMAGE, "cat", "/run/secrets/word") == "s3cret"
    finally:
        podman("secret", "rm", "word")
    podman("run", "-d", "--name", "h1", *common, "--init", "--health-cmd", "test -f /tmp/healthy", "--health-interval", "disable", IMAGE, "sleep", "600")
    podman("healthcheck", "run", "h1", rc=1)
    podman("exec", "h1", "touch", "/tmp/healthy")
    podman("healthcheck", "run", "h1")
