# SPDX-License-Identifier: Apache-2.0
"""Pods as a kubelet asks for them, over the Container Runtime Interface (cri.py)."""
import itertools
import json
import uuid
from pathlib import Path

import images
from cri import HANDLER, make_cgroup, remove_cgroup
from harness import config as cfg
from harness.runtime import cgroup_dir, wait_for

_names = itertools.count(1)
# A container of the QoS class Burstable, and what a kubelet makes of no limits at all.
BURSTABLE = {"cpu_period": 100000, "cpu_quota": 50000, "cpu_shares": 256, "memory_limit_in_bytes": 64 << 20, "oom_score_adj": 990,
             "hugepage_limits": [{"page_size": "2MB", "limit": 0}]}
BEST_EFFORT = {"cpu_period": 100000, "cpu_shares": 2, "oom_score_adj": 1000}


class Pod:
    """One pod: its cgroup, its sandbox, its containers, its directory on the host (logs, volumes)."""
    handler = HANDLER

    def __init__(self, cri, parent_cgroup, top, qos="burstable", namespaces=None, security=None, **changes):
        self.cri, self.uid, self.name = cri, str(uuid.uuid4()), f"pod{next(_names)}"
        self.cgroup = self.place(parent_cgroup, qos)
        self.namespaces = {"pid": "CONTAINER", **(namespaces or {})}
        self.top = Path(top) / self.name
        self.containers = []
        self.labels = {"io.kubernetes.pod.name": self.name, "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.uid": self.uid}
        self.config = cfg.merge({
            "metadata": {"name": self.name, "uid": self.uid, "namespace": "default", "attempt": 0},
            "hostname": self.name,
            "log_directory": str(self.top / "logs"),
            "dns_config": {"servers": ["10.98.255.1"], "searches": ["default.svc.cluster.local"], "options": ["ndots:5"]},
            "labels": self.labels,
            "annotations": {"kubernetes.io/config.seen": "2026-01-01T00:00:00Z", "kubernetes.io/config.source": "api"},
            "linux": {"cgroup_parent": self.cgroup, "security_context": {
                "namespace_options": self.namespaces, "seccomp": {"profile_type": "RuntimeDefault"}, **(security or {})}},
        }, changes)
        (self.top / "logs").mkdir(parents=True)
        (self.top / "etc-hosts").write_text("127.0.0.1 localhost\n")
        self.id = None

    def place(self, parent_cgroup, qos):
        """Its cgroup, as a kubelet names it."""
        return f"{parent_cgroup}/kubepods/{qos}/pod{self.uid}"

    def make_place(self):
        make_cgroup(self.cgroup)

    def place_goes(self):
        """Removes it; False while there is something in it."""
        try:
            remove_cgroup(self.cgroup)
        except OSError:
            return False
        return True

    def run(self):
        self.make_place()
        self.id = self.cri("RunPodSandbox", config=self.config, runtime_handler=self.handler).pod_sandbox_id
        return self

    def status(self):
        return self.cri("PodSandboxStatus", pod_sandbox_id=self.id).status

    def info(self):
        return json.loads(self.cri("PodSandboxStatus", pod_sandbox_id=self.id, verbose=True).info["info"])

    @property
    def pid(self):
        return self.info()["pid"]

    @property
    def ip(self):
        return self.status().network.ip

    def create(self, name, *command, security=None, resources=None, attempt=0, **changes):
        """A container that isn't started yet."""
        (self.top / name).mkdir(exist_ok=True)
        (self.top / name / f"end{attempt}").touch()
        config = cfg.merge({
            "metadata": {"name": name, "attempt": attempt},
            "image": {"image": images.NAME},
            "command": list(command),
            "envs": [{"key": "KUBERNETES_SERVICE_HOST", "value": "10.96.0.1"}],
            "mounts": [{"container_path": "/etc/hosts", "host_path": str(self.top / "etc-hosts")},
                       {"container_path": "/dev/termination-log", "host_path": str(self.top / name / f"end{attempt}")}],
            "labels": {**self.labels, "io.kubernetes.container.name": name},
            "annotations": {"io.kubernetes.container.restartCount": str(attempt), "io.kubernetes.container.terminationMessagePath": "/dev/termination-log"},
            "log_path": f"{name}-{attempt}.log",
            "linux": {"resources": BURSTABLE if resources is None else resources,
                      "security_context": {"namespace_options": self.namespaces, "masked_paths": cfg.MASKED, "readonly_paths": cfg.READONLY,
                                           "seccomp": {"profile_type": "RuntimeDefault"}, **(security or {})}},
        }, {k: v for k, v in changes.items() if k != "volumes"})
        config["mounts"] += changes.get("volumes", [])
        made = self.cri("CreateContainer", pod_sandbox_id=self.id, config=config, sandbox_config=self.config)
        self.containers.append(Container(self, made.container_id, config))
        return self.containers[-1]

    def start(self, name, *command, **how):
        """A container that runs."""
        return self.create(name, *command, **how).start()

    def output(self, name, *command, rc=0, **how):
        """What a container prints that comes to its end."""
        return self.start(name, *command, **how).ended(rc).log()

    def remove(self):
        """As a kubelet does it: what runs is told to end, then everything goes. Again: nothing to do."""
        while self.containers:
            self.containers[0].remove()
            del self.containers[0]
        if self.id is not None:
            self.cri("StopPodSandbox", pod_sandbox_id=self.id)
            self.cri("RemovePodSandbox", pod_sandbox_id=self.id)
            self.id = None
        wait_for(self.place_goes, 5, f"the cgroup {self.cgroup} to be empty")


class Container:
    """One container of a pod."""

    def __init__(self, pod, cid, config):
        self.pod, self.cri, self.id, self.config = pod, pod.cri, cid, config

    def start(self):
        self.cri("StartContainer", container_id=self.id)
        return self

    def stop(self, grace=0):
        self.cri("StopContainer", container_id=self.id, timeout=grace)
        return self

    def remove(self):
        """(containerd says now and then that it has stopped what it doesn't know yet to have stopped)"""
        self.stop()
        wait_for(lambda: self.state != "CONTAINER_RUNNING", 10, "containerd to know that the container has stopped")
        self.cri("RemoveContainer", container_id=self.id)

    def call(self, *argv, timeout=10):
        """A command in it (ExecSync): exit code, standard output, standard error."""
        said = self.cri("ExecSync", container_id=self.id, cmd=list(argv), timeout=timeout)
        return said.exit_code, said.stdout.decode(errors="replace"), said.stderr.decode(errors="replace")

    def exec(self, *argv, rc=0, **how):
        """The same, with an exit code that is known; both outputs."""
        got, out, err = self.call(*argv, **how)
        assert got == rc, f"{argv}: exit code {got}, expected {rc}\n{err}{out}"
        return out + err

    def sh(self, script, **how):
        return self.exec("sh", "-c", script, **how)

    def read(self, path):
        return self.exec("cat", path)

    def status(self):
        return self.cri("ContainerStatus", container_id=self.id).status

    @property
    def state(self):
        return self.cri.messages.ContainerStatusResponse.State.Name(self.status().state)

    @property
    def pid(self):
        """On the host."""
        return json.loads(self.cri("ContainerStatus", container_id=self.id, verbose=True).info["info"])["pid"]

    def ended(self, rc=None, seconds=20):
        """When it has come to its end."""
        wait_for(lambda: self.state == "CONTAINER_EXITED", seconds, f"{self.config['metadata']['name']} to end", self.log)
        assert rc is None or self.status().exit_code == rc, f"{self.status()}{self.log()}"
        return self

    def log(self):
        """Both outputs, as a kubelet reads them: time, stream, whether the line is whole, text."""
        path = Path(self.pod.config["log_directory"]) / self.config["log_path"]
        lines = path.read_text().splitlines() if path.exists() else []
        return "".join(text + ("\n" if tag == "F" else "") for _, _, tag, text in (line.split(" ", 3) for line in lines))

    def said(self, text, seconds=10):
        """When that is in its output."""
        wait_for(lambda: text in self.log(), seconds, f"{text!r} in the log", self.log)
        return self

    def last_words(self):
        """What it has written into /dev/termination-log."""
        path = next(m["host_path"] for m in self.config["mounts"] if m["container_path"] == "/dev/termination-log")
        return Path(path).read_text()

    def cgroup_file(self, controller, name):
        """A file of its cgroup in the hierarchy with that controller."""
        return cgroup_dir(controller) / self.pod.cgroup.lstrip("/") / self.id / name
