"""The runtime as one file that Python executes, and as what that file installs: the command `shepherd-runtime`.

What travels is a zip archive of the sources behind a line that names the interpreter (PEP 441), for any Python from
3.6. What is installed is a folder with bytecode for the Python of that machine: an archive would take 10 ms of every
start. The folder's name is made of its content, so that what runs keeps the files that started it.
"""

import io
import os
import sys

import shepherd

COMMAND = "shepherd-runtime"
FOLDER, LINK = "lib/shepherd", "bin/" + COMMAND  # below the prefix
PREFIX = "/usr/local"
INTERPRETER = "/usr/bin/python3"
_STORED_AT = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive knows: the same sources make the same file
_PACKAGE = os.path.dirname(os.path.abspath(__file__))
# The link may lead to another file by the time that something is imported, hence its place as it is now
_MAIN = b"""import os, sys
sys.path[0] = os.path.realpath(sys.path[0])
import shepherd.runtime.__main__
"""
# The start of what is installed. Its folder is in sys.path, too, for whoever is upgraded to another Python
_START = b"""import sys
sys.path.insert(0, %s)
import together
try:
    sys.meta_path.insert(0, together.Together(sys.path[0]))
except (ImportError, OSError):
    pass
import shepherd.runtime.__main__
"""
_FIRST = b'"""Shepherd: the container runtime."""\n\n__version__ = "%s"\n'


def sources() -> dict:
    """The runtime's files, by their names in the archive: from the folder or the archive that this one came from."""
    archive = getattr(__loader__, "archive", None)
    found = {"__main__.py": _MAIN, "shepherd/__init__.py": _FIRST % shepherd.__version__.encode()}
    if archive is not None:
        import zipfile

        with zipfile.ZipFile(archive) as file:
            found.update((name, file.read(name)) for name in file.namelist() if name.endswith(".py"))
        return found
    for folder, _folders, names in os.walk(_PACKAGE):
        below = os.path.relpath(folder, _PACKAGE)
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    place = os.path.normpath(os.path.join("shepherd/runtime", below, name))
                    found[place] = file.read()
    return found


def digest(files: dict) -> str:
    """What the content is called: SHA-256 of names and sources, hexadecimal."""
    import hashlib

    made = hashlib.sha256()
    for name in sorted(files):
        made.update(b"%s\0%d\0" % (name.encode(), len(files[name])) + files[name])
    return made.hexdigest()


def content(files: dict, interpreter: str = INTERPRETER) -> bytes:
    """The one file."""
    import zipfile

    made = io.BytesIO()
    made.write(_first_line(interpreter))
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _STORED_AT)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _first_line(interpreter):
    return b"#!%s -IS\n" % os.fsencode(interpreter)


def write(path: str, data: bytes, mode: int = 0o755) -> None:
    """Put a file in its place, whole or not at all. Raises OSError."""
    beside = "%s.%d" % (path, os.getpid())
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def install(prefix: str = PREFIX) -> str:
    """Put the runtime below `prefix`, and the command's link to it: the path of its folder. Raises OSError.

    What was installed before stays, for what it started.
    """
    files = sources()
    python = sys.executable or INTERPRETER
    above, link = os.path.join(prefix, FOLDER), os.path.join(prefix, LINK)
    for folder in (above, os.path.dirname(link)):
        os.makedirs(folder, mode=0o755, exist_ok=True)
    place = os.path.join(above, "runtime-%s-py%d.%d" % ((digest(files)[:16],) + sys.version_info[:2]))
    if not os.path.exists(place):
        _unpack(files, python, place)
    beside = "%s.%d" % (link, os.getpid())
    os.symlink(os.path.relpath(os.path.join(place, COMMAND), os.path.dirname(link)), beside)
    os.rename(beside, link)
    return place


def _unpack(files, python, place):
    """The folder with its bytecode, whole or not at all."""
    import compileall
    import shutil

    from shepherd.runtime import together

    beside = "%s.%d" % (place, os.getpid())
    try:
        for name in sorted(files):
            path = os.path.join(beside, name)
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            if name != "__main__.py":
                write(path, files[name], 0o644)
        write(os.path.join(beside, "together.py"), files["shepherd/runtime/together.py"], 0o644)
        write(
            os.path.join(beside, COMMAND), _first_line(python) + _START % repr(os.path.abspath(place)).encode("utf-8")
        )
        compileall.compile_dir(beside, ddir=place, quiet=2, force=True)
        names = [name for name in sorted(files) if name != "__main__.py"]
        write(os.path.join(beside, together.FILE), together.content(beside, names), 0o644)
        os.rename(beside, place)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        if not os.path.exists(os.path.join(place, COMMAND)):  # another may have been quicker
            raise
