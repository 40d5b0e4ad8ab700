"""The files that make a copy of this machine's root into a lab host. Text from data; `boot` writes it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shepherd.runtime.linux.mounts import Mount

if TYPE_CHECKING:
    from shepherd.lab.state import Host, Lab

PASSWORD = "shepherd"  # noqa: S105 - public on purpose: the hosts are for trying things out, and docs/lab.md says so
# crypt(5) of it, so that nothing has to be computed at each start
PASSWORD_HASH = "$6$shepherdlab$ZtZSmCHTfzgo65a/JPkj7c0cZDdhsB67kS8YpCgFNUt5tv11Lv15dAJZoe8CdVfpESBZjncIZhE86UwHmhssj/"  # noqa: S105


class User(NamedTuple):
    name: str
    home: str
    sudo: str  # what a sudoers line says of it after its name


USERS = (
    User("shepherd", "/home/shepherd", "ALL=(ALL:ALL) ALL"),
    User("deploy", "/home/deploy", "ALL=(ALL:ALL) NOPASSWD: ALL"),
)

# Folders of this machine that a host sees empty: its people's and its keys, which are nobody's business there, and
# shell start-up files that would cost every command their time.
EMPTY = (
    *(("/root", 0o700), ("/home", 0o755), ("/etc/ssh", 0o755), ("/var/tmp", 0o1777)),  # noqa: S108
    *(("/var/lib/shepherd", 0o700), ("/usr/local/lib/shepherd", 0o755)),
)
# Where a host keeps its containers: an overlay, which its root is, can hold no other one's changes.
CONTAINERS = Mount("/var/lib/shepherd", "tmpfs", 0, "mode=700")

# Folders of which a host shows all that is mounted in them, and kinds of file systems without a device that count.
SHOWN = ("/etc", "/opt", "/srv", "/usr", "/var")
SHOWN_KINDS = ("btrfs", "zfs", "overlay", "nfs4", "virtiofs")

# Where systemd is process 1: what this machine has switched on stays off, but for these.
SYSTEMD_EMPTY = ("/etc/systemd/system", 0o755)
SYSTEMD_UNITS = ("ssh.service", "sshd.service", "cron.service", "crond.service")
# Debian's images for containers forbid packages to start their services by it.
POLICY = "/usr/sbin/policy-rc.d"
UNIT_FOLDERS = ("/usr/lib/systemd/system", "/lib/systemd/system")

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LANG": "C.UTF-8"}


class File(NamedTuple):
    path: str
    text: str
    mode: int = 0o644
    owner: str = "root"


def sshd_config(host: Host, pam: bool) -> str:
    """For many logins in little time: no PAM session, no look-ups, no message of the day."""
    return f"""\
Port {host.port}
ListenAddress {host.address}
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile none
UsePAM {"yes" if pam else "no"}
UseDNS no
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
MaxStartups 1000
MaxSessions 1000
MaxAuthTries 20
PrintMotd no
PrintLastLog no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""


def hosts_file(lab: Lab, own: Host) -> str:
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    if lab.shares_network:
        lines += [f"127.0.1.1 {own.name}"]
        return "\n".join(lines) + "\n"
    return "\n".join([*lines, *hosts_lines(lab.hosts)]) + "\n"


def hosts_lines(hosts: list[Host]) -> list[str]:
    return [f"{host.address} {host.name}" for host in hosts]


def parts(mounts: str) -> list[str]:
    """Where this machine has disks of their own below the folders that a host shows; `mounts` is /proc/self/mounts."""
    found = []
    for line in mounts.splitlines():
        source, path, kind = line.split()[:3]
        shown = any(path == folder or path.startswith(f"{folder}/") for folder in SHOWN)
        hidden = any(path == folder or path.startswith(f"{folder}/") for folder, _mode in EMPTY)
        # A name that the kernel escapes, or an overlay would take for two, is nothing that a host depends on.
        if shown and not hidden and not set(path) & set("\\:,") and (source.startswith("/dev/") or kind in SHOWN_KINDS):
            found.append(path)
    return sorted(set(found))


def files(lab: Lab, host: Host) -> list[File]:
    """All that is written in a host; users exist by then."""
    authorized = lab.key.with_suffix(".pub").read_text()
    sudoers = "".join(f"{user.name} {user.sudo}\n" for user in USERS)
    found = [
        File("/etc/hostname", f"{host.name}\n"),
        File("/etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444),
        File("/etc/hosts", hosts_file(lab, host)),
        File("/etc/resolv.conf", Path("/etc/resolv.conf").read_text() if lab.shares_network else ""),
        File("/etc/sudoers.d/shepherd-lab", f"Defaults lecture=never\n{sudoers}", 0o440),
        File("/etc/ssh/sshd_config", sshd_config(host, pam=lab.systemd)),
        File("/etc/ssh/ssh_host_ed25519_key", (lab.folder / f"{host.name}.key").read_text(), 0o600),
        File("/etc/ssh/ssh_host_ed25519_key.pub", host.host_key + "\n"),
    ]
    homes = [("root", "/root"), *((user.name, user.home) for user in USERS)]
    return found + [File(f"{home}/.ssh/authorized_keys", authorized, 0o600, name) for name, home in homes]


def with_users(passwd: str, group: str, shadow: str) -> tuple[str, str, str, dict[str, int]]:
    """The three files of /etc with the lab's users in them, and the users' numbers (user and group alike)."""
    names = {user.name for user in USERS}
    passwd_lines = [line for line in passwd.splitlines() if line.split(":")[0] not in names]
    group_lines = [line for line in group.splitlines() if line.split(":")[0] not in names]
    shadow_lines = [line for line in shadow.splitlines() if line.split(":")[0] not in {*names, "root"}]
    taken = {int(line.split(":")[2]) for line in passwd_lines + group_lines if line.count(":") >= 2 and line[0] != "+"}
    shadow_lines.insert(0, f"root:{PASSWORD_HASH}:20000:0:99999:7:::")
    numbers = {}
    free = (number for number in range(1000, 60000) if number not in taken)
    for user, number in zip(USERS, free, strict=False):
        numbers[user.name] = number
        passwd_lines.append(f"{user.name}:x:{number}:{number}::{user.home}:/bin/bash")
        group_lines.append(f"{user.name}:x:{number}:")
        shadow_lines.append(f"{user.name}:{PASSWORD_HASH}:20000:0:99999:7:::")
    text = ["\n".join(lines) + "\n" for lines in (passwd_lines, group_lines, shadow_lines)]
    return text[0], text[1], text[2], numbers
