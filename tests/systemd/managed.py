# SPDX-License-Identifier: Apache-2.0
"""User 1000 with a manager of its own, user@1000.service, and containers below it."""
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

from conftest import CGROUPS, TAG
from harness.clock import scaled
from harness.needs import needs
from harness.rootless import User, UserRuntime
from harness.runtime import wait_for

NEEDS = [needs("a manager of user 1000 (user@.service)"), needs("a pure cgroup v2 layout")]
UID = 1000
MANAGER = f"user@{UID}.service"
CONTROLLERS = "cpu cpuset io memory pids"
TOP = CGROUPS / f"user.slice/user-{UID}.slice" / MANAGER
DROP_IN = Path(f"/run/systemd/system/{MANAGER}.d/hulltest.conf")
SLEEP = ["/bin/sleep", "1000"]


@contextmanager
def manager(controllers):
    """user@1000 with these controllers delegated, as docs/rootless.md says."""
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text(f"[Service]\nDelegate={controllers}\n")
    subprocess.run(["systemctl", "daemon-reload"], check=True, timeout=scaled(20))
    subprocess.run(["systemctl", "start", MANAGER], check=True, timeout=scaled(60))
    try:
        wait_for(lambda: Path(f"/run/user/{UID}/bus").exists(), 20, "the user's bus")
        yield
    finally:
        subprocess.run(["systemctl", "stop", MANAGER], check=True, timeout=scaled(60))
        shutil.rmtree(DROP_IN.parent)
        subprocess.run(["systemctl", "daemon-reload"], check=True, timeout=scaled(20))


class ManagedRuntime(UserRuntime):
    """Every command by the user, from a scope of the user's as a terminal's is, with --systemd-cgroup unless `driver` says otherwise."""
    uid = gid = UID
    driver = ["--systemd-cgroup"]

    def __init__(self, program, tmp, top):
        super().__init__(program, tmp, top)
        self.home = Path(f"/run/user/{UID}")
        self.root = self.home / "hull"
        self.environment.update(XDG_RUNTIME_DIR=str(self.home), DBUS_SESSION_BUS_ADDRESS=f"unix:path={self.home}/bus")

    def make_home(self):
        """systemd has made it."""

    def argv(self, *args, root=True):
        return self.as_user(self.program, *self.driver, *args)

    def stand_in(self, directory):
        """Commands are run from this cgroup."""
        self.before = ["/bin/sh", "-c", f'echo $$ >{directory}/cgroup.procs && exec "$@"', "sh"]

    def show(self, unit, *names):
        argv = self.as_user("systemctl", "--user", "show", unit, *(f"--property={n}" for n in names))
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=scaled(20))
        return dict(line.split("=", 1) for line in done.stdout.splitlines())


class ManagedUser(User):
    runtime = ManagedRuntime

    def __init__(self, program, tmp):
        super().__init__(program, tmp)
        argv = self.hull.as_user("systemd-run", "--user", "--quiet", "--scope", f"--unit=terminal-{TAG}", "-p", "Delegate=yes", "sleep", "1000")
        self._terminal = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        self.terminal = TOP / f"app.slice/terminal-{TAG}.scope"
        procs = self.terminal / "cgroup.procs"  # systemd fills it after it has made it
        wait_for(lambda: procs.exists() and procs.read_text(), 20, "the scope of the terminal")
        self.hull.stand_in(self.terminal)

    def close(self):
        problems = super().close()
        self._terminal.kill()
        self._terminal.wait()
        wait_for(lambda: not self.terminal.exists(), 20, "the terminal's scope to go")
        return problems


def make_user(program, tmp_path):
    """For a fixture."""
    someone = ManagedUser(program, tmp_path)
    yield someone
    problems = someone.close()
    assert not problems, "; ".join(problems)


def scope(c, where="user.slice", name=None):
    c.unit = f"hulltest-{name or c.id}.scope"
    c.directory = TOP / where / c.unit
    return c


def make(user, **changes):
    c = user.container(cgroup="", **changes)
    c.rewrite(linux={"cgroupsPath": f"user.slice:hulltest:{c.id}"})
    return scope(c)


def files(c, names):
    return {name: (c.directory / name).read_text().strip() for name in names}


def is_loaded(user, unit):
    return user.hull.show(unit, "LoadState")["LoadState"] == "loaded"


def goes(user, c):
    assert not c.directory.exists()
    wait_for(lambda: not is_loaded(user, c.unit), 10, "the unit to go")


def cgroup_of(pid):
    return Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::")
