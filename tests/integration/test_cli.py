# SPDX-License-Identifier: Apache-2.0
"""The command line: spellings that engines and people use, logs as engines parse them, exit codes, what is refused."""
import json
import os
import re
from datetime import datetime

import pytest

pytestmark = pytest.mark.hull_only(reason="names, texts and log levels are each program's own")
SLEEP = ["/bin/sleep", "1000"]
COMMANDS = ("create", "start", "state", "kill", "delete", "run", "exec", "pause", "resume", "update", "list", "ps", "spec", "explain", "features", "check", "events", "wait", "stats")
LATER = ("checkpoint", "restore", "mounts")


def test_version(hull):
    out = hull("--version", root=False).out
    lines = out.splitlines()
    assert re.fullmatch(r"hull version \d+\.\d+\.\d+\S*", lines[0])
    assert any(re.fullmatch(r"commit: \S+", line) for line in lines)
    assert "spec: 1.3.0" in lines
    assert any(line.startswith("+") for line in lines)
    assert hull("-v", root=False).out == out


def test_help(hull):
    out = hull("--help", root=False).out
    for command in COMMANDS:
        assert re.search(rf"^ +{command} ", out, re.M)
    assert hull("-h", root=False).out == hull("help", root=False).out == out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(hull, command):
    r = hull(command, "--help", root=False)
    assert command in r.out and r.err == ""


@pytest.mark.parametrize("command", LATER)
def test_commands_of_later(hull, command):
    """podman believes in checkpoint when `checkpoint --help` succeeds."""
    for args in ((command, "--help"), (command, "x")):
        hull.fails(*args, root=False, match=rf'.*"?{command}"?.*not supported.*')


def test_unknown_command(hull):
    hull.fails("frobnicate", root=False, match=r'unknown command "frobnicate".*')


def test_no_command(hull):
    r = hull.call(root=False)
    assert "usage" in (r.out + r.err).lower()


@pytest.mark.parametrize("args,message", [
    (("state",), r"state: .*id.*missing.*"),
    (("state", "a", "b"), r'state: .*"b".*'),
    (("state", "--nope", "a"), r".*--nope.*"),
    (("kill",), r"kill: .*missing.*"),
    (("exec", "a"), r"exec: .*"),
    (("create", "--bundle"), r".*--bundle.*"),
    (("create", "--preserve-fds", "x", "a"), r'.*preserve-fds.*"x".*'),
    (("create", "--preserve-fds", "-1", "a"), r'.*preserve-fds.*-1.*'),
    (("--log-format", "xml", "state", "a"), r'.*"xml".*'),
    (("--log-level", "loud", "state", "a"), r'.*"loud".*'),
    (("--cgroup-manager", "cgroup", "state", "a"), r'.*"cgroup".*'),
    (("--rootless", "perhaps", "state", "a"), r".*rootless.*"),
    (("--root", "/", "state", "a"), r".*root.*"),
    (("create", "--no-pivot", "a"), r".*no-pivot.*not supported.*"),
])
def test_usage_errors(hull, args, message):
    rc = 255 if args[0] == "exec" else 1
    r = hull.call(*args, root=False)
    assert r.rc in (rc, 1), r
    assert re.fullmatch(f"hull: {message}\n", r.err), r.err
    assert r.out == ""


@pytest.mark.parametrize("spelling", [["--bundle", "B"], ["--bundle=B"], ["-b", "B"], ["-bundle", "B"], ["-bundle=B"], ["-b=B"]])
def test_spellings_of_an_option(container, hull, spelling):
    c = container(args=["/bin/true"])
    hull("run", *(s.replace("B", str(c.bundle.path)) for s in spelling), c.id)


def test_options_after_the_id(container, hull):
    """runc takes them there; containerd's users write them there."""
    c = container(args=SLEEP)
    hull("run", c.id, "--detach", "--bundle", c.bundle.path)
    hull("kill", c.id, "KILL")
    c.wait("stopped")
    hull("delete", c.id, "--force")


@pytest.mark.parametrize("value,detached", [("true", True), ("false", False)])
def test_boolean_with_a_value(container, hull, value, detached):
    c = container(args=["/bin/sh", "-c", "exit 3"])
    r = hull.call("run", f"--detach={value}", "--bundle", c.bundle.path, c.id)
    assert r.rc == (0 if detached else 3)


def test_global_options_may_be_repeated(container, hull):
    c = container(args=["/bin/true"])
    hull("--log-level", "debug", "--log", "/dev/null", "--root", hull.tmp / "x", "--root", hull.root, "--log-level", "error",
         "run", "--bundle", c.bundle.path, c.id, root=False)


def test_option_of_old_callers(container, hull):
    c = container(args=["/bin/true"])
    hull("--criu", "/usr/sbin/criu", "--rootless", "auto", "--cgroup-manager", "cgroupfs", "run", "-no-subreaper", "--bundle",
         c.bundle.path, c.id)


def test_config_option(container, hull):
    """crun's -f."""
    c = container(args=["/bin/echo", "usual"])
    c.bundle.write({**c.config, "process": {**c.config["process"], "args": ["/bin/echo", "other"]}}, "other.json")
    assert c.run("--config", "other.json").out == "other\n"
    assert c.run("-f", c.bundle.path / "other.json").out == "other\n"


# --- logs ---

def failing(c):
    c.rewrite(process={"args": ["/no/such/program"]})
    return c


def objects(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_log_of_a_failure_is_one_object(container, hull):
    """podman parses the whole file as one JSON object; containerd takes the last of level error and its RFC 3339 time."""
    c = failing(container())
    log = hull.tmp / "log.json"
    r = hull("--log", log, "--log-format", "json", "create", "--bundle", c.bundle.path, c.id, rc=1)
    entry = json.loads(log.read_text())
    assert entry["level"] == "error"
    assert "no such file or directory" in entry["msg"]
    datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*", r".\1", entry["time"]).replace("Z", "+00:00"))
    assert r.err == f"hull: {entry['msg']}\n", "and the same line on stderr, nothing else"


def test_json_log_on_success_exists_and_is_empty(container, hull):
    c = container(args=["/bin/true"])
    log = hull.tmp / "log.json"
    r = hull("--log", log, "--log-format", "json", "run", "--bundle", c.bundle.path, c.id)
    assert log.read_text() == ""
    assert (r.out, r.err) == ("", "")


def test_log_is_appended_to(container, hull):
    c = failing(container())
    log = hull.tmp / "log.json"
    for _ in range(2):
        hull("--log", log, "--log-format=json", "create", "--bundle", c.bundle.path, c.id, rc=1)
    assert [e["level"] for e in objects(log)] == ["error", "error"]


def test_text_log(container, hull):
    c = failing(container())
    log = hull.tmp / "log"
    hull("--log", f"file:{log}", "create", "--bundle", c.bundle.path, c.id, rc=1)
    assert re.fullmatch(r'time="\S+" level=error msg=".*no such file or directory.*"\n', log.read_text())


def test_debug_goes_to_the_log_only(container, hull):
    """At create stderr is the container's own: nothing but the fatal line may stand there."""
    c = container(args=["/bin/sh", "-c", "echo program >&2"])
    log = hull.tmp / "log"
    r = hull("--debug", "--log", log, "--log-format", "json", "run", "--bundle", c.bundle.path, c.id)
    assert r.err == "program\n"
    entries = objects(log)
    assert {e["level"] for e in entries} == {"debug"} and len(entries) > 5


def test_default_level_is_error(container, hull):
    c = container(args=["/bin/true"], process={"capabilities": {"bounding": ["CAP_NOPE"]}})
    r = c.run()
    assert (r.out, r.err) == ("", "")


@pytest.mark.parametrize("kind", ["directory", "no parent"])
def test_log_that_cannot_be_opened(container, hull, kind):
    c = container(args=["/bin/true"])
    path = hull.tmp if kind == "directory" else hull.tmp / "no/such/log"
    errno = "is a directory" if kind == "directory" else "no such file or directory"
    hull.fails("--log", path, "run", "--bundle", c.bundle.path, c.id, match=f".*{path}.*: {errno}")


def test_log_on_a_fifo_does_not_hang(container, hull):
    c = container(args=["/bin/true"])
    fifo = hull.tmp / "fifo"
    os.mkfifo(fifo)
    r = hull.call("--log", fifo, "run", "--bundle", c.bundle.path, c.id, timeout=10)
    assert r.rc in (0, 1)


def test_foreign_text_is_escaped(container, hull):
    """CVE-2023-28101's class: escape sequences of a hostile name in the operator's terminal."""
    c = container(args=["/no\x1b[31m\n/such"])
    r = c.runtime.call("create", "--bundle", c.bundle.path, c.id)
    assert r.rc == 1 and "\x1b" not in r.err and r.err.count("\n") == 1 and "\\x1b" in r.err


def test_secrets_of_the_environment_are_not_logged(container, hull):
    c = container(args=["/bin/true"], process={"env": ["PATH=/bin", "PASSWORD=hunter2"]})
    log = hull.tmp / "log"
    hull("--debug", "--log", log, "run", "--bundle", c.bundle.path, c.id, env={**os.environ, "SECRET": "hunter3"})
    text = log.read_text()
    assert "hunter2" not in text and "hunter3" not in text


# --- spec ---

def test_spec_runs(container, hull):
    """The document that `spec` writes is valid and makes a container."""
    c = container()
    (c.bundle.path / "config.json").unlink()
    hull("spec", "--bundle", c.bundle.path)
    document = json.loads((c.bundle.path / "config.json").read_text())
    document["process"].update(terminal=False, args=["/bin/echo", "from spec"])
    document["linux"]["cgroupsPath"] = c.cgroup
    c.bundle.write(document)
    assert c.run().out == "from spec\n"


def test_spec_does_not_overwrite(container, hull):
    c = container()
    before = (c.bundle.path / "config.json").read_bytes()
    hull.fails("spec", "--bundle", c.bundle.path, match=r".*config\.json.*(exists|Remove it first).*")
    assert (c.bundle.path / "config.json").read_bytes() == before


def test_spec_into_a_missing_directory(hull):
    hull.fails("spec", "--bundle", "/no/such/dir", match=r".*/no/such/dir.*: no such file or directory")


# --- state root ---

def test_default_root(container, hull):
    """/run/hull for root, whatever XDG_RUNTIME_DIR says."""
    c = container(args=SLEEP)
    hull("run", "--detach", "--bundle", c.bundle.path, c.id, root=False, env={**os.environ, "XDG_RUNTIME_DIR": str(hull.tmp)})
    assert c.id in os.listdir("/run/hull")
    assert os.stat("/run/hull").st_mode & 0o777 == 0o700
    hull("delete", "--force", c.id, root=False)
    assert os.listdir("/run/hull") == []


@pytest.mark.parametrize("how", ["mode", "owner", "link", "file"])
def test_a_root_that_is_not_ours_alone(container, hull, how):
    """Records hold hooks: a foreign root is code execution."""
    c = container(args=["/bin/true"])
    if how == "file":
        hull.root.write_text("")
    elif how == "link":
        (hull.tmp / "real").mkdir(mode=0o700)
        hull.root.symlink_to(hull.tmp / "real")
    else:
        hull.root.mkdir(mode=0o700)
        if how == "mode":
            hull.root.chmod(0o777)
        else:
            os.chown(hull.root, 1000, 1000)
    hull.fails("run", "--bundle", c.bundle.path, c.id, match=f".*{hull.root}.*")
    if how != "file":
        assert os.listdir(hull.root) == []
    hull.made.clear()
    hull.root = hull.tmp / "other"
