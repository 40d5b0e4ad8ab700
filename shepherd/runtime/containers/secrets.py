"""Files that only a container's user reads: kept with its record, seen in a tmpfs while it runs.

    ROOT/containers/ID/secrets/NAME    as they were given, with their mode, in a folder that only root enters
    STATE/containers/ID/secrets/       a tmpfs in the mounts of one start: nobody else on the machine sees it
    /run/secrets/NAME                  that tmpfs inside, read-only; of mode 0400 or what was asked for, its user's or
                                       whose was asked for

The record keeps their names alone, and in `SecretOwners` who was asked for, so that no verb shows what is in them.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls
from shepherd.runtime.linux.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID

PLACE = "/run/secrets"
LARGEST = 512000  # bytes, as Docker's
_NOBODY = (1 << 32) - 1  # chown(2)
_OCTAL, _DIGITS = frozenset("01234567"), frozenset("0123456789")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def read(text: str) -> tuple:
    """(name, (content, mode, owner)) of `NAME[:MODE[:UID[:GID]]]=FILE`, each of which may be empty.

    The owner is "UID:GID", of which what was left out is empty. Raises RuntimeFailure.
    """
    name, equals, path = text.partition("=")
    name, _, mode = name.partition(":")
    mode, _, owner = mode.partition(":")
    if not equals or not 0 < len(name) <= 128 or not _LETTERS.issuperset(name) or name[0] == ".":
        raise RuntimeFailure(
            "--secret: should be NAME[:MODE[:UID[:GID]]]=FILE, and is %.60r" % text,
            "letters, digits and _ . - make a name",
        )
    if len(mode) > 4 or not _OCTAL.issuperset(mode) or int(mode or "400", 8) > 0o777:
        raise RuntimeFailure("--secret %s: should have a mode such as 0444, and has %.20r" % (name, mode))
    owner = tuple(owner.split(":")) if owner else ()
    if len(owner) > 2 or not all(not one or (_DIGITS.issuperset(one) and int(one) < _NOBODY) for one in owner):
        raise RuntimeFailure("--secret %s: should have an owner such as 999:999, of numbers" % name)
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise RuntimeFailure("--secret %s: %s" % (name, error.strerror)) from None
    if len(content) > LARGEST:
        raise RuntimeFailure("--secret %s: is longer than %d bytes" % (name, LARGEST))
    return name, (content, int(mode or "400", 8), ":".join(owner + ("",) * (2 - len(owner))) if any(owner) else "")


def keep(folder: str, secrets: dict) -> dict:
    """Write them below a container's folder: what its record has of them."""
    if secrets:
        os.mkdir(os.path.join(folder, "secrets"), 0o700)
    for name, (content, mode, _owner) in secrets.items():
        _write(os.path.join(folder, "secrets", name), content, mode)
    owners = {name: owner for name, (_content, _mode, owner) in secrets.items() if owner}
    return dict({"Secrets": sorted(secrets)}, **({"SecretOwners": owners} if owners else {}))


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
            content, mode = file.read(), os.fstat(file.fileno()).st_mode & 0o777
        path = os.path.join(place, name)
        _write(path, content, mode)
        uid, gid = (record.config.get("SecretOwners") or {}).get(name, ":").split(":")
        os.chown(path, int(uid or user["uid"]), int(gid or user["gid"]))
    return [{"Type": "bind", "Source": place, "Destination": PLACE, "RW": False, "Propagation": ""}]


def _write(path, content, mode):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask is
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
