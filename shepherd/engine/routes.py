"""How a task reaches its target: endpoint, interpreter and become, worked out from keywords and variables."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd.engine.values import seconds, truth
from shepherd.errors import ShepherdError
from shepherd.transport import Endpoint, Secret

if TYPE_CHECKING:
    from shepherd.become import Become
    from shepherd.engine.options import Options
    from shepherd.playbook.model import Settings
    from shepherd.templating import Scope, Templates

KINDS = {"ssh": "ssh", "smart": "ssh", "paramiko": "ssh", "paramiko_ssh": "ssh", "local": "local"}

# Variables that decide a route: the first name that is set wins.
VARIABLES: dict[str, tuple[str, ...]] = {
    "address": ("ansible_ssh_host", "ansible_host"),
    "port": ("ansible_ssh_port", "ansible_port"),
    "user": ("ansible_ssh_user", "ansible_user"),
    "password": ("ansible_ssh_password", "ansible_ssh_pass", "ansible_password"),
    "private_key_file": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
    "timeout": ("ansible_ssh_timeout", "ansible_timeout"),
    "become": ("ansible_become",),
    "become_user": ("ansible_become_user",),
    "become_method": ("ansible_become_method",),
    "become_password": ("ansible_become_password", "ansible_become_pass"),
    "become_flags": ("ansible_become_flags",),
    "become_exe": ("ansible_become_exe",),
    "host_key_checking": ("ansible_ssh_host_key_checking", "ansible_host_key_checking"),
}
# By method: `ansible_sudo_pass` and its like, which older inventories use.
METHOD_VARIABLES = {
    "become_user": "ansible_{}_user",
    "become_password": "ansible_{}_pass",
    "become_flags": "ansible_{}_flags",
    "become_exe": "ansible_{}_exe",
}


class Route(NamedTuple):
    """Hashable: equal routes share one link."""

    endpoint: Endpoint
    interpreter: str | None = None
    become: Become | None = None


def route(name: str, scope: Scope, settings: Settings, templates: Templates, options: Options) -> Route:
    """The way to host `name`: variables win over keywords, keywords over the command line."""

    def variable(key: str) -> Any:
        for candidate in VARIABLES[key]:
            if candidate in scope:
                return scope[candidate]
        return None

    def keyword(value: Any) -> Any:
        return templates.render(value, scope) if value is not None else None

    def first(*values: Any) -> Any:
        return next((value for value in values if value is not None and value != ""), None)

    written = first(scope.get("ansible_connection"), keyword(settings.connection), options.connection, "ssh")
    kind = KINDS.get(short(str(written)))
    if kind is None:
        raise ShepherdError(
            f"{name}: connection {str(written)!r} is not supported", hint=f"use one of {', '.join(sorted(KINDS))}"
        )
    user = first(variable("user"), keyword(settings.remote_user), options.remote_user)
    port = first(variable("port"), keyword(settings.port))
    password = first(variable("password"), options.connection_password)
    key = first(variable("private_key_file"), options.private_key_file)
    checking = variable("host_key_checking")
    endpoint = Endpoint(
        host=name,
        address=str(first(variable("address"), name)),
        kind=kind,
        port=_number(name, "port", port) if kind == "ssh" and port is not None else None,
        user=str(user) if user is not None and kind == "ssh" else None,
        password=Secret(password) if password is not None and kind == "ssh" else None,
        private_key_file=str(key) if key is not None and kind == "ssh" else None,
        ssh_args=(*options.ssh_args, *_words(scope)) if kind == "ssh" else (),
        timeout=seconds(f"{name}: timeout", first(variable("timeout"), options.timeout)),
        alive_interval=options.alive_interval,
        host_key_checking=truth(first(checking, options.host_key_checking)),
        directory=str(scope["playbook_dir"]) if kind == "local" else None,
    )
    interpreter = scope.get("ansible_python_interpreter")
    return Route(
        endpoint, str(interpreter) if interpreter else None, _become(variable, keyword, first, scope, settings, options)
    )


def _become(
    variable: Any, keyword: Any, first: Any, scope: Scope, settings: Settings, options: Options
) -> Become | None:
    if not truth(first(variable("become"), keyword(settings.become), options.become)):
        return None
    from shepherd.become import Become

    method = str(first(variable("become_method"), keyword(settings.become_method), options.become_method, "sudo"))
    method = short(method)

    def chosen(key: str, *others: Any) -> Any:
        old = METHOD_VARIABLES[key].format(method)
        return first(variable(key), scope.get(old), *others)

    user = chosen("become_user", keyword(settings.become_user), options.become_user, "root")
    password = chosen("become_password", options.become_password)
    flags = chosen("become_flags", keyword(settings.become_flags))
    exe = chosen("become_exe", keyword(settings.become_exe))
    return Become(
        method=method,
        user=str(user),
        password=Secret(password) if password is not None else None,
        flags=str(flags) if flags is not None else None,
        exe=str(exe) if exe is not None else None,
    )


def short(name: str) -> str:
    """A plugin's own name: `ansible.builtin.ssh` is `ssh`, `community.general.su` is `su`."""
    return name.rpartition(".")[2]


def _words(scope: Scope) -> tuple[str, ...]:
    words: list[str] = []
    for name in ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"):
        if name in scope:
            try:
                words += shlex.split(str(scope[name]))
            except ValueError as error:
                raise ShepherdError(f"{name}: {str(scope[name])!r}: {str(error).lower()}") from None
    return tuple(words)


def _number(name: str, what: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if not 0 < number < 65536:
        raise ShepherdError(f"{name}: {what} {value!r} is not a number from 1 to 65535")
    return number
