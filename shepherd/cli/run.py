"""`shepherd run`: one module on hosts, ad hoc."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING, Any

from shepherd.cli import common
from shepherd.origin import Origin

if TYPE_CHECKING:
    from shepherd.engine.options import Options
    from shepherd.inventory import Inventory


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run one module on hosts, ad hoc",
        description="Run one module on the hosts that match a pattern: `shepherd run web -m service -a 'name=nginx "
        "state=restarted'`. Without -m the module is command: `shepherd run all 'uptime -p'`.",
    )
    parser.add_argument("pattern", help="which hosts: names, groups, globs; all")
    parser.add_argument("command", nargs="?", help="the command for the module `command`: short for -a")
    parser.add_argument("-m", "--module-name", default="command", metavar="MODULE", help="the module (command)")
    parser.add_argument("-a", "--args", default="", metavar="ARGS", help="its options: key=value …, or YAML or JSON in {}")
    parser.add_argument("-o", "--one-line", action="store_true", help="a line for each host")
    common.add_arguments(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from shepherd import inventory
    from shepherd.errors import OptionsError
    from shepherd.report.events import Message

    if options.command is not None:
        if options.args:
            raise OptionsError("a command and -a say the same thing: give one of them")
        options.args = options.command
    settings = common.run_options(options, gather=False)
    known = inventory.load(list(settings.inventory_sources))
    if options.list_hosts:
        hosts = known.select(options.pattern, settings.limit)
        print(f"  hosts ({len(hosts)}):")
        for host in hosts:
            print(f"    {host.name}")
        return 0
    from shepherd import report as reports

    report = (
        reports.choose("json", None, verbosity=options.verbose, diff=options.diff)
        if getattr(options, "output", None) == "json"
        else reports.adhoc(verbosity=options.verbose, diff=options.diff, one_line=options.one_line)
    )
    for warning in known.warnings:
        report.emit(Message("warning", str(warning)))
    return asyncio.run(_run(options, settings, known, report))


async def _run(options: argparse.Namespace, settings: Options, known: Inventory, report: Any) -> int:
    from shepherd.engine.run import Run
    from shepherd.playbook import adhoc
    from shepherd.playbook.model import Playbook
    from shepherd.templating import Templates

    run = Run(known, Templates(), settings, report.emit)
    task = adhoc(options.module_name, options.args, loader=run.loader)
    play = _play_of(options.pattern, task)
    try:
        code = await run.play_all([Playbook("ad hoc", (play,))])
    except asyncio.CancelledError:
        report.close()
        raise KeyboardInterrupt from None
    except BaseException:
        report.close()
        raise
    report.close()
    return code


def _play_of(pattern: str, task: Any) -> Any:
    from shepherd.playbook.model import Block, Play

    return Play(
        name="ad hoc", hosts=pattern, origin=Origin("the command line"), path="ad hoc", gather_facts=False, tasks=Block((task,))
    )
