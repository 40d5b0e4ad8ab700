"""Modules that exist for Ansible and not here (yet): where a name that a playbook uses belongs.

A playbook for several systems names modules that most of its hosts never reach (`yum` on Debian). Those are no
mistake, so they are an error only where they are sure to run.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

BUILTIN = "ansible.builtin"


def collection_of(name: str) -> str | None:
    """The collection of a module, by its short name or by a name with its collection before it; None if unknown."""
    parts = name.split(".")
    if len(parts) >= 3:
        return ".".join(parts[:2])
    return _collections().get(name)


@cache
def _collections() -> dict[str, str]:
    """Short names by collection, as the file lists them: read only where a name is met that is none of ours."""
    found: dict[str, str] = {}
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        collection, _, names = line.partition(": ")
        found.update(dict.fromkeys(names.split(), collection))
    return found
