"""Files and folders that the controller sent for containers to mount: each under a name that has its digest.

They lie in FOLDER/STACK, appear whole, and are never changed: other content has another name.
"""

import os

FOLDER = "/etc/shepherd/stacks"
_PIECE = 1 << 16  # bytes


def folder(stack):
    return os.path.join(FOLDER, stack)


def missing(stack, names):
    """Those of `names` that are not there."""
    return [name for name in names if not os.path.lexists(os.path.join(folder(stack), name))]


def unpack(stack, stream):
    """Put what a tar has into its place. Raises OSError or tarfile.TarError."""
    import shutil  # both take longer to import than most stacks to look at
    import tarfile

    for path in (os.path.dirname(FOLDER), FOLDER, folder(stack)):
        if not os.path.isdir(path):
            os.mkdir(path, 0o755 if path == os.path.dirname(FOLDER) else 0o700)
    beside = os.path.join(folder(stack), ".new-%d" % os.getpid())
    if os.path.isdir(beside):
        shutil.rmtree(beside)  # of a process that was killed
    os.mkdir(beside, 0o700)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for entry in archive:
                _write(archive, entry, os.path.join(beside, entry.name))
        for name in os.listdir(beside):
            if not os.path.lexists(os.path.join(folder(stack), name)):
                os.rename(os.path.join(beside, name), os.path.join(folder(stack), name))
    finally:
        shutil.rmtree(beside)


def _write(archive, entry, path):
    """An entry, as the controller packs them: folders come before what is in them, no name leads out."""
    if entry.issym():
        os.symlink(entry.linkname, path)
        return
    if entry.isdir():
        os.mkdir(path)
    else:
        content = archive.extractfile(entry)
        with open(path, "xb") as file:
            for piece in iter(lambda: content.read(_PIECE), b""):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    os.chown(path, entry.uid, entry.gid)
    os.chmod(path, entry.mode)


def forget(stack, kept):
    """Take away what is not in `kept`, and the folder with the last of it."""
    try:
        names = os.listdir(folder(stack))
    except OSError:
        return
    for name in set(names) - set(kept):
        path = os.path.join(folder(stack), name)
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil

            shutil.rmtree(path)
        else:
            os.unlink(path)
    if not kept:
        os.rmdir(folder(stack))
