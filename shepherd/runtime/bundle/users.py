"""Ranges of ids in user namespaces (user_namespaces(7))."""

import os

from shepherd.runtime.bundle import stage
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls


def write_maps(pid: int, uids: list, gids: list) -> None:
    """Give the process's new user namespace its ids: directly where we may, else by newuidmap(1) and newgidmap(1)."""
    try:
        _write(pid, "uid_map", uids)
    except PermissionError:
        _by_program("newuidmap", pid, uids)
    try:
        _write(pid, "gid_map", gids)
    except PermissionError:
        if len(gids) == 1 and gids[0]["size"] == 1:
            with open("/proc/%d/setgroups" % pid, "w") as file:
                file.write("deny")  # without privileges there is no map before that
            _write(pid, "gid_map", gids)
        else:
            _by_program("newgidmap", pid, gids)


def _write(pid, name, mappings):
    text = "".join("%d %d %d\n" % (one["containerID"], one["hostID"], one["size"]) for one in mappings)
    descriptor = os.open("/proc/%d/%s" % (pid, name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))  # in one call, or not at all
    except PermissionError:
        raise
    except OSError as error:
        raise RuntimeFailure("cannot map the ids: %s: %s" % (name, error.strerror)) from None
    finally:
        os.close(descriptor)


def _by_program(name, pid, mappings):
    arguments = [name, str(pid)]
    for one in mappings:
        arguments += [str(one["containerID"]), str(one["hostID"]), str(one["size"])]
    child = os.fork()
    if child == 0:
        try:
            os.execvp(name, arguments)
        finally:
            os._exit(127)
    status = os.waitpid(child, 0)[1]
    if status:
        hint = "install uidmap, and see that /etc/subuid and /etc/subgid give this user the ids"
        raise RuntimeFailure("cannot map the ids: %s failed" % name, hint)


def namespace(uids: list, gids: list) -> int:
    """A descriptor of a user namespace that nobody lives in, for a mount whose owners it maps."""
    ours, theirs = stage.channel()
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            theirs.say(b"map")
            theirs.hear()
        except OSError as error:
            theirs.complain(error)
        finally:
            os._exit(0)
    theirs.close()
    try:
        ours.hear()
        write_maps(child, uids, gids)
        return os.open("/proc/%d/ns/user" % child, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        ours.close()
        os.waitpid(child, 0)
