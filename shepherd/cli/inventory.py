"""`shepherd inventory`: what Shepherd understood of an inventory."""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shepherd import config
from shepherd.errors import OptionsError, ShepherdError, nearest
from shepherd.origin import Text, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shepherd.inventory.listing import Listing

_CONTROL = re.compile("[\x7f-\x9f]")  # which the JSON encoder leaves as they are, and terminals may obey


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "inventory",
        help="show what an inventory says",
        description="Show hosts, groups and variables as Shepherd understands them. Templates are shown as written.",
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--list", action="store_true", help="all groups and hosts, as JSON")
    action.add_argument("--graph", action="store_true", help="draw the groups and their hosts")
    action.add_argument("--host", metavar="HOST", help="the variables of one host")
    parser.add_argument("group", nargs="?", help="with --graph: the group to begin with (all)")
    parser.add_argument("--vars", action="store_true", help="with --graph: show variables too")
    parser.add_argument("--export", action="store_true", help="leave variables where they were written")
    parser.add_argument("-y", "--yaml", action="store_true", help="print YAML instead of JSON")
    parser.add_argument("--toml", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--output", metavar="FILE", help="with --list: write to this file")
    parser.add_argument("--playbook-dir", metavar="DIR", help="where playbooks, their group_vars and host_vars are (.)")
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="VARS", help="key=value …, YAML or JSON, or @FILE"
    )
    parser.add_argument("-v", "--verbose", action="count", default=0, help=argparse.SUPPRESS)
    config.add_arguments(parser, config.INVENTORY)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from shepherd import inventory
    from shepherd.inventory.listing import Listing

    if options.toml:
        raise OptionsError("TOML can be read but not printed", hint="--yaml prints YAML, no option JSON")
    if options.group and not options.graph:
        raise OptionsError(f"{options.group!r} does not belong here: a group goes with --graph")
    settings = config.resolve(options, config.INVENTORY)
    cwd = str(Path.cwd())
    known = inventory.load(settings["inventory"] or (), cwd=cwd)
    extra: dict[str, Any] = {}
    if options.extra_vars:
        from shepherd.cli.common import extra_vars

        extra = extra_vars(options.extra_vars)
    playbook_dir = os.path.normpath(os.path.join(cwd, options.playbook_dir or "."))
    hosts = frozenset(known.select("all", settings["limit"])) if options.list and settings["limit"] else None
    listing = Listing(known, playbook_dir, export=options.export, hosts=hosts, extra=extra)
    if options.graph:
        _write(_graph(listing, options.group or "all", with_vars=options.vars), None)
    elif options.host is not None:
        host = known.host(options.host)
        if host is None:
            hint = nearest(options.host, known.hosts) or "--graph shows the hosts"
            raise OptionsError(f"there is no host {options.host!r}", hint=hint)
        _write(_document(listing.host_vars(host), yaml=options.yaml), None)
    else:
        found = listing.as_tree() if options.yaml else listing.as_program()
        _write(_document(found, yaml=options.yaml), options.output)
    for warning in known.warnings:
        print(f"[WARNING]: {printable(warning)}", file=sys.stderr)
    return 0


def _graph(listing: Listing, name: str, *, with_vars: bool) -> Iterable[str]:
    groups = listing.inventory.groups
    if name not in groups:
        raise OptionsError(f"there is no group {name!r}", hint=nearest(name, groups))
    for line in listing.graph(groups[name], with_vars=with_vars):
        yield printable(line) + "\n"


def _document(found: Any, *, yaml: bool) -> Iterable[str]:
    if yaml:
        return [_yaml(found)]
    import json

    try:
        text = json.dumps(_unmarked(found), indent=4, sort_keys=True, ensure_ascii=False, default=_jsonable)
    except TypeError:  # keys of several types, which have no order
        text = json.dumps(_unmarked(found), indent=4, ensure_ascii=False, default=_jsonable)
    return [_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text), "\n"]


def _jsonable(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def _unmarked(value: Any) -> Any:
    """`value` with text that is never a template in the form that says so in JSON."""
    if isinstance(value, Text):
        return {"__ansible_unsafe": str(value)} if value.literal else value
    if isinstance(value, dict):
        return {key: _unmarked(inner) for key, inner in value.items()}
    return [_unmarked(inner) for inner in value] if isinstance(value, list | tuple) else value


def _yaml(found: Any) -> str:
    from yaml import SafeDumper, dump

    from shepherd.origin import Mapping, Sequence

    class Dumper(SafeDumper):
        def ignore_aliases(self, _: Any) -> bool:
            return True  # shared values are written out: a reader of the file sees what each host has

    def text(dumper: SafeDumper, value: Text) -> Any:
        return dumper.represent_scalar("!unsafe" if value.literal else "tag:yaml.org,2002:str", str(value))

    Dumper.add_representer(Text, text)
    Dumper.add_representer(Mapping, SafeDumper.represent_dict)
    Dumper.add_representer(Sequence, SafeDumper.represent_list)
    printed: str = dump(found, Dumper=Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)
    return printed


def _write(parts: Iterable[str], path: str | None) -> None:
    if path is None:
        sys.stdout.writelines(parts)
        return
    try:
        with open(path, "w", encoding="utf-8") as handle:
            handle.writelines(parts)
    except OSError as error:
        raise ShepherdError(f"cannot write {path}: {error.strerror}") from None
