"""The command that starts a helper: a few hundred bytes of `sh` that find a Python, and its first stage.

The text runs in any POSIX shell (dash, bash, ash, ksh), behind any login shell (csh and fish too: it is one quoted
word, one line, without `!` and backslashes), and needs no program besides a Python 3.6 or newer.
"""

from __future__ import annotations

import shlex

from shepherd.errors import NoPython, ShepherdError, Unreachable

# /usr/bin/python3 first: it is the one that the distribution's own bindings (apt, dnf, selinux) belong to
CANDIDATES = (
    "/usr/bin/python3",
    "python3",
    "/usr/libexec/platform-python",
    "/usr/local/bin/python3",
    *(f"python3.{minor}" for minor in range(14, 5, -1)),
)
DISCOVER = frozenset({"auto", "auto_silent", "auto_legacy", "auto_legacy_silent"})

NO_PYTHON = 97  # the exit status when there is none
TOO_OLD = 78  # … of a Python too old to be of use

_FLAGS = "-I -S -B -X utf8"
# No quote and no newline: this stands between double quotes. The last line of what is executed uses `b`.
_FIRST_STAGE = (
    "import sys,os,zlib;sys.version_info<(3,6)and sys.exit({old});b=bytearray();"
    "[b.extend(os.read(0,{size}-len(b))or sys.exit(1))for _ in iter(lambda:len(b)<{size},0)];exec(zlib.decompress(b))"
)


def command(interpreter: str | None, token: str, size: int) -> str:
    """The command for a login shell; see `words`."""
    return shlex.join(words(interpreter, token, size))


def words(interpreter: str | None, token: str, size: int, *, mark: str = "", prefer: str = "") -> list[str]:
    """The command, as its words. It reads boot.py, `size` bytes, from its standard input.

    interpreter  a path or words (`/usr/bin/env python3`); None or `auto…`: found here
    token        letters and digits; the helper's first bytes are `shepherd:TOKEN`
    mark         printed first: the word by which a relay sees that the shell was reached
    prefer       a path tried before the others when the interpreter is to be found
    """
    stage = f'{_FLAGS} -c "{_FIRST_STAGE.format(old=TOO_OLD, size=size)}" shepherd-helper {token}'
    greeting = f"echo {mark}; " if mark else ""
    if interpreter and interpreter not in DISCOVER:
        named = shlex.split(interpreter)
        found = f"command -v {shlex.quote(named[0])} >/dev/null 2>&1"
        script = f"{greeting}{found} || exit {NO_PYTHON}; exec {shlex.join(named)} {stage}"
    else:
        candidates = shlex.join((prefer, *CANDIDATES) if prefer else CANDIDATES)
        script = (
            f'{greeting}for p in {candidates}; do command -v "$p" >/dev/null 2>&1 || continue; '
            # 126, 127: a wrapper that leads to no Python, such as a version manager's shim
            f'"$p" {stage}; s=$?; case $s in {TOO_OLD}|126|127) ;; *) exit $s;; esac; done; exit {NO_PYTHON}'
        )
    return ["/bin/sh", "-c", script]


def failure(host: str, interpreter: str | None, status: int | None, heard: str, errors: bytes) -> ShepherdError:
    """Why the command ended without a hello.

    status  its exit status; None where the connection broke or the command goes on
    heard   what it said, as the end of a message, or nothing
    errors  what came of its standard error
    """
    asked = interpreter is not None and interpreter not in DISCOVER
    if status == NO_PYTHON:
        return NoPython(
            f"{f'the interpreter {interpreter}' if asked else 'Python 3.6 or newer'} was not found on {host}",
            hint="correct ansible_python_interpreter" if asked else "the raw module needs none and can install it",
        )
    if status == TOO_OLD or b"Unknown option: -I" in errors:  # Python 2 knows no -I
        return NoPython(f"{interpreter} on {host} is older than Python 3.6")
    if status is None:
        return Unreachable(f"the connection to {host} broke before a helper could start{heard}")
    if asked and not heard:
        return NoPython(
            f"the interpreter {interpreter} on {host} ended with status {status} and said nothing: "
            "it is no Python 3.6 or newer",
            hint="correct ansible_python_interpreter",
        )
    return Unreachable(
        f"no helper could be started on {host}: the shell ended with status {status}{heard}",
        hint="can this user run commands over this connection?",
    )
