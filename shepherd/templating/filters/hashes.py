"""Filters that digest."""

from __future__ import annotations

import hashlib
from typing import Any

_NAMESPACE = "361E6D51-FAEC-444A-9079-341386DA8E2E"  # Ansible's: the same names give the same ids


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def digest(value: Any, hashtype: str = "sha1") -> str:
    try:
        made = hashlib.new(hashtype)
    except ValueError:
        raise ValueError(
            f"unknown hash {hashtype!r}; known are {', '.join(sorted(hashlib.algorithms_available))}"
        ) from None
    made.update(_bytes(value))
    return made.hexdigest()


def md5(value: Any) -> str:
    return digest(value, "md5")


def sha1(value: Any) -> str:
    return digest(value, "sha1")


def to_uuid(value: Any, namespace: Any = _NAMESPACE) -> str:
    """The version 5 UUID (RFC 9562) of a name."""
    import uuid

    space = namespace if isinstance(namespace, uuid.UUID) else uuid.UUID(str(namespace))
    return str(uuid.uuid5(space, str(value)))


def password_hash(
    value: str,
    hashtype: str = "sha512",
    salt: str | None = None,
    salt_size: int | None = None,
    rounds: int | None = None,
    ident: str | None = None,
) -> str:
    from shepherd.templating.passwords import crypted

    return crypted(value, hashtype, salt=salt, salt_size=salt_size, rounds=rounds, ident=ident)


FILTERS = {
    "hash": digest,
    "checksum": sha1,
    "md5": md5,
    "sha1": sha1,
    "to_uuid": to_uuid,
    "password_hash": password_hash,
}
