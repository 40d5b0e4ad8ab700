"""Debian's podman drives the runtime: what it asks of one, and how it sees what becomes of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundles import APPLETS, CHECKOUT, busybox, groups

from tests.patience import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNTIME = f"""#!{sys.executable} -IS
import sys
sys.path.insert(0, {str(CHECKOUT)!r})
import shepherd.runtime.__main__
"""
# no network of podman's, and no limit above what this machine lets a process have
PLAIN = ["--network=none", "--ulimit", "nofile=256:256", "--ulimit", "nproc=256:256"]


class Podman:
    """podman with storage of its own, in a mount namespace that goes with it."""

    def __init__(self, folder: Path) -> None:
        self.parent = f"/shepherd-test-podman-{os.getpid()}"
        runtime = folder / "shepherd-runtime"
        runtime.write_text(RUNTIME)
        runtime.chmod(0o755)
        self._folder = str(folder)
        self._words = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--cgroup-manager=cgroupfs"]
        self._words += ["--tmpdir", f"{folder}/tmp", "--runtime", str(runtime)]
        self._place = subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo; exec cat"], **_PIPES)
        assert self._place.stdout
        self._place.stdout.readline()  # it has a namespace of its own now
        self._import(folder / "image")

    def _import(self, root: Path) -> None:
        found = busybox()
        assert found is not None
        for name in ("bin", "tmp", "etc"):
            (root / name).mkdir(parents=True)
        shutil.copy(found, root / "bin/busybox")
        for name in APPLETS.split():
            (root / "bin" / name).symlink_to("busybox")
        archive = root.with_suffix(".tar")
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        self("import", str(archive), "busy:1")

    def __call__(self, *words: str, status: int = 0) -> str:
        inside = ["nsenter", "--mount", "--target", str(self._place.pid)]
        done = subprocess.run(
            [*inside, *self._words, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    def run(self, *words: str, status: int = 0) -> str:
        return self("run", "--cgroup-parent", self.parent, *PLAIN, *words, status=status)

    def once(self, *words: str, status: int = 0) -> str:
        return self.run("--rm", *words, status=status)

    def _at_work(self) -> list[str]:
        """Its programs that run still."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it ends at this moment
                found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return [words for words in found if self._folder in words]

    def close(self) -> None:
        self("rm", "--all", "--force", "--time=0")
        deadline = time.monotonic() + seconds(30)
        while self._at_work():  # what conmon starts when a container has ended tidies up beside us
            assert time.monotonic() < deadline, self._at_work()
            time.sleep(0.02)
        self._place.communicate()
        for group in groups(self.parent.strip("/")):
            for folder, _folders, _files in os.walk(group, topdown=False):
                Path(folder).rmdir()


_PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for namespaces")
    if busybox() is None or shutil.which("podman") is None:
        pytest.skip("needs podman, and a busybox without libraries (Debian: busybox-static)")
    with tempfile.TemporaryDirectory(prefix="pod") as folder:  # podman takes paths of up to 50 characters
        made = Podman(Path(folder))
        yield made
        made.close()


def test_exit_codes(podman: Podman) -> None:
    assert podman.once("busy:1", "echo", "hello") == "hello"
    podman.once("busy:1", "sh", "-c", "exit 7", status=7)
    podman.once("busy:1", "/no/such/program", status=127)
    podman.once("busy:1", "/etc", status=126)


@pytest.mark.parametrize(
    ("options", "command", "said"),
    [
        (["--hostname", "here"], "cat /proc/sys/kernel/hostname", "here"),
        (["-e", "A=1", "-w", "/tmp"], "echo $A; pwd", "1\n/tmp"),
        (
            ["--user", "1000:1000", "--cap-drop", "all"],
            "id -u; grep CapBnd /proc/self/status",
            "1000\nCapBnd:\t" + "0" * 16,
        ),
        (["--read-only", "--tmpfs", "/t"], "echo a > /t/a && cat /t/a; echo b 2>&- > /b || echo refused", "a\nrefused"),
        (["--sysctl", "kernel.shm_rmid_forced=1"], "cat /proc/sys/kernel/shm_rmid_forced", "1"),
        (["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status", "Seccomp:\t0"),
        ([], "grep Seccomp: /proc/self/status", "Seccomp:\t2"),
        (["--uidmap", "0:100000:1000"], "cat /proc/self/uid_map | tr -s ' '", " 0 100000 1000"),
        (["--tty"], "tty", "/dev/pts/0"),
        (["--privileged"], "mount -t tmpfs x /tmp && echo mounted", "mounted"),
        (["--pid", "host"], "readlink /proc/self/ns/pid", str(Path("/proc/self/ns/pid").readlink())),
    ],
)
def test_options(podman: Podman, options: list[str], command: str, said: str) -> None:
    assert podman.once(*options, "busy:1", "sh", "-c", command) == said.strip()


def test_a_folder_of_this_machine(podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    script = "cat /v/file; echo x 2>&- > /v/file || echo refused"
    assert podman.once("-v", f"{tmp_path}:/v:ro", "busy:1", "sh", "-c", script) == "contentrefused"
    podman.once("-v", f"{tmp_path}:/v", "busy:1", "sh", "-c", "echo new > /v/file")
    assert (tmp_path / "file").read_text() == "new\n"


def test_limits(podman: Podman) -> None:
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max"
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max"
    assert podman.once("--memory", "64m", "--pids-limit", "20", "busy:1", "sh", "-c", script) == "67108864\n20"


def test_a_life(podman: Podman) -> None:
    podman.run(
        "--detach", "--name", "one", "busy:1", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done"
    )
    assert podman("exec", "one", "echo", "inside") == "inside"
    podman("exec", "one", "sh", "-c", "exit 5", status=5)
    assert "sleep" in podman("top", "one")
    podman("pause", "one")
    assert podman("ps", "--all", "--format", "{{.Status}}") == "Paused"
    podman("unpause", "one")
    assert podman("logs", "one") == "up"
    podman("stop", "one")
    assert podman("wait", "one") == "3"
    podman("start", "one")
    podman("kill", "one")
    assert podman("wait", "one") == "137"
    podman("rm", "one")
    assert podman("ps", "--all", "--quiet") == ""
