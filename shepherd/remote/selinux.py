"""SELinux contexts of files, where the kernel enforces them or says what it would enforce.

Contexts are read and written as the extended attribute that the kernel keeps them in; only for what the policy says of
a path is libselinux asked, as matchpathcon(3) does.
"""

import os

MOUNT = "/sys/fs/selinux"
ATTRIBUTE = "security.selinux"
OPTIONS = ("seuser", "serole", "setype", "selevel")  # in the order of a context


def enabled():
    """As is_selinux_enabled(3): selinuxfs is mounted, and not read-only, as it is in containers."""
    try:
        return os.path.exists(MOUNT + "/enforce") and not os.statvfs(MOUNT).f_flag & os.ST_RDONLY
    except OSError:
        return False


def context(path):
    """[user, role, type, level] of a path, not following links; None for what it does not have."""
    try:
        text = os.getxattr(path, ATTRIBUTE, follow_symlinks=False)
    except OSError:
        text = b""
    return _parts(text)


def _parts(text):
    words = text.rstrip(b"\0").decode("utf-8", "replace").split(":", 3)
    words = words if words != [""] else []
    return words + [None] * (4 - len(words))


def default(path):
    """What the policy says that a path's context is; None where it says nothing, or libselinux is missing."""
    import ctypes

    try:
        library = ctypes.CDLL("libselinux.so.1", use_errno=True)
    except OSError:
        return None
    found = ctypes.c_char_p()
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = 0
    if library.matchpathcon(os.fsencode(path), ctypes.c_uint(mode), ctypes.byref(found)) != 0 or not found.value:
        return None
    parts = _parts(found.value)
    library.freecon(found)
    return parts


def put(path, parts):
    """Set a context. Raises OSError."""
    text = ":".join(part for part in parts if part is not None)
    os.setxattr(path, ATTRIBUTE, text.encode() + b"\0", follow_symlinks=False)


def apply(target, desired):
    """Give a path the parts of a context that `desired` names. See attributes.apply."""
    if not enabled():
        return False
    current = context(target.path)
    policy = default(target.place) if "_default" in desired.values() else None
    wanted = list(current)
    for number, option in enumerate(OPTIONS):
        value = desired.get(option)
        if value is None or (option == "selevel" and current[0] is not None and current[number] is None):
            continue  # a policy without levels
        if value != "_default":
            wanted[number] = value
        elif policy is not None:
            wanted[number] = policy[number]
    if wanted == current:
        return False
    target.note("secontext", current, wanted)
    if not target.task.check:
        try:
            put(target.path, wanted)
        except OSError as error:
            target.fail("set selinux context failed", details=str(error))
    return True


def restore(path, place):
    """Give a new file, that is to be at `place`, the context that the policy has for that."""
    if not enabled():
        return
    policy = default(place)
    if policy is not None:
        try:
            put(path, policy)
        except OSError:
            pass  # the directory's own type stays, as for files that other programs make
