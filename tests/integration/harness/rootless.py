# SPDX-License-Identifier: Apache-2.0
"""An ordinary user with sub-ids: in the world's /etc, not in the machine's. Every command of it is one of ours run with its ids and nothing else."""
import os
import shutil
import tempfile
from pathlib import Path

from . import config as cfg
from . import snapshot
from .runtime import Bundle, Container, Runtime

NAME, UID, GID = "hulluser", 4200, 4200
SUB, SUB_COUNT = 400000, 65536
FILES = {"passwd": f"{NAME}:x:{UID}:{GID}::/nonexistent:/bin/sh\n", "group": f"{NAME}:x:{GID}:\n",
         "subuid": f"{NAME}:{SUB}:{SUB_COUNT}\n", "subgid": f"{NAME}:{SUB}:{SUB_COUNT}\n"}

OWN = [{"containerID": 0, "hostID": UID, "size": 1}]
ALL = OWN + [{"containerID": 1, "hostID": SUB, "size": SUB_COUNT}]


def has_sub_ids():
    """Are newuidmap, newgidmap and the files there that the world can give the user's lines to?"""
    return all(map(shutil.which, ("newuidmap", "newgidmap"))) and all(Path("/etc", f).exists() for f in FILES)


def add_user(bind, where):
    """For world.build(): the four files with the user's lines, by `bind(source, target)` from copies in the directory `where`."""
    for name, line in FILES.items():
        original = Path("/etc", name)
        if not original.exists():
            continue
        copy = Path(where, name)
        text = original.read_text()
        copy.write_text(text + ("" if text.endswith("\n") or not text else "\n") + line)
        copy.chmod(0o644)
        bind(str(copy), str(original))


class UserRuntime(Runtime):
    """The runtime as the user calls it: its state root is XDG_RUNTIME_DIR/hull."""
    uid, gid = UID, GID

    def __init__(self, program, tmp, top):
        super().__init__(program, tmp)
        self.top = Path(top)
        self.home = self.top / "run"
        self.root = self.home / "hull"
        self.environment = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(self.home)}
        self.prefix = []   # before the user's command, with the user's ids: unshare …
        self.before = []   # before it becomes the user

    def as_user(self, *argv):
        """argv of a command of the user's."""
        env = [f"{k}={v}" for k, v in self.environment.items()]
        return [*self.before, "setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--inh-caps=-all", "env", "-i", *env, *self.prefix,
                *map(str, argv)]

    def argv(self, *args, root=True):
        return self.as_user(self.program, *args)

    def make_home(self):
        self.home.mkdir(mode=0o700)
        os.chown(self.home, self.uid, self.gid)

    def own_map(self):
        """A user namespace with the user's own id and no other."""
        return [{"containerID": 0, "hostID": self.uid, "size": 1}]


class User:
    """What the fixture `user` gives: .hull(…), .container(maps=…, …), .top (a directory of the user's)."""
    runtime = UserRuntime

    def __init__(self, program, tmp):
        self.top = Path(tempfile.mkdtemp(prefix="hull-user-", dir="/tmp"))
        self.top.chmod(0o755)
        self.program = self.top / "hull"
        shutil.copy(program, self.program)
        self.hull = self.runtime(self.program, tmp, self.top)
        self.hull.make_home()
        self._count = 0

    def container(self, maps=None, net=True, cgroup=None, **changes):
        """A container whose user namespace has these mappings; no cgroup is asked for unless given."""
        self._count += 1
        cid = f"{snapshot.TAG}-u{self._count}"
        maps = self.hull.own_map() if maps is None else maps
        config = cfg.make_config(cgroup, linux=cfg.userns(*([] if net else ["network"]), maps=maps))
        if cgroup is None:
            del config["linux"]["cgroupsPath"]
        for m in config["mounts"]:
            m["options"] = [o for o in m["options"] if o != "gid=5" or len(maps) > 1]
        args = changes.pop("args", None)
        cfg.merge(config, changes)
        if args is not None:
            config["process"]["args"] = list(args)
        c = Container(self.hull, Bundle(self.top / f"bundle-{cid}"), config, cid)
        self.own(c.bundle.path)
        return c

    def own(self, top):
        for d, _, files in os.walk(top):
            for f in (d, *(os.path.join(d, f) for f in files)):
                os.chown(f, self.hull.uid, self.hull.gid, follow_symlinks=False)

    def close(self):
        problems = self.hull.clean()
        shutil.rmtree(self.top)
        return problems


# --- cgroups that an administrator gives to the user ---

def delegate(*names, where="", only=None):
    """Give a directory of every hierarchy (or of those named) to the user. Its path within them."""
    path = "/".join((snapshot.TAG, *names)) + where
    for h in snapshot.hierarchies():
        if only is not None and h.name not in only:
            continue
        d = h / path
        d.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (d / name).exists() and not (h / "cgroup.controllers").exists():
                (d / name).write_text((d.parent / name).read_text())
        for f in (".", "cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control"):
            if (d / f).exists():
                os.chown(d / f, UID, GID)
    return "/" + path


def undelegate(path):
    for h in snapshot.hierarchies():
        if (h / path[1:]).exists():
            (h / path[1:]).rmdir()


def enter(path):
    """`before` of a command that starts in that cgroup, as a login session would."""
    writes = "; ".join(f"echo 0 >{h}{path}/cgroup.procs" for h in snapshot.hierarchies() if (h / path[1:]).exists())
    return ["sh", "-c", f'{writes}; exec "$@"', "sh"]


def bring_down_controllers():
    """On cgroup v2: all that are there come down to what is delegated; what can't, isn't found there."""
    top = snapshot.v2_root()
    for d in (top, top / snapshot.TAG) if top else ():
        for name in (d / "cgroup.controllers").read_text().split():
            try:
                (d / "cgroup.subtree_control").write_text(f"+{name}")
            except OSError:
                pass
