"""`shepherd stats`: what containers on hosts use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.cli import containers

if TYPE_CHECKING:
    import argparse

COLUMNS = (
    ("HOST", "host"), ("NAME", "Name"), ("CPU %", "CPUPerc"), ("MEM USAGE / LIMIT", "MemUsage"), ("MEM %", "MemPerc"),
    ("NET I/O", "NetIO"), ("BLOCK I/O", "BlockIO"), ("PIDS", "PIDs"),
)  # fmt: skip


def add_parser(subparsers: Any) -> None:
    parser = containers.add_parser(
        subparsers,
        "stats",
        "show what containers on hosts use",
        "Show what containers that run use, once: their share of a processor over one second, memory, network, disks.",
        "PATTERN [NAME …]",
    )
    containers.add_format(parser)
    containers.add_connection(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    args = {"verb": "stats", "names": options.words[1:]}
    answers, code = containers.ask(options, "shepherd.remote.container_verbs", args)
    rows = [{"host": host, **row} for host, answer in answers.items() for row in answer.get("rows", ())]
    found = [name for answer in answers.values() for name in answer.get("found", ())]
    lacking = containers.missing(options, answers, found)
    containers.show(options, rows, COLUMNS)
    return code or containers.EXIT_FAILED * lacking
