"""`shepherd exec`: a command in containers on hosts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from shepherd.cli import containers
from shepherd.errors import OptionsError
from shepherd.origin import printable

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: Any) -> None:
    parser = containers.add_parser(
        subparsers,
        "exec",
        "run a command in containers on hosts",
        "Run a program inside containers, in all that are meant at the same time. No shell is "
        "involved. What it says comes behind its host and container. Exit code 2 where it ended with another than 0.",
        "PATTERN NAME [NAME …] -- COMMAND [ARGUMENT …]",
    )
    parser.add_argument("--as", dest="run_as", metavar="USER[:GROUP]", help="as this user of the container (its own)")
    parser.add_argument("-w", "--workdir", metavar="FOLDER", help="in this folder of it (its own)")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a variable more")
    parser.add_argument("--stdin", action="store_true", help="each of them reads all that is on standard input")
    parser.add_argument("--no-prefix", action="store_true", help="without host and container")
    containers.add_connection(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    if not options.behind:
        raise OptionsError("a command is missing", hint="it stands behind --: shepherd exec web shop -- ls -l /data")
    if len(options.words) < 2:
        raise OptionsError("no container is named", hint="shepherd exec web shop -- ls; '*' names all of them")
    wrong = next((pair for pair in options.env if not pair.partition("=")[0] or "=" not in pair), None)
    if wrong is not None:
        raise OptionsError(f"--env {wrong}: should be NAME=VALUE")
    shown = containers.Prefixed(bare=options.no_prefix)
    args = {
        "verb": "exec",
        "names": options.words[1:],
        "command": options.behind,
        "user": options.run_as,
        "workdir": options.workdir,
        "env": options.env,
    }
    upload = sys.stdin.buffer.read() if options.stdin else None
    answers, code = containers.ask(options, "shepherd.remote.container_verbs", args, shown.add, upload)
    shown.finish()
    ended = failed = 0
    for host, answer in answers.items():
        for name, status in answer.get("statuses", {}).items():
            ended += 1
            if status:
                failed += 1
                _say(f"{host} {name}: the command ended with status {status}")
        for name in answer.get("stopped", ()):
            failed += 1
            _say(f"{host} {name}: it does not run")
    failed += containers.missing(options, answers, [0] * (ended + failed))
    return code or containers.EXIT_FAILED * bool(failed)


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)
