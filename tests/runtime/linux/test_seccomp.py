"""Profiles as programs: run by an interpreter of classic BPF, compared with what the profile says, and for real."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import capabilities, seccomp
from shepherd.runtime.linux.seccomp import compiler, profile, tables

ALLOW, KILL_PROCESS = 0x7FFF0000, 0x80000000
ARCHITECTURES = {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_X86": 0x40000003, "SCMP_ARCH_AARCH64": 0xC00000B7}
X32 = 0x40000000


def interpreted(code, architecture, number, arguments=()):
    """What the program gives for a call (Documentation/networking/filter.rst)."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *[*arguments, 0, 0, 0, 0, 0, 0][:6])
    program = [struct.unpack_from("<HBBI", code, at) for at in range(0, len(code), 8)]
    at = accumulator = 0
    while True:
        operation, yes, no, value = program[at]
        at += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("<I", data, value)[0]
        elif operation == 0x54:
            accumulator &= value
        elif operation == 0x05:
            at += value
        elif operation == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value}[operation]
            at += yes if holds else no


OPERATORS = {
    "NE": lambda argument, value, _: argument != value,
    "LT": lambda argument, value, _: argument < value,
    "LE": lambda argument, value, _: argument <= value,
    "EQ": lambda argument, value, _: argument == value,
    "GE": lambda argument, value, _: argument >= value,
    "GT": lambda argument, value, _: argument > value,
    "MASKED_EQ": lambda argument, value, second: argument & value == second,
}


def newest(rules, table):
    """The highest number of those that a profile names; for one that names none, there is nothing newer."""
    return max((table[name] for rule in rules for name in rule["names"] if name in table), default=1 << 32)


def meant(rules, default, table, number, arguments):
    """What the profile says: the first rule for the call whose conditions hold."""
    for rule in rules:
        holds = [
            OPERATORS[one["op"][9:]](arguments[one["index"]], one["value"], one["valueTwo"]) for one in rule["args"]
        ]
        alternatives = len({one["index"] for one in rule["args"]}) < len(rule["args"])
        if any(table.get(name) == number for name in rule["names"]) and (any if alternatives else all)(holds):
            return rule["errnoRet"]
    return errno.ENOSYS if number > newest(rules, table) else default


NAMES = ["read", "write", "open", "close", "ioctl", "clone", "socket", "futex_waitv", "mseal", "no_such_call"]
EDGES = [0, 1, 0x5412, 0xFFFFFFFF, 1 << 32, (1 << 32) + 0x5412, (1 << 63) + 1, (1 << 64) - 1]
VALUES = st.sampled_from(EDGES) | st.integers(0, (1 << 64) - 1)
CONDITIONS = st.fixed_dictionaries(
    {
        "index": st.integers(0, 5),
        "op": st.sampled_from(sorted(OPERATORS)).map(lambda name: "SCMP_CMP_" + name),
        "value": VALUES,
        "valueTwo": VALUES,
    }
)
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "names": st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
            "action": st.just("SCMP_ACT_ERRNO"),
            "errnoRet": st.integers(2, 9),
            "args": st.lists(CONDITIONS, max_size=3),
        }
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(RULES, st.lists(VALUES, min_size=6, max_size=6))
def test_a_program_does_what_the_profile_says(rules, arguments):
    document = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": rules}
    document["architectures"] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    flags, code, listener = seccomp.compile_profile(document, "x86_64")
    assert (flags, listener) == (0, None)
    values = sorted({one["value"] for rule in rules for one in rule["args"]} | set(arguments))
    for convention in document["architectures"]:
        table = tables.numbers(compiler.CONVENTIONS[convention][1])
        bit = X32 if convention == "SCMP_ARCH_X32" else 0
        for number in [*{table[name] for name in NAMES if name in table}, 9999]:
            for at in range(6):
                given_arguments = [values[(at + index) % len(values)] for index in range(6)]
                found = interpreted(code, compiler.CONVENTIONS[convention][0], number | bit, given_arguments)
                assert found == 0x50000 | meant(rules, 1, table, number, given_arguments)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_call_of_the_default_profile(machine):
    """Each number of each table, so that no jump leads a hair beside its target."""
    document = profile.default_profile(capabilities.DEFAULT, machine)
    _, code, _ = seccomp.compile_profile(document, machine)
    plain = set(document["syscalls"][0]["names"])
    listed = {name for rule in document["syscalls"] for name in rule["names"]}
    for convention in document["architectures"]:
        if convention not in compiler.CONVENTIONS:
            continue
        number, text = compiler.CONVENTIONS[convention]
        table = tables.numbers(text)
        bit = X32 if convention == "SCMP_ARCH_X32" else 0
        names = {at: name for name, at in table.items()}
        last = newest(document["syscalls"], table)
        for at in range(600):
            name = names.get(at)
            found = interpreted(code, number, at | bit)
            if name in plain:
                assert found == ALLOW, name
            elif name not in listed:
                assert found == (0x50001 if at < last else 0x50026), name  # EPERM; of newer ones ENOSYS


def test_what_is_no_known_convention_ends_the_process():
    _, code, _ = seccomp.compile_profile({"defaultAction": "SCMP_ACT_ALLOW"}, "x86_64")
    assert interpreted(code, ARCHITECTURES["SCMP_ARCH_X86_64"], 0) == ALLOW
    assert interpreted(code, ARCHITECTURES["SCMP_ARCH_X86_64"], X32) == KILL_PROCESS
    assert interpreted(code, ARCHITECTURES["SCMP_ARCH_X86"], 0) == KILL_PROCESS
    assert interpreted(code, ARCHITECTURES["SCMP_ARCH_AARCH64"], 0) == KILL_PROCESS


# capabilities, call, arguments → what is given
CHECKS = [
    ([], "unshare", [0x10000000], 0x50001),
    (["CAP_SYS_ADMIN"], "unshare", [0x10000000], ALLOW),
    ([], "clone", [0x11], ALLOW),
    ([], "clone", [0x10000000 | 0x11], 0x50001),
    (["CAP_SYS_ADMIN"], "clone", [0x10000000], ALLOW),
    ([], "clone3", [], 0x50000 | errno.ENOSYS),
    ([], "socket", [2], ALLOW),
    ([], "socket", [38], 0x50001),
    ([], "socket", [40], 0x50001),
    ([], "socket", [(1 << 32) + 38], 0x50001),
    ([], "socket", [(1 << 63) + 40], 0x50001),
    ([], "personality", [0x20008], ALLOW),
    ([], "personality", [0x40000], 0x50001),
    ([], "ioctl", [0, 0x5401], ALLOW),
    ([], "ioctl", [0, 0x5412], 0x50001),
    ([], "ioctl", [0, (7 << 32) + 0x5412], 0x50001),
    ([], "ioctl", [0, (1 << 63) + 0x541C], 0x50001),
    ([], "ptrace", [], ALLOW),
    *(([], name, [], 0x50001) for name in ("keyctl", "add_key", "bpf", "userfaultfd", "perf_event_open", "kexec_load")),
    *(([], name, [], 0x50001) for name in ("open_by_handle_at", "io_uring_setup", "quotactl", "mount", "init_module")),
    (["CAP_DAC_READ_SEARCH"], "open_by_handle_at", [], ALLOW),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check[1]}-{check[2]}-{'-'.join(check[0])}")
def test_the_default_profile(check):
    given_capabilities, name, arguments, value = check
    for machine, convention in (("x86_64", "SCMP_ARCH_X86_64"), ("aarch64", "SCMP_ARCH_AARCH64")):
        _, code, _ = seccomp.compile_profile(profile.default_profile(given_capabilities, machine), machine)
        number, text = compiler.CONVENTIONS[convention]
        assert interpreted(code, number, tables.numbers(text)[name], arguments) == value


WRONG = {
    "/linux/seccomp/defaultAction: ALLOW is no action": {"defaultAction": "ALLOW"},
    "/linux/seccomp/flags: NO": {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["NO"]},
    "/linux/seccomp/architectures: VAX": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["VAX"]},
    "/linux/seccomp/syscalls/0/errnoRet: SCMP_ACT_ALLOW takes none": {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 5}],
    },
    "/linux/seccomp/syscalls/0/args/0/op: SCMP_CMP_SO is no operator": {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "op": "SCMP_CMP_SO"}]}],
    },
    "/linux/seccomp/syscalls/0/names: should name": {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": [], "action": "SCMP_ACT_LOG"}],
    },
    "/linux/seccomp/listenerMetadata": {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"},
    "/linux/seccomp/defaultErrnoRet: SCMP_ACT_KILL takes none": {
        "defaultAction": "SCMP_ACT_KILL",
        "defaultErrnoRet": 5,
    },
    "/linux/seccomp/listenerPath": {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}],
    },
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_named_with_its_place(message):
    with pytest.raises(RuntimeFailure) as raised:
        seccomp.compile_profile(WRONG[message], "x86_64")
    assert raised.value.message.startswith(message)


def in_a_child(document, act):
    """The wait status of a process that filters itself and then acts; `act` returns its exit code."""
    flags, code, _ = seccomp.compile_profile(document)
    child = os.fork()
    if child == 0:
        try:
            seccomp.syscalls.prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
            seccomp.install(code, flags)
            os._exit(act())
        finally:
            os._exit(99)
    return os.waitpid(child, 0)[1]


NATIVE = compiler.NATIVE.get(os.uname().machine)
only_native = pytest.mark.skipif(
    NATIVE is None or sys.platform != "linux", reason="there is no table of this machine's system calls"
)


def one_rule(name, action, **more):
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [name], "action": action, **more}]}


@only_native
def test_the_kernel_takes_it_and_does_as_it_says():
    def refused():
        try:
            os.uname()
        except OSError as error:
            return error.errno
        return 0

    status = in_a_child(one_rule("uname", "SCMP_ACT_ERRNO", errnoRet=77), refused)
    assert os.WEXITSTATUS(status) == 77
    status = in_a_child(one_rule("uname", "SCMP_ACT_KILL_PROCESS"), refused)
    assert os.WTERMSIG(status) == signal.SIGSYS
    status = in_a_child(one_rule("uname", "SCMP_ACT_TRAP"), refused)
    assert os.WTERMSIG(status) == signal.SIGSYS
    status = in_a_child(one_rule("uname", "SCMP_ACT_LOG"), refused)
    assert os.WEXITSTATUS(status) == 0


@only_native
def test_under_the_default_profile_ordinary_work_goes_on_and_the_ways_out_are_shut():
    library = ctypes.CDLL(None, use_errno=True)

    def act():
        os.mkdir  # noqa: B018  # looked up before
        child = os.fork()
        if child == 0:
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            return 1
        for call in (
            lambda: library.unshare(0x10000000),
            lambda: library.mount(b"none", b"/", b"tmpfs", 0, None),
            lambda: library.socket(38, 5, 0),
            lambda: library.ioctl(0, ctypes.c_ulong((5 << 32) + 0x5412), b"x"),
        ):
            if call() != -1 or ctypes.get_errno() != errno.EPERM:
                return 2
        return 0

    assert os.WEXITSTATUS(in_a_child(profile.default_profile(capabilities.DEFAULT), act)) == 0
