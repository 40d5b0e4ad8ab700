"""The configs and secrets that a service is given, by name or with the place where it sees them."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shepherd.compose import mount, shape
from shepherd.compose.where import Faults
from shepherd.origin import Mapping

if TYPE_CHECKING:
    from shepherd.compose.where import Where
    from shepherd.origin import Origin

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_SECRETS = "/run/secrets/"
_LAST = (1 << 32) - 2  # the one above it stands for none (chown(2))


@dataclass(frozen=True)
class Grant:
    """`target`: of a secret a name in /run/secrets, of a config a path. `mode` in octal.

    Whose it is as numbers; where None, of a secret the container's user, of a config root.
    """

    source: str
    target: str
    mode: str = "444"
    uid: str | None = None
    gid: str | None = None
    origin: Origin | None = field(default=None, compare=False)


def _mode(value: Any, where: Where) -> str:
    found = mount.mode(value, where)
    if int(found, 8) > 0o777:
        raise where.error(f"{found} should be permissions such as 0440")
    return found


def _number(value: Any, where: Where) -> str:
    """A number of a user or a group; Compose has them as texts."""
    found = shape.text(value, where)
    if not found.isdecimal() or int(found) > _LAST:
        raise where.error(f"{found[:40]!r} should be a number of the container's users or groups")
    return str(int(found))


_LONG = shape.fields(
    {"source": shape.word, "target": shape.word, "mode": _mode, "uid": _number, "gid": _number},
)


def configs(value: Any, where: Where) -> Mapping:
    """target → Grant"""
    return _read("config", value, where)


def secrets(value: Any, where: Where) -> Mapping:
    """target → Grant"""
    return _read("secret", value, where)


def build_secrets(value: Any, where: Where) -> Mapping:
    """id → Grant, for the steps of a build: each says itself where it sees one, as whose, and with which mode."""
    made = secrets(value, where)
    for one in made.values():
        if (one.mode, one.uid, one.gid) != ("444", None, None):
            place = replace(where, origin=one.origin)
            raise place.error("`mode`, `uid` and `gid` are the step's to say", "RUN --mount=type=secret,mode=…")
    return made


def _read(kind: str, value: Any, where: Where) -> Mapping:
    if not isinstance(value, list):
        raise where.error(f"should be a list, and is {shape.kind(value)}")
    made, faults = Mapping(), Faults()
    for position, one in enumerate(value):
        place = where.into(position, one)
        with faults:
            found = _LONG(one, place) if isinstance(one, dict) else {"source": shape.word(one, place)}
            if "source" not in found:
                raise place.error(f"should say its `source`, the name of a {kind}")
            target = _target(kind, found.get("target", found["source"]), place)
            if target in made:
                raise place.error(f"{target} is there twice")
            made[target] = Grant(
                found["source"], target, found.get("mode", "444"), found.get("uid"), found.get("gid"), place.origin
            )
    faults.tell()
    return made


def _target(kind: str, target: str, where: Where) -> str:
    if kind == "config":
        return posixpath.normpath(posixpath.join("/", target)).replace("//", "/")
    name = target[len(_SECRETS) :] if target.startswith(_SECRETS) else target
    if not _NAME.fullmatch(name):
        raise where.error(
            f"{target[:80]!r} is no name of a secret",
            f"it is a file in {_SECRETS}: letters, digits and _ . - make a name",
        )
    return name
