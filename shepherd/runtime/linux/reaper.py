"""A first process for containers whose program is none: it passes signals on and takes care of orphans (--init).

A process 1 whose program has no handler for a signal does not get it, and what its children leave is for it to wait
for; few programs do. This one is a program of 300 bytes, made here, since an image has none that could be relied on:

    block all signals; fork; the child: execve(argv[1], argv + 2, environment)
    again and again: the next signal; one of the terminal's has reached the child by itself; any other is sent to it;
    at SIGCHLD wait for all that have ended; when the child has, end as it did, and the kernel ends the rest

It is there for x86_64 (Intel SDM volume 2; system calls as in <asm/unistd_64.h>) and for aarch64 (Arm ARM, C6;
<asm-generic/unistd.h>), step by step the same. ELF is described in elf(5).
"""

import struct

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls

_BASE = 0x400000
_SIGCHLD, _SI_KERNEL = 17, 0x80

# (label or None, machine code, label that the four bytes after it lead to or None)
_X86_64 = (
    (None, "4c8b2424", None),  # mov r12, [rsp]: argc
    (None, "4c8d6c2410", None),  # lea r13, [rsp+16]: argv + 1
    (None, "4e8d74e410", None),  # lea r14, [rsp+8*r12+16]: the environment
    (None, "4881ec00010000", None),  # sub rsp, 256
    (None, "48c70424ffffffff", None),  # mov qword [rsp], -1: all signals
    (None, "b80e000000 31ff 4889e6 488d542408 41ba08000000 0f05", None),  # rt_sigprocmask(SIG_BLOCK, rsp, rsp+8, 8)
    (None, "b839000000 0f05", None),  # fork()
    (None, "85c0 0f85", "parent"),  # test eax, eax; jnz
    (None, "b80e000000 bf02000000 488d742408 31d2 41ba08000000 0f05", None),  # rt_sigprocmask(SIG_SETMASK, rsp+8, 0, 8)
    (None, "498b7d00 498d7508 4c89f2 b83b000000 0f05", None),  # execve([r13], r13+8, r14)
    (None, "bf7f000000 83f8fe 0f84", "exit"),  # mov edi, 127; cmp eax, -ENOENT; je
    (None, "bf7e000000", None),  # mov edi, 126
    ("exit", "b8e7000000 0f05", None),  # exit_group(edi)
    ("parent", "4189c7", None),  # mov r15d, eax
    ("next", "b880000000 4889e7 488d742420 31d2 41ba08000000 0f05", None),  # rt_sigtimedwait(rsp, rsp+32, 0, 8)
    (None, "85c0 0f88", "next"),  # test eax, eax; js
    (None, "83f8%02x 0f84" % _SIGCHLD, "reap"),  # cmp eax, SIGCHLD; je
    (None, "817c2428%02x000000 0f84" % _SI_KERNEL, "next"),  # cmp dword [rsp+40], SI_KERNEL: si_code; je
    (None, "89c6 4489ff b83e000000 0f05 e9", "next"),  # kill(r15, eax); jmp
    ("reap", "b83d000000 48c7c7ffffffff 488d742410 ba01000000 4531d2 0f05", None),  # wait4(-1, rsp+16, WNOHANG, 0)
    (None, "85c0 0f8e", "next"),  # test eax, eax; jle
    (None, "4439f8 0f85", "reap"),  # cmp eax, r15d; jne
    (None, "8b442410 89c7 83e77f 0f84", "exited"),  # mov eax, [rsp+16]; mov edi, eax; and edi, 127; jz
    (None, "81c780000000 e9", "exit"),  # add edi, 128; jmp
    ("exited", "c1e808 0fb6f8 e9", "exit"),  # shr eax, 8; movzx edi, al; jmp
)
# the same, in words of 32 bits; here the last word is a branch, b or b.cond, that leads to the label
_AARCH64 = (
    (None, "f94003f3 910043f4", None),  # ldr x19, [sp]: argc; add x20, sp, 16: argv + 1
    (None, "8b336ff5 910042b5", None),  # add x21, sp, x19, lsl 3; add x21, x21, 16: the environment
    (None, "d10403ff 92800000 f90003e0", None),  # sub sp, sp, 256; mov x0, -1; str x0, [sp]: all signals
    (None, "d28010e8 d2800000 910003e1 910023e2 d2800103 d4000001", None),  # rt_sigprocmask(SIG_BLOCK, sp, sp+8, 8)
    (None, "d2801b88 d2800220 d2800001 d2800002 d2800003 d2800004 d4000001", None),  # clone(SIGCHLD, 0, 0, 0, 0)
    (None, "f100001f 54000001", "parent"),  # cmp x0, 0; b.ne
    (None, "d28010e8 d2800040 910023e1 d2800002 d2800103 d4000001", None),  # rt_sigprocmask(SIG_SETMASK, sp+8, 0, 8)
    (None, "d2801ba8 f9400280 91002281 aa1503e2 d4000001", None),  # execve([x20], x20+8, x21)
    (None, "aa0003e9 d2800fe0 b100093f 54000000", "exit"),  # mov x9, x0; mov x0, 127; cmn x9, ENOENT; b.eq
    (None, "d2800fc0", None),  # mov x0, 126
    ("exit", "d2800bc8 d4000001", None),  # exit_group(x0)
    ("parent", "aa0003f6", None),  # mov x22, x0
    ("next", "d2801128 910003e0 910083e1 d2800002 d2800103 d4000001", None),  # rt_sigtimedwait(sp, sp+32, 0, 8)
    (None, "7100001f 5400000b", "next"),  # cmp w0, 0; b.lt
    (None, "7100441f 54000000", "reap"),  # cmp w0, SIGCHLD; b.eq
    (None, "b9402be9 7102013f 54000000", "next"),  # ldr w9, [sp, 40]: si_code; cmp w9, SI_KERNEL; b.eq
    (None, "aa0003e1 aa1603e0 d2801028 d4000001 14000000", "next"),  # kill(x22, x0); b
    ("reap", "d2802088 92800000 910043e1 d2800022 d2800003 d4000001", None),  # wait4(-1, sp+16, WNOHANG, 0)
    (None, "7100001f 5400000d", "next"),  # cmp w0, 0; b.le
    (None, "6b16001f 54000001", "reap"),  # cmp w0, w22; b.ne
    (None, "b94013e9 7200192a 54000000", "exited"),  # ldr w9, [sp, 16]; ands w10, w9, 127; b.eq
    (None, "11020140 14000000", "exit"),  # add w0, w10, 128; b
    ("exited", "53083d20 14000000", "exit"),  # ubfx w0, w9, 8, 8; b
)


def _linked_x86_64():
    code = bytearray()
    labels, jumps = {}, []
    for label, text, target in _X86_64:
        if label:
            labels[label] = len(code)
        code += bytes.fromhex(text.replace(" ", ""))
        if target:
            code += bytes(4)
            jumps.append((len(code), target))
    for place, target in jumps:
        struct.pack_into("<i", code, place - 4, labels[target] - place)
    return bytes(code)


def _linked_aarch64():
    words = []
    labels, jumps = {}, []
    for label, text, target in _AARCH64:
        if label:
            labels[label] = len(words)
        words += [int(word, 16) for word in text.split()]
        if target:
            jumps.append((len(words) - 1, target))
    for place, target in jumps:
        distance = labels[target] - place  # in words, from the branch itself
        words[place] |= distance & 0x3FFFFFF if words[place] >> 26 == 5 else (distance & 0x7FFFF) << 5
    return struct.pack("<%dI" % len(words), *words)


_MACHINES = {"x86_64": (62, _linked_x86_64), "aarch64": (183, _linked_aarch64)}  # ELF's number of it


def program(machine=None) -> bytes:
    """The program as an ELF file. Raises RuntimeFailure on a machine that it is not written for."""
    machine = machine or syscalls._MACHINE
    if machine not in _MACHINES:
        raise RuntimeFailure("--init: is there for x86_64 and aarch64", "an image's own init, as its entry point")
    number, linked = _MACHINES[machine]
    code = linked()
    start = 64 + 2 * 56
    size = start + len(code)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, number, 1, _BASE + start, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)  # PT_LOAD, R+X
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)  # PT_GNU_STACK, not executable
    return header + load + stack + code
