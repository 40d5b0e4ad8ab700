"""Where in a Compose file a value stands, for messages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from shepherd.errors import ParseError
from shepherd.origin import Origin


class ComposeError(ParseError):
    """A Compose file that cannot be meant, or asks for what is not supported. `text`: the message without its place."""

    text = ""


class SeveralError(ComposeError):
    """Several of them, a line for each."""

    def __init__(self, found: list[ParseError]) -> None:
        self.found = found
        super().__init__(f"{len(found)} things are wrong:\n" + "\n".join(map(_line, found)), origin=found[0].origin)

    def render(self) -> str:
        return self.message


def _line(error: ParseError) -> str:
    place = f"{error.origin}: " if error.origin else ""
    return f"  {place}{error.message}" + (f" ({error.hint})" if error.hint else "")


class Faults:
    """What is wrong in several parts: `with faults:` around each of them, then `tell`, so that all is told at once."""

    def __init__(self) -> None:
        self.found: list[ParseError] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> bool:
        if not isinstance(error, ParseError):
            return False
        self.note(error)
        return True

    def note(self, error: ParseError) -> None:
        self.found += error.found if isinstance(error, SeveralError) else [error]

    def tell(self) -> None:
        """Raises SeveralError, or the only error. What several services have of one anchor is one error."""
        known: dict[Any, ParseError] = {}
        for error in self.found:
            text = getattr(error, "text", "") or error.message
            known.setdefault((error.origin, text), error)
        if len(known) > 1:
            raise SeveralError(sorted(known.values(), key=lambda error: error.origin or Origin("")))
        for error in known.values():
            raise error


@dataclass(frozen=True)
class Where:
    """`label` is the path, such as services.web.ports[0]; `folder` is what relative paths are relative to.

    `warnings` are shared by all places of a project.
    """

    label: str
    origin: Origin | None
    folder: str
    warnings: list[str] = field(default_factory=list)

    def into(self, key: Any, value: Any = None) -> Where:
        """The place of an entry: of a text itself, else of its key as it was read, or of an item by its number."""
        found = (value, key) if isinstance(value, str) else (key, value)
        origin = next((one.origin for one in found if hasattr(one, "origin")), self.origin)
        label = f"{self.label}[{key}]" if isinstance(key, int) else f"{self.label}.{key}" if self.label else str(key)
        return replace(self, label=label, origin=origin)

    def error(self, message: str, hint: str | None = None) -> ComposeError:
        label = f"{self.label}: " if self.label else ""
        made = ComposeError(f"{label}{message}", origin=self.origin, hint=hint)
        made.text = message
        return made

    def warn(self, message: str) -> None:
        place = f" ({self.origin})" if self.origin else ""
        self.warnings.append(f"{self.label}: {message}{place}")
