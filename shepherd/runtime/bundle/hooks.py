"""Programs of the machine's that are told of a container's life.

runtime.md, "Lifecycle"; config.md, "POSIX-platform Hooks".

Each gets the state on its standard input, has its own environment and arguments and nothing of ours, and may have a
timeout in seconds, after which it and its process group are killed.
"""

import _signal as signal  # signal itself costs an import of enum
import os
import select
import sys
import time

from shepherd.runtime.errors import RuntimeFailure


def run(config: dict, name: str, state: str, variables=None) -> None:
    """Run all hooks of that name in their order. Raises RuntimeFailure at the first that fails.

    `variables` ("NAME=value") are for those that say none themselves.
    """
    for number, hook in enumerate((config.get("hooks") or {}).get(name) or []):
        if variables and hook.get("env") is None:
            hook = dict(hook, env=variables)
        _run(hook, "/hooks/%s/%d" % (name, number), state)


def run_all(config: dict, name: str, state: str) -> None:
    """Run all hooks of that name, whether they fail or not: what goes wrong with one is told on standard error.

    So poststart and poststop hooks. (Later versions than 1.2 make an error of a poststart hook that fails.)
    """
    for number, hook in enumerate((config.get("hooks") or {}).get(name) or []):
        try:
            _run(hook, "/hooks/%s/%d" % (name, number), state)
        except RuntimeFailure as error:
            sys.stderr.write("shepherd-runtime: %s\n" % error.message)


def _run(hook, pointer, state):
    environment = dict(one.partition("=")[::2] for one in hook.get("env") or [])
    arguments = hook.get("args") or [hook["path"]]
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            os.dup2(reader, 0)
            for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.execve(hook["path"], arguments, environment)
        except OSError as error:
            os.write(2, ("%s: %s: %s\n" % (pointer, hook["path"], error.strerror)).encode())
        finally:
            os._exit(127)
    os.close(reader)
    deadline = None if hook.get("timeout") is None else time.monotonic() + hook["timeout"]
    late = not _feed(writer, state.encode("ascii"), deadline)
    status = None if late else _wait(pid, deadline)
    if status is None:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            os.kill(pid, signal.SIGKILL)  # it has not come to have a group
        os.waitpid(pid, 0)
        raise RuntimeFailure("%s: %s did not end in %d s" % (pointer, hook["path"], hook["timeout"]))
    if status:
        how = "signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "exit code %d" % os.WEXITSTATUS(status)
        raise RuntimeFailure("%s: %s failed with %s" % (pointer, hook["path"], how))


def _feed(writer, data, deadline):
    """Whether the hook took the state, or did not want it, in time."""
    os.set_blocking(writer, False)
    poll = select.poll()
    poll.register(writer, select.POLLOUT)
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        while data:
            if not poll.poll(_left(deadline)):
                return False
            try:
                data = data[os.write(writer, data) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                break
        return True
    finally:
        signal.signal(signal.SIGPIPE, before)
        os.close(writer)


def _wait(pid, deadline):
    if deadline is None:
        return os.waitpid(pid, 0)[1]
    pause = 0.001
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() >= deadline:
            return None
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _left(deadline):
    return None if deadline is None else max(0, int((deadline - time.monotonic()) * 1000))
