"""What a lab writes for others to read: an inventory and a known_hosts file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from shepherd.lab import plan

if TYPE_CHECKING:
    from shepherd.lab.state import Host, Lab

FIRST_LINE = "# A lab of local SSH hosts, written by `shepherd lab up` and taken away by `shepherd lab down`."


def inventory(lab: Lab) -> str:
    lines = [FIRST_LINE]
    groups = sorted(set(plan.GROUPS), key=plan.GROUPS.index)
    for group in groups:
        lines += ["", f"[{group}]"]
        lines += [_host_line(host) for host in lab.hosts if plan.group_of(host.index) == group]
    lines += ["", "[lab:children]", *groups]
    lines += [
        "",
        "[lab:vars]",
        "ansible_user=root",
        f"ansible_ssh_private_key_file={lab.key}",
        f"ansible_ssh_common_args='-o UserKnownHostsFile={lab.known_hosts}'",
        "ansible_python_interpreter=/usr/bin/python3",
    ]
    return "\n".join(lines) + "\n"


def _host_line(host: Host) -> str:
    port = f" ansible_port={host.port}" if host.port != 22 else ""
    return f"{host.name} ansible_host={host.address}{port}"


def known_hosts(lab: Lab) -> str:
    return "".join(f"{_known_name(host)} {host.host_key}\n" for host in lab.hosts)


def _known_name(host: Host) -> str:
    return host.address if host.port == 22 else f"[{host.address}]:{host.port}"


def write(lab: Lab) -> None:
    """Write both. The inventory's folder is made where it is missing."""
    lab.known_hosts.write_text(known_hosts(lab))
    path = Path(lab.inventory)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(inventory(lab))


def remove(lab: Lab) -> None:
    """Take the inventory away, and its folder if it was made for it and nothing else came to lie there."""
    path = Path(lab.inventory)
    with suppress(OSError):
        if path.exists() and writable(path):
            path.unlink()
        if lab.made_folder:
            path.parent.rmdir()


def writable(path: Path) -> bool:
    """Whether nothing that a person wrote lies there. An empty file is one that a killed `up` had just opened."""
    if not path.exists():
        return True
    text = path.read_text(errors="replace") if path.is_file() else None
    return text is not None and (not text or text.startswith(FIRST_LINE))
