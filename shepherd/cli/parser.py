"""argparse, with shorter complaints that name the nearest thing known."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, NoReturn

from shepherd.errors import nearest
from shepherd.origin import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

EXIT_USAGE = 2  # as argparse's and Ansible's own
_LACKS = re.compile(r"argument (?:\S*/)?(--?[\w-]+): expected one argument")
_CHOICE = re.compile(r"argument VERB: invalid choice: '(.*?)'")


class Parser(argparse.ArgumentParser):
    """Complains in two or three lines; the whole usage is what --help is for."""

    verbs: Iterable[str] = ()

    def error(self, message: str) -> NoReturn:
        verb = _CHOICE.match(message)
        if verb:
            self.complain(f"there is no verb {verb[1]!r}", nearest(verb[1], self.verbs))
        lacks = _LACKS.match(message)
        if lacks:
            self.complain(message, f"a value that begins with - is written with =, as {lacks[1]}='-…'")
        self.complain(message)

    def unknown(self, words: list[str]) -> NoReturn:
        """Complain of words that nothing takes."""
        from shepherd.cli import absent

        for word in words:
            flag = word.partition("=")[0] if word.startswith("--") else word[:2]
            reason = absent.reason(self.prog.split()[-1], flag)
            if reason:
                self.complain(f"{flag} is not supported", reason)
        flags = [flag for action in self._actions for flag in action.option_strings]
        hints = (nearest(word.partition("=")[0], flags) for word in words)
        self.complain(f"unrecognized arguments: {' '.join(words)}", next(filter(None, hints), None))

    def complain(self, message: str, hint: str | None = None) -> NoReturn:
        print(f"usage: {self._short_usage()}\nERROR! {printable(message)}", file=sys.stderr)
        print(f"  hint: {hint or f'{self.prog} --help says more'}", file=sys.stderr)
        sys.exit(EXIT_USAGE)

    def _short_usage(self) -> str:
        wanted = [str(action.metavar or action.dest) for action in self._actions if not action.option_strings]
        return " ".join([self.prog, "[options]", *wanted])
