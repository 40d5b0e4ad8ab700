"""What a run knows of one host: facts, registered results, what was included, how it fared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shepherd.inventory import Host

COUNTS = ("ok", "changed", "unreachable", "failed", "skipped", "rescued", "ignored")


class HostState:
    """Lives as long as the run. The variables it holds are three of the layers that scopes are built from.

    `version` changes whenever a variable did that could decide how to connect (`ansible_*`), so that a route worked
    out once can be kept until then.
    """

    __slots__ = (
        "counts",
        "facts",
        "failed",
        "host",
        "included",
        "injected",
        "name",
        "registered",
        "unreachable",
        "version",
    )

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name = host.name
        self.facts: dict[str, Any] = {}  # as `ansible_facts` shows them, without the prefix
        self.injected: dict[str, Any] = {}  # the same facts as variables of their own
        self.included: dict[str, Any] = {}  # include_vars: templates still
        self.registered: dict[str, Any] = {}  # register and set_fact: data, never rendered again
        self.counts: dict[str, int] = dict.fromkeys(COUNTS, 0)
        self.failed = False
        self.unreachable = False
        self.version = 0

    @property
    def out(self) -> bool:
        """No longer takes part in plays."""
        return self.failed or self.unreachable

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """Facts from a module, by the names it gave them (`ansible_kernel` or `kernel`)."""
        for name, value in facts.items():
            self.facts[name.removeprefix("ansible_")] = value
            self.injected[name] = value
            self._touch(name)

    def register(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self.registered[name] = value
            self._touch(name)

    def include(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self.included[name] = value
            self._touch(name)

    def clear_facts(self) -> None:
        self.facts.clear()
        self.injected.clear()
        self.version += 1

    def _touch(self, name: str) -> None:
        if name.startswith("ansible_"):
            self.version += 1
