"""Owner, group, mode, chattr(1) flags and SELinux context of a file: reading them, and bringing them about."""

import os
import stat

from shepherd.remote import mode as modes
from shepherd.remote import process, status

OPTIONS = ("owner", "group", "mode", "attributes", "seuser", "serole", "setype", "selevel")
FLAG_NAMES = {
    "A": "noatime",
    "a": "append",
    "c": "compressed",
    "C": "nocow",
    "d": "nodump",
    "D": "dirsync",
    "e": "extents",
    "E": "encrypted",
    "h": "blocksize",
    "i": "immutable",
    "I": "indexed",
    "j": "journalled",
    "N": "inline",
    "s": "zero",
    "S": "synchronous",
    "t": "notail",
    "T": "blockroot",
    "u": "undelete",
    "X": "compressedraw",
    "Z": "compresseddirty",
}
SELINUX = "/sys/fs/selinux"


def info(path):
    """What results say about a path that they name; {} where nothing (or a link to nothing) is there.

    {"uid", "gid": int, "owner", "group": str, "mode": "0644", "state": "file" | "directory" | "link" | "hard",
    "size": int}, and with SELinux "secontext".
    """
    try:
        found = os.lstat(path)
        is_link = stat.S_ISLNK(found.st_mode)
        if is_link and not os.path.exists(path):
            return {}
    except (OSError, ValueError):
        return {}
    result = {
        "uid": found.st_uid,
        "gid": found.st_gid,
        "owner": status.user(found.st_uid) or str(found.st_uid),
        "group": status.group(found.st_gid) or str(found.st_gid),
        "mode": modes.show(found.st_mode),
        "state": kind(found),
        "size": found.st_size,
    }
    if os.path.isdir(SELINUX):
        from shepherd.remote import selinux

        if selinux.enabled():
            result["secontext"] = ":".join(part for part in selinux.context(path) if part is not None)
    return result


def kind(found):
    """A stat result in the words of the file module's `state`."""
    if stat.S_ISLNK(found.st_mode):
        return "link"
    if stat.S_ISDIR(found.st_mode):
        return "directory"
    return "hard" if found.st_nlink > 1 else "file"


def wanted(task, **overrides):
    """The attribute options of the task that are set, as {option: value}."""
    chosen = {name: overrides.get(name, task.args.get(name)) for name in OPTIONS}
    return {name: value for name, value in chosen.items() if value is not None}


def apply(task, path, desired, diff=None):
    """Give `path` the attributes in `desired` (see `wanted`); True where something changed or, in check mode, would.

    A symbolic link itself is meant, not its target; links have no mode of their own, so `mode` leaves them alone.
    `diff`, a {"before": {}, "after": {}}, is filled in. Fails the task with the `info` of the path.
    """
    if not desired:
        return False
    if task.check:
        _warn_of_unknown(task, desired)
    try:
        found = os.lstat(path)
    except OSError:
        if task.check:  # it would just have been made
            return True
        raise
    target = Target(task, path, path, diff)
    changed = _own_and_label(target, found, desired)
    if "mode" in desired:
        # read again where chown may have taken the set-id bits away
        current = os.lstat(path).st_mode if changed else found.st_mode
        changed |= _mode(target, current, desired["mode"])
    if desired.get("attributes"):
        changed |= _flags(target, desired["attributes"])
    return changed


def apply_to_draft(task, path, place, mode, desired, diff=None):
    """Like `apply`, for a file at `path` that only its owner may open and that is to be put at `place`.

    It gets its mode last: `mode` (an st_mode), changed as `desired` says. Without chattr(1)'s flags, since a file that
    is immutable can be renamed no more.
    """
    target = Target(task, path, place, diff)
    changed = _own_and_label(target, os.lstat(path), desired)
    if changed:
        mode &= ~(stat.S_ISUID | stat.S_ISGID)  # as chown does: they were meant for another owner
    wanted_mode = mode
    if "mode" in desired:
        wanted_mode = _parsed(target, desired["mode"], mode)
        if wanted_mode != stat.S_IMODE(mode):
            target.note("mode", modes.show(mode), modes.show(wanted_mode))
            changed = True
    os.chmod(path, stat.S_IMODE(wanted_mode))
    return changed


def _own_and_label(target, found, desired):
    changed = False
    if desired.keys() & {"seuser", "serole", "setype", "selevel"} and os.path.isdir(SELINUX):
        from shepherd.remote import selinux

        changed |= selinux.apply(target, desired)
    if "owner" in desired:
        changed |= _own(target, found.st_uid, "owner", desired["owner"])
    if "group" in desired:
        changed |= _own(target, found.st_gid, "group", desired["group"])
    return changed


class Target:
    """A path that gets attributes, on behalf of a task; `place` is the name to tell the user."""

    def __init__(self, task, path, place, diff):
        self.task = task
        self.path = path
        self.place = place
        self.diff = diff

    def note(self, key, before, after):
        if self.diff is not None:
            self.diff.setdefault("before", {})[key] = before
            self.diff.setdefault("after", {})[key] = after

    def fail(self, msg, **result):
        self.task.fail(msg, path=self.place, **dict(result, **info(self.place)))


def _number(option, name):
    """The uid or gid of a name or of digits. Raises KeyError for a name nobody has."""
    try:
        return int(name)
    except ValueError:
        if option == "owner":
            import pwd

            return pwd.getpwnam(name).pw_uid
        import grp

        return grp.getgrnam(name).gr_gid


def _warn_of_unknown(task, desired):
    """In check mode an owner may be missing only because the task that makes it was checked, too."""
    for option, what, key, name_of in (("owner", "user", "uid", status.user), ("group", "group", "gid", status.group)):
        name = desired.get(option)
        if name is None:
            continue
        try:
            number = _number(option, name)
            missing = "with %s %s" % (key, number) if name_of(number) is None else None
        except KeyError:
            missing = name
        if missing is not None:
            lead = "failed to look up %s %s. " % (what, missing)
            task.warn(lead + "Create %s up to this point in real play" % what)


def _own(target, current, option, name):
    command, what = ("chown", "user") if option == "owner" else ("chgrp", "group")
    try:
        number = _number(option, name)
    except KeyError:
        target.fail("%s failed: failed to look up %s %s" % (command, what, name))
    if number == current:
        return False
    target.note(option, current, number)
    if not target.task.check:
        try:
            os.lchown(target.path, *((number, -1) if option == "owner" else (-1, number)))
        except OSError as error:
            target.fail("%s failed" % command, details=str(error))
    return True


def _parsed(target, text, current):
    try:
        return modes.parse(text, current)
    except modes.BadModeError as error:
        return target.fail(str(error), details=error.details)


def _mode(target, current, text):
    desired = _parsed(target, text, current)
    if desired == stat.S_IMODE(current):
        return False
    target.note("mode", modes.show(current), modes.show(desired))
    if target.task.check:
        return True
    if stat.S_ISLNK(current):
        return False
    try:
        os.chmod(target.path, desired)
    except OSError as error:
        target.fail("chmod failed", details=str(error))
    return True


def flags(path):
    """What lsattr(1) says of a path: {"version": str or None, "attributes": [names], "attr_flags": letters}.

    Empty values where the file system has no such flags.
    """
    from shepherd.remote import inode_flags

    try:
        letters, version = inode_flags.read(path)
    except OSError:
        return {"version": None, "attributes": [], "attr_flags": ""}
    return {
        "version": None if version is None else str(version),
        "attributes": [FLAG_NAMES[letter] for letter in letters if letter in FLAG_NAMES],
        "attr_flags": letters,
    }


def _flags(target, text):
    """chattr(1). A flag that is there already is no change, whichever operator asks for it."""
    operator, letters = (text[0], text[1:]) if text[0] in "+-=" else ("=", text)
    current = flags(target.path)["attr_flags"]
    have, want = set(current), set(letters)
    if (have == want) if operator == "=" else (want <= have) if operator == "+" else not (want & have):
        return False
    target.note("attributes", current, operator + letters)
    if not target.task.check:
        try:
            done = process.run(["chattr", operator + letters, target.path])
            problem = done.stdout + done.stderr if done.status else None
        except OSError as error:
            problem = str(error)
        if problem is not None:
            details = "Error while setting attributes: " + problem
            target.fail("chattr failed", details=details)
    return True
