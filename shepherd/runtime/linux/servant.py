"""A process of some forty instructions that does the system calls it is told to.

What only a container's first process can do for itself (take its capabilities away, go into its control groups, become
the program) is a list of system calls. A fork of this Python that makes them has to copy what it touches of the memory
of this one, page by page, and to take it all apart in the end, which is a large part of a start's time. So the process
is one that has no memory to copy: it reads packets of calls from a socket, makes them, and answers with the results.
It ends when the other end is closed. What it is a part of is decided here, in Python.

    packet     number of calls | length of the packet | calls, of eight words each | bytes that they point to
    call       number, then result | six arguments | flags

The kernel starts it with this process's memory (CLONE_VM), of which it changes nothing, not even the stack, until it
executes its file. That is in memory, sealed, and has nothing of the machine's in it: /proc/self/exe inside leads to it
(CVE-2019-5736). clone3(2), execveat(2), elf(5); the instructions are in the processors' manuals (Intel SDM volume 2;
Arm ARM C6).
"""

import _struct as struct  # struct itself is one more file to find and to read
import errno
import os
import sys

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import foreign, launcher, syscalls
from shepherd.runtime.linux.foreign import c_char_p, c_int, c_long, c_ulong

_CODE, _DATA = 0x400000, 0x500000  # where its file is in its memory: a page of instructions, then the packet
_PACKET = 64  # where in its data; before it is the number of the socket
_ROOM = 0xFF00  # for a packet
_PAGE = 0x1000  # where the data is in its file

# begin: read a packet; make the calls up to one that fails and must not; answer; again. spawn: clone3; ret, or execveat
_X86_64 = """
    41be00005000                mov r14, DATA
    418b3e 498d7640 ba00ff0000 31c0 0f05        next: rax = read([r14], r14 + 64, ROOM)
    4885c0 7e6f                 if rax <= 0: goto end
    4d8b6640 498d5e50           r12 = number of calls; rbx = the first
    49ffcc 784b                 loop: if --r12 < 0: goto reply
    488b03 488b7b08 488b7310 488b5318 4c8b5320 4c8b4328 4c8b4b30    rax, rdi, rsi, rdx, r10, r8, r9 = [rbx] …
    8b6b38                      ebp = flags
    f7c502000000 490f45fd       if KEPT: rdi = r13
    0f05 488903                 [rbx] = syscall
    f7c504000000 4c0f45e8       if KEEP: r13 = rax
    4883c340                    rbx += 64
    f7c501000000 75b8           if MAY_FAIL: goto loop
    483d01f0ffff 72b0           if rax is no error: goto loop
    418b3e 498d7640 498b5648 b801000000 0f05    reply: write([r14], r14 + 64, length)
    e97cffffff                  goto next
    bf7f000000 b8e7000000 0f05  end: exit_group(127)
    4989ca b8b3010000 0f05      spawn: r10 = rcx; rax = clone3(rdi, rsi)
    85c0 7401 c3                if eax != 0: return
    89d7 488d3515000000 4c89d2 4d89c2 41b800100000 b842010000 0f05  execveat(edx, "", r10, r8, AT_EMPTY_PATH)
    ebc7 00                     goto end; ""
"""
_AARCH64 = """
    160aa0d2                    mov x22, DATA
    c00240b9 c1020191 02e09fd2 e80780d2 010000d4    next: x0 = read([x22], x22 + 64, ROOM)
    1f0000f1 0d030054           if x0 <= 0: goto end
    d42240f9 d3420191           x20 = number of calls; x19 = the first
    940600f1 c4010054           loop: if --x20 < 0: goto reply
    680240a9 610a41a9 631242a9 655643a9     x8, x0 … x5, x21 = [x19] …
    bf027ff2 e012809a           if KEPT: x0 = x23
    010000d4 600604f8           [x19], x19 += 64 = svc
    bf027ef2 1710979a           if KEEP: x23 = x0
    95fe0737                    if MAY_FAIL: goto loop
    1ffc3fb1 43feff54           if x0 is no error: goto loop
    c00240b9 c1020191 c22640f9 080880d2 010000d4    reply: write([x22], x22 + 64, length)
    e3ffff17                    goto next
    e00f80d2 c80b80d2 010000d4  end: exit_group(127)
    683680d2 010000d4           spawn: x0 = clone3(x0, x1)
    400000b4 c0035fd6           if x0 != 0: return
    e003022a e1000010 e20303aa e30304aa 040082d2 282380d2 010000d4  execveat(w2, "", x3, x4, AT_EMPTY_PATH)
    f2ffff17 00000000           goto end; ""
"""
_NAMES = (
    "prctl fcntl close_range unshare setsid rt_sigaction rt_sigprocmask openat flock write close mount chdir fchdir "
    "pivot_root umount2 getcwd statx personality setgroups setresgid setresuid capset umask seccomp execve"
).split()
# machine: (instructions, where in them spawn is, numbers of the calls as in <asm/unistd.h>)
_MACHINES = {
    "x86_64": (
        _X86_64,
        0x96,
        (157, 72, 436, 272, 112, 13, 14, 257, 73, 1, 3, 165, 80, 81)
        + (155, 166, 79, 332, 135, 116, 119, 117, 126, 95, 317, 59),
    ),
    "aarch64": (
        _AARCH64,
        0x88,
        (167, 25, 436, 97, 157, 134, 135, 56, 32, 64, 57, 40, 49, 50)
        + (41, 39, 17, 291, 92, 159, 149, 147, 91, 166, 277, 221),
    ),
}
_MAY_FAIL, _KEPT, _KEEP = 1, 2, 4
_NOTHING = [[0] * (6 - count) for count in range(7)]  # for arguments that a call of so many has not
_PADDING = [bytes(8 - count) for count in range(8)]  # at least a NUL, up to the next word
_CLONE_VM, _CLONE_CLEAR_SIGHAND, _CLONE_INTO_CGROUP = 0x100, 0x100000000, 0x200000000
# what it is executed with: it looks at it when this process is on its way again
_NAME, _ENVIRONMENT = b"init", bytes(8)
_WORDS = foreign.address(_NAME) + bytes(8)
_mmap = foreign.typed("mmap", c_long, c_ulong, c_int, c_int, c_int, c_long, result=c_long)

KEPT = object()  # as a call's first argument: the result of the last call before it that says `keep`


class Call:
    """One system call. Arguments are numbers, None for no pointer, bytes (a NUL is put behind them), lists of bytes,
    bytearrays, which are what the kernel has made of them afterwards, or functions that are given one that places
    bytes and returns their address, and return bytes.

    Where it fails, the calls after it are not made, unless it `may_fail`. What is said then begins with `about`.
    """

    def __init__(self, name: str, *arguments, keep: bool = False, may_fail: bool = False, about=None, hint=None):
        self.name = name
        self.arguments = arguments
        self.flags = _KEEP * keep | _MAY_FAIL * may_fail | (_KEPT if arguments and arguments[0] is KEPT else 0)
        self.about = about
        self.hint = hint
        self.result = None  # of one that may fail: an errno as a negative number


class Ended(RuntimeFailure):
    """It is not there any more."""

    def __init__(self):
        super().__init__("the container's process ended before it was ready")


class Servant:
    """Such a process. `pid` is its number here."""

    def __init__(self, pid: int, end):
        self.pid = pid
        self._end = end
        self._waiting = []  # packets without an answer yet

    def begin(self, *calls) -> None:
        """Have it make these calls, one after another, while we do something else."""
        packet = _Packet(calls)
        self._waiting.append(packet)
        try:
            self._end.send(packet.data)
        except OSError:
            pass  # it has ended, as `finish` will find

    def finish(self) -> bool:
        """Wait for what it was told to do: whether it is still there. Raises RuntimeFailure or OSError.

        It is the caller's to take that for a failure: when it has become a program the other end is closed, too.
        """
        while self._waiting:
            packet = self._waiting[0]
            try:
                answer = self._end.recv(len(packet.data) + 1)
            except ConnectionResetError:
                answer = b""
            if not answer:
                return False
            del self._waiting[0]
            packet.take(answer)
        return True

    def do(self, *calls) -> None:
        """Both. Raises what they raise, and Ended."""
        self.begin(*calls)
        if not self.finish():
            raise Ended()

    def close(self) -> None:
        """Let it end, if it is not the program yet."""
        self._end.close()


class _Packet:
    def __init__(self, calls):
        self.calls = calls
        self._places = []  # (bytearray, where it is)
        self._parts = []  # the bytes behind the calls, and how far they go
        self._end = 16 + 64 * len(calls)
        words = [len(calls), 0]
        for call in calls:
            words.append(_NUMBERS[call.name])
            for one in call.arguments:
                words.append(one if one.__class__ is int else self._address(one))
            words += _NOTHING[len(call.arguments)]
            words.append(call.flags)
        words[1] = self._end
        if self._end > _ROOM:
            raise RuntimeFailure("the arguments and the environment are too long")
        self.data = b"".join([struct.pack("=%dq" % len(words), *words)] + self._parts)

    def _address(self, value):
        if value.__class__ is bytes:
            return self._place(value)
        if value is None or value is KEPT:
            return 0
        if callable(value):
            value = value(self._place)
        elif isinstance(value, list):
            value = struct.pack("=%dQ" % (len(value) + 1), *([self._place(one) for one in value] + [0]))
        return self._place(value)

    def _place(self, value):
        """The address that these bytes will have."""
        place = self._end
        if isinstance(value, bytearray):
            self._places.append((value, place))
        padding = _PADDING[len(value) % 8]
        self._parts += value, padding
        self._end += len(value) + len(padding)
        return _DATA + _PACKET + place

    def take(self, answer):
        """What came of it."""
        for value, place in self._places:
            value[:] = answer[place : place + len(value)]
        results = struct.unpack_from("=" + "q56x" * len(self.calls), answer, 16)
        for call, call.result in zip(self.calls, results):
            if -4096 < call.result < 0 and not call.flags & _MAY_FAIL:
                if call.about is None:
                    raise OSError(-call.result, os.strerror(-call.result))
                raise RuntimeFailure("%s: %s" % (call.about, os.strerror(-call.result)), call.hint)


def able() -> bool:
    """Whether there can be servants: on two kinds of machine, where Linux is 5.9 or newer, and where a file in memory
    may be executed. It is tried once."""
    if not _FUNCTIONS:
        try:
            _FUNCTIONS.append(_spawn_function())
        except OSError:
            _FUNCTIONS.append(None)
    return _FUNCTIONS[0] is not None


_FUNCTIONS = []


def room(size: int) -> bool:
    """Whether so many bytes of arguments fit into a packet."""
    return size < _ROOM // 2


def spawn(door: int, cradle=None) -> int:
    """Start one that listens at the socket `door`, whose number it has there, too: its pid.

    `cradle` is the descriptor of a control group of version 2 that it is born in. It has the namespaces of this thread,
    its open files but those that are closed on execve, and its signal mask; until its first answer, its memory. Raises
    OSError.
    """
    file = launcher.sealed(content(door), SIZE)
    flags = _CLONE_VM | _CLONE_CLEAR_SIGHAND | (_CLONE_INTO_CGROUP if cradle is not None else 0)
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, …, cgroup
    arguments = struct.pack("=QQQQQQQQQQQ", flags, 0, 0, 0, 17, 0, 0, 0, 0, 0, cradle or 0)  # SIGCHLD
    try:
        pid = _FUNCTIONS[0](arguments, len(arguments), file, _WORDS, _ENVIRONMENT)
    finally:
        os.close(file)
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid


def _spawn_function():
    """The second part of the instructions, in this process's memory. Raises OSError."""
    if syscalls._MACHINE not in _MACHINES or sys.maxsize < 1 << 32:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    try:
        syscalls.close_range(1, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:  # which it is
            raise
    file = launcher.sealed(content(0))
    try:
        place = _mmap(0, _PAGE, 0x1 | 0x4, 0x2, file, 0)  # PROT_READ, PROT_EXEC; MAP_PRIVATE
    finally:
        os.close(file)
    if place == -1:
        raise OSError(foreign.get_errno(), "mmap")
    start = place + _HEADERS + _MACHINES[syscalls._MACHINE][1]
    function = foreign.at(start, c_char_p, c_ulong, c_int, c_char_p, c_char_p)
    refusal = -function(b"", 0, -1, None, None)  # of a structure without a size, unless a filter knows no such call
    if refusal != errno.EINVAL:
        raise OSError(refusal, "clone3")
    return function


_HEADERS = 64 + 3 * 56


def content(door: int, machine: str = syscalls._MACHINE) -> bytes:
    """Its file without the zeros that follow, as elf(5) has it. `door` is the number of its socket."""
    number, code = launcher._MACHINES[machine][0], _instructions(machine)
    head = (b"\x7fELF\x02\x01\x01", 2, number, 1, _CODE + _HEADERS, 64, 0, 0, 64, 56, 3, 64, 0, 0)
    size, space = _HEADERS + len(code), _PACKET + _ROOM
    parts = [
        struct.pack("<16sHHIQQQIHHHHHH", *head),
        struct.pack("<IIQQQQQQ", 1, 5, 0, _CODE, _CODE, size, size, _PAGE),  # PT_LOAD, R+X
        struct.pack("<IIQQQQQQ", 1, 6, _PAGE, _DATA, _DATA, space, space, _PAGE),  # PT_LOAD, R+W
        struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16),  # PT_GNU_STACK, not executable
        code,
    ]
    return b"".join(parts).ljust(_PAGE, b"\0") + struct.pack("<Q", door)


SIZE = _PAGE + _PACKET + _ROOM  # of its file


def _instructions(machine):
    if machine not in _CODES:
        _CODES[machine] = b"".join(_encoded(line) for line in _MACHINES[machine][0].splitlines())
    return _CODES[machine]


_CODES = {}


def _encoded(line):
    """Of a line of the listing: hexadecimal words, two spaces apart from the rest."""
    return bytes.fromhex(line.strip().partition("  ")[0])


_NUMBERS = dict(zip(_NAMES, _MACHINES.get(syscalls._MACHINE, ((), 0, ()))[2]))
