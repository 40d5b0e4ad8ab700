"""What can go wrong, said to the person who reads it.

Every error that a user can cause carries where they wrote it (`origin`), what to do about it (`hint`) and the exit
code of the command. The command line prints it with `render`; a traceback is only ever shown for a bug of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.origin import Origin, snippet

if TYPE_CHECKING:
    from collections.abc import Iterable


class ShepherdError(Exception):
    """The base of all errors that are the user's to read. Exit code 1 unless a subclass says otherwise."""

    exit_code = 1

    def __init__(self, message: str, *, origin: Origin | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.origin = origin
        self.hint = hint

    def render(self) -> str:
        """The message, then file:line:column with the lines around it, then the hint."""
        parts = [self.message]
        if self.origin is not None:
            parts.append(f"  at {self.origin}")
            shown = snippet(self.origin)
            if shown:
                parts.append(shown)
        if self.hint:
            parts.append(f"  hint: {self.hint}")
        return "\n".join(parts)


class ParseError(ShepherdError):
    """A file that cannot be understood: YAML, a keyword, an option, an inventory line."""

    exit_code = 4


class OptionsError(ShepherdError):
    """A command line that cannot be understood."""

    exit_code = 5


class TemplateError(ShepherdError):
    """A template that cannot be compiled or rendered."""


class UndefinedVariable(TemplateError):
    """A template that reads a variable nobody set. `name` is the variable, where it is known."""

    def __init__(
        self, message: str, *, name: str | None = None, origin: Origin | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, origin=origin, hint=hint)
        self.name = name


class Unreachable(ShepherdError):
    """A host that cannot be talked to, or no longer. The host is reported and the others go on."""

    exit_code = 4


class LinkError(ShepherdError):
    """The host answers, but what was asked for cannot be done: the task fails, the connection stays."""

    exit_code = 2


class NoPython(LinkError):  # named as Unreachable is
    """No usable Python on the target."""


class RemoteError(LinkError):
    """The helper refused a request. `detail` is the head of its answer."""

    def __init__(self, message: str, detail: dict[str, Any] | None = None, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.detail = detail or {}


class Interrupted(ShepherdError):
    """Ctrl-C."""

    exit_code = 99


def nearest(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the known word most like the unknown one, or None."""
    import difflib  # not before it is needed: --help is to be quick

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]!r}?" if found else None
