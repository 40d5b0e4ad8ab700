"""Images of busybox, and the command line of the runtime with a root and a state of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from image_maker import Layout, entry, folder, layer, symlink

from shepherd.runtime.linux import cgroups
from tests import warm
from tests.patience import seconds

CHECKOUT = Path(__file__).parents[3]
PROGRAM = (
    f"import os, sys; sys.path.insert(0, {str(CHECKOUT)!r}); from shepherd.runtime.cli import main; code = main();"
    " sys.stdout.flush(); sys.stderr.flush(); os._exit(code)"
)
APPLETS = [
    "sh",
    "true",
    "false",
    "cat",
    "ls",
    "id",
    "mount",
    "echo",
    "sleep",
    "ps",
    "env",
    "readlink",
    "hostname",
    "touch",
    "mkdir",
    "rm",
    "kill",
    "stat",
    "wc",
    "mknod",
    "chmod",
    "tty",
    "ln",
    "grep",
    "setsid",
    "umount",
    "dd",
    "mv",
    "tr",
    "head",
    "tail",
    "seq",
    "test",
    "date",
    "expr",
    "yes",
    "httpd",
    "nc",
    "ip",
    "stty",
    "cp",
    "find",
    "mkfifo",
    "wget",
]
PASSWD = b"root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"
GROUP = b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\n"


def busybox() -> str | None:
    """A busybox that needs no libraries (Debian: busybox-static)."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path) and b"/ld-linux" not in Path(path).read_bytes():
            return path
    return None


def base(passwd: bytes = PASSWD) -> list[Any]:
    """The entries of a layer with busybox."""
    found = busybox()
    assert found
    return [
        folder("bin"),
        folder("etc"),
        folder("tmp", mode=0o1777),
        folder("data", mode=0o750, uid=7, gid=8),
        entry("bin/busybox", data=Path(found).read_bytes(), mode=0o755),
        entry("data/seed", data=b"seed\n"),
        entry("etc/passwd", data=passwd),
        entry("etc/group", data=GROUP),
        *[symlink("bin/" + name, "busybox") for name in APPLETS],
    ]


def _has_ended(pid: int) -> bool:
    try:
        return b"\nState:\tZ" in Path(f"/proc/{pid}/status").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True


class Runtime:
    """The command line, and what it left. The image is loaded, or is that of another one that has nothing else."""

    def __init__(self, place: Path, like: Runtime | None = None) -> None:
        self.place = place
        self.root = place / "root"
        self.state = place / "state"
        self.layout = Layout(place / "layout")
        self.environment = {
            "PATH": os.environ["PATH"],
            "SHEPHERD_RUNTIME_ROOT": str(self.root),
            "SHEPHERD_RUNTIME_STATE": str(self.state),
        }
        if like is None:
            self.image("box:1", [layer(*base())], Cmd=["sh"], Env=["PATH=/bin", "A=image"], Labels={"made": "here"})
        else:
            for ours, theirs in ((self.root, like.root), (self.layout.path, like.layout.path)):
                subprocess.run(["cp", "-aT", theirs, ours], check=True)
            self.layout.manifests += like.layout.manifests

    def image(self, name: str, layers: list[bytes], **config: object) -> str:
        """Make an image and load it."""
        self.layout.manifests.clear()
        self.layout.name(self.layout.image(layers, config=config), name)
        self.do("load", "-q", str(self.layout.path))
        return name

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", PROGRAM, *words]

    def call(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a verb, and return what became of it."""
        more = {"stdin": subprocess.DEVNULL, "timeout": seconds(60), "env": self.environment, **more}
        if "input" in more:
            del more["stdin"]
        done = warm.run(self.argv(*words), capture_output=True, text=True, check=False, **more)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def do(self, *words: str, **more: Any) -> str:
        """The same where it has to succeed: what it printed."""
        done = self.call(*words, **more)
        assert done.returncode == 0, done.stderr + done.stdout + self.complaints()
        return done.stdout

    def run(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """`run` without a network."""
        return self.call("run", "--network", "none", *words, **more)

    def output(self, *words: str, **more: Any) -> str:
        """What a container prints that has to succeed, and leaves nothing."""
        return self.do("run", "--rm", "--network", "none", *words, **more)

    def start(self, name: str, *words: str) -> str:
        """`run -d --name`: the id."""
        return self.do("run", "-d", "--network", "none", "--name", name, *words).strip()

    def popen(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        more = {"stdin": subprocess.DEVNULL, "env": self.environment, **more}
        return warm.Popen(self.argv(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.do("inspect", name))[0]
        return found

    def status(self, name: str) -> str:
        found: str = self.inspect(name)["State"]["Status"]
        return found

    def until(self, test: Any, what: object = "") -> Any:
        """What `test()` returns when that is true."""
        deadline = time.monotonic() + seconds(60)
        while True:
            found = test()
            if found:
                return found
            assert time.monotonic() < deadline, (what, self.do("ps", "-a"), self.complaints())
            time.sleep(0.02)

    def monitor(self, name: str) -> int:
        """The pid of a container's monitor; 0 where it has none."""
        from shepherd.runtime.containers.folders import Folders
        from shepherd.runtime.containers.record import find

        return find(Folders(str(self.root), str(self.state)), name).monitor()

    def kill_monitor(self, name: str) -> None:
        """As a person, or the kernel, would."""
        pid = self.monitor(name)
        assert pid
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: _has_ended(pid))

    def complaints(self) -> str:
        """What monitors could tell nobody else."""
        return "".join(one.read_text() for one in self.root.glob("containers/*/monitor.err"))

    def ours(self) -> list[int]:
        """Processes of this runtime's, and of its containers: by their command line, or by their control group."""
        ids = {one.name for one in self.root.glob("containers/*")} | {one.name for one in self.state.glob("*/*")}
        found = []
        for entry_ in os.listdir("/proc"):
            try:
                if entry_.isdigit() and int(entry_) != os.getpid():
                    command = Path(f"/proc/{entry_}/cmdline").read_bytes()
                    groups = Path(f"/proc/{entry_}/cgroup").read_text()
                    if str(self.root).encode() in command or any(len(one) == 64 and one in groups for one in ids):
                        found.append(int(entry_))
            except OSError:
                continue
        return found

    def traces(self) -> list[str]:
        """What is left of containers: records, names, pins, mounts, groups."""
        left = [one.name for one in self.root.glob("containers/*") if one.name not in ("names", "lock")]
        left += [one.name for one in self.root.glob("containers/.*")] + [
            one.name for one in self.root.glob("containers/names/*")
        ]
        left += [one.name for one in self.root.glob("pins/*")]
        left += [str(one) for one in self.state.glob("*/*")] + [str(one) for one in self.state.glob("started/.*")]
        left += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.place) in line]
        return left

    def destroy(self) -> None:
        """Whatever a test did."""
        try:
            ids = self.do("ps", "-aq", "--no-trunc").split()
            if ids:
                self.call("rm", "-fv", *ids)
            assert self.complaints() == ""
        finally:
            for pid in self.ours():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            for name in {one.name for one in self.state.glob("*/*")}:
                for target, _kind, _names in cgroups.hierarchies():
                    if Path(target, "shepherd", name).exists():
                        Path(target, "shepherd", name).rmdir()


UP = "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"


def up(runtime: Runtime, name: str = "one", *words: str, script: str = UP) -> int:
    """The pid of a container that runs this script, and has said that it is up."""
    runtime.start(name, *words, "box:1", "sh", "-c", script)
    runtime.until(lambda: "up" in runtime.do("logs", name))
    return runtime.inspect(name)["State"]["Pid"]
