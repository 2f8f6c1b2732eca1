# SPDX-License-Identifier: Apache-2.0
"""check: every finding at once, each true (create agrees), and nothing is made or changed."""
import json
import os
import re

import pytest
from harness.config import CAPS, MOUNTS, bind, namespaces, tmpfs
from harness.needs import has
from harness.strace import strace

pytestmark = pytest.mark.hull_only(reason="peers have no such command")

# What makes or changes something. Nothing of it may be called; opening a file for writing is looked for apart.
EFFECTS = ("mkdir,mkdirat,mknod,mknodat,unlink,unlinkat,rename,renameat,renameat2,rmdir,symlink,symlinkat,link,linkat,mount,umount2,"
           "move_mount,open_tree,fsmount,mount_setattr,pivot_root,clone,clone3,fork,vfork,unshare,setns,execve,chmod,fchmod,fchmodat,chown,"
           "fchown,fchownat,setxattr,fsetxattr,bind,connect,sethostname,kill,bpf,ptrace")
READS = ("syscall_0x1c9(", "syscall_0x1ca(")  # statmount and listmount, which an older strace shows whatever it was asked for


@pytest.fixture
def check(hull):
    """check(container, rc=…) → [(level, path, message)]"""
    def run(c, *options, rc=None):
        r = hull.call("check", "--bundle", c.bundle.path, *options)
        assert r.err == "" and r.rc in (0, 1), r
        found = [tuple(line.split(": ", 2)) for line in r.out.splitlines()]
        found = [f if re.match(r"[a-z]\w*[.\[:]|\w+$", f[1]) else (f[0], "", ": ".join(f[1:])) for f in found]
        assert r.rc == (1 if any(f[0] == "error" for f in found) else 0)
        assert rc is None or r.rc == rc, r.out
        return found
    return run


def errors(found):
    return [f[1] for f in found if f[0] == "error"]


def test_nothing_to_say(container, check):
    """What works: only what can't be known before the container is there."""
    c = container()
    assert check(c, rc=0) == [("note", "process.args[0]", '"/bin/probe" — is looked up in the container')]
    c.run()


def test_no_effect(container, hull, tmp_path):
    """Seen from outside (the fixture compares the host) and in the calls: no directory, mount, process; nothing opened for writing."""
    c = container(linux={"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}, "resources": {"pids": {"limit": 10}}}, mounts=[*MOUNTS, bind("/nowhere", "/x")])
    trace = tmp_path / "trace"
    before = {p: os.stat(p).st_mtime_ns for p in (c.bundle.path, c.bundle.rootfs, c.bundle.path / "config.json")}
    r = hull.call("check", "--bundle", c.bundle.path,
                  wrap=strace("-f", "-qq", "-o", str(trace), "-e", f"trace={EFFECTS},openat,open,creat"))
    assert r.rc == 1
    calls = [line.split(None, 1)[1] for line in trace.read_text().splitlines() if re.match(r"\d+ +\w+\(", line)]
    assert len(calls) > 5 and sum(call.startswith("execve(") for call in calls) == 1, "strace saw the program"
    for call in (x for x in calls[1:] if not x.startswith(READS)):
        assert call.startswith("open"), call
        assert not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", call) or "/dev/null" in call, call
        assert str(c.bundle.rootfs) + "/" not in call, f"looked below the rootfs: {call}"
    assert {p: os.stat(p).st_mtime_ns for p in before} == before
    assert not hull.root.exists()


def test_every_error_of_the_document(container, check):
    c = container(process={"cwd": "relative", "argz": []}, ociVersion="7", linux={"resources": {"pids": {"limit": "many"}}})
    found = check(c, rc=1)
    assert errors(found) == ["ociVersion", "process.cwd", "linux.resources.pids.limit"]
    assert ("warning", "process.argz", 'unknown property, ignored; did you mean "args"?') in found
    assert found[-1] == ("note", "", "the host is looked at when the document has no errors")


def test_unknown_key_is_no_error(container, check):
    found = check(container(process={"noNewPrivilege": True}), rc=0)
    assert ("warning", "process.noNewPrivilege", 'unknown property, ignored; did you mean "noNewPrivileges"?') in found


def test_bad_json(container, check):
    c = container()
    c.bundle.write("{")
    (level, path, text), note = check(c, rc=1)
    assert (level, path) == ("error", "") and "not valid JSON" in text and note[0] == "note"


def test_everything_that_the_plan_refuses(container, check, tmp_path):
    """Each at its own place in the document, although the plan itself ends at the first."""
    mounts = [*MOUNTS, tmpfs("/a", "tmpcopyup"), {"destination": "/b", "options": ["tmpcopyup"], "type": "bind", "source": str(tmp_path)},
              tmpfs("/c"), {"destination": "/d"}, {"destination": "/e", "type": "tmpfs", "options": ["ro", "=x"]},
              {"destination": "/f"}, tmpfs("/g", "ro")]
    c = container(mounts=mounts, hostname="h" * 65, process={"user": {"uid": 2**32 - 1, "gid": 0}, "consoleSize": {"width": 70000, "height": 1}, "terminal": True},
                  linux={"sysctl": {"kernel.nosuch": "1"}})
    assert sorted(errors(check(c, rc=1))) == sorted(
        ["mounts[8].options[0]", "mounts[10].type", "mounts[11].options[1]", "mounts[12].type", "hostname", "process.user.uid",
         "process.consoleSize", 'linux.sysctl["kernel.nosuch"]'])


def test_warnings_of_the_plan(container, check):
    found = check(container(process={"capabilities": {"bounding": ["CAP_NO_SUCH", *CAPS]}}), rc=0)
    assert ("warning", "process.capabilities.bounding[0]", '"CAP_NO_SUCH" is not a capability of this kernel: not granted') in found


def test_paths_of_the_host(container, check, tmp_path):
    plain, folder = tmp_path / "plain", tmp_path / "folder"
    plain.write_text("")
    folder.mkdir()
    hooks = {"prestart": [{"path": "/no/hook"}, {"path": str(plain)}], "createRuntime": [{"path": str(folder)}, {"path": "/bin/true"}],
             "startContainer": [{"path": "/in/the/image"}], "poststop": [{"path": "/no/other"}]}
    c = container(hooks=hooks, mounts=[*MOUNTS, bind("/no/source", "/x"), bind("relative/one", "/y"), bind(folder, "/z")])
    found = check(c, rc=1)
    assert errors(found) == ["mounts[7].source", "mounts[8].source", "hooks.prestart[0].path", "hooks.prestart[1].path",
                             "hooks.createRuntime[0].path", "hooks.poststop[0].path"]
    text = {f[1]: f[2] for f in found}
    assert text["mounts[7].source"] == '"/no/source" — no such file or directory'
    assert "can't be executed: permission denied" in text["hooks.prestart[1].path"]
    assert "is not a regular file" in text["hooks.createRuntime[0].path"]
    assert ("note", "hooks.startContainer[0].path", '"/in/the/image" — is looked up in the container') in found


def test_rootfs(container, check):
    c = container(root={"path": "nowhere"})
    assert errors(check(c)) == ["root.path"]
    c.rewrite(root={"path": "config.json"})
    assert ("error", "root.path", '"config.json" — not a directory') in check(c)
    c.fails("create", match=r".*config\.json.*")


def test_file_system_that_is_not_there(container, check):
    c = container(mounts=[*MOUNTS, {"destination": "/x", "type": "nosuchfs", "source": "none"}])
    assert [f[:2] for f in check(c, rc=0) if f[0] == "warning"] == [("warning", "mounts[7].type")]
    c.fails("create", match=r".*nosuchfs.*")


@pytest.mark.parametrize("kind,path,text", [
    ("network", "/no/such", "no such file or directory"), ("network", "/etc/passwd", "is not a namespace"),
    ("network", "/proc/self/ns/ipc", 'is a namespace of another type than "network"')])
def test_namespace_paths(container, check, kind, path, text):
    c = container(linux={"namespaces": namespaces(**{kind: path})})
    assert ("error", "linux.namespaces[5].path", f'"{path}" — {text}') in check(c, rc=1)
    c.fails("create", match=r".*namespaces\[5\].*")


def test_namespace_path_that_would_block(container, check, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    c = container(linux={"namespaces": namespaces(network=str(tmp_path / "fifo"))})
    assert ("error", "linux.namespaces[5].path", f'"{tmp_path}/fifo" — is not a namespace') in check(c, rc=1)


def test_good_namespace_path(container, check):
    assert check(container(linux={"namespaces": namespaces(network="/proc/self/ns/net")}), rc=0)[0][0] == "note"


def test_cgroup_of_somebody_else(container, check):
    other = container(args=["/bin/sleep", "100"])
    other.detach()
    c = container(linux={"cgroupsPath": other.cgroup})
    found = [f for f in check(c, rc=1) if f[0] == "error"]
    assert found and all(f[1] == "linux.cgroupsPath" and "holds processes already" in f[2] for f in found)
    c.fails("create", match=r".*linux\.cgroupsPath.*")


def test_cgroup_values(container, check):
    cpus = os.sysconf("SC_NPROCESSORS_CONF")
    c = container(linux={"resources": {"cpu": {"cpus": "0-4095", "mems": "0"}, "network": {"classID": 1}}})
    found = errors(check(c, rc=1))
    assert cpus < 4096 and "linux.resources.cpu.cpus" in found
    assert ("linux.resources.network.classID" in found) == has("no net_cls hierarchy")
    c.fails("create", match=r".*linux\.resources\..*")


def test_limits_of_the_caller(container, check):
    nr_open = int(open("/proc/sys/fs/nr_open").read())
    c = container(process={"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": nr_open + 1}, {"type": "RLIMIT_NPROC", "soft": 10, "hard": 10}]})
    assert errors(check(c, rc=1)) == ["process.rlimits[0].hard"]
    c.fails("create", match=r".*rlimits.*|.*RLIMIT_NOFILE.*")


def test_sysctl_that_is_not_there(container, check):
    c = container(linux={"sysctl": {"net.ipv4.nosuch": "1", "net.ipv4.ip_forward": "1"}})
    assert [f[1] for f in check(c, rc=0) if f[0] == "warning"] == ['linux.sysctl["net.ipv4.nosuch"]']
    c.fails("create", match=r".*net.ipv4.nosuch.*")


def test_json(container, hull):
    c = container(hostname="h" * 65, root={"path": "nowhere"})
    r = hull("check", "--json", "--bundle", c.bundle.path, rc=1)
    doc = r.json()
    assert doc["errors"] == 2
    assert [f["path"] for f in doc["findings"] if f["level"] == "error"] == ["hostname", "root.path"]
    c.bundle.write(json.dumps({"ociVersion": "1.0.0", "root": {"path": 5}}))
    wrong = hull("check", "--json", "--bundle", c.bundle.path, rc=1).json()["findings"][0]
    assert (wrong["path"], wrong["line"], wrong["column"]) == ("root.path", 1, 42)


def test_another_file(container, hull, check):
    c = container()
    c.bundle.write({**c.config, "hostname": "h" * 65}, name="other.json")
    assert check(c, rc=0)
    assert errors(check(c, "--config", "other.json", rc=1)) == ["hostname"]


def test_what_is_no_check(container, hull, tmp_path):
    """Exit status 2: nothing was found out."""
    hull.fails("check", "--bundle", tmp_path / "nowhere", rc=2, match=r"bundle .*nowhere: no such file or directory")
    hull.fails("check", "--bundle", tmp_path, rc=2, match=r"open .*config\.json: no such file or directory")
