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
import os
import select
import time

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import clock, events, policy, record
from shepherd.runtime.containers.clients import Clients
from shepherd.runtime.containers.folders import Folders
from shepherd.runtime.containers.loop import Loop
from shepherd.runtime.containers.streams import Streams
from shepherd.runtime.linux import syscalls

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
        monitor.run()
    except (ProcessLookupError, BlockingIOError):
        pass  # it has ended before we came, or has another monitor: who started us sees to it
    except BaseException:
        import traceback

        if found is not None and os.path.isdir(found.folder):
            with open(found.path("monitor.err"), "a") as file:
                file.write(clock.stamp() + "\n" + traceback.format_exc())
    finally:
        os._exit(0)


class Monitor(Loop):
    """One container's."""

    def __init__(self, found, descriptor: int):
        super().__init__()
        self.record = found
        self.state = found.state()
        self._running = found.folders.running(found.id)
        self._take_lock()
        self._init = None  # the container's first process, if it is our child
        self._adopted = None  # a descriptor of it, if it is not
        self._wait = 0.0
        self._began = 0.0
        self._stopping = self._restore = False
        self._ending = self._done = False
        self._health = None
        self._ports = None
        self.clients = Clients(self, self._running, descriptor)
        self.hear_signals(lambda: self.stop(None, None))  # the machine goes down: not remembered as a person's wish
        self.streams = Streams(self, self._running)

    def run(self) -> None:
        """Until there is nothing to look after any more."""
        while not self._done and not (self._ending and not self.clients.waiting):
            self.turn()

    def _take_lock(self):
        """Held until this process ends, and by no child of it."""
        self._lock = os.open(self.record.path("monitor"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

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
        self.streams.open()
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

            self.streams.take_master(receive(terminal))
            terminal.close()
        self.tell("start")
        self.clients.say(b"S%d" % self._init)
        if self._stopping:
            self.stop(None, None)
        self._watch_health()
        self._watch_ports(result.get("serving"))
        self.claim(self._init, lambda status: self._ended(_code(status)))

    def _failed(self, result):
        """It could not be started."""
        self.streams.close()
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
        self.streams.open()
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
        self.streams.drain()
        self.streams.close()
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
        self.streams.close_log()
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
        if self.cancel("again"):  # it waits for its next start
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
