"""A build's own process: in mount and process namespaces of its own, so that the kernel takes all of it away with it.

Whatever ends it (its starter's death, too), what it mounted is gone and every process of every step has ended.
"""

import json
import os
import signal

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import mounts, syscalls, user_namespace

_PR_SET_PDEATHSIG = 1
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Died(RuntimeFailure):
    """The process ended without an answer: somebody killed it, or it was a mistake of ours."""


def run(work):
    """What `work()` returns, which is something that JSON can say; it is called in the new process.

    Raises RuntimeFailure as `work` did, and KeyboardInterrupt where it was interrupted.
    """
    if os.geteuid() != 0:
        raise RuntimeFailure("a build needs root, for its mounts and namespaces")
    ours, theirs = os.pipe()
    gate, opened = os.pipe()
    child = _fork()
    if child == 0:
        status = 70
        try:
            os.close(ours)
            os.close(opened)
            status = _serve(work, theirs, gate)
        finally:
            os._exit(status)
    os.close(theirs)
    os.close(gate)
    before = {number: signal.signal(number, lambda *_: _forward(child)) for number in _handled()}
    try:
        os.write(opened, b"1")
        os.close(opened)
        with os.fdopen(ours, "rb") as answer:
            said = answer.read()
        status = os.waitpid(child, 0)[1]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not said:
        how = "signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "code %d" % os.WEXITSTATUS(status)
        raise Died("the build's process ended unexpectedly (%s)" % how)
    found = json.loads(said.decode())
    if "interrupted" in found:
        raise KeyboardInterrupt
    if "message" in found:
        raise RuntimeFailure(found["message"], found["hint"])
    return found["result"]


def _handled():
    """Handlers can be set by the main thread alone."""
    import threading

    return _FORWARDED if threading.current_thread() is threading.main_thread() else ()


def _forward(child):
    try:
        os.kill(child, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it has ended


def _fork():
    """A child that is process 1 of a new process namespace; what else this process starts is not."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.unshare(syscalls.CLONE_NEWPID)
        child = os.fork()
        if child and not user_namespace.of_user():  # who would not get back into the machine's; it ends soon
            syscalls.setns(own, syscalls.CLONE_NEWPID)
        return child
    finally:
        os.close(own)


def _serve(work, answer, gate):
    """In the new process: do it, and say what came of it."""
    said = {}
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the starter passes it on
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _interrupt)
        syscalls.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if not os.read(gate, 1):
            return 1  # the starter died before it would have been noticed
        os.umask(0)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        mounts.make_private()
        syscalls.mount("proc", "/proc", "proc", mounts.SHUT)  # this process namespace's
        said["result"] = work()
    except KeyboardInterrupt:
        said = {"interrupted": True}
    except RuntimeFailure as error:
        said = {"message": error.message, "hint": error.hint}
    except OSError as error:
        where = "%s: " % error.filename if error.filename else ""
        said = {"message": "%s%s" % (where, error.strerror or error), "hint": None}
    except Exception:
        import traceback

        traceback.print_exc()  # a mistake of ours: nobody can mend it who does not see it
        return 70
    with os.fdopen(answer, "wb") as file:
        file.write(json.dumps(said).encode())
    return 0 if "result" in said else 1


def _interrupt(_number, _frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what it made is now taken away
    raise KeyboardInterrupt
