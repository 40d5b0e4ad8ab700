"""`shepherd play`: playbooks on the hosts of an inventory."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from shepherd.cli import common
from shepherd.config import words

if TYPE_CHECKING:
    import argparse

    from shepherd.engine.options import Options
    from shepherd.inventory import Inventory


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "play",
        help="play playbooks on the hosts of an inventory",
        description="Play playbooks on the hosts of an inventory. Exit codes: 0 all well, 1 an error, 2 a host failed, "
        "4 a host could not be reached or a file not be understood, 99 interrupted, 250 a bug.",
    )
    parser.add_argument("words", nargs="+", metavar="PLAYBOOK", help="YAML files")
    common.add_arguments(parser)
    playing = parser.add_argument_group("plays")
    playing.add_argument("-t", "--tags", action="append", default=[], metavar="TAGS", help="only tasks with these tags")
    playing.add_argument("--skip-tags", action="append", default=[], metavar="TAGS", help="no tasks with these tags")
    playing.add_argument("--start-at-task", metavar="NAME", help="begin with the task of this name")
    playing.add_argument("--step", action="store_true", help="ask before each task")
    playing.add_argument("--force-handlers", action="store_true", help="run handlers even on hosts that failed")
    playing.add_argument(
        "--flush-cache", action="store_true", help="forget facts kept from earlier runs (none are kept)"
    )
    playing.add_argument("--syntax-check", action="store_true", help="only read and check the playbooks")
    playing.add_argument("--list-tasks", action="store_true", help="only list the tasks")
    playing.add_argument("--list-tags", action="store_true", help="only list the tags")
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from shepherd import inventory
    from shepherd.report.events import Message

    tags = tuple(tag for text in options.tags for tag in words(text)) or ("all",)
    skip_tags = tuple(tag for text in options.skip_tags for tag in words(text))
    settings = common.run_options(
        options,
        tags=tags,
        skip_tags=skip_tags,
        start_at_task=options.start_at_task,
        step=options.step,
        force_handlers=options.force_handlers,
    )
    known = inventory.load(settings.inventory_sources, cwd=os.getcwd())
    report = common.report(options)
    for warning in known.warnings:
        report.emit(Message("warning", str(warning)))
    if options.list_hosts or options.list_tasks or options.list_tags or options.syntax_check:
        return _list(options, settings, known)
    return asyncio.run(_play(options, settings, known, report))


async def _play(options: argparse.Namespace, settings: Options, known: Inventory, report: Any) -> int:
    from shepherd.engine.run import Run
    from shepherd.templating import Templates
    from shepherd.templating.compiled import default_path

    run = Run(known, Templates(cache=default_path()), settings, report.emit)
    try:
        playbooks = run.load(options.words)
        code = await run.play_all(playbooks)
    except asyncio.CancelledError:
        report.emit(run.recap(interrupted=True))
        report.close()
        raise KeyboardInterrupt from None
    except BaseException:
        report.close()
        raise
    report.emit(run.recap())
    report.close()
    return code


def _list(options: argparse.Namespace, settings: Options, known: Inventory) -> int:
    from shepherd.engine.run import Run
    from shepherd.playbook import listing
    from shepherd.templating import Templates

    run = Run(known, Templates(), settings, lambda _: None)
    playbooks = run.load(options.words)
    for playbook in playbooks:
        lines = listing.lines(
            playbook,
            known,
            hosts=options.list_hosts,
            tasks=options.list_tasks,
            tags=options.list_tags,
            limit=settings.limit,
            selection=(settings.tags, settings.skip_tags),
        )
        print("\n".join(lines))
    return 0
