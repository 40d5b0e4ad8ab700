"""The default filter of system calls, compiled once for all containers that have the same capabilities.

To compile it takes as long as all of a container's mounts. What was compiled is kept under the name of what it was
compiled from: the capabilities, the machine, and this runtime as it is now.
"""

import os

from shepherd.runtime.bundle import document
from shepherd.runtime.bundle import state as processes
from shepherd.runtime.containers import launch
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import files
from shepherd.runtime.linux import capabilities


class Profile(dict):
    """`linux.seccomp`, with what bundle/process.py would compile it to: (flags, BPF program, None)."""

    compiled = None


def default(root: str, granted: list) -> Profile:
    """The default profile for a process with these capabilities."""
    path = os.path.join(root, "cache", "seccomp-%s.json" % _key(granted))
    try:
        with open(path, "rb") as file:
            found = document.loads(file.read(), path)
        return _made(found["profile"], found["flags"], bytes.fromhex(found["program"]))
    except (OSError, RuntimeFailure, KeyError, TypeError, ValueError):
        pass  # not there yet, or cut short by a power cut
    from shepherd.runtime.linux.seccomp.compiler import compile_profile
    from shepherd.runtime.linux.seccomp.profile import default_profile

    profile = default_profile(granted)
    flags, program, _listener = compile_profile(profile)
    files.make_folder(os.path.dirname(path))
    processes.write(path, document.dumps({"profile": profile, "flags": flags, "program": program.hex()}))
    return _made(profile, flags, program)


def _made(profile, flags, program):
    made = Profile(profile)
    made.compiled = (flags, program, None)
    return made


def _key(granted):
    bits = sum(1 << number for number in capabilities.numbers(granted))
    place = launch.home()
    source = os.path.join(place, "shepherd", "runtime", "linux", "seccomp", "profile.py")
    state = os.stat(source if os.path.exists(source) else place)
    return "%s-%x-%x-%x" % (os.uname().machine, bits, state.st_ino, state.st_mtime_ns)
