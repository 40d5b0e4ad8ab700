"""`shepherd play`: playbooks on the hosts of an inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.cli import common
from shepherd.config import words

if TYPE_CHECKING:
    import argparse

    from shepherd.engine.run import Run
    from shepherd.playbook.model import Playbook
    from shepherd.report.notices import Notices


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
    settings = common.run_options(
        options,
        tags=_words(options.tags) or ("all",),
        skip_tags=_words(options.skip_tags),
        start_at_task=options.start_at_task,
        step=options.step,
        force_handlers=options.force_handlers,
    )
    with common.report(options) as said:
        known = common.inventory_of(settings, said)
        from shepherd.engine.run import Run
        from shepherd.templating import Templates
        from shepherd.templating.compiled import default_path

        run = Run(known, Templates(cache=default_path()), settings, said.emit)
        if options.list_hosts or options.list_tasks or options.list_tags or options.syntax_check:
            return _list(options, run)
        code = common.play_out(run, lambda: _read(run, options, said), said)
    if run.start_at is not None and code == 0:
        from shepherd.cli import named

        raise named.no_start(run.start_at)
    return code


def _words(written: list[str]) -> tuple[str, ...]:
    return tuple(word for text in written for word in words(text))


def _read(run: Run, options: argparse.Namespace, said: Notices) -> list[Playbook]:
    playbooks = run.load(options.words)
    if options.tags or options.skip_tags or options.start_at_task:
        from shepherd.cli import named

        tasks = named.tasks(playbooks)
        said.warn(named.unknown_tags(tasks, (*_words(options.tags), *run.options.skip_tags)))
        if options.start_at_task:
            named.check_start(tasks, options.start_at_task)
    return playbooks


def _list(options: argparse.Namespace, run: Run) -> int:
    from shepherd.engine import syntax
    from shepherd.origin import printable
    from shepherd.playbook import listing

    settings = run.options
    playbooks = run.load(options.words)
    syntax.check(playbooks, run.templates)
    for playbook in playbooks:
        for line in listing.lines(
            playbook,
            run.inventory,
            hosts=options.list_hosts and not options.syntax_check,
            tasks=options.list_tasks and not options.syntax_check,
            tags=options.list_tags and not options.syntax_check,
            limit=settings.limit,
            selection=(settings.tags, settings.skip_tags),
            extra_vars=settings.extra_vars,
            templates=run.templates,
        ):
            print(printable(line))
    return 0
