"""Rules of devices: as lists of version 1 and as programs of version 2, tried on the kernel with real openings."""

from __future__ import annotations

import errno
import os
import stat
import struct
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import cgroups
from shepherd.runtime.linux.cgroups import device_program, devices

DENY_ALL = {"allow": False, "access": "rwm"}
BITS = {"m": 1, "r": 2, "w": 4}
TYPES = {"b": 1, "c": 2}


def decided(rules, kind, major, minor, access):
    """What the rules say, word for word: of each kind of access, the last rule that speaks of it decides."""
    for letter in access:
        for rule in reversed(rules):
            speaks = rule.kind in ("a", kind) and rule.major in (None, major) and rule.minor in (None, minor)
            if speaks and letter in rule.access:
                if not rule.allow:
                    return False
                break
        else:
            return False
    return True


def executed(code, kind, major, minor, access):
    """What the program returns: the instructions that it uses, as the kernel's documentation defines them."""
    wide = (1 << 64) - 1
    request = struct.pack("=III", sum(BITS[letter] for letter in access) << 16 | TYPES[kind], major, minor)
    registers, counter, steps = [0] * 11, 0, 0
    registers[1] = "request"
    program = [struct.unpack_from("=BBhi", code, place) for place in range(0, len(code), 8)]
    while True:
        operation, both, offset, number = program[counter]
        target, source = both & 15, both >> 4
        number &= wide
        counter += 1
        steps += 1
        assert steps <= len(program)
        if operation == 0x61:
            assert registers[source] == "request"
            registers[target] = struct.unpack_from("=I", request, offset)[0]
        elif operation == 0xB7:
            registers[target] = number
        elif operation == 0xBF:
            registers[target] = registers[source]
        elif operation == 0x57:
            registers[target] &= number
        elif operation == 0x77:
            registers[target] >>= number
        elif operation == 0x05:
            counter += offset
        elif operation == 0x55:
            counter += offset if registers[target] != number else 0
        elif operation == 0x45:
            counter += offset if registers[target] & number else 0
        else:
            assert operation == 0x95
            return bool(registers[0])


entries = st.fixed_dictionaries(
    {"allow": st.booleans(), "access": st.sets(st.sampled_from("rwm"), min_size=1).map("".join)},
    optional={
        "type": st.sampled_from(["a", "b", "c", ""]),
        "major": st.sampled_from([-1, 0, 1, 8, 136, 4095]),
        "minor": st.sampled_from([-1, 0, 3, 9, (1 << 20) - 1]),
    },
)
REQUESTS = list(product("bc", (1, 8, 136), (0, 3, (1 << 20) - 1), ("r", "rw", "rwm")))


@given(st.lists(entries, max_size=6))
def test_a_program_says_what_the_rules_say(given_rules):
    rules = devices.rules(given_rules)
    code = device_program.assemble(rules)
    for request in REQUESTS:
        assert executed(code, *request) == decided(rules, *request), request


def by_list(exceptions, kind, major, minor, access):
    """Version 1: an exception counts where it has all that is asked for."""
    found = any(
        devices._covers(key, (kind, major, minor)) and set(access) <= more
        for key, (more, _pointer) in exceptions.table.items()
    )
    overlaps = any(
        devices._covers(key, (kind, major, minor)) and set(access) & more
        for key, (more, _pointer) in exceptions.table.items()
    )
    return not overlaps if exceptions.allow else found


@given(st.lists(entries, max_size=5))
def test_a_list_of_version_1_allows_no_more_than_the_rules(given_rules):
    rules = devices.rules(given_rules)
    try:
        exceptions = devices.Exceptions(rules)
    except RuntimeFailure:
        return  # what it cannot say, it says
    for request in REQUESTS:
        if by_list(exceptions, *request):
            assert decided(rules, *request), request


def test_lists_of_version_1():
    def lines(*entries):
        found = devices.Exceptions(devices.rules(list(entries)))
        return found.allow, {devices._line(key, access) for key, (access, _pointer) in found.table.items()}

    usual = {"c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm"}
    usual |= {"c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm"}
    assert lines() == lines(DENY_ALL) == (False, usual)
    tun = {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"}
    assert lines(DENY_ALL, tun)[1] - usual == {"c 10:200 rwm"}  # making a node is always allowed
    both = {"allow": True, "major": 8, "minor": -1, "access": "r"}
    assert lines(DENY_ALL, both)[1] - usual == {"b 8:* rm", "c 8:* rm"}
    assert lines({"allow": True, "access": "rwm"}) == (True, set())
    assert lines({"allow": True}, {"allow": False, "type": "b", "access": "w"}) == (True, {"b *:* w"})
    with pytest.raises(RuntimeFailure, match=r"/linux/resources/devices/2: version 1 .* /linux/resources/devices/1"):
        lines(DENY_ALL, {"allow": True, "type": "b", "major": 8}, {"allow": False, "type": "b", "major": 8, "minor": 0})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"access": "rx"}, "/0/access: should be of the letters"),
        ({"major": 4096}, "/0/major: should be at most 4095"),
        ({"minor": -2}, "/0/minor: should be at most 1048575"),
    ],
)
def test_rules_that_are_none(entry, message):
    with pytest.raises(RuntimeFailure) as caught:
        devices.rules([{"allow": True, **entry}])
    assert caught.value.message.startswith("/linux/resources/devices" + message)


# the kernel's own


@pytest.fixture
def group():
    if os.geteuid() != 0 or not cgroups.hierarchies():
        pytest.skip("needs root and control groups")
    made = cgroups.Group(f"shepherd-test-{os.getpid()}-devices")
    made.make()
    yield made
    made.remove()


def opened_in(folder, tmp_path, kind, major, minor, flags=os.O_RDONLY, node=True):
    """The errno with which a process in a group meets a device: 0, or that of mknod(2) or open(2)."""
    path = tmp_path / f"{kind}-{major}-{minor}-{flags}"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        number = 0
        try:
            Path(folder, "cgroup.procs").write_text("0")
            if not path.exists():
                os.mknod(path, 0o600 | {"b": stat.S_IFBLK, "c": stat.S_IFCHR}[kind], os.makedev(major, minor))
            if node:
                os.close(os.open(path, flags | os.O_NONBLOCK))
        except OSError as error:
            number = error.errno
        finally:
            os.write(writer, b"%d" % number)
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = int(stream.read())
    os.waitpid(child, 0)
    path.unlink(missing_ok=True)
    return said


def disk():
    """A block device that this process may open, which a container has no business with."""
    for name in sorted(os.listdir("/dev")):
        found = os.lstat(f"/dev/{name}")
        if stat.S_ISBLK(found.st_mode) and name.startswith(("loop", "ram", "zram")):
            try:
                os.close(os.open(f"/dev/{name}", os.O_RDONLY | os.O_NONBLOCK))
            except OSError:
                continue
            return os.major(found.st_rdev), os.minor(found.st_rdev)
    return pytest.skip("there is no block device to try")


@pytest.mark.lab
@pytest.mark.parametrize("version", [1, 2])
def test_what_is_not_allowed_cannot_be_opened(group, tmp_path, version):
    """The same rules, each in the version of control groups that is asked; the node itself can be made."""
    if version == 1:
        home = group.home("devices")
        if home is None or home[0] != 1:
            pytest.skip("no devices controller of version 1 here")
        folder = home[1]
        apply = lambda entries, again: devices._write_exceptions(folder, devices.rules(entries), again)  # noqa: E731
    else:
        folder = group.unified
        if folder is None:
            pytest.skip("no version 2 here")
        apply = lambda entries, again: device_program.attach(folder, devices.rules(entries), again)  # noqa: E731
    assert opened_in(folder, tmp_path, "b", *disk()) == 0
    apply([DENY_ALL], False)
    assert opened_in(folder, tmp_path, "b", *disk(), node=False) == 0
    for kind, numbers, flags in [("b", disk(), os.O_RDONLY), ("c", (1, 11), os.O_RDONLY), ("c", (1, 1), os.O_RDWR)]:
        assert opened_in(folder, tmp_path, kind, *numbers, flags) == errno.EPERM
    for minor in (3, 5, 7, 8, 9):
        assert opened_in(folder, tmp_path, "c", 1, minor, os.O_RDWR) == 0
    # changed while it holds: reading alone, then another device
    apply([DENY_ALL, {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}], True)
    assert opened_in(folder, tmp_path, "c", 1, 11, os.O_RDONLY) == 0
    assert opened_in(folder, tmp_path, "c", 1, 11, os.O_RDWR) == errno.EPERM
    apply([{"allow": True}], True)
    assert opened_in(folder, tmp_path, "b", *disk()) == 0
    apply([{"allow": True}, {"allow": False, "type": "b", "access": "r"}], True)
    assert opened_in(folder, tmp_path, "b", *disk()) == errno.EPERM
    apply([], True)
    assert opened_in(folder, tmp_path, "c", 1, 11) == errno.EPERM
    assert opened_in(folder, tmp_path, "c", 1, 3) == 0


@pytest.mark.lab
def test_one_program_is_left_of_many(group):
    if group.unified is None:
        pytest.skip("no version 2 here")
    for _turn in range(3):
        device_program.attach(group.unified, devices.rules([]), True)
    descriptor = os.open(group.unified, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert len(device_program.attached(descriptor)) == 1
    finally:
        os.close(descriptor)


@pytest.mark.lab
@given(given_rules=st.lists(entries, max_size=20))
def test_the_kernel_takes_every_program(given_rules):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.close(device_program.load(device_program.assemble(devices.rules(given_rules))))


@pytest.mark.lab
def test_a_long_list_is_one_program():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    many = [{"allow": bool(minor % 2), "type": "c", "major": 9, "minor": minor, "access": "rw"} for minor in range(500)]
    code = device_program.assemble(devices.rules(many))
    assert executed(code, "c", 9, 499, "rw") and not executed(code, "c", 9, 498, "rw")
    os.close(device_program.load(code))
