"""`exec`: one more process in a container that runs.

It enters the namespaces of the container's first process through descriptors that are opened while that process is
known to be the one of the record, the process namespace by being born into it. Until it is its program it may not be
traced or looked into by what runs inside (CVE-2016-9962), and it has no file of the machine's open.
"""

import _signal as signal  # signal itself costs an import of enum
import os

from shepherd.runtime.bundle import create, foreground, groups, stage, state, terminal
from shepherd.runtime.bundle.init import take_personality
from shepherd.runtime.bundle.process import Process
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import moves


class Request:
    """What is asked for. `process` is an object as in config.json, checked."""

    def __init__(self, container, process: dict):
        self.container = container
        self.process = process
        self.console_socket = None
        self.console = None
        self.plain = False
        self.pid_file = None
        self.preserved = 0
        self.ignore_paused = False
        self.groups_inside = []  # where in the container's control group (cgroups/inner.py)


def run(request: Request, detach: bool = False) -> int:
    """Start it, and wait for it unless `detach`: its exit code, 128 + n after signal n."""
    master = pair = None
    if request.process.get("terminal") and not request.console_socket:
        if detach:
            raise RuntimeFailure("--detach: a terminal needs --console-socket then")
        pair = foreground.ask_for_terminal(request)
    if not detach:
        signal.pthread_sigmask(signal.SIG_BLOCK, (*foreground._FORWARDED, signal.SIGCHLD))
    pid = start(request)
    if pair:
        master = terminal.receive(pair[0])
        pair[0].close()
    if detach:
        return 0
    record = {"pid": pid, "began": state.start_time(pid)}
    return foreground.wait(pid, lambda number: state.signal_process(record, number), master)


def start(request: Request) -> int:
    """Start it, and return its pid: a child of this process. Raises RuntimeFailure."""
    container = request.container
    status = container.status()
    if status not in ("running", "created") and not (status == "paused" and request.ignore_paused):
        raise RuntimeFailure("container %s takes no processes: it is %s" % (container.name, status))
    if request.process.get("terminal") and not (request.console_socket or request.console):
        raise RuntimeFailure("a terminal needs --console-socket")
    process = Process(request.process, container.record["config"]["linux"].get("seccomp"), "")
    group = groups.of(container.record)
    if request.groups_inside:
        from shepherd.runtime.linux.cgroups.inner import Inner

        group = Inner(group, request.groups_inside)
    joined = _open_namespaces(container)
    if "user" not in joined:
        process.keep_to_ours()
    console = terminal.connect(request.console_socket) if request.console_socket else request.console
    ours, theirs = stage.channel()
    joiner = _Joiner(request, process, theirs, console)
    kept = {theirs.fileno(), *joined.values()} | ({console.fileno()} if console else set())

    def prepare():
        stage.close_others(kept, request.preserved)
        process.prepare()
        process.open_label()

    pid, doors, cradle = None, [], group.cradle()
    try:
        pid, direct, born = stage.fork(set(), joined, theirs, prepare, joiner.main, None, cradle)
        theirs.close()
        if not direct:
            pid = _told(ours, pid)
        try:
            beside = None if request.groups_inside else container.record["pid"]
            doors = moves.open_doors(group.admit(pid, born, beside))
        except FileNotFoundError:
            if os.geteuid() == 0:
                raise RuntimeFailure("container %s has just ended" % container.name) from None
        if request.pid_file:
            create.write_pid_file(request.pid_file, pid)
        ours.say(b"go", doors)
        ours.program = request.process["args"][0]
        if ours.hear():
            raise RuntimeFailure("the process said something it should not")
        return pid
    except BaseException:
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.waitpid(pid, 0)
        raise
    finally:
        ours.close()
        theirs.close()
        if console:
            console.close()
        for descriptor in [*joined.values(), *doors] + ([cradle] if cradle is not None else []):
            os.close(descriptor)


def _told(ours, child):
    """The pid that the stage says."""
    try:
        said = ours.hear()
    finally:
        os.waitpid(child, 0)
    if not said.startswith(b"pid "):
        raise RuntimeFailure("the process ended before it was made")
    return int(said[4:])


def _open_namespaces(container):
    """Descriptors of those of its namespaces that are not ours, by kind."""
    opened = {}
    try:
        for kind, name in stage.FILES.items():
            try:
                theirs = os.open("/proc/%d/ns/%s" % (container.record["pid"], name), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                if os.path.exists("/proc/self/ns/" + name):
                    raise
                continue  # a kind that this kernel does not have
            if os.path.samestat(os.fstat(theirs), os.stat("/proc/self/ns/" + name)):
                os.close(theirs)
            else:
                opened[kind] = theirs
        if not state.alive(container.record):
            raise FileNotFoundError
    except OSError as error:
        for descriptor in opened.values():
            os.close(descriptor)
        if isinstance(error, FileNotFoundError):
            raise RuntimeFailure("%s: container not running" % container.name) from None
        raise
    return opened


class _Joiner:
    """The process inside, from its birth to its program."""

    def __init__(self, request, process, ends, console):
        self.request = request
        self.process = process
        self.ends = ends
        self.console = console

    def main(self):
        os.umask(0o022)
        os.chdir("/")
        slave = None
        if self.request.process.get("terminal"):
            root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            master, slave = terminal.make(root, plain=self.request.plain)
            os.close(root)
            size = self.request.process.get("consoleSize")
            if size:
                terminal.set_size(slave, size["height"], size["width"])
            terminal.hand_over(self.console, master)
            os.close(master)
        if self.console:
            self.console.close()
        doors = []
        if self.ends.hear(doors) != b"go":
            os._exit(1)  # the runtime is gone
        moves.go(doors)
        self.process.move_to_final_processors()
        take_personality(self.request.container.record["config"]["linux"])
        self.process.enter_folder(False)
        if slave is not None:
            terminal.take(slave, self.process.user["uid"])
        self.process.become(self.ends.fileno(), slave is not None)
