"""Bundles of busybox, and the command line on them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from shepherd.runtime.bundle import template
from shepherd.runtime.linux import cgroups
from tests import warm
from tests.patience import seconds

CHECKOUT = Path(__file__).parents[3]
PROGRAM = (
    f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); from shepherd.runtime.cli.oci import main;"
    " sys.exit(main(sys.argv[1:]))"
)
APPLETS = (
    "sh true false cat ls id mount echo sleep ps env readlink hostname touch mkdir rm kill stat wc mknod chmod stty"
)
APPLETS += " tty ln grep setsid umount dd mv trap nice head tail seq test date expr unshare hexdump"


def busybox() -> str | None:
    """A busybox that needs no libraries (Debian: busybox-static)."""
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path) and b"/ld-linux" not in Path(path).read_bytes():
            return path
    return None


def groups(path: str) -> list[Path]:
    """The control groups of that path that there are, in all hierarchies."""
    return [Path(target, path) for target, _kind, _names in cgroups.hierarchies() if Path(target, path).is_dir()]


class Bundle:
    """A folder with a config.json and a root; and the runtime's command line with a state of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bundle"
        self.rootfs = self.folder / "rootfs"
        self.state_folder = folder / "state"
        self.config: dict[str, Any] = template.config()
        self.config["process"].update(terminal=False, args=["true"])
        self.config["root"]["readonly"] = False
        # this machine's processes may have less than the limit asked for, and not be allowed more
        del self.config["process"]["rlimits"]
        self.config["linux"]["cgroupsPath"] = f"/shepherd-test-{os.getpid()}/{folder.name}"
        self.config["linux"]["resources"] = {}
        self.names: set[str] = set()
        self._make_root()

    def _make_root(self) -> None:
        found = busybox()
        assert found is not None
        for name in ("bin", "etc", "tmp", "proc", "dev", "sys"):
            (self.rootfs / name).mkdir(parents=True)
        (self.rootfs / "tmp").chmod(0o1777)
        shutil.copy(found, self.rootfs / "bin" / "busybox")
        for name in APPLETS.split():
            (self.rootfs / "bin" / name).symlink_to("busybox")
        (self.rootfs / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")

    @property
    def process(self) -> dict[str, Any]:
        found: dict[str, Any] = self.config["process"]
        return found

    @property
    def linux(self) -> dict[str, Any]:
        found: dict[str, Any] = self.config["linux"]
        return found

    def mount(self, destination: str, source: str, *options: str, kind: str = "bind", **more: Any) -> None:
        """Add to the table of mounts."""
        entry = {"destination": destination, "source": source, "type": kind, "options": list(options), **more}
        self.config["mounts"].append(entry)

    def without(self, *kinds: str) -> None:
        """Share these namespaces with the machine."""
        self.linux["namespaces"] = [one for one in self.linux["namespaces"] if one["type"] not in kinds]

    def write(self) -> None:
        (self.folder / "config.json").write_text(json.dumps(self.config))

    def argv(self, *words: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-I", "-S", "-c", PROGRAM, "--root", str(self.state_folder), *words]

    def call(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a verb, and return what became of it."""
        more = {"stdin": subprocess.DEVNULL, "timeout": 60, **more}
        return warm.run(self.argv(*words), capture_output=True, text=True, check=False, **more)

    def do(self, *words: str, **more: Any) -> str:
        """The same where it has to succeed: what it printed."""
        done = self.call(*words, **more)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def shell(self, script: str, name: str = "c", **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a script as a container from beginning to end."""
        self.process["args"] = ["sh", "-c", script]
        self.write()
        self.names.add(name)
        return self.call("run", "--bundle", str(self.folder), name, **more)

    def output(self, script: str, **more: Any) -> str:
        """What a script prints that has to succeed."""
        done = self.shell(script, **more)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def refusal(self, script: str = "true") -> str:
        """What is said of a configuration that is refused; nothing of it is left."""
        done = self.shell(script)
        assert done.returncode == 1, done
        assert "Traceback" not in done.stderr, done.stderr
        assert self.traces() == []
        return done.stderr

    def create(self, name: str = "c", *words: str) -> None:
        self.write()
        self.names.add(name)
        # a container keeps the descriptors of what made it: pipes would never end
        with open(self.folder / "output", "ab") as out:
            done = warm.run(
                self.argv("create", "--bundle", str(self.folder), *words, name),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=False,
                timeout=seconds(60),
            )
        assert done.returncode == 0, (self.folder / "output").read_text()

    def state(self, name: str = "c") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.do("state", name))
        return found

    def wait_for(self, status: str, name: str = "c") -> None:
        deadline = time.monotonic() + seconds(30)
        while self.state(name)["status"] != status:
            assert time.monotonic() < deadline, self.state(name)

    def groups(self) -> list[str]:
        """Control groups of this bundle's, anywhere."""
        path = self.linux.get("cgroupsPath", "/").strip("/")
        if not path:
            return []
        return [str(one) for one in groups(path)]

    def traces(self) -> list[str]:
        """What is left of containers: records, groups and processes."""
        left = [str(one) for one in self.state_folder.glob("*")] + [str(one) for one in self.state_folder.glob(".*")]
        return left + self.groups() + [f"pid {pid}" for pid in self.processes()]

    def processes(self) -> list[int]:
        """Processes that have our root."""
        found = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and os.path.samefile(f"/proc/{entry}/root", self.rootfs):
                    found.append(int(entry))
            except OSError:
                continue
        return found

    def destroy(self) -> None:
        """Whatever a test did."""
        for name in self.names:
            self.call("delete", "--force", name)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        for top in groups(f"shepherd-test-{os.getpid()}"):
            for folder, _folders, _files in os.walk(top, topdown=False):
                Path(folder).rmdir()


def user_namespace(bundle: Bundle, host: int = 100000) -> None:
    """Give the bundle one of its own, and the root filesystem to its users."""
    bundle.linux["namespaces"].append({"type": "user"})
    for name in ("uidMappings", "gidMappings"):
        bundle.linux[name] = [{"containerID": 0, "hostID": host, "size": 65536}]
    for path in [bundle.folder, bundle.rootfs, *bundle.folder.parents]:
        path.chmod(path.stat().st_mode | 0o111)
    for folder, _folders, files in os.walk(bundle.rootfs):
        for path in [folder, *(os.path.join(folder, one) for one in files)]:
            os.chown(path, host, host, follow_symlinks=False)


ALL = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_SETUID",
    "CAP_SETGID",
    "CAP_SYS_CHROOT",
]


def with_capabilities(bundle: Bundle, *more: str) -> None:
    """Give its process those of ALL, and more."""
    names = [*ALL, *more]
    bundle.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), names)
