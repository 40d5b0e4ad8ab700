"""Short reads of small files, as in /proc and /sys."""

import os


def text(path, default=None):
    """The content without white space at the ends; `default` where the file cannot be read, or holds nothing."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return default
    try:
        data = b""
        while True:
            piece = os.read(handle, 65536)
            if not piece:
                break
            data += piece
    except OSError:
        return default
    finally:
        os.close(handle)
    return data.decode("utf-8", "replace").strip() or default


def lines(path):
    content = text(path)
    return content.split("\n") if content else []


def listing(path):
    """The names in a directory, none where it cannot be read."""
    try:
        return os.listdir(path)
    except OSError:
        return []


def link(path):
    """Where a symbolic link points, "" where there is none."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def assignments(path, separator="="):
    """A file of NAME=value lines as a dict, the values without their quotes; None where there is no file."""
    content = text(path)
    if content is None:
        return None
    found = {}
    for line in content.split("\n"):
        name, equals, value = line.partition(separator)
        if equals and not name.lstrip().startswith("#"):
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[name.strip()] = value
    return found
