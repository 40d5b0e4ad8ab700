"""What manages packages and services here."""

import os

from shepherd.remote import programs
from shepherd.remote.facts import files

# Each manager's program. Where several are there, the one of the distribution's family counts, else the last.
PACKAGES = (
    ("/usr/bin/rpm-ostree", "atomic_container"),
    ("/usr/bin/apt-get", "apt"),
    ("/usr/sbin/urpmi", "urpmi"),
    ("/usr/bin/pacman", "pacman"),
    ("/usr/bin/zypper", "zypper"),
    ("/usr/bin/emerge", "portage"),
    ("/usr/bin/swupd", "swupd"),
    ("/sbin/apk", "apk"),
    ("/usr/bin/xbps-install", "xbps"),
    ("/bin/opkg", "opkg"),
    ("/usr/bin/yum", "yum"),
    ("/usr/bin/microdnf", "dnf"),
    ("/usr/bin/dnf", "dnf"),
    ("/usr/bin/dnf-3", "dnf"),
    ("/usr/bin/dnf5", "dnf5"),
)
# the command of process 1 and the manager it stands for, where they are called differently
INIT = {"procd": "openwrt_init", "runit-init": "runit", "svscan": "svc", "openrc-init": "openrc"}


def packages(known):
    found = [name for path, name in PACKAGES if name != "atomic_container" and os.path.exists(path)]
    family = known.facts.get("os_family")
    if family == "RedHat":
        return {"pkg_mgr": _of_red_hat(found, known.facts)}
    if family == "Debian" and "apt" in found:
        return {"pkg_mgr": "apt"}
    if family == "Altlinux" and "apt" in found:
        return {"pkg_mgr": "apt_rpm"}
    return {"pkg_mgr": found[-1] if found else "unknown"}


def _of_red_hat(found, facts):
    if os.path.exists("/run/ostree-booted"):
        return "atomic_container"
    if os.path.basename(os.path.realpath("/usr/bin/dnf")) == "dnf5":
        return "dnf5"
    major = facts.get("distribution_major_version", "")
    old = major.isdigit() and int(major) < (23 if facts["distribution"] == "Fedora" else 8)
    if facts["distribution"] == "Amazon":
        old = major.isdigit() and (int(major) < 2022 and major != "2023")
    for name in ("yum", "dnf") if old else ("dnf", "dnf5", "yum"):
        if name in found:
            return name
    return found[-1] if found else "unknown"


def services(_):
    first = files.text("/proc/1/comm") or "init"
    first = os.path.basename(first)
    manager = INIT.get(first, first)
    if manager == "init" or manager.endswith("sh"):
        manager = _of_init()
    return {"service_mgr": manager}


def _of_init():
    if systemd_runs():
        return "systemd"
    if programs.find("initctl") and os.path.exists("/etc/init/"):
        return "upstart"
    if os.path.exists("/sbin/openrc"):
        return "openrc"
    if os.path.basename(files.link("/sbin/init")) == "systemd" and programs.find("systemctl"):
        return "systemd"
    return "sysvinit" if os.path.exists("/etc/init.d/") else "service"


def systemd_runs():
    """Whether systemd is process 1: sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


def systemd(_):
    """Version and features. systemctl is asked, where systemd runs."""
    path = programs.find("systemctl")
    if path is None or not systemd_runs():
        return {}
    from shepherd.remote import process

    try:
        told = process.run([path, "--version"]).stdout.split("\n")
    except OSError:
        return {}
    words = told[0].split()
    if len(words) < 2 or not words[1].isdigit():
        return {}
    return {"systemd": {"version": int(words[1]), "features": told[1] if len(told) > 1 else ""}}
