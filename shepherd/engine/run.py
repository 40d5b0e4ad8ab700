"""A run: playbooks played on an inventory. Holds what the parts of the engine share."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

from shepherd.engine import syntax
from shepherd.engine.asking import ask
from shepherd.engine.connections import Connections
from shepherd.engine.magic import HostVars
from shepherd.engine.router import Router
from shepherd.engine.state import COUNTS, HostState
from shepherd.engine.variables import Variables
from shepherd.playbook import Loader, load
from shepherd.report.events import Emit, PlaybookStart, Recap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shepherd.engine.options import Options
    from shepherd.inventory import Inventory
    from shepherd.playbook.model import Play, Playbook, Task
    from shepherd.spec import Spec
    from shepherd.templating import Templates

EXIT_FAILED = 2
EXIT_UNREACHABLE = 4


class TakingPart:
    """The hosts of the play under way in the inventory's order, those among them that went home before its end
    (`end_host`, or a failure forgiven for later plays), and those that were out before it began."""

    def __init__(self, states: list[HostState]) -> None:
        self.hosts = [state.name for state in states]
        self.ended: set[str] = set()
        self.away = [state for state in states if state.out]


class Run:
    """Lives for one command. The engine's parts find one another here; none of them keeps the user's data twice."""

    def __init__(self, inventory: Inventory, templates: Templates, options: Options, emit: Emit) -> None:
        self.inventory: Inventory = inventory
        self.templates: Templates = templates
        self.options: Options = options
        self.emit: Emit = emit
        self.playbook_dir: str = os.getcwd()  # a string, as the variable of that name is
        self.inventory_base = self.playbook_dir
        self.connections = Connections()
        self.variables = Variables(self)
        self.router = Router(self)
        self.hostvars: HostVars = HostVars(self)
        self.static_args: dict[Task, tuple[Spec, dict[str, Any]]] = {}
        self.reading = asyncio.Lock()  # of large local files, one host at a time: the next one finds the digests
        self.digests: dict[tuple[str, int, int, int], str] = {}  # SHA-1 of local files, by path, inode, size, mtime
        self.files: dict[str, Any] = {}  # documents read while running (vars_files, include_vars), by path
        self.loader = Loader(
            templates, extra_vars=options.extra_vars, roles_path=options.roles_path, library=options.module_path
        )
        self.start_at: str | None = options.start_at_task  # until the task of that name is met
        self.stepping = options.step
        self.end_play = False
        self.batch: list[HostState] = []
        self.play: Play | None = None
        self.taking_part = TakingPart([])
        self.farewells: dict[str, Callable[[], Awaitable[list[str]]]] = {}  # by host: what ails there at the end
        self.ailing: dict[str, list[str]] = {}
        self._states: dict[str, HostState] = {}
        self._unchecked: list[Playbook] = []
        self.started = time.monotonic()

    def load(self, paths: Sequence[str]) -> list[Playbook]:
        """Read playbooks whole, before any of them is played."""
        return [load(path, loader=self.loader) for path in paths]

    @property
    def library(self) -> tuple[str, ...]:
        """The user's own folders of modules."""
        return self.loader.library

    def state(self, name: str) -> HostState | None:
        """The state of a host of the inventory, implicit localhost included; None where there is no such host."""
        found = self._states.get(name)
        if found is None:
            host = self.inventory.host(name)
            if host is None:
                return None
            found = self._states[name] = HostState(host)
        return found

    def delegate_state(self, name: str) -> HostState:
        """As `state`, for a host that a task is delegated to: it need not be in the inventory."""
        found = self.state(name)
        if found is None:
            from shepherd.inventory import Host

            found = self._states[name] = HostState(Host(name))
        return found

    def reload_inventory(self) -> None:
        """Read the inventory's sources again; what was learned of hosts stays."""
        from shepherd import inventory

        self.inventory = inventory.load(self.options.inventory_sources, cwd=self.inventory_base)
        self.variables.refresh_inventory()
        for name, state in self._states.items():
            state.host = self.inventory.host(name) or state.host

    async def ask_step(self, title: str) -> bool:
        """--step: shall this task run? `c` stops asking."""
        if not self.stepping:
            return True
        answer = (await ask(self.emit, f"Perform task: {title} (N)o/(y)es/(c)ontinue: ")).strip().lower()
        self.stepping = answer not in ("c", "continue")
        return answer in ("y", "yes", "c", "continue")

    def play_hosts(self, play: Play | None, *, alive: bool = False) -> list[str]:
        if play is None:
            return []
        if alive:
            return [name for name in self.taking_part.hosts if self._present(self._states[name])]
        return list(self.taking_part.hosts)

    def batch_hosts(self, play: Play | None) -> list[str]:
        return [state.name for state in self.batch if self._present(state)] if play is not None else []

    def _present(self, state: HostState) -> bool:
        return not state.out and state.name not in self.taking_part.ended

    async def play_all(self, playbooks: list[Playbook]) -> int:
        """Play them in order; the exit code."""
        self._unchecked = playbooks
        try:
            await self._play_in_turn(playbooks)
            await self._take_leave()
        finally:
            self.connections.close()
            self.templates.close()
        return self.exit_code()

    async def _play_in_turn(self, playbooks: list[Playbook]) -> None:
        from shepherd.engine.plays import play_on_hosts

        for playbook in playbooks:
            self.emit(PlaybookStart(playbook.path))
            for play in playbook.plays:
                self.playbook_dir = os.path.dirname(os.path.abspath(play.path))
                if not await play_on_hosts(self, play):
                    return

    async def _take_leave(self) -> None:
        """Ask hosts that can be reached what ails on them, where a task wants that known."""
        names = [name for name in self.farewells if not self._states[name].unreachable]
        found = await asyncio.gather(*(self.farewells[name]() for name in names))
        self.ailing = {name: words for name, words in sorted(zip(names, found, strict=True)) if words}

    async def checked(self) -> None:
        """Make sure, once, that the templates of all plays are well written. Raises ParseError."""
        if self._unchecked:
            playbooks, self._unchecked = self._unchecked, []
            # in another thread, since the hosts of the first play may be shaking hands
            await asyncio.to_thread(syntax.check, playbooks, self.templates)

    def exit_code(self) -> int:
        """As Ansible's: 4 where a host could not be reached, else 2 where one failed, else 0. What was forgiven
        (`clear_host_errors`) does not count."""
        states = self._states.values()
        if any(state.unreachable for state in states):
            return EXIT_UNREACHABLE
        return EXIT_FAILED if any(state.failed for state in states) else 0

    def recap(self, *, interrupted: bool = False) -> Recap:
        hosts = {name: dict(state.counts) for name, state in sorted(self._states.items()) if any(state.counts.values())}
        return Recap(
            {name: {key: counts[key] for key in COUNTS} for name, counts in hosts.items()},
            self.elapsed,
            interrupted,
            self.ailing,
        )

    @property
    def elapsed(self) -> float:
        """Seconds since the run was made."""
        return time.monotonic() - self.started
