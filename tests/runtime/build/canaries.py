"""What an attack on a build must not get at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from builds import APPLETS, GROUP, PASSWD, busybox, program

if TYPE_CHECKING:
    from typing import Any

    from builds import Builds


SECRET = "the canary's own words"


WANTED = ("/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc", "/usr/bin", "/bin/sh")


def hostile_base(builds: Builds, entries: dict[str, Any], **config: Any) -> None:
    """An image hostile:1 of busybox and these."""
    found = busybox()
    assert found is not None
    usual: dict[str, Any] = dict.fromkeys(("bin", "etc"))
    usual["bin/busybox"] = program(Path(found).read_bytes())
    usual.update({f"bin/{applet}": ("link", "busybox") for applet in APPLETS.split()})
    usual.update({"etc/passwd": PASSWD, "etc/group": GROUP})
    builds.load_base("hostile:1", {**usual, **entries}, **config)


def up(path: Path) -> str:
    return "../" * 30 + str(path).lstrip("/")
