"""`create`: everything of a container but its program (runtime.md, "Create").

What can be refused is refused before anything is made. What is made after that is unmade where a step fails, and is
in the record before it is made, so that `delete --force` finds it also where this process was killed.
"""

import _signal as signal  # signal itself costs an import of enum
import _socket as socket  # likewise
import os
import sys
import time

from shepherd.runtime.bundle import document, groups, hooks, options, outside, rootfs, stage, state, trees
from shepherd.runtime.bundle.config import namespaces
from shepherd.runtime.bundle.init import Init
from shepherd.runtime.bundle.process import Process
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import moves


class Request:
    """What is asked for: the options of `create` and `run`."""

    def __init__(self, root: str, name: str, bundle: str, config: dict):
        self.root = root
        self.name = state.check_name(name)
        self.bundle = os.path.abspath(bundle)
        self.config = config
        self.pid_file = None
        self.console_socket = None
        self.no_pivot = False
        self.preserved = 0
        self.systemd = False
        self.console = None  # in place of console_socket: the socket itself
        self.plain = False  # the terminal makes no \r\n of \n

    def notification(self, said: bytes) -> bytes:
        """config-linux.md, "The Container Process State", as JSON; `said` is the container's state, too."""
        shown = document.loads(said, "state")
        about = {"ociVersion": state.VERSION, "fds": ["seccompFd"], "pid": shown["pid"], "state": shown}
        about["metadata"] = self.config["linux"]["seccomp"].get("listenerMetadata") or ""
        return document.dumps(about).encode("ascii")


class Listener:
    """The socket on which the first process waits for `start`."""

    def __init__(self, folder: int):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self._socket.bind("/proc/self/fd/%d/start" % folder)  # short, however long the path is
        self._socket.listen(1)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def accept(self) -> stage.Channel:
        """The first that connects; nobody can after that."""
        descriptor, _address = self._socket._accept()
        self._socket.close()
        return stage.Channel(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor))

    def close(self) -> None:
        """Leave it to the other process."""
        self._socket.close()


def connect(container) -> stage.Channel:
    """To the first process of a created container that we hold."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        end.connect("/proc/self/fd/%d/start" % container.lock)
    except OSError:
        end.close()
        raise RuntimeFailure("container %s is not waiting to be started" % container.name) from None
    ends = stage.Channel(end)
    ends.program = container.record["config"]["process"]["args"][0]
    return ends


def create(request: Request, start: bool = False):
    """Make the container, and start it where `start` says so. The Container comes back locked.

    Its first process is a child of this one. Raises RuntimeFailure, and nothing is left then.
    """
    config = request.config
    if config.get("process") is None:
        raise RuntimeFailure("/process: is required")
    if config["process"].get("terminal") and not (request.console_socket or request.console):
        raise RuntimeFailure("/process/terminal: needs --console-socket")
    if request.console_socket and not config["process"].get("terminal"):
        raise RuntimeFailure("--console-socket: is only for a process with a terminal (/process/terminal)")
    moves.expect()
    process = Process(config["process"], config["linux"].get("seccomp"))
    wanted = namespaces(config)
    if "user" not in wanted:
        process.keep_to_ours()
    group = groups.choose(request)
    creation = _Creation(request, process, wanted, group)
    try:
        return creation.make(start)
    except BaseException:
        creation.undo()
        raise
    finally:
        creation.close()


class _Creation:
    """One container on its way."""

    def __init__(self, request, process, wanted, group):
        self.request = request
        self.config = request.config
        self.process = process
        self.wanted = wanted
        self.group = group
        self.joined = {}
        self.trees = {}
        self.sockets = []
        self.claim = self.container = self.record = None
        self.grouped = False
        self.hooked = False  # some have run: those that come after the end have to, too
        self.pid = None
        self.ours = self.theirs = None

    def make(self, start):
        request, config = self.request, self.config
        self.joined = stage.open_namespaces(self.wanted)
        self._open_trees()
        console = self._console()
        notify = self._connected(self.process.listener)
        new = {kind for kind, path in self.wanted.items() if path is None}
        place = os.path.realpath(os.path.join(request.bundle, config["root"]["path"]))
        files = rootfs.Rootfs(config, place, self.group.path, self.trees, new)
        self.claim = state.Claim(request.root, request.name)
        self.record = {
            "ociVersion": state.VERSION,
            "id": request.name,
            "bundle": request.bundle,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "owner": os.geteuid(),
            "group": self.group.path,
            "config": config,
        }
        if self.group.unit:
            self.record["unit"] = self.group.unit
        self.container = self.claim.publish(self.record)
        cradle = self._grouping(self._make_cradle)
        try:
            if start and outside.is_possible(request, self.process, new, self.joined):
                self._make_from_outside(files, new, cradle)
            else:
                self._make_from_inside(files, new, cradle, start, console, notify)
        finally:
            if cradle is not None:
                os.close(cradle)
        return self.container

    def _make_from_outside(self, files, new, cradle):
        making = outside.Making(self, files, new, self.joined)
        try:
            making.make(cradle)
            self.record.update(pid=self.pid, began=state.start_time(self.pid), ready=True)
            self.container.prepare()  # while the process enters its root; before, it ends with this one
            making.finish()
            self._commit()
            making.start()
        finally:
            making.close()

    def _make_from_inside(self, files, new, cradle, start, console, notify):
        request, config = self.request, self.config
        lock = os.open(os.path.join(self.container.folder, "init"), os.O_RDONLY | os.O_CLOEXEC)
        listener = None if start else Listener(self.container.lock)
        self.sockets += [one for one in (listener,) if one]
        self.ours, self.theirs = stage.channel()
        init = Init(request, self.process, files, self.theirs, lock, listener, console, notify)
        late = {"cgroup"}
        if "network" in new and stage.is_direct(new, self.joined):
            late.add("network")  # what takes longest is made by us, while the process begins with the rest
            init.takes_network = True
        kept = {self.theirs.fileno(), lock, *self.joined.values(), *self.trees.values()}
        kept.update(one.fileno() for one in (listener, console, notify) if one)

        def prepare():
            stage.close_others(kept, request.preserved)
            self.process.prepare()

        try:
            offsets = config["linux"].get("timeOffsets")
            child, direct, born = stage.fork(new - late, self.joined, self.theirs, prepare, init.main, offsets, cradle)
        finally:
            os.close(lock)
        self.theirs.close()
        self.pid = child if direct else self._converse(child)
        # from here on it builds its root, and we do the rest beside it
        if init.takes_network:
            self._say(b"network", [stage.make_namespace("network")])
        self.record.update(pid=self.pid, began=state.start_time(self.pid))
        self.container.save()
        doors = self._grouping(moves.open_doors, self.open_group(born)) or []
        said = document.dumps(dict(self.container.public(), status="creating", pid=self.pid))
        hooked = bool(config.get("hooks"))
        self._say(b"grouped", doors)
        if not hooked:  # nothing happens in between: it need not wait
            self.ours.say(b"go" + said.encode("ascii"))
        self._expect(b"ready")
        if hooked:
            self.hooked = True
            hooks.run(config, "prestart", said)
            hooks.run(config, "createRuntime", said)
            self.ours.say(b"go" + said.encode("ascii"))
        self.record["ready"] = True
        self.container.prepare()
        self._expect(b"created")
        self._commit()
        self.ours.say(b"start" if start else b"wait")
        if start:
            self._started()

    def _commit(self):
        if self.request.pid_file:
            write_pid_file(self.request.pid_file, self.pid)
        self.container.commit()

    def open_group(self, born: bool) -> list:
        """Make its groups: the files by which its process goes into those of version 1."""
        return self._grouping(self._open_group, born) or []

    def _say(self, word, descriptors):
        """And hand them over."""
        self.ours.say(word, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)

    def _converse(self, child):
        """With the stage, until it says which process is the container's: its pid."""
        try:
            while True:
                said = self.ours.hear()
                if said.startswith(b"pid "):
                    return int(said[4:])
                if said != b"map":
                    raise RuntimeFailure("the container's process ended before it was made")
                from shepherd.runtime.bundle import users

                linux = self.config["linux"]
                users.write_maps(child, linux["uidMappings"], linux["gidMappings"])
                self.ours.say(b"mapped")
        finally:
            if self.ours is not None and sys.exc_info()[0] is not None:
                self.ours.close()  # the stage hears it, and ends
            os.waitpid(child, 0)

    def _expect(self, word):
        said = self.ours.hear()
        if said != word:
            raise RuntimeFailure("the container's process ended before it was ready%s" % self.how())

    def how(self) -> str:
        """How the process ended, as far as its parent is told."""
        status = os.waitpid(self.pid, 0)[1]
        self.pid = None
        if os.WIFSIGNALED(status):
            return " (signal %d; is the memory limit very low?)" % os.WTERMSIG(status)
        return ""

    def _started(self):
        """The other end closes when it has become the program."""
        self.ours.program = self.config["process"]["args"][0]
        if self.ours.hear():
            raise RuntimeFailure("the container's process said something it should not")

    def _grouping(self, step, *arguments):
        """The result of a step in making the group; None where it fails for an ordinary user who asks for none."""
        try:
            return step(*arguments)
        except OSError as error:
            linux = self.config["linux"]
            if os.geteuid() != 0 and not (linux.get("resources") or linux.get("cgroupsPath")):
                return None  # there is no group to make one in
            raise RuntimeFailure("cannot make the control group /%s: %s" % (self.group.path, error.strerror)) from None

    def _make_cradle(self):
        """The part of it that the container's process is to be born in."""
        self.group.check_free()
        self.grouped = True
        return self.group.make_cradle()

    def _open_group(self, born):
        """The whole of it, with its limits."""
        doors = self.group.enter(self.pid, self.config["linux"].get("resources") or {}, born)
        owner = groups.owner(self.config)
        if owner is not None:
            self.group.give(owner)
        return doors

    def _open_trees(self):
        """Bind mounts whose source has to be opened by us: with mapped owners, or from inside a user namespace."""
        foreign = "user" in self.wanted
        made = {}
        for number, mount in enumerate(self.config.get("mounts") or []):
            chosen = options.parse(mount.get("options") or [], "/mounts/%d/options" % number)
            if not (chosen.bind or mount.get("type") == "bind"):
                continue
            if not os.path.isabs(mount["source"]):
                mount["source"] = os.path.join(self.request.bundle, mount["source"])
            mapped = mount.get("uidMappings") or chosen.idmap
            if not (foreign or mapped):
                continue
            try:
                descriptor = None
                if mapped:
                    source = mount if mount.get("uidMappings") else self.config["linux"]
                    ranges = (source["uidMappings"], source["gidMappings"])
                    key = document.dumps(ranges)
                    if key not in made:
                        from shepherd.runtime.bundle import users

                        made[key] = users.namespace(*ranges)
                    descriptor = made[key]
                tree = trees.clone_source(mount, chosen, descriptor)
            except OSError as error:
                raise RuntimeFailure(
                    "/mounts/%d: cannot mount %s%s: %s"
                    % (number, mount["source"], " with mapped ids" if mapped else "", error.strerror)
                ) from None
            if tree is not None:
                self.trees[number] = tree
        for descriptor in made.values():
            os.close(descriptor)

    def _console(self):
        return self._connected(self.request.console_socket) or self.request.console

    def _connected(self, path):
        """A socket to whoever listens there; None without a path."""
        if not path:
            return None
        from shepherd.runtime.bundle import terminal

        self.sockets.append(terminal.connect(path))
        return self.sockets[-1]

    def undo(self):
        """After a failure: as if nothing had been asked for."""
        if self.ours is not None:
            self.ours.close()
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if self.grouped:
            self.group.remove()
        if self.container is not None:
            if self.hooked:
                hooks.run_all(self.config, "poststop", document.dumps(dict(self.container.public(), status="stopped")))
            self.container.remove()
            self.container.release()
        elif self.claim is not None:
            self.claim.abandon()

    def close(self):
        """What only the children need."""
        for one in self.sockets + [one for one in (self.ours, self.theirs) if one]:
            one.close()
        for descriptor in list(self.joined.values()) + list(self.trees.values()):
            try:
                os.close(descriptor)
            except OSError:
                pass


def write_pid_file(path: str, pid: int) -> None:
    """The file of --pid-file, whole or not at all."""
    beside = os.path.join(os.path.dirname(path), ".%s.%d" % (os.path.basename(path), os.getpid()))
    try:
        with open(beside, "w") as file:
            file.write("%d" % pid)
        os.rename(beside, path)
    except OSError as error:
        raise RuntimeFailure("--pid-file %s: %s" % (path, error.strerror)) from None
