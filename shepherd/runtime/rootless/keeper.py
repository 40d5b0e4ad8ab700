"""The user namespace that all of a user's commands share, and the process that keeps it.

A container can be entered or ended by who is root of its user namespace, or made that. So all commands of a user join
one namespace: a process that does nothing keeps it from the first start of a container on. Before there is one, a
command that starts nothing has a namespace to itself, which ends with it: it has the same ids, and there is no
container that it could not reach.
"""

import _signal as signal  # signal itself costs an import of enum
import os

from shepherd.runtime.bundle import stage, state, users
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls, title, user_namespace

NAME = "keeper"  # in the folder STATE: pid and start of the process


def find(folder: str, uids: list, gids: list):
    """(a descriptor of the namespace that is there, whether its keeper is), or (None, False).

    It is that of the keeper, or of a container, where somebody has killed the keeper. Raises RuntimeFailure where it
    has other ids.
    """
    for process, kept in _processes(folder):
        pid = process["pid"]
        if not state.alive(process):
            continue
        namespace = _open(pid)
        try:
            if state.alive(process):
                check(pid, namespace, uids, gids)
                return namespace, kept
        except RuntimeFailure as error:
            os.close(namespace)
            raise RuntimeFailure(error.message, "stop all containers, end process %d, and try again" % pid) from None
        os.close(namespace)
    return None, False


def _processes(folder):
    """({"pid", "began"}, whether it is the keeper) of those that may be in the namespace."""
    try:
        with open(os.path.join(folder, NAME)) as file:
            pid, began = (int(word) for word in file.read().split())
        yield {"pid": pid, "began": began}, True
    except (OSError, ValueError):
        pass
    started = os.path.join(folder, "started")
    for name in os.listdir(started) if os.path.isdir(started) else ():
        try:
            record = state.find(started, name).record
        except RuntimeFailure:
            continue  # just being made, or removed
        if record.get("pid"):
            yield record, False


def check(pid: int, namespace: int, uids: list, gids: list) -> None:
    """Whether it is this user's, with exactly these ids, read back from the kernel. Raises RuntimeFailure."""
    if user_namespace.owner(namespace) != os.geteuid():
        raise RuntimeFailure("the user namespace of process %d is another user's" % pid)
    for kind, wanted in (("uid", uids), ("gid", gids)):
        asked = [(one["containerID"], one["hostID"], one["size"]) for one in wanted]
        if sorted(user_namespace.maps(kind, pid)) != asked:
            raise RuntimeFailure("the user namespace of process %d has other ids than this user's" % pid)
    if len(gids) == 1:
        with open("/proc/%d/setgroups" % pid) as file:
            if file.read().strip() != "deny":
                raise RuntimeFailure("the user namespace of process %d lets groups be dropped" % pid)


def make(folder: str, uids: list, gids: list, lasting: bool, namespace=None) -> int:
    """A descriptor of a new namespace, kept by a process of its own if it is to be `lasting`. Raises RuntimeFailure.

    With the descriptor of a `namespace` that is there already, that one is kept.
    """
    ours, theirs = stage.channel()
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            if not lasting or not os.fork():  # a lasting one has no parent that would have to wait for it
                _keep(theirs, namespace)
        except OSError as error:
            theirs.complain(_explained(error))
        finally:
            os._exit(0)
    theirs.close()
    if lasting:
        os.waitpid(child, 0)
    try:
        said = ours.hear()
        if not said.startswith(b"map "):
            raise RuntimeFailure("the process that keeps the user namespace ended at once")
        pid = int(said[4:])
        if namespace is None:
            users.write_maps(pid, uids, gids)
            namespace = _open(pid)
        try:
            check(pid, namespace, uids, gids)
            if lasting:
                _write(folder, pid)
                ours.say(b"keep")
        except BaseException:
            os.close(namespace)
            raise
        return namespace
    finally:
        ours.close()
        if not lasting:
            os.waitpid(child, 0)


def _open(pid):
    try:
        return os.open("/proc/%d/ns/user" % pid, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RuntimeFailure("cannot join the user namespace of process %d: %s" % (pid, error.strerror)) from None


def _write(folder, pid):
    path = os.path.join(folder, NAME)
    beside = "%s.%d" % (path, os.getpid())
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as file:
        file.write("%d %d\n" % (pid, state.start_time(pid)))
    os.rename(beside, path)


def _keep(channel, namespace):
    """In the new process: until it is ended, or the other end is closed before it has said that this one is to stay."""
    os.setsid()
    stage.reset_signals()
    stage.close_others({channel.fileno()} | ({namespace} if namespace is not None else set()), 0)
    null = os.open("/dev/null", os.O_RDWR)
    for number in {0, 1, 2} - {channel.fileno()}:
        os.dup2(null, number)
    os.chdir("/")
    if namespace is None:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    else:
        syscalls.setns(namespace, syscalls.CLONE_NEWUSER)
        os.close(namespace)
    title.set_title("shepherd-runtime keeper")
    channel.say(b"map %d" % os.getpid())
    if channel.hear() != b"keep":
        return
    channel.close()
    while True:
        signal.pause()


_SWITCHES = (
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
     "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile that allows userns"),
)  # fmt: skip


def _explained(error):
    """What the administrator has to change."""
    for path, value, remedy in _SWITCHES:
        try:
            with open(path) as file:
                if file.read().strip() == value:
                    return RuntimeFailure("this machine gives users no user namespaces (as root: %s)" % remedy)
        except OSError:
            continue
    return RuntimeFailure("cannot make a user namespace: %s" % error.strerror)
