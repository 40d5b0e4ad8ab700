"""From `process` of config.json to what the kernel knows of a process. Shared by the first process and by `exec`.

`Process` is made while all of the machine is there: it checks, imports and compiles what is needed later. Inside, where
nothing may be imported and no name looked up, only its methods are called, in the order of their names in `become`.
"""

import _struct as struct  # struct itself is one more file to find and to read
import os
import stat
import sys

from shepherd.runtime.bundle.config import RLIMITS, processors
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import launcher, paths, syscalls

_POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
_POLICY_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
_IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSWD_LIMIT = 1 << 20
SECCOMP_FILTER_FLAG_NEW_LISTENER = 8


class Process:
    """What has to become of a process of ours. Raises RuntimeFailure where it cannot be."""

    def __init__(self, process: dict, seccomp=None, pointer: str = "/process"):
        self.process = process
        self.pointer = pointer
        self.user = process["user"]
        self.no_new_privileges = bool(process.get("noNewPrivileges"))
        self.sets = self._capabilities()
        self.limits = self._rlimits()
        self._scheduler = self._scheduler_attributes()
        self.filter = _compiled(seccomp)
        self._label = None
        self._refused = False  # root could not enter the folder; perhaps the user can
        self._affinity = None
        if process.get("selinuxLabel") and not os.path.exists("/sys/fs/selinux/enforce"):
            raise RuntimeFailure("%s/selinuxLabel: this machine has no SELinux" % pointer)
        final = (process.get("execCPUAffinity") or {}).get("final")
        if final:
            self._affinity = processors(final, pointer + "/execCPUAffinity/final")

    @property
    def listener(self):
        """The path of the socket that gets the seccomp notifications, or None."""
        return self.filter[2] if self.filter else None

    def _capabilities(self):
        """Five sets of numbers; what is not given is empty. Names that are not known here are left out, which is said
        (config.md, "Linux Process")."""
        given = self.process.get("capabilities") or {}
        from shepherd.runtime.linux import capabilities

        capabilities.last()  # from here on it is known
        names = [given.get(name) or [] for name in _SETS]
        unknown = {name for one in names for name in one if name not in capabilities.NUMBERS}
        if unknown:
            self._leave_out("there is no capability %s", unknown)
        sets = [{capabilities.NUMBERS[name] for name in one if name not in unknown} for one in names]
        _bounding, effective, inheritable, permitted, ambient = sets
        for one, needed, why in (
            (effective, permitted, "%s cannot be effective without being permitted"),
            (ambient, permitted & inheritable, "%s cannot be ambient without being permitted and inheritable"),
        ):
            if one - needed:  # capabilities(7)
                self._leave_out(why, ["CAP_" + capabilities.NAMES[number] for number in one - needed])
                one &= needed
        return sets

    def keep_to_ours(self) -> None:
        """Leave out, and say so, capabilities that this process lacks; for one that enters no other user namespace."""
        from shepherd.runtime.linux import capabilities

        wanted = set().union(*self.sets)
        lacking = wanted - capabilities.permitted() if wanted else ()
        if lacking:
            names = ["CAP_" + capabilities.NAMES[number] for number in lacking]
            self._leave_out("this process cannot give %s, which it has not itself", names)
            self.sets = [one - lacking for one in self.sets]

    def _leave_out(self, message, names):
        shown = ", ".join(ascii(name)[1:-1][:60] for name in sorted(names))
        sys.stderr.write("shepherd-runtime: warning: %s/capabilities: %s\n" % (self.pointer, message % shown))

    def _rlimits(self):
        table = []
        for limit in self.process.get("rlimits") or []:
            soft, hard = (_limit(limit[name]) for name in ("soft", "hard"))
            table.append((RLIMITS[limit["type"]], soft, hard, limit["type"]))
        return table

    def _scheduler_attributes(self):
        """struct sched_attr (sched_setattr(2))."""
        chosen = self.process.get("scheduler")
        if not chosen:
            return None
        flags = 0
        for name in chosen.get("flags") or []:
            if name not in _POLICY_FLAGS:
                raise RuntimeFailure("%s/scheduler/flags: %.40r is none" % (self.pointer, name))
            flags |= _POLICY_FLAGS[name]
        policy = _POLICIES[chosen["policy"]]
        deadline = [chosen.get(name) or 0 for name in ("runtime", "deadline", "period")]
        return struct.pack(
            "=IIQiIQQQ", 48, policy, flags, chosen.get("nice") or 0, chosen.get("priority") or 0, *deadline
        )

    # On the machine, before any namespace is entered

    def prepare(self, pid: int = 0) -> None:
        """What needs the machine's privileges and is inherited: limits above ours, scheduling, who dies first.

        Of a process of that number, or of this one.
        """
        for number, _soft, hard, name in self.limits:
            soft_now, hard_now = syscalls.getrlimit(number, pid)
            if _above(hard, hard_now):
                try:
                    syscalls.setrlimit(number, soft_now, hard, pid)
                except OSError:
                    raise RuntimeFailure(
                        "%s/rlimits: %s: this user may not raise it above %d" % (self.pointer, name, hard_now)
                    ) from None
        adjustment = self.process.get("oomScoreAdj")
        if adjustment is not None:
            self._try("oomScoreAdj", _write, "/proc/%s/oom_score_adj" % (pid or "self"), b"%d" % adjustment)
        priority = self.process.get("ioPriority")
        if priority:
            value = _IO_CLASSES[priority["class"]] << 13 | (priority.get("priority") or 0)
            self._try("ioPriority", syscalls.ioprio_set, value, pid)
        if self._scheduler:
            self._try("scheduler", syscalls.sched_setattr, self._scheduler, pid)
        initial = (self.process.get("execCPUAffinity") or {}).get("initial")
        if initial:
            chosen = processors(initial, self.pointer + "/execCPUAffinity/initial")
            self._try("execCPUAffinity/initial", os.sched_setaffinity, pid, chosen)

    def move_to_final_processors(self) -> None:
        """For `exec`: where it runs from when it is in its control group."""
        if self._affinity:
            self._try("execCPUAffinity/final", os.sched_setaffinity, 0, self._affinity)

    def open_label(self) -> None:
        """While the machine's /proc is there: the file to which the label for the next program is written."""
        profile, label = self.process.get("apparmorProfile"), self.process.get("selinuxLabel")
        if profile and profile != "unconfined":
            for name in ("/proc/self/attr/apparmor/exec", "/proc/self/attr/exec"):
                if os.path.exists("/sys/kernel/security/apparmor") and os.path.exists(name):
                    self._label = (os.open(name, os.O_WRONLY | os.O_CLOEXEC), b"exec " + os.fsencode(profile))
                    return
            raise RuntimeFailure("%s/apparmorProfile: AppArmor is not there on this machine" % self.pointer)
        if label:
            self._label = (os.open("/proc/self/attr/exec", os.O_WRONLY | os.O_CLOEXEC), os.fsencode(label))

    def _try(self, field, call, *arguments):
        try:
            call(*arguments)
        except OSError as error:
            raise RuntimeFailure("%s/%s: %s" % (self.pointer, field, error.strerror)) from None

    # Inside

    def candidates(self) -> list:
        """Where the program may be: PATH is searched as execvp(3) does."""
        name = self.process["args"][0]
        if "/" in name:
            return [name]
        return [os.path.join(folder or ".", name) for folder in self.environment().get("PATH", _PATH).split(":")]

    def find_program(self, look=lambda path: os.stat(path).st_mode) -> bytes:
        """The path to execute. `look` says what there is at a path, or raises OSError. Raises RuntimeFailure."""
        name = self.process["args"][0]
        refused = None
        for candidate in self.candidates():
            try:
                mode = look(candidate)
            except OSError as error:
                refused = refused or (error if not isinstance(error, FileNotFoundError) else None)
                continue
            if stat.S_ISDIR(mode):
                refused = refused or IsADirectoryError(21, "is a folder")
            elif not mode & 0o111:
                refused = refused or PermissionError(13, "may not be executed")
            else:
                return os.fsencode(candidate)
        if refused is not None:
            raise RuntimeFailure('exec: "%s": %s' % (name, refused.strerror))
        if "/" in name:
            raise RuntimeFailure('exec: "%s": no such file or directory' % name)
        raise RuntimeFailure('exec: "%s": executable file not found in $PATH' % name)

    def environment(self) -> dict:
        """Names to values; of one that is there twice, the last."""
        return dict(one.partition("=")[::2] for one in self.process.get("env") or [])

    def whole_environment(self, look=os.open) -> dict:
        """With HOME, where that is missing or empty, as /etc/passwd has it, which `look` opens as os.open does."""
        environment = self.environment()
        if not environment.get("HOME"):
            environment["HOME"] = _home(self.user["uid"], look)
        return environment

    def enter_folder(self, make: bool) -> None:
        """Go to `cwd`, made where it is missing if `make` says so: it has to be below the root (CVE-2024-21626)."""
        folder = self.process["cwd"]
        try:
            try:
                os.chdir(folder)
            except FileNotFoundError:
                if not make:
                    raise
                root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                os.close(paths.make_folder(root, folder))
                os.close(root)
                os.chdir(folder)
            self._check_folder()
        except OSError as error:
            self._refused = self.may_enter_later(error.errno)
            if not self._refused:
                raise RuntimeFailure("%s/cwd: %s: %s" % (self.pointer, folder, error.strerror)) from None

    @staticmethod
    def may_enter_later(error: int) -> bool:
        """Whether its user may have a right that root in a user namespace has not: EACCES."""
        return error == 13

    def _check_folder(self):
        try:
            here = os.getcwdb()
        except OSError:
            here = b""
        self.check_folder(0, here)

    def check_folder(self, error: int, here: bytes) -> None:
        """Raise RuntimeFailure for what another process found in its place: an errno, where it is then (getcwd(2))."""
        folder = self.process["cwd"]
        if self.may_enter_later(error):
            return
        if error:
            raise RuntimeFailure("%s/cwd: %s: %s" % (self.pointer, folder, os.strerror(error)))
        if not here.startswith(b"/"):
            raise RuntimeFailure("%s/cwd: %s leads out of the container" % (self.pointer, folder))

    def become(self, report: int, terminal: bool) -> None:
        """Become the program: does not return. `report` is the descriptor that gets what fails."""
        path = self.find_program()
        environment = self.whole_environment()
        if not terminal:
            self.give_streams()
        if self._label:
            os.write(*self._label)
            os.close(self._label[0])
        self.limit()
        filter_ = self.filter
        if self.no_new_privileges:
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        elif filter_:
            # without no_new_privs it takes CAP_SYS_ADMIN, which is about to go
            self._install(filter_)
            filter_ = None
        if filter_ and filter_[0] & SECCOMP_FILTER_FLAG_NEW_LISTENER:
            self._install(filter_)
            filter_ = None
        filtered = self.filter is not None and filter_ is None
        self._become_user()
        if self._refused:
            self._enter_folder_again()
        arguments = [os.fsencode(one) for one in self.process["args"]]
        variables = [os.fsencode("%s=%s" % pair) for pair in environment.items()]
        os.set_inheritable(report, True)
        content = launcher.program(path, arguments, variables, report, filter_[:2] if filter_ else None, filtered)
        try:
            if content is not None:
                program = launcher.sealed(content)
                os.execve(program, ["init"], {})
        except OSError:
            pass  # no files in memory may be executed here (vm.memfd_noexec), or the filter refuses
        os.set_inheritable(report, False)
        if filter_:
            self._install(filter_)
        os.execve(path, arguments, environment)

    def limit(self, pid: int = 0) -> None:
        """Set the limits of a process of that number, or of this one."""
        for number, soft, hard, name in self.limits:
            try:
                syscalls.setrlimit(number, soft, hard, pid)
            except OSError as error:
                raise RuntimeFailure("%s/rlimits: %s: %s" % (self.pointer, name, error.strerror)) from None

    def _install(self, filter_):
        from shepherd.runtime.linux import seccomp  # imported when it was compiled

        descriptor = seccomp.install(filter_[1], filter_[0])
        if filter_[0] & SECCOMP_FILTER_FLAG_NEW_LISTENER and self.notify is not None:
            self.notify(descriptor)

    notify = None  # called with the descriptor of a seccomp listener

    def give_streams(self):
        """A user that is not root opens /dev/stderr and the like by name: they have to be its own."""
        for number in (0, 1, 2):
            try:
                found = os.fstat(number)
                if found.st_uid != self.user["uid"] and not (stat.S_ISCHR(found.st_mode) and found.st_rdev == _NULL):
                    os.fchown(number, self.user["uid"], -1)
            except OSError:
                pass  # closed, of another user namespace, or on a file system that knows no owners

    def _become_user(self):
        user = self.user
        mask = user.get("umask")
        from shepherd.runtime.linux import capabilities  # imported when the names were looked up

        capabilities.drop_bounding(self.sets[0])
        syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
        groups = user.get("additionalGids") or []
        try:
            os.setgroups(groups)
        except PermissionError:
            if groups:  # a user namespace without the right to (user_namespaces(7), "setgroups")
                raise RuntimeFailure("%s/user/additionalGids: cannot be set in this user namespace" % self.pointer)
        try:
            os.setresgid(user["gid"], user["gid"], user["gid"])
            os.setresuid(user["uid"], user["uid"], user["uid"])
        except OSError as error:
            raise RuntimeFailure("%s/user: %d:%d: %s" % (self.pointer, user["uid"], user["gid"], error.strerror))
        capabilities.apply(*self.sets)
        syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 0)
        os.umask(0o022 if mask is None else mask)

    def _enter_folder_again(self):
        try:
            os.chdir(self.process["cwd"])
        except OSError as error:
            raise RuntimeFailure("%s/cwd: %s: %s" % (self.pointer, self.process["cwd"], error.strerror)) from None
        self._check_folder()


_NULL = os.makedev(1, 3)


def _compiled(profile):
    if not profile:
        return None
    from shepherd.runtime.linux import seccomp

    return getattr(profile, "compiled", None) or seccomp.compile_profile(profile)


def _limit(value):
    """RLIM_INFINITY is all bits set; Python says -1."""
    return -1 if value >= (1 << 63) - 1 else value


def _above(value, other):
    return other != -1 and (value == -1 or value > other)


def _write(path, data):
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _home(uid, look):
    """The user's folder in /etc/passwd inside (passwd(5)), read as bytes and only so far; / where there is none."""
    try:
        descriptor = look("/etc/passwd", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return "/"
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "/"
        for line in os.read(descriptor, _PASSWD_LIMIT).split(b"\n"):
            fields = line.split(b":")
            if len(fields) >= 7 and fields[2] == b"%d" % uid:
                return os.fsdecode(fields[5]) or "/"
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return "/"
