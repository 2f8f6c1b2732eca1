# SPDX-License-Identifier: Apache-2.0
"""features: each word of the document works in a container, and what it doesn't list is refused.

The vocabularies stand here once more, from the specification: a word that somebody takes out of the document must be
refused, one that somebody adds must work."""
import json
import os
import re
import socket
from pathlib import Path

import pytest
from harness import mountinfo, world
from harness.config import DELETE, MOUNTS, bind, namespaces, tmpfs
from harness.needs import skip_without
from harness.strace import strace

pytestmark = pytest.mark.hull_only(reason="the document is hull's own")

NAMESPACE_FILES = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "user": "user",
                   "time": "time"}
HOOKS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
ACTIONS = {  # what a forbidden mkdir is answered with
    "SCMP_ACT_KILL": 159, "SCMP_ACT_KILL_PROCESS": 159, "SCMP_ACT_KILL_THREAD": 159, "SCMP_ACT_TRAP": 159, "SCMP_ACT_ERRNO": "EPERM",
    "SCMP_ACT_TRACE": "ENOSYS", "SCMP_ACT_ALLOW": "0", "SCMP_ACT_LOG": "0", "SCMP_ACT_NOTIFY": None,
}
OPERATORS = {  # compared with 2, the signal of the call; each hits
    "SCMP_CMP_NE": (3, 0), "SCMP_CMP_LT": (3, 0), "SCMP_CMP_LE": (2, 0), "SCMP_CMP_EQ": (2, 0), "SCMP_CMP_GE": (2, 0),
    "SCMP_CMP_GT": (1, 0), "SCMP_CMP_MASKED_EQ": (3, 2),
}
ARCHS = ["SCMP_ARCH_" + a for a in ("X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64",
                                    "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64",
                                    "LOONGARCH64", "M68K", "SH", "SHEB")]
FLAGS = ["SECCOMP_FILTER_FLAG_" + f for f in ("TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV")]
POLICY_MODES = ["MPOL_" + m for m in ("DEFAULT", "BIND", "INTERLEAVE", "WEIGHTED_INTERLEAVE", "PREFERRED", "PREFERRED_MANY", "LOCAL")]
POLICY_FLAGS = ["MPOL_F_" + f for f in ("NUMA_BALANCING", "RELATIVE_NODES", "STATIC_NODES")]

# Words of config.md's table and of crun: options of a mount → what the mount must and must not have afterwards.
TMPFS_WORDS = {
    "async": (["sync", "async"], "", "sync"), "atime": (["noatime", "atime"], "", "noatime"), "defaults": (["defaults"], "rw", ""),
    "dev": (["nodev", "dev"], "", "nodev"), "diratime": (["nodiratime", "diratime"], "", "nodiratime"), "dirsync": (["dirsync"], "dirsync", ""),
    "exec": (["noexec", "exec"], "", "noexec"), "iversion": (["iversion"], "", ""), "lazytime": (["lazytime"], "lazytime", ""),
    "loud": (["loud"], "", ""), "mand": (["mand"], "", ""), "noatime": (["noatime"], "noatime", ""), "nodev": (["nodev"], "nodev", ""),
    "nodiratime": (["nodiratime"], "nodiratime", ""), "noexec": (["noexec"], "noexec", ""), "noiversion": (["noiversion"], "", ""),
    "nolazytime": (["lazytime", "nolazytime"], "", "lazytime"), "nomand": (["mand", "nomand"], "", "mand"),
    "norelatime": (["noatime", "norelatime"], "", "noatime"), "nostrictatime": (["strictatime", "nostrictatime"], "relatime", ""),
    "nosuid": (["nosuid"], "nosuid", ""), "nosymfollow": (["nosymfollow"], "nosymfollow", ""), "private": (["private"], "", "shared"),
    "relatime": (["relatime"], "relatime", ""), "ro": (["ro"], "ro", "rw"), "rprivate": (["rprivate"], "", "shared"),
    "rw": (["ro", "rw"], "rw", "ro"), "shared": (["shared"], "shared", ""), "rshared": (["rshared"], "shared", ""),
    "silent": (["silent"], "", ""), "slave": (["slave"], "", "shared"), "rslave": (["rslave"], "", "shared"),
    "strictatime": (["noatime", "strictatime"], "", "noatime relatime"), "suid": (["nosuid", "suid"], "", "nosuid"),
    "symfollow": (["nosymfollow", "symfollow"], "", "nosymfollow"), "sync": (["sync"], "sync", ""), "tmpcopyup": (["tmpcopyup"], "", ""),
    "unbindable": (["unbindable"], "unbindable", ""), "runbindable": (["runbindable"], "unbindable", ""),
}
BIND_WORDS = {  # of a recursive bind: seen on the sub-mount, too
    "bind": ([], "", ""), "rbind": ([], "", ""), "ratime": (["rnoatime", "ratime"], "", "noatime"), "rdev": (["rnodev", "rdev"], "", "nodev"),
    "rdiratime": (["rnodiratime", "rdiratime"], "", "nodiratime"), "rexec": (["rnoexec", "rexec"], "", "noexec"),
    "rnoatime": (["rnoatime"], "noatime", ""), "rnodev": (["rnodev"], "nodev", ""), "rnodiratime": (["rnodiratime"], "nodiratime", ""),
    "rnoexec": (["rnoexec"], "noexec", ""), "rnorelatime": (["rnoatime", "rnorelatime"], "", "noatime"),
    "rnostrictatime": (["rstrictatime", "rnostrictatime"], "relatime", ""), "rnosuid": (["rnosuid"], "nosuid", ""),
    "rnosymfollow": (["rnosymfollow"], "nosymfollow", ""), "rrelatime": (["rrelatime"], "relatime", ""), "rro": (["rro"], "ro", "rw"),
    "rrw": (["rro", "rrw"], "rw", "ro"), "rstrictatime": (["rnoatime", "rstrictatime"], "", "noatime relatime"),
    "rsuid": (["rnosuid", "rsuid"], "", "nosuid"), "rsymfollow": (["rnosymfollow", "rsymfollow"], "", "nosymfollow"),
}
# Of these another test knows what they do; here only: listed and planned, or neither.
OTHER_WORDS = {"remount": ["remount", "ro"], "idmap": ["rbind", "idmap"], "ridmap": ["rbind", "ridmap"], "copy-symlink": ["rbind", "copy-symlink"],
               "src-nofollow": ["rbind", "src-nofollow"], "dest-nofollow": ["rbind", "dest-nofollow"]}
IDS = [{"containerID": 0, "hostID": 0, "size": 65536}]


@pytest.fixture
def features(hull):
    return hull("features").json()


@pytest.fixture
def planned(container, hull, tmp_path):
    """planned(changes…): can hull plan this container for a host that has everything? True, or its error."""
    facts = tmp_path / "facts"
    facts.write_text("apparmor 1\nselinux 1\n")

    def ask(**changes):
        c = container(**changes)
        r = hull.call("explain", "--facts", facts, "--bundle", c.bundle.path, c.id)
        return True if r.rc == 0 else r.err
    return ask


def refused(answer, word):
    """The error names what was asked for, and says that it isn't to be had."""
    return answer is not True and word in answer and "not supported" in answer


def same(listed, vocabulary):
    assert len(listed) == len(set(listed)), "a word stands there twice"
    assert set(listed) <= set(vocabulary), "a word that the test doesn't know"


def test_versions(features, container):
    assert (features["ociVersionMin"], features["ociVersionMax"]) == ("1.0.0", "1.3.0")
    for version in (features["ociVersionMin"], features["ociVersionMax"]):
        assert container(ociVersion=version).run().rc == 0
    for version in ("0.9.0", "2.0.0"):
        container(ociVersion=version).fails("create", match=rf'config\.json: ociVersion: "{version}" .*')


def test_schema(features):
    """The document against the specification's own schema."""
    skip_without("jsonschema")
    import jsonschema
    repo = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("HULL_SPEC_SCHEMA") or repo / "../shared/spec/schema")
    if not (folder / "features-schema.json").exists():
        pytest.skip(f"the specification's schema is not in {folder}")
    schema = json.loads((folder / "features-schema.json").read_text())
    store = {name: json.loads((folder / name).read_text()) for name in os.listdir(folder) if name.endswith(".json")}
    base = schema.get("id") or schema.get("$id") or ""
    by_url = {base.rsplit("/", 1)[0] + "/" + name: text for name, text in store.items()}
    resolver = jsonschema.RefResolver(base, schema, store={**store, **by_url})
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft4Validator)
    kind(schema, resolver=resolver).validate(features)
    broken = dict(features, hooks="all")
    assert list(kind(schema, resolver=resolver).iter_errors(broken)), "this validator finds nothing"


def test_anybody_may_ask(hull, features):
    """No privilege, no state directory, no cgroup of one's own; nothing of the host is in it."""
    r = hull("features", wrap=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"])
    assert r.json() == features
    assert not hull.root.exists()


def test_no_arguments(hull):
    hull.fails("features", "x", match='features: unexpected argument "x".*')


def test_version_annotations(hull, features):
    """The same facts as --version."""
    version = dict(re.findall(r"^(\w+):? (?:version )?(\S+)", hull("--version").out, re.M))
    assert features["annotations"] == {"io.github.seccomp.libseccomp.version": version["libseccomp"],
                                       "run.oci.hull.commit": version["commit"], "run.oci.hull.version": version["hull"]}


@pytest.mark.parametrize("kind", NAMESPACE_FILES)
def test_namespace(features, container, kind):
    same(features["linux"]["namespaces"], NAMESPACE_FILES)
    linux = {"namespaces": [n for n in namespaces() if n["type"] != kind] + [{"type": kind}]}
    if kind == "user":
        linux |= {"uidMappings": IDS, "gidMappings": IDS}
    c = container(linux=linux)
    if kind in features["linux"]["namespaces"]:
        assert c.probe()["ns"][NAMESPACE_FILES[kind]] != os.readlink(f"/proc/self/ns/{NAMESPACE_FILES[kind]}")
    else:
        c.fails("create", match=rf'config\.json: linux\.namespaces\[6\]\.type: "{kind}" .* not supported .*')


def test_hooks(features, container, tmp_path):
    assert features["hooks"] == HOOKS
    log = tmp_path / "hooks.log"
    hooks = {k: [{"path": "/bin/busybox", "args": ["busybox", "sh", "-c", f"echo {k} >>{log}"]}] for k in HOOKS if k != "startContainer"}
    hooks["startContainer"] = [{"path": "/bin/busybox", "args": ["busybox", "sh", "-c", "echo startContainer >/hook.log"]}]
    c = container(hooks=hooks, args=["/bin/true"])
    c.run()
    assert log.read_text().split() == [k for k in HOOKS if k != "startContainer"]
    assert (c.bundle.rootfs / "hook.log").read_text().split() == ["startContainer"]


def fields(mount):
    """Everything that mountinfo says of a mount; ro and rw are the mount's own."""
    return mount.options | (mount.super - {"ro", "rw"}) | set(mount.propagation)


def check_mount(seen, at, must, must_not):
    m = mountinfo.at(seen, at)
    assert m.at == at, f"{at} is not there"
    assert set(must.split()) <= fields(m), at
    assert not set(must_not.split()) & fields(m), at


def test_mount_words_of_a_file_system(features, container):
    words = sorted(TMPFS_WORDS)
    assert set(words) <= set(features["mountOptions"])
    mounts = [tmpfs(f"/m/{w}", *TMPFS_WORDS[w][0]) for w in words]
    seen = container(mounts=[*MOUNTS, *mounts]).probe()
    for w in words:
        check_mount(seen, f"/m/{w}", *TMPFS_WORDS[w][1:])


def test_mount_words_of_a_tree(features, container, tmp_path):
    words = sorted(BIND_WORDS)
    assert set(words) <= set(features["mountOptions"])
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    world.mount("tmpfs", str(source / "sub"), "tmpfs", 0, "size=64k")
    try:
        mounts = [bind(source, f"/m/{w}", "bind" if w == "bind" else "rbind", *BIND_WORDS[w][0]) for w in words]
        seen = container(mounts=[*MOUNTS, *mounts]).probe()
    finally:
        world.umount(str(source / "sub"))
    for w in words:
        for at in (f"/m/{w}", f"/m/{w}/sub")[:1 if w == "bind" else 2]:
            check_mount(seen, at, *BIND_WORDS[w][1:])
    assert "/m/bind/sub" not in [m.at for m in mountinfo.of(seen)]


def test_other_mount_words(features, planned, tmp_path):
    """Listed and planned, or neither; and no word is listed that isn't in one of these tables."""
    same(features["mountOptions"], {*TMPFS_WORDS, *BIND_WORDS, *OTHER_WORDS})
    for word, options in OTHER_WORDS.items():
        kind = {"type": "bind", "source": str(tmp_path)} if "rbind" in options else {"type": "tmpfs", "source": "tmpfs"}
        mounts = [tmpfs("/m")] if word == "remount" else []
        last = {"destination": "/m", "options": options, **kind}
        if "idmap" in word:
            last |= {"uidMappings": IDS, "gidMappings": IDS}
        answer = planned(mounts=[*MOUNTS, *mounts, last])
        if word in features["mountOptions"]:
            assert answer is True, word
        else:
            assert answer is not True and "not supported" in answer, word


def test_a_word_that_nobody_knows(container):
    container(mounts=[*MOUNTS, tmpfs("/m", "nosuchword")]).fails("create", match=r".*nosuchword.*")


def test_capabilities(features, container):
    """All that are listed, at once: what the caller has is granted, the rest is a warning that names it."""
    names = features["linux"]["capabilities"]
    same(names, names)
    assert all(re.fullmatch("CAP_[A-Z_]+", n) for n in names)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert len(names) == last + 1 and names[0] == "CAP_CHOWN" and names[21] == "CAP_SYS_ADMIN"
    c = container(process={"capabilities": {s: names for s in ("bounding", "permitted", "effective")}})
    r = c.run("--log-level", "warning")
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own = int(status["CapBnd"], 16) & int(status["CapPrm"], 16)
    assert int(r.json()["status"]["CapBnd"], 16) == own & (2 << last) - 1
    missing = [n for i, n in enumerate(names) if not own >> i & 1]
    assert "is not a capability" not in r.err
    assert sorted(re.findall(r'"(CAP_\w+)" can\'t be granted', r.err)) == sorted(missing)


def test_capability_that_is_not_listed(container):
    r = container(process={"capabilities": {"bounding": ["CAP_NO_SUCH"]}}).run("--log-level", "warning")
    assert '"CAP_NO_SUCH" is not a capability of this kernel' in r.err
    assert int(r.json()["status"]["CapBnd"], 16) == 0


def profile(action="SCMP_ACT_ERRNO", call="mkdir", args=None, **more):
    default = "SCMP_ACT_ERRNO" if action == "SCMP_ACT_ALLOW" and call is None else "SCMP_ACT_ALLOW"
    rule = {"names": [call, call + "at"] if call == "mkdir" else [call], "action": action}
    if args:
        rule["args"] = args
    return {"seccomp": {"defaultAction": default, "syscalls": [rule], **more}}


@pytest.mark.parametrize("action", ACTIONS)
def test_seccomp_action(features, container, action):
    seccomp = features["linux"]["seccomp"]
    assert seccomp["enabled"] is True
    same(seccomp["actions"], ACTIONS)
    if action not in seccomp["actions"]:
        container(linux=profile(action)).fails("create", match=rf'config\.json: linux\.seccomp.*"{action}".*not supported.*')
    elif ACTIONS[action] == 159:
        container(linux=profile(action), args=["/bin/mkdir", "/x"]).run(rc=159)
    elif ACTIONS[action] is not None:
        seen = container(linux=profile(action), args=["/bin/probe", "--mkdir", "/x"]).probe()
        assert (seen["status"]["Seccomp"], seen["mkdir /x"]["errno"]) == ("2", ACTIONS[action])


@pytest.mark.parametrize("op", OPERATORS)
def test_seccomp_operator(features, container, op):
    assert sorted(features["linux"]["seccomp"]["operators"]) == sorted(OPERATORS)
    value, two = OPERATORS[op]
    script = "trap : INT; kill -2 $$ && echo sent || echo refused"
    arg = {"index": 1, "value": value, "valueTwo": two, "op": op}
    assert container(linux=profile(call="kill", args=[arg]), args=["/bin/sh", "-c", script]).run().out == "refused\n"


@pytest.mark.parametrize("arch", ARCHS)
def test_seccomp_arch(features, container, arch):
    same(features["linux"]["seccomp"]["archs"], ARCHS)
    c = container(linux=profile(architectures=[arch]), args=["/bin/probe", "--mkdir", "/x"])
    if arch in features["linux"]["seccomp"]["archs"]:
        assert c.probe()["mkdir /x"]["errno"] == "EPERM", "the native architecture is filtered beside it"
    else:
        c.fails("create", match=rf'config\.json: linux\.seccomp\.architectures\[0\]: "{arch}" .*')


@pytest.mark.parametrize("flag", FLAGS)
def test_seccomp_flag(features, container, hull, flag, tmp_path):
    """The flag reaches the kernel: seen in the call that loads the filter."""
    seccomp = features["linux"]["seccomp"]
    assert sorted(seccomp["knownFlags"]) == sorted(FLAGS)
    same(seccomp["supportedFlags"], FLAGS)
    if flag not in seccomp["supportedFlags"]:
        return  # nothing is promised of it
    linux = profile(flags=[flag])
    listener = flag.endswith("WAIT_KILLABLE_RECV")
    if listener:  # of which it is a flag: there must be one
        agent = socket.socket(socket.AF_UNIX)
        agent.bind(str(tmp_path / "agent"))
        agent.listen(1)
        linux = profile("SCMP_ACT_NOTIFY", flags=[flag], listenerPath=str(tmp_path / "agent"))
    c = container(linux=linux, args=["/bin/true"])
    trace = tmp_path / "trace"
    hull("run", "--bundle", c.bundle.path, c.id, wrap=strace("-f", "-qq", "-e", "trace=seccomp", "-o", str(trace)))
    loads = [line for line in trace.read_text().splitlines() if "SECCOMP_SET_MODE_FILTER" in line and "len=" in line]
    flags = f"SECCOMP_FILTER_FLAG_NEW_LISTENER|{flag}" if listener else flag
    assert len(loads) == 1 and f"SECCOMP_SET_MODE_FILTER, {flags}, " in loads[0], loads


def test_seccomp_word_that_is_not_listed(container):
    for changes, path in ((profile("SCMP_ACT_NOSUCH"), r"linux\.seccomp\.syscalls\[0\]\.action"),
                          (profile(flags=["SECCOMP_FILTER_FLAG_NEW_LISTENER"]), r"linux\.seccomp\.flags\[0\]"),
                          (profile(architectures=["SCMP_ARCH_VAX"]), r"linux\.seccomp\.architectures\[0\]"),
                          (profile(args=[{"index": 0, "value": 1, "op": "SCMP_CMP_NOSUCH"}]), r"linux\.seccomp\.syscalls\[0\]\.args\[0\]\.op")):
        container(linux=changes).fails("create", match=r"config\.json: " + path + r": .*")


def agrees(listed, answer, what):
    assert (answer is True) == listed if listed else refused(answer, what), f"{what}: listed {listed}, but {answer}"


def test_cgroup(features, container, hull, tmp_path):
    cgroup = features["linux"]["cgroup"]
    hosts = {"v1": "cgroups v1 cpu,cpuacct memory pids devices freezer name=systemd\n", "v2": "cgroups v2 cpu memory pids\n",
             "rdma": "cgroups v2 cpu rdma\n"}
    for word, facts in hosts.items():
        resources = {"rdma": {"mlx5_0": {"hcaHandles": 1}}} if word == "rdma" else {"pids": {"limit": 10}}
        c = container(linux={"resources": resources})
        (tmp_path / "facts").write_text(facts)
        assert (hull.call("explain", "--facts", tmp_path / "facts", "--bundle", c.bundle.path, c.id).rc == 0) is cgroup[word], word
    c = container(args=["/bin/true"])
    r = hull.call("--systemd-cgroup", "explain", "--bundle", c.bundle.path, c.id)
    assert ("not supported" not in r.err) is cgroup["systemd"], r.err
    assert cgroup["systemd"] or not cgroup["systemdUser"]


def test_security_modules(features, planned):
    linux = features["linux"]
    agrees(linux["apparmor"]["enabled"], planned(process={"apparmorProfile": "p"}), "apparmorProfile")
    agrees(linux["selinux"]["enabled"], planned(process={"selinuxLabel": "system_u:system_r:container_t:s0"}), "selinuxLabel")


def test_intel_rdt(features, planned):
    rdt = features["linux"]["intelRdt"]
    agrees(rdt["enabled"], planned(linux={"intelRdt": {"closID": "g"}}), "intelRdt")
    agrees(rdt["schemata"], planned(linux={"intelRdt": {"closID": "g", "schemata": ["L3:0=ff"]}}), "intelRdt")
    agrees(rdt["monitoring"], planned(linux={"intelRdt": {"closID": "g", "enableMonitoring": True}}), "intelRdt")


def test_memory_policy(features, planned):
    policy = features["linux"]["memoryPolicy"]
    same(policy["modes"], POLICY_MODES)
    same(policy["flags"], POLICY_FLAGS)
    for mode in POLICY_MODES:
        nodes = {} if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else {"nodes": "0"}
        agrees(mode in policy["modes"], planned(linux={"memoryPolicy": {"mode": mode, **nodes}}), "memoryPolicy")
    for flag in POLICY_FLAGS:
        agrees(flag in policy["flags"], planned(linux={"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}}), "memoryPolicy")


def test_idmap_and_net_devices(features, planned, tmp_path):
    mount = dict(bind(tmp_path, "/m"), uidMappings=IDS, gidMappings=IDS)
    agrees(features["linux"]["mountExtensions"]["idmap"]["enabled"], planned(mounts=[*MOUNTS, mount]), "mounts[7]")
    agrees(features["linux"]["netDevices"]["enabled"], planned(linux={"netDevices": {"eth9": {"name": "eth0"}}}), "netDevices")


def test_annotations_that_change_what_hull_does(features):
    """Each has a test of its own in test_annotations.py; the last one is a prefix (features.md, Unsafe annotations in config.json)."""
    assert features["potentiallyUnsafeConfigAnnotations"] == [
        "run.oci.hooks.stderr", "run.oci.hooks.stdout", "run.oci.keep_original_groups", "run.oci.mount_context_type", "run.oci.pidfd_receiver",
        "run.oci.seccomp.receiver", "org.systemd.property."]

