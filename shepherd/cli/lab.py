"""`shepherd lab`: local SSH hosts, to try and test playbooks on."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from shepherd.errors import ShepherdError

if TYPE_CHECKING:
    from shepherd.lab.state import Lab


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("lab", help="local SSH hosts, to try and test playbooks on", description=__doc__)
    parser.set_defaults(main=main)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.add_argument("--name", default="lab", metavar="LAB", help="which lab; several can run side by side")
        added.set_defaults(verb_main=function)
        return added

    added = verb("up", up, "have N hosts run, and write an inventory of them")
    added.add_argument("count", type=int, metavar="N", nargs="?", default=3, help="how many hosts in all (default: 3)")
    added.add_argument("--ports", action="store_true", help="ports of 127.0.0.1 and this machine's network, no bridge")
    added.add_argument("--systemd", action="store_true", help="systemd as process 1 of each host")
    added.add_argument("--debian", action="store_true", help="over a small Debian, made once, not this machine's root")
    added.add_argument("--inventory", metavar="PATH", help="where to write the inventory (default: inventory/lab)")
    added = verb("down", down, "end the hosts and take away all that was made for them")
    added.add_argument("--base", action="store_true", help="forget the small Debian of --debian and --systemd as well")
    added = verb("list", show, "the labs and their hosts")
    added = verb("exec", execute, "run a command in a host, without SSH")
    added.add_argument("host", metavar="HOST")
    added.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER)
    added = verb("ssh", ssh, "a login on a host as root, or a command by SSH")
    added.add_argument("host", metavar="HOST")
    added.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER)


def main(options: argparse.Namespace) -> int:
    from shepherd.lab.checks import not_allowed

    problem = not_allowed()
    if problem is not None:
        raise problem
    result: int = options.verb_main(options)
    return result


def up(options: argparse.Namespace) -> int:
    from shepherd.lab.up import Wishes
    from shepherd.lab.up import up as start

    wishes = Wishes(options.ports, options.systemd, options.debian, options.inventory)
    lab, started = start(options.count, name=options.name, wishes=wishes)
    path = os.path.relpath(lab.inventory)
    if not started:
        print(f"lab {lab.name!r} is up already: {len(lab.hosts)} hosts, inventory {path}")
        return 0
    print(f"lab {lab.name!r} is up: {len(lab.hosts)} hosts, started {' '.join(started)}; inventory {path}")
    print(f"  shepherd run all -i {path} 'uptime -p'")
    print(f"  shepherd lab ssh{_name_option(lab)} {lab.hosts[0].name}")
    print(f"  shepherd lab down{_name_option(lab)}")
    return 0


def down(options: argparse.Namespace) -> int:
    from shepherd.lab.down import down_by_name, forget_base

    hosts = down_by_name(options.name)
    print(f"there is no lab {options.name!r}" if hosts is None else f"lab {options.name!r} is down")
    if options.base:
        forget_base()
    return 0


def show(_options: argparse.Namespace) -> int:
    from shepherd.lab import state

    for lab in state.labs():
        running = lab.running()
        print(f"{lab.name}  {lab.network or 'ports of 127.0.0.1'}  {lab.inventory}")
        for host in lab.hosts:
            status = f"process {running[host.name]}" if host.name in running else "does not run"
            print(f"  {host.name:<8} {host.address}:{host.port}  {status}")
    return 0


def execute(options: argparse.Namespace) -> int:
    from shepherd.lab.enter import command_for

    command = _command(options)
    return _become(command_for(_lab(options), options.host, command or ["bash", "-l"]))


def ssh(options: argparse.Namespace) -> int:
    from shepherd.lab.enter import ssh_for

    command = _command(options)
    return _become([*ssh_for(_lab(options), options.host), *command])


def _command(options: argparse.Namespace) -> list[str]:
    """The words behind the host, of which not even those that look like options are ours."""
    words: list[str] = options.command
    if words and words[0].startswith("-") and words[0] != "--":
        raise ShepherdError(
            f"{words[0]} is no command", hint=f"options stand before the host: shepherd lab {options.verb} {words[0]} …"
        )
    return words[1:] if words[:1] == ["--"] else words


def _lab(options: argparse.Namespace) -> Lab:
    from shepherd.lab import state

    lab = state.load(options.name)
    if lab is None:
        raise ShepherdError(f"there is no lab {options.name!r}", hint=f"shepherd lab up 3{_name_option(options)}")
    return lab


def _name_option(named: Any) -> str:
    return "" if named.name == "lab" else f" --name {named.name}"


def _become(command: list[str]) -> int:
    sys.stdout.flush()
    os.execvp(command[0], command)  # noqa: S606 - the terminal is handed over
