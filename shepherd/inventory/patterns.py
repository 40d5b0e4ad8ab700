"""Host patterns: `web:db,!web1:&prod`, globs, `~regular expressions`, positions such as `web[0:2]`.

First come the hosts that the plain terms name, in that order; then each `&term` keeps only its own, then each `!term`
takes its own away.
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import TYPE_CHECKING

from shepherd.errors import ParseError, ShepherdError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shepherd.inventory.host import Host
    from shepherd.inventory.inventory import Inventory

_POSITION = re.compile(r"(.+)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*)|:([0-9]+))\]")
_WITH_PORT = re.compile(r"[\w.-]+(?:\[[^\[\]]+\][\w.-]*)*:[0-9]+")
_ADDRESS = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?:%\w+)?")  # perhaps of IPv6
_TERM = re.compile(r"(?:[^:\[\]]|\[[^\]]*\]?|\])+")  # up to a colon outside brackets


def select(inventory: Inventory, pattern: str | Sequence[str], limit: str | Sequence[str] | None) -> list[Host]:
    """See `Inventory.select`."""
    hosts = _evaluate(inventory, list(split(pattern)))
    if not limit:
        return hosts
    terms = list(_limit_terms(limit))
    allowed = set(_evaluate(inventory, terms))
    if not allowed:
        raise ShepherdError(
            f"no host matches the limit {limit!r}", hint="shepherd inventory --graph shows the groups and hosts"
        )
    return [host for host in hosts if host in allowed]


def split(pattern: str | Sequence[str]) -> Iterator[str]:
    """The terms of a pattern. With a comma in it commas separate them, else colons outside brackets."""
    if not isinstance(pattern, str):
        for one in pattern:
            yield from split(str(one))
        return
    if "," in pattern:
        parts: Iterable[str] = pattern.split(",")
    elif _WITH_PORT.fullmatch(pattern) or _is_address(pattern):
        parts = (pattern,)
    else:
        parts = _TERM.findall(pattern)
    yield from filter(None, (part.strip() for part in parts))


def _is_address(pattern: str) -> bool:
    """Of IPv6; `db:ad:c` is none."""
    if not _ADDRESS.fullmatch(pattern):
        return False
    import ipaddress

    try:
        ipaddress.IPv6Address(pattern)
    except ValueError:
        return False
    return True


def _limit_terms(limit: str | Sequence[str]) -> Iterator[str]:
    """As `split`; `@file` stands for the terms in a file, one a line."""
    for term in split(limit):
        if not term.startswith("@"):
            yield term
            continue
        path = Path(term[1:]).expanduser()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ShepherdError(f"cannot read the limit file {path}: {reason}") from None
        yield from (line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _evaluate(inventory: Inventory, terms: list[str]) -> list[Host]:
    found: dict[Host, None] = {}
    for term in [term for term in terms if term[0] not in "!&"] or ["all"]:
        found.update(dict.fromkeys(_matches(inventory, term)))
    for term in terms:
        if term[0] == "&":
            wanted = set(_matches(inventory, term[1:]))
            found = {host: None for host in found if host in wanted}
    unwanted = {host for term in terms if term[0] == "!" for host in _matches(inventory, term[1:])}
    return [host for host in found if host not in unwanted]


def _matches(inventory: Inventory, term: str) -> list[Host]:
    known = inventory.matches.get(term)
    if known is None:
        known = inventory.matches[term] = _match(inventory, term)
    return known


def _match(inventory: Inventory, term: str) -> list[Host]:
    position = None if term.startswith("~") else _POSITION.fullmatch(term)
    hosts = _named(inventory, position[1] if position else term)
    if not hosts and not (position and position[1] in inventory.groups) and term not in inventory.groups:
        inventory.warn(f"no host or group matches the pattern {term!r}")
    if not position:
        return hosts
    if position[2]:
        index = int(position[2])
        if hosts and not -len(hosts) <= index < len(hosts):
            raise ShepherdError(f"the pattern {term!r} is out of range: {position[1]!r} has {len(hosts)} hosts")
        return [hosts[index]] if hosts else []
    last = position[4] or position[5]
    return hosts[int(position[3] or 0) : int(last) + 1 if last else None]


def _named(inventory: Inventory, term: str) -> list[Host]:
    """The host called `term`, else the hosts of that group; of all groups and hosts where it may match several."""
    if term in ("all", "*"):
        return list(inventory.hosts_of(inventory.top))
    if term in inventory.hosts:
        return [inventory.hosts[term]]
    if term in inventory.groups:
        return list(inventory.hosts_of(inventory.groups[term]))
    if term.startswith("~"):
        try:
            matches = re.compile(term[1:]).match
        except re.error as error:
            raise ParseError(f"the pattern {term!r} is not a regular expression: {error}") from None
    elif any(character in term for character in "*?["):
        matches = re.compile(fnmatch.translate(term)).match
    else:
        local = inventory.host(term)  # the controller, whom nobody has to name
        return [local] if local else []
    found: dict[Host, None] = {}
    for name, group in inventory.groups.items():
        if matches(name):
            found.update(dict.fromkeys(inventory.hosts_of(group)))
    found.update((host, None) for name, host in inventory.hosts.items() if matches(name))
    return list(found)
