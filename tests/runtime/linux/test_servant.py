"""The process that does the system calls it is told to, started from a program that has no threads."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shepherd.runtime.linux import launcher, servant
from tests.patience import seconds

CHECKOUT = Path(__file__).resolve().parents[3]
PROGRAM = """
import json, os, socket, sys
sys.path.insert(0, sys.argv[1])
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux.servant import KEPT, Call, Ended, Servant, able, spawn

def start():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.set_inheritable(theirs.fileno(), True)
    pid = spawn(theirs.fileno())
    theirs.close()
    return Servant(pid, ours)

found = {"able": able()}
one = start()
folder = bytearray(64)
failing = Call("chdir", b"/nowhere", may_fail=True)
one.do(
    failing,
    Call("openat", -100, b"/usr", os.O_RDONLY | os.O_CLOEXEC, keep=True),
    Call("fchdir", KEPT),
    Call("close", KEPT),
    Call("getcwd", folder, 64),
)
found["folder"] = bytes(folder).rstrip(b"\\0").decode()
found["failed"] = failing.result
found["ours"] = os.getcwd() == sys.argv[2]
try:
    one.do(Call("chdir", b"/nowhere", about="there"), Call("chdir", b"/"))
except RuntimeFailure as error:
    found["said"] = error.message
try:
    one.do(Call("chdir", b"/nowhere"))
except OSError as error:
    found["raised"] = type(error).__name__
found["stopped"] = os.readlink("/proc/%d/cwd" % one.pid)
found["program"] = os.readlink("/proc/%d/exe" % one.pid)
found["files"] = sorted(int(name) for name in os.listdir("/proc/%d/fd" % one.pid))[:3]
try:
    os.write(os.open("/proc/%d/exe" % one.pid, os.O_WRONLY), b"x")
except OSError as error:
    found["written"] = type(error).__name__
one.begin(Call("setsid"))
one.begin(Call("execve", b"/bin/sh", [b"sh", b"-c", b'echo "$A $0 $1"', b"x", b"y"], [b"A=1"], about="exec"))
found["there"] = one.finish()
found["ended"] = os.waitpid(one.pid, 0)[1]
two = start()
two.close()  # as when we are killed
found["left"] = os.WEXITSTATUS(os.waitpid(two.pid, 0)[1])
three = start()
os.kill(three.pid, 9)
os.waitpid(three.pid, 0)
try:
    three.do(Call("setsid"))
except Ended as error:
    found["lost"] = error.message
sys.stdout.flush()
print(json.dumps(found))
"""


def test_it_does_what_it_is_told_to(tmp_path: Path) -> None:
    argv = [sys.executable, "-I", "-c", PROGRAM, str(CHECKOUT), str(tmp_path)]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=seconds(30), stdin=subprocess.DEVNULL, cwd=tmp_path, check=False
    )
    assert not done.stderr
    said, answer = done.stdout.splitlines()
    found = json.loads(answer)
    assert said == "1 x y"
    assert found.pop("written") in ("OSError", "PermissionError")  # "text file busy", or sealed
    assert found == {
        "able": True,
        "folder": "/usr",
        "failed": -2,
        "ours": True,
        "said": "there: No such file or directory",
        "raised": "FileNotFoundError",
        "stopped": "/usr",
        "program": "/memfd:init (deleted)",
        "files": [0, 1, 2],
        "there": False,
        "ended": 0,
        "left": 127,
        "lost": "the container's process ended before it was ready",
    }


def test_the_instructions_for_the_other_machine() -> None:
    """The whole of a packet, by an emulator of its processor."""
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("needs an emulator of aarch64 (Debian: qemu-user-static)")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    content = servant.content(theirs.fileno(), "aarch64").ljust(servant.SIZE, b"\0")
    program = launcher.sealed(content)
    path = f"/proc/{os.getpid()}/fd/{program}"
    process = subprocess.Popen([emulator, path], pass_fds=[theirs.fileno()])
    theirs.close()
    openat, close, chdir, getpid = 56, 57, 49, 172
    words = [4, 16 + 64 * 4 + 24]
    text = servant._DATA + servant._PACKET + 16 + 64 * 4
    words += [chdir, text, 0, 0, 0, 0, 0, 1]  # /nowhere, which may fail
    words += [openat, -100, text + 16, 0, 0, 0, 0, 4]  # /, which is kept
    words += [close, 99, 0, 0, 0, 0, 0, 2]  # what is kept, and not 99
    words += [close, 99, 0, 0, 0, 0, 0, 0]  # fails
    data = b"".join(word.to_bytes(8, "little", signed=True) for word in words) + b"/nowhere".ljust(16, b"\0") + b"/"
    ours.settimeout(seconds(30))
    ours.send(data.ljust(words[1], b"\0"))
    answer = ours.recv(1 << 16)
    results = [int.from_bytes(answer[16 + 64 * at :][:8], "little", signed=True) for at in range(4)]
    assert results[0] == -2
    assert results[1] > 2
    assert results[2:] == [0, -9]
    last = [2, 16 + 128, chdir, 0, 0, 0, 0, 0, 0, 0, getpid, 0, 0, 0, 0, 0, 0, 0]  # stops at what fails
    ours.send(b"".join(word.to_bytes(8, "little", signed=True) for word in last))
    assert int.from_bytes(ours.recv(1 << 16)[16 + 64 :][:8], "little") == getpid
    ours.close()
    assert process.wait(seconds(30)) == 127
    os.close(program)
