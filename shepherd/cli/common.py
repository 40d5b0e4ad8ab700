"""What `play` and `run` share: options of the run, extra variables, the inventory, the report, how a run ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from shepherd import config
from shepherd.cli import passwords
from shepherd.errors import OptionsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from shepherd.engine.options import Options
    from shepherd.engine.run import Run
    from shepherd.inventory import Inventory
    from shepherd.playbook.model import Playbook
    from shepherd.report.notices import Notices

ACCEPT_NEW = "SHEPHERD_ACCEPT_NEW_HOST_KEYS"  # read by shepherd/transport/ssh_settings.py, and by people who set it
EXIT_INTERRUPTED = 99
NO_INVENTORY = "no inventory was named, so that only localhost is known: give one with -i or in SHEPHERD_INVENTORY"


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Which hosts, and how they are reached."""
    config.add_arguments(parser.add_argument_group("hosts"), config.INVENTORY)
    connection = parser.add_argument_group("connection")
    become = parser.add_argument_group("become another user")
    become.add_argument("-b", "--become", action="store_true", help="become another user on the host")
    passwords.add_arguments(connection, become)
    config.add_arguments(connection, config.CONNECTION)
    connection.add_argument(
        "--accept-new-host-keys", action="store_true", help="keep the key of a host that is not known yet, and go on"
    )
    config.add_arguments(become, config.BECOME)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of verbs that run tasks on hosts."""
    add_connection(parser)
    running = parser.add_argument_group("run")
    config.add_arguments(running, config.RUNNING)
    running.add_argument("-C", "--check", action="store_true", help="say what would change, change nothing")
    running.add_argument("-D", "--diff", action="store_true", help="show the changes to files")
    add_extra_vars(running)
    running.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="show all results; -vv also places and times; -vvv also what modules were given",
    )
    running.add_argument("--list-hosts", action="store_true", help="only list the hosts")


def add_extra_vars(parser: config.Adds) -> None:
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="VARS", help="key=value …, YAML or JSON, or @FILE"
    )


def extra_vars(written: list[str]) -> dict[str, Any]:
    """The variables of all -e, later ones first in line."""
    from shepherd import documents
    from shepherd.arguments import FREE_FORM, parse_kv

    merged: dict[str, Any] = {}
    for number, text in enumerate(written, 1):
        stripped = text.strip()
        if stripped.startswith("@"):
            values = documents.load(os.path.expanduser(stripped[1:]))
        elif stripped[:1] in ("{", "["):
            values = documents.load_text(stripped, f"-e number {number}")
        else:
            values = parse_kv(stripped)
        if values is None:
            continue
        if not isinstance(values, dict) or FREE_FORM in values:
            what = repr(values.get(FREE_FORM)) if isinstance(values, dict) else "it"
            raise OptionsError(
                f"-e {text}: {what} gives no variable a value", hint="key=value, a mapping in YAML or JSON, or @FILE"
            )
        merged.update(values)
    return merged


def run_options(options: argparse.Namespace, **more: Any) -> Options:
    """The engine's options, from the command line and the environment. Asks for passwords where told to."""
    from shepherd.engine.options import Options

    if options.accept_new_host_keys:
        os.environ[ACCEPT_NEW] = "1"
    settings = config.resolve(options, config.INVENTORY + config.CONNECTION + config.BECOME + config.RUNNING)
    del settings["output"]  # the report's
    variables = extra_vars(options.extra_vars)
    ssh_args = (*settings.pop("ssh_common_args"), *settings.pop("ssh_extra_args"))
    _check_ssh(ssh_args)
    login, become = passwords.passwords(options)
    return Options(
        check=options.check,
        diff=options.diff,
        verbosity=options.verbose,
        extra_vars=variables,
        ssh_args=ssh_args,
        become=options.become,
        connection_password=login,
        become_password=become,
        inventory_sources=tuple(settings.pop("inventory") or ()),
        **settings,
        **more,
    )


def _check_ssh(words: tuple[str, ...]) -> None:
    if words:
        from shepherd.transport.ssh_arguments import parse_arguments
        from shepherd.transport.ssh_errors import Refused

        try:
            parse_arguments(words)
        except Refused as error:  # said before any host is reached
            raise OptionsError(error.message, hint=error.hint) from None


def report(options: argparse.Namespace, **more: Any) -> Notices:
    """The report that fits what was asked for and where the output goes."""
    from shepherd.report import Wishes, choose
    from shepherd.report.notices import Notices

    form = config.resolve(options, config.RUNNING)["output"]
    return Notices(choose(Wishes(form, options.verbose, options.diff, **more)))


def inventory_of(settings: Options, said: Notices) -> Inventory:
    """The hosts; what is odd about them is said."""
    from shepherd import inventory

    known = inventory.load(settings.inventory_sources, cwd=os.getcwd())
    if not settings.inventory_sources:
        said.withhold(known.warnings)
        said.warn([NO_INVENTORY])
    said.watch(lambda: known.warnings)
    return known


def play_out(run: Run, make: Callable[[], list[Playbook]], said: Notices) -> int:
    """Play what `make` reads; the exit code. Ctrl-C ends it in order: what runs on hosts is ended too."""

    import asyncio

    said.watch(lambda: run.inventory.warnings)

    async def play() -> int:
        passwords.ask_for_passphrases(said.emit)
        try:
            code = await run.play_all(make())
        except BaseException as error:
            recap = run.recap(interrupted=isinstance(error, asyncio.CancelledError))
            if recap.hosts or recap.interrupted:
                said.emit(recap)
            raise
        said.emit(run.recap())
        return code

    try:
        return asyncio.run(play())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return EXIT_INTERRUPTED
