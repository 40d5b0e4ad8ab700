"""-v, --mount and --tmpfs of `run` and `create`, as a container keeps its mounts (the fields of `inspect`)."""

import os

from shepherd.runtime.cli import option_values
from shepherd.runtime.errors import RuntimeFailure


def read(found) -> list:
    """All mounts that the options ask for. Raises RuntimeFailure."""
    made = [_volume(one) for one in found.volume] + [_mount(one) for one in found.mount]
    for one in found.tmpfs:
        path, _, options = one.partition(":")
        made.append({"Type": "tmpfs", "Source": "", "Destination": _destination(path), "Mode": options, "RW": True,
                     "Propagation": ""})  # fmt: skip
    return made


def _destination(path: str) -> str:
    """An absolute path inside. Raises RuntimeFailure."""
    if not path.startswith("/") or "\0" in path:
        raise RuntimeFailure("a mount's place inside should be an absolute path, and is %.100r" % path)
    normal = os.path.normpath(path).replace("//", "/")
    if normal == "/":
        raise RuntimeFailure("nothing can be mounted at / inside")
    return normal


_PROPAGATIONS = ("private", "rprivate", "slave", "rslave")


def _volume(text):
    """-v [SOURCE:]INSIDE[:OPTIONS]"""
    parts = text.split(":")
    if len(parts) > 3 or not text:
        raise RuntimeFailure("--volume: should be [SOURCE:]INSIDE[:OPTIONS], and is %.100r" % text)
    source, inside, mode = ("", parts[0], "") if len(parts) == 1 else (parts + [""])[:3]
    made = {"Destination": _destination(inside), "Mode": mode, "RW": True, "Propagation": ""}
    for word in mode.split(",") if mode else []:
        if word in ("ro", "rw"):
            made["RW"] = word == "rw"
        elif word in _PROPAGATIONS:
            made["Propagation"] = word
        elif word == "nocopy":
            made["NoCopy"] = True
        elif word not in ("z", "Z", "cached", "delegated", "consistent"):  # of other systems
            raise RuntimeFailure("--volume %.100s: there is no option %.40r" % (text, word))
    return _sourced(made, source, True)


def _sourced(made, source, make):
    if source.startswith(("/", ".", "~")):
        made.update(Type="bind", Source=os.path.abspath(os.path.expanduser(source)), Make=make)
        made["Propagation"] = made["Propagation"] or "rprivate"
    else:
        from shepherd.runtime.volumes.volume import check_name

        made.update(Type="volume", Name=check_name(source) if source else None, Source="")
    return made


_MOUNT_NAMES = {"src": "source", "dst": "destination", "target": "destination", "ro": "readonly"}


def _mount(text):
    """--mount type=volume,source=NAME,destination=PATH,… as CSV."""
    import csv

    fields, made_labels = {}, {}
    for word in next(csv.reader([text])):
        name, equals, value = word.partition("=")
        name = _MOUNT_NAMES.get(name.strip().lower(), name.strip().lower())
        if name == "volume-label":
            made_labels.update([option_values.pair(value, "--mount volume-label")])
        else:
            fields[name] = value if equals else "true"
    kind = fields.pop("type", "volume")
    if "destination" not in fields:
        raise RuntimeFailure("--mount: should say destination=, and is %.100r" % text)
    made = {"Destination": _destination(fields.pop("destination")), "Mode": "", "Propagation": ""}
    made["RW"] = fields.pop("readonly", "false").lower() not in ("true", "1")
    source = fields.pop("source", "")
    if kind == "tmpfs":
        options = []
        size = fields.pop("tmpfs-size", None)
        if size:
            options.append("size=%d" % option_values.size(size, "--mount tmpfs-size"))
        if "tmpfs-mode" in fields:
            options.append("mode=" + fields.pop("tmpfs-mode"))
        made.update(Type="tmpfs", Source="", Mode=",".join(options + ([] if made["RW"] else ["ro"])))
    elif kind == "bind":
        if not source:
            raise RuntimeFailure("--mount type=bind: should say source=, and is %.100r" % text)
        made["Propagation"] = fields.pop("bind-propagation", "rprivate")
        if made["Propagation"] not in _PROPAGATIONS:
            raise RuntimeFailure("--mount bind-propagation: should be one of " + ", ".join(_PROPAGATIONS))
        made["NonRecursive"] = fields.pop("bind-recursive", "enabled") == "disabled" or _true(
            fields, "bind-nonrecursive"
        )
        made.update(Type="bind", Source=os.path.abspath(source))
        made["Make"] = _true(fields, "bind-create-src")
    elif kind == "volume":
        _sourced(made, source, False)
        if made["Type"] != "volume":
            raise RuntimeFailure("--mount type=volume: %.100r is a path, and no volume's name" % source, "type=bind")
        made["NoCopy"] = _true(fields, "volume-nocopy")
        fields.pop("volume-driver", None)
        if made_labels:
            made["Labels"] = made_labels
    else:
        raise RuntimeFailure("--mount: there are the types bind, volume and tmpfs, and no %.40r" % kind)
    subpath = fields.pop("volume-subpath", None) or fields.pop("subpath", None)
    if subpath:
        made["Subpath"] = subpath
    fields.pop("consistency", None)
    if fields:
        raise RuntimeFailure("--mount: there is no %.60r for type=%s" % (sorted(fields)[0], kind))
    return made


def _true(fields, name):
    return fields.pop(name, "false").lower() in ("true", "1")
