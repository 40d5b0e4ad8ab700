"""Where in a Compose file a value stands, for messages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError

if TYPE_CHECKING:
    from shepherd.origin import Origin


class ComposeError(ParseError):
    """A Compose file that cannot be meant, or asks for what is not supported."""


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
        return ComposeError(f"{label}{message}", origin=self.origin, hint=hint)

    def warn(self, message: str) -> None:
        place = f" ({self.origin})" if self.origin else ""
        self.warnings.append(f"{self.label}: {message}{place}")
