"""A small Debian to be the root of hosts, made once by mmdebstrap and kept below /var/cache."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import signal
import subprocess
from pathlib import Path

from shepherd.errors import ShepherdError
from shepherd.lab import state

CACHE = Path("/var/cache/shepherd-lab")
PACKAGES = [
    *("acl", "apt-utils", "ca-certificates", "cron", "curl", "dbus", "git", "gnupg", "iproute2", "openssh-server"),
    *("procps", "python3", "python3-apt", "python3-debian", "rsync", "sudo", "systemd", "systemd-sysv", "udev"),
]
# Taken over from this machine, so that packages can be had the same way.
APT_FOLDERS = ("/etc/apt/apt.conf.d", "/etc/apt/sources.list.d", "/etc/apt/keyrings", "/etc/apt/trusted.gpg.d")
CERTIFICATES = "/usr/local/share/ca-certificates"


def has_systemd(root: str = "/") -> bool:
    """Whether systemd can be process 1 there."""
    return (Path(root) / "sbin/init").resolve().name == "systemd"


def folder() -> Path:
    """Where the base for this machine is, or will be; another list of packages is another base."""
    suite = _release().get("VERSION_CODENAME", "")
    digest = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    return CACHE / f"{suite}-{digest}"


def make() -> Path:
    """The base, which is made if it is not there yet; that takes a minute and the package mirrors."""
    path = folder()
    with state.locked("_base"):
        if not path.is_dir():
            _make(path)
    return path


def remove() -> None:
    """Forget all bases. No lab uses one."""
    shutil.rmtree(CACHE, ignore_errors=True)


def _make(path: Path) -> None:
    release = _release()
    if release.get("ID") not in ("debian", "ubuntu"):
        raise ShepherdError(
            "a base for hosts with systemd can only be made on Debian and Ubuntu",
            hint="on a machine whose /sbin/init is systemd none is needed",
        )
    if shutil.which("mmdebstrap") is None:
        raise ShepherdError("mmdebstrap is missing", hint="apt-get install mmdebstrap")
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    shutil.rmtree(new, ignore_errors=True)  # of one that was killed
    sources = [*Path("/etc/apt").glob("sources.list"), *Path("/etc/apt/sources.list.d").glob("*.sources")]
    sources += Path("/etc/apt/sources.list.d").glob("*.list")
    command = ["mmdebstrap", "--variant=important", f"--include={','.join(PACKAGES)}", release["VERSION_CODENAME"]]
    # a group of its own, which ends whole: what goes on to write would be in the way of the next attempt
    made = subprocess.Popen(
        [*command, str(new), *map(str, sources)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, said = made.communicate()
    except BaseException:
        os.killpg(made.pid, signal.SIGKILL)
        made.wait()
        shutil.rmtree(new, ignore_errors=True)
        raise
    if made.returncode:
        shutil.rmtree(new, ignore_errors=True)
        raise ShepherdError(f"mmdebstrap failed: {said.strip()[-1500:]}")
    _take_over_settings(new)
    new.rename(path)


def _take_over_settings(root: Path) -> None:
    """Settings of apt and certificates of this machine."""
    for name in (*APT_FOLDERS, CERTIFICATES):
        there = root / name.lstrip("/")
        if Path(name).is_dir():
            shutil.rmtree(there, ignore_errors=True)
            shutil.copytree(name, there, symlinks=True)
    if not Path("/etc/apt/sources.list").exists():
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
    else:
        shutil.copy("/etc/apt/sources.list", root / "etc/apt/sources.list")
    subprocess.run(["chroot", str(root), "update-ca-certificates"], capture_output=True, check=False)


def _release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
