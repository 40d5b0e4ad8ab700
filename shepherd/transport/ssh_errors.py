"""The ways a connection fails, told apart by what to do about them."""

from __future__ import annotations

from shepherd.errors import Unreachable


class Transient(Unreachable):
    """It may work in a moment: the server was busy, or the connection broke while it was being made."""


class Refused(Unreachable):
    """It will not work until somebody changes something: wrong key, wrong password, unknown name."""


def about(name: str, problem: Unreachable) -> Unreachable:
    """The same problem, said of the host `name`: a shared jump host fails for all behind it."""
    return type(problem)(f"{name}: {problem.message}", origin=problem.origin, hint=problem.hint)
