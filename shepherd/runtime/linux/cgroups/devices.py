"""Which devices the processes of a group may read, write and make nodes of (config-linux.md, "Allowed Device list").

Nothing, to begin with; then the rules, in their order; then what every container has. For each device and each kind of
access the last rule that speaks of it decides. Version 1 takes a list of exceptions from all or from nothing
(Documentation/admin-guide/cgroup-v1/devices.rst), version 2 a program that the kernel asks (device_program.py).
"""

import errno
import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import user_namespace
from shepherd.runtime.linux.cgroups import folders

_LARGEST_MAJOR, _LARGEST_MINOR = 0xFFF, 0xFFFFF  # <linux/kdev_t.h>


class Rule:
    """`kind` is b, c or a (both); `major` and `minor` are None for all; `access` is a set of r, w, m."""

    def __init__(self, allow, kind, major, minor, access, pointer=None):
        self.allow = allow
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = frozenset(access)
        self.pointer = pointer  # None for what nobody has asked for

    def covers_all(self) -> bool:
        """Whether it speaks of everything."""
        return self.kind == "a" and self.major is None and self.minor is None and len(self.access) == 3


# config-linux.md, "Default Devices", with the terminals of the container; a node alone opens nothing
DEFAULT = [
    Rule(True, "c", None, None, "m"),
    Rule(True, "b", None, None, "m"),
    Rule(True, "c", 1, 3, "rwm"),  # null
    Rule(True, "c", 1, 5, "rwm"),  # zero
    Rule(True, "c", 1, 7, "rwm"),  # full
    Rule(True, "c", 1, 8, "rwm"),  # random
    Rule(True, "c", 1, 9, "rwm"),  # urandom
    Rule(True, "c", 5, 0, "rwm"),  # tty
    Rule(True, "c", 5, 2, "rwm"),  # ptmx
    Rule(True, "c", 136, None, "rwm"),  # pts
]


def rules(entries: list) -> list:
    """The Rules of /linux/resources/devices, with what every container has behind them. Raises RuntimeFailure."""
    found = []
    for number, entry in enumerate(entries):
        pointer = "/linux/resources/devices/%d" % number
        numbers = []
        for name, largest in (("major", _LARGEST_MAJOR), ("minor", _LARGEST_MINOR)):
            value = entry.get(name)
            if value is not None and not -1 <= value <= largest:
                raise RuntimeFailure("%s/%s: should be at most %d, or -1 for all" % (pointer, name, largest))
            numbers.append(None if value == -1 else value)
        access = entry.get("access") or "rwm"
        if not set(access) <= set("rwm"):
            raise RuntimeFailure("%s/access: should be of the letters r, w and m, and is %.40r" % (pointer, access))
        found.append(Rule(entry["allow"], entry.get("type") or "a", numbers[0], numbers[1], access, pointer))
    return found + DEFAULT


def apply(group, entries: list, again: bool = False) -> None:
    """Let the group use these devices. `again`: rules that it may have are replaced. Raises RuntimeFailure."""
    wanted = rules(entries)
    if user_namespace.of_user():
        _excuse(PermissionError(errno.EPERM, os.strerror(errno.EPERM)), wanted)
        return
    home = group.home("devices")
    if home is None:
        if entries and os.geteuid() == 0:
            raise RuntimeFailure("/linux/resources/devices: this machine has no control groups that know devices")
        return
    try:
        if home[0] == 1:
            _write_exceptions(home[1], wanted, again)
        else:
            from shepherd.runtime.linux.cgroups import device_program

            device_program.attach(home[1], wanted, again)
    except OSError as error:
        _excuse(error, wanted)


def _excuse(error, wanted):
    """An ordinary user may not set rules. It makes no nodes either: what it can open it could open before."""
    root = os.geteuid() == 0 and not user_namespace.of_user()
    if root or error.errno not in (errno.EPERM, errno.EACCES, errno.ENOENT):
        raise RuntimeFailure("/linux/resources/devices: cannot be set: %s" % error.strerror) from None
    for rule in wanted:
        if not rule.allow and not rule.covers_all():
            raise RuntimeFailure("%s: only root can forbid a single device" % rule.pointer) from None


class Exceptions:
    """What version 1 can hold: all or nothing, and exceptions from it: {(kind, major, minor): (access, pointer)}."""

    def __init__(self, wanted: list):
        self.allow = False
        self.table = {}
        for rule in wanted:
            if rule.covers_all():
                self.allow, self.table = rule.allow, {}
            else:
                for kind in "bc" if rule.kind == "a" else rule.kind:
                    self._add((kind, rule.major, rule.minor), rule)

    def _add(self, key, rule):
        """What agrees with the whole is no exception from it; an exception from an exception cannot be said."""
        if rule.allow != self.allow:
            access = rule.access
            for other, (more, _pointer) in self.table.items():
                if _covers(other, key):
                    access |= more  # a request for two kinds of access looks for one exception that has both
            self.table[key] = (access, rule.pointer)
            for other, (less, pointer) in self.table.items():
                if _covers(key, other):
                    self.table[other] = (less | access, pointer)
            return
        for other, (access, pointer) in list(self.table.items()):
            if _covers(key, other):
                if access <= rule.access:
                    del self.table[other]
                else:
                    self.table[other] = (access - rule.access, pointer)
            elif _meet(key, other) and access & rule.access:
                if rule.pointer is None:
                    continue  # a default
                raise RuntimeFailure(
                    "%s: version 1 of control groups cannot make an exception from %s" % (rule.pointer, pointer),
                    "name the devices one by one there",
                )


def _covers(one, other):
    return one[0] == other[0] and one[1] in (None, other[1]) and one[2] in (None, other[2])


def _meet(one, other):
    return one[0] == other[0] and all(a is None or b is None or a == b for a, b in zip(one[1:], other[1:]))


_ORDER = "rwm"


def _line(key, access):
    kind, major, minor = key
    numbers = tuple("*" if number is None else str(number) for number in (major, minor))
    return "%s %s:%s %s" % ((kind,) + numbers + ("".join(letter for letter in _ORDER if letter in access),))


def _parsed(content):
    """devices.list as a table of Exceptions without pointers; None where it begins with all."""
    found = {}
    for line in content.splitlines():
        kind, device, access = line.split()
        if kind == "a":
            return None
        found[(kind, *(None if number == "*" else int(number) for number in device.split(":")))] = frozenset(access)
    return found


def _write_exceptions(folder, wanted, again):
    new = Exceptions(wanted)
    exceptions, whole = ("devices.deny", "devices.allow") if new.allow else ("devices.allow", "devices.deny")
    old = _parsed(folders.read(folder, "devices.list")) if again and not new.allow else None
    if old is None:
        folders.write(os.path.join(folder, whole), "a")
        old = {}
    lines = []
    for key, (access, pointer) in new.table.items():
        more = access - old.get(key, frozenset())
        if more:
            lines.append((_line(key, more), pointer))
    _write_lines(os.path.join(folder, exceptions), lines)
    for key, access in old.items():  # after the others, so that what stays allowed is allowed all the time
        less = access - new.table.get(key, (frozenset(), None))[0]
        if less:
            folders.write(os.path.join(folder, "devices.deny"), _line(key, less))


def _write_lines(path, lines):
    """One write for each (line, pointer of the rule), which is what the kernel takes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for line, pointer in lines:
            try:
                os.write(descriptor, line.encode())
            except OSError as error:
                if pointer is not None:  # or nobody has asked for it
                    why = "the group above may not use it" if error.errno == errno.EPERM else error.strerror
                    raise RuntimeFailure("%s: cannot set %s: %s" % (pointer, line, why)) from None
    finally:
        os.close(descriptor)
