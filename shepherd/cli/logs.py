"""`shepherd logs`: what containers on hosts said, and say."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

from shepherd.cli import containers

if TYPE_CHECKING:
    import argparse

TAIL = 100  # lines of each container, unless told otherwise


def add_parser(subparsers: Any) -> None:
    parser = containers.add_parser(
        subparsers,
        "logs",
        "show what containers on hosts say",
        "Show the logs of containers, each line behind its host and container, in the order of time. With -f also what "
        "they say from now on, and containers that come later, until Ctrl-C.",
        "PATTERN [NAME …]",
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what they say from now on")
    parser.add_argument(
        "-n", "--tail", type=_lines, default=TAIL, metavar="LINES", help=f"of each container; or all ({TAIL})"
    )
    parser.add_argument("--since", metavar="WHEN", help="not what is older: 10m, 2h30m, a date, seconds since 1970")
    parser.add_argument("-t", "--timestamps", action="store_true", help="each line's time before it")
    parser.add_argument("--no-prefix", action="store_true", help="without host and container")
    containers.add_connection(parser)
    parser.set_defaults(main=main)


def _lines(text: str) -> int | None:
    """A number of lines; None: all."""
    if text == "all":
        return None
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is neither a number of lines nor `all`")
    return int(text)


def main(options: argparse.Namespace) -> int:
    args = {
        "verb": "logs",
        "names": options.words[1:],
        "follow": options.follow,
        "tail": options.tail,
        "since": options.since,
    }
    shown = containers.Prefixed(bare=options.no_prefix)
    kept: list[containers.Line] = []

    def show(line: containers.Line) -> None:
        shown.add(line, f"{line.time} " if options.timestamps else "")

    # what hosts have is put in order when all of it is here; who follows wants to see it now
    on_line = show if options.follow else kept.append
    answers, code = containers.ask(options, "shepherd.remote.container_verbs", args, on_line)
    for line in sorted(kept, key=lambda line: line.time):
        show(line)
    shown.finish()
    found = [name for answer in answers.values() for name in answer.get("found", ())]
    return code or containers.EXIT_FAILED * containers.missing(options, answers, found)
