"""Something done in a process of its own, beside what this one does; its answer comes through a pipe.

The process is a copy of this one, in its process group: when a task is cancelled, all of them end.
"""

import os

from shepherd.remote import process, wire


class Branch:
    """Runs `function`, which returns what JSON can hold. To be selected on until it can be read."""

    def __init__(self, function):
        self._reading, writing = os.pipe()
        process.started += 1
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reading)
            _run(function, writing)
        os.close(writing)

    def fileno(self):
        return self._reading

    def answer(self):
        """What the function returned. Raises RuntimeError, with the traceback as text, where it raised something."""
        with os.fdopen(self._reading, "rb") as pipe:
            told = pipe.read()
        os.waitpid(self._pid, 0)
        found = wire.loads(told.decode()) if told else {"raised": "the process was killed"}
        if "raised" in found:
            raise RuntimeError(found["raised"])
        return found["returned"]


def _run(function, writing):
    """Never returns: what this process is a copy of goes on elsewhere."""
    try:
        try:
            answer = {"returned": function()}
        except Exception:
            import traceback

            answer = {"raised": traceback.format_exc()}
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(wire.dumps(answer).encode())
    finally:
        os._exit(0)
