"""The process behind tests/warm.py: imports a package whole, and forks for each program that it is asked to run.

Started with the folder to import from, the package, the descriptor of its socket, and a last word that is as long as
the words of programs may become, which are written over it. It has no threads, and ends when the socket does.
"""

import array
import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
import time
import traceback
from types import ModuleType

CLONE_NEWNET = 0x40000000
ARGUMENTS = (48, 49)  # the fields arg_start and arg_end of /proc/PID/stat, counted from 1 (proc(5))
COERCED = "LC_CTYPE"  # a Python that starts in the C locale sets it (PEP 538)


def import_all(package):
    """The package and all below it, but what runs when it is imported."""
    found = importlib.import_module(package)
    for one in pkgutil.walk_packages(found.__path__, package + "."):
        if not one.name.endswith("__main__"):
            importlib.import_module(one.name)


def serve(control):
    """Fork for each request, and say how each ended. Returns in the forked process: what was asked, and its files."""
    running = {}  # a descriptor of a process → its pid, and the pipe for its end
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for number, _events in poll.poll():
            if number != control:
                poll.unregister(number)
                pid, said = running.pop(number)
                os.close(number)
                status = os.waitpid(pid, 0)[1]
                with contextlib.suppress(BrokenPipeError):  # whoever started it does not want to know
                    os.write(said, status.to_bytes(8, "little"))
                os.close(said)
                continue
            asked, files = received(control)
            if not asked:
                os._exit(0)
            pid = os.fork()
            if not pid:
                return json.loads(asked), files
            number = os.pidfd_open(pid)
            running[number] = (pid, files.pop(0))
            poll.register(number, select.POLLIN)
            for one in files:
                os.close(one)


def received(control):
    """A message and the descriptors with it."""
    numbers = array.array("i")
    with socket.socket(fileno=os.dup(control)) as end:
        data, more, _flags, _address = end.recvmsg(1 << 18, socket.CMSG_SPACE(128 * numbers.itemsize))
    for _level, _kind, content in more:
        numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
    return data, list(numbers)


def become(asked, files):
    """Have the surroundings of the program that was asked for: nothing of ours is open, or seen."""
    if os.fstat(files[1]).st_ino != os.stat("/proc/self/ns/net").st_ino:
        ctypes.CDLL(None).setns(files[1], CLONE_NEWNET)
    places = [0, 1, 2, *asked["passed"]]
    said, _network, *files = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, max(places) + 1) for one in files]
    for one, place in zip(files, places, strict=True):
        os.dup2(one, place)
    start = 0
    for place in [*sorted(places), said]:
        if start < place:  # closerange(0, 0) closes all
            os.closerange(start, place)
        start = place + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))
    if asked["session"]:
        os.setsid()
    os.umask(asked["umask"])
    os.chdir(asked["folder"])
    coerced = {COERCED: os.environ[COERCED]} if COERCED in os.environ else {}
    os.environ.clear()
    os.environ.update({**coerced, **asked["environment"]})
    time.tzset()
    open_streams()
    show(asked["words"])
    os.write(said, os.getpid().to_bytes(8, "little"))
    os.close(said)


def open_streams():
    """Standard streams anew: those that were made for other files would go on to believe that they can seek."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        raw = io.FileIO(number, "w" if number else "r", closefd=False)
        raw.name = f"<{name}>"
        if not number:
            buffer = io.BufferedReader(raw)
        else:
            buffer = raw if old.write_through else io.BufferedWriter(raw)
        made = io.TextIOWrapper(
            buffer,
            old.encoding,
            old.errors,
            newline="\n" if number else None,
            line_buffering=number == 2,
            write_through=old.write_through,
        )
        made.mode = "w" if number else "r"
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)


def show(words):
    """Have the words in /proc/PID/cmdline, as far as there is room."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    first, last = (int(fields[number - 3]) for number in ARGUMENTS)
    data = b"".join(os.fsencode(word) + b"\0" for word in words)[: last - first - 1]
    ctypes.memmove(first, data.ljust(last - first, b"\0"), last - first)


def program(words):
    """Run what stands behind the interpreter and its flags, as that does; the exit code."""
    place = next(number for number, word in enumerate(words) if word in ("-c", "-m"))
    kind, text, *rest = words[place:]
    sys.orig_argv, sys.argv = list(words), [kind, *rest]
    if not sys.flags.isolated:
        sys.path.insert(0, "" if kind == "-c" else os.getcwd())
    try:
        if kind == "-m":
            runpy.run_module(text, run_name="__main__", alter_sys=True)
        else:
            sys.modules["__main__"] = main = ModuleType("__main__")
            exec(compile(text, "<string>", "exec"), main.__dict__)  # noqa: S102  # that is what -c does
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:  # noqa: BLE001  # whatever it is, the interpreter would say it
        traceback.print_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        return 1
    return 0


def end(code):
    """As the interpreter ends, but without taking it apart."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def main():
    folder, package, control = sys.argv[1:4]
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # typed at the terminal, it is not for us
    if not sys.flags.isolated:
        del sys.path[0]  # this file's folder
    if sys.flags.no_site:
        sys.path.insert(0, folder)
    import_all(package)
    if sys.flags.no_site:
        sys.path.remove(folder)
    gc.collect()
    gc.freeze()
    asked, files = serve(int(control))
    said = files[0]
    try:
        become(asked, files)
    except BaseException:  # noqa: BLE001  # or the other side would wait
        traceback.print_exc()
        os.write(said, bytes(8))
        os._exit(1)
    signal.signal(signal.SIGINT, interrupt)
    end(program(asked["words"]))


if __name__ == "__main__":
    main()
