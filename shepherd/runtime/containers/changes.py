"""What a container changed of its image: its overlay's upper folder, compared with the layers below.

Trees are walked by file descriptor: the container made the names and links in them.
"""

import os
import stat

from shepherd.runtime.containers import root
from shepherd.runtime.images import files, trees
from shepherd.runtime.linux import paths

# what the runtime makes to mount on, where the image lacks it
OWN_FOLDERS = ("dev", "dev/pts", "dev/shm", "dev/mqueue", "proc", "sys", "sys/fs", "sys/fs/cgroup", "etc")
OWN_FILES = ("etc/hostname", "etc/hosts", "etc/resolv.conf", "dev/console", "dev/init")


def own(record) -> set:
    """Paths at which something is mounted when it runs: empty ones are not the container's."""
    found = {os.fsencode(name) for name in OWN_FOLDERS + OWN_FILES}
    for mount in record.config.get("Mounts") or []:
        path = mount["Destination"].strip("/")
        while path:
            found.add(os.fsencode(path))
            path = os.path.dirname(path)
    return found


def skipper(record):
    """For images.diff.write_upper: what to leave out of a layer."""
    skipped = own(record)
    return lambda folder, name, path, found: path in skipped and _is_empty(folder, name, found, skipped, path)


def written(record) -> int:
    """Bytes of the files that it wrote."""
    total, seen = 0, set()
    try:
        top = trees.open_folder(record.path("upper"))
    except OSError:
        return 0
    try:
        for _folder, _name, _path, found in _walk(top, b""):
            if stat.S_ISREG(found.st_mode) and found.st_ino not in seen:
                seen.add(found.st_ino)
                total += found.st_blocks * 512
    finally:
        os.close(top)
    return total


def listed(record):
    """(kind, path) of all changes, by path: A added, C changed, D deleted, as `docker diff` has them."""
    running = record.folders.running(record.id)
    place = os.path.join(running, "root")
    files.make_folder(running)
    files.make_folder(place)
    root.own_mounts()
    root.mount_view(record, place, changed=False)
    below = os.open(os.path.join(place, "root"), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    top = trees.open_folder(record.path("upper"))
    skipped = own(record)
    added, result = set(), []
    try:
        for folder, name, path, found in _walk(top, b""):
            before = _stat_below(below, path)
            if path in skipped and _is_empty(folder, name, found, skipped, path):
                continue
            if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
                result.append(("D", path))
            elif before is None:
                added.add(path)
                result.append(("A", path))
            else:
                result.append(("C", path))
    finally:
        os.close(top)
        os.close(below)
    return [(kind, os.fsdecode(b"/" + path)) for kind, path in sorted(result, key=lambda one: one[1])]


def _is_empty(folder, name, found, skipped, path):
    """Whether it is nothing but a place to mount on, or folders above such places."""
    if stat.S_ISREG(found.st_mode):
        return found.st_size == 0
    if not stat.S_ISDIR(found.st_mode):
        return False
    inner = trees.open_folder(name, folder)
    try:
        for below in os.listdir(inner):
            inside = path + b"/" + os.fsencode(below)
            state = os.stat(below, dir_fd=inner, follow_symlinks=False)
            if inside not in skipped or not _is_empty(inner, below, state, skipped, inside):
                return False
        return True
    finally:
        os.close(inner)


def _stat_below(below, path):
    try:
        place = paths.open_inside(below, os.fsdecode(path), os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return os.fstat(place)
    finally:
        os.close(place)


def _walk(folder, prefix):
    """(descriptor of the folder, name, path, state) of everything below, a folder before what is in it."""
    for name in sorted(os.listdir(folder)):
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            path = prefix + os.fsencode(name)
            yield folder, name, path, found
            if stat.S_ISDIR(found.st_mode):
                inner = trees.open_folder(name, folder)
                try:
                    for one in _walk(inner, path + b"/"):
                        yield one
                finally:
                    os.close(inner)
        except FileNotFoundError:
            continue  # it runs, and took it away
