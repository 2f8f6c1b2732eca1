# SPDX-License-Identifier: Apache-2.0
"""libocispec against documents: what is accepted, what is refused and with which words, the specification's schema,
mutants of every row, and hostile input. OCIDUMP names the driver (default: build/tests/spec/ocidump)."""
import functools
import json
import os
import resource
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import mutants  # noqa: E402
import schema_check  # noqa: E402

OCIDUMP = os.environ.get("OCIDUMP") or os.path.join(HERE, "../../build/tests/spec/ocidump")
DOCUMENTS = ("config", "process", "resources", "state", "features", "container-process-state")
MIB = 1 << 20

if not os.access(OCIDUMP, os.X_OK):
    raise RuntimeError(f"{OCIDUMP} is not there: build it, or name it in OCIDUMP")
ROWS = mutants.table(OCIDUMP)


def names(folder):
    return sorted(n[:-5] for n in os.listdir(os.path.join(HERE, folder)) if n.endswith(".json"))


def read(*parts, default=None):
    path = os.path.join(HERE, *parts)
    if default is not None and not os.path.exists(path):
        return default
    with open(path, encoding="utf-8", newline="") as f:
        return f.read()


def run(*args, data=None):
    return subprocess.run([OCIDUMP, *args], input=data, capture_output=True, timeout=20)


def ask(*documents, timeout=20):
    return mutants.answers(OCIDUMP, documents, timeout)


def kind_of(name):
    return name.split(".")[0]


@pytest.mark.parametrize("name", names("accept"))
def test_accept(name):
    """The canonical document says what the original says, and is canonical: written again it is the same."""
    done = run("--notes", kind_of(name), os.path.join(HERE, "accept", name + ".json"))
    assert done.stderr.decode() == read("accept", name + ".notes", default="")
    assert done.returncode == 0
    expected = json.loads(read("accept", name + ".out", default=read("accept", name + ".json")))
    assert json.loads(done.stdout) == expected
    again = run("--notes", kind_of(name), "-", data=done.stdout)
    assert (again.returncode, again.stdout) == (0, done.stdout)


@pytest.mark.parametrize("name", names("reject"))
def test_reject(name):
    done = run(kind_of(name), os.path.join(HERE, "reject", name + ".json"))
    assert done.stderr.decode() == read("reject", name + ".txt")
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize("name", names("reject"))
def test_all_errors_begin_with_the_first(name):
    """Who wants every error hears the same one first, and goes on."""
    done = run("--all", kind_of(name), os.path.join(HERE, "reject", name + ".json"))
    expected = read("reject", name + ".txt")
    assert done.stderr.decode() == expected
    assert done.stdout.decode().startswith(expected)
    assert done.returncode == 1


def test_accepted_documents_have_no_error():
    for name in names("accept"):
        done = run("--all", kind_of(name), os.path.join(HERE, "accept", name + ".json"))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), name


def test_all_errors():
    """One of each kind in one document: each is told once, with its place, and what follows is still looked at.
    Rules about several members (here: two namespaces of one type) wait until the object is whole."""
    text = """{
"ociVersion": 5,
"Hostname": "x",
"process": {"cwd": "relative", "args": "sh", "rlimits": [{"type": "RLIMIT_NOPE", "soft": 1, "hard": 1}, {"soft": -1}], "cwd": "/"},
"mounts": [{"source": "a"}, 7, {"destination": "/x", "options": [1, "ro"], "uidMappings": []}, {"destination": ""}],
"annotations": {"a": "b", "a": "c", "": "d"},
"linux": {"namespaces": [{"type": "pid"}, {"type": "net"}, {"type": "pid"}, "uts"], "cgroupsPath": [{"x": [1, 2]}],
  "resources": {"pids": {"limit": 1.5}, "cpu": {"quota": 10, "burst": 20}, "devices": {"a": {"b": null}}}}
}"""
    done = run("--all", "config", "-", data=text.encode())
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 1
    found = [line.split(": ", 2)[:2] for line in lines]
    assert found == [
        ["2:15", "ociVersion"], ["3:1", "Hostname"], ["4:20", "process.cwd"], ["4:40", "process.args"],
        ["4:67", "process.rlimits[0].type"], ["4:114", "process.rlimits[1].soft"], ["4:105", "process.rlimits[1].type"],
        ["4:105", "process.rlimits[1].hard"], ["4:120", "process.cwd"],
        ["5:12", "mounts[0].destination"], ["5:29", "mounts[1]"], ["5:66", "mounts[2].options[0]"],
        ["5:32", "mounts[2].gidMappings"], ["5:112", "mounts[3].destination"],
        ["6:37", "annotations[\"\"]"], ["6:27", "annotations.a"],
        ["7:52", "linux.namespaces[1].type"], ["7:77", "linux.namespaces[3]"], ["7:100", "linux.cgroupsPath"],
        ["8:35", "linux.resources.pids.limit"], ["8:71", "linux.resources.cpu.burst"], ["8:87", "linux.resources.devices"],
        ["1:1", "root"]], "\n".join(lines)


def test_errors_before_bad_json():
    done = run("--all", "config", "-", data=b'{"ociVersion": 5, "hostname": 6, ]')
    assert [line.split(": ")[1] for line in done.stdout.decode().splitlines()][:2] == ["ociVersion", "hostname"]
    assert "not valid JSON" in done.stdout.decode().splitlines()[2]


def test_number_of_errors_is_bounded():
    text = json.dumps({"ociVersion": "1.0.0", "root": {"path": "r"}, "mounts": [1] * 5000})
    done = run("--all", "config", "-", data=text.encode())
    assert len(done.stdout.splitlines()) == 101


def test_every_reject_has_its_message_and_none_is_left_over():
    folder = os.listdir(os.path.join(HERE, "reject"))
    assert sorted(n[:-4] for n in folder if n.endswith(".txt")) == names("reject")


@functools.lru_cache(maxsize=None)
def answered_mutants():
    """All mutants by row, with the driver's answers: one process for all of them."""
    made = [(number, m) for number, row in enumerate(ROWS) if row["kind"] != "skip" for m in mutants.mutants([row])]
    answers = ask(*((m[0], m[2]) for _, m in made), timeout=60)
    by_row = {}
    for (number, m), line in zip(made, answers):
        by_row.setdefault(number, []).append((m, line))
    return by_row


@pytest.mark.parametrize("number", [n for n, r in enumerate(ROWS) if r["kind"] != "skip"],
                         ids=lambda n: f"{ROWS[n]['doc']}:{ROWS[n]['path']}")
def test_mutants(number):
    answered = answered_mutants()[number]
    assert len(answered) >= 5
    bad = [(m[1], m[2][:2000], line) for m, line in answered if mutants.verdict(line, m[1], m[3], m[4])]
    assert not bad


def test_number_of_mutants():
    total = sum(len(answered) for answered in answered_mutants().values())
    assert total > 10 * len(ROWS)


def fake_driver(tmp_path, rows):
    """A driver whose tables are `rows`."""
    (tmp_path / "table.json").write_text(json.dumps(rows))
    driver = tmp_path / "ocidump"
    driver.write_text(f"#!/bin/sh\nexec cat {tmp_path}/table.json\n")
    driver.chmod(0o755)
    return str(driver)


def compare_with_schema(monkeypatch, capsys, driver):
    monkeypatch.chdir(HERE)
    status = schema_check.main(["schema_check.py", driver])
    out = capsys.readouterr().out
    if status == 77:
        pytest.skip(out.strip())
    return status, out


def test_schema(monkeypatch, capsys):
    status, out = compare_with_schema(monkeypatch, capsys, OCIDUMP)
    assert status == 0, out


@pytest.mark.parametrize("path, change, expected", [
    ("linux.netDevices{}.name", None, "neither a row"),
    ("process.cwd", {"required": False}, "required"),
    ("linux.namespaces[].type", {"words": ["pid"]}, "enum"),
    ("linux.resources.blockIO.weight", {"max": 70000}, "range"),
    ("process.terminal", {"kind": "string"}, "type"),
    ("linux.seccomp.syscalls[].names", {"min_items": 0}, "min_items"),
])
def test_schema_check_sees(monkeypatch, capsys, tmp_path, path, change, expected):
    """A row that is missing or says something else than the schema is found and named."""
    rows = [dict(r, **(change or {})) if (r["doc"], r["path"]) == ("config", path) else r for r in ROWS
            if change or (r["doc"], r["path"]) != ("config", path)]
    assert rows != ROWS
    if expected == "range":  # only a deviation from the deviation: without its line
        real = schema_check.read_lines
        monkeypatch.setattr(schema_check, "read_lines", lambda name, n: {
            k: v for k, v in real(name, n).items() if k[1:] != (path, "range")})
    status, out = compare_with_schema(monkeypatch, capsys, fake_driver(tmp_path, rows))
    assert status == 1 and f"config {path}: {expected}" in out


@pytest.mark.parametrize("doc", DOCUMENTS)
def test_truncated_at_every_byte(doc):
    data = read("accept", doc + ".full.json").encode().rstrip()
    lines = ask(*((doc, data[:n]) for n in range(len(data))), timeout=60)
    assert len(lines) == len(data) > 100
    # a number that is cut may be too small before the end of the text is seen
    assert [n for n, line in enumerate(lines)
            if "not valid JSON" not in line and "expected a whole number" not in line] == []
    assert sum("the document ends too early" in line for line in lines) > len(lines) // 2


@pytest.mark.parametrize("doc", DOCUMENTS)
def test_one_byte_changed(doc):
    """Nothing to be expected but one line for each; the sanitizers watch when OCIDUMP was built with them."""
    data = json.dumps(json.loads(read("accept", doc + ".full.json")), separators=(",", ":")).encode()
    documents = [(doc, data[:n] + bytes([b]) + data[n + 1:]) for n in range(len(data)) for b in b'"\\{]\x00\xff-'
                 if len(data) < 2000 or n % 3 == b % 3]
    lines = ask(*documents, timeout=120)
    refused = [line for line in lines if line != "ok"]
    assert len(refused) > len(documents) // 4
    assert all(line.split(":")[0].isdigit() and line.split(":")[0] != "0" for line in refused)


DEEP = 100000


@pytest.mark.parametrize("document", [
    "[" * DEEP, '{"x":' * DEEP, '{"x":' + "[" * DEEP + "]" * DEEP + "}", '{"windows":' + '{"a":' * DEEP,
    '{"mounts":' + "[" * DEEP, '{"linux":{"resources":' + '{"x":' * DEEP,
    '{"ociVersion":"1.3.0","root":{"path":"x"},"y":' + '[{"a":' * DEEP,
], ids=lambda d: d[:24].replace("/", " "))
def test_nested_deep(document):
    start = time.monotonic()
    line, = ask(("config", document))
    assert ": " in line and line != "ok" and len(line) < 1200
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("depth, ok", [(64, True), (65, False)])
def test_nested_to_the_limit(depth, ok):
    inner = "[" * (depth - 1) + "]" * (depth - 1)
    line, = ask(("config", '{"ociVersion":"1.3.0","root":{"path":"x"},"x":' + inner + "}"))
    assert (line == "ok") == ok and (ok or "nested deeper than 64 levels" in line)


def config_with(text):
    return ("config", '{"ociVersion":"1.3.0","root":{"path":"x"},' + text + "}")


def many(n, form):
    return ",".join(form % i for i in range(n))


@pytest.mark.parametrize("document, expected", [
    (config_with('"hostname":"' + "h" * MIB + '"'), "ok"),
    (config_with('"hostname":"' + "h" * (MIB + 1) + '"'),
     "hostname: a string of 1048577 bytes — no more than 1048576"),
    (config_with('"annotations":{"' + "k" * (MIB + 1) + '":"x"}'), "annotations: a string of 1048577 bytes"),
    (config_with('"x":"' + "é" * MIB + '"'), "x: a string of 2097152 bytes"),
    (config_with('"x":' + "9" * (2 * MIB)), "ok"),
    (config_with('"linux":{"resources":{"pids":{"limit":' + "9" * (2 * MIB) + "}}}"),
     "linux.resources.pids.limit: 9999"),
    (config_with('"linux":{"resources":{"pids":{"limit":0.' + "0" * (2 * MIB) + "}}}"),
     "linux.resources.pids.limit: 0.000"),
    (config_with(many(300000, '"k%d":1')), "ok"),
    (config_with(many(300000, '"k%d":1') + ',"k1":1'), "k1: duplicate key"),
    (config_with('"annotations":{' + many(300000, '"k%d":"v"') + ',"k299999":""}'),
     "annotations.k299999: duplicate key"),
    (config_with('"linux":{"netDevices":{' + many(100000, '"e%d":{}') + "}}"), "ok"),
    (config_with('"mounts":[' + many(100000, '{"destination":"/%d"}') + "]"), "ok"),
    (config_with('"mounts":[' + many(100000, '{"destination":"/%d"}') + ',{"destination":""}]'),
     'mounts[100000].destination: "" — must not be empty'),
    (config_with('"mounts":[' + many(100000, '{"destination":"/%d"}') + ',{"destination":"/x","uidMappings":[]}]'),
     "mounts[100000].gidMappings: required, but absent"),
    (config_with('"process":{"cwd":"/","user":{"additionalGids":[' + "0," * (4 * MIB) + "0]}}"), "ok"),
    (config_with('"process":{"cwd":"/","user":{"additionalGids":[' + "0," * (20 * MIB) + "0]}}"),
     "process.user.additionalGids[16777216]: the document needs more memory"),
    (config_with('"mounts":[' + '{"destination":"/"},' * (3 * MIB) + '{"destination":"/"}]'),
     "needs more memory than is"),
    (("config", " " * (64 * MIB) + "{}"), "a document of 67108866 bytes — no more than 67108864 are allowed"),
], ids=range(18))
def test_large(document, expected):
    def used():
        return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    before = used()
    line, = ask(document, timeout=120)
    assert line == "ok" if expected == "ok" else expected in line and len(line) < 1200
    assert used() - before < 30


def test_a_file_that_is_not_there_is_no_refusal():
    assert run("config", "/nonexistent/config.json").returncode == 2
