"""A first process in namespaces of its own.

Three processes take part: the starter, a child of it that makes the namespaces and ends at once, and the child's
child, which is process 1 in the new process namespace and belongs to the machine's init from then on. The starter
and process 1 talk over a socket until process 1 becomes another program, which closes its end (close-on-exec).
A starter that dies takes with it every process 1 that it has not yet told to go on.
"""

import os
import signal
import socket

from shepherd.runtime.linux import syscalls

FLAGS = {
    "mount": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "network": syscalls.CLONE_NEWNET,
    "uts": syscalls.CLONE_NEWUTS,
    "ipc": syscalls.CLONE_NEWIPC,
    "cgroup": syscalls.CLONE_NEWCGROUP,
}


class StartError(Exception):
    """Process 1 did not become its program; the message says why."""


class Starting:
    """Process 1 as its starter sees it. `pid` is its number in the starter's process namespace."""

    def __init__(self, pid: int, channel: socket.socket):
        self.pid = pid
        self._channel = channel

    def go(self) -> None:
        """Let it pass its gate."""
        try:
            self._channel.sendall(b"go")
        except OSError:
            pass  # it ended; wait() says why

    def wait(self) -> None:
        """Return once it is its program. Raises StartError where it is not."""
        said = self._rest()
        if said:
            raise StartError(said.decode("utf-8", "replace"))

    def abandon(self) -> None:
        """Return once it has ended at its gate, or is its program where it was let through before."""
        try:
            self._channel.shutdown(socket.SHUT_WR)
            self._rest()
        except OSError:
            pass  # waited for already

    def _rest(self):
        said = b""
        with self._channel:
            while True:
                try:
                    part = self._channel.recv(4096)
                except ConnectionResetError:  # it ended with our "go" unread, after it had said why
                    part = b""
                if not part:
                    return said
                said += part


def spawn(kinds, main, before=None) -> Starting:
    """Start `main(gate)` as process 1 of new namespaces of these kinds (keys of FLAGS) and return a Starting.

    `main` calls `gate()` where it needs the starter to have done something outside, and ends by executing a program.
    `before()` runs in the new process before it has its namespaces: to join the control group that is to be its root.
    """
    flags = 0
    for kind in kinds:
        flags |= FLAGS[kind]
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        _make(flags, main, before, ours, theirs)
    theirs.close()
    said = ours.recv(4096)
    os.waitpid(child, 0)
    if not said.startswith(b"pid "):
        ours.close()
        raise StartError(said.decode("utf-8", "replace") or "the process ended at once")
    return Starting(int(said[4:]), ours)


def _make(flags, main, before, ours, theirs):
    """In the child: never returns."""
    status = 1
    try:
        ours.close()
        if before is not None:
            before()
        syscalls.unshare(flags)
        process = os.fork()
        if process:
            theirs.sendall(b"pid %d" % process)
            status = 0
        else:
            _run(main, theirs)
    except BaseException as error:
        _report(theirs, error)
    finally:
        os._exit(status)


def _run(main, channel):
    """In process 1."""

    def gate():
        if not channel.recv(16):
            os._exit(1)  # the starter is gone

    os.setsid()
    os.umask(0o022)
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            pass  # not to be caught, or the C library's own
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    main(gate)


def _report(channel, error):
    message = str(error) if isinstance(error, OSError) else "%s: %s" % (type(error).__name__, error)
    try:
        channel.sendall(message.encode("utf-8", "replace"))
    except OSError:
        pass


def standard_streams(output: int) -> None:
    """Read from /dev/null, write to the file descriptor `output`, and let the next program inherit nothing else."""
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                pass  # the one that listed the folder
