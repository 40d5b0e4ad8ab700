"""Arguments written as text: `copy: src=a dest="b c"` and the free form of `shell: echo hi chdir=/tmp`.

Words end at spaces and line ends, but not inside quotes or Jinja brackets. What is not `key=value` is free form.
The rules are those of ansible-core 2.18, its oddities included: playbooks depend on them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError
from shepherd.origin import Text

if TYPE_CHECKING:
    from collections.abc import Collection

FREE_FORM = "_raw_params"

# of a command line, only these words are options; every other `key=value` belongs to the command
COMMAND_OPTIONS = frozenset(
    ("chdir", "creates", "executable", "removes", "stdin", "stdin_add_newline", "strip_empty_ends", "warn")
)

_ESCAPE = re.compile(r"""\\(?:U[0-9a-fA-F]{8}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|N\{[^}]+\}|[\\'"abfnrtv])""")
_ASSIGNMENT = re.compile(r"(?<=[^\\])=")  # neither escaped nor first
_QUOTE = re.compile(r"""(?<!\\)["']""")
_BRACKETS = (("{{", "}}"), ("{%", "%}"), ("{#", "#}"))


def parse_kv(text: str, *, known: Collection[str] | None = None) -> dict[str, Any]:
    """The `key=value` words of `text`, the rest under FREE_FORM (no such key where there is no rest).

    With `known` only these keys are options. Values are text, unquoted, with backslash escapes read.
    Raises ParseError for a quote or a Jinja bracket that is never closed.
    """
    found: dict[str, Any] = {}
    rest: list[str] = []
    for word in split_words(text):
        if "=" not in word:
            rest.append(word)
            continue
        read = _unescape(word)
        equals = _ASSIGNMENT.search(read)
        if equals is None:
            rest.append(read.replace("\\=", "="))
            continue
        key = read[: equals.start()]
        if known is None or key in known:
            found[key.strip()] = placed(unquote(read[equals.end() :].strip()), text)
        else:
            rest.append(word)
    free = _join(rest)
    if free.strip():
        found[FREE_FORM] = placed(free, text)
    return found


def split_words(text: str) -> list[str]:
    """The words of `text`, each with the white space behind it except the one space that parts two words.

    A backslash alone joins its line to the next. Raises ParseError as `parse_kv`.
    """
    words: list[str] = []
    state = _State()
    lines = text.split("\n")
    for number, line in enumerate(lines):
        continued = False
        for place, piece in enumerate(line.split(" ")):
            if piece == "\\" and not state.quote:
                continued = True
            elif state.open:
                words[-1] += " " + piece if place else piece
                state.read(piece)
            elif piece:
                words.append(piece)
                state.read(piece)
            elif place and words:
                words[-1] += " "
            elif place:
                words.append(" ")
        if number < len(lines) - 1 and not continued:
            if words:
                words[-1] += "\n"
            else:
                words.append("\n")
    if state.open:
        raise ParseError(
            f"failed at splitting arguments, either an unbalanced jinja2 block or quotes: {text}",
            origin=text.origin if isinstance(text, Text) else None,
            hint="close the quote or the bracket, or write the options as YAML, one a line",
        )
    return words


def unquote(text: str) -> str:
    """`text` without the pair of quotes around it, if there is one."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" and text[-2] != "\\":
        return text[1:-1]
    return text


class _State:
    """Whether a word goes on: inside a quote, or inside Jinja brackets (which count within quotes too)."""

    __slots__ = ("depth", "quote")

    def __init__(self) -> None:
        self.quote = ""
        self.depth = [0, 0, 0]

    @property
    def open(self) -> bool:
        return bool(self.quote) or any(self.depth)

    def read(self, piece: str) -> None:
        for found in _QUOTE.findall(piece):
            if not self.quote:
                self.quote = found
            elif self.quote == found:
                self.quote = ""
        for kind, (opening, closing) in enumerate(_BRACKETS):
            self.depth[kind] = max(self.depth[kind] + piece.count(opening) - piece.count(closing), 0)


def _join(words: list[str]) -> str:
    return "".join(word if word.endswith("\n") else word + " " for word in words[:-1]) + "".join(words[-1:])


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    try:
        return match[0].encode("ascii").decode("unicode_escape")
    except UnicodeError:  # no such character, such as \N{nonsense}
        return match[0]


def placed(value: str, text: str) -> str:
    """`value`, a part of `text`, with the place of `text`."""
    return Text(value, text.origin, text.literal) if isinstance(text, Text) else value
