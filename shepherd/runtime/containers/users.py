"""Users and groups as an image names them, read from its own /etc/passwd and /etc/group (passwd(5), group(5)).

The files are the image's: whatever stands at their place, nothing outside the root is read, nothing is waited for, and
no more than a megabyte is looked at.
"""

import os
import stat

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import paths

_LARGEST = 1 << 20
_HIGHEST = (1 << 32) - 2  # (uid_t) -1 means "no change" to the kernel


def resolve(root: int, text: str, more=()) -> dict:
    """The `user` of an OCI process for USER, USER:GROUP or numbers; `more`: further groups (--group-add).

    `root` is a descriptor of the container's root. Raises RuntimeFailure for a name that the image does not have.
    """
    name, colon, group = (text or "").partition(":")
    if colon and not group:
        raise RuntimeFailure("the user %.80r ends in a colon" % text, "USER, USER:GROUP, or numbers")
    if colon and not name:
        raise RuntimeFailure("the user %.80r begins with a colon" % text, "USER, USER:GROUP, or numbers")
    accounts = _entries(root, "/etc/passwd", 4)
    groups = _entries(root, "/etc/group", 3)
    account = None
    if not name:
        uid = 0
    else:
        account = next((one for one in accounts if one[0] == name), None)
        uid = _number(account[2]) if account else _number(name)
        if uid is None:
            raise RuntimeFailure("the image has no user %.80r" % name, "a user's number needs no entry in /etc/passwd")
    account = account or next((one for one in accounts if _number(one[2]) == uid), None)
    if group:
        gid = _group(groups, group)
    else:
        gid = _number(account[3]) if account else 0
    further = []
    if account and not group:
        for one in groups:
            members = one[3].split(",") if len(one) > 3 else []
            number = _number(one[2])
            if account[0] in members and number is not None and number != gid:
                further.append(number)
    further += [_group(groups, one) for one in more]
    return {"uid": uid, "gid": gid or 0, "additionalGids": list(dict.fromkeys([gid or 0, *further]))}


def _group(groups, name):
    found = next((one for one in groups if one[0] == name), None)
    gid = _number(found[2]) if found else _number(name)
    if gid is None:
        raise RuntimeFailure("the image has no group %.80r" % name, "a group's number needs no entry in /etc/group")
    return gid


def _number(text):
    """Digits alone: no sign, no space, no other base."""
    plain = 0 < len(text) <= 10 and all(one in "0123456789" for one in text)
    return int(text) if plain and int(text) <= _HIGHEST else None


def _entries(root, path, least):
    """The lines with at least so many fields, split at their colons."""
    try:
        place = paths.open_inside(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            return []
        data = b""
        while len(data) < _LARGEST:
            part = os.read(place, _LARGEST - len(data))
            if not part:
                break
            data += part
    except OSError:
        return []
    finally:
        os.close(place)
    lines = data.decode("utf-8", "replace").split("\n")
    return [fields for fields in (line.split(":") for line in lines) if len(fields) >= least]
