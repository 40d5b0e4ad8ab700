"""Which control group a container has: one in cgroupfs, or a scope of systemd's."""

import os

from shepherd.runtime.linux import cgroups, user_namespace


def choose(request):
    """The group for a new container, by /linux/cgroupsPath and --systemd-cgroup: a cgroups.Group. Nothing is made."""
    path = request.config["linux"].get("cgroupsPath") or ""
    if request.systemd:
        from shepherd.runtime.linux.cgroups import systemd

        return systemd.choose(path, request.name, request.config["linux"].get("resources") or {})
    return cgroups.Group(_path(path, request.name), _found(request.config))


def _path(path, name):
    """Below each hierarchy; a relative path, or none, is below a group of ours."""
    if path.startswith("/"):
        return os.path.normpath(path).strip("/")
    path = os.path.join(cgroups.TOP, path or name)
    return os.path.join(_given(), path) if os.geteuid() != 0 else path


def _found(config):
    """The hierarchies it is in; for an ordinary user version 2's alone, and none where no group was delegated."""
    if not user_namespace.of_user():
        return None
    if not config["linux"].get("cgroupsPath"):
        return []
    return [one for one in cgroups.hierarchies() if one[1] == "cgroup2"]


def parent() -> str:
    """The path of the group below which the runtime's own containers have theirs."""
    return os.path.join(delegated() or "", cgroups.TOP) if user_namespace.of_user() else cgroups.TOP


def at(path: str):
    """The group of a container that the runtime made for itself."""
    return cgroups.Group(path, _found({"linux": {"cgroupsPath": delegated()}}))


def delegated():
    """The path of the group in which an ordinary user's containers have theirs; None where none was delegated."""
    return _given() or None


REMEDY = "with systemd: systemd-run --user --scope -p Delegate=yes shepherd-runtime …"


def _given():
    """The group below which an ordinary user may make others, as systemd delegates one (version 2); "" where none.

    Not the one that we are in: it has processes, and could hand no controllers down. Its parent, if that is ours.
    """
    try:
        with open("/proc/self/cgroup") as file:
            own = next(line[3:].strip() for line in file if line.startswith("0::"))
    except (OSError, StopIteration):
        return ""
    for target, kind, _names in cgroups.hierarchies():
        if kind == "cgroup2":
            for path in (os.path.dirname(own), own):
                if os.access(target + path, os.W_OK) and os.access(target + path + "/cgroup.procs", os.W_OK):
                    return path.strip("/")
    return ""


def of(record: dict):
    """The group of a container's record."""
    if record.get("unit"):
        from shepherd.runtime.linux.cgroups import systemd

        return systemd.Scope(record["group"], record["unit"])
    return cgroups.Group(record["group"], _found(record["config"]))


def owner(config: dict):
    """The user of the machine to whom the group is given, who is the container's; None where it keeps its owner.

    config-linux.md, "Cgroup ownership": only with a namespace of its own, in which groups are mounted to be written.
    """
    linux = config["linux"]
    own = any(one["type"] == "cgroup" and one.get("path") is None for one in linux.get("namespaces") or [])
    writable = any(
        mount["destination"] == "/sys/fs/cgroup" and mount.get("source") == "cgroup"
        for mount in config.get("mounts") or []
        if "ro" not in (mount.get("options") or [])
    )
    if not (own and writable):
        return None
    uid = config["process"]["user"]["uid"]
    for mapping in linux.get("uidMappings") or [{"containerID": 0, "hostID": 0, "size": 1 << 32}]:
        if 0 <= uid - mapping["containerID"] < mapping["size"]:
            return mapping["hostID"] + uid - mapping["containerID"]
    return None
