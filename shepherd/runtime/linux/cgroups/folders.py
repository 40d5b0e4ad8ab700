"""The hierarchies of control groups that this machine has, and groups as folders in them."""

import os
import time

from shepherd.runtime.linux.mounts import SHUT, Mount
from shepherd.runtime.linux.moves import hierarchies

BASE = "/sys/fs/cgroup"
ENTRANCES = {"cgroup": "tasks", "cgroup2": "cgroup.procs"}  # where a process writes that moves itself


def read(*path: str) -> str:
    """What a file of a group says."""
    descriptor = os.open(os.path.join(*path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while True:
            parts.append(os.read(descriptor, 1 << 14))
            if not parts[-1]:
                return b"".join(parts).decode()
    finally:
        os.close(descriptor)


def write(path: str, text: str) -> None:
    """Tell a file of a group something: in one write, as the kernel wants it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode() or b"\n")
    finally:
        os.close(descriptor)


def make(hierarchy: tuple, path: str) -> bool:
    """Make the group in one hierarchy, ready to take processes; whether it was missing."""
    target, kind, names = hierarchy
    folder = os.path.join(target, path)
    missing = True
    try:
        os.mkdir(folder)
    except FileExistsError:
        missing = False
    except FileNotFoundError:
        _make_all(folder)
    if "cpuset" in names:  # also where it was there: perhaps its maker was killed right after
        _share_processors(target, path)
    if kind == "cgroup2":
        _delegate(target, path)
    return missing


def _make_all(folder):
    """Again where another container, the last one in them, takes the folders above away meanwhile."""
    for _turn in range(100):
        try:
            return os.makedirs(folder, exist_ok=True)
        except FileNotFoundError:
            pass
    return os.makedirs(folder, exist_ok=True)


def join(path: str) -> None:
    """Make the group where it is missing, and move this process, which has one thread, into it."""
    for hierarchy in hierarchies():
        make(hierarchy, path)
        write(os.path.join(hierarchy[0], path, ENTRANCES[hierarchy[1]]), "0")


def _share_processors(target, path):
    """A group of version 1's cpuset takes no process before it has processors and memory nodes: those of its parent."""
    above = os.path.dirname(path)
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = os.path.join(target, path, name)
        if read(file).strip():
            continue
        found = read(target, above, name)
        if not found.strip():
            _share_processors(target, above)
            found = read(target, above, name)
        write(file, found)


def _delegate(target, path):
    """Hand the controllers of version 2 down to the group, as far as they go.

    A group that has processes of its own hands none down, unless it is the machine's: the kernel would hand on those of
    threads alone ("threaded" in cgroup-v2.rst), and the group would take no process. A limit that needs one says so.
    """
    above = [""] + parents(path)
    try:
        whole = set(read(target, "cgroup.controllers").split())
        if whole <= set(read(target, above[-1], "cgroup.subtree_control").split()):
            return  # so have those above it
    except OSError:
        pass
    for part in above:
        control = os.path.join(target, part, "cgroup.subtree_control")
        try:
            missing = set(read(target, part, "cgroup.controllers").split()) - set(read(control).split())
        except OSError:
            continue  # above what we were given
        if missing and _is_lived_in(target, part):
            continue
        for name in sorted(missing):
            try:
                write(control, "+" + name)
            except OSError:
                pass


def _is_lived_in(target, path):
    """Whether there are processes in the group itself, which is not the topmost of the machine."""
    return os.path.exists(os.path.join(target, path, "cgroup.type")) and read(target, path, "cgroup.procs") != ""


def parents(path: str) -> list:
    """The groups above it, the topmost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def mounts() -> list:
    """The mounts that show a container its own group as the root, laid out as they are on this machine."""
    found = hierarchies()
    if [kind for _target, kind, _names in found] == ["cgroup2"]:
        return [Mount(BASE, "cgroup2", SHUT)]
    table = [Mount(BASE, "tmpfs", SHUT, "mode=755")]
    for target, kind, names in found:
        if kind == "cgroup":
            named = any(name.startswith("name=") for name in names)
            options = ",".join((["none"] if named else []) + names + (["xattr"] if named else []))
            table.append(Mount(os.path.join(BASE, os.path.basename(target)), "cgroup", SHUT, options))
    return table


def remove(path: str, timeout: float = 5.0, found=None, above=None) -> None:
    """Take the group away with those below it, and its parents where they are empty. Its processes have ended.

    `above` are the parents that may be taken away, all of them if not given.
    """
    deadline = time.monotonic() + timeout
    for target, _kind, _names in hierarchies() if found is None else found:
        for folder, _folders, _files in os.walk(os.path.join(target, path), topdown=False):
            _remove_folder(folder, deadline)
        for parent in reversed(parents(path) if above is None else above):
            try:
                os.rmdir(os.path.join(target, parent))
            except OSError:
                break  # absent, or others use it


def _remove_folder(folder, deadline):
    """The kernel lets go of a group a moment after its last process has ended."""
    while True:
        try:
            return os.rmdir(folder)
        except FileNotFoundError:
            return None
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
