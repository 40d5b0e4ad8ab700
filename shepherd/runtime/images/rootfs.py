"""An image's layers, mounted as one root file system (kernel, Documentation/filesystems/overlayfs.rst).

Options are given by file descriptor (`/proc/self/fd/N`), not by path: a path could hold the colons and commas that
separate options, and many long ones do not fit into the one page that mount(2) takes.
"""

import errno
import os
import resource

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files, trees
from shepherd.runtime.linux import syscalls, user_namespace
from shepherd.runtime.linux.syscalls import MS_NODEV, MS_RELATIME

# An overlay follows marks that say "this file's data, or this folder, is elsewhere". No layer of ours has them, and
# nothing that got into one may be believed.
_SAFE = ("redirect_dir=nofollow", "index=off", "metacopy=off")


def mount(name, layers: list, target: str, upper: str, work: str, flags=MS_NODEV | MS_RELATIME, form=None, brief=False):
    """Mount the folders `layers` (from the lowest up) at `target`, with what is written going into `upper`.

    `work` is an empty folder on the file system of `upper`; `name` is shown as the source in /proc/PID/mountinfo.
    `form` is that of the layers' marks (layers.overlay_form); None: as this process would have made them. What is
    written is `brief` if it is thrown away afterwards: the kernel does not put all of the file system on the disk then
    when this is unmounted, and does not mount the two folders again. Raises RuntimeFailure.
    """
    form = form or ("user" if user_namespace.confined() else "trusted")
    safe = list(_SAFE) + (["userxattr"] if form == "user" else [])
    opened = []
    try:
        for path in [upper, work] + _highest_first(layers):
            opened.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
        # volatile is there since Linux 5.10, and metacopy, to be switched off, since 4.19
        attempts = [safe + ["volatile"]] if brief else []
        attempts += [safe, [word for word in safe if word != "metacopy=off"]]
        for words in attempts:
            try:
                _mount(name, target, flags, opened, words)
                break
            except OSError as error:
                if error.errno != errno.EINVAL or words is attempts[-1]:
                    raise
    except OSError as error:
        raise RuntimeFailure(
            "cannot mount the %d layers of %s as an overlay: %s" % (len(layers), name, os.strerror(error.errno or 0)),
            "an ordinary user's overlays need Linux 5.11" if form == "user" else "the kernel's log may say more: dmesg",
        )
    finally:
        for fd in opened:
            os.close(fd)


def is_possible(root: str, state: str) -> bool:
    """Whether this process, in a user namespace, can mount overlays of folders below `root`: that needs Linux 5.11, and
    a file system with extended attributes. It is tried once; `state` remembers it until the machine's next start."""
    path = os.path.join(state, "overlay")
    try:
        with open(path) as file:
            return file.read() == "yes"
    except OSError:
        pass
    place = os.path.join(root, "staging", "overlay-%d" % os.getpid())
    files.make_folder(place)
    try:
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if _try(place) else 1)
            finally:
                os._exit(1)
        found = not os.waitpid(child, 0)[1]
    finally:
        trees.remove(place)
    files.replace(path, b"yes" if found else b"no")
    return found


def _try(place):
    """In a mount namespace that ends with this process."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    folders = [os.path.join(place, name) for name in ("lower", "upper", "work", "top")]
    for folder in folders:
        os.mkdir(folder, 0o700)
    lower, upper, work, top = folders
    syscalls.mount(None, "/", None, syscalls.MS_SLAVE | syscalls.MS_REC)
    mount("shepherd-probe", [lower], top, upper, work)
    return True


def _highest_first(layers):
    """Each layer once, which is all an overlay takes: where an image has one twice, the higher one decides alone."""
    found = []
    for path in reversed(layers):
        if path not in found:
            found.append(path)
    return found


def _mount(name, target, flags, opened, safe):
    options = _options(opened, "/proc/self/fd/", safe)
    if len(options) < resource.getpagesize():
        syscalls.mount(name, target, "overlay", flags, options)
        return
    here = os.open(".", os.O_PATH | os.O_CLOEXEC)
    target = os.path.abspath(target)
    try:
        os.chdir("/proc/self/fd")
        syscalls.mount(name, target, "overlay", flags, _options(opened, "", safe))
    finally:
        os.fchdir(here)
        os.close(here)


def _options(opened, prefix, safe):
    upper, work = opened[:2]
    lower = ":".join("%s%d" % (prefix, fd) for fd in opened[2:])
    parts = ["lowerdir=" + lower, "upperdir=%s%d" % (prefix, upper), "workdir=%s%d" % (prefix, work)]
    return ",".join(parts + safe)
