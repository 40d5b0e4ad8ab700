"""Executable inventories: programs that print groups, hosts and variables as JSON when called with `--list`.

Where the answer has no `_meta.hostvars`, the program is called again with `--host NAME` for each host.
"""

from __future__ import annotations

import errno
import subprocess
from typing import TYPE_CHECKING, Any

from shepherd.errors import ParseError
from shepherd.inventory import document
from shepherd.origin import Origin

if TYPE_CHECKING:
    from shepherd.inventory.inventory import Inventory

_KEYS = ("hosts", "vars", "children")


def parse(path: str, inventory: Inventory) -> bool:
    """Run the program `path` and add what it prints. False where the system cannot run it: then it is an ordinary
    file with the wrong permissions. Raises ParseError where it fails or prints something else."""
    printed = _run(path, inventory, "--list")
    if printed is None:
        return False
    document = _json(printed, path, "--list")
    meta = _expect(document.pop("_meta", {}), dict, "_meta", path)
    told = meta.get("hostvars")
    if told is not None:
        _expect(told, dict, "_meta.hostvars", path)
    named: dict[str, None] = {}
    for name, body in document.items():
        named.update(dict.fromkeys(_group(name, body, path, inventory)))
    for host in named:
        found = told.get(host) if told is not None else _json(_run(path, inventory, "--host", host), path, host)
        if found:
            inventory.hosts[host].update(_expect(found, dict, f"the variables of host {host!r}", path))
    return True


def _group(name: str, body: Any, path: str, inventory: Inventory) -> list[str]:
    """Add the group `name`; the names of its direct hosts."""
    if isinstance(body, list):
        body = {"hosts": body}
    _expect(body, dict, f"group {name!r}", path)
    if not any(key in body for key in _KEYS):  # the oldest form: a host, with its variables
        body = {"hosts": [name], "vars": body}
    group = inventory.add_group(name)
    hosts: list[str] = _expect(body.get("hosts", []), list, f"the hosts of group {name!r}", path)
    for host in hosts:
        inventory.place(_expect(host, str, f"a host of group {name!r}", path), group, {}, path)
    group.update(_expect(body.get("vars", {}), dict, f"the variables of group {name!r}", path), path)
    for child in _expect(body.get("children", []), list, f"the children of group {name!r}", path):
        below = inventory.add_group(_expect(child, str, f"a child of group {name!r}", path))
        try:
            inventory.add_child(group, below)
        except ValueError as error:
            raise ParseError(str(error), origin=Origin(path)) from None
    return hosts


def _run(path: str, inventory: Inventory, *arguments: str) -> str | None:
    """What the program prints; None where the system says that it is none."""
    try:
        done = subprocess.run([path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            return None
        message = f"cannot run the inventory {path}: {error.strerror}"
        raise ParseError(message, hint="its first line names a program that is not there, perhaps") from None
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode:
        call = " ".join([path, *arguments])
        ended = f"ended with status {done.returncode}" if done.returncode > 0 else f"died of signal {-done.returncode}"
        raise ParseError(f"the inventory {call} {ended}" + (f": {said}" if said else " and said nothing"))
    if said:
        inventory.warn(f"{path}: {said}")
    return done.stdout.decode(errors="replace")


def _json(printed: str | None, path: str, asked: str) -> dict[str, Any]:
    if not (printed or "").strip() and asked != "--list":
        return {}
    try:
        found = document.load_json(printed or "", path)
    except ValueError as error:
        hint = f"run {path} {asked if asked == '--list' else '--host ' + asked} and look at what it prints"
        raise ParseError(f"{path} did not print JSON: {error}", hint=hint) from None
    expected: dict[str, Any] = _expect(found, dict, "what it prints", path)
    return expected


def _expect(value: Any, kind: type, what: str, path: str) -> Any:
    if not isinstance(value, kind):
        wanted = {"dict": "a mapping", "list": "a list", "str": "text"}[kind.__name__]
        raise ParseError(f"{path}: {what} must be {wanted}, not {str(value)[:60]!r}")
    return value
