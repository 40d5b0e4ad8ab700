"""A container that is made from outside: its first process is a servant until it is the program (linux/servant.py).

    runtime ── clone3 ──> servant, in the container's namespaces: its capabilities, its groups, its root, the program
       └── visits the namespaces, and builds the root there

So the process that does most of the work is the one whose memory is warm, and the other has none. It is for what nearly
every container is. Where a process has to wait or to be asked for something in between (for `start`, by hooks, for a
terminal), where it belongs to a user namespace, and on machines that the servant is not written for, a fork of the
runtime does the same from inside (init.py).
"""

import _signal as signal  # signal itself costs an import of enum
import _socket as socket  # likewise
import _struct as struct  # likewise
import os

from shepherd.runtime.bundle import stage
from shepherd.runtime.bundle.init import PERSONALITIES, name_machine, set_parameters
from shepherd.runtime.bundle.rootfs import NO_PIVOT, PROPAGATION
from shepherd.runtime.bundle.visit import Visit
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import capabilities, paths, servant, syscalls
from shepherd.runtime.linux.servant import KEPT, Call

_HERE = -100  # AT_FDCWD
_READ = os.O_RDONLY | os.O_CLOEXEC
_LOOK_INTO_OTHERS = capabilities.NUMBERS["CAP_SYS_PTRACE"]
_LEFT = {"cgroup", "network", "pid"}  # namespaces that the runtime does not make for itself


def is_possible(request, process, new: set, joined: dict) -> bool:
    """Whether a container that is to be started at once can be made so. The sets are the kinds of its namespaces."""
    config, given = request.config, request.config["process"]
    if config.get("hooks") or given.get("terminal") or process.listener or request.no_pivot:
        return False
    if (given.get("apparmorProfile") or "unconfined") != "unconfined" or given.get("selinuxLabel"):
        return False
    if "mount" not in new or "cgroup" in joined or not stage.is_direct(new, joined):
        return False
    if (
        not servant.room(_length(process)) or os.stat("/proc/self/task").st_nlink != 3
    ):  # one folder in it: another thread
        return False
    if _LOOK_INTO_OTHERS not in capabilities.permitted():  # the servant is hidden
        return False
    return servant.able() and os.readlink("/proc/self") == "%d" % os.getpid()


def _length(process):
    """About how many bytes there are that have no limit but what fits into a packet."""
    given = process.process
    length = sum(len(os.fsencode(one)) + 16 for one in given["args"] + (given.get("env") or []))
    length += sum(len(os.fsencode(one)) + 512 for one in process.candidates())
    length += 4 * len(process.user.get("additionalGids") or []) + 2 * len(os.fsencode(given["cwd"]))
    return length + (len(process.filter[1]) if process.filter else 0)


class Making:
    """One of them. `creation` is create's, `new` and `joined` are its namespaces, `files` its Rootfs."""

    def __init__(self, creation, files, new: set, joined: dict):
        self.creation = creation
        self.request = creation.request
        self.config = creation.config
        self.process = creation.process
        self.files = files
        self.new = new
        self.joined = joined
        self.servant = None
        self._ours = b"/proc/%d/fd/%%d" % os.getpid()  # as long as the servant has the machine's /proc
        self._borrowed = []  # what the servant opens while it is busy

    def make(self, cradle) -> None:
        """Its root and all around it. `cradle` is as in stage.fork. Raises RuntimeFailure."""
        self._speaking(self._make, cradle)

    def finish(self) -> None:
        """Up to where it can be started. Raises RuntimeFailure."""
        self._speaking(self._finish)

    def start(self) -> None:
        """Let it become the program. Raises RuntimeFailure."""
        self._speaking(self._start)

    def close(self) -> None:
        """Whether it came to be or not: leave nothing of it open."""
        self._take_back()
        self.files.close()

    def _speaking(self, step, *arguments):
        try:
            step(*arguments)
        except servant.Ended as error:
            raise RuntimeFailure(error.message + self.creation.how()) from None
        except OSError as error:
            what = ": %s" % error.filename if error.filename else ""
            raise RuntimeFailure("%s%s" % (error.strerror, what)) from None

    def _make(self, cradle):
        """The servant does what it is told to while we go on: its network takes longest."""
        joined = {kind: one for kind, one in self.joined.items() if kind != "pid"}
        files = self.files
        files.mounter = self._mount
        files.hierarchies = self.creation.group.found
        with Visit(self.new - _LEFT, joined) as visit:
            with stage.Hidden():  # until it has executed its file the servant has our memory
                born = self._spawn(cradle)
                steps = files.build(lambda: None)
                if self._begins_with_processes():
                    next(steps)
                doors = self.creation.open_group(born)
                name_machine(self.config)
                self.process.prepare(self.servant.pid)
                self._settle()
            self._join_group(doors)
            if "network" in self.new:
                visit.follow("network", self.servant.pid)
            set_parameters(self.config)
            for _mount in steps:
                if self._borrowed:
                    self._settle()
            covered = files.covers_groups()
            files.mount_groups()
            if covered:
                self._settle()
            files.protect()
            self._settle()
            self._make_folder()
        self._enter()

    def _begins_with_processes(self):
        """Whether /proc is the first mount, as everybody has it, for which all is there."""
        return [one.get("type") for one in (self.config.get("mounts") or [])[:1]] == ["proc"]

    def _spawn(self, cradle):
        """Whether it was born in the cradle."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC, 0)
        try:
            os.set_inheritable(theirs.fileno(), True)
            namespace = stage.BornIn(self.joined.get("pid")) if "pid" in self.new or "pid" in self.joined else None
            if namespace is None:
                pid, born = _born(theirs.fileno(), cradle)
            else:
                with namespace:
                    pid, born = _born(theirs.fileno(), cradle)
            self.servant = servant.Servant(pid, ours)
            self.creation.ours, self.creation.pid = self.servant, pid
            self.servant.begin(*self._first(theirs.fileno()))
        finally:
            theirs.close()
        return born

    def _first(self, door):
        """What makes it a process that was started by nobody in particular, with nothing open but what it needs."""
        calls = [Call("prctl", syscalls.PR_SET_DUMPABLE, 0), Call("fcntl", door, 2, 1)]  # F_SETFD, FD_CLOEXEC
        first = 3 + self.request.preserved
        if first < door:
            calls.append(Call("close_range", first, door - 1, 0))
        calls.append(Call("close_range", max(first, door + 1), (1 << 32) - 1, 0))
        if "network" in self.new:
            calls.append(Call("unshare", syscalls.CLONE_NEWNET))
        calls.append(Call("setsid"))
        for number in range(1, signal.NSIG):
            if signal.getsignal(number) == signal.SIG_IGN:
                calls.append(Call("rt_sigaction", number, bytes(32), None, 8))
        calls.append(Call("rt_sigprocmask", 2, bytes(8), None, 8))  # SIG_SETMASK
        calls.append(Call("openat", _HERE, self._ours % self.creation.container.lock + b"/init", _READ, keep=True))
        calls.append(Call("flock", KEPT, 2))  # LOCK_EX; it waits for `start`
        return calls

    def _settle(self):
        """Wait until the servant has done all that."""
        if not self.servant.finish():
            raise servant.Ended()
        self._take_back()

    def _take_back(self):
        while self._borrowed:
            os.close(self._borrowed.pop())

    def _make_folder(self):
        """That of the program, where it is missing."""
        folder = self.process.process["cwd"]
        try:
            os.close(paths.open_inside(self.files.root, folder, os.O_PATH | os.O_DIRECTORY))
        except FileNotFoundError:
            try:
                os.close(paths.make_folder(self.files.root, folder))
            except OSError as error:
                raise RuntimeFailure("/process/cwd: %s: %s" % (folder, error.strerror)) from None
        except OSError:
            pass  # the process itself says what is wrong

    def _mount(self, mounts, about=None):
        """As rootfs.mount_here: what shows the namespaces of whoever mounts it, and we are not in all of them."""
        calls = []
        for source, place, kind, flags, data in mounts:
            self._borrowed.append(os.dup(place))
            words = os.fsencode(source), self._ours % self._borrowed[-1], os.fsencode(kind)
            calls.append(Call("mount", *words, flags, data and os.fsencode(data), about=about))
        self.servant.begin(*calls)
        if about is None:
            self._settle()

    def _join_group(self, doors):
        """See moves.go: a thread that moves itself does not wait."""
        calls = []
        for door in doors:
            calls.append(Call("openat", _HERE, os.fsencode(door), os.O_WRONLY | os.O_CLOEXEC, keep=True))
            calls += [Call("write", KEPT, b"0", 1), Call("close", KEPT)]
        if "cgroup" in self.new:
            calls.append(Call("unshare", syscalls.CLONE_NEWCGROUP))
        self.servant.begin(*calls)

    def _enter(self):
        """Its root, as rootfs.enter has it, its folder, and what is there to be executed."""
        slave = syscalls.MS_SLAVE | syscalls.MS_REC
        calls = [
            Call("openat", _HERE, b"/", _READ | os.O_DIRECTORY, keep=True),
            Call("chdir", self._ours % self.files.root),
            Call("pivot_root", b".", b".", about="pivot_root", hint=NO_PIVOT),
            Call("fchdir", KEPT),
            Call("close", KEPT),
            Call("mount", None, b".", None, slave, None),  # what is taken away is not to be taken from the machine
            Call("umount2", b".", syscalls.MNT_DETACH),
            Call("chdir", b"/"),
        ]
        linux = self.config["linux"]
        if linux.get("rootfsPropagation"):
            calls.append(Call("mount", None, b"/", None, PROPAGATION[linux["rootfsPropagation"]], None))
        if linux.get("personality"):
            calls.append(Call("personality", PERSONALITIES[linux["personality"]["domain"]]))
        self._there = there = bytearray(4096)
        self._entering = entering = Call("chdir", os.fsencode(self.process.process["cwd"]), may_fail=True)
        calls += [entering, Call("getcwd", there, len(there), may_fail=True)]
        self._looks = {}
        for path in self.process.candidates():
            status = bytearray(256)  # struct statx
            self._looks[path] = Call("statx", _HERE, os.fsencode(path), 0, 3, status, may_fail=True), status
        self.servant.begin(*(calls + [call for call, _status in self._looks.values()]))

    def _finish(self):
        """What the servant has found there, and what is left for it to do."""
        environment = self.process.whole_environment(self._inside)
        self._settle()
        self.process.check_folder(-self._entering.result, bytes(self._there))
        self._last = self._becoming(self.process.find_program(self._look), environment)

    def _look(self, path):
        call, status = self._looks[path]
        if call.result:
            raise OSError(-call.result, os.strerror(-call.result))
        return struct.unpack_from("=H", status, 28)[0]  # stx_mode

    def _inside(self, path, flags):
        return paths.open_inside(self.files.root, path, flags)

    def _start(self):
        self.process.give_streams()
        self.process.limit(self.servant.pid)
        self.servant.begin(*self._last)
        self.servant.finish()  # it hears nothing where the other end is closed, which it is by the program's start

    def _becoming(self, program, environment):
        """As Process.become has it."""
        process, user, sets = self.process, self.process.user, self.process.sets
        calls, filtering = [], []
        if process.filter:
            flags, code = process.filter[:2]

            def instructions(place):
                return struct.pack("=HxxxxxxQ", len(code) // 8, place(code))  # struct sock_fprog

            filtering = [Call("seccomp", 1, flags, instructions, about="seccomp")]  # SECCOMP_SET_MODE_FILTER
        if process.no_new_privileges:
            calls.append(Call("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1))
        else:  # without no_new_privs it takes CAP_SYS_ADMIN, which is about to go
            calls, filtering = filtering, []
        for number in range(capabilities.last() + 1):
            if number not in sets[0]:
                calls.append(Call("prctl", syscalls.PR_CAPBSET_DROP, number))
        groups = user.get("additionalGids") or []
        pointer = process.pointer + "/user"
        about = "%s: %d:%d" % (pointer, user["uid"], user["gid"])
        calls += [
            Call("prctl", syscalls.PR_SET_KEEPCAPS, 1),
            Call("setgroups", len(groups), struct.pack("=%dI" % len(groups), *groups), about=pointer),
            Call("setresgid", user["gid"], user["gid"], user["gid"], about=about),
            Call("setresuid", user["uid"], user["uid"], user["uid"], about=about),
            Call("capset", *capabilities.words(*sets[1:4])),
            Call("prctl", capabilities.PR_CAP_AMBIENT, capabilities.CLEAR_ALL),
        ]
        for number in sorted(sets[4]):
            calls.append(Call("prctl", capabilities.PR_CAP_AMBIENT, capabilities.RAISE, number))
        folder = process.process["cwd"]
        calls += [
            Call("prctl", syscalls.PR_SET_KEEPCAPS, 0),
            Call("umask", 0o022 if user.get("umask") is None else user["umask"]),
        ]
        if process.may_enter_later(-self._entering.result):
            calls.append(Call("chdir", os.fsencode(folder), about="%s/cwd: %s" % (process.pointer, folder)))
        arguments = [os.fsencode(one) for one in process.process["args"]]
        variables = [os.fsencode("%s=%s" % pair) for pair in environment.items()]
        about = 'exec: "%s"' % process.process["args"][0]
        return calls + filtering + [Call("execve", program, arguments, variables, about=about)]


def _born(door, cradle):
    """(pid, whether in the cradle)."""
    if cradle is not None:
        try:
            return servant.spawn(door, cradle), True
        except OSError:
            pass  # an older kernel, or a group that takes no process: it is moved, or told why not
    return servant.spawn(door), False
