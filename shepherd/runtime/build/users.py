"""Who a user is in an image: its passwd(5) and group(5), read through its root and only so far."""

import os
import re
import stat

from shepherd.runtime.build.problems import Wrong, shown
from shepherd.runtime.linux import paths

_LIMIT = 1 << 20
_NUMBER = re.compile(r"[0-9]{1,10}\Z")
_HIGHEST = (1 << 32) - 2  # the highest one is -1, "leave as it is"


class User:
    """`uid`, `gid`, and `groups` (additional ones)."""

    def __init__(self, uid, gid, groups=()):
        self.uid = uid
        self.gid = gid
        self.groups = list(groups)


def resolve(root, text, same_group=False) -> User:
    """The user that USER[:GROUP] is below the descriptor `root`; names are looked up there. Raises Wrong.

    A number without a group has the group that passwd says; else 0, or with `same_group` the same number.
    """
    name, colon, group = text.partition(":")
    if not name or (colon and not group):
        raise Wrong("%s is no USER or USER:GROUP" % shown(text)[:60], text)
    number = _number(name)
    found = None
    if number is None or not (colon or same_group):
        for fields in _read(root, "/etc/passwd", 7):
            if fields[0] == name or (number is not None and fields[2] == str(number)):
                found = fields
                break
    if number is None and found is None:
        raise Wrong("the image has no user %s" % shown(name)[:60], text, "see its /etc/passwd, or give a number")
    uid = number if number is not None else _of_file(found[2], "/etc/passwd", text)
    if colon:
        return User(uid, _group(root, group, text))
    gid = _of_file(found[3], "/etc/passwd", text) if found else (uid if same_group else 0)
    groups = []
    if found:
        for fields in _read(root, "/etc/group", 4):
            if found[0] in fields[3].split(",") and _number(fields[2]) not in (None, gid):
                groups.append(int(fields[2]))
    return User(uid, gid, groups)


def _group(root, name, text):
    number = _number(name)
    if number is not None:
        return number
    for fields in _read(root, "/etc/group", 4):
        if fields[0] == name:
            return _of_file(fields[2], "/etc/group", text)
    raise Wrong("the image has no group %s" % shown(name)[:60], text, "see its /etc/group, or give a number")


def _number(text):
    if _NUMBER.match(text) is None:
        return None
    if int(text) > _HIGHEST:
        raise Wrong("%s is higher than an id can be" % text, text)
    return int(text)


def _of_file(text, path, word):
    number = _number(text)
    if number is None:
        raise Wrong("the image's %s has no number for it" % path, word)
    return number


def _read(root, path, count):
    """The lines, as lists of at least `count` fields."""
    if root is None:
        return
    try:
        file = paths.open_inside(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return
        data = b""
        while len(data) < _LIMIT:
            more = os.read(file, _LIMIT - len(data))
            if not more:
                break
            data += more
    finally:
        os.close(file)
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        fields = line.split(":")
        if len(fields) >= count:
            yield fields
