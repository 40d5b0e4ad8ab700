"""Run a command and take its output.

`subprocess` costs 8 to 20 ms to import, so where Python has posix_spawn (3.8) that is used instead. A command stays in
the process group of the module that runs it: when a task is cancelled or its time is up, the whole group ends.
"""

import _signal as signal  # without the enums of `signal`, which are slow to import
import os
import select
import time

if not hasattr(os, "posix_spawnp"):
    import subprocess

started = 0  # programs that this process has run: one may have left something behind that lives on

SILENCE = 0.1  # seconds between looks whether a silent command has ended
READ = 64 * 1024


class Finished:
    """How a command ended: its exit status (negative: the signal that ended it), and what it wrote as text, in which
    bytes that are no UTF-8 are kept as lone surrogates.
    """

    def __init__(self, status, stdout, stderr):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


class CommandTimeoutError(Exception):
    """The command did not end in time and was killed. `stdout` and `stderr` hold what it had written."""

    def __init__(self, argv, timeout, stdout, stderr):
        Exception.__init__(self, "%s did not end within %g seconds" % (argv[0], timeout))
        self.stdout = stdout
        self.stderr = stderr


def run(argv, stdin=None, environment=None, cwd=None, timeout=None):
    """Run `argv` to its end. Raises OSError when it cannot be started, CommandTimeoutError after `timeout` seconds.

    stdin        bytes or text to give it; None: it reads an empty one
    environment  a dict of variables to add to ours; those that are None are taken away
    cwd          the directory to run it in, which becomes that of this process too: a module's process is its own

    What a process left in the background still holds open is not waited for.
    """
    if cwd is not None:
        os.chdir(cwd)
    pipes = {}  # our end: its buffer
    theirs = []
    try:
        for _ in range(2):
            reading, writing = os.pipe()
            pipes[reading] = bytearray()
            theirs.append(writing)
        feed = None
        if stdin is not None:
            reading, feed = os.pipe()
            theirs.append(reading)
        pid = _spawn([os.fsencode(word) for word in argv], theirs, _merged(environment))
    except BaseException:
        for fd in pipes:
            os.close(fd)
        raise
    finally:
        for fd in theirs:
            os.close(fd)
    out, err = pipes.values()
    if feed is not None:
        pipes[feed] = memoryview(_bytes(stdin))
    try:
        status = _talk(pid, pipes, feed, None if timeout is None else time.monotonic() + timeout)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        for fd in pipes:
            os.close(fd)
    if status is None:
        raise CommandTimeoutError(argv, timeout, _text(out), _text(err))
    return Finished(status, _text(out), _text(err))


def _bytes(data):
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data


def _text(data):
    return data.decode("utf-8", "surrogateescape")


def _merged(environment):
    if not environment:
        return os.environ
    merged = dict(os.environ)
    for name, value in environment.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _spawn(argv, ends, environment):
    """Start `argv` with `ends` (stdout, stderr, perhaps stdin) as its standard streams: its process id."""
    global started
    started += 1
    if not hasattr(os, "posix_spawnp"):
        return _popen(argv, ends, environment)
    if len(ends) > 2:
        actions = [(os.POSIX_SPAWN_DUP2, ends[2], 0)]
    else:
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, ends[0], 1), (os.POSIX_SPAWN_DUP2, ends[1], 2)]
    # Python ignores these two, and what is ignored stays so over an exec
    return os.posix_spawnp(argv[0], argv, environment, file_actions=actions, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])


def _popen(argv, ends, environment):
    stdin = ends[2] if len(ends) > 2 else subprocess.DEVNULL
    process = subprocess.Popen(argv, stdin=stdin, stdout=ends[0], stderr=ends[1], env=environment)
    process.returncode = 0  # it is waited for here, not by that object
    return process.pid


def _talk(pid, pipes, feed, deadline):
    """Feed and read the command until it ends: its status, or None when the deadline came first."""
    poll = select.poll()
    for fd in pipes:
        os.set_blocking(fd, False)
        poll.register(fd, select.POLLOUT if fd == feed else select.POLLIN)
    while pipes:
        ready = poll.poll(SILENCE * 1000)
        for fd, _ in ready:
            if not (_write(fd, pipes) if fd == feed else _read(fd, pipes)):
                poll.unregister(fd)
                del pipes[fd]
                os.close(fd)
        if deadline is not None and time.monotonic() > deadline:
            return _kill(pid)
        if not ready:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                for fd in pipes:
                    if fd != feed:
                        _read(fd, pipes)  # what it wrote between the look at the pipes and its end
                return exit_status(status)
    while deadline is not None:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return exit_status(status)
        if time.monotonic() > deadline:
            return _kill(pid)
        time.sleep(0.01)
    return exit_status(os.waitpid(pid, 0)[1])


def _kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _read(fd, pipes):
    """Take what is there; False at the end."""
    try:
        data = os.read(fd, READ)
    except BlockingIOError:
        return True
    pipes[fd] += data
    return bool(data)


def _write(fd, pipes):
    """Give what fits; False when all is given or nobody reads."""
    try:
        pipes[fd] = pipes[fd][os.write(fd, pipes[fd]) :]
    except BlockingIOError:
        return True
    except BrokenPipeError:
        return False
    return bool(pipes[fd])


def exit_status(status):
    """What waitpid(2) told, as an exit status; negative: the signal that ended it."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
