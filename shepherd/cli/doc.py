"""`shepherd doc`: what modules do and take, from their SPECs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from shepherd.options import Option, Options
    from shepherd.spec import Spec

WIDTH = 100


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "doc",
        help="show what modules do and take",
        description="Without a name, list all modules. With names, print their references.",
    )
    parser.add_argument("words", nargs="*", metavar="MODULE", help="modules, such as copy or ansible.builtin.copy")
    parser.add_argument("-j", "--json", action="store_true", help="as JSON, for programs")
    parser.add_argument(
        "-M", "--module-path", action="append", default=[], metavar="DIR", help="a folder of modules of your own"
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from shepherd.spec import all_specs, load_spec

    library = tuple(directory for path in options.module_path for directory in path.split(":") if directory)
    if not options.words:
        specs = list(all_specs(library))
        if options.json:
            _dump({spec.name: spec.document.get("summary", "") for spec in specs})
        else:
            width = max(len(spec.name) for spec in specs)
            print("\n".join(f"{spec.name:{width}}  {spec.document.get('summary', '')}" for spec in specs))
        return 0
    specs = [load_spec(name, library) for name in options.words]
    if options.json:
        _dump({spec.name: document(spec) for spec in specs})
    else:
        print("\n\n".join("\n".join(reference(spec)) for spec in specs))
    return 0


def document(spec: Spec) -> dict[str, Any]:
    """A SPEC as data, with the option groups that it includes written out."""
    found = {key: value for key, value in spec.document.items() if key != "include"}
    return {**found, "name": spec.name, "options": {option.name: _fields(option) for option in spec.options}}


def reference(spec: Spec) -> Iterator[str]:
    """The reference of a module as lines of text."""
    said = spec.document
    yield f"{spec.name}: {said.get('summary', '')}"
    yield ""
    yield from _wrapped(said.get("description", ""), 2)
    facts = [f"check mode: {said.get('check', 'none')}", f"diff: {said.get('diff', 'none')}"]
    if said.get("runs_on"):
        facts.append(f"runs on the {said['runs_on']}")
    if said.get("platforms"):
        facts.append(f"platforms: {', '.join(said['platforms'])}")
    if said.get("since"):
        facts.append(f"since {said['since']}")
    yield ""
    yield from _wrapped("; ".join(facts), 2)
    if spec.options.by_name:
        yield from ("", "OPTIONS (= must be given)")
        yield from _options(spec.options, 2, spec.free_form)
    rules = list(_rules(spec.options.constraints))
    if rules:
        yield from ("", "RULES")
        for rule in rules:
            yield from _wrapped(rule, 4, "  - ")
    if said.get("returns"):
        yield from ("", "RETURNS")
        for name, fields in said["returns"].items():
            yield f"  {name} ({fields.get('type', 'raw')})"
            yield from _wrapped(fields.get("help", ""), 6)
            if "sample" in fields:
                yield from _wrapped(f"for example {fields['sample']!r}", 6)
    if said.get("notes"):
        yield from ("", "NOTES")
        for note in said["notes"]:
            yield from _wrapped(note, 4, "  - ")
    if said.get("examples"):
        yield from ("", "EXAMPLES")
        yield from (f"  {line}".rstrip() for line in said["examples"].strip("\n").splitlines())


def _options(options: Options, indent: int, free_form: str | None = None) -> Iterator[str]:
    for option in sorted(options, key=lambda option: (not option.required, option.name)):
        kind = f"list of {option.elements}" if option.elements else option.type
        margin = " " * indent
        yield f"{margin}{'=' if option.required else ' '} {option.name} ({kind})"
        text = option.help
        if option.name == free_form:
            text = f"{text} It may stand behind the module's name as it is."
        yield from _wrapped(text, indent + 6)
        facts = []
        if option.choices:
            facts.append(f"one of: {', '.join(map(_shown, option.choices))}")
        if option.default is not None:
            facts.append(f"default: {_shown(option.default)}")
        if option.aliases:
            facts.append(f"also called: {', '.join(option.aliases)}")
        if option.no_log:
            facts.append("never shown")
        if option.since:
            facts.append(f"since {option.since}")
        for fact in facts:
            yield from _wrapped(fact, indent + 6)
        if option.options:
            yield from _options(option.options, indent + 4)


def _rules(constraints: Any) -> Iterator[str]:
    for names in constraints.get("mutually_exclusive", ()):
        yield f"Only one of: {', '.join(names)}."
    for names in constraints.get("required_one_of", ()):
        yield f"At least one of: {', '.join(names)}."
    for names in constraints.get("required_together", ()):
        yield f"All or none of: {', '.join(names)}."
    for name, value, needed, *rest in constraints.get("required_if", ()):
        which = "one of " if rest and rest[0] else ""
        yield f"With {name}: {_shown(value)}, {which}{', '.join(needed)} must be given."
    for name, needed in constraints.get("required_by", {}).items():
        yield f"With {name}, {needed if isinstance(needed, str) else ', '.join(needed)} must be given."


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) and value != "" else repr(value)


def _wrapped(text: str, indent: int, bullet: str = "") -> list[str]:
    import textwrap

    margin = " " * indent
    found: list[str] = []
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            found.append("")
        first = bullet if bullet and not number else margin
        found += textwrap.wrap(
            " ".join(paragraph.split()),
            WIDTH,
            initial_indent=first,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return found


def _fields(option: Option) -> dict[str, Any]:
    found: dict[str, Any] = {"type": option.type, "help": option.help}
    for name in ("elements", "required", "default", "choices", "aliases", "no_log", "since"):
        value = getattr(option, name)
        if value not in (None, (), "", False):
            found[name] = value
    if option.options:
        found["options"] = {inner.name: _fields(inner) for inner in option.options}
    return found


def _dump(value: Any) -> None:
    import json

    json.dump(value, sys.stdout, indent=2, default=str)
    print()
