# SPDX-License-Identifier: Apache-2.0
"""Every command block of HACKING.md, run in its order in a fresh clone. A line with the comment "# fails" must fail."""
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.needs import needs

REPO = Path(__file__).resolve().parents[2]
ENV = {**os.environ, "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@localhost", "GIT_COMMITTER_NAME": "test",
       "GIT_COMMITTER_EMAIL": "test@localhost", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_PAGER": "cat"}
# What the build and the tests make (see .gitignore); all else belongs to the tree, committed or not.
MADE = shutil.ignore_patterns(".git", "build", "build-*", "__pycache__", ".pytest_cache", "autom4te.cache", "configure", "config.h.in", "Makefile.in",
                              "aclocal.m4")


def blocks():
    text = (REPO / "HACKING.md").read_text()
    found = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    fences = len(re.findall(r"^```", text, re.M))
    assert fences == 2 * len(found), "a fence in HACKING.md is not a command block that this test runs"
    return found


def script():
    """All blocks as one shell script that stops at the first surprise and names it."""
    lines = ["set -eu"]
    for line in "".join(blocks()).splitlines():
        command, _, comment = line.partition("   # ")
        if comment.startswith("fails"):
            lines.append(f"if {command}; then echo SURPRISE, this should fail: {shlex.quote(command)}; exit 1; fi")
        else:
            lines.append(f"{command} || {{ echo SURPRISE, this failed: {shlex.quote(command)}; exit 1; }}")
    return "\n".join(lines)


def git(*args, cwd):
    subprocess.run(["git", *args], cwd=cwd, env=ENV, check=True, stdout=subprocess.DEVNULL, timeout=60)


@pytest.fixture
def repository(tmp_path):
    """The tree as it is now, as a repository to clone."""
    copy = tmp_path / "repository"
    shutil.copytree(REPO, copy, ignore=MADE, symlinks=True)
    git("init", "--quiet", "--initial-branch=main", cwd=copy)
    git("add", "--all", cwd=copy)
    git("commit", "--quiet", "--message", "the tree under test", cwd=copy)
    return copy


@pytest.mark.hull_only(reason="it is about this tree")
@needs("git and a compiler")
@pytest.mark.timeout(1200)
def test_every_command_block(repository, tmp_path):
    done = subprocess.run(["sh", "-c", script()], cwd=tmp_path, env={**ENV, "HULL_REPOSITORY": str(repository)}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1150)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Hello from a container" in done.stdout
    assert "/dev/full" in done.stdout  # the line that the changed row took out of the plans
    status = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path / "hull", env=ENV, check=True, capture_output=True, text=True, timeout=60)
    assert status.stdout == ""


def test_paths_that_it_names_exist():
    """The map and the tables name files that are there."""
    text = (REPO / "HACKING.md").read_text()
    for name in re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r"`((?:src|tests|tools|docs|libocispec)/[A-Za-z0-9_./-]*)`", text):
        assert (REPO / name).exists(), f"HACKING.md names {name}"
    for name in re.findall(r"`((?:src|tests|libocispec)/[A-Za-z0-9_./-]*\*[A-Za-z0-9_./*-]*)`", text):
        assert list(REPO.glob(name)), f"HACKING.md names {name}"
