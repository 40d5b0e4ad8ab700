"""Times of last access and modification: as options say them, and bringing them about."""

import os
import time

from shepherd.remote import attributes

NOW = object()  # in the place of a time: that of the change


def asked(task, default):
    """(atime, mtime) as options: each None (leave it), NOW, or seconds since the epoch."""
    return tuple(
        _time(task, task.args[name] or default, task.args[name + "_format"])
        for name in ("access_time", "modification_time")
    )


def _time(task, text, form):
    if text == "preserve":
        return None
    if text == "now":
        return NOW
    try:
        return time.mktime(time.strptime(text, form))
    except (ValueError, OverflowError) as error:
        msg = "Error while obtaining timestamp for time %s using format %s: %s"
        return task.fail(msg % (text, form, error))


def apply(task, path, times, diff, follow=True):
    """Give a file the times that `asked` returned; whether that changes it. `diff` gets what does, unless None."""
    atime, mtime = times
    if atime is None and mtime is None:
        return False
    now = time.time()
    try:
        found = os.stat(path) if follow else os.lstat(path)
        wanted = [
            old if new is None else now if new is NOW else new
            for new, old in ((atime, found.st_atime), (mtime, found.st_mtime))
        ]
        changed = False
        for key, old, new in (("mtime", found.st_mtime, wanted[1]), ("atime", found.st_atime, wanted[0])):
            if old != new:
                changed = True
                if diff is not None:
                    diff["before"][key], diff["after"][key] = old, new
        if changed and not task.check:
            _utime(path, found, times, wanted, follow)
    except OSError as error:
        msg = "Error while updating modification or access time: %s" % error
        task.fail(msg, path=path, **attributes.info(path))
    return changed


def _utime(path, found, times, wanted, follow):
    """utimensat(2); a time to be left stays exact to the nanosecond."""
    atime, mtime = times
    if atime is NOW and mtime is NOW:
        os.utime(path, None, follow_symlinks=follow)  # also allowed to those who may only write the file
        return
    nanoseconds = (
        found.st_atime_ns if atime is None else int(wanted[0] * 1000000000),
        found.st_mtime_ns if mtime is None else int(wanted[1] * 1000000000),
    )
    os.utime(path, ns=nanoseconds, follow_symlinks=follow)
