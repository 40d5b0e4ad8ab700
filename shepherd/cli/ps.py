"""`shepherd ps`: the containers on hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.cli import containers

if TYPE_CHECKING:
    import argparse

ALIVE = ("running", "paused", "restarting")
COLUMNS = (
    ("HOST", "host"), ("NAME", "name"), ("IMAGE", "image"), ("STATUS", "summary"), ("RESTARTS", "restarts"),
    ("PORTS", "ports"),
)  # fmt: skip


def add_parser(subparsers: Any) -> None:
    parser = containers.add_parser(
        subparsers,
        "ps",
        "list the containers on hosts",
        "List containers: those that run, and those that were declared and do not. With --format json all is shown "
        "that is known of them, as by the module container_info.",
        "PATTERN [NAME …]",
    )
    parser.add_argument("-a", "--all", action="store_true", help="also others that have ended")
    containers.add_format(parser)
    containers.add_connection(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    names = options.words[1:]
    answers, code = containers.ask(options, "shepherd.modules.container_info", {"name": names or None})
    found = [{"host": host, **one} for host, answer in answers.items() for one in answer.get("containers", ())]
    rows = [one for one in found if options.all or names or one["app"] or one["status"] in ALIVE]
    lacking = containers.missing(options, answers, rows)
    containers.show(options, rows, COLUMNS)
    return code or containers.EXIT_FAILED * lacking
