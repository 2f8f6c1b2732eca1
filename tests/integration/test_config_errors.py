# SPDX-License-Identifier: Apache-2.0
"""A configuration that is wrong: JSON path and value in one line, and nothing is made (the host snapshot sees to that)."""
import json
import os
import re

import pytest
from harness.config import DELETE, merge

pytestmark = pytest.mark.hull_only(reason="peers take most of them in silence")


def at(path, value):
    """The change that sets a nested member: at("process.cwd", 1)."""
    change = value
    for name in reversed(path.split(".")):
        change = {name: change}
    return change


# JSON path, value, text that names the value and the rule
WRONG_TYPE = [
    ("ociVersion", 1, "1"), ("process.terminal", "yes", '"yes"'), ("process.user.uid", "0", '"0"'), ("process.args", "sh", '"sh"'),
    ("process.cwd", ["x"], ""), ("process.noNewPrivileges", 1, "1"), ("root.readonly", "no", '"no"'), ("hostname", True, "true"),
    ("mounts", {}, ""), ("linux", [], ""), ("linux.namespaces", {}, ""), ("linux.maskedPaths", "x", '"x"'),
    ("hooks", [], ""), ("annotations", ["a"], ""), ("linux.resources.memory.limit", "1G", '"1G"'),
    ("linux.resources.cpu.shares", 1.5, "1.5"), ("process.oomScoreAdj", "high", '"high"'), ("linux.sysctl", ["a"], ""),
]
MISSING = [("ociVersion", "ociVersion"), ("root", "root"), ("root.path", "root.path"), ("process.cwd", "process.cwd"),
]
OUT_OF_RANGE = [
    ("process.user.uid", -1, "-1"), ("process.user.uid", 4294967296, "4294967296"), ("process.user.gid", 4294967295, "4294967295"),
    ("process.user.umask", 512 * 8, ""), ("process.oomScoreAdj", 1001, "1001"), ("process.oomScoreAdj", -1001, "-1001"),
    ("linux.resources.memory.swappiness", 101, "101"), ("linux.resources.cpu.shares", -1, "-1"),
    ("linux.resources.memory.limit", -2, "-2"), ("linux.resources.memory.limit", 2 ** 63, str(2 ** 63)),
    ("linux.resources.cpu.idle", 2, "2"),
]
UNKNOWN_WORD = [
    ("linux.namespaces", [{"type": "nope"}], r"linux.namespaces[0].type", '"nope"'),
    ("process.rlimits", [{"type": "RLIMIT_NOPE", "soft": 1, "hard": 1}], "process.rlimits[0].type", '"RLIMIT_NOPE"'),
    ("linux.rootfsPropagation", "sideways", "linux.rootfsPropagation", '"sideways"'),
    ("linux.devices", [{"type": "x", "path": "/dev/x"}], "linux.devices[0].type", '"x"'),
    ("linux.resources.devices", [{"allow": True, "access": "rwx"}], "linux.resources.devices[0].access", '"rwx"'),
    ("linux.resources.devices", [{"allow": True, "type": "q"}], "linux.resources.devices[0].type", '"q"'),
]
BAD_PATH = [
    ("process.cwd", "relative", "process.cwd", '"relative"'),
    ("hooks.createRuntime", [{"path": "hooks/net"}], "hooks.createRuntime[0].path", '"hooks/net"'),
    ("linux.namespaces", [{"type": "network", "path": "ns/net"}], "linux.namespaces[0].path", '"ns/net"'),
    ("linux.devices", [{"type": "c", "path": "dev/x", "major": 1, "minor": 3}], "linux.devices[0].path", '"dev/x"'),
    ("linux.maskedPaths", ["/ok", "proc/x"], "linux.maskedPaths[1]", '"proc/x"'),
    ("linux.readonlyPaths", ["proc/x"], "linux.readonlyPaths[0]", '"proc/x"'),
]
OTHER_RULES = [
    ("process.args", [], "process.args", ""), ("process.env", ["NOEQUALS"], "process.env[0]", '"NOEQUALS"'),
    ("process.env", ["=x"], "process.env[0]", ""), ("annotations", {"": "x"}, "annotations", ""),
    ("hooks.createRuntime", [{"path": "/x", "timeout": 0}], "hooks.createRuntime[0].timeout", "0"),
    ("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2, "process.rlimits[1]", "RLIMIT_CORE"),
    ("linux.namespaces", [{"type": "mount"}, {"type": "mount"}], "linux.namespaces[1]", "mount"),
    ("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}], "process.rlimits[0]", ""),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_NOTIFY"}, "linux.seccomp", "SCMP_ACT_NOTIFY"),
    ("process.cwd", "/a\0b", "process.cwd", ""),
    ("linux.devices", [{"type": "c", "path": "/dev/x"}], "linux.devices[0]", ""),
]


def refused(c, path, value=""):
    """One line, with the JSON path at its place and the value in it; nothing on the host."""
    r = c.fails("create", match=rf"config\.json: {re.escape(path)}.*: .*")
    assert value in r.err, f"the value {value} isn't in {r.err!r}"
    c.runtime.made.clear()
    return r


@pytest.mark.parametrize("path,value,text", WRONG_TYPE)
def test_wrong_type(container, path, value, text):
    refused(container(**at(path, value)), path, text)


@pytest.mark.parametrize("path,reported", MISSING)
def test_required_but_missing(container, path, reported):
    r = refused(container(**at(path, DELETE)), reported)
    assert "required" in r.err


@pytest.mark.parametrize("path,value,text", OUT_OF_RANGE)
def test_out_of_range(container, path, value, text):
    refused(container(**at(path, value)), path, text)


@pytest.mark.parametrize("path,value,reported,text", UNKNOWN_WORD)
def test_unknown_word(container, path, value, reported, text):
    refused(container(**at(path, value)), reported, text)


@pytest.mark.parametrize("path,value,reported,text", BAD_PATH)
def test_bad_path(container, path, value, reported, text):
    refused(container(**at(path, value)), reported, text)


@pytest.mark.parametrize("path,value,reported,text", OTHER_RULES)
def test_other_rules(container, path, value, reported, text):
    refused(container(**at(path, value)), reported, text)


@pytest.mark.parametrize("name,value", [("ociVersion", "1.3.0"), ("process.cwd", "/x"), ("linux.cgroupsPath", "/x")])
def test_duplicate_key(container, name, value):
    c = container()
    text = json.dumps(c.config)
    key = name.split(".")[-1]
    doubled = text.replace(f'"{key}":', f'"{key}": "{value}", "{key}":', 1)
    assert doubled != text
    c.bundle.write(doubled)
    assert "duplicate" in refused(c, name).err


def test_line_and_column_of_a_syntax_error(container):
    c = container()
    c.bundle.write('{\n  "ociVersion": "1.3.0",\n  "root": {"path" "rootfs"}\n}\n')
    c.fails("create", match=r"config\.json: .*\(config\.json:3:\d+\)|config\.json: 3:\d+: .*")


def test_trailing_data(container):
    c = container()
    c.bundle.write(json.dumps(c.config) + " {}")
    c.fails("create", match=r"config\.json: .*\(config\.json:\d+:\d+\)|config\.json: \d+:\d+: .*")


@pytest.mark.parametrize("step", range(0, 40))
def test_truncated(container, step):
    """At bytes spread over the document (the parser's own tests take each)."""
    c = container()
    text = json.dumps(c.config)
    c.bundle.write(text[:len(text) * step // 40])
    c.fails("create", match=r"config\.json: .*")


@pytest.mark.parametrize("text", ["[" * 100000, '{"a":' * 100000, '{"annotations":{"a":' + "[" * 100000],
                         ids=["arrays", "objects", "in annotations"])
def test_nested_without_end(container, text):
    c = container()
    c.bundle.write(text)
    c.fails("create", match=r"config\.json: .*")


def test_unknown_keys_are_no_error(container):
    c = container(args=["/bin/true"], futureProperty={"a": [1, {"b": None}]})
    c.run()


def test_null_means_absent(container):
    c = container(args=["/bin/true"], hooks=None, annotations=None)
    c.run()


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "socket", "missing", "dangling link"])
def test_config_that_is_no_file(container, kind):
    """One error within a moment: never a hang."""
    c = container()
    path = c.bundle.path / "config.json"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        os.mknod(path, 0o20600, os.makedev(1, 5))
    elif kind == "socket":
        import socket
        s = socket.socket(socket.AF_UNIX)
        old = os.getcwd()
        os.chdir(c.bundle.path)
        s.bind("config.json")
        os.chdir(old)
        s.close()
    elif kind == "dangling link":
        path.symlink_to("/no/such/file")
    c.fails("create", match=r".*config\.json.*", timeout=5)


def test_huge_config(container):
    """Sparse: 8 GiB that are never read."""
    c = container()
    with open(c.bundle.path / "config.json", "wb") as f:
        f.truncate(8 << 30)
    c.fails("create", match=r"config\.json: .*", timeout=5)


@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_long_strings(container, size):
    """An error or correct, never a crash."""
    for changes in (at("process.cwd", "/" + "x" * size), at("hostname", "h" * size), at("annotations", {"a": "x" * size}),
                    at("process.env", ["A=" + "x" * size]), at("linux.maskedPaths", ["/" + "x" * size])):
        c = container(args=["/bin/true"], **changes)
        assert c.runtime.call("run", "--bundle", c.bundle.path, c.id).rc in (0, 1)


def test_many_of_everything(container):
    c = container(args=["/bin/true"], annotations={str(n): "x" for n in range(10000)},
                  process={"env": [f"V{n}=x" for n in range(5000)]})
    c.run()


def test_several_faults_one_line(container):
    c = container(**merge(at("process.cwd", 1), at("root.readonly", 2)))
    c.fails("create", match=r"config\.json: (process\.cwd|root\.readonly): .*")
    c.runtime.made.clear()


@pytest.mark.parametrize("text", ["\ufeff{}", "{'a':1}", "{//x\n}", '{"a":01}', '{"a":NaN}', '{"a":"\\ud800"}', '{"a":"\t"}'])
def test_what_is_not_json(container, text):
    c = container()
    c.bundle.write(text)
    c.fails("create", match=r"config\.json: .*")
    c.runtime.made.clear()


def test_invalid_utf8(container):
    c = container()
    (c.bundle.path / "config.json").write_bytes(json.dumps(c.config).encode().replace(b'"box"', b'"\xff\xfe"'))
    c.fails("create", match=r"config\.json: .*")
    c.runtime.made.clear()


def test_case_of_a_security_key(container):
    """`NoNewPrivileges`: Go would honour it, so passing over it in silence drops a protection."""
    c = container()
    c.config["process"]["NoNewPrivileges"] = c.config["process"].pop("noNewPrivileges")
    c.rewrite()
    refused(c, "process.NoNewPrivileges")
