"""Becoming another user: the commands of each method, and what their refusals mean."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from shepherd import boot, sources
from shepherd.errors import LinkError, RemoteError, ShepherdError, nearest
from shepherd.link import Link
from shepherd.origin import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shepherd.transport import Secret


class BecomeError(LinkError):
    """The other user could not be become: the task fails, the connection stays."""


class Become(NamedTuple):
    """Whom to become and how. Hashable: one helper is kept for each distinct one. `flags` None: the method's own."""

    method: str = "sudo"
    user: str = "root"
    password: Secret | None = None
    flags: str | None = None
    exe: str | None = None


class Method(NamedTuple):
    """One way to become a user. `words` builds the command from flags, user, prompt and the command to run."""

    exe: str
    flags: str
    asks: bool  # the prompt can be chosen; else any text that ends with a colon is taken for it
    words: Callable[[list[str], str, str, Sequence[str]], list[str]]


def _sudo(flags: list[str], user: str, prompt: str, command: Sequence[str]) -> list[str]:
    return [*flags, "-p", prompt, "-u", user, "--", *command]


def _su(flags: list[str], user: str, prompt: str, command: Sequence[str]) -> list[str]:  # noqa: ARG001  # has its own
    return [*flags, user, "-c", shlex.join(command)]


METHODS = {
    "sudo": Method("sudo", "-H -S -n", True, _sudo),
    "su": Method("su", "", False, _su),
}

# What sudo and su say, and what it means to the person who reads it. Sought in order, in what was printed.
_MEANINGS = (
    (r"a password is required|no password was provided|askpass", "Missing {method} password"),
    (r"(?i)sorry, try again|incorrect password|authentication failure|auth.* error", "Incorrect {method} password"),
    (r"is not in the sudoers file", "{login} is not in the sudoers file on {host}"),
    (r"is not allowed to|may not run sudo|not permitted", "{login} may not become {user} with {method} on {host}"),
    (r"unknown user|does not exist|no passwd entry|Unknown id", "there is no user {user} on {host}"),
    (r"must have a tty|terminal is required", "{method} on {host} asks for a terminal"),
    (r"(?i)account is currently not available", "the login shell of {user} on {host} runs no commands"),
    (r"(?i)No such file or directory|not found", "{exe} is not installed on {host}"),
)
_OTHERWISE = "{method} to {user} on {host} failed and said {said}"
_REASONS = {"asked": "Missing {method} password", "wrong": "Incorrect {method} password"}
_HINTS = {
    "Missing {method} password": "give it with --ask-become-pass (-K) or ansible_become_password",
    "the login shell of {user} on {host} runs no commands": "with su, become_flags: '-s /bin/sh' names another shell",
    "{login} is not in the sudoers file on {host}": "connect as another user, or let this one use sudo",
}


async def become(link: Link, wanted: Become) -> Link:
    """A helper as the user wanted, started through `link`. Raises BecomeError, with the reason in sudo's own words."""
    method = METHODS.get(wanted.method)
    if method is None:
        raise BecomeError(f"unknown become method {wanted.method!r}", hint=nearest(wanted.method, METHODS))
    token, mark = os.urandom(8).hex(), f"become-{os.urandom(8).hex()}"
    prompt = f"[{wanted.method} via shepherd, key={os.urandom(8).hex()}] password:"
    command = boot.words(link.interpreter, token, len(sources.boot()), mark=mark, prefer=str(link.hello["executable"]))
    flags = shlex.split(method.flags if wanted.flags is None else wanted.flags)
    if wanted.password:  # -n forbids sudo to ask
        flags = [re.sub(r"^(-[A-Za-z]*)n", r"\1", flag) for flag in flags if flag not in ("-n", "--non-interactive")]
    exe = shlex.split(wanted.exe or method.exe)
    head = {
        "argv": [*exe, *method.words(flags, wanted.user, prompt, command)],
        "mark": mark,
        "password": wanted.password or None,
        "prompt": prompt if method.asks else None,
        "terminal": bool(wanted.password),  # some ask there, or want to see one
    }
    pipe = link.relay(head)
    try:
        return await Link.over(pipe, link.host, token, link.interpreter)
    except RemoteError as error:
        raise _explained(link, wanted, exe[0], error) from None


def _explained(link: Link, wanted: Become, exe: str, error: RemoteError) -> ShepherdError:
    said = printable(error.message.strip())
    facts = {
        "method": wanted.method,
        "user": wanted.user,
        "login": link.hello["user"],
        "host": link.host,
        "exe": exe,
    }
    reason = error.detail.get("reason")
    found = _REASONS.get(str(reason))
    if found is None:
        found = next((meaning for pattern, meaning in _MEANINGS if re.search(pattern, said)), _OTHERWISE)
        facts["said"] = f"{said or 'nothing'} (status {error.detail.get('rc')})"
    return BecomeError(found.format(**facts), hint=_HINTS.get(found))
