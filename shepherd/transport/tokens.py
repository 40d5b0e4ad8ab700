"""ssh_config(5) TOKENS and ENVIRONMENT VARIABLES: %h and the like, and ${NAME}."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from shepherd.transport.ssh_errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = re.compile(r"%(.?)", re.DOTALL)
_PLAIN = re.compile(r"(?!-)[\w.:@%+,/=\[\]-]*")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def expand_tokens(text: str, values: Mapping[str, str]) -> str:
    """`text` with each %x replaced by values["x"], and %% by %. Raises Refused for a token that is not there."""

    def value(matched: re.Match[str]) -> str:
        letter = matched[1]
        if letter == "%":
            return "%"
        if letter not in values:
            raise Refused(f"ssh_config: {matched[0]!r} cannot be used in {text!r}")
        return values[letter]

    return _TOKEN.sub(value, text)


def expand_command(text: str, values: Mapping[str, str]) -> str:
    """As `expand_tokens`, for a shell: a value that the shell would not take for a plain word is refused."""
    for letter in set(_TOKEN.findall(text)) & values.keys():
        if not _PLAIN.fullmatch(values[letter]):
            raise Refused(f"{values[letter]!r} cannot be put into the command {text!r}: it has a meaning in the shell")
    return expand_tokens(text, values)


def expand_path(text: str, values: Mapping[str, str]) -> str:
    """A file name with ~, tokens and ${NAME} replaced. Raises Refused for a variable that is not set."""

    def variable(matched: re.Match[str]) -> str:
        if matched[1] not in os.environ:
            raise Refused(f"ssh_config: the environment variable {matched[1]} in {text!r} is not set")
        return os.environ[matched[1]]

    return expand_tokens(os.path.expanduser(_VARIABLE.sub(variable, text)), values)  # noqa: PTH111  # a str is wanted
