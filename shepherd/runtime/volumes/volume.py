"""A volume: ROOT/volumes/NAME with volume.json (what it is) and _data (what is in it), as Docker lays them out."""

import os

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import clock, graves
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files
from shepherd.runtime.linux import mounts, paths, syscalls

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def is_name(name: str) -> bool:
    """Whether it may be one: it becomes a folder's."""
    return 1 < len(name) <= 200 and _LETTERS.issuperset(name) and name[0] not in "_.-"


def check_name(name: str) -> str:
    """The name, if it is one. Raises RuntimeFailure."""
    if not is_name(name):
        raise RuntimeFailure(
            "%.140r is no name of a volume" % name, "two or more letters, digits and _ . -, the first no _ . or -"
        )
    return name


class Volume:
    """`about` is volume.json: Name, CreatedAt, Labels, Options, Anonymous."""

    def __init__(self, root: str, about: dict):
        self.about = about
        self.name = about["Name"]
        self.folder = os.path.join(root, "volumes", self.name)
        self.data = os.path.join(self.folder, "_data")

    def shown(self) -> dict:
        """As `docker volume inspect` has it."""
        return {
            "CreatedAt": self.about["CreatedAt"],
            "Driver": "local",
            "Labels": self.about.get("Labels") or None,
            "Mountpoint": self.data,
            "Name": self.name,
            "Options": self.about.get("Options") or None,
            "Scope": "local",
        }

    def fill(self, root: int, destination: str) -> None:
        """Copy what the image has at `destination` into the volume, if that is empty. `root`: a descriptor.

        Everything is found inside the root and inside the volume; a link is copied, not followed. The copy comes to be
        the volume as a whole, or not at all.
        """
        from shepherd.runtime.images import trees

        with files.Lock(os.path.join(self.folder, "lock")):
            if os.listdir(self.data):
                return
            try:
                source = paths.open_inside(root, destination, os.O_PATH | os.O_DIRECTORY)
            except OSError:
                return  # the image has nothing there, or no folder
            beside = os.path.join(self.folder, "filling")
            try:
                if os.path.isdir(beside):
                    trees.remove(beside)  # somebody was killed here
                os.mkdir(beside, 0o755)
                target = trees.open_folder(beside)
                try:
                    mounts.copy_up(source, target)
                    if os.listdir(target):
                        syscalls.syncfs(target)  # or a power cut could leave it with files that are empty
                finally:
                    os.close(target)
                os.rename(beside, self.data)  # rename(2) replaces an empty folder
            finally:
                os.close(source)


def find(root: str, name: str) -> Volume:
    """The volume. Raises RuntimeFailure where there is none."""
    found = look(root, check_name(name))
    if found is None:
        raise RuntimeFailure("no such volume: %s" % name, "see: shepherd-runtime volume ls")
    return found


def look(root: str, name: str):
    """The volume; None where there is none."""
    path = os.path.join(root, "volumes", name, "volume.json")
    try:
        with open(path, "rb") as file:
            return Volume(root, document.loads(file.read(), path))
    except OSError:
        return None


def everything(root: str) -> list:
    """All volumes by name."""
    try:
        names = sorted(os.listdir(os.path.join(root, "volumes")))
    except FileNotFoundError:
        return []
    found = [look(root, name) for name in names if not name.startswith(".")]
    return [one for one in found if one is not None]


def create(root: str, name=None, labels=None, options=None) -> Volume:
    """The volume, made where it is missing; without a name, an anonymous one. It appears whole."""
    anonymous = name is None
    name = os.urandom(32).hex() if anonymous else check_name(name)
    found = look(root, name)
    if found is not None:
        return found
    if options:
        raise RuntimeFailure("--opt: a volume here is a folder, and has no options", "mount what is meant, and bind it")
    about = {"Name": name, "CreatedAt": clock.stamp(), "Labels": labels or {}, "Options": {}, "Anonymous": anonymous}
    top = os.path.join(root, "volumes")
    beside = os.path.join(top, ".new-%d-%s" % (os.getpid(), name[:200]))
    files.make_folder(beside)
    try:
        files.make_folder(os.path.join(beside, "_data"))
        os.chmod(os.path.join(beside, "_data"), 0o755)
        files.replace(os.path.join(beside, "volume.json"), document.dumps(about).encode())
        os.rename(beside, os.path.join(top, name))
    except OSError:
        graves.bury(beside)
        if look(root, name) is None:
            raise
        return find(root, name)  # somebody else has just made it
    files.sync_folder(top)
    return Volume(root, about)


def remove(root: str, name: str, users) -> None:
    """Take it away; the caller holds the lock that users of volumes take. `users`: ids of containers that have it."""
    found = find(root, name)
    if users:
        raise RuntimeFailure("the volume %s is in use by %s" % (name, ", ".join(sorted(one[:12] for one in users))))
    grave = os.path.join(root, "volumes", ".gone-%s" % os.urandom(8).hex())
    os.rename(found.folder, grave)
    graves.bury(grave)


def sweep(root: str) -> None:
    """Take away what commands left that were killed while they made or removed one."""
    top = os.path.join(root, "volumes")
    try:
        names = os.listdir(top)
    except FileNotFoundError:
        return
    for name in names:
        if name.startswith(".gone-"):
            graves.bury(os.path.join(top, name))
        elif name.startswith(".new-"):
            maker = name.split("-")[1]
            if not (maker.isdigit() and processes.start_time(int(maker))):
                graves.bury(os.path.join(top, name))
