"""What the command line said about a run."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shepherd.transport import Secret


class Options(NamedTuple):
    """The choices of one run. None means that the user said nothing, so that keywords and variables decide."""

    check: bool = False
    diff: bool = False
    forks: int = 50
    verbosity: int = 0
    tags: tuple[str, ...] = ("all",)
    skip_tags: tuple[str, ...] = ()
    limit: str | None = None
    extra_vars: Mapping[str, Any] = MappingProxyType({})
    connection: str | None = None
    remote_user: str | None = None
    private_key_file: str | None = None
    ssh_args: tuple[str, ...] = ()
    timeout: float = 10.0
    alive_interval: float = 15.0
    task_timeout: float = 0.0
    host_key_checking: bool = True
    connection_password: Secret | None = None
    become: bool = False
    become_user: str | None = None
    become_method: str | None = None
    become_password: Secret | None = None
    force_handlers: bool = False
    start_at_task: str | None = None
    step: bool = False
    gather: bool = True
    roles_path: tuple[str, ...] = ()
    module_path: tuple[str, ...] = ()
    inventory_sources: tuple[str, ...] = ()
