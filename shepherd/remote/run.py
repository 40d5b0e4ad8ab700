"""One run of a module, seen from the helper: the forked process, its pipes, its end.

The process answers over a pipe of its own: a byte (its fate, see child.py), the size of the RESULT frame, the frame
itself, which is passed on as it is; when it ends, the names of what it imported. The answer goes out as soon as it is
whole. It does not matter who else still holds the pipes: a service that was started may keep its standard output open
for ever.
"""

import _signal as signal
import gc
import marshal
import os
import time

from shepherd.remote import child, wire
from shepherd.remote.child import ANSWER, CRASHED, LANE, READY, REQUEST

TAIL = 64 * 1024  # bytes of output kept for the report of a crash
GRACE = 1.0  # seconds between SIGTERM and SIGKILL
_freeze = getattr(gc, "freeze", lambda: None)  # 3.7: keeps a collection in the child from touching every page


class Run:
    """Made by a fork. It waits until `begin` gives it a request; `dismiss` ends one that is not needed.

    upload  a large one that it is forked for; what is small comes with the request
    """

    def __init__(self, helper, upload=None):
        self.helper = helper
        self.version = helper.version
        self.request = None
        self.lane = None
        self.timeout = None
        self.streaming = False
        self.deadline = None
        self.answered = False
        self.expired = False
        self.received = bytearray()
        self.tails = {"stdout": bytearray(), "stderr": bytearray()}
        pipes = result, stdout, stderr, life, requests = [os.pipe() for _ in range(5)]
        _freeze()
        try:
            self.pid = os.fork()
        except OSError:
            for pipe in pipes:
                os.close(pipe[0])
                os.close(pipe[1])
            raise
        if self.pid == 0:
            child.main(helper, upload and upload.file, life[0], requests[0], result[1], stdout[1], stderr[1])
        for fd in (result[1], stdout[1], stderr[1], life[0], requests[0]):
            os.close(fd)
        self.life = life[1]
        self.requests = requests[1]
        self.pipes = {result[0]: "result", stdout[0]: "stdout", stderr[0]: "stderr"}
        helper.processes[self.pid] = self
        for fd in self.pipes:
            os.set_blocking(fd, False)
            helper.watch(fd, lambda fd=fd: self._read(fd))

    def begin(self, request, head, upload=None):
        self.request = request
        self.helper.requests[request] = self
        self.answered = False
        self.lane = head.get("lane")
        self.timeout = head.get("timeout")
        self.streaming = head.get("output", False)
        if self.timeout:
            self.deadline = time.monotonic() + self.timeout
        more = head["module"] in self.helper.own  # a user's has a process to itself: it may leave anything in it
        packed = marshal.dumps((head, upload.content() if upload else b"", more))
        view = memoryview(REQUEST.pack(request, len(packed)) + packed)
        try:
            while view:
                view = view[os.write(self.requests, view) :]
        except BrokenPipeError:
            pass  # it has been killed; its end is reported when it is reaped
        if upload:
            upload.cancel()  # the process has its own
        if not more:
            self.dismiss()

    def dismiss(self):
        """Nothing comes any more. Without a request the process ends."""
        if self.requests is not None:
            os.close(self.requests)
            self.requests = None

    def _read(self, fd):
        """Take what is there; False at the end of the pipe or where nothing is there now."""
        try:
            data = os.read(fd, 256 * 1024)
        except BlockingIOError:
            return False
        if not data:
            self._close(fd)
            return False
        stream = self.pipes[fd]
        if stream == "result":
            self.received += data
            self._answer()
        elif not self.answered:
            self._output(stream, data)
        return True

    def _output(self, stream, data):
        tail = self.tails[stream]
        tail += data
        del tail[:-TAIL]
        if self.streaming and self.request in self.helper.requests:
            for start in range(0, len(data), wire.CHUNK):
                piece = data[start : start + wire.CHUNK]
                self.helper.send(wire.encode(wire.OUTPUT, self.request, {"stream": stream}, piece))

    def _answer(self):
        if self.answered or self.expired or len(self.received) < ANSWER.size:
            return
        fate, size = ANSWER.unpack_from(self.received)
        end = ANSWER.size + size
        if len(self.received) < end:
            return
        self._drain_output()
        self.answered = True
        if self.request in self.helper.requests:
            if fate == CRASHED:
                self._send_tails()
            del self.helper.requests[self.request]
            self.helper.send(self.received[ANSWER.size : end])
        self.deadline = None
        del self.received[:end]
        for tail in self.tails.values():
            tail.clear()
        following = self._following()
        if following and fate in (LANE, READY) and not (following[2] and following[2].file):
            self.begin(*following)
            return
        if following:
            self.helper.start(*following)
        if fate == READY and self.helper.keep(self):
            return
        self.dismiss()
        for fd in self.pipes:
            self.helper.forget(fd)  # what is left to read is read when the process has ended: one wakeup, not four

    def _following(self):
        """Leave the lane to the next request that waits in it, and return that one."""
        lane, self.lane = self.lane, None
        return self.helper.following(lane) if lane is not None else None

    def _send_tails(self):
        for stream, tail in self.tails.items():
            if tail:
                self.helper.send(wire.encode(wire.OUTPUT, self.request, {"stream": stream, "tail": True}, bytes(tail)))

    def _drain_output(self):
        """One read takes all that a pipe holds; more would never end where something is left running that prints."""
        for fd, stream in list(self.pipes.items()):
            if stream != "result":
                self._read(fd)

    def _close(self, fd):
        self.helper.forget(fd)
        del self.pipes[fd]
        os.close(fd)

    def ended(self, status):
        """The process was reaped."""
        for fd in [fd for fd, stream in self.pipes.items() if stream == "result"]:
            while self._read(fd):
                pass
        if self.expired:
            self.kill()  # what is left of its group
        if self.answered:
            self.helper.imported(self.received.decode().split())
        else:
            self._drain_output()
            self._died(status)
            following = self._following()
            if following:
                self.helper.start(*following)
        for fd in list(self.pipes):
            self._close(fd)
        os.close(self.life)
        self.dismiss()
        self.helper.ended(self)

    def _died(self, status):
        self.answered = True
        if self.request not in self.helper.requests:
            return  # cancelled
        result = {"failed": True, "changed": False}
        if self.expired:
            result["msg"] = "The module did not finish within %g seconds and was ended" % self.timeout
            result["timedout"] = {"period": self.timeout}
        elif os.WIFSIGNALED(status):
            result["msg"] = "The module's process was killed by signal %d" % os.WTERMSIG(status)
            result["rc"] = -os.WTERMSIG(status)
        else:
            result["msg"] = "The module's process ended with status %d and no result" % os.WEXITSTATUS(status)
            result["rc"] = os.WEXITSTATUS(status)
        self._send_tails()
        self.helper.answer(self.request, result)

    # Its end before its time

    def expire(self):
        """The deadline has come: first of the run, then of the grace it was given."""
        if self.expired:
            self.kill()
            self.deadline = None
        else:
            self.expired = True
            self._signal(signal.SIGTERM)
            self.deadline = time.monotonic() + GRACE

    def cancel(self):
        self.helper.requests.pop(self.request, None)
        if not self.expired:
            self.expire()

    def kill(self):
        self._signal(signal.SIGKILL)

    def _signal(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            if self.pid in self.helper.processes:
                os.kill(self.pid, number)  # forked a moment ago, not yet the leader of its group
        except PermissionError:
            pass  # all that is left of the group belongs to somebody else
