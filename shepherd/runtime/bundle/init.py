"""The first process of a container, from its namespaces to the user's program.

Whatever it imports or looks up is imported and looked up before the fork: from `enter` on, every file it could load
would be the image's.
"""

import fcntl
import os
from _socket import sethostname  # socket itself costs an import of enum

from shepherd.runtime.bundle import document, hooks
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import moves, paths, syscalls

PERSONALITIES = {"LINUX": 0, "LINUX32": 8}  # <linux/personality.h>


def take_personality(linux: dict) -> None:
    """What the container's system calls say of the machine (personality(2)), as its config.json has it."""
    chosen = linux.get("personality")
    if chosen:
        syscalls.personality(PERSONALITIES[chosen["domain"]])


class Init:
    """What the first process has to do. `request` is the runtime's (create.Request)."""

    def __init__(self, request, process, rootfs, ends, lock: int, listener, console, notify):
        self.request = request
        self.config = request.config
        self.process = process
        self.rootfs = rootfs
        self.ends = ends  # what it hears is from the runtime, later from `start`
        self.lock = lock
        self.listener = listener  # the socket that `start` comes by; None where the runtime starts it at once
        self.console = console  # the socket that gets the terminal
        self.notify = notify  # the socket that gets the seccomp listener
        if console is not None or notify is not None:
            from shepherd.runtime.bundle import terminal

            self._terminal = terminal
        self.takes_network = False  # from the runtime: it makes no network of its own
        self.state = b""
        self._grouped = False

    def main(self) -> None:
        """Never returns, except by raising."""
        os.umask(0o022)
        self.process.open_label()
        name_machine(self.config)
        if self.takes_network:
            self._take_network()
        set_parameters(self.config)
        for _mount in self.rootfs.build(self._join_group):
            pass
        slave = self._make_terminal() if self.config["process"].get("terminal") else None
        # nobody who could write somewhere comes in between
        early = not self.config.get("hooks") and not self.rootfs.covers_groups()
        if early:
            self.rootfs.protect()
        self._join_group()
        self.rootfs.mount_groups()
        self.ends.say(b"ready")
        self.state = self._awaited(b"go")
        self._run_hooks("createContainer", "creating")
        if not early:
            self.rootfs.protect()
        if self.request.no_pivot:
            self.rootfs.enter_moving()
        else:
            self.rootfs.enter()
        take_personality(self.config["linux"])
        self.process.enter_folder(True)
        self.process.find_program()
        if slave is not None:
            self._terminal.take(slave, self.process.user["uid"])
        lock(self.lock)
        self.ends.say(b"created")
        self._wait_for_start()
        self._run_hooks("startContainer", "created")
        if self.notify is not None:
            self.process.notify = self._hand_over_listener
        self.process.become(self.ends.fileno(), slave is not None)

    def _join_group(self):
        """Once the runtime has made the control group ready, whose place is the root of the namespace of them then."""
        if not self._grouped:
            doors = []
            self._awaited(b"grouped", doors)
            moves.go(doors)
            self._grouped = True
            if "cgroup" in self.rootfs.own:
                syscalls.unshare(syscalls.CLONE_NEWCGROUP)

    def _take_network(self):
        received = []
        self._awaited(b"network", received)
        syscalls.setns(received[0], syscalls.CLONE_NEWNET)
        os.close(received[0])

    def _run_hooks(self, name, status):
        """Those in the container's namespaces, which are given the pid that this process has there."""
        if (self.config.get("hooks") or {}).get(name):
            seen = dict(document.loads(self.state, "state"), status=status, pid=os.getpid())
            variables = self.config["process"].get("env") if name == "startContainer" else None
            hooks.run(self.config, name, document.dumps(seen), variables)

    def _awaited(self, word, doors=None):
        data = self.ends.hear(doors)
        if not data.startswith(word):
            os._exit(1)  # the runtime is gone
        return data[len(word) :]

    def _make_terminal(self):
        master, slave = self._terminal.make(self.rootfs.root, plain=self.request.plain)
        size = self.config["process"].get("consoleSize")
        if size:
            self._terminal.set_size(slave, size["height"], size["width"])
        place = paths.make_file(self.rootfs.root, "/dev/console")
        try:
            syscalls.mount(paths.shown(slave), paths.shown(place), None, syscalls.MS_BIND)
        finally:
            os.close(place)
        self._terminal.hand_over(self.console, master)
        self.console.close()
        os.close(master)
        return slave

    def _wait_for_start(self):
        said = self.ends.hear()
        if said == b"start":
            return
        if said != b"wait":
            os._exit(1)
        self.ends.turn_to(self.listener.accept())  # also what complains of what fails from here on
        if self.ends.hear() != b"start":
            os._exit(1)

    def _hand_over_listener(self, descriptor):
        """config-linux.md, "The Container Process State"."""
        self._terminal.hand_over(self.notify, descriptor, self.request.notification(self.state))
        self.notify.close()
        os.close(descriptor)


def lock(descriptor: int) -> None:
    """Hold the lock until this process executes another program."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def name_machine(config: dict) -> None:
    """Set the names of this process's UTS namespace."""
    if config.get("hostname"):
        sethostname(config["hostname"])
    if config.get("domainname"):
        syscalls.setdomainname(config["domainname"])


def set_parameters(config: dict) -> None:
    """In the machine's /proc, which shows a process the parameters of its own namespaces."""
    for name, value in (config["linux"].get("sysctl") or {}).items():
        path = "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.write(descriptor, value.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            pointer = "/linux/sysctl/" + name.replace("~", "~0").replace("/", "~1")
            raise RuntimeFailure("%s: cannot set it to %.60r: %s" % (pointer, value, error.strerror)) from None
