"""A first process for containers whose program is none: it passes signals on and takes care of orphans (--init).

A process 1 whose program has no handler for a signal does not get it, and what its children leave is for it to wait
for; few programs do. This one is a program of 300 bytes, made here, since an image has none that could be relied on:

    block all signals; fork; the child: execve(argv[1], argv + 2, environment)
    again and again: the next signal; one of the terminal's has reached the child by itself; any other is sent to it;
    at SIGCHLD wait for all that have ended; when the child has, end as it did, and the kernel ends the rest

It is for x86_64 (Intel SDM volume 2; system calls as in <asm/unistd_64.h>). ELF is described in elf(5).
"""

import struct

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import syscalls

_BASE = 0x400000
_SIGCHLD, _SI_KERNEL = 17, 0x80

# (label or None, machine code, label that the four bytes after it lead to or None)
_CODE = (
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


def program() -> bytes:
    """The program as an ELF file. Raises RuntimeFailure on a machine that it is not written for."""
    if syscalls._MACHINE != "x86_64":
        raise RuntimeFailure("--init: is there for x86_64 alone", "an image's own init, as its entry point")
    code = bytearray()
    labels, jumps = {}, []
    for label, text, target in _CODE:
        if label:
            labels[label] = len(code)
        code += bytes.fromhex(text.replace(" ", ""))
        if target:
            code += bytes(4)
            jumps.append((len(code), target))
    for place, target in jumps:
        struct.pack_into("<i", code, place - 4, labels[target] - place)
    start = 64 + 2 * 56
    size = start + len(code)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, _BASE + start, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)  # PT_LOAD, R+X
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)  # PT_GNU_STACK, not executable
    return header + load + stack + bytes(code)
