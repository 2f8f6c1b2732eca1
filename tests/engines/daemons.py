# SPDX-License-Identifier: Apache-2.0
"""Daemons of engines: started with a log, waited for, ended; and the network and registry that they need."""
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness.clock import scaled
from harness.runtime import alive, wait_for

OUTSIDE = "outside"  # a network namespace that reaches the host by a veth alone, as another machine does
HOST_ADDRESS, OUTSIDE_ADDRESS = "10.99.0.1", "10.99.0.2"
REGISTRY = "127.0.0.1:5000"
REGISTRY_CONFIG = """version: 0.1
log: {{level: warn}}
storage: {{cache: {{blobdescriptor: inmemory}}, filesystem: {{rootdirectory: {top}}}, delete: {{enabled: true}}}}
http: {{addr: "{address}"}}
"""


def program_of(name):
    """Debian's where there are several: client and daemon then are of one version."""
    debian = f"/usr/bin/{name}"
    return debian if os.access(debian, os.X_OK) else shutil.which(name) or name


class Daemon:
    """One daemon with its log. `ready` is a command that succeeds once it answers."""

    def __init__(self, argv, ready, log, env=None):
        self.argv, self.ready, self.log = list(map(str, argv)), list(map(str, ready)), Path(log)
        self.env = {**os.environ, **(env or {})}
        self.process = None

    def start(self, *more, seconds=60):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.argv, *more], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.env)
        end = time.monotonic() + scaled(seconds)
        while not self.answers():
            assert time.monotonic() < end and self.process.poll() is None, f"{self.argv[0]} doesn't answer:\n{self.tail()}"
            time.sleep(0.1)
        return self

    def answers(self):
        try:
            done = subprocess.run(self.ready, capture_output=True, timeout=scaled(20), check=False, env=self.env)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def stop(self, how=signal.SIGTERM):
        """Ends it and waits for the end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(scaled(30))
        self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)

    def tail(self):
        return self.log.read_text(errors="replace")[-3000:]


def processes_with(*words):
    """Pids of those that have all of the words as arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            arguments = Path("/proc", pid, "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if all(any(word == a or word == os.path.basename(a) for a in arguments) for word in words):
            found.append(int(pid))
    return found


def kill_and_wait(pid):
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid), 10, f"{pid} to end")


def make_outside():
    """A veth to OUTSIDE, and a default route (engines want one) on which nobody answers."""
    for command in (f"ip netns add {OUTSIDE}",
                    f"ip link add eth0 type veth peer name eth0 netns {OUTSIDE}",
                    f"ip addr add {HOST_ADDRESS}/24 dev eth0",
                    "ip link set eth0 up",
                    f"ip -n {OUTSIDE} addr add {OUTSIDE_ADDRESS}/24 dev eth0",
                    f"ip -n {OUTSIDE} link set eth0 up",
                    "ip route add default via 10.99.0.254 dev eth0"):
        subprocess.run(command.split(), check=True, timeout=scaled(20), capture_output=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")


def fetch(url, outside=False, seconds=3):
    """What an HTTP server says, asked from this network namespace or from OUTSIDE; "" when nobody answers."""
    argv = ["busybox", "wget", "-q", "-O", "-", url]
    if outside:
        argv = ["ip", "netns", "exec", OUTSIDE, *argv]
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=scaled(seconds), check=False).stdout
    except subprocess.TimeoutExpired:
        return ""


def registry(top):
    """Debian's registry on loopback, not yet started."""
    (top / "registry").mkdir()
    (top / "registry.yml").write_text(REGISTRY_CONFIG.format(top=top / "registry", address=REGISTRY))
    return Daemon(["docker-registry", "serve", top / "registry.yml"], ["busybox", "wget", "-q", "-O", "-", f"http://{REGISTRY}/v2/"],
                  top / "registry.log")
