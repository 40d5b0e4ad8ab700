"""Device rules of version 2: a program that the kernel asks for each opening and making of a device node.

bpf(2); Documentation/bpf/standardization/instruction-set.rst; Documentation/admin-guide/cgroup-v2.rst, "Device
controller". A request (struct bpf_cgroup_dev_ctx of <linux/bpf.h>) is three numbers of 32 bits: the type of the device
with the kinds of access above it, major, minor. The program returns 1 to allow it.
"""

import os
import struct

from shepherd.runtime.linux import foreign, syscalls

_INSTRUCTION = struct.Struct("=BBhi")
_LOAD, _MOVE, _COPY, _AND, _SHIFT_RIGHT = 0x61, 0xB7, 0xBF, 0x57, 0x77  # ldxw; mov64 imm; mov64 reg; and64; rsh64
_JUMP, _IF_NOT, _IF_SET, _EXIT = 0x05, 0x55, 0x45, 0x95  # ja; jne64; jset64; exit
_RESULT, _REQUEST, _TYPE, _LEFT, _MAJOR, _MINOR = range(6)  # registers r0 to r5

_TYPES = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_*
_ACCESS = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_*

_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_PROG_TYPE_CGROUP_DEVICE = 15
_CGROUP_DEVICE = 6  # enum bpf_attach_type
_ALLOW_MULTI = 2  # every program of a group, and of those above, has to allow
_MOST = 64  # BPF_CGROUP_MAX_PROGS


def assemble(rules: list) -> bytes:
    """The instructions for devices.Rules: from the last to the first, since the last that speaks of an access decides.

    _LEFT holds the kinds of access that no rule has decided yet.
    """
    code = [
        (_LOAD, _REQUEST, _TYPE, 0, 0),
        (_COPY, _TYPE, _LEFT, 0, 0),
        (_SHIFT_RIGHT, 0, _LEFT, 0, 16),
        (_AND, 0, _TYPE, 0, 0xFFFF),
        (_LOAD, _REQUEST, _MAJOR, 4, 0),
        (_LOAD, _REQUEST, _MINOR, 8, 0),
    ]
    for rule in reversed(rules):
        if rule.covers_all():
            return _packed(code + _end(rule.allow))
        code += _rule(rule)
    return _packed(code + _end(False))


def _end(allow):
    return [(_MOVE, 0, _RESULT, 0, int(allow)), (_EXIT, 0, 0, 0, 0)]


def _rule(rule):
    bits = sum(_ACCESS[letter] for letter in rule.access)
    if rule.allow:
        verdict = [(_AND, 0, _LEFT, 0, ~bits), (_IF_NOT, 0, _LEFT, 2, 0)] + _end(True)
    else:
        verdict = [(_IF_SET, 0, _LEFT, 1, bits), (_JUMP, 0, 0, 2, 0)] + _end(False)
    tests = [(_TYPE, _TYPES.get(rule.kind)), (_MAJOR, rule.major), (_MINOR, rule.minor)]
    for register, value in reversed(tests):
        if value is not None:
            verdict.insert(0, (_IF_NOT, 0, register, len(verdict), value))
    return verdict


def _packed(code):
    """struct bpf_insn: the operation, source and destination in one byte, an offset, a number."""
    little = struct.pack("=H", 1)[0] == 1
    return b"".join(
        _INSTRUCTION.pack(operation, source << 4 | target if little else target << 4 | source, offset, number)
        for operation, source, target, offset, number in code
    )


def load(code: bytes) -> int:
    """The program in the kernel, as a descriptor. Raises OSError."""
    licence = b"Apache-2.0\0"
    attributes = struct.pack("=II", _PROG_TYPE_CGROUP_DEVICE, len(code) // 8)
    attributes += foreign.address(code) + foreign.address(licence) + struct.pack("=IIQII", 0, 0, 0, 0, 0)
    try:
        return syscalls.bpf(_PROG_LOAD, attributes)
    except PermissionError:
        if os.geteuid() != 0:
            raise
        # before Linux 5.11 programs count as locked memory
        import resource

        limits = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        try:
            return syscalls.bpf(_PROG_LOAD, attributes)
        finally:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, limits)


def attach(folder: str, rules: list, again: bool = False) -> None:
    """Let the group in a folder of version 2 do what these rules allow, and no more. Raises OSError.

    With `again`, what was attached before is taken away after that: meanwhile both have to allow.
    """
    group = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        program = load(assemble(rules))
        try:
            former = attached(group) if again else []
            syscalls.bpf(_PROG_ATTACH, struct.pack("=IIII", group, program, _CGROUP_DEVICE, _ALLOW_MULTI))
        finally:
            os.close(program)
        for number in former:
            _detach(group, number)
    finally:
        os.close(group)


def attached(group: int) -> list:
    """The numbers of the programs that are attached to the group of a descriptor, not to those above it."""
    import ctypes

    numbers = (ctypes.c_uint32 * _MOST)()
    query = struct.pack("=IIIIQII", group, _CGROUP_DEVICE, 0, 0, ctypes.addressof(numbers), _MOST, 0)
    attributes = ctypes.create_string_buffer(query, len(query))
    syscalls.bpf(_PROG_QUERY, attributes)
    return list(numbers[: struct.unpack_from("=I", attributes, 24)[0]])


def _detach(group, number):
    program = syscalls.bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))
    try:
        syscalls.bpf(_PROG_DETACH, struct.pack("=IIII", group, program, _CGROUP_DEVICE, 0))
    finally:
        os.close(program)
