"""The connection of a build's steps to a network of containers, made on the machine before the build's own process.

A process that does nothing holds the network namespace; it ends with the build, whoever is killed, and then the
connection is nobody's and is taken away with whatever is connected next.
"""

import os
import signal

from shepherd.runtime.build import staging
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import trees
from shepherd.runtime.linux import syscalls
from shepherd.runtime.network import attach

_PR_SET_PDEATHSIG = 1
_SHOWN = ("/etc/hosts", "/etc/resolv.conf")


class Cable:
    """To the network of this name. `name` is a folder's that `staging.sweep` knows, and does not exist yet.

    As a context: `namespace` is a descriptor of the network namespace, `mounts` a part of config.json's table.
    """

    def __init__(self, store, name: str, network: str):
        self._name = name
        self._folder = store.path("staging", name)
        self._store = store
        self._options = {"network": [network], "hostname": "build"}
        self._holder = 0
        self._lock = self.namespace = -1
        self.mounts = []

    def __enter__(self):
        self._lock = staging.make(self._store, self._folder)
        try:
            planned = attach.plan(self._name, self._name, self._options, self._folder)
            self.mounts = [one for one in planned["mounts"] if one["destination"] in _SHOWN]
            self._holder = _hold()
            self.namespace = os.open("/proc/%d/ns/net" % self._holder, os.O_RDONLY | os.O_CLOEXEC)
            attach.attach(self._name, self._name, self._holder, self._options, self._folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        attach.detach(self._name)
        if self._holder:
            os.kill(self._holder, signal.SIGKILL)
            os.waitpid(self._holder, 0)
        trees.remove(self._folder)
        for descriptor in (self.namespace, self._lock):
            if descriptor >= 0:
                os.close(descriptor)


def _hold():
    """The pid of a process in a network namespace of its own."""
    ready, made = os.pipe()
    starter = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.close(ready)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # a terminal's go to all; whoever has started it ends it
            syscalls.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            syscalls.unshare(syscalls.CLONE_NEWNET)
            if os.getppid() == starter:
                os.write(made, b"1")
                os.close(made)
                while True:
                    signal.pause()
        finally:
            os._exit(1)
    os.close(made)
    with open(ready, "rb") as file:
        if file.read():
            return child
    os.waitpid(child, 0)
    raise RuntimeFailure("cannot make a network for the steps of the build")
