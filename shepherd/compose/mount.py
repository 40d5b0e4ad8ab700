"""What a service has mounted: [SOURCE:]TARGET[:OPTIONS], or a mapping with its type."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shepherd.compose import shape
from shepherd.compose.where import Faults
from shepherd.origin import Mapping

if TYPE_CHECKING:
    from shepherd.compose.where import Where
    from shepherd.origin import Origin

_PROPAGATIONS = ("private", "rprivate", "slave", "rslave")
_NO_EFFECT = ("rw", "cached", "delegated", "consistent", "z", "Z")  # of other systems


@dataclass(frozen=True)
class Mount:
    """`kind` is bind, volume or tmpfs. `source`: a path on the target, a volume's name, or empty.

    `local`: the source is a path on the controller, since it was written relative to the Compose file.
    """

    kind: str
    source: str
    target: str
    options: tuple[str, ...] = ()
    local: bool = False
    origin: Origin | None = field(default=None, compare=False)

    @property
    def is_written(self) -> bool:
        """Whether what the container writes there is wanted: not of what is read-only, and not of a single file."""
        return "ro" not in self.options and not os.path.isfile(self.source)

    def word(self, source: str) -> str:
        """As `container` takes it, with the name or path that the source has on the target."""
        return ":".join(filter(None, [source, self.target, ",".join(self.options)]))


def mounts(value: Any, where: Where) -> Mapping:
    """target → Mount"""
    if not isinstance(value, list):
        raise where.error(f"should be a list, and is {shape.kind(value)}")
    made, faults = Mapping(), Faults()
    for position, one in enumerate(value):
        place = where.into(position, one)
        with faults:
            mount = _long(one, place) if isinstance(one, dict) else _short(one, place)
            if mount.target in made:
                raise place.error(f"something is mounted at {mount.target} already")
            made[mount.target] = mount
    faults.tell()
    return made


def _short(value: Any, where: Where) -> Mount:
    parts = shape.word(value, where).split(":")
    if len(parts) > 3:
        raise where.error(f"{str(value)[:80]!r} should be [SOURCE:]TARGET[:OPTIONS]")
    source, target, mode = ("", parts[0], "") if len(parts) == 1 else (*parts, "")[:3]
    options = []
    for word in filter(None, mode.split(",")):
        if word in ("ro", "nocopy", *_PROPAGATIONS):
            options.append(word)
        elif word not in _NO_EFFECT:
            raise where.error(f"there is no option {word[:40]!r} for a mount", "ro, rw, nocopy, private, rslave, …")
    kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    return _made(kind, source, target, options, where)


def _made(kind: str, source: str, target: str, options: list[str], where: Where) -> Mount:
    if not target.startswith("/"):
        raise where.error(f"{target[:80]!r} should be an absolute path inside the container")
    target = posixpath.normpath(target).replace("//", "/")
    if target == "/":
        raise where.error("nothing can be mounted at / inside")
    if kind == "bind" and posixpath.basename(source) == "docker.sock":
        where.warn("is the socket of Docker, which knows nothing of what Shepherd runs")
    local = kind == "bind" and source.startswith(".")
    if source.startswith("~"):
        raise where.error(f"{source[:80]}: whose home is meant, on which machine?", "write the path on the target")
    if local:
        source = os.path.abspath(os.path.join(where.folder, source))
    if ":" in source + target:
        raise where.error("a path with a colon cannot be mounted")
    return Mount(kind, source, target, tuple(sorted(options)), local, where.origin)


_BIND = {
    "propagation": shape.choice(*_PROPAGATIONS),
    "create_host_path": shape.flag,
    "recursive": shape.only("enabled", "what is mounted below the source is seen, too"),
    "selinux": shape.meaningless("files are not relabelled"),
}
_VOLUME = {
    "nocopy": shape.flag,
    "labels": shape.unsupported("give the volume its labels under `volumes` at the top"),
    "subpath": shape.unsupported(),
}
_TMPFS = {"size": shape.size, "mode": lambda value, where: mode(value, where)}
_FIELDS = {
    "type": shape.choice("bind", "volume", "tmpfs"),
    "source": shape.word,
    "target": shape.word,
    "read_only": shape.flag,
    "consistency": shape.meaningless("it is of other systems"),
    "bind": shape.fields(_BIND),
    "volume": shape.fields(_VOLUME),
    "tmpfs": shape.fields(_TMPFS),
    "image": shape.unsupported(),
}


def _long(value: Any, where: Where) -> Mount:
    found = shape.fields(_FIELDS)(value, where)
    for name in ("type", "target"):
        if name not in found:
            raise where.error(f"should say its `{name}`")
    kind = found["type"]
    for name in ("bind", "volume", "tmpfs"):
        if name in found and name != kind:
            raise where.error(f"is of the type {kind}, and has options for {name}")
    options = ["ro"] if found.get("read_only") else []
    more = found.get(kind, {})
    source = found.get("source", "")
    if kind == "bind":
        if not source:
            raise where.error("should say its `source`, a path")
        if not source.startswith(("/", "~")):
            source = os.path.join(".", source)
        if more.get("create_host_path") is False:
            raise where.error("create_host_path: false is not supported", "a folder that is missing is made")
        options += [more["propagation"]] if "propagation" in more else []
    elif kind == "volume":
        options += ["nocopy"] if more.get("nocopy") else []
    else:
        if source:
            raise where.error("a tmpfs has no source")
        options += [f"size={more['size']}"] if "size" in more else []
        options += [f"mode={more['mode']}"] if "mode" in more else []
    return _made(kind, source, found["target"], options, where)


def mode(value: Any, where: Where) -> str:
    """Permissions in octal: of a number, which YAML has read (0755 is 493 then), or of a text such as "0755"."""
    if isinstance(value, str) and value and not set(value) - set("01234567"):
        return value
    return f"{shape.count(value, where):o}"


def tmpfs(value: Any, where: Where) -> list[str]:
    """PATH[:OPTIONS] of the field `tmpfs`."""
    found = shape.strings(value, where)
    for position, one in enumerate(found):
        if not one.startswith("/"):
            raise where.into(position, value).error(f"{one[:80]!r} should be an absolute path inside the container")
    return found
