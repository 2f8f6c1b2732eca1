# SPDX-License-Identifier: Apache-2.0
"""podman --sdnotify=container: READY=1 of the program reaches the service manager of podman's caller."""
import socket

import pytest
from conftest import IMAGE, needs
from harness import programs
from test_podman import common, engine, podman  # noqa: F401

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(needs("podman", "conmon") is not None, reason=str(needs("podman", "conmon")))]


def test_ready_of_the_program(podman, common, tmp_path, monkeypatch):  # noqa: F811
    path = str(tmp_path / "manager.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        monkeypatch.setitem(podman.env, "NOTIFY_SOCKET", path)
        podman("run", "--detach", "--name", "service", "--sdnotify", "container", *common, "-v", f"{programs.build('notify')}:/bin/notify:ro", IMAGE,
               "sh", "-c", "notify READY=1; exec sleep 100")
        said = []
        while "READY=1" not in said:
            said += manager.recv(4096).decode().splitlines()
    monkeypatch.delitem(podman.env, "NOTIFY_SOCKET")
    podman("rm", "--force", "--time", "0", "service")
    assert any(line.startswith("MAINPID=") for line in said)
