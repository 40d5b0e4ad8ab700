"""How the container's process comes to be.

    runtime ── fork ──> the container's process: limits, namespaces, …

The runtime chooses the process namespace of its next child before it forks, and takes its own back. Where that
namespace has to belong to a user namespace, which the runtime does not enter, there is one more process:

    runtime ── fork ──> stage: limits, user namespace, the others ── clone(CLONE_PARENT) ──> the container's process

It ends as soon as the container's process is there. That is a child of the runtime either way, so that whoever
started it can wait for it. They are one interpreter: nothing is loaded again. They talk in packets over one socket,
words or "E" and a sentence. A runtime that is killed closes its end, and then they end too.
"""

import _signal as signal  # signal itself costs an import of enum
import _socket as socket  # likewise
import _struct as struct  # likewise
import fcntl
import gc
import os
import sys

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls, user_namespace

# the kinds of config-linux.md, "Namespaces", in the order in which they are entered: the one that gives the right to
# enter the others first, the one that takes the machine's files away last
KINDS = {
    "user": syscalls.CLONE_NEWUSER,
    "cgroup": syscalls.CLONE_NEWCGROUP,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "network": syscalls.CLONE_NEWNET,
    "pid": syscalls.CLONE_NEWPID,
    "time": syscalls.CLONE_NEWTIME,
    "mount": syscalls.CLONE_NEWNS,
}
FILES = dict({kind: kind for kind in KINDS}, network="net", mount="mnt")  # the names in /proc/PID/ns
_NS_GET_NSTYPE = 0xB703  # ioctl_ns(2)
_ROOM = socket.CMSG_SPACE(4 * 253)  # for as many descriptors as a packet can have (SCM_MAX_FD of unix(7))


class Channel:
    """One end of the socket."""

    def __init__(self, end):
        self._end = end
        self.program = ""  # what the other side is about to become, for what it says where that fails

    def fileno(self) -> int:
        """Its descriptor."""
        return self._end.fileno()

    def say(self, words: bytes, doors=()) -> None:
        """Send, with open files if there are; that nobody listens any more shows when the answer is awaited."""
        try:
            if doors:
                rights = struct.pack("=%di" % len(doors), *doors)
                self._end.sendmsg([words], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            else:
                self._end.send(words)
        except OSError:
            pass

    def turn_to(self, other: "Channel") -> None:
        """Be that one's end from now on."""
        self._end.close()
        self._end = other._end

    def hear(self, doors=None) -> bytes:
        """The next packet; nothing where the other end is closed. Raises RuntimeFailure with what it complains of.

        Descriptors that come with it are appended to the list `doors`.
        """
        try:
            data = self._receive(doors)
        except ConnectionResetError:  # it has closed without having read all; what it said before comes after that
            data = self._receive(doors)
        if data[:1] == b"E":
            raise RuntimeFailure(data[1:].decode("utf-8", "replace"))
        if len(data) == 8 and data[7] == 0xFF:  # the launcher's: the result of execve(2)
            reason = os.strerror(-int.from_bytes(data, "little", signed=True))
            raise RuntimeFailure('exec: "%s": %s' % (self.program, reason))
        return data

    def _receive(self, doors):
        """First how long it is: room for the longest there may be takes longer to get than the packet."""
        length = self._end.recv_into(bytearray(1), 1, socket.MSG_PEEK | socket.MSG_TRUNC)
        if doors is None:
            return self._end.recv(length)
        data, ancillary = self._end.recvmsg(length, _ROOM, socket.MSG_CMSG_CLOEXEC)[:2]
        for _level, _kind, rights in ancillary:
            doors.extend(struct.unpack("=%di" % (len(rights) // 4), rights))
        return data

    def complain(self, error: BaseException) -> None:
        """Say what went wrong."""
        if isinstance(error, RuntimeFailure):
            text = error.message
        elif isinstance(error, OSError):
            text = "%s: %s" % (error.strerror, error.filename) if error.filename else str(error.strerror)
        else:
            text = "%s: %s" % (type(error).__name__, error)
        self.say(b"E" + text.encode("utf-8", "replace"))

    def close(self) -> None:
        """Close this end."""
        self._end.close()


def channel() -> tuple:
    """Two connected ends that keep packets apart."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC, 0)
    return Channel(one), Channel(other)


def open_namespaces(wanted: dict) -> dict:
    """Descriptors of the namespaces that are joined: kind to descriptor, for a dict of kind to path (None: skipped)."""
    opened = {}
    for kind, path in wanted.items():
        if path is None:
            continue
        try:
            opened[kind] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            right = fcntl.ioctl(opened[kind], _NS_GET_NSTYPE) == KINDS[kind]
        except OSError as error:
            if error.errno not in (25, 22):  # ENOTTY, EINVAL: no namespace at all
                raise RuntimeFailure("/linux/namespaces: %s: %s" % (path, error.strerror)) from None
            right = False
        if not right:
            raise RuntimeFailure("/linux/namespaces: %s is no namespace of type %s" % (path, kind))
    return opened


_OFFSETS = "/proc/self/timens_offsets"  # time_namespaces(7)


def enter(new: set, joined: dict, ends: Channel, offsets=None) -> None:
    """Enter namespaces, new ones and those of open descriptors."""
    if "time" in new and not os.path.exists("/proc/self/ns/time"):  # it would say "invalid argument"
        raise RuntimeFailure("/linux/namespaces: this kernel has no time namespaces (Linux 5.6 can have them)")
    clocks = os.open(_OFFSETS, os.O_WRONLY | os.O_CLOEXEC) if offsets else -1
    if "user" in joined:
        syscalls.setns(joined["user"], syscalls.CLONE_NEWUSER)
        _become_root()
    elif "user" in new:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        ends.say(b"map")
        if ends.hear() != b"mapped":
            os._exit(1)
        _become_root()
    flags = 0
    for kind in new:
        flags |= KINDS[kind] if kind != "user" else 0
    for kind in KINDS:
        if kind in joined and kind != "user":
            syscalls.setns(joined[kind], KINDS[kind])
    for namespace in joined.values():
        os.close(namespace)
    if flags:
        syscalls.unshare(flags)
    if offsets:
        try:
            again = os.open(_OFFSETS, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(again, clocks, inheritable=False)
            os.close(again)
        except PermissionError:
            pass  # in a user namespace of another user's it is not ours any more: it was opened while it was
        for clock, offset in offsets.items():
            os.write(clocks, b"%s %d %d\n" % (clock.encode(), offset.get("secs") or 0, offset.get("nanosecs") or 0))
        os.close(clocks)


def _become_root():
    """Root of the user namespace, which has the right to enter the others."""
    try:
        os.setgroups([])
    except OSError:
        pass  # not allowed where setgroups is denied
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def close_others(kept: set, preserved: int) -> None:
    """Close every descriptor but the first three, those after them that are preserved, and `kept` (CVE-2024-21626)."""
    first = 3 + preserved
    try:
        for descriptor in sorted(one for one in kept if one >= first):
            if descriptor > first:
                syscalls.close_range(first, descriptor - 1)
            first = descriptor + 1
        syscalls.close_range(first, (1 << 32) - 1)
    except OSError:  # before Linux 5.9
        for name in os.listdir("/proc/self/fd"):
            if int(name) >= 3 + preserved and int(name) not in kept:
                try:
                    os.close(int(name))
                except OSError:
                    pass  # the one that listed the folder


def reset_signals() -> None:
    """As a program expects them that was started by nobody in particular."""
    for number in range(1, signal.NSIG):
        try:
            if signal.getsignal(number) != signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            pass  # not to be caught, or the C library's own
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _forget_modules():
    """What is not imported yet would be looked for in the container's files: it is not to be found at all."""
    _KEPT.append(sys.path_importer_cache)  # to take it apart would cost a millisecond
    sys.path, sys.path_hooks, sys.path_importer_cache = [], [], {}
    known = ("BuiltinImporter", "FrozenImporter")  # and not single_file's, which knows a path of the machine
    sys.meta_path = [one for one in sys.meta_path if getattr(one, "__name__", "") in known]


_KEPT = []


class Hidden:
    """This process and those it forks, closed to others: no core, no tracer, no look at what they have open."""

    def __enter__(self):
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)

    def __exit__(self, *exception):
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)


class BornIn:
    """Processes forked inside belong to another process namespace: a new one (None), or an open one."""

    def __init__(self, namespace):
        self._namespace = namespace

    def __enter__(self):
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._choose()
        return self

    def _choose(self):
        if self._namespace is None:
            syscalls.unshare(syscalls.CLONE_NEWPID)
        else:
            syscalls.setns(self._namespace, syscalls.CLONE_NEWPID)

    def _choose_again(self):
        """A new namespace whose first process came to nothing takes no other one (ENOMEM, kernel/pid.c)."""
        syscalls.setns(self._own, syscalls.CLONE_NEWPID)
        self._choose()

    def fork(self, cradle) -> tuple:
        """As _fork: the child is told by its 0, for its number may be the same as ours, which is 1 in a container."""
        self._child, born = _born(cradle, self._choose_again)
        return self._child, born

    def __exit__(self, *exception):
        if self._child != 0:
            syscalls.setns(self._own, syscalls.CLONE_NEWPID)
            os.close(self._own)

    _child = None


def is_direct(new: set, joined: dict) -> bool:
    """Whether there is no stage between the runtime and the container's process."""
    return not {"user", "time"} & (set(joined) | new) and not user_namespace.of_user()


def make_namespace(kind: str) -> int:
    """A new namespace of a kind as a descriptor; this thread stays in its own. Raises OSError."""
    path = "/proc/thread-self/ns/" + FILES[kind]
    home = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.unshare(KINDS[kind])
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            syscalls.setns(home, KINDS[kind])
    finally:
        os.close(home)


def fork(new: set, joined: dict, ends: Channel, prepare, main, offsets=None, cradle=None) -> tuple:
    """Start the container's process: (pid, whether it is that process and not its stage, whether born in `cradle`).

    It calls `prepare()` on the machine, enters the namespaces, and calls `main()`, which ends by executing a program.
    A stage is needed where the process namespace has to belong to a user namespace, for a new time namespace, and for
    an ordinary user, who would not get back into the machine's process namespace. `cradle` is the descriptor of a
    control group of version 2 that it should be born in, where the kernel can.
    """
    direct = is_direct(new, joined)
    hidden = "user" not in new  # its maps can be written, by an ordinary user, only while it can be looked into
    if hidden:
        with Hidden():
            child, born = _fork(new, joined, direct, cradle)
    else:
        child, born = _fork(new, joined, direct, cradle)
    if child:
        return child, direct, born
    gc.disable()  # it would touch all of the memory that is shared with the runtime
    try:
        prepare()
        if direct:
            if "pid" in joined:
                os.close(joined.pop("pid"))
            enter(new - {"pid"}, joined, ends)
        else:
            enter(new, joined, ends, offsets)
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
            pid = syscalls.clone_sibling()
            if pid:
                ends.say(b"pid %d" % pid)
                os._exit(0)
        _forget_modules()
        os.setsid()
        reset_signals()
        main()
    except BaseException as error:
        ends.complain(error)
    finally:
        os._exit(1)


def _fork(new, joined, direct, cradle):
    if direct and ("pid" in new or "pid" in joined):
        with BornIn(joined.get("pid")) as place:
            return place.fork(cradle)
    return _born(cradle)


def _born(cradle, again=lambda: None):
    """(pid or 0, whether in the cradle); `again` readies what a failed attempt has spoilt."""
    if cradle is not None:
        try:
            return syscalls.fork_into(cradle), True
        except OSError:
            again()  # an older kernel, or a group that takes no process: it is moved, or told why not
    return os.fork(), False
