"""What `ps`, `logs`, `stats`, `exec` and `top` share: hosts and containers that are meant, questions, rows, lines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd.cli import common
from shepherd.origin import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from shepherd.link import Link

EXIT_FAILED = 2
NAMES = "containers, what they were declared as, or patterns of either (shop*); without one, all"
NO_RUNTIME = "no container runtime there, so no containers"


class Line(NamedTuple):
    """What a container said. `stream` is stdout or stderr, `time` empty where nobody noted it."""

    host: str
    container: str
    stream: str
    time: str
    text: str


def add_parser(subparsers: Any, verb: str, summary: str, description: str, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        verb, help=summary, description=description, usage=f"%(prog)s [options] {words}"
    )
    parser.add_argument("words", nargs="+", metavar=words, help=f"which hosts (names, groups, globs, all); {NAMES}")
    return parser


def add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("table", "json"), default="table", help="a table (the default), or JSON")


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Behind what is the verb's own: how hosts are reached, as for `run`."""
    common.add_connection(parser)
    common.add_extra_vars(parser)
    parser.set_defaults(check=False, diff=False, verbose=0)


def ask(
    options: argparse.Namespace,
    source: str,
    args: Mapping[str, Any],
    on_line: Callable[[Line], None] | None = None,
    upload: bytes | None = None,
) -> tuple[dict[str, dict[str, Any]], int]:
    """Ask the target code `source` of all hosts: (their answers, the exit code). What went wrong is said.

    `on_line` is called with each line that a host streams.
    """
    import asyncio

    from shepherd.cli import passwords
    from shepherd.report.events import Message, NoHosts

    settings = common.run_options(options, gather=False)
    with common.report(options, adhoc=True) as said:
        known = common.inventory_of(settings, said)
        from shepherd import sources
        from shepherd.engine import questions
        from shepherd.engine.run import Run
        from shepherd.templating import Templates

        run = Run(known, Templates(), settings, said.emit)
        target = sources.target(source)

        async def question(host: str, link: Link) -> dict[str, Any]:
            on_output = _Lines(host, on_line) if on_line is not None else None
            return await link.run(target, dict(args), on_output=on_output, upload=upload)

        def heard(host: str, result: dict[str, Any]) -> None:
            """At once: who follows the logs of other hosts wants to know now that one is not among them."""
            if result.get("failed") or result.get("unreachable"):
                said.emit(Message("error", str(result.get("msg")), host))
            elif not runs(result):
                print(printable(f"{host}: {NO_RUNTIME}"), file=sys.stderr)

        async def all_of_them() -> dict[str, dict[str, Any]]:
            passwords.ask_for_passphrases(said.emit)
            return await questions.ask(run, options.words[0], question, heard)

        try:
            answers = asyncio.run(all_of_them())
        except (KeyboardInterrupt, asyncio.CancelledError):
            return {}, common.EXIT_INTERRUPTED
        if not answers:
            said.emit(NoHosts("", options.words[0]))
        return answers, run.exit_code()


def runs(answer: Mapping[str, Any]) -> bool:
    """Whether the host has a container runtime."""
    return bool(answer.get("runtime", answer.get("version")))


def missing(options: argparse.Namespace, answers: Mapping[str, Mapping[str, Any]], found: Sequence[object]) -> bool:
    """Say so where containers were named and no host that answered has one."""
    named, hosts = options.words[1:], [host for host, answer in answers.items() if "msg" not in answer]
    if found or not named or not hosts:
        return False
    who = f"{len(hosts)} hosts have" if len(hosts) > 1 else f"{hosts[0]} has"
    print(printable(f"ERROR! {who} no container {' or '.join(named)}"), file=sys.stderr)
    print("  hint: shepherd ps PATTERN shows those that are there", file=sys.stderr)
    return True


def show(options: argparse.Namespace, rows: list[dict[str, Any]], columns: Sequence[tuple[str, str]]) -> None:
    """Rows as they were asked for. `columns`: (heading, key)."""
    if options.format == "json":
        print(json.dumps(rows, indent=2))
    elif rows:
        table(rows, columns)


def table(rows: list[dict[str, Any]], columns: Sequence[tuple[str, str]]) -> None:
    lines = [[heading for heading, _key in columns]]
    lines += [[printable(str(row.get(key, ""))).replace("\n", " ") for _heading, key in columns] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


class _Lines:
    """JSON lists, a line each, of the output that a link passes on in pieces."""

    def __init__(self, host: str, on_line: Callable[[Line], None]) -> None:
        self._host = host
        self._on_line = on_line
        self._rest = b""

    def __call__(self, stream: str, data: bytes) -> None:
        if stream != "stdout":
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(Line(self._host, *json.loads(line)))


class Prefixed:
    """Whole lines on standard output or error, behind the host and the container that they are of."""

    def __init__(self, *, bare: bool) -> None:
        self._bare = bare
        self._width = 0
        self._parts: dict[tuple[str, str, str], str] = {}  # of lines that have no end yet

    def add(self, line: Line, front: str = "") -> None:
        """Print what is whole of it."""
        key = line[:3]
        *whole, rest = (self._parts.pop(key, "") + line.text).split("\n")
        self._parts[key] = rest
        for text in whole:
            self._print(key, front + text)

    def finish(self) -> None:
        """What was left without an end."""
        for key, text in self._parts.items():
            if text:
                self._print(key, text)
        self._parts.clear()

    def _print(self, key: tuple[str, str, str], text: str) -> None:
        host, container, stream = key
        if not self._bare:
            name = f"{host} {container}"
            self._width = max(self._width, len(name))
            text = f"{name.ljust(self._width)} | {text}"
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").rstrip("\r")
        print(printable(text), file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)
