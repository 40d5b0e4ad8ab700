"""The forked process: wait for a request, run its module, answer, end. It never returns into the helper's loop.

What it costs is counted in pages: the first write to a page of the helper's memory, be it a reference count, copies
the page. So nothing here walks through large structures, and nothing is imported that the helper could have. A process
that was forked ahead (see helper.py) does what it can before the request comes.
"""

import _signal as signal
import gc
import marshal
import os
import struct
import sys

try:
    import fcntl
except ImportError:
    fcntl = None

try:
    import _ctypes  # ctypes itself takes ten times as long to import

    _prctl = _ctypes.dlsym(_ctypes.dlopen(None, 2), "prctl")
except (ImportError, OSError, AttributeError):
    _prctl = None

from shepherd.remote import wire
from shepherd.remote.task import Failure, Task, expand

REQUEST = struct.Struct(">II")  # the number of the request, the size of what is marshalled after it
ANSWER = struct.Struct(">BI")  # what becomes of the process, the size of the RESULT frame after it

# What becomes of the process after an answer. It may serve another run where none before left anything in it: the
# modules are Shepherd's own, and nothing is left running of the programs that they started.
ENDS, CRASHED, LANE, READY = range(4)  # LANE: it may go on, but only with the lane whose items it runs
STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep


FDS = 256  # more than a helper ever has open

_forked = False


class Terminated(BaseException):
    """SIGTERM: the time is up or the user gave up. Raised, so that modules clean up in their `finally`."""


def on_signal(*_):
    """SIGTERM and SIGHUP in a forked process; the helper itself sees False and ends in its own way."""
    global _forked
    if _forked:
        _forked = False  # once is enough: what cleans up is not to be interrupted
        raise Terminated


def main(helper, upload, life, requests, answer, stdout, stderr):
    """Never returns. `requests` is the reading end of a pipe that brings the requests; for `life` see _die_with.
    `answer`, `stdout` and `stderr` are writing ends of pipes to the helper. `upload` is the file with the content that
    comes along, if that is large.
    """
    global _forked
    status = 70
    try:
        os.setsid()  # a process group of its own, to be ended as a whole; and no terminal
        signal.set_wakeup_fd(-1)
        _forked = True
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        if upload is not None:
            upload.seek(0)
        close_all_but(answer, life, requests, *([] if upload is None else [upload.fileno()]))
        _die_with(life)
        wire.encode(wire.RESULT, 0, {"changed": False})  # a rehearsal: the pages that this writes to are ours then
        gc.enable()
        known = len(sys.modules)
        adopting = _adopt()
        more = True
        while more:
            asked = _receive(requests)
            if asked is None:
                break  # nothing more, or it is not needed after all
            request, head, content, more = asked
            if head.get("upload") and upload is None:
                upload = _file(content)
            put_back = _keeper(head) if more else None
            crashed, result = execute(head, upload)
            upload = None
            if put_back is not None:
                put_back()
            _flush()
            crashed, frame = _frame(request, crashed, result)
            fate = _fate(head, crashed, more, adopting)
            _write(answer, ANSWER.pack(fate, len(frame)) + frame)
            more = fate in (LANE, READY)
        if len(sys.modules) > known:
            _write(answer, "\n".join(_learned(known, helper)).encode())
        if fcntl is not None:
            fcntl.fcntl(life, fcntl.F_SETOWN, 0)  # what the module leaves running on purpose may live on
        status = 0
    except Terminated:
        status = 128 + signal.SIGTERM
    except BaseException:
        sys.excepthook(*sys.exc_info())
        _flush()
    finally:
        os._exit(status)


def _fate(head, crashed, more, adopting):
    if crashed or not more:
        return CRASHED if crashed else ENDS
    if _alone(adopting):
        return READY
    return LANE if "lane" in head else ENDS


def _adopt():
    """Become the parent of what programs leave running (prctl(2), PR_SET_CHILD_SUBREAPER): True if that is so now."""
    try:
        return _ctypes.call_function(_prctl, (36, 1, 0, 0, 0)) == 0
    except (NameError, AttributeError, TypeError):
        return False


def _alone(adopting):
    """Has every program of this process ended, with all that it started?"""
    if not adopting:
        process = sys.modules.get("shepherd.remote.process")
        return process is None or not process.started
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass  # left by a program, and ended since
    except ChildProcessError:
        return True
    return False


def _keeper(head):
    """A function that puts back what a module may change of its process: the next one finds it so."""
    environment = dict(os.environ) if "environment" in head else None
    folder = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))

    def put_back():
        os.fchdir(folder)
        os.close(folder)
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)

    return put_back


def _file(content):
    import io

    return io.BytesIO(content)


def _frame(request, crashed, result):
    """The RESULT frame, or one that says why the result cannot be sent: (did it crash, the frame)."""
    try:
        return crashed, wire.encode(wire.RESULT, request, result)
    except (TypeError, ValueError, RecursionError) as error:
        failure = _failure("The module's result cannot be sent: %s" % (_unfit(result) or error))
        return True, wire.encode(wire.RESULT, request, failure)


def execute(head, upload=None):
    """Run the module that the RUN head names: (did it crash, its result)."""
    try:
        if "environment" in head:
            os.environ.update(head["environment"])
        name = head["module"]
        __import__(name)
        module = sys.modules[name]
        args = head.get("args") or {}
        _expand_paths(module.SPEC.get("options") or {}, args)
        task = Task(args, head.get("check", False), head.get("diff", False), upload)
        try:
            result = module.run(task)
        except Failure as failure:
            result = dict({"changed": False}, failed=True, **failure.result)
        if not isinstance(result, dict):
            return True, _failure("The module returned %s, not a dict" % type(result).__name__)
        if task.warnings:
            result["warnings"] = task.warnings + list(result.get("warnings") or [])
        return False, result
    except Terminated:
        raise
    except BaseException as error:
        return True, _crash(error)


def _crash(error):
    import traceback

    if isinstance(error, SystemExit):
        message = "The module ended itself with status %s" % error.code
    else:
        message = "".join(traceback.format_exception_only(type(error), error)).strip()
    inner = error.__traceback__.tb_next or error.__traceback__  # without our own frame
    text = "".join(traceback.format_exception(type(error), error, inner))
    return _failure(message, exception=text)


def _failure(message, **more):
    return dict(more, failed=True, changed=False, msg=message)


def _expand_paths(options, args):
    """~ and $VARIABLES in the options of type path, here, where they mean what the target's user means."""
    for name, option in options.items():
        value = args.get(name)
        if not value:
            continue
        if option.get("type") == "path":
            args[name] = expand(value)
        elif isinstance(value, list):
            if option.get("elements") == "path":
                args[name] = [expand(item) for item in value]
            elif "options" in option:
                for item in value:
                    if isinstance(item, dict):
                        _expand_paths(option["options"], item)
        elif isinstance(value, dict) and "options" in option:
            _expand_paths(option["options"], value)


def _unfit(result):
    """The first entry of a result that cannot be sent, for the message."""
    for key, value in result.items():
        try:
            wire.encode(wire.RESULT, 0, {key: value})
        except (TypeError, ValueError, RecursionError) as error:
            return "%r: %s" % (key, error)
    return ""


def _write(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass


def _learned(known, helper):
    """What this run imported and the helper may import for the next one."""
    for name, module in list(sys.modules.items())[known:]:
        origin = getattr(getattr(module, "__spec__", None), "origin", None) or ""
        standard = origin in ("built-in", "frozen") or (
            origin.startswith(STANDARD_LIBRARY) and "-packages" not in origin
        )
        if standard or name in helper.own:
            yield name


def _receive(requests):
    """Wait for a request: its number, its head, the small upload that came along, and whether another may follow.

    None where the pipe has been closed instead.
    """
    data = b""
    size = REQUEST.size
    while len(data) < size:
        piece = os.read(requests, 65536)
        if not piece:
            return None
        data += piece
        if size == REQUEST.size <= len(data):
            request, more = REQUEST.unpack_from(data)
            size += more
    head, content, more = marshal.loads(data[REQUEST.size :])
    return request, head, content, more


def _die_with(life):
    """Have the kernel kill this process group when the helper dies, however it dies.

    `life` is the reading end of a pipe whose writing end the helper alone holds. When that closes, the kernel signals
    the owner of the reading end, which we make this group (fcntl(2): F_SETOWN, F_SETSIG, O_ASYNC). Nothing is ever
    written to it: that would be signalled too. Linux only; elsewhere the group outlives a helper that was killed with
    SIGKILL.
    """
    try:
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpid())
        fcntl.fcntl(life, 10, int(signal.SIGKILL))  # F_SETSIG has no name in the fcntl module
        fcntl.fcntl(life, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    except (OSError, AttributeError):
        return
    try:
        os.read(life, 1)
    except BlockingIOError:
        return  # the helper lives
    os._exit(70)


def close_all_but(*kept):
    """A daemon forked by the module without an exec must not hold the connection open."""
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = max(low, fd + 1)
    os.closerange(low, FDS)
