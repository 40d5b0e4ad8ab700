"""Where `copy` puts things: the path, the directories on the way to it, and whether it can be written there."""

import os
import stat

from shepherd.remote import attributes, directories


def of_file(task, name):
    """The file to write. Directories that a trailing slash asks for are made."""
    args = task.args
    dest = args["dest"]
    if dest.endswith("/") or os.path.isdir(dest):
        if name is None:
            task.fail("can not use content with a dir as dest")
        if not os.path.isdir(dest):
            make_directories(task, dest)
        dest = os.path.join(dest, name)
    if args["follow"] and os.path.islink(dest) and os.path.exists(dest):
        dest = os.path.realpath(dest)
    return dest


def make_directories(task, path):
    """Make `path` and the parents it lacks, as `directory_mode` and the owners asked for say."""
    if task.check:
        return
    for directory in directories.missing(path):
        try:
            os.mkdir(directory)
        except FileExistsError:
            pass
        except OSError as error:
            task.fail("could not make directory %s: %s" % (directory, error))
        attributes.apply(task, directory, for_directories(task))


def for_directories(task):
    """The attributes that directories get: those of `attributes.wanted`, with `directory_mode` for a mode."""
    desired = attributes.wanted(task)
    desired.pop("mode", None)
    if task.args["directory_mode"] is not None:
        desired["mode"] = task.args["directory_mode"]
    return desired


def check_parent(task, dest):
    """A missing directory fails, but not in check mode: an earlier task may have said that it would make it."""
    parent = os.path.dirname(dest)
    if task.check or not parent:
        return
    try:
        if not stat.S_ISDIR(os.stat(parent).st_mode):
            task.fail("Destination directory %s is not a directory" % parent)
    except PermissionError:
        task.fail("Destination directory %s is not accessible" % parent)
    except OSError:
        task.fail("Destination directory %s does not exist" % parent)
    if not os.access(parent, os.W_OK) and not task.args["unsafe_writes"]:
        task.fail("Destination %s not writable" % parent)


def check_parent_exists(task, dest):
    """The same for a directory to be copied on the target, in check mode too."""
    parent = os.path.dirname(dest.rstrip("/"))
    if parent and not os.path.isdir(parent):
        task.fail("Destination directory %s does not exist" % parent)
