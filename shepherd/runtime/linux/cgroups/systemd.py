"""Control groups that systemd makes: a transient scope for a container (org.freedesktop.systemd1(5)).

For machines where systemd is to be the one who rules control groups: it knows of the container then, shows it in
`systemd-cgls`, and writes the same limits when it reloads. What it has no property for is written to the group's files,
as without it, and so are the hierarchies of version 1 that it leaves alone.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.cgroups import dbus
from shepherd.runtime.linux.cgroups.group import Group

_SERVICE, _OBJECT = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
_MANAGER = _SERVICE + ".Manager"
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:@\\")


class Manager:
    """systemd: the machine's for root, for others their own. Raises RuntimeFailure where there is none."""

    def __init__(self):
        runtime = os.environ.get("XDG_RUNTIME_DIR") or "/run/user/%d" % os.geteuid()
        if os.geteuid() == 0:
            places = (("/run/systemd/private", False), ("/run/dbus/system_bus_socket", True))
        else:
            places = ((runtime + "/systemd/private", False), (runtime + "/bus", True))
        reasons = []
        for path, bus in places:
            try:
                self._connection = dbus.Connection(path, bus)
                break
            except OSError as error:
                reasons.append("%s: %s" % (path, error.strerror or error))
        else:
            raise RuntimeFailure("--systemd-cgroup: cannot talk to systemd: " + "; ".join(reasons),
                                 "without the option, control groups are made in cgroupfs")  # fmt: skip
        if bus:
            rule = "type='signal',interface='%s',member='JobRemoved'" % _MANAGER
            self._connection.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch",
                                  "s", rule)  # fmt: skip
            self.call("Subscribe")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._connection.__exit__()

    def call(self, member: str, signature: str = "", *values) -> list:
        """A method of the manager."""
        return self._connection.call(_SERVICE, _OBJECT, _MANAGER, member, signature, *values)

    def get(self, name: str, path: str = _OBJECT, interface: str = _MANAGER):
        """A property of the manager, or of another object."""
        words = ("org.freedesktop.DBus.Properties", "Get", "ss", interface, name)
        return self._connection.call(_SERVICE, path, *words)[0]

    @property
    def version(self) -> int:
        """252 for "252.31-1~deb12u1"."""
        text = str(self.get("Version")).lstrip("v")
        digits = text[: next((place for place, letter in enumerate(text) if not letter.isdigit()), len(text))]
        return int(digits or 0)

    def run(self, member: str, signature: str, *values) -> None:
        """A method that starts a job, and wait for the job's end. Raises RuntimeFailure where it is not "done"."""
        job = self.call(member, signature, *values)[0]
        while True:
            signal = self._connection.signal()
            if signal.fields.get("member") == "JobRemoved" and signal.body[1] == job:
                if signal.body[3] not in ("done", "skipped"):
                    raise RuntimeFailure("systemd: the job for %s ended as %s" % (signal.body[2], signal.body[3]))
                return


def choose(path: str, name: str, resources: dict):
    """The Scope for a container: cgroupsPath is SLICE:PREFIX:NAME, and each may be empty. Raises RuntimeFailure."""
    parts = path.split(":") if path else ["", "", ""]
    if len(parts) != 3:
        raise RuntimeFailure(
            "/linux/cgroupsPath: should be SLICE:PREFIX:NAME with --systemd-cgroup, and is %.80r" % path
        )
    where, prefix, own = parts[0], parts[1] or "shepherd", parts[2] or name
    if not where:
        where = "system.slice" if os.geteuid() == 0 else "user.slice"
    unit = own if own.endswith(".slice") else "%s-%s.scope" % (prefix, own)
    if not _LETTERS.issuperset(unit) or len(unit) > 255:
        raise RuntimeFailure("/linux/cgroupsPath: %.80r is no name of a unit" % unit)
    with Manager() as manager:
        above = manager.get("ControlGroup").strip("/")
    place = expand(unit) if unit.endswith(".slice") else os.path.join(expand(where), unit)
    scope = Scope(os.path.join(above, place), unit)
    scope.slice = where if where.endswith(".slice") else where + ".slice"
    scope.properties = lambda version: properties(scope, resources, version)
    scope.made = False
    return scope


def expand(name: str) -> str:
    """The folder of a slice: a.slice/a-b.slice for a-b.slice; "" for the root, "-" or "-.slice" (systemd.slice(5))."""
    if name in ("-", "-.slice"):
        return ""
    stem = name[: -len(".slice")] if name.endswith(".slice") else ""
    if not stem or not _LETTERS.issuperset(stem) or not all(stem.split("-")):
        raise RuntimeFailure("/linux/cgroupsPath: %.80r is no name of a slice" % name, "as in system.slice, a-b.slice")
    parts = stem.split("-")
    return "/".join("-".join(parts[: count + 1]) + ".slice" for count in range(len(parts)))


class Scope(Group):
    """A group that is a unit of systemd's."""

    slice = None
    properties = None  # a function of systemd's version, for one that is to be made
    made = True

    def __init__(self, path: str, unit: str, found=None):
        super().__init__(path, found)
        self.unit = unit

    def make_cradle(self):
        """None: it is systemd that makes it, for a process that is there."""

    def enter(self, pid: int, resources: dict, born: bool = False) -> list:
        with Manager() as manager:
            about = [
                ("Description", ("s", "container " + self.unit)),
                ("DefaultDependencies", ("b", False)),
                ("CollectMode", ("s", "inactive-or-failed")),
            ]
            if self.unit.endswith(".slice"):
                about.append(("Wants", ("as", [self.slice])))
            else:
                about += [("Slice", ("s", self.slice)), ("Delegate", ("b", True)), ("PIDs", ("au", [pid]))]
            about += self.properties(manager.version)
            try:
                manager.run("StartTransientUnit", "ssa(sv)a(sa(sv))", self.unit, "fail", about, [])
                self.made = True
            except dbus.CallFailure as error:
                raise RuntimeFailure("systemd cannot make %s: %s" % (self.unit, error.message)) from None
            except (OSError, RuntimeFailure):
                self.made = True  # it may be there all the same
                raise
            kind = "Slice" if self.unit.endswith(".slice") else "Scope"
            there = manager.get("ControlGroup", manager.call("GetUnit", "s", self.unit)[0], _SERVICE + "." + kind)
        if there.strip("/") != self.path:
            raise RuntimeFailure("systemd has put %s in %s, not in /%s" % (self.unit, there, self.path))
        return super().enter(pid, resources, born)

    def apply(self, resources: dict, kept: dict) -> None:
        super().apply(resources, kept)
        with Manager() as manager:
            wanted = properties(self, kept, manager.version)
            try:
                manager.call("SetUnitProperties", "sba(sv)", self.unit, True, wanted)
            except dbus.CallFailure as error:
                raise RuntimeFailure("systemd cannot change %s: %s" % (self.unit, error.message)) from None

    def remove(self) -> None:
        if not self.made:
            return  # another's has its name
        if self.processes():
            self.end()  # or systemd would give them time
        try:
            with Manager() as manager:
                for member, signature, *words in (
                    ("StopUnit", "ss", self.unit, "replace"),
                    ("ResetFailedUnit", "s", self.unit),
                ):
                    try:
                        (manager.run if member == "StopUnit" else manager.call)(member, signature, *words)
                    except dbus.CallFailure as error:
                        if not error.name.endswith(".NoSuchUnit"):
                            raise
        except OSError:
            pass  # it went away meanwhile; the folders do not need it
        super().remove()


def properties(group, resources: dict, version: int) -> list:
    """What systemd of this version is told: pairs of a property and its (signature, value).

    systemd.resource-control(5); the choice is what runc documents.
    """
    old = (group.home("memory") or (2,))[0] == 1
    memory, cpu, block = (resources.get(name) or {} for name in ("memory", "cpu", "blockIO"))
    pids = (resources.get("pids") or {}).get("limit")
    found = [(name, ("b", True)) for name in ("CPUAccounting", "MemoryAccounting", "TasksAccounting")]
    found.append(("BlockIOAccounting" if old else "IOAccounting", ("b", True)))
    limit, swap = memory.get("limit") or 0, memory.get("swap") or 0
    numbers = [("MemoryLimit" if old else "MemoryMax", limit), ("TasksMax", pids)]
    if old:
        numbers += [("CPUShares", cpu.get("shares")), ("BlockIOWeight", block.get("weight"))]
    else:
        from shepherd.runtime.linux.cgroups import version2

        numbers.append(("MemoryLow", memory.get("reservation")))
        numbers.append(("MemorySwapMax", swap - limit if swap > 0 < limit else swap))
        numbers.append(("CPUWeight", cpu.get("shares") and version2.weight_of_shares(cpu["shares"])))
        numbers.append(("IOWeight", block.get("weight") and version2.weight_of_blkio(block["weight"])))
    found += [(name, ("t", _number(value))) for name, value in numbers if value]
    found += _quota(cpu, version)
    if not old and version >= 244:
        for name, text in (("AllowedCPUs", cpu.get("cpus")), ("AllowedMemoryNodes", cpu.get("mems"))):
            if text:
                found.append((name, ("ay", _mask(text))))
    return found + _devices(resources.get("devices") or [], old)


def _number(value):
    return value if value > 0 else (1 << 64) - 1


def _quota(cpu, version):
    """Microseconds in each second, by steps of 10 ms, which is one percent."""
    quota, period = cpu.get("quota") or 0, cpu.get("period") or 100000
    if not quota and not cpu.get("period"):
        return []
    each = -(-quota * 1000000 // period // 10000) * 10000 if quota > 0 else (1 << 64) - 1
    found = [("CPUQuotaPerSecUSec", ("t", each))]
    if version >= 242:
        found.append(("CPUQuotaPeriodUSec", ("t", period)))
    return found


def _mask(text):
    """A list such as 0-2,7 as bytes, the lowest first."""
    from shepherd.runtime.linux.cgroups.stats import numbers

    found = bytearray()
    for number in numbers(text):
        found.extend(bytes(max(0, number // 8 + 1 - len(found))))
        found[number // 8] |= 1 << number % 8
    return list(found)


def _devices(entries, old):
    """For when systemd writes the list again. In version 2 both its program and ours have to allow: less will do."""
    from shepherd.runtime.linux.cgroups import devices

    rules = devices.rules(entries)
    if old:
        exceptions = devices.Exceptions(rules)
        if exceptions.allow and exceptions.table:
            raise RuntimeFailure("/linux/resources/devices: systemd cannot allow all devices but some")
        everything = exceptions.allow
        wanted = {key: access for key, (access, _pointer) in exceptions.table.items()}
    else:
        everything = any(rule.allow and rule.covers_all() for rule in rules)
        wanted = {}
        for rule in rules:
            for kind in ("bc" if rule.kind == "a" else rule.kind) if rule.allow else "":
                key = (kind, rule.major, rule.minor)
                wanted[key] = wanted.get(key, frozenset()) | rule.access
    if everything:
        return [("DevicePolicy", ("s", "auto")), ("DeviceAllow", ("a(ss)", []))]
    lines = []
    for (kind, major, minor), access in wanted.items():
        name = _device_name({"b": "block", "c": "char"}[kind], major, minor)
        lines.append((name, "".join(letter for letter in "rwm" if letter in access)))
    return [("DevicePolicy", ("s", "strict")), ("DeviceAllow", ("a(ss)", lines))]


def _device_name(kind, major, minor):
    if major is None:
        if minor is not None:
            raise RuntimeFailure("/linux/resources/devices: systemd takes no rule for a minor number of all majors")
        return kind + "-*"
    if minor is not None:
        return "/dev/%s/%d:%d" % (kind, major, minor)
    section = None
    with open("/proc/devices") as file:
        for line in file:
            words = line.split()
            if len(words) == 2 and words[1] == "devices:":
                section = {"Character": "char", "Block": "block"}[words[0]]
            elif section == kind and len(words) == 2 and words[0] == str(major):
                return "%s-%s" % (kind, words[1])
    raise RuntimeFailure(
        "/linux/resources/devices: the kernel knows no %s devices with major number %d" % (kind, major)
    )
