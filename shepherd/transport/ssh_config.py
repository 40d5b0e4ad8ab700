"""ssh_config(5): read the files and find what applies to one host. First value wins, as OpenSSH has it.

`Include` (with globs), `Host` and `Match` blocks, quoting, and the command line's options in front of the files.
What the values mean for a connection is ssh_settings.py's business.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shepherd.origin import Origin
from shepherd.transport.known_hosts import match_list, match_pattern
from shepherd.transport.ssh_errors import Refused
from shepherd.transport.tokens import expand_command, expand_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

USER_FILE = "~/.ssh/config"
SYSTEM_FILE = "/etc/ssh/ssh_config"
_DEPTH = 16  # of Include, as OpenSSH

# how the values of several lines of a keyword join; all others keep the first argument of their first line
_APPENDED = {"identityfile", "certificatefile", "sendenv"}  # each line adds
_WHOLE_LINE = {"userknownhostsfile", "globalknownhostsfile", "setenv", "canonicaldomains"}  # all of the first line
_RAW = {"proxycommand", "localcommand", "remotecommand", "knownhostscommand"}  # the rest of the line as it stands

_LINE = re.compile(r'\s*(?:"([^"]*)"|([^\s="]+))(?:\s*=\s*|\s+|$)(.*)', re.DOTALL)
_CRITERION = re.compile(r'\s*(!?)([A-Za-z]+)(?:(?:\s*=\s*|\s+)(?:"((?:\\.|[^"\\])*)"|([^\s"]\S*)))?')


class Directive(NamedTuple):
    """One line: the keyword in lower case, and the rest of the line as it was written."""

    keyword: str
    text: str
    origin: Origin

    def arguments(self) -> list[str]:
        """The rest of the line as words."""
        try:
            return split_words(self.text)
        except ValueError as problem:
            raise Refused(f"ssh_config: {problem}", origin=self.origin) from None


@dataclass
class Query:
    """The question: how to reach `host` as it was given, and what the answer is so far."""

    host: str
    local_user: str
    found: dict[str, list[str]] = field(default_factory=dict)
    final: bool = False  # the second pass, which `Match final` and `Match canonical` ask for
    wants_final: bool = False

    def first(self, keyword: str, default: str | None = None) -> str | None:
        values = self.found.get(keyword)
        return values[0] if values else default

    @property
    def target(self) -> str:
        """The host name after HostName."""
        name = self.first("hostname")
        return expand_tokens(name, {"h": self.host}) if name else self.host

    def take(self, directive: Directive) -> None:
        """Keep a line's value, unless an earlier one won."""
        keyword = directive.keyword
        if keyword in _APPENDED:
            kept = self.found.setdefault(keyword, [])
            kept += [value for value in directive.arguments() if value not in kept]
        elif keyword not in self.found:
            words = [directive.text] if keyword in _RAW else directive.arguments()
            if not words:
                raise Refused(f"ssh_config: {keyword} needs a value", origin=directive.origin)
            self.found[keyword] = words if keyword in _WHOLE_LINE else words[:1]


def resolve(
    host: str, *, first: Iterable[Directive] = (), file: str | None = None, local_user: str = ""
) -> dict[str, list[str]]:
    """What applies to `host`: keyword in lower case → its values as written.

    `first` are options that win over the files; `file` is read instead of the user's and the system's (ssh -F),
    and "none" is no file at all. Raises Refused with the line for what cannot be understood.
    """
    leading = list(first)
    query = Query(host, local_user)
    _read_all(query, leading, file)
    if query.wants_final:
        again = Query(host, local_user, dict(query.found), final=True)
        again.found["hostname"] = [query.target]
        _read_all(again, [], file)
        return again.found
    return query.found


def _read_all(query: Query, leading: Sequence[Directive], file: str | None) -> None:
    for directive in leading:
        query.take(directive)
    if file is None:
        _read(query, os.path.expanduser(USER_FILE), os.path.expanduser("~/.ssh"))  # noqa: PTH111  # a str is wanted
        _read(query, SYSTEM_FILE, "/etc/ssh")
    elif file.lower() != "none":
        if not Path(file).is_file():
            raise Refused(f"cannot read the ssh configuration {file}: no such file")
        _read(query, file, os.path.expanduser("~/.ssh"))  # noqa: PTH111


def _read(query: Query, path: str, relative_to: str, *, active: bool = True, depth: int = 0) -> None:
    """Walk through a file. `active` False: an Include in a block that does not apply, where nothing can match."""
    if depth > _DEPTH:
        raise Refused(f"ssh_config: files include one another more than {_DEPTH} deep", origin=Origin(path))
    never = not active
    for directive in parse_file(path):
        if directive.keyword == "host":
            active = not never and _host_applies(query, directive)
        elif directive.keyword == "match":
            active = not never and _match_applies(query, directive)
        elif directive.keyword == "include":
            for pattern in directive.arguments():
                full = os.path.join(relative_to, os.path.expanduser(pattern))  # noqa: PTH111
                for name in sorted(glob.glob(full)):  # noqa: PTH207  # keeps ~ and relative names as text
                    _read(query, name, relative_to, active=active, depth=depth + 1)
        elif active:
            query.take(directive)


def _host_applies(query: Query, directive: Directive) -> bool:
    host = query.target if query.final else query.host
    found = False
    for pattern in directive.arguments():
        if pattern.startswith("!"):
            if match_pattern(host, pattern[1:]):
                return False
        elif match_pattern(host, pattern):
            found = True
    return found


def _match_applies(query: Query, directive: Directive) -> bool:
    """Whether all criteria of a Match line hold. A command is run only where all before it do."""
    holds = True
    rest = directive.text
    any_criterion = False
    while rest.strip() and not rest.lstrip().startswith("#"):
        matched = _CRITERION.match(rest)
        if not matched:
            raise Refused(f"ssh_config: cannot understand Match {directive.text!r}", origin=directive.origin)
        any_criterion = True
        negated, name = matched[1], matched[2].lower()
        if name in _WITHOUT_ARGUMENT:
            rest = rest[matched.end(2) :]
            result = _WITHOUT_ARGUMENT[name](query)
        elif name in _WITH_ARGUMENT:
            rest = rest[matched.end() :]
            value = matched[4] if matched[3] is None else re.sub(r'\\(["\\])', r"\1", matched[3])
            if value is None:
                raise Refused(f"ssh_config: Match {name} needs a value", origin=directive.origin)
            result = holds and _WITH_ARGUMENT[name](query, value)
        else:
            raise Refused(f"ssh_config: unknown Match criterion {name!r}", origin=directive.origin)
        holds = holds and (not result if negated else result)
    if not any_criterion:
        raise Refused("ssh_config: Match without a criterion", origin=directive.origin)
    return holds


def _final(query: Query) -> bool:
    query.wants_final = True
    return query.final


def _exec(query: Query, command: str) -> bool:
    values = {
        "h": query.target,
        "n": query.host,
        "p": query.first("port", "22") or "",
        "r": query.first("user", query.local_user) or "",
        "u": query.local_user,
    }
    shell = os.environ.get("SHELL") or "/bin/sh"
    run = subprocess.run(
        [shell, "-c", expand_command(command, values)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return run.returncode == 0


_WITHOUT_ARGUMENT: dict[str, Callable[[Query], bool]] = {
    "all": lambda query: True,  # noqa: ARG005  # a table of one shape
    "canonical": lambda query: query.final,
    "final": _final,
}
_WITH_ARGUMENT: dict[str, Callable[[Query, str], bool]] = {
    "host": lambda query, value: match_list(query.target.lower(), value),
    "originalhost": lambda query, value: match_list(query.host.lower(), value),
    "user": lambda query, value: match_list(query.first("user", query.local_user) or "", value),
    "localuser": lambda query, value: match_list(query.local_user, value),
    "tagged": lambda query, value: match_list(query.first("tag", "") or "", value),
    "exec": _exec,
}


def parse_file(path: str) -> tuple[Directive, ...]:
    """The lines of a file, parsed once for as long as it does not change; none where it cannot be read."""
    try:
        status = Path(path).stat()
    except OSError:
        return ()
    return _parse_file(path, status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=256)
def _parse_file(path: str, _mtime: int, _size: int, _inode: int) -> tuple[Directive, ...]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            text = handle.read()
    except OSError:
        return ()
    return parse(text, path)


def parse(text: str, file: str) -> tuple[Directive, ...]:
    """The lines of a configuration's text."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            found.append(parse_line(stripped, Origin(file, number)))
    return tuple(found)


def parse_line(line: str, origin: Origin) -> Directive:
    """One line, `Keyword value` or `Keyword=value`."""
    matched = _LINE.match(line)
    if not matched:
        raise Refused(f"ssh_config: cannot understand {line!r}", origin=origin)
    return Directive((matched[1] or matched[2]).lower(), matched[3].strip(), origin)


def split_words(text: str) -> list[str]:
    r"""The words of a line: '…' and "…" quote, \ escapes quotes, itself and a space, # begins a comment."""
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        if text[at] == "#":
            break
        word, at = _word(text, at)
        words.append(word)
    return words


def _word(text: str, at: int) -> tuple[str, int]:
    word = []
    quote = ""
    while at < len(text):
        char, after = text[at], text[at + 1 : at + 2]
        if char == "\\" and after and (after in "'\"\\" or (after == " " and not quote)):
            word.append(after)
            at += 1
        elif quote:
            if char == quote:
                quote = ""
            else:
                word.append(char)
        elif char in " \t":
            break
        elif char in "'\"":
            quote = char
        else:
            word.append(char)
        at += 1
    if quote:
        raise ValueError(f"a quote is not closed in {text!r}")
    return "".join(word), at
