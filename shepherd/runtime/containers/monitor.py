"""The process that looks after one container for as long as that is to run.

It reads what the container says, keeps its log and passes it on to who is attached, sees it end, starts it again where
its policy says so, asks how it is (health), and ends it when it is told to. Whatever takes much memory or many imports
is done by a child of it that ends soon: to make the container's process (starting.py), which becomes this one's child
then, to clear up after it, to ask how it is. So it stays small: there is one for each container.

It is told of what happens by poll(2): output, sockets, a pipe that signals write to; and it knows when the next thing
is due. The container's streams are named pipes that the container has open for reading too: when a monitor is killed
its container does not notice, and the next monitor opens them again.
"""

import _signal as signal  # signal itself costs an import of enum
import fcntl
import gc
import os
import select
import sys
import time

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import clock, events, policy, record
from shepherd.runtime.containers.clients import Clients
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.containers.log import Log, limits
from shepherd.runtime.linux import syscalls

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_MOST = 1 << 16  # bytes read at a time


def main(words: list) -> None:
    """ROOT STATE ID start|adopt DESCRIPTOR: the descriptor is the socket of who started it. Does not return."""
    root, state, identity, how, descriptor = words
    found = None
    try:
        os.setsid()
        os.environ["SHEPHERD_RUNTIME_ROOT"], os.environ["SHEPHERD_RUNTIME_STATE"] = root, state
        found = record.read(Folders(root, state), identity)
        monitor = Monitor(found, int(descriptor))
        monitor.begin(how)
        monitor.loop()
    except (ProcessLookupError, BlockingIOError):
        pass  # it has ended before we came, or has another monitor: who started us sees to it
    except BaseException:
        import traceback

        if found is not None and os.path.isdir(found.folder):
            with open(found.path("monitor.err"), "a") as file:
                file.write(clock.stamp() + "\n" + traceback.format_exc())
    finally:
        os._exit(0)


class Monitor:
    """One container's."""

    def __init__(self, found, descriptor: int):
        self.record = found
        self.state = found.state()
        self._running = found.folders.running(found.id)
        self._take_lock()
        self._poll = select.poll()
        self._handlers = {}
        self._timers = {}  # name: (when, by time.monotonic(); what to call)
        self._children = {}  # pid: what to call with its status
        self._unclaimed = {}  # of children that nobody has told us of yet: pid to status
        self._init = None  # the container's first process, if it is our child
        self._adopted = None  # a descriptor of it, if it is not
        self._streams = {}  # descriptor: stream
        self._master = None
        self._log = None
        self._wait = 0.0
        self._began = 0.0
        self._stopping = self._restore = False
        self._ending = self._done = False
        self._health = None
        self._ports = None
        self.clients = Clients(self, self._running, descriptor)
        self._hear_signals()
        kind = found.host.get("LogConfig") or {}
        if kind.get("Type") != "none":
            self._log = Log(found.log_path, *limits(kind))

    # The loop

    def watch(self, descriptor: int, events_: int, handler) -> None:
        """Call `handler(events)` when something happens to the descriptor."""
        self._poll.register(descriptor, events_)
        self._handlers[descriptor] = handler

    def forget(self, descriptor: int) -> None:
        """Do not, any more."""
        if self._handlers.pop(descriptor, None):
            self._poll.unregister(descriptor)

    def after(self, seconds: float, name: str, call) -> None:
        """Call it once when so much time has passed; one of each name."""
        self._timers[name] = (time.monotonic() + seconds, call)

    def cancel(self, name: str) -> None:
        """Do not call it."""
        self._timers.pop(name, None)

    def child(self, work, done) -> None:
        """Do `work()` in a process of its own; `done(status)` is called when that has ended."""
        us = os.getpid()
        pid = os.fork()
        if pid == 0:
            gc.disable()  # it would touch all of the memory that is shared with this process
            status = 1
            try:
                syscalls.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing goes on behind the back of the next monitor
                if os.getppid() != us:
                    os._exit(1)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                work()
                status = 0
            except BaseException:
                import traceback

                sys.stderr.write(traceback.format_exc())
            finally:
                os._exit(status)
        self._children[pid] = done

    def loop(self) -> None:
        """Until there is nothing to look after any more."""
        while not self._done and not (self._ending and not self.clients.waiting):
            timeout = None
            if self._timers:
                timeout = max(0, min(when for when, _call in self._timers.values()) - time.monotonic()) * 1000 + 1
            for descriptor, event in self._poll.poll(timeout):
                handler = self._handlers.get(descriptor)
                if handler is not None:
                    handler(event)
            now = time.monotonic()
            for name, (when, call) in list(self._timers.items()):
                if when <= now and self._timers.get(name) == (when, call):
                    del self._timers[name]
                    call()

    def _take_lock(self):
        """Held until this process ends, and by no child of it."""
        self._lock = os.open(self.record.path("monitor"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _hear_signals(self):
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)

        def hear(_event):
            if bytes((signal.SIGTERM,)) in os.read(reader, 4096):
                self.stop(None, None)  # the machine goes down: as `stop`, and not remembered as a person's wish
            self._reap()

        self.watch(reader, select.POLLIN, hear)

    def _reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._init:
                self._ended(_code(status))
            else:
                done = self._children.pop(pid, None)
                if done is not None:
                    done(status)
                else:
                    self._unclaimed[pid] = status

    # From the start to the end

    def begin(self, how: str) -> None:
        """Start the container, or look after one that runs (`adopt`), or start it again (`again`)."""
        if how == "adopt":
            self._adopt()
        elif how == "again":
            self._decide(self.state["ExitCode"], 0.0)
        else:
            boot = record.boot()
            self._restore = self.state["Boot"] != boot and not self.record.host.get("AutoRemove")
            self.state.update(record.NEW, Boot=boot, StartedAt=self.state["StartedAt"])
            self._start()

    def _start(self):
        """Have its process made by a child, which says here what became of it."""
        self._open_streams()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        terminal = None
        if self.record.config["Config"].get("Tty"):
            import _socket

            terminal = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, 0)

        def work():
            from shepherd.runtime.containers import starting

            if self._restore:  # the machine may have lost what was not synced
                from shepherd.runtime.containers import own_files

                own_files.write(self.record.config, self.record.folder)
            starting.report(self.record, self._running, terminal and terminal[1], writer)

        self.child(work, lambda _status: None)
        os.close(writer)
        if terminal:
            terminal[1].close()
        said = bytearray()

        def hear(_event):
            part = os.read(reader, _MOST)
            said.extend(part)
            if not part:
                self.forget(reader)
                os.close(reader)
                self._started(bytes(said), terminal and terminal[0])

        self.watch(reader, select.POLLIN, hear)

    def _started(self, said, terminal):
        result = document.loads(said, "starting") if said else {"error": "it was killed while it was made", "code": 125}
        if "error" in result:
            self._failed(result)
            return
        self._init = result["pid"]
        self._began = time.monotonic()
        self.state.update(
            Status="running", Pid=result["pid"], Began=result["began"], ExitCode=0, Error="", OOMKilled=False,
            StartedAt=clock.stamp(), Boot=record.boot(), FinishedAt=self.state["FinishedAt"],
        )  # fmt: skip
        self._save()
        if terminal is not None:
            from shepherd.runtime.bundle.terminal import receive

            self._take_master(receive(terminal))
            terminal.close()
        self.tell("start")
        self.clients.say(b"S%d" % self._init)
        if self._stopping:
            self.stop(None, None)
        self._watch_health()
        self._watch_ports(result.get("serving"))
        self._reap_early()

    def _reap_early(self):
        """It may have ended before we knew that it was the one."""
        status = self._unclaimed.pop(self._init, None)
        self._unclaimed.clear()
        if status is not None:
            self._ended(_code(status))

    def _failed(self, result):
        """It could not be started."""
        self._close_streams()
        again = self.state["Status"] == "restarting"
        self.state.update(Status="exited" if again else "created", Pid=0, Began=0, ExitCode=result["code"])
        self.state.update(Error=result["error"], FinishedAt=clock.stamp() if again else self.state["FinishedAt"])
        self._save()
        if again:
            self._decide(result["code"], 0.0)
        else:
            self.clients.say(b"E" + document.dumps(result).encode())
            self._finish(result["code"])

    def _adopt(self):
        """Its monitor was killed: it goes on under this one."""
        self._open_streams()
        self._adopted = syscalls.pidfd_open(self.state["Pid"])
        if not processes.alive(self.record.process(self.state)):
            raise ProcessLookupError("it has ended meanwhile")
        self._began = time.monotonic()

        def ended(_event):
            self.forget(self._adopted)
            from shepherd.runtime.containers.adopted import exit_code

            descriptor, self._adopted = self._adopted, None
            code, error = exit_code(descriptor)
            os.close(descriptor)
            self.state["Error"] = error
            self._ended(code)

        self.watch(self._adopted, select.POLLIN, ended)
        self.clients.say(b"S%d" % self.state["Pid"])
        self._watch_health()
        self._watch_ports(None)

    def _ended(self, code):
        """Its first process has ended, and with it all of them: clear up."""
        lasted = time.monotonic() - self._began
        self._init = None
        self.cancel("kill")
        if self._health is not None:
            self._health.stop()
            self._health = None
        if self._ports is not None:
            self._ports.stop()
            self._ports = None
        reader, writer = os.pipe2(os.O_CLOEXEC)

        def work():
            from shepherd.runtime.containers import finishing

            os.write(writer, b"O" if finishing.finish(self.record) else b"-")

        def done(_status):
            os.close(writer)
            killed = os.read(reader, 1) == b"O"
            os.close(reader)
            self._cleared(code, lasted, killed)

        self.child(work, done)

    def _cleared(self, code, lasted, out_of_memory):
        self._drain()
        self._close_streams()
        self.state.update(Status="exited", Pid=0, Began=0, ExitCode=code, OOMKilled=out_of_memory)
        self.state["FinishedAt"] = clock.stamp()
        if out_of_memory:
            self.tell("oom")
        self.tell("die", exitCode=str(code))
        self._decide(code, lasted)

    def _decide(self, code, lasted):
        """Start it again after a while, or not."""
        self.refresh()
        stopped = self._stopping or self.record.stopped
        if not policy.again(self.record.host.get("RestartPolicy") or {}, code, stopped, self.state["RestartCount"]):
            self._save()
            self._finish(code)
            return
        self._wait = policy.wait(self._wait, lasted)
        self.state["Status"] = "restarting"
        self._save()
        self.clients.say(b"D%d" % code)

        def again():
            self.state["RestartCount"] += 1
            self._start()

        self.after(self._wait, "again", again)

    def _finish(self, code):
        """It is not to run any more."""
        if self.record.host.get("AutoRemove"):

            def work():
                from shepherd.runtime.containers import removal

                removal.remove_own(self.record)

            self.child(work, lambda _status: self._close(code))
        else:
            self._close(code)

    def _close(self, code):
        if self._log is not None:
            self._log.close()
            self._log = None
        self.clients.say(b"X%d" % code)
        self._ending = True  # as soon as those attached have taken what was said; a reader may take its time

    # What it is told

    def stop(self, number, grace) -> None:
        """End it: by its signal, and after `grace` seconds by SIGKILL; not to be started again."""
        self._stopping = True
        if self._ending:
            self._done = True  # somebody wants to have it out of the way
            return
        config = self.record.config["Config"]
        if "again" in self._timers:  # it waits for its next start
            self.cancel("again")
            self.state["Status"] = "exited"
            self._save()
            self._finish(self.state["ExitCode"])
            return
        if number is None:
            from shepherd.runtime.containers.signals import parse

            number = parse(config.get("StopSignal") or "SIGTERM")
        if grace is None:
            grace = config.get("StopTimeout")
            grace = 10 if grace is None else grace
        self._send(number if grace else signal.SIGKILL)
        if grace > 0:
            self.after(grace, "kill", lambda: self._send(signal.SIGKILL))

    def _send(self, number):
        try:
            if self._init is not None:
                os.kill(self._init, number)
            elif self._adopted is not None:
                syscalls.pidfd_send_signal(self._adopted, number)
        except ProcessLookupError:
            pass  # we are about to hear of it

    def refresh(self) -> None:
        """`update`, `rename` and `network connect` may have changed what is declared."""
        found = record.read(self.record.folders, self.record.id)
        if found is None:
            return
        before, self.record = self.record.config.get("Networking"), found
        if found.config.get("Networking") != before and (self._init or self._adopted) is not None:
            self._watch_ports(None)  # a process that serves them may be there now, or another

    def _save(self):
        try:
            self.record.save_state(self.state)
        except OSError:
            self.after(1.0, "save", self._save)  # no room on the disk: there may be some later

    def tell(self, action: str, **attributes) -> None:
        """Those who follow the events."""
        events.write(self.record, action, attributes)

    # Its streams

    def _open_streams(self):
        if self.record.config["Config"].get("Tty"):
            return
        for number, name in ((1, "out"), (2, "err")):
            path = os.path.join(self._running, name)
            if not os.path.exists(path):
                os.mkfifo(path, 0o600)
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._streams[descriptor] = number
            self.watch(descriptor, select.POLLIN, self._reader(descriptor))
        if self.record.config["Config"].get("OpenStdin"):
            path = os.path.join(self._running, "in")
            if not os.path.exists(path):
                os.mkfifo(path, 0o600)
            self.clients.take_input(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))

    def _take_master(self, master):
        self._master = master
        os.set_blocking(master, False)
        self._streams[master] = 1
        self.watch(master, select.POLLIN, self._reader(master))
        self.clients.take_input(master, True)

    def _reader(self, descriptor):
        def read(_event):
            if not self._read(descriptor):
                self.forget(descriptor)  # its end; it is closed when the container's process has ended

        return read

    def _read(self, descriptor):
        """One read: whether there may be more."""
        try:
            data = os.read(descriptor, _MOST)
        except BlockingIOError:
            return True
        except OSError:
            return False  # EIO: nobody has the other side of the terminal open
        if not data:
            return False
        number = self._streams[descriptor]
        if self._log is not None:
            self._log.write("stdout" if number == 1 else "stderr", data)
        self.clients.output(number, data)
        return True

    def hold(self, held: bool) -> None:
        """Whether to leave what it says where it is, since somebody attached does not keep up."""
        for descriptor in self._streams:
            if descriptor in self._handlers:
                self._poll.modify(descriptor, 0 if held else select.POLLIN)

    def _drain(self):
        """What it said last."""
        for descriptor in self._streams:
            while select.select([descriptor], [], [], 0)[0] and self._read(descriptor):
                pass
        if self._log is not None:
            self._log.flush()
            self.clients.wake()

    def _close_streams(self):
        self.clients.take_input(None)
        for descriptor in self._streams:
            self.forget(descriptor)
            os.close(descriptor)
        self._streams.clear()
        self._master = None

    def resize(self, height: int, width: int) -> None:
        """Of its terminal, if it has one."""
        if self._master is not None:
            import struct

            fcntl.ioctl(self._master, 0x5414, struct.pack("HHHH", height, width, 0, 0))  # TIOCSWINSZ

    # Its health

    def _watch_health(self):
        check = self.record.config["Config"].get("Healthcheck") or {}
        if (check.get("Test") or ["NONE"])[0] != "NONE":
            from shepherd.runtime.containers.health import Health

            self._health = Health(self, check)

    # Its ports

    def _watch_ports(self, serving):
        """`serving`: the processes that serve them; None where that is to be found out."""
        if self.record.is_attached and serving != []:
            from shepherd.runtime.containers.published import Published

            self._ports = self._ports or Published(self)
            if serving is None:
                self._ports.look()
            else:
                self._ports.watch(serving)


def _code(status):
    """An exit code as a shell has it."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
