# SPDX-License-Identifier: Apache-2.0
"""A Debian kernel in qemu (emulated where there is no KVM) that does one command in a copy of this tree and tells, line by line, how it goes."""
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
QEMU = "qemu-system-x86_64"
MEMORY = 2048  # MiB
BOOT_SECONDS = 600  # 5 on a quiet machine
TRIES = 3  # under emulation a kernel crashes now and then while it boots

PLAIN = "/job/tree/tests/vm/guest/pid1"
SYSTEMD = "/lib/systemd/systemd"
LABELLED = "/job/tree/tests/vm/guest/init.selinux"  # systemd, on files with labels
V2 = "systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all"
V1 = "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
SELINUX = "security=selinux selinux=1 enforcing=1"
CMDLINE = ("console=ttyS0 quiet loglevel=3 panic=-1 reboot=t mitigations=off nokaslr nowatchdog tsc=reliable no_timer_check random.trust_cpu=on "
           "rcupdate.rcu_expedited=1 norandmaps init_on_alloc=0 net.ifnames=0 systemd.unit=hull-vm.target systemd.show_status=0")
# What costs an emulator most, taken away because no test looks at it: with norandmaps (addresses that don't change from one process to the next let it use
# what it has translated) and init_on_alloc=0 a test takes half the time.
DEAR = ("la57", "smap", "smep", "pku", "umip", "avx", "avx2", "xsave", "f16c", "fma", "vaes")


@dataclass(frozen=True)
class Machine:
    name: str
    title: str
    kernel: str  # the Debian suite that it comes from
    init: str
    cmdline: str
    root: str = ""  # which root file system: "", "selinux" or "engines"
    release: str = "bookworm"  # of the root file system

    @property
    def suites(self):
        """Those of matrix.SUITES that are for this machine."""
        if self.root == "engines":
            return ("node",)
        return ("oci-validation", "integration", *(["systemd"] if self.init != PLAIN else []))


OLD, NEW = "bookworm", "trixie-backports"  # Linux 6.1 and the newest that Debian 13 can run
MACHINES = {m.name: m for m in (
    Machine("v2-6.1", "cgroup v2, no systemd, Linux 6.1", OLD, PLAIN, V2),
    Machine("systemd-6.1", "cgroup v2, systemd, Linux 6.1", OLD, SYSTEMD, V2),
    Machine("v1-6.1", "cgroup v1, systemd, Linux 6.1", OLD, SYSTEMD, V1),
    Machine("selinux-6.1", "SELinux enforcing, cgroup v2, systemd, Linux 6.1", OLD, LABELLED, f"{V2} {SELINUX}", "selinux"),
    Machine("engines-6.1", "Docker, containerd and podman of Debian 12 below systemd, cgroup v2, Linux 6.1", OLD, SYSTEMD, V2, "engines"),
    Machine("engines-7", "Docker, containerd and podman of Debian 13 below systemd, cgroup v2, Linux 7", NEW, SYSTEMD, V2, "engines", "trixie"),
    Machine("v2-7", "cgroup v2, no systemd, Linux 7", NEW, PLAIN, V2),
    Machine("systemd-7", "cgroup v2, systemd, Linux 7", NEW, SYSTEMD, V2),
    Machine("v1-7", "cgroup v1, systemd, Linux 7", NEW, SYSTEMD, V1),
)}


class MachineError(Exception):
    """The machine failed: it didn't come up, ended before the command, or time is up."""


def accelerator():
    """qemu's options. A /dev/kvm without the processor's own extensions (some clouds have one) boots no ordinary kernel."""
    if os.access("/dev/kvm", os.W_OK) and re.search(r"\b(vmx|svm)\b", Path("/proc/cpuinfo").read_text()):
        return ["-accel", "kvm", "-cpu", "host"]
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    major = int(re.search(r"version (\d+)", version).group(1))
    # Before qemu 8 emulating cmpxchg16b leaves rubbish in the flags, and kernels that use it crash at random.
    return ["-accel", "tcg,thread=multi", "-cpu", ",".join(["max", *(f"-{f}" for f in DEAR), *(["-cx16"] if major < 8 else [])])]


def images(machine):
    """Directories of kernel and root file system, made when they are missing."""
    done = subprocess.run([HERE / "images", machine.kernel, machine.root, machine.release], stdout=subprocess.PIPE, text=True, check=False, timeout=3600)
    if done.returncode != 0:
        raise MachineError(f"no images for {machine.name}")
    return map(Path, done.stdout.split())


def _initrd(machine, tree, command, base, work):
    """The initial ramdisk with the job: a copy of `tree` is /job/tree, `command` a shell script."""
    job = work / "cpio" / "job"
    shutil.copytree(tree, job / "tree", symlinks=True)
    (job / "tree").chmod(0o755)  # some tests run the program as another user
    (job / "init").write_text(machine.init + "\n")
    (job / "command").write_text(command)
    with open(work / "initrd", "wb") as out:
        out.write(base.read_bytes())
        out.flush()
        subprocess.run("find job | busybox cpio -o -H newc -R 0:0", shell=True, cwd=work / "cpio", stdout=out, stderr=subprocess.DEVNULL, check=True,
                       timeout=120)
    shutil.rmtree(work / "cpio")
    return work / "initrd"


def _qemu(machine, kernel, root, initrd, out, cpus):
    """qemu's command line. `out` gets the files console, output and report."""
    disk = "if=none,id={0},format=raw,cache=unsafe,file={1},{2}"
    argv = [QEMU, "-machine", "q35", *accelerator(), "-smp", str(cpus), "-m", str(MEMORY), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-kernel", kernel / "vmlinuz", "-initrd", initrd, "-append", f"{CMDLINE} {machine.cmdline}",
            "-chardev", f"file,id=console,path={out}/console", "-serial", "chardev:console", "-device", "virtio-serial-pci"]
    for name, path, mode in (("root", root / "root.ext4", "snapshot=on"), ("modules", kernel / "modules.ext4", "readonly=on")):
        argv += ["-drive", disk.format(name, path, mode), "-device", f"virtio-blk-pci,drive={name},serial={name}"]
    for port in ("output", "report"):
        argv += ["-chardev", f"file,id={port},path={out}/{port}", "-device", f"virtserialport,chardev={port},name={port}"]
    return ["setpriv", "--pdeathsig", "KILL", *map(str, argv)]


def _end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _follow(process, report, deadline, on_line):
    """Lines of the report until `exit STATUS`. None: the machine ended before the command began."""
    up, boot_deadline, rest = False, time.monotonic() + BOOT_SECONDS, ""
    with open(report, encoding="utf-8", errors="replace") as f:
        while True:
            ended = process.poll() is not None
            rest += f.read()
            *lines, rest = rest.split("\n")
            for line in lines:
                if line.startswith("exit "):
                    return int(line.split()[1])
                up = True
                on_line(line)
            if ended or (not up and time.monotonic() > boot_deadline):
                if up:
                    raise MachineError("the machine ended before the command did")
                return None
            if time.monotonic() > deadline:
                raise MachineError("time is up")
            time.sleep(0.2)


def run(machine, tree, command, out, *, cpus=1, seconds=600, on_line=lambda line: None):
    """Exit status of `command` (a shell script that begins in the copy of `tree`). Its output and the console are files in `out`."""
    kernel, root = images(machine)
    out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="hull-vm.") as work:
        initrd = _initrd(machine, tree, command, kernel / "initrd.cpio", Path(work))
        argv = _qemu(machine, kernel, root, initrd, out, cpus)
        for _ in range(TRIES):
            for name in ("console", "output", "report"):
                (out / name).write_bytes(b"")
            with open(out / "qemu", "wb") as log:
                process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "TMPDIR": work})
            try:
                status = _follow(process, out / "report", deadline, on_line)
            finally:
                _end(process)
            if status is not None:
                return status
    raise MachineError(f"the machine doesn't come up, see {out}/console and {out}/qemu")
