"""The helper: reads requests from the controller, runs modules in forked processes, passes answers on.

One thread, one poll loop.

Requests, by the `kind` of their frame (see wire.py) and their head:

    SOURCE   name, file, own, package, more,    a source; `own` ones (Shepherd's) are imported here before a fork, a
             ahead                              user's only ever in the forked process; `more`: the body goes on;
                                                `ahead`: it will be needed, so import it when there is nothing to do
    PUT      first, tell                        a piece of the upload of the RUN that follows with the same id
    RUN      module, args, check, diff, environment, timeout (seconds), output (stream it), upload (one was sent),
             lane (a number: those of one lane run one after the other, in the order in which they came)
    GET      path, offset (0)                   DATA frames, then RESULT with size and checksum (sha1) of what was sent
    OPEN     see relay.py
    CANCEL                                      end the request's processes; not answered
    PING                                        RESULT {}

The timeout of a run is kept here, not by the controller: here it counts the run alone and not the wait on the network,
and what it must end is here too.

A process whose runs left nothing in it (child.py says when) serves the next run too, and the items of a loop, which
share a lane, are run by one process if the module is Shepherd's own.

From the second run on, the process for the next one is forked ahead in an idle moment and waits for its request: a fork
and all that a process does first are then over when the request comes. What is imported here after that fork makes it
out of date, so it is let go.

Frames are written with blocking writes. That is safe, because the controller never stops reading, and it is the
backpressure: a process that prints faster than the network takes it waits. What is written to a relayed helper must
not block, or two helpers could wait for each other; see relay.py.
"""

import _signal as signal  # without the enums of `signal`, which are slow to import
import gc
import os
import select
import sys
import time
from errno import EAGAIN

from shepherd.remote import child, wire
from shepherd.remote.run import GRACE, Run

READ = 256 * 1024


class Helper:
    def __init__(self, importer, source, sink, boot):
        self.importer = importer
        self.boot = boot  # what a second helper (become) is started with
        self.source = source
        self.sink = sink
        self.requests = {}  # id: Run, Upload, Download or Relay: what CANCEL can end
        self.processes = {}  # pid: Run or Relay, until reaped
        self.streams = []  # Downloads, each asked for one piece in a turn
        self.learned = []  # what to import in idle moments: what two runs had to import, what was sent ahead
        self._seen = set()  # what one run had to import: facts, say, are often asked for just once
        self.spare = None  # a Run forked ahead
        self.lanes = {}  # lane: requests that wait for the one before them; it is there while one of it runs
        self.partial = {}  # name: pieces of a source that comes in several frames
        self.own = set()
        self.version = 0  # of the sources: a process knows those that were there when it was forked
        self._runs = 0
        self._wanted = False  # is it time to fork a spare
        self._stopping = False
        self._full = set()  # Relays that take no more for now
        self._decoder = wire.Decoder()
        self._poll = select.poll()
        self._handlers = {}
        self._kinds = {
            wire.RUN: self._run,
            wire.SOURCE: self._take_source,
            wire.PUT: self._put,
            wire.GET: self._get,
            wire.OPEN: self._open,
            wire.DATA: self._data,
            wire.CANCEL: self._cancel,
            wire.PING: self._ping,
        }

    # The loop

    def watch(self, fd, handler, events=select.POLLIN):
        """Call `handler()` when `fd` is ready; closing it needs `forget` first."""
        self._handlers[fd] = handler
        self._poll.register(fd, events)

    def forget(self, fd):
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def serve(self):
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        gc.disable()
        signal.set_wakeup_fd(writer)
        self.watch(reader, lambda: self._signalled(reader))
        self.watch(self.source, self._receive)
        try:
            while True:
                ready = self._poll.poll(self._patience())
                for fd, _ in ready:
                    handler = self._handlers.get(fd)
                    if handler is not None:
                        handler()
                self._check_time()
                for stream in list(self.streams):
                    stream.advance()
                if not ready:
                    self._idle()
        except (BrokenPipeError, EOFError):
            pass  # the controller is gone
        except wire.WireError as error:
            sys.stderr.write("shepherd helper: %s\n" % error)
        finally:
            self._end()

    def _patience(self):
        """Milliseconds the poll may wait; None: until something happens."""
        if self.streams or self.learned or self._wanted:
            return 0
        times = [run.deadline for run in self.processes.values() if run.deadline is not None]
        return max(0, int((min(times) - time.monotonic()) * 1000) + 1) if times else None

    def _check_time(self):
        for run in list(self.processes.values()):
            if run.deadline is not None and time.monotonic() >= run.deadline:
                run.expire()

    def _receive(self):
        data = os.read(self.source, READ)
        if not data:
            raise EOFError
        for kind, request, head, body in self._decoder.feed(data):
            try:
                self._kinds[kind](request, head, body)
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                self.refuse(request, str(error))

    def hold(self, relay, full):
        """Read no requests while a relayed helper is slower than they come."""
        before = bool(self._full)
        (self._full.add if full else self._full.discard)(relay)
        if bool(self._full) != before:
            if self._full:
                self.forget(self.source)
            else:
                self.watch(self.source, self._receive)

    def _stop(self, *_):
        child.on_signal()
        self._stopping = True

    def _signalled(self, reader):
        os.read(reader, 4096)
        if self._stopping:
            raise EOFError
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            process = self.processes.pop(pid, None)
            if process is not None:
                process.ended(status)

    def _end(self):
        """Nobody listens any more: end what runs, the whole process groups, and wait until it has ended."""
        for request in list(self.requests.values()):
            request.cancel()
        self._dismiss()
        os.close(self.sink)
        deadline = time.monotonic() + GRACE
        while self.processes:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid in self.processes:
                self.processes.pop(pid).ended(status)
            elif time.monotonic() > deadline:
                for process in self.processes.values():
                    process.kill()
                return
            elif not pid:
                time.sleep(0.005)

    def _idle(self):
        if self.learned:
            self._learn()
        elif self._wanted:
            self._wanted = False
            try:
                self.spare = Run(self)
            except OSError:
                pass  # the run that needs a process will say so

    def ended(self, run):
        if run is self.spare:
            self.spare = None
        self._wanted = self._runs > 1 and self.spare is None

    def imported(self, names):
        """A run had to import these."""
        self.learned += [name for name in names if name in self._seen]
        self._seen.update(names)

    def keep(self, run):
        """Take the process of a run that left nothing in it as the spare. False where that would be of no use."""
        if self.spare is not None or run.version != self.version:
            return False
        self.spare = run
        self._wanted = False
        return True

    def _dismiss(self):
        """Let the spare go: it does not know what changed here after its fork."""
        if self.spare is not None:
            self.spare.dismiss()
            self.spare = None

    def _learn(self):
        """Import here what a run had to import or will have to, so that it finds it done.

        One in an idle moment, and only modules of the standard library and our own: they do nothing when imported.
        """
        name = self.learned.pop(0)
        if name not in sys.modules:
            if self.spare is not None and self.spare.request is None:
                self._dismiss()  # one that has served has been cheaper to keep than a fork, whatever it does not know
            try:
                __import__(name)
            except Exception:
                pass  # the run that needs it will say so

    # Answers

    def send(self, data):
        """Write whole frames."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.sink, view) :]
            except OSError as error:  # the other end may have made a shared socket non-blocking
                if error.errno != EAGAIN:
                    raise
                waiting = select.poll()
                waiting.register(self.sink, select.POLLOUT)
                waiting.poll()

    def answer(self, request, head, body=b""):
        self.requests.pop(request, None)
        self.send(wire.encode(wire.RESULT, request, head, body))

    def refuse(self, request, message, **more):
        self.requests.pop(request, None)
        self.send(wire.encode(wire.REFUSED, request, dict(more, msg=message)))

    # Requests

    def _ping(self, request, *_):
        self.answer(request, {})

    def _cancel(self, request, *_):
        found = self.requests.pop(request, None)
        if found is not None:
            found.cancel()

    def _take_source(self, _, head, body):
        import marshal
        import zlib

        name = head["name"]
        self.partial.setdefault(name, []).append(body)
        if head.get("more"):
            return
        self._dismiss()
        self.version += 1
        code = marshal.loads(zlib.decompress(b"".join(self.partial.pop(name))))
        self.importer.add(name, head["file"], code, head.get("package", False))
        (self.own.add if head.get("own") else self.own.discard)(name)
        if head.get("ahead"):
            self.learned.append(name)

    def _run(self, request, head, _):
        upload = self.requests.pop(request, None) if head.get("upload") else None
        if head.get("upload") and upload is None:
            return  # refused while it came in
        lane = head.get("lane")
        if lane in self.lanes:
            self.requests[request] = Waiting(self, lane, request, head, upload)
            return
        if lane is not None:
            self.lanes[lane] = []
        self.start(request, head, upload)

    def start(self, request, head, upload):
        """Run a module in a process of its own."""
        name = head["module"]
        try:
            if name not in self.own:
                self.importer.code(name)
            elif name not in sys.modules:
                self._dismiss()
                __import__(name)
        except Exception:
            pass  # it fails again in the forked process, which says why
        self._runs += 1
        self._wanted = False
        large = upload is not None and upload.file is not None  # only a fork hands the file on
        run = None
        if not large:
            run, self.spare = self.spare, None
        try:
            run = run or Run(self, upload if large else None)
        except OSError as error:
            self.refuse(request, "no process can be started: %s" % error.strerror)
            while head.get("lane") in self.lanes:
                following = self.following(head["lane"])
                if following:
                    self.refuse(following[0], "not run, since the one before it could not be")
            return
        run.begin(request, head, upload)

    def following(self, lane):
        """The next request of a lane, as (request, head, upload); None ends the lane."""
        if self.lanes[lane]:
            waiting = self.lanes[lane].pop(0)
            return waiting.request, waiting.head, waiting.upload
        del self.lanes[lane]
        return None

    def _put(self, request, head, body):
        if head.get("tell"):
            self.send(wire.encode(wire.TAKEN, request))
        upload = self.requests.get(request)
        if upload is None:
            if not head.get("first"):
                return  # refused or cancelled; the rest was on its way
            from shepherd.remote.upload import Upload

            upload = self.requests[request] = Upload()
        try:
            upload.add(body)
        except OSError as error:
            upload.cancel()
            message = "cannot keep the upload on the target: %s" % error.strerror
            self.answer(request, {"failed": True, "changed": False, "msg": message, "errno": error.errno})

    def _get(self, request, head, _):
        from shepherd.remote.download import Download

        self.requests[request] = Download(self, request, head["path"], head.get("offset", 0))

    def _open(self, request, head, _):
        from shepherd.remote.relay import Relay

        self.requests[request] = Relay(self, request, head)

    def _data(self, request, _, body):
        relay = self.requests.get(request)
        if relay is not None:
            relay.feed(body)


class Waiting:
    """A run whose turn in its lane has not come."""

    def __init__(self, helper, lane, request, head, upload):
        self.request = request
        self.head = head
        self.upload = upload
        self._lane = helper.lanes[lane]
        self._lane.append(self)

    def cancel(self):
        self._lane.remove(self)
        if self.upload is not None:
            self.upload.cancel()
