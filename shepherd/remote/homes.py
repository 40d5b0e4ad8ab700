"""Home directories."""

import os

from shepherd.remote import accounts


def mode(umask):
    """The permissions of a new home: by `umask` (octal digits), else as login.defs(5) says."""
    if umask:
        return 0o777 & ~int(umask, 8)
    fixed = accounts.definition("HOME_MODE", None)
    return int(fixed, 8) if fixed else 0o777 & ~int(accounts.definition("UMASK", "022"), 8)


def create(path, skeleton, umask, uid, gid):
    """Make a home with all missing parents; what `skeleton` holds goes into it. All becomes the user's."""
    os.makedirs(os.path.dirname(path.rstrip("/")) or "/", mode=0o755, exist_ok=True)
    source = skeleton or "/etc/skel"
    if os.path.isdir(source):
        import shutil

        shutil.copytree(source, path, symlinks=True)
    else:
        os.mkdir(path)
    for base, directories, files in os.walk(path):
        for name in directories + files:
            os.lchown(os.path.join(base, name), uid, gid)
    os.chown(path, uid, gid)
    os.chmod(path, mode(umask))
