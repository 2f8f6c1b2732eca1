# SPDX-License-Identifier: Apache-2.0
"""Our own generator of configurations: not `hull spec`, so that a fault there doesn't hide one elsewhere."""
import copy

DELETE = object()  # as a value in a change: remove the key

# What Docker and podman give a container.
CAPS = ["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PROC = {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]}
DEV = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755",
                                                                              "size=65536k"]}
PTS = {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
       "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]}
SHM = {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
       "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]}
MQUEUE = {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]}
SYS = {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
CGROUP = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
          "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
MOUNTS = [PROC, DEV, PTS, SHM, MQUEUE, SYS, CGROUP]

MASKED = ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
NAMESPACES = ("pid", "network", "ipc", "uts", "mount", "cgroup")


def namespaces(*without, **paths):
    """The usual list without those named, and with a path for those given: namespaces("cgroup", network="/run/x")."""
    found = [{"type": t} for t in NAMESPACES if t not in without and t not in paths]
    return found + [{"type": t, "path": p} for t, p in paths.items()]


MAPPING = {"containerID": 0, "hostID": 100000, "size": 65536}


def userns(*without, maps=None, **paths):
    """linux.* for a container with a user namespace: the usual list (see namespaces), and mappings unless it is joined."""
    found = namespaces(*without, **paths)
    if "user" in paths:
        return {"namespaces": found}
    maps = [MAPPING] if maps is None else maps
    return {"namespaces": found + [{"type": "user"}], "uidMappings": maps, "gidMappings": maps}


def bind(source, destination, *options):
    kind = "rbind" if "rbind" in options else "bind"
    return {"destination": destination, "type": "bind", "source": str(source),
            "options": [kind, *(o for o in options if o != kind)]}


def tmpfs(destination, *options):
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": list(options)}


def merge(into, changes):
    """Change a document in place: objects are merged, everything else replaces, DELETE removes."""
    for key, value in changes.items():
        if value is DELETE:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)
    return into


def make_config(cgroups_path, oci_version="1.3.0", **changes):
    """A configuration as engines write it. `args=[…]` is short for process.args; the rest is merged into the document."""
    config = {
        "ociVersion": oci_version,
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/probe"],
            "env": [PATH, "TERM=xterm"],
            "cwd": "/",
            "capabilities": {k: list(CAPS) for k in ("bounding", "effective", "permitted")},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs"},
        "hostname": "box",
        "mounts": copy.deepcopy(MOUNTS),
        "linux": {
            "namespaces": namespaces(),
            "cgroupsPath": cgroups_path,
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READONLY),
        },
    }
    args = changes.pop("args", None)
    merge(config, changes)
    if args is not None:
        config["process"]["args"] = list(args)
    return config
