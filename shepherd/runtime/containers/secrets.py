"""Files that only a container's user reads: kept with its record, seen in a tmpfs while it runs.

    ROOT/containers/ID/secrets/NAME    as they were given (0400, in a folder that only root enters)
    STATE/containers/ID/secrets/       a tmpfs in the mounts of one start: nobody else on the machine sees it
    /run/secrets/NAME                  that tmpfs inside, read-only; 0400, owned by the container's user

The record keeps their names alone, so that no verb shows what is in them.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls
from shepherd.runtime.linux.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID

PLACE = "/run/secrets"
LARGEST = 512000  # bytes, as Docker's
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def read(text: str) -> tuple:
    """(name, content) of `NAME=FILE`. Raises RuntimeFailure."""
    name, equals, path = text.partition("=")
    if not equals or not 0 < len(name) <= 128 or not _LETTERS.issuperset(name) or name[0] == ".":
        raise RuntimeFailure(
            "--secret: should be NAME=FILE, and is %.60r" % text, "letters, digits and _ . - make a name"
        )
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise RuntimeFailure("--secret %s: %s" % (name, error.strerror)) from None
    if len(content) > LARGEST:
        raise RuntimeFailure("--secret %s: is longer than %d bytes" % (name, LARGEST))
    return name, content


def keep(folder: str, secrets: dict) -> list:
    """Write them below a container's folder; their names."""
    if secrets:
        os.mkdir(os.path.join(folder, "secrets"), 0o700)
    for name, content in secrets.items():
        _write(os.path.join(folder, "secrets", name), content)
    return sorted(secrets)


def mount(record, running: str, user: dict) -> list:
    """The mounts, as in a record, that show a container its secrets. After root.own_mounts."""
    names = record.config.get("Secrets")
    if not names:
        return []
    place = os.path.join(running, "secrets")
    os.makedirs(place, 0o700, exist_ok=True)
    syscalls.mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755")
    for name in names:
        with open(record.path("secrets", name), "rb") as file:
            content = file.read()
        path = os.path.join(place, name)
        _write(path, content)
        os.chown(path, user["uid"], user["gid"])
    return [{"Type": "bind", "Source": place, "Destination": PLACE, "RW": False, "Propagation": ""}]


def _write(path, content):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
