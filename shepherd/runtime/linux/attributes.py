"""Extended attributes of files (xattr(7)), as far as copies have them."""

import errno
import os

_RIGHTS = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")


def copy(source: int, target: int, rights: bool) -> None:
    """Give the open file `target` the attributes of the open file `source`: those of its users and, with `rights`, what
    its program may do and who else may do what with it.

    Not those by which an overlay marks its files. To be called when the owner has been set, which takes rights away.
    On a file system that has none, and for an ordinary user's capabilities, the file is left without them.
    """
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return
        raise
    for name in names:
        if (name.startswith("user.") and not name.startswith("user.overlay.")) or (rights and name in _RIGHTS):
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.ENODATA):
                    raise
