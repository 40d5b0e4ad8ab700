"""Options of a mount, from words to flags (mount(8); config.md, "Linux mount options")."""

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls as calls

# word: (flag that is set, flag that is taken away)
FLAGS = {
    "defaults": (0, 0),
    "ro": (calls.MS_RDONLY, 0),
    "rw": (0, calls.MS_RDONLY),
    "nosuid": (calls.MS_NOSUID, 0),
    "suid": (0, calls.MS_NOSUID),
    "nodev": (calls.MS_NODEV, 0),
    "dev": (0, calls.MS_NODEV),
    "noexec": (calls.MS_NOEXEC, 0),
    "exec": (0, calls.MS_NOEXEC),
    "nosymfollow": (calls.MS_NOSYMFOLLOW, 0),
    "symfollow": (0, calls.MS_NOSYMFOLLOW),
    "noatime": (calls.MS_NOATIME, 0),
    "atime": (0, calls.MS_NOATIME),
    "nodiratime": (calls.MS_NODIRATIME, 0),
    "diratime": (0, calls.MS_NODIRATIME),
    "relatime": (calls.MS_RELATIME, 0),
    "norelatime": (0, calls.MS_RELATIME),
    "strictatime": (calls.MS_STRICTATIME, 0),
    "nostrictatime": (0, calls.MS_STRICTATIME),
    "lazytime": (calls.MS_LAZYTIME, 0),
    "nolazytime": (0, calls.MS_LAZYTIME),
    "sync": (calls.MS_SYNCHRONOUS, 0),
    "async": (0, calls.MS_SYNCHRONOUS),
    "dirsync": (calls.MS_DIRSYNC, 0),
    "mand": (calls.MS_MANDLOCK, 0),
    "nomand": (0, calls.MS_MANDLOCK),
    "iversion": (calls.MS_I_VERSION, 0),
    "noiversion": (0, calls.MS_I_VERSION),
    "silent": (calls.MS_SILENT, 0),
    "loud": (0, calls.MS_SILENT),
}
PROPAGATION = {
    "shared": calls.MS_SHARED,
    "rshared": calls.MS_SHARED | calls.MS_REC,
    "slave": calls.MS_SLAVE,
    "rslave": calls.MS_SLAVE | calls.MS_REC,
    "private": calls.MS_PRIVATE,
    "rprivate": calls.MS_PRIVATE | calls.MS_REC,
    "unbindable": calls.MS_UNBINDABLE,
    "runbindable": calls.MS_UNBINDABLE | calls.MS_REC,
}
# what mount_setattr(2) can change of one mount: flag of mount(2) to its attribute
ATTRIBUTES = {
    calls.MS_RDONLY: calls.MOUNT_ATTR_RDONLY,
    calls.MS_NOSUID: calls.MOUNT_ATTR_NOSUID,
    calls.MS_NODEV: calls.MOUNT_ATTR_NODEV,
    calls.MS_NOEXEC: calls.MOUNT_ATTR_NOEXEC,
    calls.MS_NOSYMFOLLOW: calls.MOUNT_ATTR_NOSYMFOLLOW,
    calls.MS_NODIRATIME: calls.MOUNT_ATTR_NODIRATIME,
    calls.MS_NOATIME: calls.MOUNT_ATTR_NOATIME,
    calls.MS_STRICTATIME: calls.MOUNT_ATTR_STRICTATIME,
    calls.MS_RELATIME: 0,  # the way a mount is when nothing else is said
}
ATIME = calls.MS_NOATIME | calls.MS_STRICTATIME | calls.MS_RELATIME
# the same for a mount and all below it
_RECURSIVE = ("ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "nosymfollow", "symfollow", "noatime",
              "atime", "nodiratime", "diratime", "relatime", "norelatime", "strictatime", "nostrictatime")  # fmt: skip
RECURSIVE = {"r" + word: FLAGS[word] for word in _RECURSIVE}


class Options:
    """What a list of words means. `flags` and `cleared` are of mount(2), `data` is the file system's own text."""

    def __init__(self):
        self.flags = 0
        self.cleared = 0
        self.bind = False
        self.recursive = False  # rbind
        self.remount = False
        self.propagation = []  # flags of mount(2), one call each
        self.recursive_flags = 0
        self.recursive_cleared = 0
        self.idmap = None  # or "idmap", "ridmap"
        self.copy_up = False
        self.data = ""


def parse(words: list, pointer: str) -> Options:
    """The meaning of the words. Raises RuntimeFailure for those that contradict one another."""
    found = Options()
    data = []
    for word in words:
        if word in FLAGS:
            found.flags, found.cleared = _changed(found.flags, found.cleared, FLAGS[word])
        elif word in RECURSIVE:
            found.recursive_flags, found.recursive_cleared = _changed(
                found.recursive_flags, found.recursive_cleared, RECURSIVE[word]
            )
        elif word in PROPAGATION:
            found.propagation.append(PROPAGATION[word])
        elif word in ("bind", "rbind"):
            found.bind, found.recursive = True, word == "rbind"
        elif word in ("idmap", "ridmap"):
            found.idmap = word
        elif word == "remount":
            found.remount = True
        elif word == "tmpcopyup":
            found.copy_up = True
        else:
            data.append(word)
    found.data = ",".join(data)
    if len(found.data) > 4095:
        raise RuntimeFailure("%s: more than 4095 bytes of options for the file system" % pointer)
    return found


def _changed(flags, cleared, change):
    added, removed = change
    if added & ATIME:
        flags &= ~ATIME  # they exclude one another: the last one counts
    return (flags | added) & ~removed, (cleared | removed) & ~added


def attributes(flags: int, cleared: int) -> tuple:
    """(attributes to add, attributes to clear) for mount_setattr(2)."""
    add = clear = 0
    for flag, attribute in ATTRIBUTES.items():
        if flags & flag:
            add |= attribute
        if cleared & flag:
            clear |= attribute
    if (flags | cleared) & ATIME:
        clear = (clear & ~calls.MOUNT_ATTR__ATIME) | calls.MOUNT_ATTR__ATIME
    return add, clear & ~(add & ~calls.MOUNT_ATTR__ATIME)
