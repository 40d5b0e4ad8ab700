"""Settings: one table of what can be set, where, and what it is otherwise.

A setting comes from its flag on the command line, else from its environment variable, else its default.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from shepherd.errors import OptionsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping


class Adds(Protocol):
    """A parser, or a group of one."""

    def add_argument(self, *flags: str, **options: Any) -> Any: ...


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


def sources(text: str) -> list[str]:
    """Inventories with commas between; hosts themselves where a comma stands last."""
    return [text] if text.rstrip().endswith(",") else list(words(text))


def whole(text: str) -> int:
    """A whole number of at least 1."""
    if not text.strip().isascii() or not text.strip().isdigit():
        raise ValueError(f"{text!r} is not a whole number")
    if int(text) < 1:
        raise ValueError(f"{text}: at least 1")
    return int(text)


def seconds(text: str) -> float:
    """A length of time, 0 or more."""
    try:
        found = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of seconds") from None
    if not 0 <= found < float("inf"):
        raise ValueError(f"{text}: not a length of time")
    return found


def one_of(*known: str) -> Callable[[str], str]:
    """A word out of these; a plugin's full name (ansible.builtin.ssh) is its last part."""

    def kind(text: str) -> str:
        word = text.strip().rpartition(".")[2]
        if word not in known:
            raise ValueError(f"{text!r} is not one of {', '.join(known)}")
        return word

    return kind


def ssh_words(text: str) -> tuple[str, ...]:
    """Words as a shell would part them."""
    import shlex

    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"{text!r}: {str(error).lower()}") from None


def folders(text: str) -> tuple[str, ...]:
    """A list of folders with colons between, ~ expanded."""
    return tuple(os.path.expanduser(part) for part in text.split(":") if part)


INVENTORY = (
    Setting(
        "inventory",
        ("-i", "--inventory", "--inventory-file"),
        ("SHEPHERD_INVENTORY", "ANSIBLE_INVENTORY"),
        kind=sources,
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
    Setting(
        "connection",
        ("-c", "--connection"),
        ("ANSIBLE_TRANSPORT",),
        kind=one_of("ssh", "local", "smart", "paramiko", "paramiko_ssh"),
        metavar="KIND",
        help="ssh or local",
    ),
    Setting(
        "timeout",
        ("-T", "--timeout"),
        ("ANSIBLE_TIMEOUT",),
        10.0,
        seconds,
        "SECONDS",
        "give up connecting after this long",
    ),
    Setting(
        "alive_interval",
        (),
        ("SHEPHERD_ALIVE_INTERVAL",),
        15.0,
        seconds,
        help="ask a silent host for a sign of life after this long; the fourth time it is unreachable; 0: never",
    ),
    Setting(
        "ssh_common_args",
        ("--ssh-common-args",),
        ("ANSIBLE_SSH_COMMON_ARGS",),
        (),
        ssh_words,
        metavar="ARGS",
        help="words for ssh: -o Key=Value, -J, -i, -p, -F, -l",
    ),
    Setting(
        "ssh_extra_args",
        ("--ssh-extra-args",),
        ("ANSIBLE_SSH_EXTRA_ARGS",),
        (),
        ssh_words,
        "ARGS",
        "more of the same",
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
    Setting(
        "become_method",
        ("--become-method",),
        ("ANSIBLE_BECOME_METHOD",),
        kind=one_of("sudo", "su"),
        metavar="METHOD",
        help="sudo or su",
    ),
    Setting("become_user", ("--become-user",), ("ANSIBLE_BECOME_USER",), metavar="USER", help="whom to become (root)"),
)
RUNNING = (
    Setting(
        "forks",
        ("-f", "--forks"),
        ("SHEPHERD_FORKS", "ANSIBLE_FORKS"),
        50,
        whole,
        "N",
        "hosts worked on at the same time",
    ),
    Setting(
        "task_timeout",
        ("--task-timeout",),
        ("ANSIBLE_TASK_TIMEOUT",),
        0.0,
        seconds,
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
    Setting(
        "output",
        ("--output",),
        ("SHEPHERD_OUTPUT",),
        kind=one_of("json", "plain", "terminal"),
        metavar="FORM",
        help="json: one event a line, for programs; plain or terminal, whatever the output is",
    ),
)


def add_arguments(parser: Adds, settings: tuple[Setting, ...]) -> None:
    """A flag for each setting that has one; without it the option is None, so that `resolve` can tell."""
    for setting in settings:
        if setting.flags:
            kind = {"action": "append"} if setting.append else {"type": _typed(setting.kind)}
            parser.add_argument(*setting.flags, dest=setting.name, metavar=setting.metavar, help=setting.help, **kind)


def _typed(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """`kind` for argparse, which shows the text of its own exception only."""

    def convert(text: str) -> Any:
        from argparse import ArgumentTypeError

        try:
            return kind(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return convert


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
                return setting.kind(text)
            except ValueError as error:
                raise OptionsError(f"the environment variable {name}: {error}") from None
    return setting.default
