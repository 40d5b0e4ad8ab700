"""A step's program, run as a container's: its own namespaces, Docker's capabilities and system calls, no devices.

The network is `none` (interfaces of its own: loopback alone), `host`, or the build's cable to a network of containers.
"""

import os

from shepherd.runtime.bundle import config as configs
from shepherd.runtime.bundle import create, groups, lifecycle, template, unprivileged
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import cgroups, syscalls, user_namespace
from shepherd.runtime.linux.capabilities import DEFAULT
from shepherd.runtime.linux.netlink import Netlink
from shepherd.runtime.linux.seccomp.profile import default_profile

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NETWORKS = ("none", "host")  # that a step can ask for
_HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
_KINDS = ("pid", "ipc", "uts", "mount", "cgroup")


class Runner:
    """Runs the steps of one build in its Workspace. As a context."""

    def __init__(self, workspace, cable=None):
        self._workspace = workspace
        self._cable = cable
        self._network = -1
        self._count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._network >= 0:
            os.close(self._network)

    def stub(self, targets) -> str:
        """A folder with what is mounted on where the image has nothing: it is seen below the image's layers, so that
        nothing of it gets into the new one. `targets` are (path, whether it is a folder)."""
        top = self._workspace.folder("stub")
        os.chmod(top, 0o755)
        fixed = [(path, True) for path, _, _, _ in template.MOUNTS] + [
            ("/etc/hosts", False),
            ("/etc/resolv.conf", False),
        ]
        for path, folder in fixed + list(targets):
            parts = path.strip("/").split("/")
            place = top
            for number, name in enumerate(parts):
                place = os.path.join(place, name)
                if os.path.lexists(place):
                    continue
                if folder or number < len(parts) - 1:
                    os.mkdir(place, 0o755)
                else:
                    os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        return top

    def run(self, root, process, mounts, network, output) -> int:
        """The exit code (128 + n after signal n) of a process in the folder `root`.

        `process` has args, env, cwd and user as config.json does; `mounts` is a part of its table. `output(data)` gets
        what it writes.
        """
        self._count += 1
        name = "%s-%d" % (self._workspace.name, self._count)
        config = self._config(root, process, mounts, network, name)
        configs.check(config)
        request = create.Request(os.path.join(self._workspace.path, "state"), name, self._workspace.path, config)
        read, write = os.pipe()
        try:
            try:
                with _Streams(write):
                    container = create.create(request, start=True)
            finally:
                os.close(write)
            try:
                while True:
                    data = os.read(read, 65536)
                    if not data:
                        break
                    output(data)
                status = os.waitpid(container.record["pid"], 0)[1]
            finally:
                with container:
                    lifecycle.remove(container)
        finally:
            os.close(read)
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _config(self, root, process, mounts, network, name):
        config = template.config()
        config["process"].update(
            process, terminal=False, capabilities={one: list(DEFAULT) for one in ("bounding", "effective", "permitted")}
        )
        config["process"].update(noNewPrivileges=False)
        del config["process"]["rlimits"]
        config["root"] = {"path": root, "readonly": False}
        config["hostname"] = "build"
        config["mounts"] += self._names(network) + mounts
        linux = config["linux"]
        linux["namespaces"] = [{"type": kind} for kind in _KINDS]
        if network == "none":
            linux["namespaces"].append({"type": "network", "path": "/proc/self/fd/%d" % self._empty_network()})
        elif network != "host":
            linux["namespaces"].append({"type": "network", "path": "/proc/self/fd/%d" % self._cable.namespace})
        linux["seccomp"] = default_profile(DEFAULT)
        linux["cgroupsPath"] = "/%s/%s" % (groups.parent(), name)
        if user_namespace.of_user():
            unprivileged.adapt(config)
        return config

    def _names(self, network):
        """Files by which names are found, mounted, since they are this build's and not the image's."""
        if network not in NETWORKS:
            return self._cable.mounts
        place = os.path.join(self._workspace.path, "hosts")
        if not os.path.exists(place):
            with open(place, "w") as file:
                file.write(_HOSTS)
            os.chmod(place, 0o644)
        found = [_file("/etc/hosts", place)]
        if network == "host" and os.path.exists("/etc/resolv.conf"):
            found.append(_file("/etc/resolv.conf", os.path.realpath("/etc/resolv.conf")))
        return found

    def _empty_network(self):
        """A descriptor of a network namespace in which nothing is but loopback."""
        if self._network < 0:
            self._network = _make_network()
        return self._network


def _make_network():
    """By a process of its own: an ordinary user would not get back into the machine's."""
    ready, made = os.pipe()
    gate, opened = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(opened)
            syscalls.unshare(syscalls.CLONE_NEWNET)
            with Netlink() as netlink:
                netlink.set_up(1)  # lo is the first of all
            os.write(made, b"1")
            os.read(gate, 1)
        finally:
            os._exit(0)
    try:
        os.close(made)
        if not os.read(ready, 1):
            raise RuntimeFailure("cannot make a network for the steps of the build")
        return os.open("/proc/%d/ns/net" % child, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for descriptor in (ready, gate, opened):
            os.close(descriptor)
        os.waitpid(child, 0)


def groups_of(start) -> set:
    """The names of control groups of steps that begin so."""
    found = set()
    for path, _, _ in cgroups.hierarchies():
        above = os.path.join(path, groups.parent())
        if os.access(above, os.R_OK):
            found.update(name for name in os.listdir(above) if name.startswith(start))
    return found


def remove_groups(names, living) -> None:
    """Those of builds that were killed; nothing is in them, since its processes ended with it."""
    for name in names:
        if name.rpartition("-")[0] not in living:
            groups.at(os.path.join(groups.parent(), name)).remove()


def _file(target, source):
    return {"destination": target, "type": "bind", "source": source, "options": ["bind", "ro", "nosuid", "nodev"]}


class _Streams:
    """What is started meanwhile reads nothing, and writes to the pipe."""

    def __init__(self, write):
        self._write = write

    def __enter__(self):
        self._saved = [os.dup(number) for number in (0, 1, 2)]
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(self._write, 1)
        os.dup2(self._write, 2)

    def __exit__(self, *_):
        for number, saved in enumerate(self._saved):
            os.dup2(saved, number)
            os.close(saved)
