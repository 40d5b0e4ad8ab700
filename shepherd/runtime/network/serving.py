"""The process that serves published ports: made by a command that ends soon, without rights, and with nothing of its
maker's but the sockets. What it does is in forwarder.py."""

import _signal as signal  # signal itself costs an import of enum
import _socket as socket  # likewise
import os
import struct

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls, title

NOBODY = 65534
SOCKETS = 200  # new ones of one message to the process (SCM_MAX_FD of unix(7) is 253)


def start(listeners: dict, members: dict, keep, within=None, control=None) -> None:
    """Start the process. It serves nothing before `keep(pid)` has returned, and ends where that does not happen.

    `listeners`: sockets by their keys; `members` as Forwarder.tell has them. `within`: the descriptor of a network
    namespace from which the process connects, if not this one. `control`: a socket on which it is told of changes.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if not os.fork():  # so that its parent is nobody who has to wait for it
                _begin(listeners, members, theirs, within, control)
        finally:
            os._exit(0)
    theirs.close()
    try:
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            pass  # our caller ignores its children
        said = ours.recv(4)
        if len(said) != 4:
            raise RuntimeFailure("cannot start the process that publishes ports")
        keep(struct.unpack("=i", said)[0])
        ours.send(b"+")
    finally:
        ours.close()


def _begin(listeners, members, channel, within, control):
    """In the new process: never returns. When it has no rights and nothing of its maker's, it says its number."""
    from shepherd.runtime.network.forwarder import Forwarder

    status = 1
    try:
        for number in range(1, signal.NSIG):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass  # not to be caught
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if within is not None:
            syscalls.setns(within, syscalls.CLONE_NEWNET)
        kept = {one.fileno() for one in listeners.values()} | {channel.fileno()}
        if control is not None:
            kept.add(control.fileno())
        _close_others(kept)
        null = os.open("/dev/null", os.O_RDWR)
        for number in {0, 1, 2} - kept:  # a caller without standard streams has other things there
            os.dup2(null, number)
        os.chdir("/")
        title.set_title("shepherd-runtime ports")
        with open("/proc/self/comm", "w") as file:
            file.write("shepherd-ports")
        limit = _raise_limit()
        _drop_rights()
        channel.send(struct.pack("=i", os.getpid()))
        told = channel.recv(1)
        channel.close()
        if told:
            Forwarder(listeners, members, control, limit).run()
        status = 0
    finally:
        os._exit(status)


def _close_others(kept):
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass  # the one that listed the folder


def _raise_limit():
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _drop_rights():
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        except OSError:  # a user namespace with few ids: it has the user's, and none of root's rights
            from shepherd.runtime.linux import capabilities

            capabilities.apply(set(), set(), set(), set(), set())
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
