"""A second helper, as another user: sudo or su is started here, its pipes travel as DATA frames of one request.

The head of OPEN:

    argv      the command: sudo or su with a shell text that prints `mark` on a line and then starts Python
    mark      seen on standard output, it says that the user was changed; only then does anything else go in
    password  typed once, when asked for; None: being asked is the end
    prompt    what the question ends with; None: any text that ends with a colon
    terminal  give the command a terminal to ask on; its three pipes stay pipes

The text that this helper came from (boot.py) is kept and starts the second one. Answers: DATA; at the
end RESULT with rc and stderr; REFUSED with `reason` ("asked", "wrong" or "ended"), rc and what was printed.

What the controller sends is kept until the pipe takes it, and while too much is kept no request is read. A blocking
write could deadlock: the second helper may be waiting for us to take its answer.
"""

import os
import select
import signal
import time

from shepherd.remote import wire
from shepherd.remote.child import close_all_but

KEPT = 1 << 21  # bytes under way to the second helper before we stop reading requests: twice the window of uploads
TAIL = 16 * 1024  # bytes of standard error kept for the end
GRACE = 3.0  # seconds for the second helper to end what it runs


class Relay:
    def __init__(self, helper, request, head):
        self.helper = helper
        self.request = request
        self.deadline = None
        self._mark = head["mark"].encode() + b"\n"
        self._password = head.get("password")
        self._prompt = head.get("prompt")
        self._name = os.path.basename(head["argv"][0]).encode()
        self._reached = False
        self._typed = False
        self._said = bytearray()  # on standard output, before the mark
        self._asked = bytearray()  # on standard error and the terminal
        self._pending = bytearray()
        self._waiting = False
        stdin, self._stdin = os.pipe()
        self._stdout, stdout = os.pipe()
        self._stderr, stderr = os.pipe()
        self._terminal = self._slave = None
        if head.get("terminal"):
            self._terminal, self._slave = os.openpty()  # both stay open here: a terminal without a user hangs up
        self.pid = os.fork()
        if self.pid == 0:
            _execute(head["argv"], stdin, stdout, stderr, self._slave)
        for fd in (stdin, stdout, stderr):
            os.close(fd)
        helper.processes[self.pid] = self
        os.set_blocking(self._stdin, False)
        self._outputs = {self._stdout: self._printed}
        for fd in (self._stderr, self._terminal):
            if fd is not None:
                self._outputs[fd] = lambda data, fd=fd: self._complained(fd, data)
        for fd in self._outputs:
            os.set_blocking(fd, False)
            helper.watch(fd, lambda fd=fd: self._read(fd))

    def _read(self, fd):
        try:
            data = os.read(fd, wire.CHUNK)
        except BlockingIOError:
            return False
        if data:
            self._outputs[fd](data)
        else:
            self.helper.forget(fd)
            del self._outputs[fd]
            os.close(fd)
        return bool(data)

    def _printed(self, data):
        if not self._reached:
            self._said += data
            _, mark, data = self._said.partition(self._mark)
            if not mark:
                return
            self._reached = True
            self._password = None
            self._write(self.helper.boot)
        if data and self.request in self.helper.requests:
            self.helper.send(wire.encode(wire.DATA, self.request, None, bytes(data)))

    def _complained(self, fd, data):
        self._asked += data
        if self._reached:
            del self._asked[:-TAIL]
        elif self._is_question():
            if self._password is None or self._typed:
                self._refuse("wrong" if self._typed else "asked")
                self.cancel()
                return
            del self._asked[:]
            self._typed = True
            answer = self._password.encode("utf-8", "surrogateescape") + b"\n"
            if fd == self._terminal:
                os.write(fd, answer)
            else:
                self._write(answer)

    def _is_question(self):
        if self._prompt is not None:
            return self._prompt.encode() in self._asked
        line = bytes(self._asked).split(b"\n")[-1].strip()
        return line.endswith((b":", "：".encode("utf-8"))) and line != self._name + b":"  # "su: " begins a complaint

    # Towards the second helper

    def feed(self, data):
        """DATA from the controller; an empty one closes the pipe."""
        if data:
            self._write(data)
        else:
            self.cancel()

    def _write(self, data):
        if self._stdin is not None:
            self._pending += data
            self._flush()

    def _flush(self):
        try:
            while self._pending:
                del self._pending[: os.write(self._stdin, self._pending[: wire.CHUNK])]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            del self._pending[:]  # its end is on the way and says more
        if bool(self._pending) != self._waiting:
            self._waiting = not self._waiting
            if self._waiting:
                self.helper.watch(self._stdin, self._flush, select.POLLOUT)
            else:
                self.helper.forget(self._stdin)
        self.helper.hold(self, len(self._pending) > KEPT)

    # Its end

    def ended(self, status):
        """sudo or su was reaped."""
        for fd in list(self._outputs):
            while self._read(fd):
                pass
        self._close_stdin()
        for fd in list(self._outputs):
            self.helper.forget(fd)
            os.close(fd)
        if self._slave is not None:
            os.close(self._slave)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        if self.request not in self.helper.requests:
            return
        if self._reached:
            self.helper.answer(self.request, {"rc": code, "stderr": self._asked.decode("utf-8", "surrogateescape")})
        else:
            self._refuse("ended", rc=code)

    def _refuse(self, reason, **more):
        said = b"\n".join(part.strip() for part in (self._said, self._asked) if part.strip())
        text = said.decode("utf-8", "replace")
        self.helper.refuse(self.request, text, reason=reason, **more)

    def cancel(self):
        """Close its standard input: the second helper ends what it runs, and itself."""
        self.helper.requests.pop(self.request, None)
        self._close_stdin()
        if self._terminal in self._outputs:
            self.helper.forget(self._terminal)
            del self._outputs[self._terminal]
            os.close(self._terminal)
        self.deadline = time.monotonic() + GRACE

    def _close_stdin(self):
        if self._stdin is not None:
            if self._waiting:
                self.helper.forget(self._stdin)
            self.helper.hold(self, False)
            os.close(self._stdin)
            self._stdin = None

    def expire(self):
        self.deadline = None
        self.kill()

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # what runs as another user ends by its closed input


def _execute(argv, stdin, stdout, stderr, terminal):
    """In the forked process: become the command."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        if terminal is not None:
            os.open(os.ttyname(terminal), os.O_RDWR)  # the first one a session opens becomes its own
        for target, fd in enumerate((stdin, stdout, stderr)):
            os.dup2(fd, target)
        close_all_but()
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, ("%s: %s" % (argv[0], error.strerror)).encode())
    finally:
        os._exit(127)
