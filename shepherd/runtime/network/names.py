"""The three files by which a container knows names: /etc/hosts, /etc/resolv.conf and /etc/hostname.

Containers of one network find each other by /etc/hosts, which is kept up to date in each of them. That asks for no
process that can die, no port 53 on the host, no packet that a firewall may drop, and every program's resolver reads it.
The files are the container's own, in its folder on the host, and are mounted into it: they are changed in place, for
a mount stays with the file it was made of.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.network import addresses

FILES = ("hosts", "resolv.conf", "hostname")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_LOCAL = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
_MOST = 1 << 20


def check(name: str, what: str) -> str:
    """A name for /etc/hosts or a domain: nothing that could begin another word or line. Raises RuntimeFailure."""
    if not isinstance(name, str) or not 0 < len(name) <= 253 or not _LETTERS.issuperset(name) or name[0] == "-":
        raise RuntimeFailure("%s is no %s" % (ascii(name)[:80], what), "letters, digits and . - _ are allowed")
    return name


def parse_hosts(words: list) -> list:
    """(name, address) of each NAME:ADDRESS; the address may be host-gateway. Raises RuntimeFailure."""
    found = []
    for word in words:
        split = word.find("=") if "=" in word else word.find(":")
        name, address = check(word[: max(split, 0)], "name and address of --add-host"), word[split + 1 :]
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        found.append((name, address if address == "host-gateway" else addresses.canonical(address)))
    return found


def hosts(added: list, lines: list, gateway=None) -> str:
    """/etc/hosts: `added` of parse_hosts, and `lines` of (address, names)."""
    text = list(_LOCAL)
    for name, address in added:
        if address == "host-gateway":
            address = gateway
        if address:
            text.append("%s\t%s" % (address, name))
    text += ["%s\t%s" % (address, " ".join(dict.fromkeys(names))) for address, names in lines]
    return "\n".join(text) + "\n"


def host_file(name: str) -> str:
    """A file of the host's own for a container that shares its network."""
    try:
        with open(os.path.join("/etc", name), errors="replace") as file:
            return file.read(_MOST)
    except OSError:
        return ""


def write(folder: str, name: str, text: str) -> None:
    """Change the file in place. What is longer than the new text is made empty lines first, not parts of old ones."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(os.path.join(folder, name), flags, 0o644)
    try:
        data = text.encode()
        os.pwrite(descriptor, data + b"\n" * min(_MOST, os.fstat(descriptor).st_size - len(data)), 0)
        os.ftruncate(descriptor, len(data))
        os.fchmod(descriptor, 0o644)
    finally:
        os.close(descriptor)


def mounts(folder: str, read_only: bool = False) -> list:
    """The OCI mounts of the three files."""
    rights = "ro" if read_only else "rw"
    return [
        {
            "destination": "/etc/" + name,
            "type": "bind",
            "source": os.path.join(folder, name),
            "options": ["bind", rights, "nosuid", "nodev", "noexec"],
        }
        for name in FILES
    ]
