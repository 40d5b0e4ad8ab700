"""What `play` and `run` share: options of the run, passwords, extra variables, reports."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

from shepherd import config
from shepherd.errors import OptionsError, ParseError

if TYPE_CHECKING:
    import argparse

    from shepherd.engine.options import Options
    from shepherd.report import Report

ACCEPT_NEW = "SHEPHERD_ACCEPT_NEW_HOST_KEYS"  # read by shepherd/transport/ssh_settings.py, and by people who set it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every verb has that reaches hosts."""
    config.add_arguments(parser.add_argument_group("hosts"), config.INVENTORY)  # type: ignore[arg-type]  # groups add too
    connection = parser.add_argument_group("connection")
    connection.add_argument("-k", "--ask-pass", action="store_true", help="ask for the password to log in with")
    connection.add_argument(
        "--connection-password-file", "--conn-pass-file", metavar="FILE", help="read it from a file"
    )
    config.add_arguments(connection, config.CONNECTION)  # type: ignore[arg-type]  # likewise
    connection.add_argument(
        "--accept-new-host-keys", action="store_true", help="keep the key of a host that is not known yet, and go on"
    )
    become = parser.add_argument_group("become another user")
    become.add_argument("-b", "--become", action="store_true", help="become another user on the host")
    become.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the password for that")
    become.add_argument("--become-password-file", "--become-pass-file", metavar="FILE", help="read it from a file")
    config.add_arguments(become, config.BECOME)  # type: ignore[arg-type]  # likewise
    running = parser.add_argument_group("run")
    config.add_arguments(running, config.RUNNING)  # type: ignore[arg-type]  # likewise
    running.add_argument("-C", "--check", action="store_true", help="say what would change, change nothing")
    running.add_argument("-D", "--diff", action="store_true", help="show the changes to files")
    running.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="VARS", help="key=value …, YAML or JSON, or @FILE"
    )
    running.add_argument("-v", "--verbose", action="count", default=0, help="more: -vvv shows what modules were given")
    running.add_argument("--list-hosts", action="store_true", help="only list the hosts")


def extra_vars(written: list[str]) -> dict[str, Any]:
    """The variables of all -e, later ones first in line."""
    from shepherd import documents
    from shepherd.arguments import parse_kv

    merged: dict[str, Any] = {}
    for number, text in enumerate(written, 1):
        stripped = text.strip()
        if stripped.startswith("@"):
            values = documents.load(stripped[1:])
        elif stripped[:1] in ("{", "["):
            values = documents.load_text(stripped, f"-e number {number}")
        else:
            values = parse_kv(stripped)
        if values is None:
            continue
        if not isinstance(values, dict):
            raise OptionsError(f"-e {text}: not a mapping", hint="give key=value, or a mapping in YAML or JSON")
        merged.update(values)
    return merged


def run_options(options: argparse.Namespace, **more: Any) -> Options:
    """The engine's options, from the command line and the environment. Asks for passwords where told to."""
    from shepherd.engine.options import Options

    if options.accept_new_host_keys:
        os.environ[ACCEPT_NEW] = "1"
    settings = config.resolve(options, config.INVENTORY + config.CONNECTION + config.BECOME + config.RUNNING)
    ssh_args: list[str] = []
    for name in ("ssh_common_args", "ssh_extra_args"):
        ssh_args += shlex.split(settings.pop(name) or "")
    output = settings.pop("output")
    if output not in (None, "json", "plain", "terminal"):
        raise OptionsError(f"--output {output}: not known", hint="json, plain or terminal")
    forks = settings["forks"]
    if forks < 1:
        raise OptionsError(f"--forks {forks}: at least 1")
    return Options(
        check=options.check,
        diff=options.diff,
        verbosity=options.verbose,
        extra_vars=extra_vars(options.extra_vars),
        ssh_args=tuple(ssh_args),
        become=options.become,
        connection_password=_secret(options.ask_pass, options.connection_password_file, "SSH password: "),
        become_password=_secret(options.ask_become_pass, options.become_password_file, "BECOME password: "),
        inventory_sources=tuple(settings.pop("inventory") or ()),
        **settings,
        **more,
    )


def _secret(ask: bool, file: str | None, prompt: str) -> Any:
    from shepherd.transport import Secret

    if ask:
        import getpass

        return Secret(getpass.getpass(prompt))
    if file is None:
        return None
    try:
        with open(file, encoding="utf-8") as handle:
            return Secret(handle.read().strip("\n"))
    except OSError as error:
        raise ParseError(f"cannot read the password file {file}: {error.strerror}") from None


def report(options: argparse.Namespace) -> Report:
    """The report that fits where the output goes."""
    from shepherd import report as reports

    settings = config.resolve(options, config.RUNNING)
    return reports.choose(settings["output"], sys.stdout, verbosity=options.verbose, diff=options.diff)
