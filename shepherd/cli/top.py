"""`shepherd top`: the processes of containers on hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.cli import containers

if TYPE_CHECKING:
    import argparse

PROCESS = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")  # as ps -ef has them
COLUMNS = (("HOST", "host"), ("CONTAINER", "container"), *((name, name) for name in PROCESS))


def add_parser(subparsers: Any) -> None:
    parser = containers.add_parser(
        subparsers,
        "top",
        "show the processes of containers on hosts",
        "Show the processes of containers that run, as the host numbers them.",
        "PATTERN [NAME …]",
    )
    containers.add_connection(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    args = {"verb": "top", "names": options.words[1:]}
    answers, code = containers.ask(options, "shepherd.remote.container_verbs", args)
    rows = [{"host": host, **row} for host, answer in answers.items() for row in answer.get("rows", ())]
    found = [name for answer in answers.values() for name in answer.get("found", ())]
    lacking = containers.missing(options, answers, found)
    if rows:
        containers.table(rows, COLUMNS)
    return code or containers.EXIT_FAILED * lacking
