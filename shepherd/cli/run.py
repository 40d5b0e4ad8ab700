"""`shepherd run`: one module on hosts, ad hoc."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from shepherd.cli import common
from shepherd.errors import OptionsError, ShepherdError
from shepherd.origin import Origin, printable

if TYPE_CHECKING:
    import argparse

    from shepherd.playbook.model import Play, Task

PLACE = Origin("the command line")
COMMANDS = ("command", "shell", "script", "raw")  # whose text may hold `=` of its own; without one they do nothing
STATIC = {"import_tasks": "include_tasks", "import_role": "include_role"}  # which there is no playbook to be put into
POLL = 15  # seconds, as for Ansible


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run one module on hosts, ad hoc",
        usage="%(prog)s [options] PATTERN [COMMAND]",
        description="Run one module on the hosts that match a pattern: `shepherd run web -m service -a 'name=nginx "
        "state=restarted'`. Without -m the module is command: `shepherd run all 'uptime -p'`.",
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="PATTERN [COMMAND]",
        help="which hosts (names, groups, globs, all), and the command for the module `command`: short for -a",
    )
    parser.add_argument("-m", "--module-name", default="command", metavar="MODULE", help="the module (command)")
    parser.add_argument(
        "-a", "--args", default="", metavar="ARGS", help="its options: key=value …, or YAML or JSON in {}"
    )
    parser.add_argument("-o", "--one-line", action="store_true", help="a line for each host")
    parser.add_argument("-t", "--tree", metavar="DIR", help="also write each host's result to a file in this folder")
    parser.add_argument(
        "-B", "--background", type=int, metavar="SECONDS", help="let it take this long, and end it then"
    )
    parser.add_argument(
        "-P", "--poll", type=int, default=POLL, metavar="SECONDS", help="with -B: above 0, since it is waited for"
    )
    parser.add_argument("--playbook-dir", metavar="DIR", help="where group_vars, host_vars and files are (.)")
    common.add_arguments(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    options.pattern, *command = options.words
    if command:
        if options.args or len(command) > 1:
            raise OptionsError(
                f"one command is enough, and here are {len(command) + bool(options.args)}",
                hint="put quotes around it: shepherd run all 'uptime -p'",
            )
        options.args = command[0]
    settings = common.run_options(options, gather=False)
    with common.report(options, adhoc=True, one_line=options.one_line, tree=options.tree) as said:
        known = common.inventory_of(settings, said)
        hosts = known.select(options.pattern, settings.limit)
        if settings.limit is not None and not hosts:
            raise ShepherdError(
                f"no host of {options.pattern!r} matches the limit {settings.limit!r} too",
                hint="shepherd inventory --graph shows the groups and hosts",
            )
        if options.list_hosts:
            print("\n".join([f"  hosts ({len(hosts)}):", *(f"    {printable(host.name)}" for host in hosts)]))
            return 0
        from shepherd.engine.run import Run
        from shepherd.playbook.model import Playbook
        from shepherd.templating import Templates

        run = Run(known, Templates(), settings, said.emit)
        task = _task(options.module_name, options.args, run.library)
        if options.background is not None:
            task = task._replace(background=options.background, poll=options.poll)
        play = _play_of(options.pattern, task, options.playbook_dir or ".")
        return common.play_out(run, lambda: [Playbook("ad hoc", (play,))], said)


def _task(module: str, written: str, library: tuple[str, ...]) -> Task:
    """The task that -m and -a mean; its options are checked here, before any host is reached."""
    from shepherd import documents
    from shepherd.arguments import COMMAND_OPTIONS, FREE_FORM, parse_kv
    from shepherd.playbook.model import Task
    from shepherd.spec import canonical, load_spec

    name = canonical(module)
    if name == "import_playbook":
        raise OptionsError("import_playbook is nothing to run ad hoc", hint="shepherd play plays playbooks")
    name = STATIC.get(name, name)
    if name in COMMANDS and not written:
        raise OptionsError(f"the module {name} needs a command", hint=f"shepherd run PATTERN -m {name} -a 'uptime -p'")
    spec = load_spec(name, library)
    if written.lstrip().startswith("{") and not written.lstrip().startswith(("{{", "{%")):
        args = documents.load_text(written, "-a")
    else:
        args = parse_kv(written, known=COMMAND_OPTIONS if name in COMMANDS else None)
        free = args.pop(FREE_FORM, None)
        if free is not None:
            if spec.free_form is None:
                raise OptionsError(f"{name} takes options as key=value, and {free!r} is none")
            args[spec.free_form] = free
    spec.check_names(args, PLACE)
    return Task(action=name, args=args, origin=PLACE)


def _play_of(pattern: str, task: Task, folder: str) -> Play:
    from shepherd.playbook.model import Block, Play

    path = os.path.join(folder, "ad hoc")
    return Play(name="ad hoc", hosts=pattern, origin=PLACE, path=path, gather_facts=False, tasks=Block((task,)))
