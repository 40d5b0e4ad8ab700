"""Work done in a process of its own, whose memory goes with it."""

import os

from shepherd.runtime.bundle import document
from shepherd.runtime.errors import RuntimeFailure


def done(work, meanwhile=None):
    """What `work()` returns, plain data; its RuntimeFailure is raised here. `meanwhile()` is called while it runs."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.write(writer, _answer(work))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    if meanwhile is not None:
        meanwhile()
    with open(reader, "rb") as file:
        said = file.read()
    os.waitpid(pid, 0)
    if not said:
        raise RuntimeFailure("it was killed while it was made")
    answer = document.loads(said, "answer")
    if "error" in answer:
        raise RuntimeFailure(answer["error"], answer["hint"])
    return answer["result"]


def _answer(work):
    try:
        answer = {"result": work()}
    except RuntimeFailure as error:
        answer = {"error": error.message, "hint": error.hint}
    except OSError as error:
        answer = {"error": "%s: %s" % (error.filename, error.strerror) if error.filename else str(error), "hint": None}
    except KeyboardInterrupt:
        answer = {"error": "interrupted", "hint": None}
    return document.dumps(answer).encode("ascii")
