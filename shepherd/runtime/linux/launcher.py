"""A program of a few dozen instructions that becomes another one.

A process that executes the user's program is, until then, this machine's Python: /proc/self/exe inside is the file of
the interpreter, and an image whose entry point is /proc/self/exe, or a script or a loader that leads there, would run
it inside and could reach its file to write to it (CVE-2019-5736). So the last step goes through a file in memory that
is sealed against writing and holds nothing but the system calls that are left: by then /proc/self/exe leads to that.

ELF is described in elf(5); the encodings are those of the processors' manuals (Intel SDM volume 2; Arm ARM C6).
"""

import _struct as struct  # struct itself is one more file to find and to read
import os

from shepherd.runtime.linux import syscalls

_BASE = 0x400000
# machine: (ELF's number of it, system calls)
_MACHINES = {
    "x86_64": (62, {"fcntl": 72, "seccomp": 317, "execve": 59, "write": 1, "exit": 231}),
    "aarch64": (183, {"fcntl": 25, "seccomp": 277, "execve": 221, "write": 64, "exit": 94}),
}


def _call_x86_64(number, arguments):
    registers = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba")  # movabs rdi, rsi, rdx, r10
    code = b"".join(register + struct.pack("<Q", value) for register, value in zip(registers, arguments))
    return code + b"\x48\xb8" + struct.pack("<Q", number) + b"\x0f\x05"  # movabs rax; syscall


def _load_aarch64(register, value):
    code = struct.pack("<I", 0xD2800000 | (value & 0xFFFF) << 5 | register)  # movz
    for part in (1, 2, 3):
        half = value >> 16 * part & 0xFFFF
        if half:
            code += struct.pack("<I", 0xF2800000 | part << 21 | half << 5 | register)  # movk
    return code


def _call_aarch64(number, arguments):
    code = b"".join(_load_aarch64(register, value) for register, value in enumerate(arguments))
    return code + _load_aarch64(8, number) + b"\x01\x00\x00\xd4"  # svc 0


def _code_x86_64(calls, report):
    """Jumps to the report where a call that has to succeed does not: test rax, rax; jnz."""
    report = b"\x50\x48\x89\xe6" + report  # push rax; mov rsi, rsp
    code = b""
    for text, checked in reversed(calls):
        code = text + (b"\x48\x85\xc0\x0f\x85" + struct.pack("<i", len(code)) if checked else b"") + code
    return code + report


def _code_aarch64(calls, report):
    """The same: cbnz x0. Distances count from the jump itself, in instructions."""
    report = b"\xe0\x0f\x1f\xf8\xe1\x03\x00\x91" + report  # str x0, [sp, #-16]!; mov x1, sp
    code = b""
    for text, checked in reversed(calls):
        jump = struct.pack("<I", 0xB5000000 | (len(code) // 4 + 1) << 5) if checked else b""
        code = text + jump + code
    return code + report


def program(path: bytes, arguments: list, environment: list, report: int, filter_=None, filtered=False, machine=None):
    """The launcher as the bytes of an ELF file; None for a machine that it is not written for.

    `arguments` and `environment` ("NAME=value") are lists of bytes. `report` is a descriptor that is closed when
    `path` was executed; otherwise the result of execve(2) is written to it, eight bytes, little endian. `filter_` is
    (flags, BPF program) for seccomp(2), installed last of all; `filtered` says that one is in force already, which
    may refuse calls. An entry point that leads back here ends: its descriptor is closed by then.
    """
    machine = machine or syscalls._MACHINE
    if machine not in _MACHINES:
        return None
    number, names = _MACHINES[machine]
    call = _call_x86_64 if machine == "x86_64" else _call_aarch64
    data = bytearray(64 + 2 * 56)  # the headers come here
    program_at = _add(data, path + b"\0")
    lists = []
    for strings in (arguments, environment):
        places = [_add(data, one + b"\0") for one in strings]
        lists.append(_add(data, struct.pack("<%dQ" % (len(places) + 1), *(places + [0])), 8))
    calls = [(call(names["fcntl"], (report, 2, 1)), not filtered)]  # F_SETFD, FD_CLOEXEC
    if filter_ is not None:
        flags, code = filter_
        where = _add(data, struct.pack("<HxxxxxxQ", len(code) // 8, _add(data, code, 8)), 8)
        calls.append((call(names["seccomp"], (1, flags, where)), True))  # SECCOMP_SET_MODE_FILTER
    calls.append((call(names["execve"], (program_at, lists[0], lists[1])), False))
    said = _report(machine, call, names, report)
    entry = _add(data, b"", 16)
    data += (_code_x86_64 if machine == "x86_64" else _code_aarch64)(calls, said)
    data[:64] = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, number, 1, entry, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    data[64:120] = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, len(data), len(data), 0x1000)  # PT_LOAD, R+X
    data[120:176] = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)  # PT_GNU_STACK, not executable
    return bytes(data)


def _report(machine, call, names, report):
    """write(report, top of the stack, 8); exit_group(127). The second argument is in its register already."""
    if machine == "x86_64":
        descriptor = b"\x48\xbf" + struct.pack("<Q", report) + b"\x48\xba" + struct.pack("<Q", 8)
        return descriptor + b"\x48\xb8" + struct.pack("<Q", names["write"]) + b"\x0f\x05" + call(names["exit"], (127,))
    code = _load_aarch64(0, report) + _load_aarch64(2, 8) + _load_aarch64(8, names["write"]) + b"\x01\x00\x00\xd4"
    return code + call(names["exit"], (127,))


def _add(data, more, alignment=1):
    """Append, and return the address at which it will be."""
    data += b"\0" * (-len(data) % alignment)
    place = _BASE + len(data)
    data += more
    return place


_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, _SHRINK, _GROW, _WRITE
_F_ADD_SEALS = 1033


def sealed(content: bytes, size=None) -> int:
    """A file in memory that nobody can change any more, closed on execve. Raises OSError.

    With a `size` zeros follow the content.
    """
    import fcntl

    flags = syscalls.MFD_CLOEXEC | syscalls.MFD_ALLOW_SEALING
    try:
        descriptor = syscalls.memfd_create("init", flags | syscalls.MFD_EXEC)
    except OSError:
        descriptor = syscalls.memfd_create("init", flags)  # before Linux 6.3
    os.write(descriptor, content)
    if size:
        os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEALS)
    return descriptor
