"""Settings: one table of what can be set, where, and what it is otherwise.

A setting comes from its flag on the command line, else from its environment variable, else its default.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd.errors import OptionsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping


class Setting(NamedTuple):
    """`flags` empty: no flag. `environment`: names that are read, first one first. `kind` makes a value of text."""

    name: str
    flags: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    default: Any = None
    kind: Callable[[str], Any] = str
    metavar: str | None = None
    help: str = ""
    append: bool = False


def truth(text: str) -> bool:
    """yes or no, in any of the ways people write it."""
    lowered = text.strip().lower()
    if lowered in ("1", "yes", "y", "true", "t", "on"):
        return True
    if lowered in ("0", "no", "n", "false", "f", "off", ""):
        return False
    raise ValueError(f"{text!r} is neither yes nor no")


def words(text: str) -> tuple[str, ...]:
    """A list with commas between."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def folders(text: str) -> tuple[str, ...]:
    """A list of folders with colons between, ~ expanded."""
    return tuple(os.path.expanduser(part) for part in text.split(":") if part)


INVENTORY = (
    Setting(
        "inventory",
        ("-i", "--inventory", "--inventory-file"),
        ("SHEPHERD_INVENTORY", "ANSIBLE_INVENTORY"),
        metavar="SOURCE",
        help="file, folder, script, or hosts with commas between; may be given several times",
        append=True,
    ),
    Setting("limit", ("-l", "--limit"), metavar="PATTERN", help="only hosts that also match this pattern"),
)
CONNECTION = (
    Setting(
        "private_key_file",
        ("--private-key", "--key-file"),
        ("ANSIBLE_PRIVATE_KEY_FILE",),
        metavar="FILE",
        help="log in with this key",
    ),
    Setting("remote_user", ("-u", "--user"), ("ANSIBLE_REMOTE_USER",), metavar="USER", help="log in as this user"),
    Setting("connection", ("-c", "--connection"), ("ANSIBLE_TRANSPORT",), metavar="KIND", help="ssh or local"),
    Setting(
        "timeout",
        ("-T", "--timeout"),
        ("ANSIBLE_TIMEOUT",),
        10.0,
        float,
        "SECONDS",
        "give up connecting after this long",
    ),
    Setting(
        "ssh_common_args",
        ("--ssh-common-args",),
        ("ANSIBLE_SSH_COMMON_ARGS",),
        metavar="ARGS",
        help="words for ssh: -o Key=Value, -J, -i, -p, -F, -l",
    ),
    Setting(
        "ssh_extra_args", ("--ssh-extra-args",), ("ANSIBLE_SSH_EXTRA_ARGS",), metavar="ARGS", help="more of the same"
    ),
    Setting(
        "host_key_checking",
        (),
        ("SHEPHERD_HOST_KEY_CHECKING", "ANSIBLE_HOST_KEY_CHECKING"),
        True,
        truth,
        help="refuse hosts whose key is not known",
    ),
)
BECOME = (
    Setting("become_method", ("--become-method",), ("ANSIBLE_BECOME_METHOD",), metavar="METHOD", help="sudo or su"),
    Setting("become_user", ("--become-user",), ("ANSIBLE_BECOME_USER",), metavar="USER", help="whom to become (root)"),
)
RUNNING = (
    Setting(
        "forks",
        ("-f", "--forks"),
        ("SHEPHERD_FORKS", "ANSIBLE_FORKS"),
        50,
        int,
        "N",
        "hosts worked on at the same time",
    ),
    Setting(
        "task_timeout",
        ("--task-timeout",),
        ("ANSIBLE_TASK_TIMEOUT",),
        0.0,
        float,
        "SECONDS",
        "fail tasks that take longer",
    ),
    Setting(
        "module_path",
        ("-M", "--module-path"),
        ("ANSIBLE_LIBRARY",),
        (),
        folders,
        "FOLDERS",
        "more folders with modules",
    ),
    Setting(
        "roles_path",
        (),
        ("SHEPHERD_ROLES_PATH", "ANSIBLE_ROLES_PATH"),
        folders("~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles"),
        folders,
        help="where roles are looked for, after `roles/` beside the playbook",
    ),
    Setting("output", ("--output",), ("SHEPHERD_OUTPUT",), metavar="FORM", help="json: one event a line, for programs"),
)


def add_arguments(parser: argparse.ArgumentParser, settings: tuple[Setting, ...]) -> None:
    """A flag for each setting that has one; without it the option is None, so that `resolve` can tell."""
    for setting in settings:
        if not setting.flags:
            continue
        if setting.append:
            parser.add_argument(
                *setting.flags, dest=setting.name, action="append", metavar=setting.metavar, help=setting.help
            )
        else:
            parser.add_argument(
                *setting.flags, dest=setting.name, type=setting.kind, metavar=setting.metavar, help=setting.help
            )


def resolve(
    options: argparse.Namespace, settings: tuple[Setting, ...], environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The value of each setting by name. Raises OptionsError for an environment variable that makes no sense."""
    environment = os.environ if environment is None else environment
    return {setting.name: _value(options, setting, environment) for setting in settings}


def _value(options: argparse.Namespace, setting: Setting, environment: Mapping[str, str]) -> Any:
    given = getattr(options, setting.name, None)
    if given is not None:
        return given
    for name in setting.environment:
        text = environment.get(name)
        if text:
            try:
                return list(words(text)) if setting.append else setting.kind(text)
            except ValueError as error:
                raise OptionsError(f"the environment variable {name}: {error}") from None
    return setting.default
