"""Programs of this checkout as processes of their own, without the time that Python takes to start and import.

`run` and `Popen` are those of subprocess, and what they start is the same: its words, folder, environment, files,
signals and end. Only where the words are this Python and `-m MODULE` or `-c TEXT` of ours, it is forked from a process
that has imported everything (tests/warm_process.py) instead of being started. What cannot be had that way is started
as ever: so are programs at a terminal, in other namespaces than this process, or by another Python. How a program
starts, and what it imports, is tested by subprocess itself.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHECKOUT = Path(__file__).parents[1]
SERVER = Path(__file__).with_name("warm_process.py")
# the first words behind the Python, and the package that is imported
KINDS = (
    (("-I", "-S", "-c"), "shepherd.runtime"),
    (("-m", "shepherd"), "shepherd"),
    (("-m", "shepherd.lab"), "shepherd"),
)
NAMESPACES = ("cgroup", "ipc", "mnt", "pid_for_children", "user", "uts")  # besides net
LARGEST = 150_000  # bytes: what goes into one message of a socket
INTERPRETER = ("PYTHON", "LC_", "LANG", "LD_")  # what a Python reads of its environment when it starts
MANY = 100  # descriptors that go with one message


class Popen(subprocess.Popen[Any]):
    """A process; where it was forked from a warm one, that one waits for it and says how it ended."""

    _ended: int | None = None  # the reading end of the pipe by which that is said

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any,
                       env: Any, *more: Any) -> None:  # fmt: skip
        """See CPython's subprocess.py: what remains of the arguments of Popen, and six descriptors or -1."""
        startup, _flags, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *rest = more
        restore_signals, gid, gids, uid, umask, session, *group = rest
        plain = not (executable or preexec_fn or shell or startup) and close_fds and restore_signals
        plain = plain and (gid, gids, uid, umask) == (None, None, None, -1) and set(group) <= {None, -1}
        words = [os.fsdecode(word) for word in args] if not isinstance(args, (str, bytes)) else []
        environment = dict(os.environ if env is None else env)
        folder = os.fspath(cwd) if cwd is not None else os.getcwd()
        files = [number if number >= 0 else own for own, number in enumerate((p2cread, c2pwrite, errwrite))]
        server = _server(words, environment) if plain and not any(map(os.isatty, files)) else None
        asked = server and server.start(words, folder, environment, files, list(pass_fds), session=bool(session))
        if not asked:
            super()._execute_child(  # type: ignore[misc]
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *more
            )
            return
        self._ended, self.pid = asked
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._ended is None:
            return super()._try_wait(wait_flags)  # type: ignore[misc, no-any-return]
        os.set_blocking(self._ended, not wait_flags & os.WNOHANG)
        try:
            said = os.read(self._ended, 8)
        except BlockingIOError:
            return 0, 0
        os.close(self._ended)
        assert said, "the warm process was killed"
        return self.pid, int.from_bytes(said, "little")

    def _internal_poll(self, *words: Any, **names: Any) -> int | None:
        if self._ended is None:
            return super()._internal_poll(*words, **names)  # type: ignore[misc, no-any-return]
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid:
                        self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def run(
    words: Sequence[Any], *, input: Any = None,  # noqa: A002  # its name there
    capture_output: bool = False, timeout: float | None = None, check: bool = False, **more: Any,
) -> subprocess.CompletedProcess[Any]:  # fmt: skip
    """subprocess.run."""
    if input is not None:
        more["stdin"] = subprocess.PIPE
    if capture_output:
        more.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with Popen(words, **more) as process:
        try:
            out, error = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, error)
    if check:
        done.check_returncode()
    return done


class _Server:
    """A process that has imported, and the socket by which it is asked to fork."""

    def __init__(self, flags: Sequence[str], package: str, environment: Mapping[str, str]) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # it ends when the socket does, also where this process is killed
            self.process = subprocess.Popen(
                [sys.executable, *flags, SERVER, str(CHECKOUT), package, str(theirs.fileno()), "x" * 4096],
                env={"PATH": os.environ.get("PATH", ""), **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
            )
        atexit.register(self._end, os.getpid())

    def _end(self, owner: int) -> None:
        if os.getpid() == owner:
            self.control.close()
            self.process.wait()

    def start(
        self, words: list[str], folder: str, environment: dict[str, str], files: list[int], passed: list[int], *,
        session: bool,
    ) -> tuple[int, int] | None:  # fmt: skip
        """Have it fork: the pipe that says how the process ends, and its pid. None where it has to be started."""
        asked = {"words": words, "folder": folder, "environment": environment, "passed": passed, "session": session}
        message = json.dumps({**asked, "umask": _umask()}).encode()
        if len(message) > LARGEST or len(passed) > MANY or not self._can_follow() or not os.path.isdir(folder):
            return None
        reading, writing = os.pipe()
        network = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            descriptors = array.array("i", [writing, network, *files, *passed])
            self.control.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        finally:
            os.close(writing)
            os.close(network)
        pid = int.from_bytes(os.read(reading, 8), "little")
        assert pid, "the warm process has ended"
        return reading, pid

    def _can_follow(self) -> bool:
        """Whether the process is where this thread is; into another network it goes."""
        ours, theirs = (
            {kind: os.readlink(f"/proc/{who}/ns/{kind}") for kind in NAMESPACES}
            | {"root": os.stat(f"/proc/{who}/root/").st_ino}
            for who in ("thread-self", self.process.pid)
        )
        return ours == theirs


def _umask() -> int:
    """Of this process, without changing it for a moment."""
    return int(Path("/proc/self/status").read_text().split("\nUmask:", 1)[1].split(None, 1)[0], 8)


_servers: dict[tuple[object, ...], _Server] = {}
_choosing = threading.Lock()


def _server(words: list[str], environment: Mapping[str, str]) -> _Server | None:
    """The one for such words and such an environment; started when it is needed first."""
    if "PYTHONPATH" in environment:
        return None  # a folder of a test's own, with what changes a Python when it starts
    for start, package in KINDS:
        if words[:1] == [sys.executable] and tuple(words[1 : len(start) + 1]) == start:
            read = {name: value for name, value in environment.items() if name.startswith(INTERPRETER)}
            flags = [word for word in start[:-1] if word not in ("-m", "-c")]
            key = (os.getpid(), package, *flags, *sorted(read.items()))
            with _choosing:
                if key not in _servers:
                    _servers[key] = _Server(flags, package, read)
                return _servers[key]
    return None
