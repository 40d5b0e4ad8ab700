"""Tests on paths of the controller."""

# ruff: noqa: PTH121 -- tests take names of files as text
from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def vault_encrypted(value: Any) -> bool:
    return getattr(value, "vaulted", False) is True


def vaulted_file(path: str) -> bool:
    with open(path, "rb") as handle:
        return handle.read(14) == b"$ANSIBLE_VAULT"


def same_file(path: str, other: str) -> bool:
    return os.path.samefile(path, other)


TESTS: dict[str, Callable[..., Any]] = {
    "directory": os.path.isdir,
    "is_dir": os.path.isdir,
    "file": os.path.isfile,
    "is_file": os.path.isfile,
    "link": os.path.islink,
    "is_link": os.path.islink,
    "exists": os.path.exists,
    "link_exists": os.path.lexists,
    "abs": os.path.isabs,
    "is_abs": os.path.isabs,
    "same_file": same_file,
    "is_same_file": same_file,
    "mount": os.path.ismount,
    "is_mount": os.path.ismount,
    "vault_encrypted": vault_encrypted,
    "vaulted_file": vaulted_file,
}
