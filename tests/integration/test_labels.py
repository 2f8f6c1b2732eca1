# SPDX-License-Identifier: Apache-2.0
"""AppArmor profiles and SELinux labels. Each half runs where that module is active; where it isn't, asking for it must be an error."""
import os
import subprocess
from pathlib import Path

import pytest
from harness.config import DELETE
from harness.fixtures import BY_ROOT_AND_USER
from harness.needs import needs

with_apparmor = needs("AppArmor")
with_selinux = needs("SELinux")
PROCESS = "system_u:system_r:container_t:s0:c1,c2"
FILES = "system_u:object_r:container_file_t:s0:c1,c2"
PROFILE = "profile %s flags=(attach_disconnected,mediate_deleted) { file, capability, network, mount, umount, signal, ptrace, unix, %s }\n"
# Of an ordinary user's container only root's id is mapped.
WHO = pytest.mark.parametrize("container,uid", [("root", 0), ("root", 1000), ("user", 0)], indirect=["container"])

pytestmark = pytest.mark.hull_only(reason="crun leaves a label out where the module isn't active")


# --- not active: an error that names the module ---

@needs("no AppArmor")
@BY_ROOT_AND_USER
def test_apparmor_is_not_active(container):
    text = r'config\.json: process\.apparmorProfile: "some" — AppArmor is not active on this host'
    container(process={"apparmorProfile": "some"}).fails("create", match=text)
    c = container(args=["/bin/sleep", "100"])
    c.detach()
    c.runtime.fails("exec", "--apparmor", "some", c.id, "/bin/true", rc=255, match=text)


@needs("no SELinux")
@BY_ROOT_AND_USER
def test_selinux_is_not_active(container):
    text = rf'config\.json: process\.selinuxLabel: "{PROCESS}" — SELinux is not active on this host'
    container(process={"selinuxLabel": PROCESS}).fails("create", match=text)
    container(linux={"mountLabel": FILES}).fails("create", match=rf'config\.json: linux\.mountLabel: "{FILES}" — SELinux is not active on this host')
    c = container(args=["/bin/sleep", "100"])
    c.detach()
    c.runtime.fails("exec", "--process-label", PROCESS, c.id, "/bin/true", rc=255, match=text)


def test_empty_labels_are_none(container):
    container(process={"apparmorProfile": "", "selinuxLabel": ""}, linux={"mountLabel": ""}).probe()


# --- AppArmor ---

@pytest.fixture
def profiles(tmp_path):
    """Two profiles in the kernel: one denies a write, the other is for stacking."""
    names = {f"hull-test-{os.getpid()}-a": "deny /tmp/denied w,", f"hull-test-{os.getpid()}-b": "deny /tmp/other w,"}
    text = tmp_path / "profiles"
    text.write_text("".join(PROFILE % (n, rule) for n, rule in names.items()))
    subprocess.run(["apparmor_parser", "-Kr", text], check=True, timeout=60)
    yield list(names)
    subprocess.run(["apparmor_parser", "-KR", text], check=True, timeout=60)


def current(result):
    return result["read /proc/self/attr/current"]["text"].rstrip("\n\0")


PROBE = ["/bin/probe", "--read", "/proc/self/attr/current", "--write", "/tmp/denied", "--write", "/tmp/other"]


@with_apparmor
@pytest.mark.parametrize("nnp", [True, False])
@WHO
def test_profile(container, uid, profiles, nnp):
    process = {"apparmorProfile": profiles[0], "noNewPrivileges": nnp, "user": {"uid": uid, "gid": uid}}
    c = container(args=["/bin/sleep", "1000"], process=process)
    for name in ("denied", "other"):
        (c.bundle.rootfs / "tmp" / name).write_text("")
        os.chmod(c.bundle.rootfs / "tmp" / name, 0o666)
    c.detach()
    seen = c.exec(c.id, *PROBE).json()
    assert current(seen) == f"{profiles[0]} (enforce)"
    assert (seen["write /tmp/denied"]["errno"], seen["write /tmp/other"]["errno"]) == ("EACCES", "0")
    assert Path(f"/proc/{c.pid}/attr/current").read_text().strip() == f"{profiles[0]} (enforce)"
    seen = c.exec("--apparmor", profiles[1], c.id, *PROBE).json()
    assert current(seen) == f"{profiles[1]} (enforce)"
    assert (seen["write /tmp/denied"]["errno"], seen["write /tmp/other"]["errno"]) == ("0", "EACCES")


@with_apparmor
@BY_ROOT_AND_USER
def test_stacked_profile(container, profiles):
    """&PROFILE is put on the one that hull itself runs under: here none."""
    c = container(args=PROBE, process={"apparmorProfile": f"&{profiles[1]}"})
    assert current(c.probe()) == f"{profiles[1]}//&unconfined (enforce)"


@with_apparmor
@BY_ROOT_AND_USER
def test_profile_that_is_not_loaded(container):
    container(process={"apparmorProfile": "no-such-profile"}).fails(
        "create", match=r'create \S+: AppArmor has no profile "no-such-profile" \(process\.apparmorProfile\): no such file or directory')


# --- SELinux ---

def label_files(c, label=FILES, *names):
    """The whole rootfs, or what is named in it."""
    subprocess.run(["chcon", "-R", label, *([c.bundle.rootfs / n for n in names] or [c.bundle.rootfs])], check=True, timeout=60)


@with_selinux
@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("container,uid,mask", [("root", 0, "/proc/kcore"), ("root", 1000, "/proc/kcore"), ("user", 0, "/proc/acpi")], indirect=["container"])
def test_label(container, uid, mask, nnp):
    """The mask of a file has the label where hull can make a node for it; for an ordinary user it is the host's /dev/null, and only that of a directory is hull's own."""
    c = container(args=["/bin/sleep", "1000"], process={"selinuxLabel": PROCESS, "noNewPrivileges": nnp, "user": {"uid": uid, "gid": uid}},
                  linux={"mountLabel": FILES})
    label_files(c)
    c.detach()
    assert Path(f"/proc/{c.pid}/attr/current").read_text().rstrip("\0") == PROCESS
    seen = c.exec(c.id, "/bin/probe", "--read", "/proc/self/attr/current", "--read", "/proc/kcore").json()
    assert current(seen) == PROCESS
    assert seen["read /proc/kcore"] == {"errno": "0", "text": ""}, "a mask can be read as nothing"
    labelled = [line for line in seen["mountinfo"] if f"context=\"{FILES}\"" in line or f"context={FILES}" in line]
    assert {line.split()[4] for line in labelled} >= {"/dev", "/dev/pts", "/dev/shm", mask}, seen["mountinfo"]
    assert not any(line.split()[4] in ("/proc", "/sys") for line in labelled)
    other = PROCESS.replace("c1,c2", "c1.c3")  # may use what has c1 and c2
    assert current(c.exec("--process-label", other, c.id, "/bin/probe", "--read", "/proc/self/attr/current").json()) == other


@with_selinux
@BY_ROOT_AND_USER
def test_label_of_the_session_keyring(container):
    c = container(args=PROBE, process={"selinuxLabel": PROCESS})
    label_files(c)
    seen = c.probe()
    assert (current(seen), seen["session_keyring_label"]) == (PROCESS, PROCESS)


@with_selinux
@BY_ROOT_AND_USER
def test_the_policy_is_enforced(container):
    """A file of other categories can neither be read nor written by the container's root."""
    assert Path("/sys/fs/selinux/enforce").read_text() == "1"
    c = container(args=[*PROBE, "--read", "/tmp/other", "--read", "/tmp/denied"], process={"selinuxLabel": PROCESS}, root={"readonly": False})
    for name in ("denied", "other"):
        (c.bundle.rootfs / "tmp" / name).write_text("some")
        os.chmod(c.bundle.rootfs / "tmp" / name, 0o666)
    label_files(c)
    label_files(c, FILES.replace("c1,c2", "c7"), "tmp/denied")
    seen = c.probe()
    assert {what: seen[what]["errno"] for what in ("read /tmp/other", "write /tmp/other", "read /tmp/denied", "write /tmp/denied")} == {
        "read /tmp/other": "0", "write /tmp/other": "0", "read /tmp/denied": "EACCES", "write /tmp/denied": "EACCES"}


@with_selinux
@BY_ROOT_AND_USER
def test_a_program_that_the_label_may_not_enter(container):
    """container_t is entered by container_file_t only: the error comes from execve, before anything of the container has run."""
    c = container(args=["/bin/probe"], process={"selinuxLabel": PROCESS})
    label_files(c, "system_u:object_r:bin_t:s0", "bin")
    c.fails("run", match=r"run \S+: exec /bin/probe \(process\.args\[0\]\): permission denied")


@with_selinux
def test_features_have_selinux(hull):
    linux = hull("features").json()["linux"]
    assert (linux["selinux"], linux["apparmor"]) == ({"enabled": True}, {"enabled": True})


@with_selinux
@BY_ROOT_AND_USER
def test_label_that_the_policy_does_not_have(container):
    for changes, path in (({"process": {"selinuxLabel": "no:such:label:s0"}}, "process.selinuxLabel"),
                          ({"linux": {"mountLabel": "no:such:label:s0"}}, "linux.mountLabel")):
        container(**changes).fails("create", match=rf'config\.json: {path}: "no:such:label:s0" — the SELinux policy of this host has no such context')


@with_selinux
@BY_ROOT_AND_USER
def test_a_label_of_the_mounts_own_goes_first(container):
    own = FILES.replace("c1,c2", "c7")
    c = container(args=["/bin/probe"], linux={"mountLabel": FILES}, process={"capabilities": DELETE})
    c.rewrite(mounts=[*c.config["mounts"], {"destination": "/own", "type": "tmpfs", "source": "tmpfs", "options": [f"context={own}"]}])
    line = next(m for m in c.probe()["mountinfo"] if m.split()[4] == "/own")
    assert own in line and FILES not in line
