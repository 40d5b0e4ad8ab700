"""The `linux.seccomp` object of the OCI runtime specification (config-linux.md, "Seccomp") as a program.

Rules that name a system call are tried in the order in which they are written; the first whose conditions all hold
decides. Names that a machine's kernel does not have are passed over, as libseccomp does it. A call in a convention
that the profile does not list ends the process: it would be another call than the profile means.

Two things are as runc has them. Conditions of which several are for the same argument are alternatives. And where what
no rule names is refused with EPERM, calls that are newer than all that are named answer ENOSYS, as by an older kernel:
programs do without those, and take EPERM for an answer.
"""

import os

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.seccomp import tables
from shepherd.runtime.linux.seccomp.program import JEQ, JGE, JGT, Program

# <linux/seccomp.h>; those with a value take it from errnoRet
ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_VALUE = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_EPERM, _ENOSYS = 1, 38
_KILL_PROCESS = ACTIONS["SCMP_ACT_KILL_PROCESS"]

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
}
NEW_LISTENER = 8  # SECCOMP_FILTER_FLAG_NEW_LISTENER

# <linux/audit.h>: AUDIT_ARCH_*; with a table for each convention, of which x32 shares the number of x86_64
_X86_64, _I386, _AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
CONVENTIONS = {
    "SCMP_ARCH_X86_64": (_X86_64, tables.X86_64),
    "SCMP_ARCH_X32": (_X86_64, tables.X32),
    "SCMP_ARCH_X86": (_I386, tables.X86),
    "SCMP_ARCH_AARCH64": (_AARCH64, tables.AARCH64),
}
# conventions of the specification that have no table here: calls in them end the process
_OTHERS = (
    "ARM MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC PARISC64 RISCV64 "
    "LOONGARCH64 M68K SH SHEB"
).split()
NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64", "i686": "SCMP_ARCH_X86"}
_X32_BIT = 0x40000000  # <asm/unistd.h>: __X32_SYSCALL_BIT

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")


def compile_profile(profile: dict, machine=None) -> tuple:
    """(flags of seccomp(2), the program, the path that its listener goes to or None).

    Raises RuntimeFailure with the place in the profile. `machine` is as uname(2) says it; None: this one.
    """
    flags = 0
    for name in profile.get("flags") or []:
        if name not in FLAGS:
            raise RuntimeFailure("/linux/seccomp/flags: %.60s is none that is known" % name)
        flags |= FLAGS[name]
    default = _value(profile, "defaultAction", "defaultErrnoRet", "/linux/seccomp")
    rules = [_Rule(rule, "/linux/seccomp/syscalls/%d" % at) for at, rule in enumerate(profile.get("syscalls") or [])]
    notify = ACTIONS["SCMP_ACT_NOTIFY"]
    if any(rule.value == notify for rule in rules):
        if not profile.get("listenerPath"):
            raise RuntimeFailure("/linux/seccomp/listenerPath: SCMP_ACT_NOTIFY needs one")
        flags |= NEW_LISTENER
    if profile.get("listenerMetadata") and not profile.get("listenerPath"):
        raise RuntimeFailure("/linux/seccomp/listenerMetadata: is of no use without listenerPath")
    if default == notify:
        raise RuntimeFailure("/linux/seccomp/defaultAction: SCMP_ACT_NOTIFY would stop the container's own start")
    listener = profile.get("listenerPath") if flags & NEW_LISTENER else None
    return flags, _assembled(rules, default, _conventions(profile, machine)), listener


def _conventions(profile, machine):
    machine = machine or os.uname().machine
    native = NATIVE.get(machine)
    if native is None:
        raise RuntimeFailure("/linux/seccomp: there is no table of the system calls of %s" % machine)
    wanted = [native]
    for name in profile.get("architectures") or []:
        if name in CONVENTIONS:
            if name not in wanted:
                wanted.append(name)
        elif name.replace("SCMP_ARCH_", "", 1) not in _OTHERS:
            raise RuntimeFailure("/linux/seccomp/architectures: %.60s is none that is known" % name)
    return wanted


def _value(rule, key, errno_key, pointer):
    action = rule.get(key)
    if action not in ACTIONS:
        raise RuntimeFailure("%s/%s: %.60s is no action" % (pointer, key, action))
    number = rule.get(errno_key)
    if number is not None and action not in _WITH_VALUE:
        raise RuntimeFailure("%s/%s: %s takes none" % (pointer, errno_key, action))
    if number is not None and not 0 <= number <= 0xFFFF:
        raise RuntimeFailure("%s/%s: %d is not from 0 to 65535" % (pointer, errno_key, number))
    return ACTIONS[action] | ((_EPERM if number is None else number) if action in _WITH_VALUE else 0)


class _Rule:
    """Names, a value to give, and conditions (index, operator, value, second value) that all have to hold, or, as
    `alternatives`, one of them."""

    def __init__(self, rule, pointer):
        self.names = rule["names"]
        if not self.names:
            raise RuntimeFailure("%s/names: should name at least one system call" % pointer)
        self.value = _value(rule, "action", "errnoRet", pointer)
        self.conditions = []
        for at, one in enumerate(rule.get("args") or []):
            operator = str(one.get("op", "")).replace("SCMP_CMP_", "", 1)
            if operator not in OPERATORS:
                raise RuntimeFailure("%s/args/%d/op: %.60s is no operator" % (pointer, at, one.get("op")))
            if not 0 <= one["index"] <= 5:
                raise RuntimeFailure("%s/args/%d/index: %d is not from 0 to 5" % (pointer, at, one["index"]))
            self.conditions.append((one["index"], operator, one["value"], one.get("valueTwo") or 0))
        self.alternatives = len({one[0] for one in self.conditions}) < len(self.conditions)


def _assembled(rules, default, conventions):
    program = Program()
    sections = {}
    for name in conventions:
        number, table = CONVENTIONS[name]
        tree = _tree(program, _decisions(program, rules, default, tables.numbers(table)))
        sections.setdefault(number, {})[name] = tree
    start = program.give(_KILL_PROCESS)
    for number, trees in sections.items():
        start = program.branch(JEQ, number, program.load(_NUMBER, _split(program, number, trees)), start)
    program.load(_ARCHITECTURE, start)
    return program.code()


def _split(program, number, trees):
    """Where x86_64 and x32 part: by a bit of the call's number. The number is loaded."""
    if number != _X86_64:
        return next(iter(trees.values()))
    kill = program.give(_KILL_PROCESS)
    x32 = trees.get("SCMP_ARCH_X32")
    if x32 is not None:
        x32 = program.load(_NUMBER, program.mask(~_X32_BIT & 0xFFFFFFFF, x32))
    native = trees.get("SCMP_ARCH_X86_64", kill)
    return program.branch(JGE, _X32_BIT, kill if x32 is None else x32, native)


def _decisions(program, rules, default, numbers):
    """(first number, label) for each run of numbers with the same label, from 0 on."""
    chains = {}
    for rule in rules:
        for name in rule.names:
            if name in numbers:
                chains.setdefault(numbers[name], []).append(rule)
    otherwise = newer = program.give(default)
    if default == ACTIONS["SCMP_ACT_ERRNO"] | _EPERM and chains:
        newer = program.give(ACTIONS["SCMP_ACT_ERRNO"] | _ENOSYS)
    made = {}
    runs = [(0, otherwise)]
    after = 0
    for number in sorted(chains):
        key = tuple(map(id, chains[number]))
        if key not in made:
            made[key] = _chain(program, chains[number], otherwise)
        if number != after and runs[-1][1] != otherwise:
            runs.append((after, otherwise))
        if made[key] != runs[-1][1]:
            runs.append((number, made[key]))
        after = number + 1
    if runs[-1][1] != newer:
        runs.append((after, newer))
    return [run for run, following in zip(runs, runs[1:] + [None]) if following is None or following[0] != run[0]]


def _tree(program, runs):
    """A balanced search for the run that holds the loaded number."""
    if len(runs) == 1:
        return runs[0][1]
    middle = len(runs) // 2
    high, low = _tree(program, runs[middle:]), _tree(program, runs[:middle])
    return program.branch(JGE, runs[middle][0], high, low)


def _chain(program, rules, otherwise):
    """Rules in their order; what no rule decides goes on at `otherwise`."""
    label = otherwise
    for rule in reversed(rules):
        decided = program.give(rule.value)
        failed = label
        if not rule.alternatives:
            label = decided
        for condition in reversed(rule.conditions):
            yes, no = (decided, label) if rule.alternatives else (label, failed)
            label = _condition(program, condition, yes, no)
    return label


def _condition(program, condition, yes, no):
    """One condition on an argument of 64 bits, of which 32 are compared at a time, the upper ones first."""
    index, operator, value, second = condition
    low_at = _ARGUMENTS + 8 * index
    high_at = low_at + 4
    if operator in ("NE", "LT", "LE"):  # the opposites of these
        operator, yes, no = {"NE": "EQ", "LT": "GE", "LE": "GT"}[operator], no, yes
    high, low = value >> 32 & 0xFFFFFFFF, value & 0xFFFFFFFF
    if operator == "MASKED_EQ":
        lower = program.mask(low, program.branch(JEQ, second & 0xFFFFFFFF, yes, no))
        lower = program.load(low_at, lower)
        upper = program.mask(high, program.branch(JEQ, second >> 32 & 0xFFFFFFFF, lower, no))
        return program.load(high_at, upper)
    if operator == "EQ":
        lower = program.load(low_at, program.branch(JEQ, low, yes, no))
        return program.load(high_at, program.branch(JEQ, high, lower, no))
    lower = program.load(low_at, program.branch(JGE if operator == "GE" else JGT, low, yes, no))
    equal = program.branch(JEQ, high, lower, no)
    return program.load(high_at, program.branch(JGT, high, yes, equal))
